//! The embedded store.
#![allow(
    clippy::todo,
    clippy::unused_async,
    clippy::needless_pass_by_value,
    clippy::wildcard_imports
)]

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::*;
use crate::clock::Clock;

/// The store.
#[derive(Debug)]
pub struct SledStore {}

impl SledStore {
    /// Opens it.
    pub fn open(_path: &Path, _clock: Clock) -> Result<Self, StoreError> {
        todo!()
    }
}

#[async_trait]
impl Store for SledStore {
    async fn create_account(
        &self,
        _account: Account,
        _invitation: Option<TokenDigest>,
        _now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        todo!()
    }
    async fn account(&self, _id: AccountId) -> Result<Option<Account>, StoreError> {
        todo!()
    }
    async fn account_by_email(&self, _email: &Email) -> Result<Option<Account>, StoreError> {
        todo!()
    }
    async fn account_by_username(&self, _username: &Username) -> Result<Option<Account>, StoreError> {
        todo!()
    }
    async fn accounts(&self, _after: Option<AccountId>, _limit: usize) -> Result<Vec<Account>, StoreError> {
        todo!()
    }
    async fn group_has_members(&self, _group: &str) -> Result<bool, StoreError> {
        todo!()
    }
    async fn update_account(
        &self,
        _expected: &Account,
        _changed: Account,
        _guarded: &str,
    ) -> Result<UpdateAccount, StoreError> {
        todo!()
    }
    async fn delete_account(&self, _id: AccountId, _guarded: &str) -> Result<DeleteAccount, StoreError> {
        todo!()
    }
    async fn record_attempt(&self, _subject: Subject, _policy: LockoutPolicy) -> Result<Attempt, StoreError> {
        todo!()
    }
    async fn clear_attempts(&self, _subject: Subject) -> Result<(), StoreError> {
        todo!()
    }
    async fn withdraw_attempt(&self, _subject: Subject, _policy: LockoutPolicy) -> Result<(), StoreError> {
        todo!()
    }
    async fn locked_for(
        &self,
        _subject: Subject,
        _policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError> {
        todo!()
    }
    async fn put_session(&self, _session: Session, _replaces: Option<TokenDigest>) -> Result<(), StoreError> {
        todo!()
    }
    async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        todo!()
    }
    async fn touch_sessions(&self, _seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError> {
        todo!()
    }
    async fn end_sessions(&self, _which: SessionsToEnd) -> Result<usize, StoreError> {
        todo!()
    }
    async fn create_invitation(&self, _invitation: Invitation) -> Result<(), StoreError> {
        todo!()
    }
    async fn invitation(&self, _digest: TokenDigest) -> Result<Option<Invitation>, StoreError> {
        todo!()
    }
    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError> {
        todo!()
    }
    async fn revoke_invitation(&self, _id: InvitationId) -> Result<bool, StoreError> {
        todo!()
    }
    async fn sweep(&self, _now: Timestamp, _sessions_before: Timestamp) -> Result<(), StoreError> {
        todo!()
    }
    async fn verify(&self) -> Result<Verification, StoreError> {
        todo!()
    }
}
