//! Indexes of accounts by text, of which other indexes hold a part.
//!
//! An account is found by its address, its usernames, and the words of its name; it is sorted by its name or, without one,
//! by its username. Addresses and usernames have indexes of their own, so that only names need further rows. A row of any
//! of these indexes is read as one of the merged index.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use ::sled::{IVec, Tree};

use super::engine::{Engine, PIECE, ScanDirection, end_of};
use super::record;
use super::rows::Row;
use super::schema::{self, RowKind};
use crate::ids::AccountId;
use crate::store::StoreError;

/// No account has this id.
pub(super) const NO_ACCOUNT: AccountId = AccountId::from_bytes([0; 16]);

/// Accounts by search term.
pub(super) const TERMS: MergedIndex = MergedIndex {
    own: RowKind::Term,
    others: &[RowKind::Email, RowKind::Username, RowKind::OtherUsername],
};

/// Accounts in the order of their names, or of the usernames of those without one.
pub(super) const NAMES: MergedIndex = MergedIndex {
    own: RowKind::NameOrder,
    others: &[RowKind::Username],
};

/// An index by text and account, of which other indexes by text hold a part.
pub(super) struct MergedIndex {
    /// The kind of the rows that are its own.
    own: RowKind,
    others: &'static [RowKind],
}

impl MergedIndex {
    /// Scans the rows whose text begins with `text` as [`Engine::pieces_toward`] scans rows. Keys are those of the index's
    /// own rows; the value is empty for a retired username, which no account has.
    pub(super) fn pieces(
        &self,
        engine: &Engine,
        direction: ScanDirection,
        text: &str,
        mut after: Option<IVec>,
        mut visit: impl FnMut(&Tree, &[Row]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            after = engine.with(|tree| {
                let piece = self.piece(tree, direction, text, after.as_deref())?;
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

    fn piece(
        &self,
        tree: &Tree,
        direction: ScanDirection,
        text: &str,
        after: Option<&[u8]>,
    ) -> Result<Piece, StoreError> {
        let comes_before = |a: &[u8], b: &[u8]| match direction {
            ScanDirection::Forward => a < b,
            ScanDirection::Backward => a > b,
        };
        let share = PIECE / (1 + self.others.len());
        let mut piece = Piece::default();
        for &index in [self.own].iter().chain(self.others) {
            let rows = self.read_index(tree, index, direction, text, after, share)?;
            let is_full = rows.len() == share;
            let rows = rows.into_iter().map(|row| self.as_own(index, row));
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

    /// Reads the next rows of one of the indexes, from the text of `after` on.
    fn read_index(
        &self,
        tree: &Tree,
        index: RowKind,
        direction: ScanDirection,
        text: &str,
        after: Option<&[u8]>,
        share: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let prefix = index.with(text.as_bytes());
        let end = end_of(&prefix);
        // The account's id in the position orders the rows of a text, and only the index's own rows have it in their keys.
        let from = after.map(|after| {
            if index == self.own {
                after.to_vec()
            } else {
                index.with(schema::text_before_account(after))
            }
        });
        let whole = (Bound::Included(prefix), end);
        let rows = match (direction, from) {
            (ScanDirection::Forward, from) => {
                let from = from.map_or(whole.0, Bound::Included);
                tree.range((from, whole.1)).take(share).collect::<Result<_, _>>()
            }
            (ScanDirection::Backward, from) => {
                let to = from.map_or(whole.1, Bound::Included);
                tree.range((whole.0, to)).rev().take(share).collect()
            }
        };
        Ok(rows?)
    }

    /// The row as one of the index's own; of [`NO_ACCOUNT`] where it names none, or cannot be read.
    fn as_own(&self, index: RowKind, (key, value): Row) -> Row {
        let account = match index {
            RowKind::Email => record::decode::<AccountId>(&key, &value).map(Some),
            RowKind::Username | RowKind::OtherUsername => record::decode::<Option<AccountId>>(&key, &value),
            _ => return (key, value),
        };
        let own_key = |id| schema::text_and_account(self.own, &key[1..], id).into();
        match account {
            Ok(Some(id)) => (own_key(id), value),
            Ok(None) => (own_key(NO_ACCOUNT), IVec::default()),
            Err(_) => (own_key(NO_ACCOUNT), value),
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
