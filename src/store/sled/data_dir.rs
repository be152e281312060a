//! The store's folder: whose it is, which version's, and who can read it.
//!
//! The engine would open a foreign folder, or one of another of its versions, as an empty database. So a marker of
//! our own says what a folder is, and nothing is opened without it. It gets its name only when the new store is
//! complete and on disk: what a crash leaves of an unfinished one is cleared away at the next start. What a crash leaves
//! of an import is not, so that nobody is served by an empty store who was to be served by a full one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::system_user::SystemUser;

const MARKER: &str = "vestibule-store.json";
const UNFINISHED: &str = "unfinished";
const IMPORTING: &str = "importing";
const LOCK: &str = "lock";

/// Which master key the store needs: for whoever asks while another process has the store open.
const MASTER_KEY: &str = "master-key.fingerprint";

/// What this program makes.
const ENGINE: &str = "sled-0.34";
const SCHEMA: u32 = 1;

/// A folder that is this process's as long as this value lives.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    new: bool,
    /// What the marker is called as long as there is no store.
    pending: &'static str,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    engine: String,
    schema: u32,
}

impl DataDir {
    /// Takes charge of the folder, and makes it if there is none.
    ///
    /// The engine makes its files with the process's file mode mask, so that is set, for good, to leave nothing to
    /// anybody but the owner.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        Self::take_or_fail(path, UNFINISHED).map_err(at(path))?
    }

    /// The same, for a store that an import fills: one that is there already gives way if `is_blank` does not refuse.
    pub(super) fn take_for_import(
        path: &Path,
        is_blank: impl FnOnce(&Self) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let mut folder = Self::take_or_fail(path, IMPORTING).map_err(at(path))??;
        if !folder.is_new() {
            is_blank(&folder)?;
            folder.begin_anew().map_err(at(path))?;
        }
        Ok(folder)
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        fs::rename(self.path.join(MARKER), self.path.join(IMPORTING))?;
        File::open(&self.path)?.sync_all()?;
        self.new = true;
        begin(&self.path, IMPORTING)
    }

    fn take_or_fail(path: &Path, pending: &'static str) -> io::Result<Result<Self, StoreError>> {
        if path.exists() {
            if let Err(refusal) = refuse_another_users(path)? {
                return Ok(Err(refusal));
            }
            if let Err(refusal) = refuse_foreign(path, pending)? {
                return Ok(Err(refusal));
            }
        } else {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        let Some(lock) = lock(path)? else {
            return Ok(Err(is_open(path)));
        };
        if is_empty(path)? {
            // Nothing in it was ever open to anybody.
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
        }
        if let Err(refusal) = refuse_what_is_not_private(path)? {
            return Ok(Err(refusal));
        }
        let new = !path.join(MARKER).exists();
        if new {
            begin(path, pending)?;
        }
        Ok(Ok(Self {
            path: path.to_owned(),
            new,
            pending,
            _lock: lock,
        }))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is no store in it yet.
    pub(super) fn is_new(&self) -> bool {
        self.new
    }

    /// Whether the engine's main file is there.
    pub(super) fn has_database(&self) -> bool {
        self.path.join("db").exists()
    }

    /// Makes sure that the files' names and contents are on disk, and that a new store is known as one from now on.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        for name in ["conf", "db", "blobs", ""] {
            File::open(self.path.join(name))?.sync_all()?;
        }
        if self.new {
            fs::rename(self.path.join(self.pending), self.path.join(MARKER))?;
            File::open(&self.path)?.sync_all()?;
            self.new = false;
        }
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()
    }

    /// Puts down which master key the data key is sealed with, by its fingerprint. Nothing depends on it but an earlier
    /// warning, so a failure is logged.
    pub(super) fn record_master_key(&self, fingerprint: &str) {
        if recorded_master_key(&self.path).is_some_and(|told| told == fingerprint) {
            return;
        }
        let file = self.path.join(MASTER_KEY);
        let draft = file.with_extension("draft");
        let told = fs::write(&draft, fingerprint).and_then(|()| fs::rename(&draft, &file));
        if let Err(error) = told {
            tracing::warn!(file = %file.display(), %error, "which master key the store needs cannot be put down");
        }
    }

    /// Leaves nothing of a store that did not come to be.
    pub(super) fn abandon(&self) -> io::Result<()> {
        if !self.new {
            return Ok(());
        }
        clear(&self.path, &[LOCK, self.pending])?;
        fs::remove_file(self.path.join(self.pending))
    }
}

/// Somebody else has the folder.
pub(super) fn is_open(path: &Path) -> StoreError {
    StoreError::Refused(format!(
        "the store in {} is already open in another process; stop that one first",
        path.display()
    ))
}

