//! `/.auth/account/username`: another username, where `login.change_username` allows it.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::profile::Profile;
use super::{AREA, SignedInUser, refusal_of};
use crate::model::{Account, Username};
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::reauthenticate::CURRENT_PASSWORD;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::refusal::{Problem, Refusal};
use crate::services::{AccountSettingsError, MOST_FORMER_USERNAMES, SignUpField};

pub(super) const PATH: &str = "/.auth/account/username";

/// The order of the form.
const ORDER: &[&str] = &["username", CURRENT_PASSWORD];

#[derive(Serialize)]
struct UsernameView<'a> {
    current: &'a str,
    former: &'a [Username],
    /// As it was typed.
    username: &'a str,
    saved: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

impl Portal {
    pub(super) async fn username_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        match self.services.account_settings.find(user.principal.account).await {
            Ok(account) => self.renderer.username_page(context, user, &account),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }

    /// `username`, `current_password`
    pub(super) async fn change_username(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let password = fields.secret(CURRENT_PASSWORD);
        let username = fields.text("username");
        let own = &self.services.account_settings;
        let invalid = Refusal::new(Problem::InvalidInput);
        let (refusal, errors) = if password.expose().is_empty() {
            (invalid, self.renderer.proof_errors(context, "proof.required"))
        } else {
            let origin = context.origin();
            let changed = own.change_username(user.session, username, &password, &origin);
            match changed.await {
                Ok(account) if context.wants == ResponseFormat::Json => {
                    return self
                        .renderer
                        .json(context, StatusCode::OK, &Profile::of(&account));
                }
                Ok(_) => {
                    return self
                        .renderer
                        .see_other(context, "/.auth/account/username?done=username");
                }
                Err(AccountSettingsError::Username(fault)) => {
                    let faults = [(SignUpField::Username, fault)];
                    (invalid, self.renderer.messages(context, &faults))
                }
                Err(AccountSettingsError::TooManyUsernames) => {
                    (invalid, self.renderer.too_many_usernames(context))
                }
                Err(AccountSettingsError::NotProved(error)) => self.renderer.proof_refusal(context, &error),
                Err(error) => (refusal_of(&error), Errors::new()),
            }
        };
        match own.find(user.principal.account).await {
            Ok(account) => {
                let site = &self.renderer;
                site.refused_username(context, user, &account, username, &refusal, errors)
            }
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }
}

impl PageRenderer {
    pub(in crate::portal) fn username_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        account: &Account,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::OK, &Profile::of(account));
        }
        let view = UsernameView {
            current: account.username.as_str(),
            former: &account.former_usernames,
            username: "",
            saved: context.parameter("done") == "username",
            errors: Errors::new(),
            alert: None,
        };
        self.username_form(context, user, StatusCode::OK, &view)
    }

    pub(in crate::portal) fn refused_username(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        account: &Account,
        username: &str,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(context, refusal, errors, ORDER, |errors, alert| {
            let view = UsernameView {
                current: account.username.as_str(),
                former: &account.former_usernames,
                username,
                saved: false,
                alert: Some(alert),
                errors,
            };
            self.username_form(context, user, refusal.problem, &view)
        })
    }

    fn username_form(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        outcome: impl Into<ResponseOutcome>,
        view: &UsernameView<'_>,
    ) -> Response<Bytes> {
        let place = AREA.at(PATH);
        self.member_page(context, user, place, outcome, "account-username.html", view)
    }

    fn too_many_usernames(&self, context: &RequestContext<'_>) -> Errors {
        let text = self.texts.get(context.lang, "account.username-too-many");
        let count = MOST_FORMER_USERNAMES.to_string();
        Errors::from([("username", crate::text::fill(text, &[("count", &count)]))])
    }
}
