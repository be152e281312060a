//! `/.auth/login/iam`: signs in with an access key.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::error_response::with_return;
use super::form_errors::{ErrorSummary, Errors, FormRefusal};
use super::forms::Fields;
use super::login::{refusal_of, replaces, signed_in_page, welcome};
use super::page_context::PageContext;
use super::request_context::RequestContext;
use super::return_to::ReturnTo;
use crate::refusal::{Hint, Problem, Refusal};
use crate::route::Page;
use crate::services::{KeyCredential, KeySignInError, SignInError};

/// The fields of the form, in their order.
const ORDER: &[&str] = &["access_key", "secret_key", "agree"];

/// The form, as it is shown, without the secret.
#[derive(Debug, Default, Serialize)]
pub(super) struct KeyLoginView {
    pub(super) access_key: String,
    pub(super) challenge: String,
    pub(super) rd: String,
    /// The URL of the sign-in with a password.
    pub(super) password: String,
    /// The script that signs the challenge.
    pub(super) script: String,
    /// The terms that must be accepted, if they must, and the privacy notice.
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

pub(super) fn get(cx: &PageContext<'_>) -> Response<Bytes> {
    if cx.wants_json() {
        let (challenge, lasts) = cx.services.key_sign_in.challenge();
        let document = ChallengeDocument {
            challenge,
            expires_in: lasts.as_secs(),
        };
        return cx.json(StatusCode::OK, &document);
    }
    let rd = cx.return_to(&cx.parameter("rd"));
    match cx.visitor.principal {
        Some(principal) => signed_in_page(cx, principal, &rd),
        None => cx.page(StatusCode::OK, "login-iam.html", &challenging(cx, "", &rd)),
    }
}

/// Fields: `access_key`; `challenge` with its `signature`, or `secret_key`; `agree`, `rd`.
pub(super) async fn post(cx: &PageContext<'_>, mut fields: Fields) -> Response<Bytes> {
    let rd = cx.return_to(fields.text("rd"));
    let access_key = fields.text("access_key").trim().to_owned();
    let secret = fields.secret("secret_key");
    let signature = fields.text("signature").trim();
    let view = challenging(cx, &access_key, &rd);
    let is_answered = !signature.is_empty() || !secret.expose().is_empty();
    let errors = missing(cx, &access_key, is_answered);
    if !errors.is_empty() {
        return refused(cx, view, errors.into());
    }
    let answer = if signature.is_empty() {
        KeyCredential::Secret(secret)
    } else {
        KeyCredential::Signature {
            challenge: fields.text("challenge").to_owned(),
            signature: signature.to_owned(),
            hosts: [cx.head.authority.to_ascii_lowercase(), cx.head.host.to_string()],
        }
    };
    let (origin, replaces) = (cx.origin(), replaces(cx));
    let sign_in = &cx.services.key_sign_in;
    let signed_in = sign_in.with_key(&access_key, &answer, fields.agrees(), &origin, replaces);
    match signed_in.await {
        Ok(signed_in) => welcome(cx, &signed_in, &rd),
        Err(KeySignInError::Refused(SignInError::MustAgree)) => must_agree(cx, view),
        Err(error) => refused(cx, view, refusal(&error).into()),
    }
}

/// The form with a new challenge.
fn challenging(cx: &PageContext<'_>, access_key: &str, rd: &ReturnTo) -> KeyLoginView {
    KeyLoginView {
        access_key: access_key.to_owned(),
        challenge: cx.services.key_sign_in.challenge().0,
        ..empty(cx, rd)
    }
}

/// The form without a challenge.
pub(super) fn empty(cx: &RequestContext<'_>, rd: &ReturnTo) -> KeyLoginView {
    KeyLoginView {
        rd: rd.as_str().to_owned(),
        password: with_return(Page::Login.path(), rd.as_str()),
        script: cx.renderer.assets.sign.clone(),
        ..KeyLoginView::default()
    }
}

pub(super) fn missing(cx: &RequestContext<'_>, access_key: &str, is_answered: bool) -> Errors {
    let mut errors = Errors::new();
    if access_key.is_empty() {
        errors.extend(cx.field_error("access_key", "iam.required-access-key"));
    }
    if !is_answered {
        errors.extend(cx.field_error("secret_key", "iam.required-secret-key"));
    }
    errors
}

/// Asks the holder of the key to accept the terms first.
pub(super) fn must_agree(cx: &RequestContext<'_>, view: KeyLoginView) -> Response<Bytes> {
    let view = KeyLoginView {
        terms: cx.renderer.terms_url.clone(),
        privacy: cx.renderer.privacy_url.clone(),
        ..view
    };
    refused(cx, view, cx.field_error("agree", "iam.must-agree").into())
}

pub(super) fn refused(cx: &RequestContext<'_>, view: KeyLoginView, refused: FormRefusal) -> Response<Bytes> {
    cx.refuse_form(refused, ORDER, |problem, errors, alert| {
        let view = KeyLoginView {
            alert: Some(alert),
            errors,
            ..view
        };
        cx.page(problem, "login-iam.html", &view)
    })
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
