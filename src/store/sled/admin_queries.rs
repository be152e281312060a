//! Administrators' queries for groups, mails and locks, and the index rows behind all of theirs: accounts by
//! search term, status, name and last sign-in, their counts, and mails that are withdrawn with an account's
//! password.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ::sled::IVec;
use async_trait::async_trait;

use super::attempts::Attempts;
use super::engine::Engine;
use super::record::{self, Failures, IndexForm, RowCount, StoredRecord, UnknownFailures};
use super::rows::{Changes, Row, Rows, WriteBatch};
use super::schema::{self, RowKind};
use super::{SledStore, account_pages, mails, usernames};
use crate::ids::{AccountId, MailId};
use crate::model::{Account, LockoutPolicy, QueuedMail};
use crate::store::{AccountFilter, AccountPage, AccountQuery, AdminQueryStore, Locks, StoreError};

/// The version of these index rows. A change rebuilds all of them at the next start.
const FORM: IndexForm = IndexForm(5);

/// Updates an account's index rows from `before` to `after`, and the counts that it is in.
pub(super) fn index(
    batch: &mut WriteBatch<'_>,
    before: Option<&Account>,
    after: Option<&Account>,
) -> Result<(), StoreError> {
    let (old, new) = (before.map(rows_of), after.map(rows_of));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    for key in old.iter().filter(|key| !new.contains(key)) {
        batch.remove(key.clone());
    }
    for key in new.into_iter().filter(|key| !old.contains(key)) {
        batch.put(key, &())?;
    }
    let (old, new) = (before.map(counts_of), after.map(counts_of));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    for key in old.iter().filter(|key| !new.contains(key)) {
        adjust(batch, key, |count| count.saturating_sub(1))?;
    }
    for key in new.iter().filter(|key| !old.contains(key)) {
        adjust(batch, key, |count| count.saturating_add(1))?;
    }
    Ok(())
}

/// Changes a count. One that cannot be read stays so, for `verify` to report: no account is lost by it.
fn adjust(batch: &mut WriteBatch<'_>, key: &[u8], change: impl FnOnce(u64) -> u64) -> Result<(), StoreError> {
    let count = match batch.read::<RowCount>(key) {
        Err(StoreError::Corrupt(_)) => return Ok(()),
        count => count?,
    };
    match change(count.map_or(0, |RowCount(count)| count)) {
        0 => batch.remove(key.to_vec()),
        count => batch.put(key.to_vec(), &RowCount(count))?,
    }
    Ok(())
}

/// The keys of the counts that an account is in: of its status, and of its groups.
pub(super) fn counts_of(account: &Account) -> Vec<Vec<u8>> {
    let groups = account.groups.iter().map(|group| schema::members(group));
    let counted = groups.chain([schema::statuses(account.status)]);
    counted.map(|prefix| schema::count(&prefix)).collect()
}

