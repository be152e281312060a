//! The PostgreSQL store in the conformance tests, on a real server.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use vestibule::clock::{Clock, ManualClock};
use vestibule::model::{Account, AccountStatus, Administrators, LockoutSubject};
use vestibule::random::Random;
use vestibule::store::postgres::PostgresStore;
use vestibule::store::{
    AttemptOutcome, EditAccount, Import, LastDecision, Precondition, PreconditionError, Store, StoreError,
};

use super::conformance::{Harness, OpenStore, conformance};
use super::samples::{ADMINS, POLICY, account, member_of, noon};
use crate::harness::Cluster;

/// A store in a database of its own.
pub(crate) struct Postgres {
    // Dropped before its server.
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
        self.store.with_administrators(Administrators::new(ADMINS, false))
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

/// Harnesses are synchronous.
fn wait<F: Future>(future: F) -> F::Output {
    block_in_place(|| Handle::current().block_on(future))
}

conformance! { Postgres }

/// A write at a row's lock would take time that tells a known account from an unknown name.
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

/// A transaction may wait for a row for seconds, and a reload may replace the rule of who administers meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn s76_what_waits_within_a_transaction_is_judged_by_the_rule_at_its_end() {
    let harness = Postgres::new();
    let random = harness.random();
    let administrators = Administrators::new(ADMINS, false);
    let store = harness.store.with_administrators(administrators.clone());
    let (boss, other) = (
        member_of(ADMINS, "boss", random),
        member_of("others", "other", random),
    );
    let deputy = member_of(ADMINS, "deputy", random);
    for account in [&boss, &deputy, &other] {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
    let disable = |rule: &Administrators| {
        let rule = rule.clone();
        let edit = move |account: &mut Account| {
            rule.replace("others", false);
            account.status = AccountStatus::Disabled;
            Some(Vec::new())
        };
        Arc::new(edit)
    };
    // The last member of what is the administrators' group by now.
    let edited = store.edit_account(other.id, disable(&administrators)).await;
    assert_eq!(edited.unwrap(), EditAccount::LastMember);

    // Whoever administers no more.
    administrators.replace(ADMINS, false);
    let by = store.with_precondition(Precondition {
        account: boss.id,
        session: None,
        password_changed_at: None,
        password_counts_for: None,
        administrators: Some(administrators.clone()),
        last_decision: LastDecision::Any,
    });
    let edited = by.edit_account(deputy.id, disable(&administrators)).await;
    let refused = StoreError::Precondition(PreconditionError::NotMember);
    assert_eq!(edited.unwrap_err().to_string(), refused.to_string());
    let stored = store.account(deputy.id).await.unwrap().unwrap();
    assert_eq!(stored.status, AccountStatus::Active);
}
