//! Errors of operations, and their conversion to [`StoreError`].

use std::error::Error as _;

use tokio_postgres::error::{Severity, SqlState};

use crate::store::StoreError;

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum OperationError {
    /// An error of the database or of the connection.
    Database(tokio_postgres::Error),
    /// An error of the stored data or of this program.
    Store(StoreError),
    /// The rule of who administers was replaced meanwhile. Nothing was changed.
    RuleReplaced,
}

pub(super) fn unavailable(why: impl Into<String>) -> OperationError {
    OperationError::Store(StoreError::Unavailable(why.into()))
}

impl OperationError {
    /// Returns whether the operation changed nothing because of a concurrent one, so that a retry may
    /// succeed.
    pub(super) fn is_conflict(&self) -> bool {
        let is_of_server = self.code().is_some_and(|code| {
            [
                &SqlState::UNIQUE_VIOLATION,
                &SqlState::T_R_SERIALIZATION_FAILURE,
                &SqlState::T_R_DEADLOCK_DETECTED,
            ]
            .contains(&code)
        });
        is_of_server || matches!(self, Self::RuleReplaced)
    }

    /// Returns whether the server said that the statement failed. What it says as it ends the session, or what
    /// ends the connection, leaves open what became of a commit.
    pub(super) fn is_decided(&self) -> bool {
        match self {
            Self::Database(error) => error
                .as_db_error()
                .is_some_and(|said| said.parsed_severity() == Some(Severity::Error)),
            Self::Store(_) | Self::RuleReplaced => true,
        }
    }

    /// The server's code of the error.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Database(error) => error.code(),
            Self::Store(_) | Self::RuleReplaced => None,
        }
    }

    /// The constraint that was violated.
    pub(super) fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(error) => error.as_db_error()?.constraint(),
            Self::Store(_) | Self::RuleReplaced => None,
        }
    }
}

impl From<tokio_postgres::Error> for OperationError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Takes over the server's message only: its details quote rows.
impl From<OperationError> for StoreError {
    fn from(fault: OperationError) -> Self {
        let error = match fault {
            OperationError::Store(error) => return error,
            OperationError::RuleReplaced => {
                return Self::Unavailable("the configuration was changed too often meanwhile".to_owned());
            }
            OperationError::Database(error) => error,
        };
        let Some(said) = error.as_db_error() else {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            return Self::Unavailable(text);
        };
        let text = format!("the database says: {} ({})", said.message(), said.code().code());
        let is_damage = [
            &SqlState::DATA_CORRUPTED,
            &SqlState::INDEX_CORRUPTED,
            &SqlState::UNDEFINED_TABLE,
            &SqlState::UNDEFINED_COLUMN,
        ];
        if is_damage.contains(&said.code()) {
            Self::Corrupt(text)
        } else {
            Self::Unavailable(text)
        }
    }
}
