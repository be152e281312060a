//! The store's directory: ownership, permissions, lock, and the marker file with engine and schema version.
//!
//! The engine would open a foreign directory, or one of another version of it, as an empty database. So
//! nothing is opened without the marker, which gets its name only when a new store is complete and durable.
//! The next start clears what a crash leaves of an unfinished store, but refuses what it leaves of an
//! unfinished import: an empty store must not pass for the imported one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, accessat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{high_water_mark, reserved_space};
use crate::regular_file;
use crate::store::StoreError;
use crate::system_user::SystemUser;

const MARKER: &str = "vestibule-store.json";
const UNFINISHED: &str = "unfinished";
const IMPORTING: &str = "importing";
const UPGRADED: &str = "upgraded";
const LOCK: &str = "lock";
const BLOBS: &str = "blobs";

/// The fingerprint of the master key that the store needs, readable while another process has the store open.
const MASTER_KEY: &str = "master-key.fingerprint";

/// The files that have a name of their own.
const FILES: [&str; 11] = [
    MARKER,
    UPGRADED,
    UNFINISHED,
    IMPORTING,
    LOCK,
    MASTER_KEY,
    "conf",
    "db",
    high_water_mark::FILE,
    high_water_mark::BEGUN,
    reserved_space::FILE,
];

/// What new markers say. Schema 2 has usernames in rows of two kinds, of which programs for schema 1 know one: they would give
/// a name that is taken to another account.
const ENGINE: &str = "sled-0.34";
const SCHEMA: u32 = 2;

/// The oldest schema that is brought up to date.
const OLDEST_SCHEMA: u32 = 1;

/// A directory that this process has locked for as long as the value lives.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    new: bool,
    /// The marker's name until the store is complete.
    pending: &'static str,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    engine: String,
    schema: u32,
}

impl DataDir {
    /// Locks the directory, creating it if there is none.
    ///
    /// Sets the process's umask, permanently, because the engine creates its files with it.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        Self::take_or_fail(path, UNFINISHED).map_err(at(path))?
    }

    /// Locks the directory for an import. A store that is there is discarded, unless `is_blank` refuses.
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
        let lock = match lock(path) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Ok(Err(is_open(path))),
            Err(error) => return refusal_behind(error, &path.join(LOCK)),
        };
        if is_empty(path)? {
            // An empty directory holds nothing that others could have read.
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
        }
        if let Err(refusal) = refuse_unusable(path, SystemUser::current())? {
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

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether it has no complete store yet.
    pub(super) fn is_new(&self) -> bool {
        self.new
    }

    /// Returns whether the engine's main file exists.
    pub(super) fn has_database(&self) -> bool {
        self.path.join("db").exists()
    }

    /// Has the marker name the program's schema before any row has its form, so that an older program refuses the store.
    pub(super) fn upgrade_marker(&self) -> io::Result<()> {
        if self.new {
            return Ok(());
        }
        let marker = self.path.join(MARKER);
        let Marker { schema, .. } = serde_json::from_slice(&regular_file::read(&marker)?)?;
        if schema == SCHEMA {
            return Ok(());
        }
        let draft = self.path.join(UPGRADED);
        write_marker(&draft)?;
        fs::rename(draft, marker)?;
        File::open(&self.path)?.sync_all()
    }

    /// Makes the files and their directory entries durable, and then gives a new store its marker.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        for name in ["conf", "db", BLOBS, ""] {
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

    /// Records the fingerprint of the master key that wraps the data key. Only an early warning depends on
    /// it, so a failure is logged.
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

    /// Removes all files of a store that is not complete.
    pub(super) fn abandon(&self) -> io::Result<()> {
        if !self.new {
            return Ok(());
        }
        clear(&self.path, &[LOCK, self.pending])?;
        fs::remove_file(self.path.join(self.pending))
    }
}

/// The error for a store that another process has open.
pub(super) fn is_open(path: &Path) -> StoreError {
    StoreError::Refused(format!(
        "the store in {} is already open in another process; stop that one first",
        path.display()
    ))
}

