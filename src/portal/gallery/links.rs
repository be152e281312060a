//! The pages of mailed links.

use super::*;
use crate::portal::forgot::ForgotView;
use crate::portal::notice::Notice;
use crate::services::Confirmation;

pub(super) fn states(site: &Site, visit: &Visit<'_>) -> Vec<(&'static str, Response<Bytes>)> {
    let ok = http::StatusCode::OK;
    let token = "T".repeat(43);
    let confirmation = |moves| Confirmation {
        email: "mina@harbour.example".parse().unwrap(),
        moves,
    };
    let malformed = [(SignUpField::Email, FieldError::EmailMalformed)];
    let weak = [
        (SignUpField::Password, FieldError::Password(PasswordRule::NoDigit)),
        (SignUpField::PasswordConfirm, FieldError::PasswordsDiffer),
    ];
    let login = || LoginView {
        rd: "/".to_owned(),
        signup: "open",
        reset: true,
        ..LoginView::default()
    };
    let unverified = LoginView {
        login: "mina@harbour.example".to_owned(),
        ..login()
    };
    let after = |notice: Notice| {
        let view = LoginView {
            notice: Some(notice.text()),
            ..login()
        };
        site.page(visit, ok, "login.html", &view)
    };
    let invalid = Refusal::new(Problem::InvalidInput);
    let void = Refusal::new(Problem::InvalidToken);
    vec![
        (
            "login-not-verified",
            site.failed_login(visit, unverified, &Refusal::new(Problem::NotVerified)),
        ),
        ("login-password-changed", after(Notice::PasswordChanged)),
        ("login-email-changed", after(Notice::EmailChanged)),
        ("verify", site.verify_form(visit, &token, &confirmation(false))),
        (
            "verify-moves",
            site.verify_form(visit, &token, &confirmation(true)),
        ),
        ("verify-void", site.refuse_link(visit, &void, false)),
        (
            "forgot",
            site.page(visit, ok, "forgot.html", &ForgotView::default()),
        ),
        ("forgot-failed", site.failed_forgot(visit, "mina", &malformed)),
        ("forgot-done", site.forgot_done(visit)),
        (
            "reset",
            site.page(visit, ok, "reset.html", &site.reset_view(token.clone())),
        ),
        (
            "reset-failed",
            site.failed_reset(visit, token, &invalid, site.messages(visit, &weak)),
        ),
        ("reset-void", site.refuse_link(visit, &void, true)),
        (
            "reset-disabled",
            site.refuse_visit(visit, &Refusal::new(Problem::ResetDisabled)),
        ),
    ]
}
