//! The password asked again: before changes that matter, a while after it was last typed, and of whoever signed in with
//! an access key also before what administrators see.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde::Serialize;

use super::Portal;
use super::alert::{Alert, Errors};
use super::forms::Fields;
use super::login::refusal_of;
use super::member::{Member, Place};
use super::refuse::set_retry_after;
use super::site::Site;
use super::visit::{Visit, Wants};
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
struct ProofView<'a> {
    /// Where the form leads: the page that asks.
    action: String,
    /// What was sent to it, to be sent again.
    sent: Vec<(&'a str, &'a str)>,
    who: &'a str,
    errors: Errors,
    alert: Option<Alert>,
}

/// How a page is shown to whoever gave the password for it.
pub(super) enum Shown {
    /// In the answer to the form.
    AtOnce,
    /// By a redirect.
    Elsewhere(Response<Bytes>),
}

impl Portal {
    /// What is asked of somebody who wants to see what only whoever [is trusted](Self::is_trusted) may.
    pub(super) fn asked_first(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        place: Place,
    ) -> Option<Response<Bytes>> {
        (!self.is_trusted(member)).then(|| self.site.ask_proof(visit, member, place, None, None))
    }

    /// Whether they signed in with the password, or with an access key and proved lately to know the password too: a key
    /// lies in files of programs, and whoever finds one shall not come by more than it signs.
    pub(super) fn is_trusted(&self, member: Member<'_>) -> bool {
        member.principal.method != SignInMethod::Iam
            || self.services.sessions.is_proved(member.session, PROOF_LASTS)
    }

    /// Passes whoever proved lately to know the password of the account, or does so with this form; else asks, and
    /// what was sent is sent again with the password.
    pub(super) async fn require_proof(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        place: Place,
        fields: &mut Fields,
    ) -> Result<(), Response<Bytes>> {
        let sessions = &self.services.sessions;
        if sessions.is_proved(member.session, PROOF_LASTS) {
            return Ok(());
        }
        let password = fields.secret(CURRENT_PASSWORD);
        if password.expose().is_empty() {
            return Err(self.site.ask_proof(visit, member, place, Some(fields), None));
        }
        let proved = self
            .services
            .sign_in
            .prove(member.session, &password, &visit.origin())
            .await;
        match proved {
            Ok(_) => Ok(()),
            Err(error) => {
                let fields = Some(&*fields);
                Err(self.site.ask_proof(visit, member, place, fields, Some(&error)))
            }
        }
    }
}

impl Site {
    /// Asks; `fields` are those of the form that was sent, if one was; `error` says why what was typed proves nothing, if
    /// anything was.
    pub(super) fn ask_proof(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        place: Place,
        fields: Option<&Fields>,
        error: Option<&SignInError>,
    ) -> Response<Bytes> {
        let (refusal, errors) = match error {
            None if fields.is_some() => (
                Refusal::new(Problem::InvalidInput),
                self.proof_errors(visit, "proof.required"),
            ),
            None => (
                Refusal::new(Problem::Forbidden).hinting(Hint::PasswordFirst),
                self.proof_errors(visit, "proof.required"),
            ),
            Some(error) => self.proof_refusal(visit, error),
        };
        if visit.wants == Wants::Json {
            return self.refuse_fields(visit, &refusal, errors);
        }
        let alert = (error.is_some() && errors.is_empty())
            .then(|| Alert::about(self.title(visit, refusal.problem), self.detail(visit, &refusal)));
        let sent = fields.map_or_else(|| vec![("action", SHOW)], Fields::sent);
        let shows = fields.is_none_or(|fields| fields.text("action") == SHOW);
        let view = ProofView {
            action: if shows {
                visit.place()
            } else {
                visit.head.path.to_owned()
            },
            sent,
            who: member.principal.email.as_str(),
            errors: if error.is_some() { errors } else { Errors::new() },
            alert,
        };
        let mut response = self.member_page(visit, member, place, refusal.problem, "proof.html", &view);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    /// The page that a form asks for which brought nothing but the password; `None` if it asks for something else. A
    /// program is shown it at once.
    pub(super) fn shown_after_proof(&self, visit: &Visit<'_>, fields: &Fields) -> Option<Shown> {
        (fields.text("action") == SHOW).then(|| match visit.wants {
            Wants::Json => Shown::AtOnce,
            Wants::Html => Shown::Elsewhere(self.see_other(visit, &visit.place())),
        })
    }

    /// What is answered to a password that proves nothing: a message for its field, or a refusal of the whole.
    pub(super) fn proof_refusal(&self, visit: &Visit<'_>, error: &SignInError) -> (Refusal, Errors) {
        match error {
            SignInError::InvalidCredentials => (
                Refusal::new(Problem::InvalidInput),
                self.proof_errors(visit, "proof.wrong"),
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
    pub(super) fn proof_errors(&self, visit: &Visit<'_>, text: &'static str) -> Errors {
        let message = self.texts.get(visit.lang, text).to_owned();
        Errors::from([(CURRENT_PASSWORD, message)])
    }
}
