//! The fields of the form, and what can be wrong with each.

use crate::services::PasswordRule;

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignUpField {
    /// `email`
    Email,
    /// `username`
    Username,
    /// `password`
    Password,
    /// `password_confirm`
    PasswordConfirm,
    /// `invitation`
    Invitation,
    /// `agree`
    Agree,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// Nothing was filled in.
    Required,
    /// Not an address.
    EmailMalformed,
    /// Over 254 characters.
    EmailTooLong,
    /// Another account has it.
    EmailTaken,
    /// The account has it already.
    EmailUnchanged,
    /// Under 2 or over 64 characters.
    UsernameLength,
    /// A character that it cannot have.
    UsernameCharacters,
    /// Another account has it or had it, or it is reserved.
    UsernameTaken,
    /// The password breaks a rule.
    Password(PasswordRule),
    /// Over 4096 bytes.
    PasswordTooLong,
    /// A control character.
    PasswordControlCharacter,
    /// The two are not alike.
    PasswordsDiffer,
    /// Spent, expired, unknown, missing, or bound to another address.
    InvitationVoid,
    /// The terms must be agreed to.
    MustAgree,
}
