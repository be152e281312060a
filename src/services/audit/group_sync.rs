//! One sync for all who wait for theirs.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Has what was written synced. Who comes while a sync goes on waits for the next one, which serves all of them.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    written: AtomicU64,
    done: Mutex<SyncState>,
}

/// Up to which write it is known what became of it.
#[derive(Debug, Default)]
struct SyncState {
    synced: u64,
    failed: u64,
}

impl GroupSync {
    /// Something was written: it is waited for by this number.
    pub(super) fn wrote(&self) -> u64 {
        self.written.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Returns when what has this number is synced. One failure is that of all whom the sync was for: what the system could
    /// not write then it may say no more of at the next one.
    pub(super) async fn wait<F: Future<Output = io::Result<()>>>(
        &self,
        number: u64,
        sync: impl FnOnce() -> F,
    ) -> io::Result<()> {
        let mut done = self.done.lock().await;
        if number <= done.failed {
            return Err(io::Error::other("it could not be synced"));
        }
        if number <= done.synced {
            return Ok(());
        }
        let until = self.written.load(Ordering::Acquire);
        let synced = sync().await;
        match synced {
            Ok(()) => done.synced = until,
            Err(_) => done.failed = until,
        }
        synced
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Semaphore;

    use super::*;

    /// What became of so many that wait at once, and of one before them.
    async fn waited(count: usize, fails: bool) -> (Vec<bool>, usize) {
        let (synced, syncs) = (Arc::<GroupSync>::default(), Arc::<AtomicUsize>::default());
        let go = Arc::new(Semaphore::new(0));
        let waiting: Vec<_> = (0..count)
            .map(|_| {
                let (synced, syncs, go) = (synced.clone(), syncs.clone(), go.clone());
                tokio::spawn(async move {
                    let sync = || async move {
                        syncs.fetch_add(1, Ordering::Relaxed);
                        go.acquire().await.unwrap().forget();
                        if fails {
                            Err(io::ErrorKind::StorageFull.into())
                        } else {
                            Ok(())
                        }
                    };
                    let number = synced.wrote();
                    synced.wait(number, sync).await.is_ok()
                })
            })
            .collect();
        // All have written by then, and the first sync goes on.
        tokio::task::yield_now().await;
        go.add_permits(count);
        let mut outcomes = Vec::new();
        for waiting in waiting {
            outcomes.push(waiting.await.unwrap());
        }
        (outcomes, syncs.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn s52_many_that_wait_are_served_by_two_syncs() {
        assert_eq!(waited(100, false).await, (vec![true; 100], 2));
    }

    #[tokio::test]
    async fn s52_a_sync_that_fails_fails_for_all_whom_it_was_for() {
        assert_eq!(waited(100, true).await, (vec![false; 100], 2));
    }
}
