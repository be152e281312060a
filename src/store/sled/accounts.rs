//! Accounts, their indexes, and what goes with them.

use std::ops::ControlFlow;

use ::sled::IVec;
use jiff::Timestamp;

use super::engine::Engine;
use super::key::{self, Kind};
use super::record::{self, Record};
use super::rows::{Group, Rows};
use super::{access_keys, inspection, invitations, mails, sessions, tokens};
use crate::ids::AccountId;
use crate::model::{Account, Email, Mail, Purpose, TokenDigest, Username};
use crate::store::rules::Guarded;
use crate::store::{
    AccountEdit, CreateAccount, DeleteAccount, EditAccount, StoreError, UpdateAccount, rules,
};

pub(super) fn create(
    group: &mut Group<'_>,
    account: &Account,
    invitation: Option<TokenDigest>,
    verified_only: bool,
    new_mails: &[Mail],
    now: Timestamp,
) -> Result<CreateAccount, StoreError> {
    // Whoever has no good invitation is not told which addresses and usernames exist.
    if let Some(digest) = invitation
        && !invitations::serves(group, &digest, &account.email, verified_only, now)?
    {
        return Ok(CreateAccount::InvitationVoid);
    }
    if group.value(&key::email(&account.email))?.is_some() {
        return Ok(CreateAccount::EmailTaken);
    }
    if group.value(&key::username(&account.username))?.is_some() {
        return Ok(CreateAccount::UsernameTaken);
    }
    if group.value(&key::account(account.id))?.is_some() {
        return Err(StoreError::Unavailable(
            "the new account's id is taken".to_owned(),
        ));
    }
    if let Some(digest) = invitation {
        invitations::remove(group, &digest)?;
    }
    insert(group, account)?;
    mails::enqueue(group, new_mails)?;
    Ok(CreateAccount::Created)
}

pub(super) fn create_all(
    group: &mut Group<'_>,
    accounts: &[Account],
) -> Result<Vec<CreateAccount>, StoreError> {
    let create = |account: &Account| create(group, account, None, false, &[], account.created_at);
    accounts.iter().map(create).collect()
}

/// Keeps an account that is new, with all that it is found by.
pub(super) fn insert(group: &mut Group<'_>, account: &Account) -> Result<(), StoreError> {
    group.put(key::account(account.id), account)?;
    group.put(key::email(&account.email), &account.id)?;
    for username in account.former_usernames.iter().chain([&account.username]) {
        group.put(key::username(username), &Some(account.id))?;
    }
    for name in &account.groups {
        group.put(key::member(name, account.id), &())?;
    }
    inspection::index(group, None, Some(account))
}

pub(super) fn by_email(rows: &impl Rows, email: &Email) -> Result<Option<Account>, StoreError> {
    let index = key::email(email);
    let id: Option<AccountId> = rows.read(&index)?;
    id.map(|id| rows.indexed(&index, &key::account(id))).transpose()
}

pub(super) fn by_username(rows: &impl Rows, username: &Username) -> Result<Option<Account>, StoreError> {
    let index = key::username(username);
    let Some(id) = rows.read::<Option<AccountId>>(&index)?.flatten() else {
        return Ok(None);
    };
    let owner: Account = rows.indexed(&index, &key::account(id))?;
    Ok(Some(owner).filter(|owner| owner.username == *username))
}

