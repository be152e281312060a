//! A test environment: services over a real store, with a manual clock.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::hasher::PausedPool;
use super::{
    AccountChange, Actor, Hasher, InitialPassword, NewAccount, NewPassword, Origin, Services, SignInError,
    SignUpForm, SignedIn,
};
use crate::clock::{Clock, ManualClock};
use crate::config::{AuditMode, Config, SecretSource};
use crate::model::{Account, AccountStatus, AuditEvent};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::sled::SledStore;
use crate::store::{AuditFilter, AuditOrder, Store};

pub(super) const EMAIL: &str = "ann@example.com";
pub(super) const PASSWORD: &str = "Tr0ub4dor&3";

/// At this cost a hash takes a millisecond.
const COST: u32 = 4;

const THREADS: usize = 2;

pub(super) struct TestEnv {
    pub(super) services: Services,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) hand: ManualClock,
    pub(super) config: Config,
    folder: tempfile::TempDir,
}

impl TestEnv {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Creates an environment with a changed configuration.
    pub(super) async fn with(say: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.audit.file = folder.path().join("audit.jsonl");
        config.store.master_key = SecretSource::File {
            file: folder.path().join("master.key"),
        };
        let outbox = format!("file:{}", folder.path().join("outbox").display());
        config.mail.url = SecretSource::Text(Secret::new(outbox));
        say(&mut config);
        Self::open(folder, config, "2026-01-01T00:00:00Z".parse().unwrap()).await
    }

    async fn open(folder: tempfile::TempDir, config: Config, wall: Timestamp) -> Self {
        let (clock, hand) = Clock::manual(wall);
        let store = Arc::new(SledStore::open(&folder.path().join("store"), clock.clone()).unwrap());
        let store: Arc<dyn Store> = store;
        let services = services(&config, &store, &clock, COST).await;
        Self {
            services,
            store,
            clock,
            hand,
            config,
            folder,
        }
    }

    /// Creates an environment with the account `EMAIL`, password `PASSWORD`.
    pub(super) async fn with_ann(say: impl FnOnce(&mut Config)) -> Self {
        let world = Self::with(say).await;
        world.add(EMAIL, &[]).await;
        world
    }

    /// Services restarted over the store, with another hashing cost.
    pub(super) async fn restarted(&self, cost: u32) -> Services {
        services(&self.config, &self.store, &self.clock, cost).await
    }

    /// Reopens the store as a gateway that starts when the wall clock says `wall`.
    pub(super) async fn reopened(self, wall: Timestamp) -> Self {
        let Self {
            services,
            store,
            config,
            folder,
            ..
        } = self;
        services.audit.stop().await;
        drop(services);
        assert_eq!(Arc::strong_count(&store), 1, "nobody else holds the store");
        drop(store);
        Self::open(folder, config, wall).await
    }

    pub(super) async fn add(&self, email: &str, groups: &[&str]) -> Account {
        let new = NewAccount {
            email: email.parse().unwrap(),
            username: None,
            name: None,
            groups: group_set(groups),
            password: InitialPassword::Set(NewPassword::Plain(Secret::new(PASSWORD.to_owned()))),
        };
        self.services
            .accounts
            .add(new, &tester(), &Origin::default())
            .await
            .unwrap()
    }

    pub(super) async fn account(&self, email: &str) -> Account {
        let found = self.store.account_by_email(&email.parse().unwrap()).await;
        found.unwrap().unwrap()
    }

    pub(super) async fn change(&self, change: AccountChange) -> Account {
        let accounts = &self.services.accounts;
        accounts
            .change(EMAIL, change, &tester(), &Origin::default())
            .await
            .unwrap()
    }

    /// Sets the status directly, and refreshes the account's access keys.
    pub(super) async fn set_status(&self, status: AccountStatus) {
        let account = self.account(EMAIL).await;
        let changed = Account {
            status,
            ..account.clone()
        };
        self.store.update_account(&account, changed).await.unwrap();
        self.services.access_keys.refresh(account.id).await;
    }

    pub(super) async fn sign_in(&self, login: &str, password: &str) -> Result<SignedIn, SignInError> {
        sign_in(&self.services, login, password).await
    }

    /// Fails to sign in `times` times.
    pub(super) async fn fail(&self, login: &str, times: usize) {
        for n in 0..times {
            let result = self.sign_in(login, "wrong").await;
            assert!(
                matches!(result, Err(SignInError::InvalidCredentials)),
                "{n}: {result:?}"
            );
        }
    }

    pub(super) fn hashes(&self) -> u64 {
        self.services.hasher.hashes()
    }

    /// Stops hashing until the returned value is dropped.
    pub(super) fn hold_hashing(&self) -> PausedPool {
        self.services.hasher.hold(THREADS)
    }

    /// The mails in the file transport's folder, oldest first.
    pub(super) fn outbox(&self) -> Vec<PathBuf> {
        let Ok(folder) = std::fs::read_dir(self.folder.path().join("outbox")) else {
            return Vec::new();
        };
        let mut mails: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        mails.sort();
        mails
    }

    /// The audit events, newest first.
    pub(super) async fn events(&self) -> Vec<AuditEvent> {
        let filter = AuditFilter::default();
        let read = self
            .services
            .audit
            .read(filter, AuditOrder::NewestFirst, None, 100);
        let page = read.await.unwrap();
        page.events.into_iter().map(|(_, event)| event).collect()
    }

    pub(super) fn audit_file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }
}

async fn services(config: &Config, store: &Arc<dyn Store>, clock: &Clock, cost: u32) -> Services {
    let hasher = Arc::new(Hasher::new(cost, THREADS, 64, Arc::default()).unwrap());
    let random = Random::system();
    Services::with_hasher(
        config,
        store.clone(),
        hasher,
        clock.clone(),
        random,
        Arc::default(),
    )
    .await
    .unwrap()
}

pub(super) async fn sign_in(
    services: &Services,
    login: &str,
    password: &str,
) -> Result<SignedIn, SignInError> {
    let password = Secret::new(password.to_owned());
    services
        .sign_in
        .with_password(login, &password, false, &client(), None)
        .await
}

pub(super) fn tester() -> Actor {
    Actor::operator("test")
}

pub(super) fn client() -> Origin {
    Origin {
        address: Some([192, 0, 2, 1].into()),
        request: None,
        user_agent: "test".to_owned(),
        language: None,
    }
}

pub(super) fn group_set(groups: &[&str]) -> BTreeSet<String> {
    groups.iter().map(|group| (*group).to_owned()).collect()
}

pub(super) fn form(email: &str, username: &str, password: &str) -> SignUpForm {
    SignUpForm {
        email: email.to_owned(),
        username: username.to_owned(),
        password: Secret::new(password.to_owned()),
        password_confirm: Secret::new(password.to_owned()),
        invitation: None,
        agree: false,
    }
}

/// Requires the audit log, and makes its file unwritable.
pub(super) fn unwritable_audit_log(config: &mut Config) {
    config.audit.file = PathBuf::from("/dev/full");
    config.audit.mode = AuditMode::Required;
}
