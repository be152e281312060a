//! Reading of rows, and the write batch in which operations change them.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use ::sled::{IVec, Tree};

use super::engine::Engine;
use super::record::{self, StoredRecord};
use super::schema::{self, RowKind};
use crate::ids::AccountId;
use crate::store::{LoadedRows, StoreError, UnreadableRow};

/// A row: key and value.
pub(super) type Row = (IVec, IVec);

/// Rows to read: those of the tree, or those of a write batch on top of it.
pub(super) trait Rows {
    /// The value of a row; `None` if there is no such row.
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, StoreError>;

    /// The rows whose keys begin with `prefix`, each once, in no particular order.
    fn scan<'a>(&'a self, prefix: &[u8]) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a>;

    /// The first row by key of those that begin with `prefix`.
    fn first(&self, prefix: &[u8]) -> Result<Option<Row>, StoreError>;

    /// Decodes a row; `None` if there is no such row.
    fn read<T: StoredRecord>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let value = self.value(key)?;
        value.map(|value| record::decode(key, &value)).transpose()
    }

    /// Decodes the row that an index row points to; a missing one is [`StoreError::Corrupt`].
    fn indexed<T: StoredRecord>(&self, index: &[u8], key: &[u8]) -> Result<T, StoreError> {
        self.read(key)?.ok_or_else(|| {
            StoreError::Corrupt(format!(
                "{} points to {}, which is missing",
                record::name(index),
                record::name(key)
            ))
        })
    }
}

impl Rows for Tree {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        Ok(self.get(key)?)
    }

    fn scan<'a>(&'a self, prefix: &[u8]) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        Box::new(self.scan_prefix(prefix).map(|row| Ok(row?)))
    }

    fn first(&self, prefix: &[u8]) -> Result<Option<Row>, StoreError> {
        self.scan(prefix).next().transpose()
    }
}