/// The accounts in a group, in the order of their ids.
pub(super) fn members(rows: &impl Rows, name: &str) -> Result<Vec<Account>, StoreError> {
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
pub(super) fn list(engine: &Engine, after: Option<IVec>, limit: usize) -> Result<Vec<Account>, StoreError> {
    let mut accounts = Vec::new();
    engine.pieces(&Kind::Account.prefix(), after, |_, rows| {
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
pub(super) fn update(
    group: &mut Group<'_>,
    expected: &Account,
    changed: Account,
    guarded: &Guarded,
    spared: Option<TokenDigest>,
) -> Result<UpdateAccount, StoreError> {
    let Some(current) = group.read::<Account>(&key::account(expected.id))? else {
        return Ok(UpdateAccount::Changed);
    };
    // As rows, because two spellings of an address are equal as values.
    if current.encode()? != expected.encode()? {
        return Ok(UpdateAccount::Changed);
    }
    Ok(change(group, current, changed, guarded, &[], spared)?.into())
}

/// Applies an edit to an account as it is; a new password ends its sessions, except `spared`.
pub(super) fn edit(
    group: &mut Group<'_>,
    id: AccountId,
    edit: &AccountEdit,
    guarded: &Guarded,
    spared: Option<TokenDigest>,
) -> Result<EditAccount, StoreError> {
    let Some(current) = group.read::<Account>(&key::account(id))? else {
        return Ok(EditAccount::Absent);
    };
    let mut changed = current.clone();
    match edit(&mut changed) {
        Some(new_mails) => change(group, current, changed, guarded, &new_mails, spared),
        None => Ok(EditAccount::Refused),
    }
}

fn change(
    group: &mut Group<'_>,
    current: Account,
    mut changed: Account,
    guarded: &Guarded,
    new_mails: &[Mail],
    spared: Option<TokenDigest>,
) -> Result<EditAccount, StoreError> {
    changed.id = current.id;
    rules::void_pending_email(&current, &mut changed);
    changed.former_usernames.clone_from(&current.former_usernames);
    if changed.username != current.username {
        let owner = group.read::<Option<AccountId>>(&key::username(&changed.username))?;
        if owner.is_some_and(|owner| owner != Some(changed.id)) {
            return Ok(EditAccount::UsernameTaken(changed.username));
        }
        changed
            .former_usernames
            .retain(|former| *former != changed.username);
        changed.former_usernames.push(current.username.clone());
    }
    if changed.email != current.email && group.value(&key::email(&changed.email))?.is_some() {
        return Ok(EditAccount::EmailTaken(changed.email));
    }
    let stays = guarded.is_active_member(&changed);
    if !stays && is_last_active_member(group, &current, guarded)? {
        return Ok(EditAccount::LastMember);
    }
    if changed.password_changed_at != current.password_changed_at {
        sessions::end_of_account(group, changed.id, spared)?;
        if let Some(spared) = spared {
            let at = changed.password_changed_at;
            sessions::prove(group, &spared, at, at)?;
        }
    }
    replace(group, &current, &changed)?;
    mails::enqueue(group, new_mails)?;
    Ok(EditAccount::Edited {
        before: Box::new(current),
        after: Box::new(changed),
    })
}

/// Writes an account in place of what it was, and its indexes. If it has a new password or address, its tokens are void and
/// mails that would get one are withdrawn; the one that moves it, if another change of the address is pending, or none.
pub(super) fn replace(group: &mut Group<'_>, current: &Account, changed: &Account) -> Result<(), StoreError> {
    if changed.email != current.email {
        group.remove(key::email(&current.email));
        group.put(key::email(&changed.email), &changed.id)?;
    }
    if changed.username != current.username {
        // The row of the former one stays: it is the account's for ever.
        group.put(key::username(&changed.username), &Some(changed.id))?;
    }
    for name in current.groups.difference(&changed.groups) {
        group.remove(key::member(name, current.id));
    }
    for name in changed.groups.difference(&current.groups) {
        group.put(key::member(name, changed.id), &())?;
    }
    inspection::index(group, Some(current), Some(changed))?;
    if rules::voids_tokens(current, changed) {
        tokens::void_all(group, changed.id)?;
        mails::withdraw_resets(group, &current.email)?;
    } else if changed.pending_email != current.pending_email {
        tokens::void(group, changed.id, Purpose::ChangeEmail)?;
    }
    group.put(key::account(changed.id), changed)
}

pub(super) fn delete(
    group: &mut Group<'_>,
    id: AccountId,
    guarded: &Guarded,
) -> Result<DeleteAccount, StoreError> {
    let Some(account) = group.read::<Account>(&key::account(id))? else {
        return Ok(DeleteAccount::Absent);
    };
    if is_last_active_member(group, &account, guarded)? {
        return Ok(DeleteAccount::LastMember);
    }
    sessions::end_of_account(group, id, None)?;
    tokens::void_all(group, id)?;
    access_keys::revoke_of_account(group, id)?;
    group.remove(key::attempts(id));
    for name in &account.groups {
        group.remove(key::member(name, id));
    }
    inspection::index(group, Some(&account), None)?;
    group.remove(key::email(&account.email));
    // Never given to another account.
    for username in account.former_usernames.iter().chain([&account.username]) {
        group.put(key::username(username), &None)?;
    }
    group.remove(key::account(id));
    Ok(DeleteAccount::Deleted)
}

fn is_last_active_member(rows: &impl Rows, account: &Account, guarded: &Guarded) -> Result<bool, StoreError> {
    Ok(guarded.is_active_member(account) && !has_active_members(rows, guarded, Some(account.id))?)
}

/// Whether anybody is in the group who may sign in, other than `but`.
pub(super) fn has_active_members(
    rows: &impl Rows,
    guarded: &Guarded,
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
