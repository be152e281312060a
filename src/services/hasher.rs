//! bcrypt on a bounded pool.
//!
//! A hash takes a core for a quarter of a second. On threads of their own, fewer than there are cores, hashes never
//! hold up requests; in a queue with an end they never pile up.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use tokio::sync::oneshot;

use super::password_hash::PasswordHash;
use crate::metrics::Metrics;
use crate::model::Password;
use crate::random::Random;

/// The hashing queue is full: nothing was counted, try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// The pool.
#[derive(Debug)]
pub struct Hasher {
    pool: Arc<HashPool>,
}

/// A place in the queue, taken before an attempt is recorded; free again when its hash is done, or on drop.
#[derive(Debug)]
pub struct HashPermit {
    pool: Arc<HashPool>,
    is_running: bool,
}

/// What a comparison said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCheck {
    /// The password is the one that was hashed.
    pub matches: bool,
    /// The hash has a lower cost, or another form, than new ones get.
    pub outdated: bool,
}

impl PasswordCheck {
    const NO: Self = Self {
        matches: false,
        outdated: false,
    };
}

type HashJob = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
struct HashPool {
    cost: u32,
    free: AtomicUsize,
    metrics: Arc<Metrics>,
    jobs: mpsc::Sender<HashJob>,
}

impl Hasher {
    /// A pool of `threads` threads and a queue of `queue` places that hashes at `cost`, 4 to 31.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn new(cost: u32, threads: usize, queue: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (jobs, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.max(1) {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name(format!("hasher-{number}"))
                .spawn(move || work(&receiver))?;
        }
        Ok(Self {
            pool: Arc::new(HashPool {
                cost: cost.clamp(4, 31),
                free: AtomicUsize::new(queue),
                metrics,
                jobs,
            }),
        })
    }

    /// A place in the queue.
    pub fn place(&self) -> Result<HashPermit, Busy> {
        self.pool
            .free
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1))
            .map_err(|_| {
                self.pool.metrics.hashes_refused.increment();
                Busy
            })?;
        self.pool.metrics.hashes_waiting.increment();
        Ok(HashPermit {
            pool: Arc::clone(&self.pool),
            is_running: false,
        })
    }

    /// How many hashes were computed since the start.
    pub fn hashes(&self) -> u64 {
        self.pool.metrics.hashes.value()
    }
}

/// Ends when the pool is dropped. Jobs do not panic.
fn work(jobs: &Mutex<mpsc::Receiver<HashJob>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job();
    }
}

impl HashPermit {
    /// The hash of a new password, in the contract's stored form.
    ///
    /// # Errors
    /// [`Busy`] if the pool lost the job.
    pub async fn hash(self, password: Password) -> Result<String, Busy> {
        self.run(move |pool| pool.hash(&password))
            .await
            .flatten()
            .ok_or(Busy)
    }

    /// Compares; without a hash against a dummy of the same cost, which never matches.
    pub async fn verify(self, password: Password, hash: Option<String>) -> PasswordCheck {
        self.run(move |pool| pool.verify(&password, hash.as_deref()))
            .await
            .unwrap_or(PasswordCheck::NO)
    }

    /// Costs what a comparison costs, for a password that cannot be one.
    pub async fn spend(self) {
        self.run(HashPool::spend).await;
    }

    async fn run<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&HashPool) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.pool.jobs.clone();
        let job = Box::new(move || {
            // Whoever asked may have gone while the job was waiting.
            if reply.is_closed() {
                return;
            }
            self.begin();
            let result = catch_unwind(AssertUnwindSafe(|| work(&self.pool)));
            // The place is free before the answer is there.
            drop(self);
            if let Ok(result) = result {
                reply.send(result).ok();
            } else {
                tracing::error!("a password could not be hashed: the hash panicked");
            }
        });
        jobs.send(job).ok()?;
        answer.await.ok()
    }

    fn begin(&mut self) {
        self.is_running = true;
        self.pool.metrics.hashes_waiting.decrement();
        self.pool.metrics.hashes_running.increment();
    }
}

impl Drop for HashPermit {
    fn drop(&mut self) {
        let metrics = &self.pool.metrics;
        let counted = if self.is_running {
            &metrics.hashes_running
        } else {
            &metrics.hashes_waiting
        };
        counted.decrement();
        self.pool.free.fetch_add(1, Ordering::AcqRel);
    }
}

impl HashPool {
    fn hash(&self, password: &Password) -> Option<String> {
        self.metrics.hashes.increment();
        PasswordHash::compute(password, self.cost, Random::system().bytes())
            .inspect_err(|error| tracing::error!(%error, "a password could not be hashed"))
            .ok()
    }

