//! `/.auth/account/email`: moving the account to another address.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, Member, refusal_of};
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
    asked: bool,
    errors: Errors,
    alert: Option<Alert>,
}

#[derive(Serialize)]
struct Asked {}

impl Portal {
    /// `email`, `current_password`
    pub(super) async fn change_email(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let password = fields.secret(CURRENT_PASSWORD);
        let email = fields.text("email");
        if password.expose().is_empty() {
            let errors = self.site.proof_errors(visit, "proof.required");
            let refusal = Refusal::new(Problem::InvalidInput);
            return self.site.refused_email(visit, member, email, &refusal, errors);
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
        self.site.refused_email(visit, member, email, &refusal, errors)
    }
}

impl Site {
    pub(in crate::portal) fn email_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let view = EmailView {
            asked: visit.parameter("done") == "asked",
            ..EmailView::default()
        };
        self.email_form(visit, member, StatusCode::OK, &view)
    }

    pub(in crate::portal) fn refused_email(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        email: &str,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(visit, refusal, errors, ORDER, |errors, alert| {
            let view = EmailView {
                email,
                asked: false,
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
