//! `/.auth/login/iam`: signing in with an access key.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::alert::{Alert, Errors};
use super::forms::Fields;
use super::login::refusal_of;
use super::refuse::{set_retry_after, with_return};
use super::return_to::ReturnTo;
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::model::Principal;
use crate::refusal::{Hint, Problem, Refusal};
use crate::services::{KeyAnswer, KeySignInError, SignInError};

/// The form as it is shown; the secret never is.
#[derive(Debug, Default, Serialize)]
pub(super) struct KeyView {
    pub(super) access_key: String,
    pub(super) challenge: String,
    pub(super) rd: String,
    /// Where one signs in with a password instead.
    pub(super) password: String,
    /// What signs the challenge.
    pub(super) script: String,
    /// The terms that must be agreed to, if they must, and the privacy notice.
    pub(super) terms: String,
    pub(super) privacy: String,
    pub(super) errors: Errors,
    pub(super) alert: Option<Alert>,
}

#[derive(Serialize)]
struct ChallengeDocument {
    challenge: String,
    expires_in: u64,
}

impl Portal {
    pub(super) fn login_iam_page(&self, visit: &Visit<'_>, principal: Option<&Principal>) -> Response<Bytes> {
        if visit.wants == Wants::Json {
            let (challenge, lasts) = self.services.key_sign_in.challenge();
            let document = ChallengeDocument {
                challenge,
                expires_in: lasts.as_secs(),
            };
            return self.site.json(visit, StatusCode::OK, &document);
        }
        let rd = self.site.return_to(visit, &visit.parameter("rd"));
        if let Some(principal) = principal {
            return self.site.signed_in_page(visit, principal, &rd);
        }
        let view = self.key_view("", &rd);
        self.site.page(visit, StatusCode::OK, "login-iam.html", &view)
    }

    pub(super) async fn log_in_with_key(&self, visit: &Visit<'_>, mut fields: Fields) -> Response<Bytes> {
        let rd = self.site.return_to(visit, fields.text("rd"));
        let access_key = fields.text("access_key").trim().to_owned();
        let secret = fields.secret("secret_key");
        let signature = fields.text("signature").trim();
        let view = self.key_view(&access_key, &rd);
        let is_answered = !signature.is_empty() || !secret.expose().is_empty();
        let errors = self.site.missing_in_key(visit, &access_key, is_answered);
        if !errors.is_empty() {
            return self.site.incomplete_key(visit, view, errors);
        }
        let answer = if signature.is_empty() {
            KeyAnswer::Secret(secret)
        } else {
            KeyAnswer::Signature {
                challenge: fields.text("challenge").to_owned(),
                signature: signature.to_owned(),
                hosts: [
                    visit.head.authority.to_ascii_lowercase(),
                    visit.head.host.to_string(),
                ],
            }
        };
        let signed_in = self
            .services
            .key_sign_in
            .with_key(
                &access_key,
                &answer,
                fields.agrees(),
                &visit.origin(),
                self.replaces(visit),
            )
            .await;
        match signed_in {
            Ok(signed_in) => self.welcome(visit, &signed_in, &rd),
            Err(KeySignInError::Refused(SignInError::MustAgree)) => self.site.key_must_agree(visit, view),
            Err(error) => self.site.failed_key(visit, view, &refusal(&error)),
        }
    }

    fn key_view(&self, access_key: &str, rd: &ReturnTo) -> KeyView {
        KeyView {
            access_key: access_key.to_owned(),
            challenge: self.services.key_sign_in.challenge().0,
            ..self.site.key_view(rd)
        }
    }
}

impl Site {
    pub(super) fn key_view(&self, rd: &ReturnTo) -> KeyView {
        KeyView {
            rd: rd.as_str().to_owned(),
            password: with_return("/.auth/login", rd.as_str()),
            script: self.assets.sign.clone(),
            ..KeyView::default()
        }
    }

    pub(super) fn missing_in_key(&self, visit: &Visit<'_>, access_key: &str, is_answered: bool) -> Errors {
        let mut errors = Errors::new();
        let text = |key| self.texts.get(visit.lang, key).to_owned();
        if access_key.is_empty() {
            errors.insert("access_key", text("iam.required-access-key"));
        }
        if !is_answered {
            errors.insert("secret_key", text("iam.required-secret-key"));
        }
        errors
    }

    pub(super) fn incomplete_key(&self, visit: &Visit<'_>, view: KeyView, errors: Errors) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        if visit.wants == Wants::Json {
            return self.refuse_fields(visit, &refusal, errors);
        }
        let title = self.texts.get(visit.lang, "page.required");
        let view = KeyView {
            alert: Some(Alert::listing(
                title,
                &errors,
                &["access_key", "secret_key", "agree"],
            )),
            errors,
            ..view
        };
        self.page(visit, refusal.problem, "login-iam.html", &view)
    }

    /// Somebody has the key, and has to agree to the terms first.
    pub(super) fn key_must_agree(&self, visit: &Visit<'_>, view: KeyView) -> Response<Bytes> {
        let message = self.texts.get(visit.lang, "iam.must-agree").to_owned();
        let view = KeyView {
            terms: self.terms_url.clone(),
            privacy: self.privacy_url.clone(),
            ..view
        };
        self.incomplete_key(visit, view, Errors::from([("agree", message)]))
    }

    pub(super) fn failed_key(&self, visit: &Visit<'_>, view: KeyView, refusal: &Refusal) -> Response<Bytes> {
        if visit.wants == Wants::Json {
            return self.refuse_visit(visit, refusal);
        }
        let title = self.title(visit, refusal.problem);
        let view = KeyView {
            alert: Some(Alert::about(title, self.detail(visit, refusal))),
            ..view
        };
        let mut response = self.page(visit, refusal.problem, "login-iam.html", &view);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }
}

fn refusal(error: &KeySignInError) -> Refusal {
    match error {
        KeySignInError::Stale => Refusal::new(Problem::SignatureInvalid).hinting(Hint::ChallengeStale),
        KeySignInError::Answered => Refusal::new(Problem::Replayed),
        KeySignInError::Limited => Refusal::new(Problem::Forbidden).hinting(Hint::KeyLimited),
        KeySignInError::Refused(SignInError::InvalidCredentials) => {
            Refusal::new(Problem::InvalidCredentials).hinting(Hint::SecretKey)
        }
        KeySignInError::Refused(error) => refusal_of(error),
    }
}