/// Loads every row of a kind. The owner of an unreadable row is looked up in the index by account.
pub(super) fn load<T: StoredRecord>(
    engine: &Engine,
    kind: RowKind,
    index: RowKind,
) -> Result<LoadedRows<T>, StoreError> {
    let mut loaded = LoadedRows::default();
    let mut owners: HashMap<Vec<u8>, Option<AccountId>> = HashMap::new();
    let mut unreadable = Vec::new();
    engine.pieces(&kind.prefix(), None, |_, rows| {
        for (key, value) in rows {
            match record::decode(key, value) {
                Ok(row) => loaded.sound.push(row),
                Err(error) => {
                    owners.insert(key[1..].to_vec(), None);
                    unreadable.push((key.clone(), error));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if !owners.is_empty() {
        engine.pieces(&index.prefix(), None, |_, rows| {
            for (account, name) in rows.iter().filter_map(|(key, _)| schema::account_and_name(key)) {
                if let Some(owner) = owners.get_mut(name) {
                    *owner = Some(account);
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let rows = unreadable.into_iter().map(|(key, error)| UnreadableRow {
        account: owners.get(&key[1..]).copied().flatten(),
        error,
    });
    loaded.unreadable.extend(rows);
    Ok(loaded)
}

/// The changes of a group of operations on top of the tree, read as they will be once written.
///
/// Operations run one after another; each sees the changes of those before it. A failed operation leaves no
/// trace.
pub(super) struct WriteBatch<'t> {
    tree: &'t Tree,
    changes: Changes,
    /// What the running operation replaced in `changes`, in order: `None` where there was no change.
    replaced: Vec<(Vec<u8>, Option<Change>)>,
}

/// A new value of a row, or `None` to remove it.
type Change = Option<IVec>;

/// Changes by key.
pub(super) type Changes = BTreeMap<Vec<u8>, Change>;

impl<'t> WriteBatch<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            changes: Changes::new(),
            replaced: Vec::new(),
        }
    }

    /// Runs an operation; its changes are kept only if it succeeds.
    pub(super) fn run<T>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = operation(self);
        if outcome.is_ok() {
            self.replaced.clear();
        }
        while let Some((key, replaced)) = self.replaced.pop() {
            match replaced {
                Some(change) => self.changes.insert(key, change),
                None => self.changes.remove(&key),
            };
        }
        outcome
    }

    pub(super) fn put<T: StoredRecord>(&mut self, key: Vec<u8>, row: &T) -> Result<(), StoreError> {
        let value = row.encode()?;
        self.set(key, Some(value.into()));
        Ok(())
    }

    /// Up to `count` rows that begin with `prefix`, in key order.
    pub(super) fn first_rows(&self, prefix: &[u8], count: usize) -> Result<Vec<Row>, StoreError> {
        let mut rows: Vec<Row> = self.untouched(prefix).take(count).collect::<Result<_, _>>()?;
        rows.extend(self.written(prefix));
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        rows.truncate(count);
        Ok(rows)
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.set(key, None);
    }

    fn set(&mut self, key: Vec<u8>, change: Change) {
        let replaced = self.changes.insert(key.clone(), change);
        self.replaced.push((key, replaced));
    }

    /// All changes of the group; `None` if there are none.
    pub(super) fn into_changes(self) -> Option<Changes> {
        Some(self.changes).filter(|changes| !changes.is_empty())
    }

    /// Rows that this group has written.
    fn written<'a>(&'a self, prefix: &[u8]) -> impl Iterator<Item = Row> + use<'a, 't> {
        let prefix = prefix.to_vec();
        self.changes
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .filter_map(|(key, value)| Some((IVec::from(key.as_slice()), value.clone()?)))
    }

    /// Rows that this group has not changed, in key order.
    fn untouched<'a>(&'a self, prefix: &[u8]) -> impl Iterator<Item = Result<Row, StoreError>> + use<'a, 't> {
        self.tree.scan_prefix(prefix).map(|row| Ok(row?)).filter(|row| {
            row.as_ref()
                .map_or(true, |(key, _)| !self.changes.contains_key(key.as_ref()))
        })
    }
}

impl Rows for WriteBatch<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.tree.value(key),
        }
    }

    fn scan<'a>(&'a self, prefix: &[u8]) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        Box::new(self.written(prefix).map(Ok).chain(self.untouched(prefix)))
    }

    fn first(&self, prefix: &[u8]) -> Result<Option<Row>, StoreError> {
        let untouched = self.untouched(prefix).next().transpose()?;
        let written = self.written(prefix);
        Ok(written.chain(untouched).min_by(|(a, _), (b, _)| a.cmp(b)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(rows: &impl Rows) -> BTreeSet<Vec<u8>> {
        rows.scan(b"k").map(|row| row.unwrap().0.to_vec()).collect()
    }

    fn key(n: u8) -> Vec<u8> {
        vec![b'k', n]
    }

    #[test]
    fn an_operation_sees_those_before_it_and_a_failed_one_leaves_no_trace() {
        let db = ::sled::Config::new().temporary(true).open().unwrap();
        for n in [1, 2] {
            db.insert(key(n), ().encode().unwrap()).unwrap();
        }
        let mut batch = WriteBatch::new(&db);
        batch
            .run(|group| {
                group.remove(key(1));
                group.put(key(3), &())?;
                assert_eq!(keys(group), [key(2), key(3)].into());
                assert_eq!(group.first(b"k")?.unwrap().0, key(2));
                assert_eq!(group.first_rows(b"k", 9)?.len(), 2);
                assert_eq!(group.first_rows(b"k", 1)?[0].0, key(2));
                Ok(())
            })
            .unwrap();
        batch
            .run(|group| -> Result<(), StoreError> {
                group.put(key(1), &())?;
                group.remove(key(3));
                group.remove(key(2));
                assert_eq!(keys(group), [key(1)].into());
                assert_eq!(group.first(b"k")?.unwrap().0, key(1));
                Err(StoreError::Corrupt(String::new()))
            })
            .unwrap_err();
        assert_eq!(keys(&batch), [key(2), key(3)].into());
        assert!(batch.read::<()>(&key(1)).unwrap().is_none());

        for (key, value) in batch.into_changes().unwrap() {
            match value {
                Some(value) => db.insert(key, value).unwrap(),
                None => db.remove(key).unwrap(),
            };
        }
        assert_eq!(keys(&*db), [key(2), key(3)].into());
    }
}
