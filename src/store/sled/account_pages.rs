//! Pages of accounts: which index a page is read along, and how far.
//!
//! An order is an index, read in either direction from a cursor, which is a key of that index. A search that
//! finds few is read whole instead and sorted by the same keys, so that a cursor of either way serves both.

use std::ops::ControlFlow;

use ::sled::{IVec, Tree};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::engine::{Engine, ScanDirection};
use super::merged_index::{self, NAMES, TERMS};
use super::record::{self, RowCount};
use super::rows::{Row, Rows};
use super::schema::{self, RowKind};
use crate::ids::AccountId;
use crate::model::{Account, AccountStatus};
use crate::store::admin_queries::FEW;
use crate::store::{AccountFilter, AccountPage, AccountQuery, AccountSort, StoreError};

/// Rows that one call examines, at most: some tens of milliseconds.
const LOOKS: usize = 5_000;

/// An index of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AccountIndex {
    /// By search terms that begin with this text.
    Term(String),
    Status(AccountStatus),
    Group(String),
    Created,
    Email,
    Name,
    LastSignIn,
}

impl AccountIndex {
    /// The index that a filter narrows most; none if it narrows none.
    fn narrowing(engine: &Engine, filter: &AccountFilter) -> Result<Option<Self>, StoreError> {
        if let Some(text) = filter.prefix() {
            return Ok(Some(Self::Term(text)));
        }
        let (status, group) = (
            filter.status.map(Self::Status),
            filter.group.clone().map(Self::Group),
        );
        Ok(match (status, group) {
            (Some(status), Some(group)) => {
                let counts = (status.count(engine)?, group.count(engine)?);
                let status_is_less = matches!(counts, (Some(status), Some(group)) if status < group);
                Some(if status_is_less { status } else { group })
            }
            (status, group) => status.or(group),
        })
    }

    /// The index whose order a query asks for: the same for all its pages, however the store changes meanwhile.
    fn ordering(query: &AccountQuery) -> Self {
        let filter = &query.filter;
        match (query.order.map(|order| order.by), filter.prefix()) {
            (Some(AccountSort::Email), _) => Self::Email,
            (Some(AccountSort::Name), _) => Self::Name,
            (Some(AccountSort::LastSignIn), _) => Self::LastSignIn,
            (None, Some(text)) => Self::Term(text),
            (Some(AccountSort::Created), Some(_)) => Self::Created,
            // Those of a group or a status are in the order of creation.
            (_, None) => match (&filter.group, filter.status) {
                (Some(group), _) => Self::Group(group.clone()),
                (None, Some(status)) => Self::Status(status),
                (None, None) => Self::Created,
            },
        }
    }

    /// Scans its rows as [`Engine::pieces_toward`] does.
    fn pieces(
        &self,
        engine: &Engine,
        direction: ScanDirection,
        from: Option<IVec>,
        visit: impl FnMut(&Tree, &[Row]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Term(text) => TERMS.pieces(engine, direction, text, from, visit),
            Self::Name => NAMES.pieces(engine, direction, "", from, visit),
            _ => engine.pieces_toward(direction, &self.prefix(), from, visit),
        }
    }

