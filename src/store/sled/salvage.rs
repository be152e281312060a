//! Reading what can be read of a damaged folder.
//!
//! The engine writes when it opens, and cuts off what follows a damaged place of its log: so a copy is opened, and
//! the folder stays as it is. Reading ends at a damaged page, and begins again behind it.

use std::collections::VecDeque;
use std::fs;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::sled::Tree;
use async_trait::async_trait;
use tempfile::TempDir;

use super::SledStore;
use super::data_dir::{self, at};
use super::engine::{Engine, PIECE};
use super::engine_settings;
use super::export::record_of;
use super::key::{self, RowKind};
use super::lost_changes::LostChanges;
use super::record;
use super::rows::Row;
use super::snapshot::ORDER;
use super::unreadable_snapshot::{copy_engine, snapshots};
use crate::store::{DamagedStore, Record, StoreError};

/// Bytes of a key, behind its kind, by which it is looked for where reading goes on.
const POSITION: usize = 16;

impl SledStore {
    /// Reads what can be read of the store in the folder `path`, from a copy that is made in `scratch` and goes with
    /// the value. Blocks for as long as it takes to copy.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the store is open, [`StoreError::Corrupt`] if nothing of it can be read.
    pub fn salvage(path: &Path, scratch: &Path) -> Result<Box<dyn DamagedStore>, StoreError> {
        let Some(_lock) = data_dir::lock(path).map_err(at(path))? else {
            return Err(data_dir::is_open(path));
        };
        let lost = match LostChanges::find(path).map_err(at(path))? {
            Some(lost) => Some(lost),
            None => LostChanges::noticed(path),
        };
        let mut builder = tempfile::Builder::new();
        let copy = builder.prefix(".vestibule-salvage-").tempdir_in(scratch);
        let copy = copy.map_err(at(scratch))?;
        copy_engine(path, copy.path()).map_err(at(scratch))?;
        engine_settings::drop_damaged(copy.path())?;
        let engine = Engine::new(copy.path());
        engine
            .open()
            .or_else(|_| {
                // What they say is in the log too.
                for snapshot in snapshots(copy.path()).map_err(at(copy.path()))? {
                    fs::remove_file(&snapshot).map_err(at(&snapshot))?;
                }
                engine.open()
            })
            .map_err(|error| match error {
                StoreError::Corrupt(_) => StoreError::Corrupt(format!(
                    "{}: nothing of it can be read",
                    path.join("db").display()
                )),
                error => error,
            })?;
        Ok(Box::new(SledSalvage(Some(SalvageReader {
            lost,
            engine,
            kinds: ORDER.into(),
            from: None,
            _copy: copy,
        }))))
    }
}

/// `None` after an error.
struct SledSalvage(Option<SalvageReader>);

struct SalvageReader {
    /// What the engine forgot when it opened the copy, or before; until it is told.
    lost: Option<LostChanges>,
    engine: Engine,
    /// Those that are still to be read.
    kinds: VecDeque<RowKind>,
    /// Where reading of the first of them goes on; `None` at its beginning.
    from: Option<Bound<Vec<u8>>>,
    _copy: TempDir,
}

/// The copy goes afterwards.
impl Drop for SalvageReader {
    fn drop(&mut self) {
        self.engine.close();
    }
}

#[async_trait]
impl DamagedStore for SledSalvage {
    async fn next(&mut self) -> Result<Vec<Result<Record, String>>, StoreError> {
        let failed = || StoreError::Unavailable("a read did not finish".to_owned());
        let mut reading = self.0.take().ok_or_else(failed)?;
        let read = tokio::task::spawn_blocking(move || {
            let found = reading.read_on()?;
            Ok::<_, StoreError>((found, reading))
        });
        let (found, reading) = read.await.map_err(|_| failed())??;
        self.0 = Some(reading);
        Ok(found)
    }
}

