//! `/.auth/account/email`: moving the account to another address.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::profile::{PendingAddress, Profile};
use super::{AREA, SignedInUser, refusal_of};
use crate::model::Account;
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::reauthenticate::CURRENT_PASSWORD;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::refusal::{Problem, Refusal};
use crate::services::{AccountSettingsError, SignUpField};

const PATH: &str = "/.auth/account/email";

/// The order of the form.
const ORDER: &[&str] = &["email", CURRENT_PASSWORD];

#[derive(Default, Serialize)]
struct EmailView<'a> {
    email: &'a str,
    pending: Option<PendingAddress<'a>>,
    /// What was done, in words.
    done: Option<&'static str>,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct EmailRequested {}

impl Portal {
    pub(super) async fn email_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        match self.services.account_settings.find(user.principal.account).await {
            Ok(account) => self.renderer.email_page(context, user, &account),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }

    /// `email`, `current_password`; or `change` "cancel", for the change that is pending
    pub(super) async fn change_email(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        if fields.text("change") == "cancel" {
            return self.cancel_email_change(context, user).await;
        }
        let password = fields.secret(CURRENT_PASSWORD);
        let email = fields.text("email");
        if password.expose().is_empty() {
            let errors = self.renderer.proof_errors(context, "proof.required");
            let refusal = Refusal::new(Problem::InvalidInput);
            return self.refuse_email(context, user, email, &refusal, errors).await;
        }
        let own = &self.services.account_settings;
        let origin = context.origin();
        let asked = own.change_email(user.session, email, &password, &origin);
        let (refusal, errors) = match asked.await {
            Ok(()) if context.wants == ResponseFormat::Json => {
                return self
                    .renderer
                    .json(context, StatusCode::ACCEPTED, &EmailRequested {});
            }
            Ok(()) => {
                return self
                    .renderer
                    .see_other(context, "/.auth/account/email?done=asked");
            }
            Err(AccountSettingsError::Email(fault)) => (
                Refusal::new(Problem::InvalidInput),
                self.renderer.messages(context, &[(SignUpField::Email, fault)]),
            ),
            Err(AccountSettingsError::NotProved(error)) => self.renderer.proof_refusal(context, &error),
            Err(error) => (refusal_of(&error), Errors::new()),
        };
        self.refuse_email(context, user, email, &refusal, errors).await
    }

    async fn cancel_email_change(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let own = &self.services.account_settings;
        match own.cancel_email_change(user.session, &context.origin()).await {
            Ok(account) if context.wants == ResponseFormat::Json => {
                self.renderer
                    .json(context, StatusCode::OK, &Profile::of(&account))
            }
            Ok(_) => self
                .renderer
                .see_other(context, "/.auth/account/email?done=cancelled"),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }

    async fn refuse_email(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        email: &str,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        match self.services.account_settings.find(user.principal.account).await {
            Ok(account) => {
                let site = &self.renderer;
                site.refused_email(context, user, &account, email, refusal, errors)
            }
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }
}

impl PageRenderer {
    pub(in crate::portal) fn email_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        account: &Account,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::OK, &Profile::of(account));
        }
        let view = EmailView {
            pending: PendingAddress::of(account),
            done: match context.parameter("done").as_str() {
                "asked" => Some("account.email-asked"),
                "cancelled" => Some("account.email-cancelled"),
                _ => None,
            },
            ..EmailView::default()
        };
        self.email_form(context, user, StatusCode::OK, &view)
    }

    pub(in crate::portal) fn refused_email(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        account: &Account,
        email: &str,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(context, refusal, errors, ORDER, |errors, alert| {
            let view = EmailView {
                email,
                pending: PendingAddress::of(account),
                done: None,
                errors,
                alert: Some(alert),
            };
            self.email_form(context, user, refusal.problem, &view)
        })
    }

    fn email_form(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        outcome: impl Into<ResponseOutcome>,
        view: &EmailView<'_>,
    ) -> Response<Bytes> {
        self.member_page(context, user, AREA.at(PATH), outcome, "account-email.html", view)
    }
}
