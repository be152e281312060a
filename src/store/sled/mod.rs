//! The embedded store: sled 0.34, in a folder.
//!
//! One tree; all changes on one thread, the `committer`, acknowledged when they are on disk. Plain reads do not
//! queue there: they go to the tree between two groups, on the caller's thread, which takes microseconds. So a read
//! sees all that was acknowledged, and perhaps what is about to be; several rows are read as of one moment. Reads of
//! everything run on a thread for blocking work, a piece at a time.

mod access_keys;
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
mod key;
mod lost_changes;
mod mails;
mod meta;
mod record;
mod reserved_space;
mod rows;
mod salvage;
mod sessions;
mod signatures;
mod snapshot;
mod tokens;
mod unreadable_snapshot;
mod verify;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::rules::GuardedGroup;
use super::{
    AccountEdit, AttemptOutcome, ClaimMail, ConsumeToken, CreateAccount, DeleteAccount, EditAccount,
    LoadedRows, MailClaim, MailOutcome, Precondition, PutSession, SessionsToEnd, SpendSignature, Store,
    StoreError, TokenEffect, UpdateAccount, Verification,
};
use crate::clock::{self, Clock};
use crate::ids::{AccountId, InvitationId, MailId};
use crate::model::{
    Account, Email, Invitation, LockoutPolicy, LockoutSubject, Session, SignatureDigest, TokenDigest,
    Username,
};
use crate::model::{EmailToken, Mail, QueuedMail, WrappedDataKey};
use crate::random::Random;

use attempts::Attempts;
use audit::AuditLog;
use committer::Committer;
use data_dir::DataDir;
use engine::{Engine, PIECE};
use lost_changes::LostChanges;
use record::Run;
use reserved_space::ReservedSpace;
use rows::{Rows, WriteBatch};
use signatures::Signatures;

/// A store in a folder of this machine, open in this process alone.
#[derive(Debug)]
pub struct SledStore {
    open: Arc<OpenStore>,
    /// Compared within each operation that changes something through this handle.
    precondition: Option<Arc<Precondition>>,
    /// Whether nobody may sign in whose address is not verified.
    verified_only: bool,
}

/// What all handles on one store share.
#[derive(Debug)]
struct OpenStore {
    committer: Committer,
    engine: Arc<Engine>,
    attempts: Attempts,
    signatures: Signatures,
    audit: AuditLog,
    /// Last, so that the folder is given up when the engine is closed.
    data_dir: DataDir,
}

impl SledStore {
    /// Whether there is a store in the folder `path`, or what is left of one.
    pub fn is_made(path: &Path) -> Result<bool, StoreError> {
        data_dir::is_made(path).map_err(data_dir::at(path))
    }

    /// Refuses a folder in which [`open`](Self::open) would not make or open a store, as far as that shows without doing so.
    pub fn check(path: &Path) -> Result<(), StoreError> {
        data_dir::check(path).map_err(data_dir::at(path))?
    }

    /// The fingerprint of the master key that seals the data key of the store in the folder `path`, as the last process
    /// that had the store open told it. Opens nothing.
    pub fn sealing_master_key(path: &Path) -> Option<String> {
        data_dir::recorded_master_key(path)
    }

