//! The store, as services hold it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Actor;
use crate::store::Store;

/// A shared store that can be a field of what is printed.
#[derive(Clone)]
pub(super) struct Kept(Arc<dyn Store>);

impl Kept {
    /// The store, whose changing operations fail once what the actor acts by does not hold any more.
    pub(super) fn on_behalf_of(&self, actor: &Actor) -> Self {
        match actor.precondition() {
            Some(precondition) => Self(self.0.with_precondition(precondition.clone())),
            None => self.clone(),
        }
    }

    /// The store, for which nobody may sign in whose address is not verified, or whoever has none verified too.
    pub(super) fn with_verified_only(&self, verified_only: bool) -> Self {
        Self(self.0.with_verified_only(verified_only))
    }
}

impl From<Arc<dyn Store>> for Kept {
    fn from(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

impl Deref for Kept {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}
