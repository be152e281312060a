//! Salvage: reads what is readable of a damaged store.
//!
//! Opening makes the engine write, and cut off what follows a damaged place in its log. So a copy is opened
//! and the original stays untouched. Reading skips damaged pages.

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
use super::lost_changes::LostChanges;
use super::record;
use super::rows::Row;
use super::schema::{self, RowKind};
use super::snapshot::ORDER;
use super::unreadable_snapshot::{copy_engine, snapshots};
use super::usernames;
use crate::store::{DamagedStore, Record, StoreError};

/// Bytes of a key after its kind's byte that are used to search for the next readable row.
const POSITION: usize = 16;

impl SledStore {
    /// Reads what is readable of the store in the directory `path`, from a copy in `scratch` that is removed
    /// with the returned value. Blocks while it copies.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the store is open, [`StoreError::Corrupt`] if nothing of it is readable.
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
                // The log has all that the snapshots have.
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
    /// What the engine dropped from its log now or earlier; `None` once it is reported.
    lost: Option<LostChanges>,
    engine: Engine,
    /// The kinds of rows still to be read.
    kinds: VecDeque<RowKind>,
    /// Where to go on within the first kind; `None` at its beginning.
    from: Option<Bound<Vec<u8>>>,
    _copy: TempDir,
}

/// Closes the engine before the copy is removed.
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

/// Converts a row to a record, or to the reason why it is unreadable.
fn record_in(kind: RowKind, (key, value): &Row) -> Option<Result<Record, String>> {
    if usernames::KINDS.contains(&kind) {
        // Its account may be unreadable; the username still must not go to another account (S53).
        let username = schema::trailing_text(key).and_then(|text| text.parse().ok());
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
    MayGoOn,
    Over,
    /// At something unreadable.
    Damaged(String),
}

/// Reads the next rows of a kind, until the end, a full piece, or damage. A panic of the engine counts as
/// damage.
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

/// Returns a readable position behind `key`, where reading fails: searches at doubling distances, then
/// between the last two. `None` if there is none in this kind.
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