    /// Opens the store in the folder `path`, and makes it if there is none. Blocks until the log is read.
    ///
    /// Sets the process's file mode mask to 077, for good: see S54.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the folder is open in another process, is not a store of this version's, or can be
    /// read by others than its owner; the text says what to do. [`StoreError::Corrupt`] if what is in it cannot be
    /// read, [`StoreError::Unavailable`] if the machine does not let it be opened.
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
        admin_queries::build(&engine)?;
        data_dir.commit()?;
        if let Some(lost) = LostChanges::noticed(path) {
            tracing::error!("{lost}");
        }
        // Whatever is wrong with it is told when it is needed.
        if let Ok(Some(wrapped)) = engine.with(|tree| tree.read::<WrappedDataKey>(&key::data_key())) {
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
            verified_only: false,
        })
    }

    /// Writes all that is queued and gives up the folder, so that it can be opened again. Blocks until then; so does
    /// dropping the last handle.
    pub fn close(self) {
        drop(self);
    }

    fn guarded(&self, group: &str) -> GuardedGroup {
        GuardedGroup {
            group: group.to_owned(),
            verified_only: self.verified_only,
        }
    }

    /// Runs an operation that changes something, if the precondition of this handle holds then.
    async fn change<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut WriteBatch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let precondition = self.precondition.clone();
        self.open
            .committer
            .run(move |group| {
                if let Some(precondition) = precondition {
                    let account: Option<Account> = group.read(&key::account(precondition.account))?;
                    let session: Option<Session> = group.read(&key::session(&precondition.session))?;
                    precondition.check(account.as_ref(), session.as_ref())?;
                }
                operation(group)
            })
            .await
    }

    /// Reads everything of a kind on a thread for blocking work.
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
        Arc::new(Self {
            open: self.open.clone(),
            precondition: Some(Arc::new(precondition)),
            verified_only: self.verified_only,
        })
    }

    fn with_verified_only(&self, verified_only: bool) -> Arc<dyn Store> {
        Arc::new(Self {
            open: self.open.clone(),
            precondition: self.precondition.clone(),
            verified_only,
        })
    }

    async fn create_account_and_mail(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        let verified_only = self.verified_only;
        self.change(move |group| accounts::create(group, &account, invitation, verified_only, &mails, now))
            .await
    }

    async fn create_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError> {
        self.change(move |group| accounts::create_all(group, &accounts))
            .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.open.engine.with(|tree| tree.read(&key::account(id)))
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.open.engine.with(|tree| accounts::by_email(tree, email))
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError> {
        self.open
            .engine
            .with(|tree| accounts::by_username(tree, username))
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError> {
        let after = after.map(|id| key::account(id).into());
        self.read_all(move |engine| accounts::list(engine, after, limit))
            .await
    }

    async fn group_has_active_members(&self, group: &str) -> Result<bool, StoreError> {
        let guarded = self.guarded(group);
        self.open
            .engine
            .with(|tree| accounts::has_active_members(tree, &guarded, None))
    }

    async fn group_members(&self, group: &str) -> Result<Vec<Account>, StoreError> {
        self.open.engine.with(|tree| accounts::members(tree, group))
    }

    async fn update_account(
        &self,
        expected: &Account,
        changed: Account,
        guarded: &str,
    ) -> Result<UpdateAccount, StoreError> {
        let (expected, guarded) = (expected.clone(), self.guarded(guarded));
        let spared = Precondition::spared_session(self.precondition.as_deref(), expected.id);
        self.change(move |group| accounts::update(group, &expected, changed, &guarded, spared))
            .await
    }

    async fn edit_account(
        &self,
        id: AccountId,
        edit: AccountEdit,
        guarded: &str,
    ) -> Result<EditAccount, StoreError> {
        let guarded = self.guarded(guarded);
        let spared = Precondition::spared_session(self.precondition.as_deref(), id);
        self.change(move |group| accounts::edit(group, id, &edit, &guarded, spared))
            .await
    }

    async fn delete_account(&self, id: AccountId, guarded: &str) -> Result<DeleteAccount, StoreError> {
        let guarded = self.guarded(guarded);
        self.change(move |group| accounts::delete(group, id, &guarded))
            .await
    }

    async fn record_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, StoreError> {
        let attempts = self.open.attempts.clone();
        self.change(move |group| attempts.record(group, subject, policy))
            .await
    }

    async fn clear_attempts(&self, subject: LockoutSubject) -> Result<(), StoreError> {
        let attempts = self.open.attempts.clone();
        self.change(move |group| attempts.clear(group, subject)).await
    }

    async fn withdraw_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError> {
        let attempts = self.open.attempts.clone();
        self.change(move |group| attempts.withdraw(group, subject, policy))
            .await
    }

    async fn locked_for(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError> {
        self.open
            .engine
            .with(|tree| self.open.attempts.locked_for(tree, subject, policy))
    }

    async fn put_session(
        &self,
        session: Session,
        replaces: Option<TokenDigest>,
    ) -> Result<PutSession, StoreError> {
        self.change(move |group| sessions::put(group, &session, replaces))
            .await
    }

    async fn load_sessions(&self) -> Result<LoadedRows<Session>, StoreError> {
        self.read_all(sessions::all).await
    }

    async fn touch_sessions(&self, seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError> {
        self.change(move |group| sessions::touch(group, &seen)).await
    }

    async fn mark_reauthenticated(
        &self,
        digest: TokenDigest,
        at: Timestamp,
        password_changed_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(move |group| sessions::mark_reauthenticated(group, &digest, at, password_changed_at))
            .await
    }

    async fn end_sessions(&self, which: SessionsToEnd) -> Result<usize, StoreError> {
        self.change(move |group| sessions::end_some(group, which)).await
    }

    async fn create_invitation(&self, invitation: Invitation) -> Result<(), StoreError> {
        self.change(move |group| invitations::create(group, &invitation))
            .await
    }

    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError> {
        self.open.engine.with(|tree| tree.read(&key::invitation(&digest)))
    }

    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError> {
        self.read_all(invitations::all).await
    }

    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError> {
        self.change(move |group| invitations::revoke(group, id)).await
    }

    async fn claim_signature(
        &self,
        digest: SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, StoreError> {
        let signatures = self.open.signatures.clone();
        self.change(move |group| signatures.claim(group, &digest, until))
            .await
    }

    async fn release_signature(&self, digest: SignatureDigest) -> Result<bool, StoreError> {
        let signatures = self.open.signatures.clone();
        self.change(move |group| signatures.release(group, &digest)).await
    }

    async fn save_token(&self, token: EmailToken) -> Result<(), StoreError> {
        self.change(move |group| tokens::put(group, &token)).await
    }

    async fn token(&self, digest: TokenDigest) -> Result<Option<EmailToken>, StoreError> {
        self.open.engine.with(|tree| tree.read(&key::token(&digest)))
    }

    async fn consume_token(
        &self,
        digest: TokenDigest,
        effect: TokenEffect,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<ConsumeToken, StoreError> {
        self.change(move |group| tokens::consume(group, digest, effect, &mails, now))
            .await
    }

    async fn enqueue_mails(&self, mails: Vec<Mail>) -> Result<(), StoreError> {
        self.change(move |group| mails::enqueue(group, &mails)).await
    }

    async fn take_due_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError> {
        self.change(move |group| mails::take_due(group, now, lease)).await
    }

    async fn claim_mail(
        &self,
        id: MailId,
        claim: MailClaim,
        now: Timestamp,
    ) -> Result<ClaimMail, StoreError> {
        self.change(move |group| mails::claim(group, id, &claim, now))
            .await
    }

    async fn complete_mail(&self, id: MailId, outcome: MailOutcome) -> Result<bool, StoreError> {
        self.change(move |group| mails::complete(group, id, outcome))
            .await
    }

    async fn mails(&self, after: Option<MailId>, limit: usize) -> Result<Vec<QueuedMail>, StoreError> {
        let after = after.map(|id| key::mail(id).into());
        self.read_all(move |engine| mails::list(engine, after, limit))
            .await
    }

    async fn count_waiting_mails(&self, at_most: usize) -> Result<usize, StoreError> {
        self.read_all(move |engine| mails::count_waiting(engine, at_most))
            .await
    }

    async fn forget_future(&self, now: Timestamp) -> Result<(), StoreError> {
        let invitations = self
            .read_all(move |engine| invitations::those(engine, |made| clock::is_ahead(made.created_at, now)))
            .await?;
        for piece in invitations.chunks(PIECE).map(<[_]>::to_vec) {
            self.change(move |group| invitations::remove_these(group, &piece))
                .await?;
        }
        let tokens = self
            .read_all(move |engine| tokens::those(engine, |token| token.is_ahead(now)))
            .await?;
        for piece in tokens.chunks(PIECE).map(<[_]>::to_vec) {
            self.change(move |group| tokens::remove_these(group, &piece))
                .await?;
        }
        let mails = self.read_all(move |engine| mails::ahead(engine, now)).await?;
        for piece in mails.chunks(PIECE).map(<[_]>::to_vec) {
            self.change(move |group| mails::hasten(group, &piece, now))
                .await?;
        }
        Ok(())
    }

    async fn sweep(&self, now: Timestamp, sessions_before: Timestamp) -> Result<(), StoreError> {
        let sessions = self
            .read_all(move |engine| sessions::made_before(engine, sessions_before))
            .await?;
        for piece in sessions.chunks(PIECE).map(<[_]>::to_vec) {
            self.change(move |group| sessions::end_these(group, &piece))
                .await?;
        }
        let invitations = self
            .read_all(move |engine| invitations::those(engine, |made| made.expires_at <= now))
            .await?;
        for piece in invitations.chunks(PIECE).map(<[_]>::to_vec) {
            self.change(move |group| invitations::remove_these(group, &piece))
                .await?;
        }
        let ends = self
            .read_all(move |engine| signatures::expired(engine, now))
            .await?;
        for piece in ends.chunks(PIECE).map(<[_]>::to_vec) {
            let signatures = self.open.signatures.clone();
            self.change(move |group| signatures.forget(group, &piece)).await?;
        }
        let tokens = self
            .read_all(move |engine| tokens::those(engine, |token| token.expires_at <= now))
            .await?;
        for piece in tokens.chunks(PIECE).map(<[_]>::to_vec) {
            self.change(move |group| tokens::remove_these(group, &piece))
                .await?;
        }
        let mails = self.read_all(move |engine| mails::stale(engine, now)).await?;
        for piece in mails.chunks(PIECE).map(<[_]>::to_vec) {
            self.change(move |group| mails::remove_stale(group, &piece, now))
                .await?;
        }
        Ok(())
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.read_all(verify::run).await
    }

    fn lost_changes(&self) -> Option<String> {
        LostChanges::noticed(self.open.engine.folder()).map(|lost| lost.to_string())
    }
}
