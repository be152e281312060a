//! Signing in with an access key.

use super::*;
use crate::portal::login_iam::KeyView;

pub(super) fn states(site: &Site, visit: &Visit<'_>) -> Vec<(&'static str, Response<Bytes>)> {
    let rd = return_to::ReturnTo::parse("/a?b", &site.hosts, "localhost");
    let view = || KeyView {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        challenge: "Q2hhbGxlbmdl".to_owned(),
        ..site.key_view(&rd)
    };
    let empty = KeyView {
        access_key: String::new(),
        ..view()
    };
    let wrong = Refusal::new(Problem::InvalidCredentials).hinting(crate::refusal::Hint::SecretKey);
    vec![
        (
            "login-iam",
            site.page(visit, http::StatusCode::OK, "login-iam.html", &view()),
        ),
        (
            "login-iam-incomplete",
            site.incomplete_key(visit, empty, site.missing_in_key(visit, "", false)),
        ),
        ("login-iam-must-agree", site.key_must_agree(visit, view())),
        ("login-iam-failed", site.failed_key(visit, view(), &wrong)),
    ]
}