/// The fingerprint that was put down there; none if that cannot be read.
pub(super) fn recorded_master_key(path: &Path) -> Option<String> {
    let told = fs::read_to_string(path.join(MASTER_KEY)).ok()?;
    let is_whole = told.len() == 32 && told.bytes().all(|b| b.is_ascii_hexdigit());
    is_whole.then_some(told)
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |error| StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Refuses what is no folder of this program's, or of a version of it that is newer.
fn refuse_foreign(path: &Path, pending: &str) -> io::Result<Result<(), StoreError>> {
    let shown = path.display();
    let refuse = |text: String| Ok(Err(StoreError::Refused(text)));
    if !path.is_dir() {
        return refuse(format!("{shown} is not a folder; name another one for the store"));
    }
    let text = match fs::read(path.join(MARKER)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if path.join(IMPORTING).exists() && pending != IMPORTING {
                refuse(format!(
                    "an import into {shown} was not finished; import once more, or remove what is in that folder to \
                     begin with nothing"
                ))
            } else if path.join(IMPORTING).exists() || path.join(UNFINISHED).exists() || is_empty(path)? {
                Ok(Ok(()))
            } else {
                refuse(format!(
                    "{shown} holds files but no store of Vestibule's ({MARKER} is missing); name an empty or a new folder for the store"
                ))
            };
        }
        Err(error) => return Err(error),
    };
    match serde_json::from_slice(&text) {
        Ok(Marker { engine, schema }) if engine == ENGINE && schema == SCHEMA => Ok(Ok(())),
        Ok(Marker { engine, schema }) if engine == ENGINE && schema > SCHEMA => refuse(format!(
            "the store in {shown} was made by a newer version of Vestibule (schema {schema}, this one knows {SCHEMA}); run that version or a later one"
        )),
        Ok(Marker { engine, schema }) => refuse(format!(
            "the store in {shown} is of another kind ({engine:?}, schema {schema}) than this version's ({ENGINE:?}, schema {SCHEMA}); run the version that made it, or name a new folder"
        )),
        Err(_) => refuse(format!(
            "{} cannot be read as a store's marker; restore it from a backup, or name a new folder",
            path.join(MARKER).display()
        )),
    }
}

/// Refuses what a start would refuse, as far as that shows without making anything. Whoever is root asks for the user of
/// the service.
pub(super) fn check(path: &Path) -> io::Result<Result<(), StoreError>> {
    if !path.exists() {
        return Ok(Ok(()));
    }
    if !SystemUser::current().is_root()
        && let Err(refusal) = refuse_another_users(path)?
    {
        return Ok(Err(refusal));
    }
    refuse_foreign(path, UNFINISHED)
}

/// Refuses a folder that another user keeps a store in, or that another user alone can write: what root makes there, its
/// owner cannot open.
fn refuse_another_users(path: &Path) -> io::Result<Result<(), StoreError>> {
    let (owner, current) = (SystemUser::owner_of(&fs::metadata(path)?), SystemUser::current());
    if owner == current || current.is_root() && (!path.is_dir() || is_empty(path)?) {
        return Ok(Ok(()));
    }
    Ok(Err(StoreError::Refused(format!(
        "{path} belongs to {owner}, and this runs as {current}: run it as that user, `{sudo} vestibule …`",
        path = path.display(),
        sudo = owner.sudo()
    ))))
}

/// Whether there is a store in the folder, or what is left of one.
pub(super) fn is_made(path: &Path) -> io::Result<bool> {
    match is_empty(path) {
        Ok(is_empty) => Ok(!is_empty),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // Opening it says what is wrong.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Whether there is nothing in it but what a start leaves behind that ended before it made anything.
fn is_empty(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        if entry?.file_name() != LOCK {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses a store that its owner's group or others can read or write (S54), or that is in part another user's.
fn refuse_what_is_not_private(path: &Path) -> io::Result<Result<(), StoreError>> {
    let mut unseen = vec![path.to_owned()];
    while let Some(found) = unseen.pop() {
        let about = fs::metadata(&found)?;
        let mode = about.permissions().mode();
        if mode & 0o077 != 0 {
            return Ok(Err(StoreError::Refused(format!(
                "{} is open to others than its owner (mode {:04o}); run: chmod -R go= {}",
                found.display(),
                mode & 0o7777,
                path.display()
            ))));
        }
        let (owner, current) = (SystemUser::owner_of(&about), SystemUser::current());
        if owner != current && !current.is_root() {
            return Ok(Err(StoreError::Refused(format!(
                "{} belongs to {owner}, and this runs as {current}; run as root: chown -R {current} {}",
                found.display(),
                path.display()
            ))));
        }
        if about.is_dir() {
            for entry in fs::read_dir(&found)? {
                unseen.push(entry?.path());
            }
        }
    }
    Ok(Ok(()))
}

/// The lock on a folder, unless another process has it. It ends with the process, however that ends.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Writes the marker under a name that does not count yet, and clears away what an unfinished start left.
fn begin(path: &Path, pending: &str) -> io::Result<()> {
    let marker = serde_json::to_vec(&Marker {
        engine: ENGINE.to_owned(),
        schema: SCHEMA,
    })?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path.join(pending))?;
    file.write_all(&marker)?;
    file.sync_all()?;
    File::open(path)?.sync_all()?;
    clear(path, &[LOCK, pending])?;
    File::open(path)?.sync_all()
}

/// Removes all but these.
fn clear(path: &Path, but: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if but.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
