//! The embedded store: sled 0.34 in a directory, one tree, opened by one process.
//!
//! One thread, the `committer`, makes all changes and acknowledges them once they are durable. Short reads
//! run on the caller's thread between two commits, which takes microseconds: they see all that was
//! acknowledged, perhaps changes that are not yet, and several rows as of one moment. Scans run on a blocking
//! thread, a piece at a time.

mod access_keys;
mod account_pages;
mod accounts;
mod admin_queries;
mod attempts;
mod audit;
mod committer;
mod data_dir;
mod engine;
mod engine_log;
mod engine_settings;
mod export;
mod high_water_mark;
mod import;
mod invitations;
mod lost_changes;
mod mails;
mod merged_index;
mod meta;
mod purge;
mod record;
mod reserved_space;
mod rows;
mod salvage;
mod schema;
mod sessions;
mod signatures;
mod snapshot;
mod tokens;
mod unreadable_snapshot;
mod usernames;
mod verify;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Precondition, Store, StoreError, Verification};
use crate::clock::Clock;
use crate::model::{Account, Administrators, Session, WrappedDataKey};
use crate::random::Random;

use attempts::Attempts;
use audit::AuditLog;
use committer::Committer;
use data_dir::DataDir;
use engine::Engine;
use lost_changes::LostChanges;
use record::Run;
use reserved_space::ReservedSpace;
use rows::{Rows, WriteBatch};
use signatures::Signatures;

/// A handle on a store in a local directory, which no other process has open.
#[derive(Debug)]
pub struct SledStore {
    open: Arc<OpenStore>,
    /// Checked inside each changing operation of this handle.
    precondition: Option<Arc<Precondition>>,
    /// The last of them stays.
    administrators: Administrators,
}

/// What all handles on one store share.
#[derive(Debug)]
struct OpenStore {
    committer: Committer,
    engine: Arc<Engine>,
    attempts: Attempts,
    signatures: Signatures,
    audit: AuditLog,
    /// Last, so that the directory's lock is released after the engine is closed.
    data_dir: DataDir,
}

impl SledStore {
    /// Returns whether the directory `path` has a store or remains of one.
    pub fn is_made(path: &Path) -> Result<bool, StoreError> {
        data_dir::is_made(path).map_err(data_dir::at(path))
    }

    /// Fails if [`open`](Self::open) would refuse the directory, as far as that can be told without writing.
    pub fn check(path: &Path) -> Result<(), StoreError> {
        data_dir::check(path).map_err(data_dir::at(path))?
    }

    /// Returns the fingerprint of the master key that wraps the data key of the store in `path`, as last
    /// recorded in a file beside it. Does not open the store.
    pub fn sealing_master_key(path: &Path) -> Option<String> {
        data_dir::recorded_master_key(path)
    }

    /// Opens the store in the directory `path`, creating it if there is none. Blocks until the log is read.
    ///
    /// Sets the process's umask to 077, permanently (S54).
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the directory is open in another process, is not a store of this version,
    /// or is accessible to others than its owner; the text says what to do. [`StoreError::Corrupt`] if its
    /// content cannot be read, [`StoreError::Unavailable`] if the operating system fails.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        let mut data_dir = DataDir::lock(path)?;
        if !data_dir.is_new() && !data_dir.has_database() {
            return Err(StoreError::Corrupt(format!(
                "{}: it is missing",
                path.join("db").display()
            )));
        }
        let mut reserved_space = ReservedSpace::find(path);
        reserved_space.lay()?;
        let engine = Arc::new(Engine::new(path));
        if let Err(error) = engine.open() {
            if !reserved_space.throw_out_if_full()? {
                return Err(error);
            }
            engine.open()?;
        }
        let meta = meta::load(&engine, &data_dir)?;
        data_dir.upgrade_marker()?;
        admin_queries::build(&engine)?;
        data_dir.commit()?;
        if let Some(lost) = LostChanges::noticed(path) {
            tracing::error!("{lost}");
        }
        // An error here is reported when the data key is needed.
        if let Ok(Some(wrapped)) = engine.with(|tree| tree.read::<WrappedDataKey>(&schema::data_key())) {
            data_dir.record_master_key(&wrapped.master);
        }
        let run = Run(u64::from_be_bytes(Random::system().bytes()));
        Ok(Self {
            open: Arc::new(OpenStore {
                committer: Committer::start(engine.clone(), reserved_space, clock.clone())?,
                signatures: Signatures::open(&engine)?,
                audit: AuditLog::open(&engine)?,
                engine,
                attempts: Attempts::new(clock, run, meta.slot_key),
                data_dir,
            }),
            precondition: None,
            administrators: Administrators::none(),
        })
    }

    /// Writes all that is queued and releases the directory, so that it can be opened again. Blocks; dropping
    /// the last handle does too.
    pub fn close(self) {
        drop(self);
    }

    fn handle(&self, precondition: Option<Arc<Precondition>>, administrators: Administrators) -> Self {
        Self {
            open: self.open.clone(),
            precondition,
            administrators,
        }
    }

    /// Runs a changing operation on the committer, after checking this handle's precondition within it.
    async fn change<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut WriteBatch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let precondition = self.precondition.clone();
        self.open
            .committer
            .run(move |group| {
                if let Some(precondition) = precondition {
                    let account: Option<Account> = group.read(&schema::account(precondition.account))?;
                    let session: Option<Session> = match &precondition.session {
                        Some(session) => group.read(&schema::session(session))?,
                        None => None,
                    };
                    precondition.check(account.as_ref(), session.as_ref())?;
                }
                operation(group)
            })
            .await
    }

    /// Runs a scan on a blocking thread.
    async fn read_all<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let engine = self.open.engine.clone();
        tokio::task::spawn_blocking(move || read(&engine))
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("a read did not finish".to_owned())))
    }
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        self.committer.stop();
        self.engine.close();
    }
}

#[async_trait]
impl Store for SledStore {
    fn with_precondition(&self, precondition: Precondition) -> Arc<dyn Store> {
        Arc::new(self.handle(Some(Arc::new(precondition)), self.administrators.clone()))
    }

    fn with_administrators(&self, administrators: Administrators) -> Arc<dyn Store> {
        Arc::new(self.handle(self.precondition.clone(), administrators))
    }

    async fn forget_future(&self, now: Timestamp) -> Result<(), StoreError> {
        self.purge_future(now).await
    }

    async fn sweep(&self, now: Timestamp, sessions_before: Timestamp) -> Result<(), StoreError> {
        let upkeep = self.handle(None, self.administrators.clone());
        upkeep.purge(now, sessions_before).await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.read_all(verify::run).await
    }

    fn lost_changes(&self) -> Option<String> {
        LostChanges::noticed(self.open.engine.folder()).map(|lost| lost.to_string())
    }
}
