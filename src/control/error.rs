//! Errors of commands.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::AccountStatus;
use crate::refusal::Problem;
use crate::services::{
    AccessKeyError, AccountError, InvitationError, LinkError, PasswordRule, SecretCipherError,
};
use crate::store::StoreError;

/// A refusal or failure, as it is reported to the administrator.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// What is wrong and what to do.
    pub message: String,
    /// Further data for programs.
    #[serde(default)]
    pub details: Map<String, Value>,
    /// The reason in the audit log, as for an act on a page; `None` if the act was executed.
    #[serde(skip)]
    pub(super) problem: Option<&'static str>,
}

/// Compares what the caller sees; the audit log's reason is not sent.
impl PartialEq for CommandError {
    fn eq(&self, other: &Self) -> bool {
        (&self.message, &self.details) == (&other.message, &other.details)
    }
}

/// What an import advises for an account whose username it cannot choose.
const ADD_WITH_USERNAME: &str = "add this account with `vestibule user add --username`";

impl CommandError {
    /// Creates a refusal without details.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            details: Map::new(),
            problem: Some(Problem::InvalidInput.slug()),
        }
    }

    /// The object of the act does not exist.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::of(Problem::NotFound, message)
    }

    /// The act was executed, and something failed afterwards.
    pub(super) fn after_the_act(message: impl Into<String>) -> Self {
        Self {
            problem: None,
            ..Self::new(message)
        }
    }

    fn of(problem: Problem, message: impl Into<String>) -> Self {
        Self {
            problem: Some(problem.slug()),
            ..Self::new(message)
        }
    }

    /// Adds the members of a JSON object as details.
    pub(super) fn with_details<T: Serialize>(mut self, details: &T) -> Self {
        if let Ok(Value::Object(members)) = serde_json::to_value(details) {
            self.details = members;
        }
        self
    }

    /// The refusal of a line of an import, which takes no username.
    pub fn of_import(error: AccountError) -> Self {
        let message = match &error {
            AccountError::UsernameTaken(_) | AccountError::UsernameReserved(_) => {
                Some(format!("{error}; {ADD_WITH_USERNAME}"))
            }
            AccountError::NoUsername(email) => {
                Some(format!("no username can be made of {email}; {ADD_WITH_USERNAME}"))
            }
            _ => None,
        };
        let mut refusal = Self::from(error);
        if let Some(message) = message {
            refusal.message = message;
        }
        refusal
    }
}

impl From<AccountError> for CommandError {
    fn from(error: AccountError) -> Self {
        let problem = match &error {
            AccountError::Unrecorded(_) => return Self::after_the_act(error.to_string()),
            AccountError::NotFound(_) => Problem::NotFound,
            AccountError::Stale(..) => Problem::Conflict,
            AccountError::Busy | AccountError::Store(_) => Problem::Unavailable,
            _ => Problem::InvalidInput,
        };
        let message = match &error {
            AccountError::NotFound(_) => format!("{error}; `vestibule user list` shows all"),
            AccountError::Password(rules) => {
                let rules: Vec<String> = rules.iter().copied().map(rule).collect();
                format!("the password is refused: {}", rules.join(", "))
            }
            AccountError::UsernameTaken(_) | AccountError::UsernameReserved(_) => {
                format!("{error}; choose another with --username")
            }
            AccountError::Status(_, status) => format!("{error}, {}", serves(*status)),
            AccountError::LastAdministrator => {
                format!("{error}; put another account into that group first")
            }
            _ => error.to_string(),
        };
        Self::of(problem, message)
    }
}

impl From<InvitationError> for CommandError {
    fn from(error: InvitationError) -> Self {
        match error {
            InvitationError::Groups(error) => error.into(),
            InvitationError::Store(error) => error.into(),
            InvitationError::Known(_) => {
                Self::new(format!("{error}; --skip-existing passes over such addresses"))
            }
            InvitationError::Name(..) | InvitationError::Language(_) => Self::new(error.to_string()),
        }
    }
}

impl From<AccessKeyError> for CommandError {
    fn from(error: AccessKeyError) -> Self {
        let problem = match &error {
            AccessKeyError::NotFound(_) | AccessKeyError::NoAccount => Problem::NotFound,
            AccessKeyError::TooOften(_) => Problem::RateLimited,
            AccessKeyError::SecretCipher(_) | AccessKeyError::Store(_) => Problem::Unavailable,
            AccessKeyError::TooMany(_) | AccessKeyError::Name => Problem::InvalidInput,
        };
        let message = match &error {
            AccessKeyError::NotFound(_) => format!("{error}; `vestibule key list` shows all"),
            AccessKeyError::TooMany(_) => {
                format!("{error}; revoke one first, or raise login.access_keys")
            }
            _ => error.to_string(),
        };
        Self::of(problem, message)
    }
}

impl From<SecretCipherError> for CommandError {
    fn from(error: SecretCipherError) -> Self {
        Self::of(Problem::Unavailable, error.to_string())
    }
}

impl From<LinkError> for CommandError {
    fn from(error: LinkError) -> Self {
        Self::of(Problem::Unavailable, error.to_string())
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::of(Problem::Unavailable, error.to_string())
    }
}

impl From<serde_json::Error> for CommandError {
    fn from(error: serde_json::Error) -> Self {
        Self::after_the_act(format!("the answer cannot be written as JSON: {error}"))
    }
}

/// The commands that are possible in a status.
fn serves(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => "with `vestibule user disable`",
        AccountStatus::AwaitingApproval => "with `vestibule user approve` or `vestibule user decline`",
        AccountStatus::Declined => "with `vestibule user approve`",
        AccountStatus::Disabled => "with `vestibule user enable`",
    }
}

fn rule(rule: PasswordRule) -> String {
    match rule {
        PasswordRule::TooShort(least) => format!("it needs at least {least} characters"),
        PasswordRule::NoLetter => "it needs a letter".to_owned(),
        PasswordRule::NoDigit => "it needs a digit".to_owned(),
        PasswordRule::NoSpecial => "it needs a special character".to_owned(),
        PasswordRule::Common => "it is among the common ones".to_owned(),
        PasswordRule::Personal => "it contains the address or the username".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_password_is_refused_in_words() {
        let error = CommandError::from(AccountError::Password(vec![
            PasswordRule::TooShort(8),
            PasswordRule::NoDigit,
        ]));
        assert_eq!(
            error.message,
            "the password is refused: it needs at least 8 characters, it needs a digit"
        );
    }
}
