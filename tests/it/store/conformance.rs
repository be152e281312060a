//! What every store must do, whatever it is made of.
//!
//! The tests are functions over a [`Harness`]; [`conformance`] makes them tests of one store.

pub(crate) mod access_keys;
pub(crate) mod accounts;
pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod inspection;
pub(crate) mod invitations;
pub(crate) mod mails;
pub(crate) mod portable;
pub(crate) mod races;
pub(crate) mod sessions;
pub(crate) mod signatures;
pub(crate) mod tokens;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Barrier;
use vestibule::clock::ManualClock;
use vestibule::random::Random;
use vestibule::store::{Import, Store};

/// How a store is opened that was filled; the machine's clock then says this.
pub(crate) type Open<H> = Box<dyn FnOnce(Timestamp) -> H>;

/// One store for one test, empty at first.
pub(crate) trait Harness: Sized {
    /// An empty store; it is noon.
    fn new() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// Moves the store's clock.
    fn hand(&self) -> &ManualClock;

    /// What is kept, as the program finds it at a start when the machine's clock says `wall`.
    fn restart(self, wall: Timestamp) -> Self;

    /// A new store that is being filled, and how it is opened when it is full.
    fn fill() -> (Box<dyn Import>, Open<Self>);

    /// Chance that repeats.
    fn random(&self) -> &Random;
}

/// Makes one test of each function, for the store of the harness.
macro_rules! conformance {
    ($harness:ident: $($area:ident { $($test:ident)* })*) => {
        $(mod $area {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::super::conformance::$area::$test::<super::$harness>().await;
            })*
        })*
    };
}
pub(crate) use conformance;

/// What `count` calls of `call` give that are let go at one moment, each on a task of its own.
async fn together<T, F>(count: usize, call: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|n| {
            let (start, call) = (start.clone(), call(n));
            tokio::spawn(async move {
                start.wait().await;
                call.await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

/// Fails with what `verify` finds.
async fn assert_sound(store: &Arc<dyn Store>) {
    assert_eq!(store.verify().await.unwrap().faults, Vec::<String>::new());
}