    fn spend(&self) {
        self.metrics.hashes.increment();
        if let Err(error) = bcrypt::hash_with_salt("", self.cost, [0; 16]) {
            tracing::error!(%error, "a dummy password could not be hashed");
        }
    }

    fn verify(&self, password: &Password, stored: Option<&str>) -> PasswordCheck {
        let parsed = stored.map(PasswordHash::parse);
        if matches!(parsed, Some(None)) {
            tracing::error!(
                "an account's password hash is corrupt, or has a cost above 16; it cannot sign in until its password is set anew"
            );
        }
        let Some(hash) = parsed.flatten() else {
            self.spend();
            return PasswordCheck::NO;
        };
        self.metrics.hashes.increment();
        match hash.matches(password) {
            Ok(matches) => PasswordCheck {
                matches,
                outdated: hash.is_outdated(self.cost),
            },
            Err(error) => {
                tracing::error!(%error, "a password could not be compared");
                PasswordCheck::NO
            }
        }
    }
}

/// Keeps the threads of a pool busy until it is dropped, so that a test decides when hashes go on.
#[cfg(test)]
pub(super) struct PausedPool(Vec<(mpsc::Sender<()>, HeldJob)>);

#[cfg(test)]
type HeldJob = futures_util::future::LocalBoxFuture<'static, Option<()>>;

#[cfg(test)]
impl Drop for PausedPool {
    fn drop(&mut self) {
        for (release, _) in &self.0 {
            release.send(()).unwrap();
        }
    }
}

#[cfg(test)]
impl Hasher {
    /// Places that are free.
    pub(super) fn free(&self) -> usize {
        self.pool.free.load(Ordering::Acquire)
    }

    pub(super) fn hold(&self, threads: usize) -> PausedPool {
        let job = |_| {
            let (release, released) = mpsc::channel();
            let mut job = Box::pin(self.place().unwrap().run(move |_| released.recv().unwrap()));
            assert!(futures_util::FutureExt::now_or_never(&mut job).is_none());
            (release, job as _)
        };
        PausedPool((0..threads).map(job).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn password(text: &str) -> Password {
        Password::parse(&Secret::new(text.to_owned())).unwrap()
    }

    #[tokio::test]
    async fn every_comparison_costs_one_hash() {
        let hasher = Hasher::new(4, 1, 8, Arc::default()).unwrap();
        let stored = hasher.place().unwrap().hash(password("right")).await.unwrap();
        let long = "a".repeat(100);
        for (n, (typed, stored, matches)) in [
            ("right", Some(stored.as_str()), true),
            ("wrong", Some(stored.as_str()), false),
            ("right", None, false),
            ("right", Some("corrupt"), false),
            (
                "right",
                Some("$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
                false,
            ),
            (&long, Some(stored.as_str()), false),
        ]
        .into_iter()
        .enumerate()
        {
            let place = hasher.place().unwrap();
            let verdict = place.verify(password(typed), stored.map(str::to_owned)).await;
            assert_eq!(verdict.matches, matches, "{typed} {stored:?}");
            assert_eq!(hasher.hashes(), n as u64 + 2);
        }
    }

    #[tokio::test]
    async fn older_hashes_are_outdated() {
        let old = Hasher::new(4, 1, 1, Arc::default())
            .unwrap()
            .place()
            .unwrap()
            .hash(password("x"))
            .await
            .unwrap();
        let hasher = Hasher::new(5, 1, 1, Arc::default()).unwrap();
        let verdict = hasher.place().unwrap().verify(password("x"), Some(old)).await;
        assert_eq!(
            verdict,
            PasswordCheck {
                matches: true,
                outdated: true
            }
        );
    }

    #[tokio::test]
    async fn places_run_out_and_come_back() {
        let hasher = Hasher::new(4, 1, 2, Arc::default()).unwrap();
        let (one, _two) = (hasher.place().unwrap(), hasher.place().unwrap());
        assert_eq!(hasher.place().unwrap_err(), Busy);
        one.verify(password("x"), None).await;
        let one = hasher.place().unwrap();
        assert_eq!(hasher.place().unwrap_err(), Busy);
        drop(one);
        assert!(hasher.place().is_ok());
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_thread() {
        let hasher = Hasher::new(4, 1, 1, Arc::default()).unwrap();
        let lost: Option<()> = hasher.place().unwrap().run(|_| panic!("on purpose")).await;
        assert!(lost.is_none());
        assert!(hasher.place().unwrap().hash(password("x")).await.is_ok());
    }
}
