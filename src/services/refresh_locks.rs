//! Locks under which an account is read anew and memory brought up to it.

use tokio::sync::{Mutex, MutexGuard};

use crate::ids::AccountId;

const SHARDS: usize = 64;

/// Serialises refreshes of an account, sharded by account: held from reading the account until memory has what was
/// read, so that a slow store delays few.
#[derive(Debug)]
pub(super) struct RefreshLocks(Box<[Mutex<()>]>);

impl RefreshLocks {
    pub(super) async fn lock(&self, id: AccountId) -> MutexGuard<'_, ()> {
        let [.., last] = id.as_bytes();
        self.0[usize::from(*last) % SHARDS].lock().await
    }
}

impl Default for RefreshLocks {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}
