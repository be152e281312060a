//! The store, as services hold it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::store::Store;

/// A shared store that can be a field of what is printed.
#[derive(Clone)]
pub(super) struct Kept(Arc<dyn Store>);

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
