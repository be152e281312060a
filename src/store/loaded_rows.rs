//! What is read of everything of a kind at start.

use super::StoreError;
use crate::ids::AccountId;

/// Every row of a kind: one that cannot be read stands in no other's way (S49).
#[derive(Clone, Debug)]
pub struct LoadedRows<T> {
    /// What could be read.
    pub sound: Vec<T>,
    /// What could not.
    pub unreadable: Vec<UnreadableRow>,
}

/// A row that cannot be read.
#[derive(Clone, Debug)]
pub struct UnreadableRow {
    /// The account that it belongs to, where something else says so.
    pub account: Option<AccountId>,
    /// Which row, and what is wrong with it.
    pub error: StoreError,
}

impl<T> Default for LoadedRows<T> {
    fn default() -> Self {
        Self {
            sound: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

impl<T> LoadedRows<T> {
    /// Which rows cannot be read, and why, for people.
    pub fn unreadable_names(&self) -> Vec<String> {
        self.unreadable.iter().map(|row| row.error.reason()).collect()
    }

    /// All of it, if all of it can be read.
    pub fn require_sound(self) -> Result<Vec<T>, StoreError> {
        match self.unreadable.into_iter().next() {
            Some(row) => Err(row.error),
            None => Ok(self.sound),
        }
    }
}
