//! Accounts and their indexes: by address, username, group, status and search term.

use std::ops::ControlFlow;

use ::sled::IVec;
use async_trait::async_trait;
use jiff::Timestamp;

use super::SledStore;
use super::engine::Engine;
use super::record;
use super::rows::{Rows, WriteBatch};
use super::schema::{self, RowKind};
use super::{access_keys, admin_queries, invitations, mails, sessions, tokens, usernames};
use crate::ids::AccountId;
use crate::model::{Account, Email, Mail, Purpose, TokenDigest, Username};
use crate::store::rules::{AccountTransition, GuardedGroup};
use crate::store::{
    AccountEdit, AccountStore, CreateAccount, DeleteAccount, EditAccount, LoadedRows, Precondition,
    StoreError, UnreadableRow, rules,
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
        let administrators = self.administrators.clone();
        self.change(move |group| {
            let verified_only = administrators.verified_only();
            create(group, &account, invitation, verified_only, &mails, now)
        })
        .await
    }

    async fn create_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError> {
        self.change(move |group| create_all(group, &accounts)).await
    }

    async fn preview_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError> {
        self.read_all(move |engine| engine.with(|tree| preview(tree, &accounts)))
            .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.open.engine.with(|tree| tree.read(&schema::account(id)))
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.open.engine.with(|tree| by_email(tree, email))
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError> {
        self.open.engine.with(|tree| by_username(tree, username))
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError> {
        let after = after.map(|id| schema::account(id).into());
        self.read_all(move |engine| list(engine, after, limit)).await
    }

    async fn group_has_active_members(&self, group: &str) -> Result<bool, StoreError> {
        let guarded = GuardedGroup {
            group: group.to_owned(),
            verified_only: self.administrators.verified_only(),
        };
        self.open
            .engine
            .with(|tree| has_active_members(tree, &guarded, None))
    }

    async fn group_members(&self, group: &str) -> Result<LoadedRows<Account>, StoreError> {
        self.open.engine.with(|tree| members(tree, group))
    }

    async fn edit_account(&self, id: AccountId, edit: AccountEdit) -> Result<EditAccount, StoreError> {
        let administrators = self.administrators.clone();
        let spared = Precondition::spared_session(self.precondition.as_deref(), id);
        self.change(move |group| {
            let guarded = GuardedGroup::from(&administrators);
            self::edit(group, id, &edit, &guarded, spared)
        })
        .await
    }

    async fn delete_account_with_password(
        &self,
        id: AccountId,
        password_changed_at: Option<Timestamp>,
    ) -> Result<DeleteAccount, StoreError> {
        let administrators = self.administrators.clone();
        self.change(move |group| {
            let guarded = GuardedGroup::from(&administrators);
            delete(group, id, password_changed_at, &guarded)
        })
        .await
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
    // Checked first: without a valid invitation the outcome must not reveal which addresses and usernames
    // exist (S16).
    if let Some(digest) = invitation
        && !invitations::serves(batch, &digest, &account.email, verified_only, now)?
    {
        return Ok(CreateAccount::InvitationVoid);
    }
    if batch.value(&schema::email(&account.email))?.is_some() {
        return Ok(CreateAccount::EmailTaken);
    }
    if usernames::is_taken(batch, &account.username)? {
        return Ok(CreateAccount::UsernameTaken);
    }
    if batch.value(&schema::account(account.id))?.is_some() {
        return Err(StoreError::Unavailable(
            "the new account's id is taken".to_owned(),
        ));
    }
    if let Some(digest) = invitation {
        invitations::remove(batch, &digest)?;
    }
    insert(batch, &rules::new_account(account))?;
    mails::enqueue(batch, new_mails)?;
    Ok(CreateAccount::Created)
}

fn create_all(batch: &mut WriteBatch<'_>, accounts: &[Account]) -> Result<Vec<CreateAccount>, StoreError> {
    let create = |account: &Account| create(batch, account, None, false, &[], account.created_at);
    accounts.iter().map(create).collect()
}

/// What `create_all` would come to.
fn preview(rows: &impl Rows, accounts: &[Account]) -> Result<Vec<CreateAccount>, StoreError> {
    let mut taken = rules::TakenNames::default();
    for account in accounts {
        if rows.value(&schema::email(&account.email))?.is_some() {
            taken.add_address(&account.email);
        }
        if usernames::is_taken(rows, &account.username)? {
            taken.add_username(&account.username);
        }
    }
    Ok(accounts.iter().map(|account| taken.take(account)).collect())
}

/// Inserts a new account and its index rows.
pub(super) fn insert(batch: &mut WriteBatch<'_>, account: &Account) -> Result<(), StoreError> {
    batch.put(schema::account(account.id), account)?;
    batch.put(schema::email(&account.email), &account.id)?;
    usernames::index(batch, None, account)?;
    for name in &account.groups {
        batch.put(schema::member(name, account.id), &())?;
    }
    admin_queries::index(batch, None, Some(account))
}

fn by_email(rows: &impl Rows, email: &Email) -> Result<Option<Account>, StoreError> {
    let index = schema::email(email);
    let id: Option<AccountId> = rows.read(&index)?;
    id.map(|id| rows.indexed(&index, &schema::account(id)))
        .transpose()
}

fn by_username(rows: &impl Rows, username: &Username) -> Result<Option<Account>, StoreError> {
    let Some(row) = usernames::read(rows, username)? else {
        return Ok(None);
    };
    let Some(id) = row.account else {
        return Ok(None);
    };
    let owner: Account = rows.indexed(&row.key, &schema::account(id))?;
    Ok(Some(owner).filter(|owner| owner.username == *username))
}

/// The accounts in a group, ordered by id.
fn members(rows: &impl Rows, name: &str) -> Result<LoadedRows<Account>, StoreError> {
    let mut accounts: LoadedRows<Account> = LoadedRows::default();
    for row in rows.scan(&schema::members(name)) {
        let (index, _) = row?;
        let Some(id) = schema::trailing_account(&index) else {
            continue;
        };
        match rows.indexed(&index, &schema::account(id)) {
            Ok(account) => accounts.sound.push(account),
            Err(error @ StoreError::Corrupt(_)) => accounts.unreadable.push(UnreadableRow {
                account: Some(id),
                error,
            }),
            Err(error) => return Err(error),
        }
    }
    accounts.sound.sort_by_key(|account| account.id);
    Ok(accounts)
}

/// Up to `limit` accounts ordered by id, starting after the key `after`.
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

/// Applies an edit to the current account. A new password ends its sessions, except `spared`.
fn edit(
    batch: &mut WriteBatch<'_>,
    id: AccountId,
    edit: &AccountEdit,
    guarded: &GuardedGroup,
    spared: Option<TokenDigest>,
) -> Result<EditAccount, StoreError> {
    let Some(current) = batch.read::<Account>(&schema::account(id))? else {
        return Ok(EditAccount::Absent);
    };
    let mut changed = current.clone();
    let Some(new_mails) = edit(&mut changed) else {
        return Ok(EditAccount::Refused);
    };
    let change = AccountTransition::new(current, changed);
    if let Some(username) = change.new_username() {
        let row = usernames::read(batch, username)?;
        if row.is_some_and(|row| row.account != Some(id)) {
            return Ok(EditAccount::UsernameTaken(username.clone()));
        }
    }
    if let Some(email) = change.new_email()
        && batch.value(&schema::email(email))?.is_some()
    {
        return Ok(EditAccount::EmailTaken(email.clone()));
    }
    if change.leaves(guarded) && !has_active_members(batch, guarded, Some(id))? {
        return Ok(EditAccount::LastMember);
    }
    if let Some(at) = change.new_password_at() {
        sessions::end_of_account(batch, id, spared)?;
        if let Some(spared) = spared {
            sessions::mark_reauthenticated(batch, &spared, at, at)?;
        }
    }
    replace(batch, &change)?;
    mails::enqueue(batch, &new_mails)?;
    Ok(change.into())
}

/// Replaces an account and updates its indexes. Voids tokens and withdraws mails that the change makes
/// invalid.
pub(super) fn replace(batch: &mut WriteBatch<'_>, change: &AccountTransition) -> Result<(), StoreError> {
    let AccountTransition { before, after } = change;
    if change.new_email().is_some() {
        batch.remove(schema::email(&before.email));
        batch.put(schema::email(&after.email), &after.id)?;
    }
    usernames::index(batch, Some(before), after)?;
    for name in before.groups.difference(&after.groups) {
        batch.remove(schema::member(name, after.id));
    }
    for name in after.groups.difference(&before.groups) {
        batch.put(schema::member(name, after.id), &())?;
    }
    admin_queries::index(batch, Some(before), Some(after))?;
    if change.voids_tokens() {
        tokens::void_all(batch, after.id)?;
        mails::withdraw_resets(batch, &before.email)?;
    } else if change.replaces_pending_email() {
        tokens::void(batch, after.id, Purpose::ChangeEmail)?;
    }
    batch.put(schema::account(after.id), after)
}

fn delete(
    batch: &mut WriteBatch<'_>,
    id: AccountId,
    password_changed_at: Option<Timestamp>,
    guarded: &GuardedGroup,
) -> Result<DeleteAccount, StoreError> {
    let Some(account) = batch.read::<Account>(&schema::account(id))? else {
        return Ok(DeleteAccount::Absent);
    };
    if password_changed_at.is_some_and(|at| at != account.password_changed_at) {
        return Ok(DeleteAccount::PasswordChanged);
    }
    if guarded.is_active_member(&account) && !has_active_members(batch, guarded, Some(id))? {
        return Ok(DeleteAccount::LastMember);
    }
    sessions::end_of_account(batch, id, None)?;
    tokens::void_all(batch, id)?;
    access_keys::revoke_of_account(batch, id)?;
    batch.remove(schema::attempts(id));
    for name in &account.groups {
        batch.remove(schema::member(name, id));
    }
    admin_queries::index(batch, Some(&account), None)?;
    batch.remove(schema::email(&account.email));
    usernames::retire_all(batch, &account)?;
    batch.remove(schema::account(id));
    Ok(DeleteAccount::Deleted)
}

/// Returns whether the group has an active member other than `but`.
pub(super) fn has_active_members(
    rows: &impl Rows,
    guarded: &GuardedGroup,
    but: Option<AccountId>,
) -> Result<bool, StoreError> {
    for row in rows.scan(&schema::members(&guarded.group)) {
        let (index, _) = row?;
        let Some(id) = schema::trailing_account(&index) else {
            continue;
        };
        if Some(id) == but {
            continue;
        }
        let member = match rows.indexed(&index, &schema::account(id)) {
            // Nobody can sign in to it, so another one must not leave for its sake.
            Err(StoreError::Corrupt(_)) if but.is_some() => continue,
            member => member?,
        };
        if guarded.is_active_member(&member) {
            return Ok(true);
        }
    }
    Ok(false)
}