/// Returns the key of the first index row that an account lacks; `None` if all are there.
pub(super) fn missing(rows: &impl Rows, account: &Account) -> Result<Option<Vec<u8>>, StoreError> {
    for key in rows_of(account) {
        if rows.value(&key)?.is_none() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Returns whether the key is one of the account's index rows.
pub(super) fn is_found_by(account: &Account, key: &[u8]) -> bool {
    rows_of(account).iter().any(|own| own == key)
}

/// The row that holds the version of the index rows.
pub(super) fn form_row() -> Result<Changes, StoreError> {
    Ok([(schema::index_form(), Some(FORM.encode()?.into()))].into())
}

fn rows_of(account: &Account) -> Vec<Vec<u8>> {
    let words = AccountFilter::words(account);
    let mut keys: Vec<_> = words.iter().map(|word| schema::term(word, account.id)).collect();
    keys.push(schema::status(account.status, account.id));
    if account.name.is_some() {
        keys.push(schema::name_order(&AccountFilter::sort_name(account), account.id));
    }
    keys.push(schema::sign_in_order(account.last_sign_in_at, account.id));
    keys
}

/// Rebuilds the index rows of a store that has none or has another version of them.
pub(super) fn build(engine: &Engine) -> Result<(), StoreError> {
    let form = schema::index_form();
    match engine.with(|tree| tree.read::<IndexForm>(&form)) {
        Ok(Some(found)) if found == FORM => return Ok(()),
        // A version that cannot be read counts as missing.
        Ok(_) | Err(StoreError::Corrupt(_)) => {}
        Err(error) => return Err(error),
    }
    // First, so that no program takes what is built halfway for whole.
    engine.commit(&[(form, None)].into())?;
    for kind in [
        RowKind::Term,
        RowKind::Status,
        RowKind::NameOrder,
        RowKind::SignInOrder,
        RowKind::Count,
        RowKind::ResetMail,
    ] {
        pieces(engine, kind, |rows| {
            engine.commit(&rows.iter().map(|(key, _)| (key.to_vec(), None)).collect())
        })?;
    }
    sort_usernames(engine)?;
    let nothing = IVec::from(().encode()?);
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    pieces(engine, RowKind::Account, |rows| {
        let mut changes = Changes::new();
        for (key, value) in rows {
            // `verify` reports accounts that cannot be read.
            let Ok(account) = record::decode::<Account>(key, value) else {
                continue;
            };
            for key in rows_of(&account) {
                changes.insert(key, Some(nothing.clone()));
            }
            for key in counts_of(&account) {
                *counts.entry(key).or_default() += 1;
            }
        }
        engine.commit(&changes)
    })?;
    pieces(engine, RowKind::Mail, |rows| {
        let mails = rows
            .iter()
            .filter_map(|(key, value)| record::decode::<QueuedMail>(key, value).ok());
        let keys = mails.filter_map(|kept| mails::reset_index(&kept.mail));
        engine.commit(&keys.map(|key| (key, Some(nothing.clone()))).collect())
    })?;
    let mut changes = form_row()?;
    for (key, count) in counts {
        changes.insert(key, Some(RowCount(count).encode()?.into()));
    }
    engine.commit(&changes)
}

/// Moves the row of each username to its kind. Rows whose account cannot be read stay where they are.
fn sort_usernames(engine: &Engine) -> Result<(), StoreError> {
    for kind in usernames::KINDS {
        pieces(engine, kind, |rows| {
            let mut changes = Changes::new();
            for (key, value) in rows {
                let wanted = match record::decode::<Option<AccountId>>(key, value) {
                    Ok(Some(id)) => match engine.with(|tree| tree.read::<Account>(&schema::account(id))) {
                        Ok(Some(account)) => usernames::keys_of(&account)
                            .into_iter()
                            .find(|own| own[1..] == key[1..]),
                        _ => None,
                    },
                    Ok(None) => Some(RowKind::OtherUsername.with(&key[1..])),
                    Err(_) => None,
                };
                if let Some(wanted) = wanted.filter(|wanted| *wanted != **key) {
                    changes.insert(key.to_vec(), None);
                    changes.insert(wanted, Some(value.clone()));
                }
            }
            engine.commit(&changes)
        })?;
    }
    Ok(())
}

/// Visits all rows of a kind, a piece at a time. `visit` may write, as no lock is held during it.
fn pieces(
    engine: &Engine,
    kind: RowKind,
    mut visit: impl FnMut(&[Row]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after: Option<IVec> = None;
    loop {
        let mut piece = Vec::new();
        engine.pieces(&kind.prefix(), after.clone(), |_, rows| {
            piece = rows.to_vec();
            Ok(ControlFlow::Break(()))
        })?;
        let Some((last, _)) = piece.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        visit(&piece)?;
    }
}

#[async_trait]
impl AdminQueryStore for SledStore {
    async fn find_accounts(&self, query: AccountQuery) -> Result<AccountPage, StoreError> {
        self.read_all(move |engine| account_pages::find(engine, &query))
            .await
    }

    async fn groups(&self) -> Result<BTreeMap<String, usize>, StoreError> {
        self.read_all(groups).await
    }

    async fn mail(&self, id: MailId) -> Result<Option<QueuedMail>, StoreError> {
        self.read_all(move |engine| engine.with(|tree| tree.read(&schema::mail(id))))
            .await
    }

    async fn locks(&self, policy: LockoutPolicy) -> Result<Locks, StoreError> {
        let attempts = self.open.attempts.clone();
        self.read_all(move |engine| locks(engine, &attempts, policy))
            .await
    }
}

/// Reads the counts of groups. One that names no group, or cannot be read, is for `verify` to tell of.
fn groups(engine: &Engine) -> Result<BTreeMap<String, usize>, StoreError> {
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    engine.pieces(&schema::count(&RowKind::Member.prefix()), None, |_, rows| {
        for (key, value) in rows {
            let name = schema::counted_by(key).and_then(schema::group_of_member);
            if let (Some(name), Ok(count)) = (name, record::decode::<RowCount>(key, value)) {
                groups.insert(name.to_owned(), count.into());
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(groups)
}

fn locks(engine: &Engine, attempts: &Attempts, policy: LockoutPolicy) -> Result<Locks, StoreError> {
    let mut locks = Locks::default();
    engine.pieces(&RowKind::Attempts.prefix(), None, |_, rows| {
        for (key, value) in rows {
            match record::decode::<Failures>(key, value) {
                Ok(failures) => {
                    let left = attempts.left(&failures, policy);
                    locks.accounts.extend(schema::trailing_account(key).zip(left));
                }
                Err(error) => locks.unreadable.push(error.reason()),
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    engine.pieces(&RowKind::KeyAttempts.prefix(), None, |_, rows| {
        for (key, value) in rows {
            match record::decode::<Failures>(key, value) {
                Ok(failures) => {
                    let left = attempts.left(&failures, policy);
                    locks
                        .access_keys
                        .extend(schema::trailing_access_key(key).zip(left));
                }
                Err(error) => locks.unreadable.push(error.reason()),
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let (mut unreadable, mut why) = (0, String::new());
    engine.pieces(&RowKind::Unknown.prefix(), None, |_, rows| {
        for (key, value) in rows {
            match record::decode::<UnknownFailures>(key, value) {
                Ok(name) => locks.unknown += usize::from(attempts.left(&name.failures, policy).is_some()),
                Err(error) => {
                    unreadable += 1;
                    why = error.reason();
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    locks.add_unreadable_names(unreadable, &why);
    Ok(locks)
}
