//! The store in a PostgreSQL database, beside whatever else that holds, in a schema of its own.
//!
//! A table for each kind of thing: what is looked for or must be unique in columns, all else as the record that the
//! embedded store keeps too. Each operation is one transaction. One process uses the store at a time: see `instance_lock`.

mod access_keys;
mod accounts;
mod admin_queries;
mod attempts;
mod audit;
mod connection;
mod database;
mod error;
mod export;
mod import;
mod instance_lock;
mod invitations;
mod mails;
mod migrations;
mod paging;
mod purge;
mod row;
mod sessions;
mod signatures;
mod tokens;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub use connection::{DatabaseServer, DatabaseTls};

use super::attempt_counter::AttemptCounter;
use super::record::{Meta, Run};
use super::{
    AccountEdit, AttemptOutcome, ClaimMail, ConsumeToken, CreateAccount, DeleteAccount, EditAccount,
    LoadedRows, MailClaim, MailOutcome, Precondition, PutSession, SessionsToEnd, SpendSignature, Store,
    StoreError, TokenEffect, UpdateAccount, Verification,
};
use crate::clock::Clock;
use crate::ids::{AccountId, InvitationId, MailId};
use crate::model::{
    Account, Email, Invitation, LockoutPolicy, LockoutSubject, Session, SignatureDigest, TokenDigest,
    Username,
};
use crate::model::{EmailToken, Mail, QueuedMail};
use crate::random::Random;

use attempts::Attempts;
use audit::AuditLog;
use connection::Connector;
use database::Database;
use instance_lock::InstanceLock;
use signatures::Signatures;

/// Rows that are changed in one transaction where each could be changed by itself.
const TOGETHER: usize = 1000;

/// A store in a database that no other process uses.
#[derive(Debug)]
pub struct PostgresStore {
    database: Database,
    attempts: Attempts,
    signatures: Signatures,
    audit: AuditLog,
}

impl PostgresStore {
    /// Opens the store in a database, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if another process uses it, a newer version made it, or the role may not make it; the
    /// text says what to do. [`StoreError::Corrupt`] if what is in it cannot be read, [`StoreError::Unavailable`] if
    /// the server cannot be reached or does not let this role in.
    pub async fn open(server: &DatabaseServer, clock: Clock) -> Result<Self, StoreError> {
        let connector = Connector::new(server)?;
        let lock = InstanceLock::begin(connector.clone()).await?;
        let database = Database::new(connector, lock)?;
        let opened = database.with_all(async |client| {
            let row = row::query_opt(client, "SELECT version, record FROM store", &[]).await?;
            let row = row.ok_or_else(|| StoreError::Corrupt("its table \"store\" is empty".to_owned()))?;
            let Meta { slot_key } = row::decode(&row, || "the names' key".to_owned())?;
            Ok((
                slot_key,
                Signatures::open(client).await?,
                AuditLog::open(client).await?,
            ))
        });
        let (names_key, signatures, audit) = opened.await?;
        let run = Run(u64::from_be_bytes(Random::system().bytes()));
        Ok(Self {
            database,
            attempts: Attempts {
                counting: AttemptCounter::new(clock, run),
                names_key,
            },
            signatures,
            audit,
        })
    }

