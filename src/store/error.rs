//! Errors of the store.

use super::PreconditionError;

/// What is said of an act where the store is another process's.
const NOT_KEPT: &str = "it is not kept here: do it at the gateway that uses the store now";

/// The operation could not be decided. Never an outcome: the caller must fail closed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is not available now: a full queue, a full disk, a server out of reach.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The change may have been made or not: the store did not answer its commit. Memory must allow no more than
    /// either leaves, until the store was read again.
    #[error("the store is unavailable: {0}")]
    OutcomeUnknown(String),
    /// Stored data cannot be read.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A directory or database that this program must not use: foreign, of a newer version, or accessible to
    /// others.
    #[error("{0}")]
    Refused(String),
    /// Another process has used it since this one read it: this one may not use it any more.
    #[error("the store is unavailable: {0}")]
    Superseded(String),
    /// The right to make the change was lost after it was requested; nothing was changed.
    #[error(transparent)]
    Precondition(#[from] PreconditionError),
    /// A cursor that no page of this query has given.
    #[error("`after` or `before` names no place in the list")]
    UnknownCursor,
}

impl StoreError {
    /// Adds a note on what became of the operation.
    #[must_use]
    pub(crate) fn with_note(self, note: &str) -> Self {
        match self {
            Self::Superseded(why) => Self::Superseded(format!("{why}; {NOT_KEPT}")),
            Self::Unavailable(why) => Self::Unavailable(format!("{why}; {note}")),
            Self::OutcomeUnknown(why) => Self::OutcomeUnknown(format!("{why}; {note}")),
            Self::Corrupt(why) => Self::Corrupt(format!("{why}; {note}")),
            Self::Refused(_) | Self::Precondition(_) | Self::UnknownCursor => self,
        }
    }

    /// Why, without saying that it is the store's.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Unavailable(why)
            | Self::OutcomeUnknown(why)
            | Self::Corrupt(why)
            | Self::Refused(why)
            | Self::Superseded(why) => why.clone(),
            Self::Precondition(error) => error.to_string(),
            Self::UnknownCursor => self.to_string(),
        }
    }

    /// Returns whether the operation was decided and refused, so that a retry is of no use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Precondition(_) | Self::UnknownCursor)
    }

    /// Returns whether the change may have been made all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_))
    }

    /// Whether the store may be told later of what it could not keep now.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::OutcomeUnknown(_) | Self::Corrupt(_) | Self::Refused(_)
        )
    }
}