    /// The prefix of its rows.
    fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Term(text) => schema::terms(text),
            Self::Status(status) => schema::statuses(*status),
            Self::Group(group) => schema::members(group),
            Self::Created => RowKind::Account.prefix(),
            Self::Email => RowKind::Email.prefix(),
            Self::Name => RowKind::NameOrder.prefix(),
            Self::LastSignIn => RowKind::SignInOrder.prefix(),
        }
    }

    /// The key of an account's row; of several terms, the first. `None` if it has none.
    fn key_of(&self, account: &Account) -> Option<Vec<u8>> {
        let id = account.id;
        Some(match self {
            Self::Term(text) => {
                let mut terms = AccountFilter::terms(account).into_iter();
                schema::term(&terms.find(|term| term.starts_with(text))?, id)
            }
            Self::Status(status) => schema::status(*status, id),
            Self::Group(group) => schema::member(group, id),
            Self::Created => schema::account(id),
            Self::Email => schema::email(&account.email),
            Self::Name => schema::name_order(&AccountFilter::sort_name(account), id),
            Self::LastSignIn => schema::sign_in_order(account.last_sign_in_at, id),
        })
    }

    /// How many accounts it holds, as the store keeps count; `None` where it does not, or cannot be read.
    fn count(&self, engine: &Engine) -> Result<Option<usize>, StoreError> {
        if !matches!(self, Self::Status(_) | Self::Group(_)) {
            return Ok(None);
        }
        let read = engine.with(|tree| tree.read::<RowCount>(&schema::count(&self.prefix())));
        match read {
            Ok(count) => Ok(Some(count.map_or(0, usize::from))),
            Err(StoreError::Corrupt(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether it holds few rows.
    fn is_small(&self, engine: &Engine) -> Result<bool, StoreError> {
        if let Some(count) = self.count(engine)? {
            return Ok(count <= FEW);
        }
        let mut count = 0;
        self.pieces(engine, ScanDirection::Forward, None, |_, rows| {
            count += rows.len();
            Ok(if count > FEW {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok(count <= FEW)
    }
}

/// Where a page begins.
enum PageStart {
    First,
    After(Vec<u8>),
    Before(Vec<u8>),
}

impl PageStart {
    /// Reads the cursor of a query, which must be one of the index with this prefix.
    fn of(query: &AccountQuery, prefix: &[u8]) -> Result<Self, StoreError> {
        let key = |cursor: &str| {
            let key = URL_SAFE_NO_PAD.decode(cursor).ok();
            key.filter(|key| key.starts_with(prefix))
                .ok_or(StoreError::UnknownCursor)
        };
        Ok(match (&query.after, &query.before) {
            (Some(after), _) => Self::After(key(after)?),
            (None, Some(before)) => Self::Before(key(before)?),
            (None, None) => Self::First,
        })
    }
}

/// Reads a page.
pub(super) fn find(engine: &Engine, query: &AccountQuery) -> Result<AccountPage, StoreError> {
    let narrowing = AccountIndex::narrowing(engine, &query.filter)?;
    let ordering = AccountIndex::ordering(query);
    let start = PageStart::of(query, &ordering.prefix())?;
    match &narrowing {
        Some(narrowing) if needs_sorting(query, narrowing, &ordering) && narrowing.is_small(engine)? => {
            sort(engine, query, narrowing, &ordering, &start)
        }
        _ => {
            let page = scan(engine, query, &ordering, &start)?;
            let total = total(engine, &query.filter)?;
            Ok(AccountPage { total, ..page })
        }
    }
}

/// Whether the index that a query narrows has neither its order nor its number.
fn needs_sorting(query: &AccountQuery, narrowing: &AccountIndex, ordering: &AccountIndex) -> bool {
    let filter = &query.filter;
    let is_counted = filter.prefix().is_none()
        && filter.inactive_since.is_none()
        && (filter.status.is_none() || filter.group.is_none());
    narrowing != ordering || !is_counted
}

/// The number of accounts that match, where it is kept.
fn total(engine: &Engine, filter: &AccountFilter) -> Result<Option<usize>, StoreError> {
    if filter.prefix().is_some() || filter.inactive_since.is_some() {
        return Ok(None);
    }
    match (filter.status, &filter.group) {
        (Some(status), None) => AccountIndex::Status(status).count(engine),
        (None, Some(group)) => AccountIndex::Group(group.clone()).count(engine),
        (Some(_), Some(_)) => Ok(None),
        (None, None) => {
            let mut total = Some(0);
            for status in AccountStatus::ALL {
                let count = AccountIndex::Status(*status).count(engine)?;
                total = total.zip(count).map(|(total, count)| total + count);
            }
            Ok(total)
        }
    }
}

/// Reads a page along the index of its order.
fn scan(
    engine: &Engine,
    query: &AccountQuery,
    ordering: &AccountIndex,
    start: &PageStart,
) -> Result<AccountPage, StoreError> {
    let descends = query.order.is_some_and(|order| order.descending);
    let (from, backward) = match start {
        PageStart::First => (None, false),
        PageStart::After(key) => (Some(key), false),
        PageStart::Before(key) => (Some(key), true),
    };
    let direction = if descends == backward {
        ScanDirection::Forward
    } else {
        ScanDirection::Backward
    };
    let from_key = from.map(|key| IVec::from(key.as_slice()));
    let text = query.filter.prefix();
    let mut page = AccountPage::default();
    let (mut looked, mut has_more) = (0, false);
    let (mut first, mut last): (Option<IVec>, Option<IVec>) = (None, None);
    ordering.pieces(engine, direction, from_key, |tree, rows| {
        for row in rows {
            if page.accounts.len() == query.limit || looked == LOOKS {
                has_more = true;
                return Ok(ControlFlow::Break(()));
            }
            looked += 1;
            first.get_or_insert_with(|| row.0.clone());
            last = Some(row.0.clone());
            let account = match account_at(tree, row) {
                Err(StoreError::Corrupt(why)) => {
                    if !page.unreadable.contains(&why) {
                        page.unreadable.push(why);
                    }
                    continue;
                }
                found => found?,
            };
            let Some(account) = account else { continue };
            // Listed once, under its first term, or by its name.
            let is_listed_here = match ordering {
                AccountIndex::Term(_) | AccountIndex::Name => {
                    ordering.key_of(&account).is_some_and(|key| row.0 == key)
                }
                _ => true,
            };
            let is_meant = text.as_deref().is_none_or(|text| is_called(&account, text));
            if is_listed_here && is_meant && query.filter.passes(&account) {
                page.accounts.push(account);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let first = first.map(|key| key.to_vec()).or_else(|| from.cloned());
    let last = last.filter(|_| has_more).map(|key| key.to_vec());
    (page.previous, page.next) = if backward {
        page.accounts.reverse();
        page.unreadable.reverse();
        (last.map(cursor), first.map(cursor))
    } else {
        (first.filter(|_| from.is_some()).map(cursor), last.map(cursor))
    };
    Ok(page)
}

/// Reads all that a search finds, sorts it and cuts the page out of it.
fn sort(
    engine: &Engine,
    query: &AccountQuery,
    narrowing: &AccountIndex,
    ordering: &AccountIndex,
    start: &PageStart,
) -> Result<AccountPage, StoreError> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    narrowing.pieces(engine, ScanDirection::Forward, None, |tree, rows| {
        for row in rows {
            match account_at(tree, row) {
                Err(StoreError::Corrupt(why)) => unreadable.push(why),
                account => {
                    let Some(account) = account? else { continue };
                    // Of several terms, an account is found by the first.
                    let is_first = narrowing.key_of(&account).is_some_and(|key| row.0 == key);
                    if is_first
                        && query.filter.passes(&account)
                        && let Some(key) = ordering.key_of(&account)
                    {
                        found.push((key, account));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let descends = query.order.is_some_and(|order| order.descending);
    if descends {
        found.reverse();
    }
    let total = found.len();
    let precedes = |key: &Vec<u8>, of: &Vec<u8>| if descends { key > of } else { key < of };
    let begin = match start {
        PageStart::First => 0,
        PageStart::After(after) => found.partition_point(|(key, _)| !precedes(after, key)),
        PageStart::Before(before) => {
            let end = found.partition_point(|(key, _)| precedes(key, before));
            found.truncate(end);
            end.saturating_sub(query.limit)
        }
    };
    let end = found.len().min(begin.saturating_add(query.limit));
    let goes_on = match start {
        PageStart::Before(_) => true,
        PageStart::First | PageStart::After(_) => end < found.len(),
    };
    let key_at = |at: usize| found.get(at).map(|(key, _)| cursor(key.clone()));
    let previous = if begin > 0 { key_at(begin) } else { None };
    let next = match end.checked_sub(1) {
        Some(last) if goes_on => key_at(last),
        _ => None,
    };
    let accounts = found.drain(..end).skip(begin).map(|(_, account)| account);
    Ok(AccountPage {
        accounts: accounts.collect(),
        // Told once, whatever page of the search they would be on.
        unreadable: if matches!(start, PageStart::First) {
            unreadable
        } else {
            Vec::new()
        },
        next,
        previous,
        total: Some(total),
    })
}

fn cursor(key: Vec<u8>) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// Whether one of the account's search terms begins with the text.
fn is_called(account: &Account, text: &str) -> bool {
    AccountFilter::terms(account)
        .iter()
        .any(|term| term.starts_with(text))
}

/// The account of an index row, or of its own; `None` for a retired username.
fn account_at(tree: &Tree, (key, value): &Row) -> Result<Option<Account>, StoreError> {
    let id = match RowKind::of(key) {
        Some(RowKind::Account) => return record::decode(key, value).map(Some),
        Some(RowKind::Email) => Some(record::decode::<AccountId>(key, value)?),
        Some(RowKind::Term | RowKind::NameOrder) if value.is_empty() => return Ok(None),
        _ => schema::trailing_account(key),
    };
    match id {
        Some(id) if id == merged_index::NO_ACCOUNT => Err(StoreError::Corrupt(format!(
            "the account called {} cannot be told: its index row cannot be read",
            String::from_utf8_lossy(schema::text_before_account(key)).escape_debug()
        ))),
        Some(id) => tree.indexed(key, &schema::account(id)).map(Some),
        None => Err(StoreError::Corrupt(format!(
            "{} names no account",
            record::name(key)
        ))),
    }
}
