//! A change of an account whose outcome memory does not know yet.

use super::{AccessKeys, Sessions};
use crate::model::Account;
use crate::store::StoreError;

/// An action for the case that the operation it belongs to is given up before it knows its outcome.
pub(super) struct OnAbandoned<F: FnMut()>(Option<F>);

impl<F: FnMut()> OnAbandoned<F> {
    pub(super) fn new(action: F) -> Self {
        Self(Some(action))
    }

    /// The outcome is known: nothing is to be done when this is dropped.
    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnMut()> Drop for OnAbandoned<F> {
    fn drop(&mut self) {
        if let Some(action) = &mut self.0 {
            action();
        }
    }
}

/// A change of an account between the begin of its transaction and the moment when memory has what became of it.
///
/// If that moment does not come, since the store did not answer the commit or the caller went away, dropping this
/// takes from memory what the change may have taken in the store, and has the account read again.
#[derive(Debug)]
pub(super) struct UnsettledChange<'a> {
    sessions: &'a Sessions,
    access_keys: &'a AccessKeys,
    /// As it will be if the change is made; `None` once that is settled.
    wanted: Option<Account>,
}

impl<'a> UnsettledChange<'a> {
    pub(super) fn begin(sessions: &'a Sessions, access_keys: &'a AccessKeys, wanted: Account) -> Self {
        Self {
            sessions,
            access_keys,
            wanted: Some(wanted),
        }
    }

    /// The change was not made, unless the error leaves that open.
    pub(super) fn fail(self, error: &StoreError) {
        if !error.is_outcome_unknown() {
            self.finish();
        }
    }

    /// Memory has what became of the change.
    pub(super) fn finish(mut self) {
        self.wanted = None;
    }
}

impl Drop for UnsettledChange<'_> {
    fn drop(&mut self) {
        if let Some(wanted) = &self.wanted {
            tracing::warn!(account = %wanted.id, "what became of a change of an account is not known: memory allows no more than it leaves, until the store was read");
            self.sessions.restrict(wanted);
            self.access_keys.restrict(wanted);
        }
    }
}
