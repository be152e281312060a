//! `/.auth/account/password`

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, Member, refusal_of};
use crate::config::PasswordPolicyName;
use crate::portal::Portal;
use crate::portal::alert::{Alert, Errors};
use crate::portal::forms::Fields;
use crate::portal::proof::CURRENT_PASSWORD;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::{OwnAccountError, PasswordForm};

const PATH: &str = "/.auth/account/password";

/// The order of the form.
const ORDER: &[&str] = &[CURRENT_PASSWORD, "password", "password_confirm"];

#[derive(Default, Serialize)]
struct PasswordView {
    nist: bool,
    saved: bool,
    errors: Errors,
    alert: Option<Alert>,
}

impl Portal {
    /// `current_password`, `password`, `password_confirm`
    pub(super) async fn change_password(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let form = PasswordForm {
            current: fields.secret(CURRENT_PASSWORD),
            password: fields.secret("password"),
            password_confirm: fields.secret("password_confirm"),
        };
        if form.current.expose().is_empty() {
            let errors = self.site.proof_errors(visit, "proof.required");
            return self
                .site
                .refused_password(visit, member, &Refusal::new(Problem::InvalidInput), errors);
        }
        let changed = self
            .services
            .own_account
            .change_password(member.session, form, &visit.origin())
            .await;
        let (refusal, errors) = match changed {
            Ok(_) if visit.wants == Wants::Json => return self.site.nothing(visit),
            Ok(_) => {
                return self
                    .site
                    .see_other(visit, "/.auth/account/password?done=password");
            }
            Err(OwnAccountError::Password(faults)) => (
                Refusal::new(Problem::InvalidInput),
                self.site.messages(visit, &faults),
            ),
            Err(OwnAccountError::NotProved(error)) => self.site.proof_refusal(visit, &error),
            Err(error) => (refusal_of(&error), Errors::new()),
        };
        self.site.refused_password(visit, member, &refusal, errors)
    }
}

impl Site {
    pub(in crate::portal) fn password_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let view = PasswordView {
            nist: self.password_policy == PasswordPolicyName::Nist,
            saved: visit.parameter("done") == "password",
            ..PasswordView::default()
        };
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            StatusCode::OK,
            "account-password.html",
            &view,
        )
    }

    pub(in crate::portal) fn refused_password(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(visit, refusal, errors, ORDER, |errors, alert| {
            let view = PasswordView {
                nist: self.password_policy == PasswordPolicyName::Nist,
                saved: false,
                errors,
                alert: Some(alert),
            };
            let place = AREA.at(PATH);
            self.member_page(
                visit,
                member,
                place,
                refusal.problem,
                "account-password.html",
                &view,
            )
        })
    }
}