    /// Whether there is a store in the database; makes none.
    pub async fn is_made(server: &DatabaseServer) -> Result<bool, StoreError> {
        let client = Connector::new(server)?.connect().await?;
        let sql = "SELECT to_regclass('vestibule.store') IS NOT NULL";
        Ok(row::query_value(&client, sql, &[]).await?)
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn with_precondition(&self, precondition: Precondition) -> Arc<dyn Store> {
        Arc::new(Self {
            database: self.database.with_precondition(precondition),
            attempts: self.attempts.clone(),
            signatures: self.signatures.clone(),
            audit: self.audit.clone(),
        })
    }

    fn with_verified_only(&self, verified_only: bool) -> Arc<dyn Store> {
        Arc::new(Self {
            database: self.database.with_verified_only(verified_only),
            attempts: self.attempts.clone(),
            signatures: self.signatures.clone(),
            audit: self.audit.clone(),
        })
    }

    fn require_lock(&self) -> Result<(), StoreError> {
        self.database.require_lock()
    }

    async fn create_account_and_mail(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        self.database
            .transact(
                (account, invitation, self.database.verified_only, mails, now),
                |tx, (account, invitation, verified_only, mails, now)| {
                    Box::pin(accounts::create(
                        tx,
                        account,
                        *invitation,
                        *verified_only,
                        mails,
                        *now,
                    ))
                },
            )
            .await
    }

    async fn create_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError> {
        self.database
            .transact(accounts, |tx, accounts| {
                Box::pin(accounts::create_all(tx, accounts))
            })
            .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.database
            .with(async |client| accounts::by_id(client, id).await)
            .await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.database
            .with(async |client| accounts::by_email(client, email).await)
            .await
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError> {
        self.database
            .with(async |client| accounts::by_username(client, username).await)
            .await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.database
            .with(async |client| accounts::list(client, after, limit).await)
            .await
    }

    async fn group_has_active_members(&self, group: &str) -> Result<bool, StoreError> {
        let guarded = self.database.guarded(group);
        self.database
            .with(async |client| accounts::has_active_members(client, &guarded, None).await)
            .await
    }

    async fn group_members(&self, group: &str) -> Result<Vec<Account>, StoreError> {
        self.database
            .with(async |client| accounts::members(client, group).await)
            .await
    }

    async fn update_account(
        &self,
        expected: &Account,
        changed: Account,
        guarded: &str,
    ) -> Result<UpdateAccount, StoreError> {
        let spared = self.database.spared_session(expected.id);
        self.database
            .transact(
                (expected.clone(), changed, self.database.guarded(guarded), spared),
                |tx, (expected, changed, guarded, spared)| {
                    Box::pin(accounts::update(tx, expected, changed, guarded, *spared))
                },
            )
            .await
    }

    async fn edit_account(
        &self,
        id: AccountId,
        edit: AccountEdit,
        guarded: &str,
    ) -> Result<EditAccount, StoreError> {
        let spared = self.database.spared_session(id);
        self.database
            .transact(
                (id, edit, self.database.guarded(guarded), spared),
                |tx, (id, edit, guarded, spared)| Box::pin(accounts::edit(tx, *id, edit, guarded, *spared)),
            )
            .await
    }

    async fn delete_account(&self, id: AccountId, guarded: &str) -> Result<DeleteAccount, StoreError> {
        self.database
            .transact((id, self.database.guarded(guarded)), |tx, (id, guarded)| {
                Box::pin(accounts::delete(tx, *id, guarded))
            })
            .await
    }

    async fn record_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, StoreError> {
        self.database
            .transact(
                (self.attempts.clone(), subject, policy),
                |tx, (attempts, subject, policy)| Box::pin(attempts.record(tx, *subject, *policy)),
            )
            .await
    }

    async fn clear_attempts(&self, subject: LockoutSubject) -> Result<(), StoreError> {
        self.database
            .transact((self.attempts.clone(), subject), |tx, (attempts, subject)| {
                Box::pin(attempts.clear(tx, *subject))
            })
            .await
    }

    async fn withdraw_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError> {
        self.database
            .transact(
                (self.attempts.clone(), subject, policy),
                |tx, (attempts, subject, policy)| Box::pin(attempts.withdraw(tx, *subject, *policy)),
            )
            .await
    }

    async fn locked_for(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError> {
        self.database
            .with(async |client| self.attempts.locked_for(client, subject, policy).await)
            .await
    }

    async fn put_session(
        &self,
        session: Session,
        replaces: Option<TokenDigest>,
    ) -> Result<PutSession, StoreError> {
        self.database
            .transact((session, replaces), |tx, (session, replaces)| {
                Box::pin(sessions::put(tx, session, *replaces))
            })
            .await
    }

    async fn load_sessions(&self) -> Result<LoadedRows<Session>, StoreError> {
        self.database
            .with_all(async |client| sessions::all(client).await)
            .await
    }

    async fn touch_sessions(&self, seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError> {
        for piece in seen.chunks(TOGETHER) {
            self.database
                .transact(piece.to_vec(), |tx, seen| Box::pin(sessions::touch(tx, seen)))
                .await?;
        }
        Ok(())
    }

    async fn mark_reauthenticated(
        &self,
        digest: TokenDigest,
        at: Timestamp,
        password_changed_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.database
            .transact(
                (digest, at, password_changed_at),
                |tx, (digest, at, password_changed_at)| {
                    Box::pin(sessions::mark_reauthenticated(
                        tx,
                        digest,
                        *at,
                        *password_changed_at,
                    ))
                },
            )
            .await
    }

    async fn end_sessions(&self, which: SessionsToEnd) -> Result<usize, StoreError> {
        self.database
            .transact(which, |tx, which| Box::pin(sessions::end(tx, *which)))
            .await
    }

    async fn create_invitation(&self, invitation: Invitation) -> Result<(), StoreError> {
        self.database
            .transact(invitation, |tx, invitation| {
                Box::pin(invitations::create(tx, invitation))
            })
            .await
    }

    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError> {
        self.database
            .with(async |client| invitations::by_digest(client, &digest).await)
            .await
    }

    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError> {
        self.database
            .with_all(async |client| invitations::all(client).await)
            .await
    }

    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError> {
        self.database
            .transact(id, |tx, id| Box::pin(invitations::revoke(tx, *id)))
            .await
    }

    async fn claim_signature(
        &self,
        digest: SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, StoreError> {
        self.database
            .with(async |client| self.signatures.claim(client, &digest, until).await)
            .await
    }

    async fn release_signature(&self, digest: SignatureDigest) -> Result<bool, StoreError> {
        self.database
            .with(async |client| self.signatures.release(client, &digest).await)
            .await
    }

    async fn save_token(&self, token: EmailToken) -> Result<(), StoreError> {
        self.database
            .transact(token, |tx, token| Box::pin(tokens::put(tx, token)))
            .await
    }

    async fn token(&self, digest: TokenDigest) -> Result<Option<EmailToken>, StoreError> {
        self.database
            .with(async |client| tokens::by_digest(client, &digest).await)
            .await
    }

    async fn consume_token(
        &self,
        digest: TokenDigest,
        effect: TokenEffect,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<ConsumeToken, StoreError> {
        self.database
            .transact(
                (digest, effect, mails, now),
                |tx, (digest, effect, mails, now)| Box::pin(tokens::consume(tx, digest, effect, mails, *now)),
            )
            .await
    }

    async fn enqueue_mails(&self, mails: Vec<Mail>) -> Result<(), StoreError> {
        self.database
            .transact(mails, |tx, mails| Box::pin(mails::enqueue(tx, mails)))
            .await
    }

    async fn take_due_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError> {
        self.database
            .transact((now, lease), |tx, (now, lease)| {
                Box::pin(mails::take_due(tx, *now, *lease))
            })
            .await
    }

    async fn claim_mail(
        &self,
        id: MailId,
        claim: MailClaim,
        now: Timestamp,
    ) -> Result<ClaimMail, StoreError> {
        self.database
            .transact((id, claim, now), |tx, (id, stamp, now)| {
                Box::pin(mails::claim(tx, *id, stamp, *now))
            })
            .await
    }

    async fn complete_mail(&self, id: MailId, outcome: MailOutcome) -> Result<bool, StoreError> {
        self.database
            .transact((id, outcome), |tx, (id, outcome)| {
                Box::pin(mails::complete(tx, *id, outcome))
            })
            .await
    }

    async fn mails(&self, after: Option<MailId>, limit: usize) -> Result<Vec<QueuedMail>, StoreError> {
        self.database
            .with(async |client| mails::list(client, after, limit).await)
            .await
    }

    async fn count_waiting_mails(&self, at_most: usize) -> Result<usize, StoreError> {
        self.database
            .with(async |client| mails::count_waiting(client, at_most).await)
            .await
    }

    async fn forget_future(&self, now: Timestamp) -> Result<(), StoreError> {
        self.database
            .transact(now, |tx, now| Box::pin(purge::forget_future(tx, *now)))
            .await
    }

    async fn sweep(&self, now: Timestamp, sessions_before: Timestamp) -> Result<(), StoreError> {
        self.database
            .with_all(async |client| {
                purge::run(client, now, sessions_before).await?;
                self.signatures.sweep(client, now).await
            })
            .await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        verify::run(&self.database.snapshot().await?).await
    }
}
