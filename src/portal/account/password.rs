//! `/.auth/account/password`

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, SignedInUser, refusal_of};
use crate::config::PasswordPolicyName;
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::reauthenticate::CURRENT_PASSWORD;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::refusal::{Problem, Refusal};
use crate::services::{AccountSettingsError, PasswordForm};

const PATH: &str = "/.auth/account/password";

/// The order of the form.
const ORDER: &[&str] = &[CURRENT_PASSWORD, "password", "password_confirm"];

#[derive(Default, Serialize)]
struct PasswordView {
    nist: bool,
    saved: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

impl Portal {
    /// `current_password`, `password`, `password_confirm`
    pub(super) async fn change_password(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let form = PasswordForm {
            current: fields.secret(CURRENT_PASSWORD),
            password: fields.secret("password"),
            password_confirm: fields.secret("password_confirm"),
        };
        if form.current.expose().is_empty() {
            let errors = self.renderer.proof_errors(context, "proof.required");
            return self.renderer.refused_password(
                context,
                user,
                &Refusal::new(Problem::InvalidInput),
                errors,
            );
        }
        let changed = self
            .services
            .account_settings
            .change_password(user.session, form, &context.origin())
            .await;
        let (refusal, errors) = match changed {
            Ok(_) if context.wants == ResponseFormat::Json => return self.renderer.nothing(context),
            Ok(_) => {
                return self
                    .renderer
                    .see_other(context, "/.auth/account/password?done=password");
            }
            Err(AccountSettingsError::Password(faults)) => (
                Refusal::new(Problem::InvalidInput),
                self.renderer.messages(context, &faults),
            ),
            Err(AccountSettingsError::NotProved(error)) => self.renderer.proof_refusal(context, &error),
            Err(error) => (refusal_of(&error), Errors::new()),
        };
        self.renderer.refused_password(context, user, &refusal, errors)
    }
}

impl PageRenderer {
    pub(in crate::portal) fn password_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let view = PasswordView {
            nist: self.password_policy == PasswordPolicyName::Nist,
            saved: context.parameter("done") == "password",
            ..PasswordView::default()
        };
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            StatusCode::OK,
            "account-password.html",
            &view,
        )
    }

    pub(in crate::portal) fn refused_password(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(context, refusal, errors, ORDER, |errors, alert| {
            let view = PasswordView {
                nist: self.password_policy == PasswordPolicyName::Nist,
                saved: false,
                errors,
                alert: Some(alert),
            };
            let place = AREA.at(PATH);
            self.member_page(
                context,
                user,
                place,
                refusal.problem,
                "account-password.html",
                &view,
            )
        })
    }
}
