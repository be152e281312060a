//! The store in PostgreSQL, as every store must be, on a real server.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use vestibule::clock::{Clock, ManualClock};
use vestibule::model::LockoutSubject;
use vestibule::random::Random;
use vestibule::store::postgres::PostgresStore;
use vestibule::store::{AttemptOutcome, Import, Store};

use super::conformance::{Harness, OpenStore, conformance};
use super::samples::{POLICY, account, noon};
use crate::harness::Cluster;

/// A store in a database of its own.
pub(crate) struct Postgres {
    // Before the server that it is on.
    store: Arc<PostgresStore>,
    hand: ManualClock,
    random: Random,
    database: String,
    cluster: Arc<Cluster>,
}

impl Postgres {
    fn open(cluster: Arc<Cluster>, database: String, wall: Timestamp, random: Random) -> Self {
        let (clock, hand) = Clock::manual(wall);
        let store = wait(PostgresStore::open(&cluster.server(&database), clock)).unwrap();
        Self {
            store: Arc::new(store),
            hand,
            random,
            database,
            cluster,
        }
    }
}

impl Harness for Postgres {
    fn new() -> Self {
        let cluster = Cluster::shared();
        let database = cluster.database();
        Self::open(cluster, database, noon(), Random::seeded(1))
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn hand(&self) -> &ManualClock {
        &self.hand
    }

    fn restart(self, wall: Timestamp) -> Self {
        let Self {
            store,
            random,
            database,
            cluster,
            ..
        } = self;
        drop(Arc::into_inner(store).unwrap());
        Self::open(cluster, database, wall, random)
    }

    fn fill() -> (Box<dyn Import>, OpenStore<Self>) {
        let cluster = Cluster::shared();
        let database = cluster.database();
        let (clock, _) = Clock::manual(noon());
        let import = wait(PostgresStore::begin_import(&cluster.server(&database), clock)).unwrap();
        (
            import,
            Box::new(|wall| Self::open(cluster, database, wall, Random::seeded(1))),
        )
    }

    fn random(&self) -> &Random {
        &self.random
    }
}

/// What harnesses do is not asynchronous.
fn wait<F: Future>(future: F) -> F::Output {
    block_in_place(|| Handle::current().block_on(future))
}

conformance! { Postgres }

/// A lock on a row is written, and by the time that takes a known account would be told from a name that is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn s13_an_attempt_at_a_locked_account_writes_nothing() {
    let harness = Postgres::new();
    let (store, random) = (harness.store(), harness.random());
    let ann = account("ann", random);
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let written = || {
        harness
            .cluster
            .sql(&harness.database, "SELECT xmin, xmax FROM account")
    };
    let attempt = async || {
        let subject = LockoutSubject::Account(ann.id);
        store.record_attempt(subject, POLICY).await.unwrap()
    };
    while matches!(attempt().await, AttemptOutcome::Counted(_)) {}
    let before = written();
    for _ in 0..3 {
        assert!(matches!(attempt().await, AttemptOutcome::Locked(_)));
        assert_eq!(written(), before);
    }
}
