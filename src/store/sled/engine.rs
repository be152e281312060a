//! The engine: sled 0.34, as it must be used to keep what it was given.

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

/// Bytes of pages kept in memory. The engine's default is a gigabyte; what is read for every request is kept in
/// memory elsewhere.
const CACHE: u64 = 32 << 20;

/// Rows that are read or removed while no group is written.
pub(super) const PIECE: usize = 256;

/// How often, and how far apart, it is looked whether sled has let go of its file.
const RELEASE_LOOKS: u32 = 200;
const RELEASE_PAUSE: Duration = Duration::from_millis(10);

/// sled's one tree, and a handle of our own on its file.
#[derive(Debug)]
pub(super) struct Engine {
    folder: PathBuf,
    /// `None` while it is closed. Whoever reads several rows holds the lock meanwhile and sees no half of a batch.
    open: RwLock<Option<OpenEngine>>,
    snapshots: Snapshots,
}

#[derive(Debug)]
struct OpenEngine {
    db: Db,
    /// sled's `flush` hands the log to the operating system and no further; this handle is for `fdatasync`.
    file: File,
}

impl Engine {
    /// An engine for the folder, closed.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            open: RwLock::new(None),
            snapshots: Snapshots::default(),
        }
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens it; blocks until the log is read.
    pub(super) fn open(&self) -> Result<(), StoreError> {
        clear_unfinished_snapshots(&self.folder)?;
        await_release(&self.folder)?;
        // The engine cuts off what it cannot read; that it will is an alarm, and no reason to serve nobody.
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

    /// Closes it, after those who read, and returns when it can be opened again.
    pub(super) fn close(&self) {
        let Some(open) = self.write().take() else { return };
        drop(open);
        if let Err(error) = await_release(&self.folder) {
            tracing::warn!(%error, "the store's engine may still be open");
        }
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        self.read().is_some()
    }

    /// Reads rows as they are between two groups. Short: no group is written meanwhile.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Tree) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.read().as_ref() {
            Some(open) => read(&open.db),
            None => Err(closed()),
        }
    }

    /// Reads the rows whose keys begin with `prefix`, from the one after `after`, in the order of their keys, a piece
    /// at a time until `visit` breaks. Groups are written in between.
    pub(super) fn pieces(
        &self,
        prefix: &[u8],
        mut after: Option<IVec>,
        mut visit: impl FnMut(&Tree, &[Row]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            after = self.with(|tree| {
                let from = after.as_deref().map_or(Bound::Included(prefix), Bound::Excluded);
                let rows: Vec<Row> = tree
                    .range::<&[u8], _>((from, Bound::Unbounded))
                    .take_while(|row| row.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
                    .take(PIECE)
                    .collect::<Result<_, _>>()?;
                let goes_on = visit(tree, &rows)?.is_continue();
                let last = rows.into_iter().nth(PIECE - 1);
                Ok(last.filter(|_| goes_on).map(|(key, _)| key))
            })?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes a group; when this returns, it is on disk as a whole. Fails with the group written or not.
    ///
    /// Never `flush_async`: with eight callers at once sled 0.34.7 waits for itself.
    pub(super) fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        self.apply(changes)?;
        self.sync()
    }

    /// Writes a group that others see at once, and that is on disk when [`sync`](Self::sync) returns.
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
        Ok(db.apply_batch(batch)?)
    }

    /// Returns when all that was written is on disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let open = self.read();
        let open = open.as_ref().ok_or_else(closed)?;
        open.db.flush()?;
        open.file.sync_data()?;
        Ok(())
    }

    /// Begins to keep what is changed from the next group on, for whoever reads the rows as they are now.
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

/// Has sled open what is in a folder.
pub(super) fn open_files(folder: &Path) -> Result<Db, StoreError> {
    let config = ::sled::Config::new().path(folder).cache_capacity(CACHE);
    let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
    let gave_up = |_| StoreError::Corrupt("the engine gives up on it".to_owned());
    Ok(opened.map_err(gave_up)??)
}

/// Waits, at most [`RELEASE_LOOKS`] times [`RELEASE_PAUSE`], until sled has let go of its file: threads of its own
/// still hold it for a moment after the last handle was dropped, and nothing tells when they are done.
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
    // Somebody else has it: opening it will say so.
    Ok(())
}

/// Removes snapshots that a killed process, or one on a full disk, had not finished: the engine would take them for finished ones, find
/// them damaged and refuse to open. The log has all that they would have held.
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
