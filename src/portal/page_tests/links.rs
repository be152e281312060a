//! States of the pages of mailed links.

use super::*;
use crate::portal::flash::FlashMessage;
use crate::portal::forgot::ForgotView;
use crate::services::Confirmation;

pub(super) fn states(cx: &RequestContext<'_>) -> Vec<(&'static str, Response<Bytes>)> {
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
    let view = || LoginView {
        rd: "/".to_owned(),
        signup: "open",
        reset: true,
        ..LoginView::default()
    };
    let unverified = LoginView {
        login: "mina@harbour.example".to_owned(),
        ..view()
    };
    let after = |flash: FlashMessage| {
        let view = LoginView {
            notice: Some(flash.text()),
            ..view()
        };
        cx.page(ok, "login.html", &view)
    };
    let void = Refusal::new(Problem::InvalidToken);
    vec![
        (
            "login-not-verified",
            login::refused(cx, unverified, Refusal::new(Problem::NotVerified).into()),
        ),
        ("login-password-changed", after(FlashMessage::PasswordChanged)),
        ("login-email-changed", after(FlashMessage::EmailChanged)),
        ("verify", verify::form(cx, &token, &confirmation(false))),
        ("verify-moves", verify::form(cx, &token, &confirmation(true))),
        ("verify-void", verify::refuse_link(cx, &void, false)),
        ("forgot", cx.page(ok, "forgot.html", &ForgotView::default())),
        ("forgot-failed", forgot::refused(cx, "mina", &malformed)),
        ("forgot-done", forgot::get_done(cx).unwrap()),
        (
            "reset",
            cx.page(ok, "reset.html", &reset::empty(cx, token.clone())),
        ),
        (
            "reset-failed",
            reset::refused(cx, token, cx.messages(&weak).into()),
        ),
        ("reset-void", verify::refuse_link(cx, &void, true)),
        ("reset-disabled", cx.refuse(&Refusal::new(Problem::ResetDisabled))),
    ]
}
