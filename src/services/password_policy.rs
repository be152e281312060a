//! What a new password must be.

use crate::config::PasswordPolicyName;
use crate::model::{Email, Password, Username};

/// A rule that a password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PasswordRule {
    /// Too short; at least so many characters.
    TooShort(usize),
    /// No letter.
    NoLetter,
    /// No digit.
    NoDigit,
    /// No special character.
    NoSpecial,
    /// Among the common ones.
    Common,
    /// Contains the account's address or username.
    Personal,
}

/// The policy.
#[derive(Debug)]
pub struct PasswordPolicy {}

impl PasswordPolicy {
    /// The policy with this name.
    pub fn new(_name: PasswordPolicyName) -> Self {
        todo!()
    }

    /// Which policy it is, for the page that explains it.
    pub fn name(&self) -> PasswordPolicyName {
        todo!()
    }

    /// Every rule that the password breaks.
    pub fn judge(
        &self,
        _password: &Password,
        _email: Option<&Email>,
        _username: Option<&Username>,
    ) -> Vec<PasswordRule> {
        todo!()
    }
}
