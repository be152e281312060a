//! `/.auth/account/delete`

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
use crate::services::OwnAccountError;

const PATH: &str = "/.auth/account/delete";

#[derive(Default, Serialize)]
struct DeleteView<'a> {
    who: &'a str,
    username: &'a str,
    errors: Errors,
    alert: Option<Alert>,
}

impl Portal {
    /// `current_password`
    pub(super) async fn delete_account(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let password = fields.secret(CURRENT_PASSWORD);
        if password.expose().is_empty() {
            let errors = self.site.proof_errors(visit, "proof.required");
            let refusal = Refusal::new(Problem::InvalidInput);
            return self.site.refused_delete(visit, member, &refusal, errors);
        }
        let deleted = self
            .services
            .own_account
            .delete(member.session, &password, &visit.origin())
            .await;
        let (refusal, errors) = match deleted {
            Ok(()) => return self.deleted(visit),
            Err(OwnAccountError::NotProved(error)) => self.site.proof_refusal(visit, &error),
            Err(OwnAccountError::LastAdministrator) => {
                let why = self.site.texts.get(visit.lang, "account.last-administrator");
                let errors = Errors::from([(CURRENT_PASSWORD, why.to_owned())]);
                (Refusal::new(Problem::InvalidInput), errors)
            }
            Err(error) => (refusal_of(&error), Errors::new()),
        };
        self.site.refused_delete(visit, member, &refusal, errors)
    }

    fn deleted(&self, visit: &Visit<'_>) -> Response<Bytes> {
        let mut response = match visit.wants {
            Wants::Json => self.site.nothing(visit),
            Wants::Html => self.site.deleted_page(visit),
        };
        self.clear_browser(&mut response);
        response
    }
}

impl Site {
    pub(in crate::portal) fn deleted_page(&self, visit: &Visit<'_>) -> Response<Bytes> {
        self.page(visit, StatusCode::OK, "account-deleted.html", &())
    }

    pub(in crate::portal) fn delete_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        self.deletion(visit, member, StatusCode::OK, Errors::new(), None)
    }

    pub(in crate::portal) fn refused_delete(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(visit, refusal, errors, &[CURRENT_PASSWORD], |errors, alert| {
            self.deletion(visit, member, refusal.problem, errors, Some(alert))
        })
    }

    fn deletion(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        outcome: impl Into<Outcome>,
        errors: Errors,
        alert: Option<Alert>,
    ) -> Response<Bytes> {
        let view = DeleteView {
            who: member.principal.email.as_str(),
            username: member.principal.username.as_str(),
            errors,
            alert,
        };
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            outcome,
            "account-delete.html",
            &view,
        )
    }
}
