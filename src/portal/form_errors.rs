//! Errors of forms: messages by field, and the summary above the form.

use std::collections::BTreeMap;

use serde::Serialize;

use super::request_context::RequestContext;
use crate::refusal::{Problem, Refusal};
use crate::services::{FieldError, PasswordRule, SignUpField};
use crate::text::fill;

/// Messages by field.
pub(super) type Errors = BTreeMap<&'static str, String>;

/// Why a form was refused: messages of its fields, or a refusal of the whole.
#[derive(Debug)]
pub(super) struct FormRefusal {
    pub(super) refusal: Refusal,
    pub(super) errors: Errors,
}

impl From<Errors> for FormRefusal {
    /// Refuses fields.
    fn from(errors: Errors) -> Self {
        Self {
            refusal: Refusal::new(Problem::InvalidInput),
            errors,
        }
    }
}

impl From<Refusal> for FormRefusal {
    /// Refuses the whole form.
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            errors: Errors::new(),
        }
    }
}

/// The summary above a refused form.
#[derive(Debug, Serialize)]
pub(super) struct ErrorSummary {
    title: String,
    text: String,
    errors: Vec<ErrorSummaryItem>,
}

#[derive(Debug, Serialize)]
struct ErrorSummaryItem {
    field: &'static str,
    message: String,
}

impl ErrorSummary {
    /// A summary of one error of the whole form.
    pub(super) fn about(title: &str, text: String) -> Self {
        Self {
            title: title.to_owned(),
            text,
            errors: Vec::new(),
        }
    }

    /// A summary of the invalid fields, in the order of the form.
    pub(super) fn listing(title: &str, errors: &Errors, order: &[&'static str]) -> Self {
        let entry = |field: &&'static str| {
            errors.get(field).map(|message| ErrorSummaryItem {
                field,
                message: message.clone(),
            })
        };
        Self {
            title: title.to_owned(),
            text: String::new(),
            errors: order.iter().filter_map(entry).collect(),
        }
    }
}

impl<'a> RequestContext<'a> {
    /// A message for one field, by the key of its text.
    pub(super) fn field_error(&self, field: &'static str, text: &'a str) -> Errors {
        Errors::from([(field, self.text(text).to_owned())])
    }

    /// The messages of these errors, by field.
    pub(super) fn messages(&self, faults: &[(SignUpField, FieldError)]) -> Errors {
        let mut errors = Errors::new();
        for (field, fault) in faults {
            let message = self.message(*field, *fault);
            let all = errors.entry(field_name(*field)).or_default();
            if !all.is_empty() {
                all.push(' ');
            }
            all.push_str(&message);
        }
        errors
    }

    fn message(&self, field: SignUpField, fault: FieldError) -> String {
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
            FieldError::EmailTaken if self.renderer.login.reset => "field.email-taken-or-reset",
            FieldError::EmailTaken => "field.email-taken",
            FieldError::EmailUnchanged => "field.email-unchanged",
            FieldError::UsernameLength => "field.username-length",
            FieldError::UsernameCharacters => "field.username-characters",
            FieldError::UsernameTaken => "field.username-taken",
            FieldError::Password(rule) => match rule {
                PasswordRule::TooShort(least) => {
                    let text = self.text("field.password-short");
                    return fill(text, &[("count", &least.to_string())]);
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
        self.text(key).to_owned()
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
