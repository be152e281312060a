//! `/.auth/reset?token=`: setting a new password with a link.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::alert::{Alert, Errors};
use super::forgot::refusal_of;
use super::forms::{Fields, token_in};
use super::notice::Notice;
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::config::PasswordPolicyName;
use crate::refusal::{Problem, Refusal};
use crate::services::{LinkError, SignUpNext};

/// The order of the form.
const ORDER: &[&str] = &["password", "password_confirm"];

/// The form as it is shown; the passwords never are.
#[derive(Debug, Default, Serialize)]
pub(super) struct ResetView {
    pub(super) token: String,
    pub(super) nist: bool,
    pub(super) errors: Errors,
    pub(super) alert: Option<Alert>,
}

#[derive(Serialize)]
struct Done {
    next: SignUpNext,
}

impl Portal {
    /// Whoever only looks, a mail scanner for one, uses nothing up (S20).
    pub(super) async fn reset_page(&self, visit: &Visit<'_>) -> Response<Bytes> {
        let token = token_in(&visit.parameter("token")).to_owned();
        match self.services.mailed_links.resets(&token).await {
            Ok(()) => self
                .site
                .page(visit, StatusCode::OK, "reset.html", &self.site.reset_view(token)),
            Err(error) => self.site.refuse_link(visit, &refusal_of(&error), true),
        }
    }

    /// `token`, `password`, `password_confirm`
    pub(super) async fn reset(&self, visit: &Visit<'_>, mut fields: Fields) -> Response<Bytes> {
        let token = token_of(visit, &fields);
        let (password, again) = (fields.secret("password"), fields.secret("password_confirm"));
        let links = &self.services.mailed_links;
        match links.reset(&token, &password, &again, &visit.origin()).await {
            Ok(()) if visit.wants == Wants::Json => {
                let next = SignUpNext::Login;
                self.site.json(visit, StatusCode::OK, &Done { next })
            }
            Ok(()) => {
                let mut response = self.site.see_other(visit, "/.auth/login");
                self.site.leave_notice(&mut response, Notice::PasswordChanged);
                response
            }
            Err(LinkError::Invalid(faults)) => {
                let errors = self.site.messages(visit, &faults);
                let refusal = Refusal::new(Problem::InvalidInput);
                self.site.failed_reset(visit, token, &refusal, errors)
            }
            Err(error @ (LinkError::Void | LinkError::ResetDisabled)) => {
                self.site.refuse_link(visit, &refusal_of(&error), true)
            }
            Err(error) => self
                .site
                .failed_reset(visit, token, &refusal_of(&error), Errors::new()),
        }
    }
}

impl Site {
    pub(super) fn reset_view(&self, token: String) -> ResetView {
        ResetView {
            token,
            nist: self.password_policy == PasswordPolicyName::Nist,
            ..ResetView::default()
        }
    }

    pub(super) fn failed_reset(
        &self,
        visit: &Visit<'_>,
        token: String,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(visit, refusal, errors, ORDER, |errors, alert| {
            let view = ResetView {
                errors,
                alert: Some(alert),
                ..self.reset_view(token)
            };
            self.page(visit, refusal.problem, "reset.html", &view)
        })
    }
}

/// The token of a form, or of the address to which it was sent.
pub(super) fn token_of(visit: &Visit<'_>, fields: &Fields) -> String {
    match token_in(fields.text("token")) {
        "" => token_in(&visit.parameter("token")).to_owned(),
        token => token.to_owned(),
    }
}
