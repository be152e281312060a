//! Accounts, their indexes, and what goes with them.

use std::ops::ControlFlow;

use ::sled::IVec;
use async_trait::async_trait;
use jiff::Timestamp;

use super::SledStore;
use super::engine::Engine;
use super::key::{self, RowKind};
use super::record::{self, StoredRecord};
use super::rows::{Rows, WriteBatch};
use super::{access_keys, admin_queries, invitations, mails, sessions, tokens};
use crate::ids::AccountId;
use crate::model::{Account, Email, Mail, Purpose, TokenDigest, Username};
use crate::store::rules::GuardedGroup;
use crate::store::{
    AccountEdit, AccountStore, CreateAccount, DeleteAccount, EditAccount, Precondition, StoreError, UpdateAccount,
    rules,
};

#[async_trait]
impl AccountStore for SledStore {
    async fn create_account_and_mail(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        let verified_only = self.verified_only;
        self.change(move |group| create(group, &account, invitation, verified_only, &mails, now))
            .await
    }

    async fn create_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError> {
        self.change(move |group| create_all(group, &accounts)).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.open.engine.with(|tree| tree.read(&key::account(id)))
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.open.engine.with(|tree| by_email(tree, email))
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError> {
        self.open.engine.with(|tree| by_username(tree, username))
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError> {
        let after = after.map(|id| key::account(id).into());
        self.read_all(move |engine| list(engine, after, limit)).await
    }

    async fn group_has_active_members(&self, group: &str) -> Result<bool, StoreError> {
        let guarded = self.guarded(group);
        self.open
            .engine
            .with(|tree| has_active_members(tree, &guarded, None))
    }

    async fn group_members(&self, group: &str) -> Result<Vec<Account>, StoreError> {
        self.open.engine.with(|tree| members(tree, group))
    }

    async fn update_account(
        &self,
        expected: &Account,
        changed: Account,
        guarded: &str,
    ) -> Result<UpdateAccount, StoreError> {
        let (expected, guarded) = (expected.clone(), self.guarded(guarded));
        let spared = Precondition::spared_session(self.precondition.as_deref(), expected.id);
        self.change(move |group| update(group, &expected, changed, &guarded, spared))
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
        self.change(move |group| self::edit(group, id, &edit, &guarded, spared))
            .await
    }

    async fn delete_account(&self, id: AccountId, guarded: &str) -> Result<DeleteAccount, StoreError> {
        let guarded = self.guarded(guarded);
        self.change(move |group| delete(group, id, &guarded)).await
    }
}

fn create(
    batch: &mut WriteBatch<'_>,
    account: &Account,
    invitation: Option<TokenDigest>,
    verified_only: bool,
    new_mails: &[Mail],
    now: Timestamp,
) -> Result<CreateAccount, StoreError> {
    // Whoever has no good invitation is not told which addresses and usernames exist.
    if let Some(digest) = invitation
        && !invitations::serves(batch, &digest, &account.email, verified_only, now)?
    {
        return Ok(CreateAccount::InvitationVoid);
    }
    if batch.value(&key::email(&account.email))?.is_some() {
        return Ok(CreateAccount::EmailTaken);
    }
    if batch.value(&key::username(&account.username))?.is_some() {
        return Ok(CreateAccount::UsernameTaken);
    }
    if batch.value(&key::account(account.id))?.is_some() {
        return Err(StoreError::Unavailable(
            "the new account's id is taken".to_owned(),
        ));
    }
    if let Some(digest) = invitation {
        invitations::remove(batch, &digest)?;
    }
    insert(batch, account)?;
    mails::enqueue(batch, new_mails)?;
    Ok(CreateAccount::Created)
}

fn create_all(batch: &mut WriteBatch<'_>, accounts: &[Account]) -> Result<Vec<CreateAccount>, StoreError> {
    let create = |account: &Account| create(batch, account, None, false, &[], account.created_at);
    accounts.iter().map(create).collect()
}

/// Keeps an account that is new, with all that it is found by.
pub(super) fn insert(batch: &mut WriteBatch<'_>, account: &Account) -> Result<(), StoreError> {
    batch.put(key::account(account.id), account)?;
    batch.put(key::email(&account.email), &account.id)?;
    for username in account.former_usernames.iter().chain([&account.username]) {
        batch.put(key::username(username), &Some(account.id))?;
    }
    for name in &account.groups {
        batch.put(key::member(name, account.id), &())?;
    }
    admin_queries::index(batch, None, Some(account))
}

fn by_email(rows: &impl Rows, email: &Email) -> Result<Option<Account>, StoreError> {
    let index = key::email(email);
    let id: Option<AccountId> = rows.read(&index)?;
    id.map(|id| rows.indexed(&index, &key::account(id))).transpose()
}

fn by_username(rows: &impl Rows, username: &Username) -> Result<Option<Account>, StoreError> {
    let index = key::username(username);
    let Some(id) = rows.read::<Option<AccountId>>(&index)?.flatten() else {
        return Ok(None);
    };
    let owner: Account = rows.indexed(&index, &key::account(id))?;
    Ok(Some(owner).filter(|owner| owner.username == *username))
}

/// The accounts in a group, in the order of their ids.
fn members(rows: &impl Rows, name: &str) -> Result<Vec<Account>, StoreError> {
    let mut accounts: Vec<Account> = Vec::new();
    for row in rows.scan(&key::members(name)) {
        let (index, _) = row?;
        if let Some(id) = key::trailing_account(&index) {
            accounts.push(rows.indexed(&index, &key::account(id))?);
        }
    }
    accounts.sort_by_key(|account| account.id);
    Ok(accounts)
}

/// Up to `limit` accounts in the order of their ids, from the one after the key `after`.
fn list(engine: &Engine, after: Option<IVec>, limit: usize) -> Result<Vec<Account>, StoreError> {
    let mut accounts = Vec::new();
    engine.pieces(&RowKind::Account.prefix(), after, |_, rows| {
        for (key, value) in rows.iter().take(limit - accounts.len()) {
            accounts.push(record::decode(key, value)?);
        }
        Ok(if accounts.len() < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    Ok(accounts)
}

/// Replaces an account; a new password ends its sessions, except `spared`.
fn update(
    batch: &mut WriteBatch<'_>,
    expected: &Account,
    changed: Account,
    guarded: &GuardedGroup,
    spared: Option<TokenDigest>,
) -> Result<UpdateAccount, StoreError> {
    let Some(current) = batch.read::<Account>(&key::account(expected.id))? else {
        return Ok(UpdateAccount::Changed);
    };
    // As rows, because two spellings of an address are equal as values.
    if current.encode()? != expected.encode()? {
        return Ok(UpdateAccount::Changed);
    }
    Ok(change(batch, current, changed, guarded, &[], spared)?.into())
}

/// Applies an edit to an account as it is; a new password ends its sessions, except `spared`.
fn edit(
    batch: &mut WriteBatch<'_>,
    id: AccountId,
    edit: &AccountEdit,
    guarded: &GuardedGroup,
    spared: Option<TokenDigest>,
) -> Result<EditAccount, StoreError> {
    let Some(current) = batch.read::<Account>(&key::account(id))? else {
        return Ok(EditAccount::Absent);
    };
    let mut changed = current.clone();
    match edit(&mut changed) {
        Some(new_mails) => change(batch, current, changed, guarded, &new_mails, spared),
        None => Ok(EditAccount::Refused),
    }
}

fn change(
    batch: &mut WriteBatch<'_>,
    current: Account,
    mut changed: Account,
    guarded: &GuardedGroup,
    new_mails: &[Mail],
    spared: Option<TokenDigest>,
) -> Result<EditAccount, StoreError> {
    changed.id = current.id;
    rules::void_pending_email(&current, &mut changed);
    changed.former_usernames.clone_from(&current.former_usernames);
    if changed.username != current.username {
        let owner = batch.read::<Option<AccountId>>(&key::username(&changed.username))?;
        if owner.is_some_and(|owner| owner != Some(changed.id)) {
            return Ok(EditAccount::UsernameTaken(changed.username));
        }
        changed
            .former_usernames
            .retain(|former| *former != changed.username);
        changed.former_usernames.push(current.username.clone());
    }
    if changed.email != current.email && batch.value(&key::email(&changed.email))?.is_some() {
        return Ok(EditAccount::EmailTaken(changed.email));
    }
    let stays = guarded.is_active_member(&changed);
    if !stays && is_last_active_member(batch, &current, guarded)? {
        return Ok(EditAccount::LastMember);
    }
    if changed.password_changed_at != current.password_changed_at {
        sessions::end_of_account(batch, changed.id, spared)?;
        if let Some(spared) = spared {
            let at = changed.password_changed_at;
            sessions::mark_reauthenticated(batch, &spared, at, at)?;
        }
    }
    replace(batch, &current, &changed)?;
    mails::enqueue(batch, new_mails)?;
    Ok(EditAccount::Edited {
        before: Box::new(current),
        after: Box::new(changed),
    })
}

/// Writes an account in place of what it was, and its indexes. If it has a new password or address, its tokens are void and
/// mails that would get one are withdrawn; the one that moves it, if another change of the address is pending, or none.
pub(super) fn replace(
    batch: &mut WriteBatch<'_>,
    current: &Account,
    changed: &Account,
) -> Result<(), StoreError> {
    if changed.email != current.email {
        batch.remove(key::email(&current.email));
        batch.put(key::email(&changed.email), &changed.id)?;
    }
    if changed.username != current.username {
        // The row of the former one stays: it is the account's for ever.
        batch.put(key::username(&changed.username), &Some(changed.id))?;
    }
    for name in current.groups.difference(&changed.groups) {
        batch.remove(key::member(name, current.id));
    }
    for name in changed.groups.difference(&current.groups) {
        batch.put(key::member(name, changed.id), &())?;
    }
    admin_queries::index(batch, Some(current), Some(changed))?;
    if rules::voids_tokens(current, changed) {
        tokens::void_all(batch, changed.id)?;
        mails::withdraw_resets(batch, &current.email)?;
    } else if changed.pending_email != current.pending_email {
        tokens::void(batch, changed.id, Purpose::ChangeEmail)?;
    }
    batch.put(key::account(changed.id), changed)
}

fn delete(
    batch: &mut WriteBatch<'_>,
    id: AccountId,
    guarded: &GuardedGroup,
) -> Result<DeleteAccount, StoreError> {
    let Some(account) = batch.read::<Account>(&key::account(id))? else {
        return Ok(DeleteAccount::Absent);
    };
    if is_last_active_member(batch, &account, guarded)? {
        return Ok(DeleteAccount::LastMember);
    }
    sessions::end_of_account(batch, id, None)?;
    tokens::void_all(batch, id)?;
    access_keys::revoke_of_account(batch, id)?;
    batch.remove(key::attempts(id));
    for name in &account.groups {
        batch.remove(key::member(name, id));
    }
    admin_queries::index(batch, Some(&account), None)?;
    batch.remove(key::email(&account.email));
    // Never given to another account.
    for username in account.former_usernames.iter().chain([&account.username]) {
        batch.put(key::username(username), &None)?;
    }
    batch.remove(key::account(id));
    Ok(DeleteAccount::Deleted)
}

fn is_last_active_member(
    rows: &impl Rows,
    account: &Account,
    guarded: &GuardedGroup,
) -> Result<bool, StoreError> {
    Ok(guarded.is_active_member(account) && !has_active_members(rows, guarded, Some(account.id))?)
}

/// Whether anybody is in the group who may sign in, other than `but`.
pub(super) fn has_active_members(
    rows: &impl Rows,
    guarded: &GuardedGroup,
    but: Option<AccountId>,
) -> Result<bool, StoreError> {
    for row in rows.scan(&key::members(&guarded.group)) {
        let (index, _) = row?;
        let Some(id) = key::trailing_account(&index) else {
            continue;
        };
        if Some(id) != but && guarded.is_active_member(&rows.indexed(&index, &key::account(id))?) {
            return Ok(true);
        }
    }
    Ok(false)
}
