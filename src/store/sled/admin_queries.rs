//! Looking for accounts and locks. What accounts are found by, and where they stand, are rows of their own, as is which
//! mails are withdrawn with an account's password.

use std::ops::ControlFlow;

use ::sled::{IVec, Tree};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::SledStore;
use super::attempts::Attempts;
use super::engine::Engine;
use super::key::{self, RowKind};
use super::mails;
use super::record::{self, Failures, IndexForm, StoredRecord, UnknownFailures};
use super::rows::{Changes, Row, Rows, WriteBatch};
use crate::ids::MailId;
use crate::model::{Account, AccountStatus, LockoutPolicy, QueuedMail};
use crate::store::{AccountFilter, AccountPage, AdminQueryStore, Locks, StoreError};

/// Accounts that one call looks at, at most: some tens of milliseconds.
const LOOKS: usize = 5_000;

/// The form of the rows that accounts, and mails that may be withdrawn, are found by. Another number has all of them
/// written anew at the next start.
const FORM: IndexForm = IndexForm(1);

/// Has an account found where it is now, and no longer where it was.
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
    Ok(())
}

/// Whether all rows are there that an account is found by.
pub(super) fn missing(rows: &impl Rows, account: &Account) -> Result<Option<Vec<u8>>, StoreError> {
    for key in rows_of(account) {
        if rows.value(&key)?.is_none() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Whether an account is found by the row with this key.
pub(super) fn is_found_by(account: &Account, key: &[u8]) -> bool {
    rows_of(account).iter().any(|own| own == key)
}

/// The row that says in which form the others are.
pub(super) fn form_row() -> Result<Changes, StoreError> {
    Ok([(key::index_form(), Some(FORM.encode()?.into()))].into())
}

fn rows_of(account: &Account) -> Vec<Vec<u8>> {
    let terms = AccountFilter::terms(account);
    let mut keys: Vec<_> = terms.iter().map(|term| key::term(term, account.id)).collect();
    keys.push(key::status(account.status, account.id));
    keys
}

/// Writes the rows for accounts and mails of a store that was made before there were any, or that has them in another form.
pub(super) fn build(engine: &Engine) -> Result<(), StoreError> {
    let form = key::index_form();
    match engine.with(|tree| tree.read::<IndexForm>(&form)) {
        Ok(Some(found)) if found == FORM => return Ok(()),
        // What cannot be read is written anew like what is not there.
        Ok(_) | Err(StoreError::Corrupt(_)) => {}
        Err(error) => return Err(error),
    }
    for kind in [RowKind::Term, RowKind::Status, RowKind::ResetMail] {
        pieces(engine, kind, |rows| {
            engine.commit(&rows.iter().map(|(key, _)| (key.to_vec(), None)).collect())
        })?;
    }
    let nothing = IVec::from(().encode()?);
    pieces(engine, RowKind::Account, |rows| {
        let mut changes = Changes::new();
        for (key, value) in rows {
            // One that cannot be read is for `verify` to tell of.
            let Ok(account) = record::decode::<Account>(key, value) else {
                continue;
            };
            for key in rows_of(&account) {
                changes.insert(key, Some(nothing.clone()));
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
    engine.commit(&form_row()?)
}

/// All rows of a kind, a piece at a time, between which rows may be written.
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
    async fn find_accounts(
        &self,
        filter: AccountFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<AccountPage, StoreError> {
        let after = after.and_then(|after| URL_SAFE_NO_PAD.decode(after).ok());
        self.read_all(move |engine| find(engine, &filter, after, limit))
            .await
    }

    async fn mail(&self, id: MailId) -> Result<Option<QueuedMail>, StoreError> {
        self.read_all(move |engine| engine.with(|tree| tree.read(&key::mail(id))))
            .await
    }

    async fn locks(&self, policy: LockoutPolicy) -> Result<Locks, StoreError> {
        let attempts = self.open.attempts.clone();
        self.read_all(move |engine| locks(engine, &attempts, policy))
            .await
    }
}

/// Reads along the rows of which the filter leaves the fewest.
fn find(
    engine: &Engine,
    filter: &AccountFilter,
    after: Option<Vec<u8>>,
    limit: usize,
) -> Result<AccountPage, StoreError> {
    let text = filter.prefix();
    let prefix = match (&text, filter.status, &filter.group) {
        (Some(text), _, _) => key::terms(text),
        (None, Some(status), None) => key::statuses(status),
        (None, Some(status), Some(_)) if status != AccountStatus::Active => key::statuses(status),
        (None, _, Some(group)) => key::members(group),
        (None, None, None) => RowKind::Account.prefix(),
    };
    // One of another search leads nowhere.
    let after = after.filter(|after| after.starts_with(&prefix)).map(IVec::from);
    let (mut page, mut looked, mut last) = (AccountPage::default(), 0, None);
    let mut has_more = false;
    engine.pieces(&prefix, after, |tree, rows| {
        for (key, value) in rows {
            if page.accounts.len() == limit || looked == LOOKS {
                has_more = true;
                return Ok(ControlFlow::Break(()));
            }
            looked += 1;
            last = Some(key.clone());
            let account = match account_at(tree, key, value) {
                Err(StoreError::Corrupt(why)) => {
                    page.unreadable.push(why);
                    continue;
                }
                found => found?,
            };
            let is_first = text.as_deref().is_none_or(|text| {
                first_term(&account, text).is_some_and(|term| key == &key::term(&term, account.id))
            });
            if is_first && filter.passes(&account) {
                page.accounts.push(account);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    page.next = last.filter(|_| has_more).map(|key| URL_SAFE_NO_PAD.encode(key));
    Ok(page)
}

fn account_at(tree: &Tree, key: &IVec, value: &IVec) -> Result<Account, StoreError> {
    if RowKind::of(key) == Some(RowKind::Account) {
        return record::decode(key, value);
    }
    match key::trailing_account(key) {
        Some(id) => tree.indexed(key, &key::account(id)),
        None => Err(StoreError::Corrupt(format!(
            "{} names no account",
            record::name(key)
        ))),
    }
}

/// An account that is found by several of its terms is shown by the first of them.
fn first_term(account: &Account, text: &str) -> Option<String> {
    AccountFilter::terms(account)
        .into_iter()
        .find(|term| term.starts_with(text))
}

fn locks(engine: &Engine, attempts: &Attempts, policy: LockoutPolicy) -> Result<Locks, StoreError> {
    let mut locks = Locks::default();
    engine.pieces(&RowKind::Attempts.prefix(), None, |_, rows| {
        for (key, value) in rows {
            let failures: Failures = record::decode(key, value)?;
            if let (Some(left), Some(id)) = (attempts.left(&failures, policy), key::trailing_account(key)) {
                locks.accounts.push((id, left));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    engine.pieces(&RowKind::KeyAttempts.prefix(), None, |_, rows| {
        for (key, value) in rows {
            let failures: Failures = record::decode(key, value)?;
            if let (Some(left), Some(id)) = (attempts.left(&failures, policy), key::trailing_access_key(key))
            {
                locks.access_keys.push((id, left));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    engine.pieces(&RowKind::Unknown.prefix(), None, |_, rows| {
        for (key, value) in rows {
            let name: UnknownFailures = record::decode(key, value)?;
            locks.unknown += usize::from(attempts.left(&name.failures, policy).is_some());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(locks)
}
