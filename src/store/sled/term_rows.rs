//! Accounts by search term: the rows of three indexes in one order.
//!
//! An account is found by its address, its usernames, and the words of its name. Addresses and usernames have indexes of
//! their own, so that only the words need rows of [`RowKind::Term`]; a row of any of the three is read as one of these.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use ::sled::{IVec, Tree};

use super::engine::{Engine, PIECE, ScanDirection, end_of};
use super::record;
use super::rows::Row;
use super::schema::{self, RowKind};
use crate::ids::AccountId;
use crate::store::StoreError;

/// Rows of one index in a piece.
const SHARE: usize = PIECE / INDEXES.len();

/// No account has this id.
pub(super) const NO_ACCOUNT: AccountId = AccountId::from_bytes([0; 16]);

const INDEXES: [RowKind; 3] = [RowKind::Email, RowKind::Username, RowKind::Term];

/// Scans the terms that begin with `text` as [`Engine::pieces_toward`] scans rows. Keys are those of [`schema::term`]; the
/// value is empty for a retired username, which no account has.
pub(super) fn pieces(
    engine: &Engine,
    direction: ScanDirection,
    text: &str,
    mut after: Option<IVec>,
    mut visit: impl FnMut(&Tree, &[Row]) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    loop {
        after = engine.with(|tree| {
            let piece = Piece::read(tree, direction, text, after.as_deref())?;
            let rows: Vec<Row> = match direction {
                ScanDirection::Forward => piece.rows.into_iter().collect(),
                ScanDirection::Backward => piece.rows.into_iter().rev().collect(),
            };
            let goes_on = visit(tree, &rows)?.is_continue();
            Ok(piece.until.filter(|_| goes_on))
        })?;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The rows of all indexes up to a position.
#[derive(Default)]
struct Piece {
    rows: BTreeMap<IVec, IVec>,
    /// The position up to which all rows are here; `None` if there are no more.
    until: Option<IVec>,
}

impl Piece {
    fn read(
        tree: &Tree,
        direction: ScanDirection,
        text: &str,
        after: Option<&[u8]>,
    ) -> Result<Self, StoreError> {
        let comes_before = |a: &[u8], b: &[u8]| match direction {
            ScanDirection::Forward => a < b,
            ScanDirection::Backward => a > b,
        };
        let mut piece = Self::default();
        for index in INDEXES {
            let rows = read_index(tree, index, direction, text, after)?;
            let is_full = rows.len() == SHARE;
            let rows = rows.into_iter().map(|row| as_term(index, row));
            let rows: Vec<Row> = rows
                .filter(|(key, _)| after.is_none_or(|after| comes_before(after, key)))
                .collect();
            if is_full
                && let Some((last, _)) = rows.last()
                && piece
                    .until
                    .as_deref()
                    .is_none_or(|until| comes_before(last, until))
            {
                piece.until = Some(last.clone());
            }
            piece.rows.extend(rows);
        }
        if let Some(until) = &piece.until {
            piece.rows.retain(|key, _| !comes_before(until, key));
        }
        Ok(piece)
    }
}

/// Reads the next rows of an index, from the term of `after` on.
fn read_index(
    tree: &Tree,
    index: RowKind,
    direction: ScanDirection,
    text: &str,
    after: Option<&[u8]>,
) -> Result<Vec<Row>, StoreError> {
    let prefix = index.with(text.as_bytes());
    let end = end_of(&prefix);
    // The account's id in the position orders the rows of a term, and only `Term` has it in its key.
    let from = after.map(|after| match index {
        RowKind::Term => after.to_vec(),
        _ => index.with(schema::text_of_term(after)),
    });
    let whole = (Bound::Included(prefix), end);
    let rows = match (direction, from) {
        (ScanDirection::Forward, from) => {
            let from = from.map_or(whole.0, Bound::Included);
            tree.range((from, whole.1)).take(SHARE).collect::<Result<_, _>>()
        }
        (ScanDirection::Backward, from) => {
            let to = from.map_or(whole.1, Bound::Included);
            tree.range((whole.0, to)).rev().take(SHARE).collect()
        }
    };
    Ok(rows?)
}

/// The row as one of [`RowKind::Term`]; of [`NO_ACCOUNT`] where it names none, or cannot be read.
fn as_term(index: RowKind, (key, value): Row) -> Row {
    let term = &key[1..];
    let account = match index {
        RowKind::Email => record::decode::<AccountId>(&key, &value).map(Some),
        RowKind::Username => record::decode::<Option<AccountId>>(&key, &value),
        _ => return (key, value),
    };
    match account {
        Ok(Some(id)) => (schema::term(term, id).into(), value),
        Ok(None) => (schema::term(term, NO_ACCOUNT).into(), IVec::default()),
        Err(_) => (schema::term(term, NO_ACCOUNT).into(), value),
    }
}
