//! Snapshots: reading all rows as of one moment while commits go on.
//!
//! The engine has no snapshots. So a commit first preserves, for each open snapshot, the old values of rows
//! that its reader has yet to reach. A commit waits for a reader no longer than one piece takes; a reader
//! that falls far behind is given up, to bound the memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ::sled::{IVec, Tree};

use super::engine::{Engine, PIECE};
use super::rows::{Changes, Row};
use super::schema::RowKind;
use crate::store::StoreError;

/// Bytes preserved for one reader, at most.
const MOST_KEPT: usize = 64 << 20;

/// The estimated overhead of a preserved row, in bytes.
const ENTRY: usize = 100;

/// The kinds of rows that are read, in this order. Rows of other kinds are derived from these.
pub(super) const ORDER: [RowKind; 16] = [
    RowKind::Meta,
    RowKind::DataKey,
    RowKind::Account,
    RowKind::Username,
    RowKind::OtherUsername,
    RowKind::AccessKey,
    RowKind::Attempts,
    RowKind::KeyAttempts,
    RowKind::Unknown,
    RowKind::Session,
    RowKind::Invitation,
    RowKind::Token,
    RowKind::Mail,
    RowKind::MailQuota,
    RowKind::Signature,
    RowKind::Audit,
];

/// The snapshots being read.
#[derive(Debug, Default)]
pub(super) struct Snapshots(Mutex<Vec<Weak<Mutex<SnapshotState>>>>);

impl Snapshots {
    pub(super) fn begin(&self) -> Snapshot {
        let state = Arc::new(Mutex::new(SnapshotState::default()));
        self.lock().push(Arc::downgrade(&state));
        Snapshot { state }
    }