impl SalvageReader {
    fn read_on(&mut self) -> Result<Vec<Result<Record, String>>, StoreError> {
        if let Some(lost) = self.lost.take() {
            return Ok(vec![Err(lost.to_string())]);
        }
        while let Some(&kind) = self.kinds.front() {
            let prefix = kind.prefix();
            let from = self.from.take().unwrap_or(Bound::Included(prefix.clone()));
            let (rows, end) = self.engine.with(|tree| Ok(read(tree, &prefix, from.clone())))?;
            let last = rows.last().map(|(key, _)| key.to_vec());
            let mut found: Vec<_> = rows.iter().filter_map(|row| record_in(kind, row)).collect();
            self.from = match (end, last) {
                (ChunkEnd::Damaged(why), last) => {
                    found.push(Err(format!("{kind:?}: some that are kept together: {why}")));
                    let (Bound::Included(before) | Bound::Excluded(before), last) = (from, last) else {
                        return Err(StoreError::Corrupt(why));
                    };
                    let last = last.unwrap_or(before);
                    let next = self.engine.with(|tree| Ok(behind(tree, &prefix, &last)))?;
                    next.map(Bound::Included)
                }
                (ChunkEnd::MayGoOn, Some(last)) => Some(Bound::Excluded(last)),
                _ => None,
            };
            if self.from.is_none() {
                self.kinds.pop_front();
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

/// What a row says, or why it cannot be read.
fn record_in(kind: RowKind, (key, value): &Row) -> Option<Result<Record, String>> {
    if kind == RowKind::Username {
        // One whose account cannot be read is nobody else's (S53).
        let username = key::trailing_text(key).and_then(|text| text.parse().ok());
        return Some(match username {
            Some(username) => Ok(Record::RetiredUsername(username)),
            None => Err(format!("{} is no username", record::name(key))),
        });
    }
    record_of(key, value)
        .map_err(|error| error.to_string())
        .transpose()
}

/// How a piece ended.
enum ChunkEnd {
    /// There may be more.
    MayGoOn,
    Over,
    /// At what cannot be read.
    Damaged(String),
}

/// The next rows of a kind.
fn read(tree: &Tree, prefix: &[u8], from: Bound<Vec<u8>>) -> (Vec<Row>, ChunkEnd) {
    let mut rows = Vec::new();
    let reading = catch_unwind(AssertUnwindSafe(|| {
        for row in tree.range((from, Bound::Unbounded)) {
            match row {
                Ok((key, _)) if !key.starts_with(prefix) => return ChunkEnd::Over,
                Ok(row) => rows.push(row),
                Err(error) => return ChunkEnd::Damaged(StoreError::from(error).to_string()),
            }
            if rows.len() == PIECE {
                return ChunkEnd::MayGoOn;
            }
        }
        ChunkEnd::Over
    }));
    let end = reading.unwrap_or_else(|_| ChunkEnd::Damaged("the engine gave up".to_owned()));
    (rows, end)
}

/// Where rows can be read again behind a key at which they cannot: it is looked for at growing distances, and then
/// between the last two. `None` if that is nowhere in the kind.
fn behind(tree: &Tree, prefix: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut position = [0; POSITION];
    for (to, from) in position.iter_mut().zip(key.get(prefix.len()..)?) {
        *to = *from;
    }
    let key_at = |position: u128| [prefix, &position.to_be_bytes()].concat();
    let is_readable = |position: u128| {
        let first = catch_unwind(AssertUnwindSafe(|| tree.range(key_at(position)..).next()));
        matches!(first, Ok(None | Some(Ok(_))))
    };
    let start = u128::from_be_bytes(position);
    let (mut damaged, mut distance) = (start, 1_u128);
    let mut readable = loop {
        let next = start.checked_add(distance)?;
        if is_readable(next) {
            break next;
        }
        damaged = next;
        distance = distance.checked_mul(2)?;
    };
    while readable - damaged > 1 {
        let middle = damaged + (readable - damaged) / 2;
        if is_readable(middle) {
            readable = middle;
        } else {
            damaged = middle;
        }
    }
    Some(key_at(readable))
}
