//! The engine: sled 0.34, wrapped so that commits are durable and reads consistent.

use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use ::sled::{Batch, Db, IVec, Tree};

use super::engine_settings;
use super::lost_changes::LostChanges;
use super::rows::{Changes, Row};
use super::snapshot::{Snapshot, Snapshots};
use super::unreadable_snapshot;
use crate::store::StoreError;

/// The page cache, in bytes. The engine's default is 1 GiB; sessions and keys, which requests need, are
/// cached in services. Half as much makes an import of 100,000 accounts a seventh slower; twice as much, no faster.
const CACHE: u64 = 64 << 20;

/// Rows that one piece of a scan reads or a batch removes; writes wait meanwhile.
pub(super) const PIECE: usize = 256;

/// How often, and how far apart, sled's lock on its file is tried.
const RELEASE_LOOKS: u32 = 200;
const RELEASE_PAUSE: Duration = Duration::from_millis(10);

/// sled's tree, and a file handle of our own on its log.
#[derive(Debug)]
pub(super) struct Engine {
    folder: PathBuf,
    /// `None` while closed. A read of several rows holds the read lock, so that it sees no half of a batch.
    open: RwLock<Option<OpenEngine>>,
    snapshots: Snapshots,
}

/// The direction of a scan along keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanDirection {
    Forward,
    Backward,
}

#[derive(Debug)]
struct OpenEngine {
    db: Db,
    /// sled's `flush` only hands the log to the operating system; this handle is for `fdatasync`.
    file: File,
}

impl Engine {
    /// Makes a closed engine for the directory.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            open: RwLock::new(None),
            snapshots: Snapshots::default(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens the engine; blocks until the log is read.
    pub(super) fn open(&self) -> Result<(), StoreError> {
        clear_unfinished_snapshots(&self.folder)?;
        await_release(&self.folder)?;
        // Must come before the engine opens, which cuts off what it cannot read. A failure is logged and does
        // not stop the start.
        if let Err(error) = LostChanges::notice(&self.folder) {
            tracing::error!(%error, "whether the store's log is as it was written cannot be told");
        }
        let opened = open_files(&self.folder);
        if opened.is_err()
            && let Some(fault) = engine_settings::fault(&self.folder)
        {
            return Err(fault);
        }
        let db = match opened {
            Err(StoreError::Corrupt(_)) if unreadable_snapshot::drop_from(&self.folder)? => {
                await_release(&self.folder)?;
                open_files(&self.folder)
            }
            opened => opened,
        };
        let db = db.map_err(|error| match error {
            StoreError::Corrupt(why) => {
                StoreError::Corrupt(format!("{}: {why}", self.folder.join("db").display()))
            }
            error => error,
        })?;
        let file = File::open(self.folder.join("db"))?;
        *self.write() = Some(OpenEngine { db, file });
        Ok(())
    }

    /// Closes the engine after running reads, and returns when it can be opened again.
    pub(super) fn close(&self) {
        let Some(open) = self.write().take() else { return };
        drop(open);
        if let Err(error) = await_release(&self.folder) {
            tracing::warn!(%error, "the store's engine may still be open");
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.read().is_some()
    }

    /// Runs a read between two commits. It must be short: no commit happens meanwhile.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Tree) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.read().as_ref() {
            Some(open) => read(&open.db),
            None => Err(closed()),
        }
    }