    /// Preserves the rows that `changes` is about to change, for readers that have not reached them.
    pub(super) fn preserve(&self, tree: &Tree, changes: &Changes) -> Result<(), StoreError> {
        let mut snapshots = self.lock();
        snapshots.retain(|snapshot| snapshot.strong_count() > 0);
        for state in snapshots.iter().filter_map(Weak::upgrade) {
            lock(&state).preserve(tree, changes)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Mutex<SnapshotState>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader of all rows as of the moment when it was made.
#[derive(Debug)]
pub(super) struct Snapshot {
    state: Arc<Mutex<SnapshotState>>,
}

#[derive(Debug, Default)]
struct SnapshotState {
    /// The reader's position: the kind as an index into [`ORDER`], and the last key read of it.
    kind: usize,
    after: Option<Vec<u8>>,
    /// The old values of changed rows that are still to be read; `None` if the row did not exist.
    before: BTreeMap<Vec<u8>, Option<IVec>>,
    kept: usize,
    is_given_up: bool,
}

impl Snapshot {
    /// Reads the next rows, all of one kind; empty at the end. Blocks while it reads.
    pub(super) fn piece(&mut self, engine: &Engine) -> Result<Vec<Row>, StoreError> {
        engine.with(|tree| {
            let mut state = lock(&self.state);
            loop {
                if state.is_given_up {
                    return Err(StoreError::Unavailable(
                        "so much was changed meanwhile that the moment at which this began could not be kept; try \
                         again when less is going on, and see that what is read is taken"
                            .to_owned(),
                    ));
                }
                let Some(kind) = ORDER.get(state.kind) else {
                    return Ok(Vec::new());
                };
                let rows = state.piece(tree, *kind)?;
                if !rows.is_empty() {
                    return Ok(rows);
                }
            }
        })
    }
}

impl SnapshotState {
    /// Reads the next rows of a kind; may be empty before the kind is finished.
    fn piece(&mut self, tree: &Tree, kind: RowKind) -> Result<Vec<Row>, StoreError> {
        let prefix = kind.prefix();
        let from = match &self.after {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Included(prefix.clone()),
        };
        let mut rows: BTreeMap<Vec<u8>, IVec> = BTreeMap::new();
        for row in tree.range((from.clone(), Bound::Unbounded)).take(PIECE) {
            let (key, value) = row?;
            if !key.starts_with(&prefix) {
                break;
            }
            rows.insert(key.to_vec(), value);
        }
        // After a full piece, preserved rows beyond its last key belong to later pieces.
        let last = (rows.len() == PIECE)
            .then(|| rows.keys().next_back().cloned())
            .flatten();
        let until = last.clone().map_or(Bound::Unbounded, Bound::Included);
        let changed = self.before.range((from, until));
        let changed: Vec<_> = changed
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(key, _)| key.clone())
            .collect();
        for key in changed {
            let value = self.before.remove(&key).flatten();
            self.kept = self.kept.saturating_sub(weight(&key, value.as_ref()));
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        if last.is_none() {
            self.kind += 1;
        }
        self.after = last;
        Ok(rows.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    fn preserve(&mut self, tree: &Tree, changes: &Changes) -> Result<(), StoreError> {
        for key in changes
            .keys()
            .filter(|key| self.is_to_come(key))
            .collect::<Vec<_>>()
        {
            if self.is_given_up || self.before.contains_key(key) {
                continue;
            }
            let value = tree.get(key)?;
            self.kept += weight(key, value.as_ref());
            self.before.insert(key.clone(), value);
            if self.kept > MOST_KEPT {
                self.is_given_up = true;
                self.before = BTreeMap::new();
            }
        }
        Ok(())
    }

    fn is_to_come(&self, key: &[u8]) -> bool {
        let kind = RowKind::of(key).and_then(|kind| ORDER.iter().position(|read| *read == kind));
        match kind {
            Some(kind) if kind == self.kind => self.after.as_deref().is_none_or(|after| after < key),
            Some(kind) => kind > self.kind,
            None => false,
        }
    }
}

fn weight(key: &[u8], value: Option<&IVec>) -> usize {
    ENTRY + key.len() + value.map_or(0, |value| value.len())
}

fn lock(state: &Mutex<SnapshotState>) -> MutexGuard<'_, SnapshotState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn engine(folder: &std::path::Path) -> Engine {
        let engine = Engine::new(folder);
        engine.open().unwrap();
        engine
    }

    fn key(kind: RowKind, n: u16) -> Vec<u8> {
        [kind.prefix(), n.to_be_bytes().to_vec()].concat()
    }

    fn change(engine: &Engine, kind: RowKind, n: u16, value: Option<&str>) {
        let value = value.map(|value| IVec::from(value.as_bytes()));
        engine.apply(&[(key(kind, n), value)].into()).unwrap();
    }

    fn rest(snapshot: &mut Snapshot, engine: &Engine) -> Vec<(Vec<u8>, String)> {
        let mut all = Vec::new();
        loop {
            let piece = snapshot.piece(engine).unwrap();
            if piece.is_empty() {
                return all;
            }
            all.extend(
                piece
                    .iter()
                    .map(|(key, value)| (key.to_vec(), String::from_utf8(value.to_vec()).unwrap())),
            );
        }
    }

    #[test]
    fn whatever_is_written_meanwhile_it_is_read_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        let piece = u16::try_from(PIECE).unwrap();
        // One whole piece, and another kind after it.
        for n in 0..piece + 3 {
            change(&engine, RowKind::Account, 2 * n, Some("old"));
            change(&engine, RowKind::Audit, 2 * n, Some("old"));
        }
        change(&engine, RowKind::Term, 1, Some("an index"));
        let (mut snapshot, mut expected) = (engine.snapshot(), engine.snapshot());
        let expected = rest(&mut expected, &engine);
        assert_eq!(expected.len(), 2 * (PIECE + 3));

        let mut read = snapshot.piece(&engine).unwrap().len();
        assert_eq!(read, PIECE);
        for (kind, n) in [
            // Before the reader's position, just after it, at the end, and in a later kind.
            (RowKind::Account, 0),
            (RowKind::Account, 2 * piece),
            (RowKind::Account, 2 * piece + 4),
            (RowKind::Audit, 0),
            (RowKind::Audit, 2 * piece + 4),
        ] {
            change(&engine, kind, n, None);
            change(&engine, kind, n + 1, Some("new"));
            change(&engine, kind, n + 2, Some("changed"));
            change(&engine, kind, n, Some("made again"));
        }
        let mut all = rest(&mut snapshot, &engine);
        read += all.len();
        assert_eq!(read, expected.len());
        all.splice(0..0, expected[..PIECE].iter().cloned());
        assert_eq!(all, expected);
        assert!(snapshot.state.lock().unwrap().before.is_empty());
    }

    #[test]
    fn a_kind_of_which_all_rows_went_is_read_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        change(&engine, RowKind::Mail, 1, Some("old"));
        let mut snapshot = engine.snapshot();
        change(&engine, RowKind::Mail, 1, None);
        assert_eq!(
            rest(&mut snapshot, &engine),
            [(key(RowKind::Mail, 1), "old".to_owned())]
        );
    }

    #[test]
    fn nothing_is_kept_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        let large = "x".repeat(1 << 20);
        for n in 0..70 {
            change(&engine, RowKind::Account, n, Some(&large));
        }
        let mut snapshot = engine.snapshot();
        for n in 0..70 {
            change(&engine, RowKind::Account, n, None);
        }
        assert!(matches!(snapshot.piece(&engine), Err(StoreError::Unavailable(_))));
    }

