//! Accounts, and what becomes of changing one.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::record::StoredRecord;
use crate::ids::AccountId;
use crate::model::{Account, Email, Mail, TokenDigest, Username};

/// Accounts: a part of every [`Store`](super::Store).
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Makes an account and, in the same step, uses up the invitation that it came with.
    ///
    /// A username that any account ever had is taken (S53); the account has had no other one. Of many callers with one invitation, one gets an
    /// account (S16). An invitation bound to another address, or expired at `now`, is void and is not used up; it is
    /// judged first, so that without a good one nobody learns which addresses and usernames are taken.
    async fn create_account(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        self.create_account_and_mail(account, invitation, Vec::new(), now)
            .await
    }

    /// The same; if an account is made, `mails` wait from then on.
    async fn create_account_and_mail(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError>;

    /// Makes accounts, each as [`create_account`](Self::create_account) does without an invitation, in one step. What
    /// became of each, in their order.
    async fn create_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError>;

    /// What [`create_accounts`](Self::create_accounts) would come to now. Nothing is made.
    async fn preview_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError>;

    /// The account with this id.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// The account with this address, compared by [`Email::key`].
    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// The account with this username now; one that it once had finds nobody.
    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError>;

    /// Up to `limit` accounts in the order they were made, from the one after `after`.
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError>;

    /// Whether anybody is in the group who may sign in.
    async fn group_has_active_members(&self, group: &str) -> Result<bool, StoreError>;

    /// The accounts in the group, in the order they were made.
    async fn group_members(&self, group: &str) -> Result<Vec<Account>, StoreError>;

    /// Replaces the account if it still is what the caller read. Its `id` stays what it was.
    ///
    /// A username that any other account ever had is taken (S53). The one that the account had before joins its
    /// `former_usernames`, which are the store's to keep: it may take one of them back.
    ///
    /// `guarded` is the administrators' group: a change that takes its last active member out of it, or disables
    /// that member, is refused. Active is whoever may sign in: see [`with_verified_only`](super::Store::with_verified_only). A new
    /// password, told by its time, or a new address voids the account's mailed tokens. A new password ends the account's
    /// sessions in the same step, but the one in which its owner sets it: that one is proved by it.
    async fn update_account(
        &self,
        expected: &Account,
        changed: Account,
        guarded: &str,
    ) -> Result<UpdateAccount, StoreError> {
        // As records, because two spellings of an address are equal as values.
        let as_read = expected.encode()?;
        let edit = move |account: &mut Account| {
            let is_as_read = account.encode().is_ok_and(|current| current == as_read);
            is_as_read.then(|| {
                account.clone_from(&changed);
                Vec::new()
            })
        };
        let edited = self.edit_account(expected.id, Arc::new(edit), guarded).await?;
        Ok(edited.into())
    }

    /// Applies an edit to the account as it is, inside the operation: no other change comes between, however often the
    /// account is changed. The mails that the edit returns wait from then on. All else as in
    /// [`update_account`](Self::update_account).
    async fn edit_account(
        &self,
        id: AccountId,
        edit: AccountEdit,
        guarded: &str,
    ) -> Result<EditAccount, StoreError>;

    /// Removes the account, its sessions, its access keys, its attempts and its mailed tokens. Its usernames stay taken. `guarded` as
    /// above.
    async fn delete_account(&self, id: AccountId, guarded: &str) -> Result<DeleteAccount, StoreError>;
}

/// What became of [`AccountStore::create_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAccount {
    /// It exists now.
    Created,
    /// Another account has the address.
    EmailTaken,
    /// An account has the username, or once had it.
    UsernameTaken,
    /// The invitation is spent, expired, unknown or bound to another address.
    InvitationVoid,
}

/// What became of [`AccountStore::update_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateAccount {
    /// It is what the caller wanted.
    Updated,
    /// Somebody changed it, or removed it, since the caller read it: read again.
    Changed,
    /// Another account has the address.
    EmailTaken,
    /// Another account has the username, or once had it.
    UsernameTaken,
    /// It would leave the guarded group without an active member.
    LastMember,
}

/// Changes an account and returns the mails that go with that; `None` refuses, and nothing is changed. A store may call
/// it more than once for one operation.
pub type AccountEdit = Arc<dyn Fn(&mut Account) -> Option<Vec<Mail>> + Send + Sync>;

/// What became of [`AccountStore::edit_account`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditAccount {
    /// It is changed.
    Edited {
        /// The account as it was.
        before: Box<Account>,
        /// The account as it is.
        after: Box<Account>,
    },
    /// The edit refused.
    Refused,
    /// There is none.
    Absent,
    /// Another account has the address.
    EmailTaken(Email),
    /// Another account has the username, or once had it.
    UsernameTaken(Username),
    /// It would leave the guarded group without an active member.
    LastMember,
}

impl From<EditAccount> for UpdateAccount {
    fn from(outcome: EditAccount) -> Self {
        match outcome {
            EditAccount::Edited { .. } => Self::Updated,
            EditAccount::Refused | EditAccount::Absent => Self::Changed,
            EditAccount::EmailTaken(_) => Self::EmailTaken,
            EditAccount::UsernameTaken(_) => Self::UsernameTaken,
            EditAccount::LastMember => Self::LastMember,
        }
    }
}

/// What became of [`AccountStore::delete_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteAccount {
    /// It is gone.
    Deleted,
    /// There was none.
    Absent,
    /// It is the guarded group's last active member.
    LastMember,
}
