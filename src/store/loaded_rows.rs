//! The result of loading all rows of a kind at start.

use super::StoreError;
use crate::ids::AccountId;

/// All rows of a kind; an unreadable row does not fail the others (S49).
#[derive(Clone, Debug)]
pub struct LoadedRows<T> {
    /// The rows that could be read.
    pub sound: Vec<T>,
    /// The rows that could not.
    pub unreadable: Vec<UnreadableRow>,
}

/// A row that cannot be read.
#[derive(Clone, Debug)]
pub struct UnreadableRow {
    /// The account that it belongs to, if an index or a column tells.
    pub account: Option<AccountId>,
    /// The row and what is wrong with it.
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

    /// Returns all rows; fails if one of them is unreadable.
    pub fn require_sound(self) -> Result<Vec<T>, StoreError> {
        match self.unreadable.into_iter().next() {
            Some(row) => Err(row.error),
            None => Ok(self.sound),
        }
    }
}
