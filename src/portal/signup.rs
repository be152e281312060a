//! `/.auth/signup` and `/.auth/signup/done`.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::error_response::set_retry_after;
use super::form_errors::{ErrorSummary, Errors};
use super::forms::{Fields, token_in};
use super::login::unavailable;
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use crate::config::{PasswordPolicyName, SignupMode};
use crate::model::{Invitation, InvitationKind};
use crate::refusal::{Problem, Refusal};
use crate::services::{FieldError, PasswordRule, SignUpError, SignUpField, SignUpForm, SignUpNext};

/// The form as it is shown; passwords never are.
#[derive(Debug, Default, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one condition of the template"
)]
pub(super) struct SignUpView {
    pub(super) email: String,
    pub(super) username: String,
    pub(super) agree: bool,
    pub(super) invitation: String,
    pub(super) ask_invitation: bool,
    pub(super) email_bound: bool,
    pub(super) email_taken: bool,
    /// A forgotten password can be set anew.
    pub(super) reset: bool,
    pub(super) administrator: bool,
    /// The username can be changed later.
    pub(super) changeable: bool,
    pub(super) nist: bool,
    pub(super) terms: String,
    pub(super) privacy: String,
    pub(super) errors: Errors,
    pub(super) alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct SignUpDone {
    next: SignUpNext,
}

/// The order of the form.
const ORDER: &[&str] = &[
    "invitation",
    "email",
    "username",
    "password",
    "password_confirm",
    "agree",
];

impl Portal {
    pub(super) async fn signup_page(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        let token = token_in(&context.parameter("invitation")).to_owned();
        let mut view = match self.signup_view(&token).await {
            Ok(view) => view,
            Err(refusal) => return self.renderer.refuse_visit(context, &refusal),
        };
        if view.ask_invitation && !token.is_empty() {
            let message = self.renderer.texts.get(context.lang, "field.invitation-void");
            view.errors.insert("invitation", message.to_owned());
        }
        self.renderer.page(context, StatusCode::OK, "signup.html", &view)
    }

    pub(super) async fn sign_up(&self, context: &RequestContext<'_>, mut fields: Fields) -> Response<Bytes> {
        let token = token_in(fields.text("invitation")).to_owned();
        let form = SignUpForm {
            email: fields.text("email").to_owned(),
            username: fields.text("username").to_owned(),
            password: fields.secret("password"),
            password_confirm: fields.secret("password_confirm"),
            invitation: Some(token.clone()).filter(|token| !token.is_empty()),
            agree: fields.agrees(),
        };
        let (email, username, agree) = (form.email.clone(), form.username.clone(), form.agree);
        let error = match self.services.sign_up.sign_up(form, &context.origin()).await {
            Ok(next) => return self.renderer.signed_up(context, next),
            Err(error) => error,
        };
        let (faults, refusal) = match error {
            SignUpError::Invalid(faults) => (faults, Refusal::new(Problem::InvalidInput)),
            SignUpError::RateLimited(wait) => {
                (Vec::new(), Refusal::new(Problem::RateLimited).retry_after(wait))
            }
            SignUpError::Closed => {
                return self
                    .renderer
                    .refuse_visit(context, &Refusal::new(Problem::SignupClosed));
            }
            SignUpError::Busy | SignUpError::Store(_) | SignUpError::Unrecorded => {
                (Vec::new(), unavailable(error.to_string()))
            }
        };
        if context.wants == ResponseFormat::Json {
            let errors = self.renderer.messages(context, &faults);
            return self.renderer.refuse_fields(context, &refusal, errors);
        }
        match self.signup_view(&token).await {
            Ok(view) => {
                let view = SignUpView {
                    email,
                    username,
                    agree,
                    ..view
                };
                self.renderer.failed_signup(context, view, &faults, &refusal)
            }
            Err(refusal) => self.renderer.refuse_visit(context, &refusal),
        }
    }

