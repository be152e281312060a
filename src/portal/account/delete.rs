//! `/.auth/account/delete`

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, SignedInUser, refusal_of};
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::reauthenticate::CURRENT_PASSWORD;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::refusal::{Problem, Refusal};
use crate::services::AccountSettingsError;

const PATH: &str = "/.auth/account/delete";

#[derive(Default, Serialize)]
struct DeleteView<'a> {
    who: &'a str,
    username: &'a str,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

impl Portal {
    /// `current_password`
    pub(super) async fn delete_account(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let password = fields.secret(CURRENT_PASSWORD);
        if password.expose().is_empty() {
            let errors = self.renderer.proof_errors(context, "proof.required");
            let refusal = Refusal::new(Problem::InvalidInput);
            return self.renderer.refused_delete(context, user, &refusal, errors);
        }
        let deleted = self
            .services
            .account_settings
            .delete(user.session, &password, &context.origin())
            .await;
        let (refusal, errors) = match deleted {
            Ok(()) => return self.deleted(context),
            Err(AccountSettingsError::NotProved(error)) => self.renderer.proof_refusal(context, &error),
            Err(AccountSettingsError::LastAdministrator) => {
                let why = self
                    .renderer
                    .texts
                    .get(context.lang, "account.last-administrator");
                let errors = Errors::from([(CURRENT_PASSWORD, why.to_owned())]);
                (Refusal::new(Problem::InvalidInput), errors)
            }
            Err(error) => (refusal_of(&error), Errors::new()),
        };
        self.renderer.refused_delete(context, user, &refusal, errors)
    }

    fn deleted(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        let mut response = match context.wants {
            ResponseFormat::Json => self.renderer.nothing(context),
            ResponseFormat::Html => self.renderer.deleted_page(context),
        };
        self.clear_browser(&mut response);
        response
    }
}

impl PageRenderer {
    pub(in crate::portal) fn deleted_page(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        self.page(context, StatusCode::OK, "account-deleted.html", &())
    }

    pub(in crate::portal) fn delete_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        self.deletion(context, user, StatusCode::OK, Errors::new(), None)
    }

    pub(in crate::portal) fn refused_delete(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(context, refusal, errors, &[CURRENT_PASSWORD], |errors, alert| {
            self.deletion(context, user, refusal.problem, errors, Some(alert))
        })
    }

    fn deletion(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        outcome: impl Into<ResponseOutcome>,
        errors: Errors,
        alert: Option<ErrorSummary>,
    ) -> Response<Bytes> {
        let view = DeleteView {
            who: user.principal.email.as_str(),
            username: user.principal.username.as_str(),
            errors,
            alert,
        };
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            outcome,
            "account-delete.html",
            &view,
        )
    }
}