/// Reads the recorded fingerprint; `None` if it is missing or malformed.
pub(super) fn recorded_master_key(path: &Path) -> Option<String> {
    let told = regular_file::read_to_string(&path.join(MASTER_KEY)).ok()?;
    let is_whole = told.len() == 32 && told.bytes().all(|b| b.is_ascii_hexdigit());
    is_whole.then_some(told)
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |error| StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Refuses a directory that has no store of this program, or one of another version.
fn refuse_foreign(path: &Path, pending: &str) -> io::Result<Result<(), StoreError>> {
    let shown = path.display();
    let refuse = |text: String| Ok(Err(StoreError::Refused(text)));
    if !path.is_dir() {
        return refuse(format!("{shown} is not a folder; name another one for the store"));
    }
    if let Some(special) = special_file(path).or_else(|| special_file(&path.join(BLOBS))) {
        return refuse(format!("{} is not a regular file: remove it", special.display()));
    }
    if let Some(folder) = FILES
        .map(|name| path.join(name))
        .iter()
        .find(|file| file.is_dir())
    {
        return refuse(format!(
            "{} is a folder where the store has a file: remove it",
            folder.display()
        ));
    }
    if path.join(BLOBS).is_file() {
        return refuse(format!(
            "{} is a file where the store has a folder: remove it",
            path.join(BLOBS).display()
        ));
    }
    let text = match regular_file::read(&path.join(MARKER)) {
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
        Err(error) => return refusal_behind(error, path),
    };
    match serde_json::from_slice(&text) {
        Ok(Marker { engine, schema }) if engine == ENGINE && (OLDEST_SCHEMA..=SCHEMA).contains(&schema) => {
            Ok(Ok(()))
        }
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

/// Returns what is in the folder and neither a file nor a folder: a pipe would hold whoever opens it up for ever.
fn special_file(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find(|path| fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()))
}

/// Refuses what [`DataDir::lock`] would, as far as that can be told without writing. Root checks on behalf of the
/// service's user, to whom the directory belongs.
pub(super) fn check(path: &Path) -> io::Result<Result<(), StoreError>> {
    if !path.exists() {
        return Ok(Ok(()));
    }
    if !SystemUser::current().is_root()
        && let Err(refusal) = refuse_another_users(path)?
    {
        return Ok(Err(refusal));
    }
    match refuse_foreign(path, UNFINISHED)? {
        Ok(()) => {
            let user = SystemUser::owner_of(&fs::metadata(path)?);
            // An empty directory may be open to others: nothing in it could be read.
            let judged = if is_empty(path)? {
                path.join(LOCK)
            } else {
                path.to_owned()
            };
            refuse_unusable(&judged, user)
        }
        refusal => Ok(refusal),
    }
}

/// Refuses a directory of another user: what root creates in it, its owner could not open. Root may use one
/// that is empty.
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

/// Returns whether the directory has a store or remains of one.
pub(super) fn is_made(path: &Path) -> io::Result<bool> {
    match is_empty(path) {
        Ok(is_empty) => Ok(!is_empty),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // Opening it gives the error.
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

/// Returns whether there is nothing in it but the lock file of a start that failed early.
fn is_empty(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        if entry?.file_name() != LOCK {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses a store with files that group or others may access (S54), that another user than `user` owns, or that this
/// process may not use. Root may use files of any user in a directory of its own.
///
/// Passes over what is gone when it is looked at: a gateway that runs replaces files.
fn refuse_unusable(path: &Path, user: SystemUser) -> io::Result<Result<(), StoreError>> {
    let mut unseen = vec![path.to_owned()];
    while let Some(found) = unseen.pop() {
        let about = match fs::metadata(&found) {
            Err(_) if fs::symlink_metadata(&found).is_err_and(|error| is_gone(&error)) => continue,
            about => about?,
        };
        let (owner, current) = (SystemUser::owner_of(&about), SystemUser::current());
        if owner != user && !user.is_root() {
            let whose = if user == current {
                format!("this runs as {user}")
            } else {
                format!("the store to {user}")
            };
            return Ok(Err(StoreError::Refused(format!(
                "{} belongs to {owner}, and {whose}; run as root: chown -R {user} {}",
                found.display(),
                path.display()
            ))));
        }
        let mode = about.permissions().mode();
        if mode & 0o077 != 0 {
            return Ok(Err(StoreError::Refused(format!(
                "{} is open to others than its owner (mode {:04o}); run: chmod -R go= {}",
                found.display(),
                mode & 0o7777,
                path.display()
            ))));
        }
        if let Err(errno) = accessat(
            CWD,
            &found,
            needed_access(&found, about.is_dir()),
            AtFlags::EACCESS,
        ) && errno != Errno::NOENT
        {
            return Ok(Err(StoreError::Refused(format!(
                "{} is closed to its owner (mode {:04o}); run: chmod -R u+rwX {}",
                found.display(),
                mode & 0o7777,
                path.display()
            ))));
        }
        if about.is_dir() {
            match fs::read_dir(&found) {
                Err(error) if is_gone(&error) => {}
                entries => {
                    for entry in entries? {
                        unseen.push(entry?.path());
                    }
                }
            }
        }
    }
    Ok(Ok(()))
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// What the store does with what it has: it opens two files for writing, reads or replaces the others, and makes more.
fn needed_access(found: &Path, is_folder: bool) -> Access {
    if is_folder {
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK
    } else if found.ends_with(LOCK) || found.ends_with("db") {
        Access::READ_OK | Access::WRITE_OK
    } else {
        Access::READ_OK
    }
}

/// The refusal that says whose file kept this process out, in place of an error of the system; otherwise that error.
fn refusal_behind<T>(error: io::Error, path: &Path) -> io::Result<Result<T, StoreError>> {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return Err(error);
    }
    match refuse_unusable(path, SystemUser::current())? {
        Ok(()) => Err(error),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// Locks a directory; `None` if another process has the lock. The operating system releases it with the
/// process.
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

/// Writes the marker under its provisional name, and clears what an unfinished start left.
fn begin(path: &Path, pending: &str) -> io::Result<()> {
    write_marker(&path.join(pending))?;
    File::open(path)?.sync_all()?;
    clear(path, &[LOCK, pending])?;
    File::open(path)?.sync_all()
}

/// Writes a marker of this program's, durable but for the name of the file.
fn write_marker(path: &Path) -> io::Result<()> {
    let marker = serde_json::to_vec(&Marker {
        engine: ENGINE.to_owned(),
        schema: SCHEMA,
    })?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&marker)?;
    file.sync_all()
}

/// Removes everything but these.
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
