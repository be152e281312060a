//! Signing in with an access key.

use super::*;
use crate::portal::login_access_key::KeyLoginView;

pub(super) fn states(
    renderer: &PageRenderer,
    context: &RequestContext<'_>,
) -> Vec<(&'static str, Response<Bytes>)> {
    let rd = return_to::ReturnTo::parse("/a?b", &renderer.hosts, "localhost");
    let view = || KeyLoginView {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        challenge: "Q2hhbGxlbmdl".to_owned(),
        ..renderer.key_view(&rd)
    };
    let empty = KeyLoginView {
        access_key: String::new(),
        ..view()
    };
    let wrong = Refusal::new(Problem::InvalidCredentials).hinting(crate::refusal::Hint::SecretKey);
    vec![
        (
            "login-iam",
            renderer.page(context, http::StatusCode::OK, "login-iam.html", &view()),
        ),
        (
            "login-iam-incomplete",
            renderer.incomplete_key(context, empty, renderer.missing_in_key(context, "", false)),
        ),
        ("login-iam-must-agree", renderer.key_must_agree(context, view())),
        ("login-iam-failed", renderer.failed_key(context, view(), &wrong)),
    ]
}
