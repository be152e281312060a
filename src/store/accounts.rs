//! Operations on accounts, and their outcomes.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::record::StoredRecord;
use super::{LoadedRows, StoreError};
use crate::ids::AccountId;
use crate::model::{Account, Email, Mail, TokenDigest, Username};

/// Accounts: a part of [`Store`](super::Store).
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Creates an account and uses up the invitation, if it came with one, in one transaction.
    ///
    /// A username that any account ever had is taken (S53); the new account has no former usernames. Of
    /// concurrent callers with one invitation, one succeeds (S16). An invitation that is bound to another
    /// address, or expired at `now`, is void and stays unused. It is checked first, so that without a valid
    /// one the outcome does not reveal which addresses and usernames are taken.
    async fn create_account(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        self.create_account_and_mail(account, invitation, Vec::new(), now)
            .await
    }

    /// As [`create_account`](Self::create_account); enqueues `mails` if the account is created.
    async fn create_account_and_mail(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError>;

    /// Creates accounts without invitations, in one transaction. Returns the outcome of each, in order.
    async fn create_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError>;

    /// What [`create_accounts`](Self::create_accounts) would come to now. Nothing is made.
    async fn preview_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError>;

    /// The account with this id.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// The account with this id, once no other operation is changing it: what is under way is waited for, so that
    /// nothing that began before makes the returned account outdated.
    async fn settled_account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.account(id).await
    }

    /// The account with this address, compared by [`Email::key`].
    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// The account with this current username; a former username finds none.
    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError>;

    /// Up to `limit` accounts in order of creation, starting after `after`.
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError>;

    /// Returns whether the group has a member who may sign in.
    async fn group_has_active_members(&self, group: &str) -> Result<bool, StoreError>;

    /// The accounts in the group, in order of creation.
    async fn group_members(&self, group: &str) -> Result<LoadedRows<Account>, StoreError>;

    /// Replaces the account by compare-and-set with what the caller read. The id cannot change.
    ///
    /// A username that another account ever had is taken (S53). The account's previous username joins its
    /// `former_usernames`, which the store maintains; the account may take one of them back.
    ///
    /// A change that removes the last active administrator of
    /// [`with_administrators`](super::Store::with_administrators) from their group, or disables them, is refused. A new
    /// password, seen by its time, or a new
    /// address voids the account's e-mail tokens. A new password also ends the account's sessions, in the
    /// same transaction, except the one in which the owner sets it, which counts as re-authenticated.
    async fn update_account(
        &self,
        expected: &Account,
        changed: Account,
    ) -> Result<UpdateAccount, StoreError> {
        // Compared as encoded records, because spellings of one address are equal as values.
        let as_read = expected.encode()?;
        let edit = move |account: &mut Account| {
            let is_as_read = account.encode().is_ok_and(|current| current == as_read);
            is_as_read.then(|| {
                account.clone_from(&changed);
                Vec::new()
            })
        };
        let edited = self.edit_account(expected.id, Arc::new(edit)).await?;
        Ok(edited.into())
    }

    /// Applies an edit to the current account within the transaction, so that it cannot be lost to concurrent
    /// changes. Enqueues the mails that the edit returns. All else as in
    /// [`update_account`](Self::update_account).
    async fn edit_account(&self, id: AccountId, edit: AccountEdit) -> Result<EditAccount, StoreError>;

    /// Removes the account, its sessions, access keys, failure counters and e-mail tokens. Its usernames stay
    /// taken (S53). The last administrator stays, as above.
    async fn delete_account(&self, id: AccountId) -> Result<DeleteAccount, StoreError> {
        self.delete_account_with_password(id, None).await
    }

    /// As [`delete_account`](Self::delete_account), only if its password is still the one that was set at this
    /// time ([`DeleteAccount::PasswordChanged`]). `None`: whatever its password is.
    async fn delete_account_with_password(
        &self,
        id: AccountId,
        password_changed_at: Option<Timestamp>,
    ) -> Result<DeleteAccount, StoreError>;
}

/// The outcome of [`AccountStore::create_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAccount {
    /// The account is created.
    Created,
    /// Another account has the address.
    EmailTaken,
    /// An account has the username, or once had it.
    UsernameTaken,
    /// The invitation is used, expired, unknown or bound to another address.
    InvitationVoid,
}

/// The outcome of [`AccountStore::update_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateAccount {
    /// The account is updated.
    Updated,
    /// The account was changed or removed after the caller read it: read again.
    Changed,
    /// Another account has the address.
    EmailTaken,
    /// Another account has the username, or once had it.
    UsernameTaken,
    /// The change would leave the guarded group without an active member.
    LastMember,
}

/// An edit of an account: changes it and returns the mails to enqueue; `None` refuses and changes nothing. A
/// store may call it more than once for one operation.
pub type AccountEdit = Arc<dyn Fn(&mut Account) -> Option<Vec<Mail>> + Send + Sync>;

/// The outcome of [`AccountStore::edit_account`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditAccount {
    /// The account is changed.
    Edited {
        /// The account before the change.
        before: Box<Account>,
        /// The account after the change.
        after: Box<Account>,
    },
    /// The edit refused.
    Refused,
    /// There is no such account.
    Absent,
    /// Another account has the address.
    EmailTaken(Email),
    /// Another account has the username, or once had it.
    UsernameTaken(Username),
    /// The change would leave the guarded group without an active member.
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

/// The outcome of [`AccountStore::delete_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteAccount {
    /// The account is removed.
    Deleted,
    /// There is no such account.
    Absent,
    /// The account is the guarded group's last active member.
    LastMember,
    /// The account has another password.
    PasswordChanged,
}
