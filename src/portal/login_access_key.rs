//! `/.auth/login/iam`: signing in with an access key.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::error_response::{set_retry_after, with_return};
use super::form_errors::{ErrorSummary, Errors};
use super::forms::Fields;
use super::login::refusal_of;
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use super::return_to::ReturnTo;
use crate::model::Principal;
use crate::refusal::{Hint, Problem, Refusal};
use crate::services::{KeyCredential, KeySignInError, SignInError};

/// The form as it is shown; the secret never is.
#[derive(Debug, Default, Serialize)]
pub(super) struct KeyLoginView {
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
    pub(super) alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct ChallengeDocument {
    challenge: String,
    expires_in: u64,
}

impl Portal {
    pub(super) fn login_iam_page(
        &self,
        context: &RequestContext<'_>,
        principal: Option<&Principal>,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            let (challenge, lasts) = self.services.key_sign_in.challenge();
            let document = ChallengeDocument {
                challenge,
                expires_in: lasts.as_secs(),
            };
            return self.renderer.json(context, StatusCode::OK, &document);
        }
        let rd = self.renderer.return_to(context, &context.parameter("rd"));
        if let Some(principal) = principal {
            return self.renderer.signed_in_page(context, principal, &rd);
        }
        let view = self.key_view("", &rd);
        self.renderer
            .page(context, StatusCode::OK, "login-iam.html", &view)
    }

    pub(super) async fn log_in_with_key(
        &self,
        context: &RequestContext<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let rd = self.renderer.return_to(context, fields.text("rd"));
        let access_key = fields.text("access_key").trim().to_owned();
        let secret = fields.secret("secret_key");
        let signature = fields.text("signature").trim();
        let view = self.key_view(&access_key, &rd);
        let is_answered = !signature.is_empty() || !secret.expose().is_empty();
        let errors = self.renderer.missing_in_key(context, &access_key, is_answered);
        if !errors.is_empty() {
            return self.renderer.incomplete_key(context, view, errors);
        }
        let answer = if signature.is_empty() {
            KeyCredential::Secret(secret)
        } else {
            KeyCredential::Signature {
                challenge: fields.text("challenge").to_owned(),
                signature: signature.to_owned(),
                hosts: [
                    context.head.authority.to_ascii_lowercase(),
                    context.head.host.to_string(),
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
                &context.origin(),
                self.replaces(context),
            )
            .await;
        match signed_in {
            Ok(signed_in) => self.welcome(context, &signed_in, &rd),
            Err(KeySignInError::Refused(SignInError::MustAgree)) => {
                self.renderer.key_must_agree(context, view)
            }
            Err(error) => self.renderer.failed_key(context, view, &refusal(&error)),
        }
    }

    fn key_view(&self, access_key: &str, rd: &ReturnTo) -> KeyLoginView {
        KeyLoginView {
            access_key: access_key.to_owned(),
            challenge: self.services.key_sign_in.challenge().0,
            ..self.renderer.key_view(rd)
        }
    }
}

impl PageRenderer {
    pub(super) fn key_view(&self, rd: &ReturnTo) -> KeyLoginView {
        KeyLoginView {
            rd: rd.as_str().to_owned(),
            password: with_return("/.auth/login", rd.as_str()),
            script: self.assets.sign.clone(),
            ..KeyLoginView::default()
        }
    }

    pub(super) fn missing_in_key(
        &self,
        context: &RequestContext<'_>,
        access_key: &str,
        is_answered: bool,
    ) -> Errors {
        let mut errors = Errors::new();
        let text = |key| self.texts.get(context.lang, key).to_owned();
        if access_key.is_empty() {
            errors.insert("access_key", text("iam.required-access-key"));
        }
        if !is_answered {
            errors.insert("secret_key", text("iam.required-secret-key"));
        }
        errors
    }

    pub(super) fn incomplete_key(
        &self,
        context: &RequestContext<'_>,
        view: KeyLoginView,
        errors: Errors,
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        if context.wants == ResponseFormat::Json {
            return self.refuse_fields(context, &refusal, errors);
        }
        let title = self.texts.get(context.lang, "page.required");
        let view = KeyLoginView {
            alert: Some(ErrorSummary::listing(
                title,
                &errors,
                &["access_key", "secret_key", "agree"],
            )),
            errors,
            ..view
        };
        self.page(context, refusal.problem, "login-iam.html", &view)
    }

    /// Somebody has the key, and has to agree to the terms first.
    pub(super) fn key_must_agree(&self, context: &RequestContext<'_>, view: KeyLoginView) -> Response<Bytes> {
        let message = self.texts.get(context.lang, "iam.must-agree").to_owned();
        let view = KeyLoginView {
            terms: self.terms_url.clone(),
            privacy: self.privacy_url.clone(),
            ..view
        };
        self.incomplete_key(context, view, Errors::from([("agree", message)]))
    }

    pub(super) fn failed_key(
        &self,
        context: &RequestContext<'_>,
        view: KeyLoginView,
        refusal: &Refusal,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            return self.refuse_visit(context, refusal);
        }
        let title = self.title(context, refusal.problem);
        let view = KeyLoginView {
            alert: Some(ErrorSummary::about(title, self.detail(context, refusal))),
            ..view
        };
        let mut response = self.page(context, refusal.problem, "login-iam.html", &view);
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
