//! The pages of mailed links.

use super::*;
use crate::portal::flash::FlashMessage;
use crate::portal::forgot::ForgotView;
use crate::services::Confirmation;

pub(super) fn states(
    renderer: &PageRenderer,
    context: &RequestContext<'_>,
) -> Vec<(&'static str, Response<Bytes>)> {
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
    let after = |flash: FlashMessage| {
        let view = LoginView {
            notice: Some(flash.text()),
            ..login()
        };
        renderer.page(context, ok, "login.html", &view)
    };
    let invalid = Refusal::new(Problem::InvalidInput);
    let void = Refusal::new(Problem::InvalidToken);
    vec![
        (
            "login-not-verified",
            renderer.failed_login(context, unverified, &Refusal::new(Problem::NotVerified)),
        ),
        ("login-password-changed", after(FlashMessage::PasswordChanged)),
        ("login-email-changed", after(FlashMessage::EmailChanged)),
        (
            "verify",
            renderer.verify_form(context, &token, &confirmation(false)),
        ),
        (
            "verify-moves",
            renderer.verify_form(context, &token, &confirmation(true)),
        ),
        ("verify-void", renderer.refuse_link(context, &void, false)),
        (
            "forgot",
            renderer.page(context, ok, "forgot.html", &ForgotView::default()),
        ),
        (
            "forgot-failed",
            renderer.failed_forgot(context, "mina", &malformed),
        ),
        ("forgot-done", renderer.forgot_done(context)),
        (
            "reset",
            renderer.page(context, ok, "reset.html", &renderer.reset_view(token.clone())),
        ),
        (
            "reset-failed",
            renderer.failed_reset(context, token, &invalid, renderer.messages(context, &weak)),
        ),
        ("reset-void", renderer.refuse_link(context, &void, true)),
        (
            "reset-disabled",
            renderer.refuse_visit(context, &Refusal::new(Problem::ResetDisabled)),
        ),
    ]
}
