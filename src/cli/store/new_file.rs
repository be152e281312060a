//! Files that get their name when they are complete.

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::{Builder, TempPath};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

use crate::cli::output::{Failure, mention};
use crate::system_user::SystemUser;

/// Prefix and suffix of the hidden name of an unfinished file.
const PREFIX: &str = ".vestibule-";
const SUFFIX: &str = ".unfinished";

/// A file that gets its name when it is complete; readable by its owner only, from the first byte (S54).
///
/// Until then it has no name, so that nothing is left of it however the process ends. Where the file system
/// cannot do that (NFS), it has a hidden name, which is removed on failure, SIGINT and SIGTERM, and after a
/// kill by the next command that writes to the folder.
#[derive(Debug)]
pub(super) struct NewFile {
    pub(super) file: File,
    unfinished: Option<UnfinishedFile>,
}

/// The hidden name of an unfinished file, which is locked meanwhile.
#[derive(Debug)]
struct UnfinishedFile {
    path: TempPath,
    _on_signal: AbortOnDropHandle<()>,
}

impl NewFile {
    /// Like [`Self::beside`], but fails if the file exists.
    pub(super) fn create_new(path: &Path) -> Result<Self, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(unwritable(&path.display(), &io::ErrorKind::AlreadyExists.into()));
        }
        Self::beside(path)
    }

    /// Creates the file in the folder of its final path. Needs a tokio runtime.
    pub(super) fn beside(path: &Path) -> Result<Self, Failure> {
        let folder = folder_of(path);
        remove_unfinished(folder);
        let new = Self::without_name(folder).or_else(|_| Self::with_hidden_name(folder));
        new.map_err(|error| unwritable(&path.display(), &error))
    }

    fn without_name(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?);
        fs::metadata(descriptor(&file))?;
        Ok(Self {
            file,
            unfinished: None,
        })
    }

    fn with_hidden_name(folder: &Path) -> io::Result<Self> {
        let named = unfinished().make_in(folder, |path| {
            let mut options = File::options();
            let options = options.read(true).write(true).create_new(true).mode(0o600);
            let file = options.open(path)?;
            // Where files cannot be locked, leftovers are not removed either.
            let _ = file.try_lock();
            Ok(file)
        })?;
        let (file, path) = named.into_parts();
        let unfinished = UnfinishedFile {
            _on_signal: remove_on_signal(&path)?,
            path,
        };
        Ok(Self {
            file,
            unfinished: Some(unfinished),
        })
    }

    /// Gives the file its name, replacing an existing file if that is allowed.
    pub(super) fn put(self, path: &Path, may_replace: bool) -> Result<(), Failure> {
        let put = || {
            self.file.sync_all()?;
            let hidden = match self.unfinished {
                Some(UnfinishedFile { path, .. }) => path,
                None if !may_replace => {
                    link(&self.file, path)?;
                    return File::open(folder_of(path))?.sync_all();
                }
                // No system call gives a nameless file the name of an existing one.
                None => unfinished()
                    .make_in(folder_of(path), |hidden| link(&self.file, hidden))?
                    .into_temp_path(),
            };
            if may_replace {
                hidden.persist(path)?;
            } else {
                hidden.persist_noclobber(path)?;
            }
            File::open(folder_of(path))?.sync_all()
        };
        put().map_err(|error: io::Error| unwritable(&path.display(), &error))
    }
}

/// The failure to write a file or standard output, with advice.
pub(super) fn unwritable(name: &impl Display, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::AlreadyExists => {
            return Failure::failed(format!("{name} exists and stays as it is; name another file"));
        }
        io::ErrorKind::NotFound => "make that folder first".to_owned(),
        io::ErrorKind::PermissionDenied => {
            let user = SystemUser::current();
            format!("name a folder in which {user}, as whom this runs, may write")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, or name a file on another disk".to_owned()
        }
        _ => "nothing is kept of it; name another file".to_owned(),
    };
    Failure::failed(format!("{name} cannot be written: {error}; {advice}"))
}

/// Removes files of killed processes, which hold no lock any more.
fn remove_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_unfinished = name
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        let path = entry.path();
        if is_unfinished
            && File::open(&path).is_ok_and(|file| file.try_lock().is_ok())
            && fs::remove_file(&path).is_ok()
        {
            mention(format_args!(
                "removed {}, which was never finished",
                path.display()
            ));
        }
    }
}

/// On a signal, removes the file and ends the process as the signal would.
fn remove_on_signal(path: &Path) -> io::Result<AbortOnDropHandle<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let path = path.to_owned();
    let removing = tokio::spawn(async move {
        let number = tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        };
        let _ = fs::remove_file(path);
        std::process::exit(128 + number);
    });
    Ok(AbortOnDropHandle::new(removing))
}

fn unfinished() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    builder
}

/// A path of a nameless file: open(2), `O_TMPFILE`.
fn descriptor(file: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(file.as_raw_fd().to_string())
}

/// Gives a nameless file this name; fails if it exists.
fn link(file: &File, path: &Path) -> io::Result<()> {
    rustix::fs::linkat(CWD, descriptor(file), CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn s54_a_file_has_its_name_when_it_is_whole_and_no_other_before() {
        for make in [NewFile::without_name, NewFile::with_hidden_name] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("all.jsonl");
            let mut new = make(folder.path()).unwrap();
            new.file.write_all(b"first").unwrap();
            assert!(!path.exists());
            new.put(&path, false).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"first");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);

            let mut new = make(folder.path()).unwrap();
            new.file.write_all(b"second").unwrap();
            new.put(&path, false).unwrap_err();
            assert_eq!(fs::read(&path).unwrap(), b"first");
            let mut new = make(folder.path()).unwrap();
            new.file.write_all(b"third").unwrap();
            new.put(&path, true).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"third");
            drop(make(folder.path()).unwrap());
            assert_eq!(names(folder.path()), ["all.jsonl"]);
        }
    }

    #[tokio::test]
    async fn what_is_unfinished_has_no_name_where_the_system_can_do_that() {
        let folder = tempfile::tempdir().unwrap();
        let new = NewFile::beside(&folder.path().join("all.jsonl")).unwrap();
        if new.unfinished.is_none() {
            assert!(names(folder.path()).is_empty());
        }
    }

    #[tokio::test]
    async fn the_next_command_removes_what_a_kill_left_and_nothing_that_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".vestibule-x.unfinished");
        fs::write(&left, "hashes").unwrap();
        fs::write(folder.path().join(".vestibule-notes"), "").unwrap();
        let written = NewFile::with_hidden_name(folder.path()).unwrap();
        let path = written.unfinished.as_ref().unwrap().path.to_path_buf();
        drop(NewFile::beside(&folder.path().join("all.jsonl")).unwrap());
        assert!(!left.exists() && path.exists());
        assert_eq!(names(folder.path()).len(), 2);
    }
}
