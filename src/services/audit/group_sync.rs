//! Group commit of `fsync`: one call serves all waiting writers.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Syncs writes in groups. Writers that come during a sync wait for the next one, which serves all of them.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    written: AtomicU64,
    done: Mutex<SyncState>,
}

/// The last write of the last successful and of the last failed sync.
#[derive(Debug, Default)]
struct SyncState {
    synced: u64,
    failed: u64,
}

impl GroupSync {
    /// Counts a write and returns its number for [`Self::wait`].
    pub(super) fn wrote(&self) -> u64 {
        self.written.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Waits until the write of this number is synced. A failed sync fails all writes that it covered: the
    /// system may report a write error only once.
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

    /// Runs one write and `count` concurrent ones; returns their results and the number of syncs.
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
        // By then all have written, and the first sync is running.
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