    /// Scans the rows whose keys begin with `prefix`, in key order and starting after `after`, a piece at a
    /// time until `visit` breaks. Commits may happen between pieces.
    pub(super) fn pieces(
        &self,
        prefix: &[u8],
        after: Option<IVec>,
        visit: impl FnMut(&Tree, &[Row]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        self.pieces_toward(ScanDirection::Forward, prefix, after, visit)
    }

    /// As [`pieces`](Self::pieces), in either direction.
    pub(super) fn pieces_toward(
        &self,
        direction: ScanDirection,
        prefix: &[u8],
        mut after: Option<IVec>,
        mut visit: impl FnMut(&Tree, &[Row]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let end = end_of(prefix);
        loop {
            after = self.with(|tree| {
                let whole = (Bound::Included(prefix), end.as_ref().map(Vec::as_slice));
                let rows: Vec<Row> = match (direction, after.as_deref()) {
                    (ScanDirection::Forward, None) => piece(tree.range::<&[u8], _>(whole)),
                    (ScanDirection::Forward, Some(after)) => {
                        piece(tree.range::<&[u8], _>((Bound::Excluded(after), whole.1)))
                    }
                    (ScanDirection::Backward, None) => piece(tree.range::<&[u8], _>(whole).rev()),
                    (ScanDirection::Backward, Some(before)) => {
                        piece(tree.range::<&[u8], _>((whole.0, Bound::Excluded(before))).rev())
                    }
                }?;
                let goes_on = visit(tree, &rows)?.is_continue();
                let last = rows.into_iter().nth(PIECE - 1);
                Ok(last.filter(|_| goes_on).map(|(key, _)| key))
            })?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes a batch atomically; durable when it returns. After an error the batch may be written or not.
    ///
    /// Never uses `flush_async`: with eight concurrent callers sled 0.34.7 deadlocks.
    pub(super) fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        self.apply(changes)?;
        self.sync()
    }

    /// Writes a batch atomically. Visible to others at once, durable after [`sync`](Self::sync).
    pub(super) fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.clone()),
                None => batch.remove(key.as_slice()),
            }
        }
        let open = self.write();
        let db = &open.as_ref().ok_or_else(closed)?.db;
        self.snapshots.preserve(db, changes)?;
        let applied = db.apply_batch(batch);
        collect_garbage(changes.len());
        Ok(applied?)
    }

    /// Makes all writes durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let open = self.read();
        let open = open.as_ref().ok_or_else(closed)?;
        open.db.flush()?;
        open.file.sync_data()?;
        Ok(())
    }

    /// Begins a snapshot: what later commits change is preserved for its reader.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshots.begin()
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<OpenEngine>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<OpenEngine>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees what sled replaced in memory by a batch of this many rows.
///
/// Each row replaces a node of the tree, which sled leaves to crossbeam-epoch; that frees some 512 of them for every 128
/// operations. A batch is one operation, so that memory would grow for as long as large batches are written.
fn collect_garbage(rows: usize) {
    // Nothing is freed before the epoch has advanced twice, which takes a pass each.
    for _ in 0..4 + rows / 128 {
        crossbeam_epoch::pin().flush();
    }
}

fn piece(rows: impl Iterator<Item = Result<Row, ::sled::Error>>) -> Result<Vec<Row>, ::sled::Error> {
    rows.take(PIECE).collect()
}

/// The bound above all keys that begin with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Bound<Vec<u8>> {
    match prefix.iter().rposition(|byte| *byte != u8::MAX) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            Bound::Excluded(end)
        }
        None => Bound::Unbounded,
    }
}

/// Opens sled on a directory; a panic of the engine becomes [`StoreError::Corrupt`].
pub(super) fn open_files(folder: &Path) -> Result<Db, StoreError> {
    let config = ::sled::Config::new().path(folder).cache_capacity(CACHE);
    let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
    let gave_up = |_| StoreError::Corrupt("the engine gives up on it".to_owned());
    Ok(opened.map_err(gave_up)??)
}

/// Waits until sled has released its file, at most [`RELEASE_LOOKS`] times [`RELEASE_PAUSE`]: its threads
/// hold the lock for a moment after the last handle is dropped, and it has no signal for that.
pub(super) fn await_release(folder: &Path) -> io::Result<()> {
    let file = match File::open(folder.join("db")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    for _ in 0..RELEASE_LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(RELEASE_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    // Another process holds it; opening gives the error.
    Ok(())
}

/// Removes unfinished snapshots of a process that was killed or had a full disk. The engine would take them
/// for finished ones and refuse to open; the log has all that they would hold.
fn clear_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed after an error".to_owned())
}

impl From<::sled::Error> for StoreError {
    fn from(error: ::sled::Error) -> Self {
        match error {
            ::sled::Error::Corruption { at: Some(at), .. } => Self::Corrupt(format!(
                "what the file db has at byte {} is not what was written there",
                at.lid()
            )),
            ::sled::Error::Corruption { at: None, .. } => {
                Self::Corrupt("what was written is not there, or was changed since".to_owned())
            }
            ::sled::Error::Unsupported(why) => Self::Refused(why),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The resident memory of this process in KiB (proc(5), `VmRSS`).
    fn resident_memory() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn s48_memory_stays_flat_while_large_batches_are_written() {
        const ROWS: u32 = 5_000;
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(folder.path());
        engine.open().unwrap();
        let rewrite = |value: u8| {
            let key = |n: u32| [b"row", &n.to_be_bytes()[..]].concat();
            let changes: Changes = (0..ROWS)
                .map(|n| (key(n), Some(IVec::from(vec![value; 200]))))
                .collect();
            engine.commit(&changes).unwrap();
        };
        (0..5).for_each(rewrite);
        let before = resident_memory();
        (5..25).for_each(rewrite);
        let grown = resident_memory().saturating_sub(before);
        assert!(grown < 24 << 10, "{grown} KiB more");
    }
}