    /// A step between two reads.
    #[derive(Clone, Debug)]
    enum SnapshotStep {
        Read,
        Put(usize, u16),
        Remove(usize, u16),
    }

    /// Consecutive kinds, and between them one that is not read.
    const KINDS: [RowKind; 4] = [
        RowKind::Session,
        RowKind::SessionOf,
        RowKind::Invitation,
        RowKind::Audit,
    ];

    fn steps() -> impl Strategy<Value = Vec<SnapshotStep>> {
        let place = (0..KINDS.len(), 0..900_u16);
        let step = prop_oneof![
            1 => Just(SnapshotStep::Read),
            20 => place.clone().prop_map(|(kind, n)| SnapshotStep::Put(kind, n)),
            20 => place.prop_map(|(kind, n)| SnapshotStep::Remove(kind, n)),
        ];
        proptest::collection::vec(step, 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_in_whatever_order_all_is_read_as_it_was(steps in steps()) {
            let folder = tempfile::tempdir().unwrap();
            let engine = engine(folder.path());
            let old = |n: u16| (!n.is_multiple_of(3)).then(|| IVec::from("old"));
            let rows = KINDS.iter().flat_map(|kind| (0..900).map(|n| (key(*kind, n), old(n))));
            engine.apply(&rows.filter(|(_, value)| value.is_some()).collect()).unwrap();
            let mut expected = rest(&mut engine.snapshot(), &engine);
            expected.sort();
            assert_eq!(expected.len(), 3 * 600);

            let (mut snapshot, mut all) = (engine.snapshot(), Vec::new());
            for step in steps {
                match step {
                    SnapshotStep::Read => {
                        let piece = snapshot.piece(&engine).unwrap();
                        all.extend(piece.into_iter().map(|(key, value)| {
                            (key.to_vec(), String::from_utf8(value.to_vec()).unwrap())
                        }));
                    }
                    SnapshotStep::Put(kind, n) => change(&engine, KINDS[kind], n, Some("new")),
                    SnapshotStep::Remove(kind, n) => change(&engine, KINDS[kind], n, None),
                }
            }
            all.extend(rest(&mut snapshot, &engine));
            all.sort();
            prop_assert!(all == expected, "{} rows, not {}", all.len(), expected.len());
            let state = lock(&snapshot.state);
            prop_assert!(state.before.is_empty() && state.kept == 0);
        }
    }
}
