//! Why the store could not answer.

use super::PreconditionError;

/// A question that the store could not answer. Never an outcome: whoever gets one fails closed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Not now: the queue is full, the disk is full, the machine is gone.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Something that is kept and cannot be read.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A directory that is not this program's, or a newer version's, or one that others can read.
    #[error("{0}")]
    Refused(String),
    /// The right to make the change was lost after it was asked for; nothing was changed.
    #[error(transparent)]
    Precondition(#[from] PreconditionError),
}

impl StoreError {
    /// The same, with what became of what was asked.
    #[must_use]
    pub(crate) fn with_note(self, note: &str) -> Self {
        match self {
            Self::Unavailable(why) => Self::Unavailable(format!("{why}; {note}")),
            Self::Corrupt(why) => Self::Corrupt(format!("{why}; {note}")),
            Self::Refused(_) | Self::Precondition(_) => self,
        }
    }

    /// Whether the change was judged and refused, so that asking again is of no use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Precondition(_))
    }
}
