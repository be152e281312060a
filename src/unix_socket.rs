//! Unix sockets that the gateway listens at: made in the place of a dead process's socket, never of a living one's, and
//! removed with the listener.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::system_user::SystemUser;

/// The longest path of a socket, in bytes (unix(7)).
pub const MAX_PATH: usize = 107;

/// The right of everybody to write to a folder.
const OTHERS_WRITE: u32 = 0o002;

/// A socket that listens, and its file.
#[derive(Debug)]
pub struct UnixSocket {
    /// Takes connections without blocking.
    pub listener: UnixListener,
    /// Removed when it is dropped.
    pub file: SocketFile,
}

/// Rights on what is made.
#[derive(Clone, Copy, Debug)]
pub struct SocketModes {
    /// Of the socket.
    pub socket: u32,
    /// Of its folder, where that is made too.
    pub folder: u32,
}

/// The file of a socket. Removed when it is dropped, unless a successor has put another into its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    /// Another process listens there.
    #[error("{} is the socket of a program that runs; stop that, or choose another place", .0.display())]
    InUse(PathBuf),
    /// Something that is not a socket is in the way.
    #[error("{} is there and is no socket; remove it, or choose another place", .0.display())]
    NotASocket(PathBuf),
    /// Another user's program listened there, or does.
    #[error("{} is the socket of {}; remove it, or choose another place", .0.display(), .1)]
    OfAnother(PathBuf, SystemUser),
    /// Others could put a socket of their own there.
    #[error(transparent)]
    OpenFolder(#[from] OpenFolder),
    /// The system refuses.
    #[error("the socket {} cannot be made: {error}", .path.display())]
    Io {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A folder in which everybody may put a socket in the place of the gateway's.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} may be written by everybody, so that anybody may answer there: take that right from others (`chmod o-w`), or \
     choose another place for the socket",
    .0.display()
)]
pub struct OpenFolder(PathBuf);

impl UnixSocket {
    /// Listens at `path`, in place of the socket that a dead process left there.
    ///
    /// It is made in a folder that only this user can enter, gets its mode there, and is then moved into its place: at no
    /// time may more connect than its mode says.
    pub fn bind(path: &Path, modes: SocketModes) -> Result<Self, UnixSocketError> {
        let failed = |error| UnixSocketError::Io {
            path: path.to_owned(),
            error,
        };
        let folder = folder_of(path);
        DirBuilder::new()
            .recursive(true)
            .mode(modes.folder)
            .create(folder)
            .map_err(failed)?;
        require_closed(folder).map_err(failed)??;
        require_vacant(path)?;

        let nursery = PrivateDir::new(folder).map_err(failed)?;
        let newborn = nursery.0.join("s");
        let listener = UnixListener::bind(&newborn).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        fs::set_permissions(&newborn, Permissions::from_mode(modes.socket)).map_err(failed)?;
        let inode = fs::metadata(&newborn).map_err(failed)?.ino();
        fs::rename(&newborn, path).map_err(failed)?;
        Ok(Self {
            listener,
            file: SocketFile {
                path: path.to_owned(),
                inode,
            },
        })
    }
}

/// The folder of a socket.
pub fn folder_of(socket: &Path) -> &Path {
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Refuses a folder that everybody may write: what goes over the gateway's sockets are passwords. A group may: volumes of
/// containers belong to one, and whoever answers there must be a user that is trusted anyway.
pub fn require_closed(folder: &Path) -> io::Result<Result<(), OpenFolder>> {
    let mode = fs::metadata(folder)?.mode();
    Ok(if mode & OTHERS_WRITE == 0 {
        Ok(())
    } else {
        Err(OpenFolder(folder.to_owned()))
    })
}

/// Refuses a place at which a gateway of this user could not listen, as far as that shows without trying to. One that
/// listens there already is no reason.
pub fn check_place(path: &Path) -> Result<(), UnixSocketError> {
    if let Ok(closed) = require_closed(folder_of(path)) {
        closed?;
    }
    let Ok(there) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !there.file_type().is_socket() {
        return Err(UnixSocketError::NotASocket(path.to_owned()));
    }
    let (current, owner) = (SystemUser::current(), SystemUser::owner_of(&there));
    if owner != current && !current.is_root() {
        return Err(UnixSocketError::OfAnother(path.to_owned(), owner));
    }
    Ok(())
}

/// Removes the socket of a dead process; whatever else is there stays and is an error.
fn require_vacant(path: &Path) -> Result<(), UnixSocketError> {
    let failed = |error| UnixSocketError::Io {
        path: path.to_owned(),
        error,
    };
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(UnixSocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(UnixSocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// A folder that only this process's user can enter, for a moment. Its name is no longer than a usual socket's,
/// because a socket's path is limited to about 100 bytes.
struct PrivateDir(PathBuf);

impl PrivateDir {
    fn new(beside: &Path) -> io::Result<Self> {
        let folder = beside.join(format!(".{}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            // What a process of the same number left when it was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_dir_all(&folder)?;
                DirBuilder::new().mode(0o700).create(&folder)?;
            }
            made => made?,
        }
        Ok(Self(folder))
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a temporary folder stays");
        }
    }
}

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
