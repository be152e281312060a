//! Password hashing (bcrypt) on a bounded thread pool.
//!
//! A hash takes a core for a quarter of a second. The pool has fewer threads than there are cores, so that
//! hashing does not delay requests, and a bounded queue.

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

/// The hashing queue is full. The attempt was not counted and may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// The thread pool and its queue.
#[derive(Debug)]
pub struct Hasher {
    pool: Arc<HashPool>,
}

/// A place in the queue, taken before an attempt is counted; released when its hash is done, or on drop.
#[derive(Debug)]
pub struct HashPermit {
    pool: Arc<HashPool>,
    is_running: bool,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCheck {
    /// The password matches the hash.
    pub matches: bool,
    /// The hash has a lower cost or another form than new ones.
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
    /// Creates a pool of `threads` threads and a queue of `queue` places; `cost` is that of bcrypt, 4 to 31.
    ///
    /// # Errors
    /// A thread could not be started.
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

    /// Takes a place in the queue.
    pub fn try_acquire(&self) -> Result<HashPermit, Busy> {
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

    /// Returns the number of hashes computed since the start.
    pub fn hashes(&self) -> u64 {
        self.pool.metrics.hashes.value()
    }
}

/// Runs jobs until the pool is dropped. Jobs do not panic.
fn work(jobs: &Mutex<mpsc::Receiver<HashJob>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job();
    }
}

impl HashPermit {
    /// Hashes a new password, in the form that is stored.
    ///
    /// # Errors
    /// [`Busy`] if the hash could not be computed.
    pub async fn hash(self, password: Password) -> Result<String, Busy> {
        self.run(move |pool| pool.hash(&password))
            .await
            .flatten()
            .ok_or(Busy)
    }

    /// Compares a password with `hash`; without one, with a dummy of equal cost, which never matches.
    pub async fn verify(self, password: Password, hash: Option<String>) -> PasswordCheck {
        self.run(move |pool| pool.verify(&password, hash.as_deref()))
            .await
            .unwrap_or(PasswordCheck::NO)
    }

    /// Takes as long as a comparison, for input that cannot be a password.
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
            // The caller may have gone while the job was waiting.
            if reply.is_closed() {
                return;
            }
            self.begin();
            let result = catch_unwind(AssertUnwindSafe(|| work(&self.pool)));
            // Releases the place before the result is sent.
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

/// Blocks the threads of a pool until it is dropped, so that a test decides when hashing continues.
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
    /// The number of free places.
    pub(super) fn free(&self) -> usize {
        self.pool.free.load(Ordering::Acquire)
    }

    pub(super) fn hold(&self, threads: usize) -> PausedPool {
        let job = |_| {
            let (release, released) = mpsc::channel();
            let mut job = Box::pin(self.try_acquire().unwrap().run(move |_| released.recv().unwrap()));
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
        let stored = hasher
            .try_acquire()
            .unwrap()
            .hash(password("right"))
            .await
            .unwrap();
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
            let place = hasher.try_acquire().unwrap();
            let verdict = place.verify(password(typed), stored.map(str::to_owned)).await;
            assert_eq!(verdict.matches, matches, "{typed} {stored:?}");
            assert_eq!(hasher.hashes(), n as u64 + 2);
        }
    }

    #[tokio::test]
    async fn older_hashes_are_outdated() {
        let old = Hasher::new(4, 1, 1, Arc::default())
            .unwrap()
            .try_acquire()
            .unwrap()
            .hash(password("x"))
            .await
            .unwrap();
        let hasher = Hasher::new(5, 1, 1, Arc::default()).unwrap();
        let verdict = hasher
            .try_acquire()
            .unwrap()
            .verify(password("x"), Some(old))
            .await;
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
        let (one, _two) = (hasher.try_acquire().unwrap(), hasher.try_acquire().unwrap());
        assert_eq!(hasher.try_acquire().unwrap_err(), Busy);
        one.verify(password("x"), None).await;
        let one = hasher.try_acquire().unwrap();
        assert_eq!(hasher.try_acquire().unwrap_err(), Busy);
        drop(one);
        assert!(hasher.try_acquire().is_ok());
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_thread() {
        let hasher = Hasher::new(4, 1, 1, Arc::default()).unwrap();
        let lost: Option<()> = hasher.try_acquire().unwrap().run(|_| panic!("on purpose")).await;
        assert!(lost.is_none());
        assert!(hasher.try_acquire().unwrap().hash(password("x")).await.is_ok());
    }
}
