//! `/.auth/account/email`: moving the account to another address.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::profile::{Pending, Profile};
use super::{AREA, Member, refusal_of};
use crate::model::Account;
use crate::portal::Portal;
use crate::portal::alert::{Alert, Errors};
use crate::portal::forms::Fields;
use crate::portal::proof::CURRENT_PASSWORD;
use crate::portal::render::Outcome;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::{OwnAccountError, SignUpField};

const PATH: &str = "/.auth/account/email";

/// The order of the form.
const ORDER: &[&str] = &["email", CURRENT_PASSWORD];

#[derive(Default, Serialize)]
struct EmailView<'a> {
    email: &'a str,
    pending: Option<Pending<'a>>,
    /// What was done, in words.
    done: Option<&'static str>,
    errors: Errors,
    alert: Option<Alert>,
}

#[derive(Serialize)]
struct Asked {}

impl Portal {
    pub(super) async fn email_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        match self.services.own_account.find(member.principal.account).await {
            Ok(account) => self.site.email_page(visit, member, &account),
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
        }
    }

    /// `email`, `current_password`; or `change` "cancel", for the change that is pending
    pub(super) async fn change_email(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        if fields.text("change") == "cancel" {
            return self.cancel_email_change(visit, member).await;
        }
        let password = fields.secret(CURRENT_PASSWORD);
        let email = fields.text("email");
        if password.expose().is_empty() {
            let errors = self.site.proof_errors(visit, "proof.required");
            let refusal = Refusal::new(Problem::InvalidInput);
            return self.refuse_email(visit, member, email, &refusal, errors).await;
        }
        let own = &self.services.own_account;
        let origin = visit.origin();
        let asked = own.change_email(member.session, email, &password, &origin);
        let (refusal, errors) = match asked.await {
            Ok(()) if visit.wants == Wants::Json => {
                return self.site.json(visit, StatusCode::ACCEPTED, &Asked {});
            }
            Ok(()) => return self.site.see_other(visit, "/.auth/account/email?done=asked"),
            Err(OwnAccountError::Email(fault)) => (
                Refusal::new(Problem::InvalidInput),
                self.site.messages(visit, &[(SignUpField::Email, fault)]),
            ),
            Err(OwnAccountError::NotProved(error)) => self.site.proof_refusal(visit, &error),
            Err(error) => (refusal_of(&error), Errors::new()),
        };
        self.refuse_email(visit, member, email, &refusal, errors).await
    }

    async fn cancel_email_change(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let own = &self.services.own_account;
        match own.cancel_email_change(member.session, &visit.origin()).await {
            Ok(account) if visit.wants == Wants::Json => {
                self.site.json(visit, StatusCode::OK, &Profile::of(&account))
            }
            Ok(_) => self.site.see_other(visit, "/.auth/account/email?done=cancelled"),
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
        }
    }

    async fn refuse_email(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        email: &str,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        match self.services.own_account.find(member.principal.account).await {
            Ok(account) => {
                let site = &self.site;
                site.refused_email(visit, member, &account, email, refusal, errors)
            }
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
        }
    }
}

impl Site {
    pub(in crate::portal) fn email_page(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        account: &Account,
    ) -> Response<Bytes> {
        if visit.wants == Wants::Json {
            return self.json(visit, StatusCode::OK, &Profile::of(account));
        }
        let view = EmailView {
            pending: Pending::of(account),
            done: match visit.parameter("done").as_str() {
                "asked" => Some("account.email-asked"),
                "cancelled" => Some("account.email-cancelled"),
                _ => None,
            },
            ..EmailView::default()
        };
        self.email_form(visit, member, StatusCode::OK, &view)
    }

    pub(in crate::portal) fn refused_email(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        account: &Account,
        email: &str,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(visit, refusal, errors, ORDER, |errors, alert| {
            let view = EmailView {
                email,
                pending: Pending::of(account),
                done: None,
                errors,
                alert: Some(alert),
            };
            self.email_form(visit, member, refusal.problem, &view)
        })
    }

    fn email_form(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        outcome: impl Into<Outcome>,
        view: &EmailView<'_>,
    ) -> Response<Bytes> {
        self.member_page(visit, member, AREA.at(PATH), outcome, "account-email.html", view)
    }
}
