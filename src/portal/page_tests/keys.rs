//! States of the sign-in with an access key.

use super::*;
use crate::portal::login_access_key::{self, KeyLoginView};

pub(super) fn states(cx: &RequestContext<'_>) -> Vec<(&'static str, Response<Bytes>)> {
    let view = || KeyLoginView {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        challenge: "Q2hhbGxlbmdl".to_owned(),
        ..login_access_key::empty(cx, &cx.return_to("/a?b"))
    };
    let empty = KeyLoginView {
        access_key: String::new(),
        ..view()
    };
    let missing = login_access_key::missing(cx, "", false).into();
    let wrong = Refusal::new(Problem::InvalidCredentials).hinting(crate::refusal::Hint::SecretKey);
    vec![
        (
            "login-iam",
            cx.page(http::StatusCode::OK, "login-iam.html", &view()),
        ),
        (
            "login-iam-incomplete",
            login_access_key::refused(cx, empty, missing),
        ),
        ("login-iam-must-agree", login_access_key::must_agree(cx, view())),
        (
            "login-iam-failed",
            login_access_key::refused(cx, view(), wrong.into()),
        ),
    ]
}