    /// The empty form, as the invitation allows it to be shown.
    async fn signup_view(&self, token: &str) -> Result<SignUpView, Refusal> {
        let sign_up = &self.services.sign_up;
        let invitation: Option<Invitation> = if token.is_empty() {
            None
        } else {
            let found = sign_up.invitation(token).await;
            found.map_err(|error| unavailable(error.to_string()))?
        };
        let invitation = match invitation {
            Some(found) => {
                let is_spent = self.services.invitations.is_spent(&found).await;
                let is_spent = is_spent.map_err(|error| unavailable(error.to_string()))?;
                (!is_spent).then_some(found)
            }
            None => None,
        };
        let administrator = invitation
            .as_ref()
            .is_some_and(|invitation| invitation.kind == InvitationKind::FirstAdministrator);
        let mode = sign_up.mode();
        if mode == SignupMode::Closed && !administrator {
            return Err(Refusal::new(Problem::SignupClosed));
        }
        let bound = invitation
            .as_ref()
            .and_then(|invitation| invitation.email.clone());
        let wanted = mode == SignupMode::Invite || !token.is_empty();
        Ok(SignUpView {
            email: bound.as_ref().map(ToString::to_string).unwrap_or_default(),
            invitation: token.to_owned(),
            ask_invitation: wanted && invitation.is_none(),
            email_bound: bound.is_some(),
            administrator,
            changeable: self.renderer.login.change_username,
            nist: self.services.password_policy.name() == PasswordPolicyName::Nist,
            terms: self.renderer.terms_url.clone(),
            privacy: self.renderer.privacy_url.clone(),
            ..SignUpView::default()
        })
    }
}

impl PageRenderer {
    pub(super) fn signed_up(&self, context: &RequestContext<'_>, next: SignUpNext) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::CREATED, &SignUpDone { next });
        }
        let next = match next {
            SignUpNext::Login => "login",
            SignUpNext::Verify => "verify",
            SignUpNext::Approval => "approval",
        };
        self.see_other(context, &format!("/.auth/signup/done?next={next}"))
    }

    pub(super) fn signup_done(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        let next = match context.parameter("next").as_str() {
            "verify" => SignUpNext::Verify,
            "approval" => SignUpNext::Approval,
            _ => SignUpNext::Login,
        };
        self.page(context, StatusCode::OK, "signup-done.html", &SignUpDone { next })
    }

    pub(super) fn failed_signup(
        &self,
        context: &RequestContext<'_>,
        view: SignUpView,
        faults: &[(SignUpField, FieldError)],
        refusal: &Refusal,
    ) -> Response<Bytes> {
        let errors = self.messages(context, faults);
        let alert = self.form_alert(context, refusal, &errors, ORDER);
        let view = SignUpView {
            ask_invitation: view.ask_invitation || errors.contains_key("invitation"),
            email_bound: view.email_bound && !errors.contains_key("email"),
            email_taken: faults.iter().any(|(_, fault)| *fault == FieldError::EmailTaken),
            reset: self.login.reset,
            errors,
            alert: Some(alert),
            ..view
        };
        let mut response = self.page(context, refusal.problem, "signup.html", &view);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    /// What is wrong with each field, in words.
    pub(super) fn messages(
        &self,
        context: &RequestContext<'_>,
        faults: &[(SignUpField, FieldError)],
    ) -> Errors {
        let mut errors = Errors::new();
        for (field, fault) in faults {
            let message = self.message(context, *field, *fault);
            let all = errors.entry(field_name(*field)).or_default();
            if !all.is_empty() {
                all.push(' ');
            }
            all.push_str(&message);
        }
        errors
    }

    fn message(&self, context: &RequestContext<'_>, field: SignUpField, fault: FieldError) -> String {
        let key = match fault {
            FieldError::Required => match field {
                SignUpField::Email => "field.required-email",
                SignUpField::Username => "field.required-username",
                SignUpField::Password => "field.required-password",
                SignUpField::PasswordConfirm => "field.required-confirm",
                SignUpField::Invitation => "field.required-invitation",
                SignUpField::Agree => "field.must-agree",
            },
            FieldError::EmailMalformed => "field.email-malformed",
            FieldError::EmailTooLong => "field.email-too-long",
            FieldError::EmailTaken if self.login.reset => "field.email-taken-or-reset",
            FieldError::EmailTaken => "field.email-taken",
            FieldError::EmailUnchanged => "field.email-unchanged",
            FieldError::UsernameLength => "field.username-length",
            FieldError::UsernameCharacters => "field.username-characters",
            FieldError::UsernameTaken => "field.username-taken",
            FieldError::Password(rule) => match rule {
                PasswordRule::TooShort(least) => {
                    let text = self.texts.get(context.lang, "field.password-short");
                    return crate::text::fill(text, &[("count", &least.to_string())]);
                }
                PasswordRule::NoLetter => "field.password-letter",
                PasswordRule::NoDigit => "field.password-digit",
                PasswordRule::NoSpecial => "field.password-special",
                PasswordRule::Common => "field.password-common",
                PasswordRule::Personal => "field.password-personal",
            },
            FieldError::PasswordTooLong => "field.password-long",
            FieldError::PasswordControlCharacter => "field.password-control",
            FieldError::PasswordsDiffer => "field.passwords-differ",
            FieldError::InvitationVoid => "field.invitation-void",
            FieldError::MustAgree => "field.must-agree",
        };
        self.texts.get(context.lang, key).to_owned()
    }
}

fn field_name(field: SignUpField) -> &'static str {
    match field {
        SignUpField::Email => "email",
        SignUpField::Username => "username",
        SignUpField::Password => "password",
        SignUpField::PasswordConfirm => "password_confirm",
        SignUpField::Invitation => "invitation",
        SignUpField::Agree => "agree",
    }
}
