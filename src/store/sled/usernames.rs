//! The rows of usernames. Each username has one, of either of two kinds, so that no other account can take it (S53).
//!
//! An account without a name is sorted by its username. So the row of that username is of a kind of its own, and the index of
//! accounts by name reads it without passing those of all other usernames.

use super::rows::{Rows, WriteBatch};
use super::schema::RowKind;
use crate::ids::AccountId;
use crate::model::{Account, Username};
use crate::store::StoreError;

/// The kinds of these rows.
pub(super) const KINDS: [RowKind; 2] = [RowKind::Username, RowKind::OtherUsername];

/// Returns the keys of an account's usernames, former ones included.
pub(super) fn keys_of(account: &Account) -> Vec<Vec<u8>> {
    let current = if account.name.is_none() {
        RowKind::Username
    } else {
        RowKind::OtherUsername
    };
    let former = account.former_usernames.iter().map(key_of_other);
    former
        .chain([current.with(account.username.as_str().as_bytes())])
        .collect()
}

/// Returns the key of a username by which no account is sorted.
fn key_of_other(username: &Username) -> Vec<u8> {
    RowKind::OtherUsername.with(username.as_str().as_bytes())
}

/// Returns the keys that the row of a username may have.
pub(super) fn keys(username: &Username) -> [Vec<u8>; 2] {
    KINDS.map(|kind| kind.with(username.as_str().as_bytes()))
}

/// The row of a username.
pub(super) struct UsernameRow {
    pub(super) key: Vec<u8>,
    /// The account; `None` for a retired username.
    pub(super) account: Option<AccountId>,
}

/// Reads the row of a username; `None` if nobody ever had it.
pub(super) fn read(rows: &impl Rows, username: &Username) -> Result<Option<UsernameRow>, StoreError> {
    for key in keys(username) {
        if let Some(account) = rows.read(&key)? {
            return Ok(Some(UsernameRow { key, account }));
        }
    }
    Ok(None)
}

/// Returns whether some account has the username, or once had it.
pub(super) fn is_taken(rows: &impl Rows, username: &Username) -> Result<bool, StoreError> {
    for key in keys(username) {
        if rows.value(&key)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Updates the rows of an account's usernames from `before` to `after`. A username that it no longer has in `after` is a former
/// one there.
pub(super) fn index(
    batch: &mut WriteBatch<'_>,
    before: Option<&Account>,
    after: &Account,
) -> Result<(), StoreError> {
    let (old, new) = (before.map(keys_of).unwrap_or_default(), keys_of(after));
    for key in old.iter().filter(|key| !new.contains(key)) {
        batch.remove(key.clone());
    }
    for key in new.into_iter().filter(|key| !old.contains(key)) {
        batch.put(key, &Some(after.id))?;
    }
    Ok(())
}

/// Retires the usernames of an account that is deleted: they stay taken.
pub(super) fn retire_all(batch: &mut WriteBatch<'_>, account: &Account) -> Result<(), StoreError> {
    for key in keys_of(account) {
        batch.remove(key);
    }
    for username in account.former_usernames.iter().chain([&account.username]) {
        retire(batch, username)?;
    }
    Ok(())
}

/// Makes a username one that nobody can have any more.
pub(super) fn retire(batch: &mut WriteBatch<'_>, username: &Username) -> Result<(), StoreError> {
    batch.put(key_of_other(username), &None::<AccountId>)
}
