//! The password asked again: before changes that matter, a while after it was last typed, and of whoever signed in with
//! an access key also before what administrators see.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde::Serialize;

use super::Portal;
use super::error_response::set_retry_after;
use super::form_errors::{ErrorSummary, Errors};
use super::forms::Fields;
use super::login::refusal_of;
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use super::signed_in::{NavItem, SignedInUser};
use crate::model::SignInMethod;
use crate::refusal::{Hint, Problem, Refusal};
use crate::services::SignInError;

/// For so long what was typed at the sign-in, or since, is proof enough.
const PROOF_LASTS: Duration = Duration::from_mins(15);

/// The field of every form that asks for it.
pub(super) const CURRENT_PASSWORD: &str = "current_password";

/// The `action` of a form that asks for the page itself, with the password.
const SHOW: &str = "show";

#[derive(Serialize)]
struct ReauthenticateView<'a> {
    /// Where the form leads: the page that asks.
    action: String,
    /// What was sent to it, to be sent again.
    sent: Vec<(&'a str, &'a str)>,
    who: &'a str,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// How a page is shown to whoever gave the password for it.
pub(super) enum PageDisplay {
    /// In the answer to the form.
    AtOnce,
    /// By a redirect.
    Elsewhere(Response<Bytes>),
}

impl Portal {
    /// What is asked of somebody who wants to see what only whoever [is trusted](Self::is_trusted) may.
    pub(super) fn asked_first(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        place: NavItem,
    ) -> Option<Response<Bytes>> {
        (!self.is_trusted(user)).then(|| self.renderer.ask_password_again(context, user, place, None, None))
    }

    /// Whether they signed in with the password, or with an access key and proved lately to know the password too: a key
    /// lies in files of programs, and whoever finds one shall not come by more than it signs.
    pub(super) fn is_trusted(&self, user: SignedInUser<'_>) -> bool {
        user.principal.method != SignInMethod::Iam
            || self.services.sessions.is_proved(user.session, PROOF_LASTS)
    }

    /// Passes whoever proved lately to know the password of the account, or does so with this form; else asks, and
    /// what was sent is sent again with the password.
    pub(super) async fn require_reauthentication(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        place: NavItem,
        fields: &mut Fields,
    ) -> Result<(), Response<Bytes>> {
        let sessions = &self.services.sessions;
        if sessions.is_proved(user.session, PROOF_LASTS) {
            return Ok(());
        }
        let password = fields.secret(CURRENT_PASSWORD);
        if password.expose().is_empty() {
            return Err(self
                .renderer
                .ask_password_again(context, user, place, Some(fields), None));
        }
        let proved = self
            .services
            .sign_in
            .reauthenticate(user.session, &password, &context.origin())
            .await;
        match proved {
            Ok(_) => Ok(()),
            Err(error) => {
                let fields = Some(&*fields);
                Err(self
                    .renderer
                    .ask_password_again(context, user, place, fields, Some(&error)))
            }
        }
    }
}

impl PageRenderer {
    /// Asks; `fields` are those of the form that was sent, if one was; `error` says why what was typed proves nothing, if
    /// anything was.
    pub(super) fn ask_password_again(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        place: NavItem,
        fields: Option<&Fields>,
        error: Option<&SignInError>,
    ) -> Response<Bytes> {
        let (refusal, errors) = match error {
            None if fields.is_some() => (
                Refusal::new(Problem::InvalidInput),
                self.proof_errors(context, "proof.required"),
            ),
            None => (
                Refusal::new(Problem::Forbidden).hinting(Hint::PasswordFirst),
                self.proof_errors(context, "proof.required"),
            ),
            Some(error) => self.proof_refusal(context, error),
        };
        if context.wants == ResponseFormat::Json {
            return self.refuse_fields(context, &refusal, errors);
        }
        let alert = (error.is_some() && errors.is_empty()).then(|| {
            ErrorSummary::about(
                self.title(context, refusal.problem),
                self.detail(context, &refusal),
            )
        });
        let sent = fields.map_or_else(|| vec![("action", SHOW)], Fields::sent);
        let shows = fields.is_none_or(|fields| fields.text("action") == SHOW);
        let view = ReauthenticateView {
            action: if shows {
                context.place()
            } else {
                context.head.path.to_owned()
            },
            sent,
            who: user.principal.email.as_str(),
            errors: if error.is_some() { errors } else { Errors::new() },
            alert,
        };
        let mut response = self.member_page(context, user, place, refusal.problem, "proof.html", &view);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    /// The page that a form asks for which brought nothing but the password; `None` if it asks for something else. A
    /// program is shown it at once.
    pub(super) fn shown_after_proof(
        &self,
        context: &RequestContext<'_>,
        fields: &Fields,
    ) -> Option<PageDisplay> {
        (fields.text("action") == SHOW).then(|| match context.wants {
            ResponseFormat::Json => PageDisplay::AtOnce,
            ResponseFormat::Html => PageDisplay::Elsewhere(self.see_other(context, &context.place())),
        })
    }

    /// What is answered to a password that proves nothing: a message for its field, or a refusal of the whole.
    pub(super) fn proof_refusal(
        &self,
        context: &RequestContext<'_>,
        error: &SignInError,
    ) -> (Refusal, Errors) {
        match error {
            SignInError::InvalidCredentials => (
                Refusal::new(Problem::InvalidInput),
                self.proof_errors(context, "proof.wrong"),
            ),
            SignInError::NotVerified
            | SignInError::NotApproved
            | SignInError::Disabled
            | SignInError::MustAgree => (Refusal::new(Problem::NotAuthenticated), Errors::new()),
            SignInError::Locked(_) | SignInError::RateLimited(_) => (refusal_of(error), Errors::new()),
            SignInError::Store(_) | SignInError::Busy | SignInError::Unrecorded => {
                (refusal_of(error), Errors::new())
            }
        }
    }

    /// The message of the field, by the name of its text.
    pub(super) fn proof_errors(&self, context: &RequestContext<'_>, text: &'static str) -> Errors {
        let message = self.texts.get(context.lang, text).to_owned();
        Errors::from([(CURRENT_PASSWORD, message)])
    }
}
