//! The administrator's socket of a running gateway.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::command::by_command_of;
use super::protocol::{self, AdminRequest, MAX_REQUEST, ReadLineError};
use super::{Command, CommandError, CommandResult, framing};
use crate::services::Actor;
use crate::system_user::SystemUser;

/// How many commands are served at one time; further ones wait in the system's queue.
const CONNECTIONS: usize = 16;

/// The right of everybody to write to a folder.
const OTHERS_WRITE: u32 = 0o002;

/// How long a caller may take to send its request, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket that listens. Its file is removed when it is dropped.
#[derive(Debug)]
pub struct AdministratorSocket {
    listener: UnixListener,
    file: SocketFile,
    patience: Duration,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another gateway listens there.
    #[error(
        "a gateway is already running: it answers at {}; stop it, or choose another listen.admin_socket and store.url",
        .0.display()
    )]
    AlreadyRunning(PathBuf),
    /// Something that is not a socket is in the way.
    #[error("{} is not a socket; remove it, or choose another listen.admin_socket", .0.display())]
    InTheWay(PathBuf),
    /// Another user's gateway listened there, or does.
    #[error("{} is the socket of {}; remove it, or choose another listen.admin_socket", .0.display(), .1)]
    OfAnother(PathBuf, SystemUser),
    /// Others could put a socket of their own there.
    #[error(transparent)]
    OpenFolder(#[from] OpenFolder),
    /// The system refuses.
    #[error("the administrator's socket {} cannot be made: {error}", .path.display())]
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
     choose another listen.admin_socket",
    .0.display()
)]
pub struct OpenFolder(PathBuf);

/// The folder of a socket.
pub(super) fn folder_of(socket: &Path) -> &Path {
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Refuses a folder that everybody may write: commands carry passwords. A group may: volumes of containers belong to one,
/// and whoever answers there must be a user that is trusted anyway.
pub(super) fn require_closed(folder: &Path) -> io::Result<Result<(), OpenFolder>> {
    let mode = fs::metadata(folder)?.mode();
    Ok(if mode & OTHERS_WRITE == 0 {
        Ok(())
    } else {
        Err(OpenFolder(folder.to_owned()))
    })
}

/// Refuses a place at which a gateway of this user could not listen, as far as that shows without trying to. One that
/// listens there already is no reason.
pub fn check_place(path: &Path) -> Result<(), BindError> {
    if let Ok(closed) = require_closed(folder_of(path)) {
        closed?;
    }
    let current = SystemUser::current();
    match fs::symlink_metadata(path).map(|there| SystemUser::owner_of(&there)) {
        Ok(owner) if owner != current && !current.is_root() => {
            Err(BindError::OfAnother(path.to_owned(), owner))
        }
        _ => Ok(()),
    }
}

impl AdministratorSocket {
    /// Listens at `path`, in place of the socket that a dead process left there. Needs a tokio runtime.
    ///
    /// Only its owner can ever connect: it is made in a folder that nobody else can enter, gets mode 0600 there,
    /// and is then moved into its place.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |error| BindError::Io {
            path: path.to_owned(),
            error,
        };
        let folder = folder_of(path);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
        require_closed(folder).map_err(failed)??;
        require_vacant(path)?;

        let nursery = PrivateDir::new(folder).map_err(failed)?;
        let newborn = nursery.0.join("s");
        let listener = UnixListener::bind(&newborn).map_err(failed)?;
        fs::set_permissions(&newborn, Permissions::from_mode(0o600)).map_err(failed)?;
        let inode = fs::metadata(&newborn).map_err(failed)?.ino();
        fs::rename(&newborn, path).map_err(failed)?;
        Ok(Self {
            listener,
            file: SocketFile {
                path: path.to_owned(),
                inode,
            },
            patience: PATIENCE,
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Has every command that comes in executed, until `stop`; those that have begun are then completed.
    /// `execute` gets the command and who asks it, for the record.
    pub async fn serve<E, F, G>(self, execute: E, stop: CancellationToken)
    where
        E: Fn(Command, Actor) -> F + Clone + Send + 'static,
        F: Future<Output = Result<G, CommandError>> + Send + 'static,
        G: Into<CommandResult>,
    {
        let tasks = TaskTracker::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let place = tokio::select! {
                place = places.clone().acquire_owned() => place,
                () = stop.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (execute, stop, patience) = (execute.clone(), stop.clone(), self.patience);
                    tasks.spawn(async move {
                        converse(stream, execute, stop, patience).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the administrator's socket cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self);
        tasks.close();
        tasks.wait().await;
    }
}

/// Serves one connection: one request, one answer, and what follows that.
async fn converse<E, F, G>(mut stream: UnixStream, execute: E, stop: CancellationToken, patience: Duration)
where
    E: Fn(Command, Actor) -> F,
    F: Future<Output = Result<G, CommandError>>,
    G: Into<CommandResult>,
{
    let uid = match stream.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => {
            tracing::warn!(%error, "a caller of the administrator's socket is nobody");
            return;
        }
    };
    let outcome = if may_command(uid, own_uid()) {
        let request = tokio::select! {
            request = timeout(patience, protocol::read_line(&mut stream, MAX_REQUEST)) => request,
            () = stop.cancelled() => return,
        };
        match request.map_or_else(
            |_| Err(RequestError::Slow),
            |read| read.map_err(RequestError::from),
        ) {
            Ok(line) => match parse(line) {
                Ok(AdminRequest { command, reason }) => {
                    let by = by_command_of(uid).because(reason.as_deref().unwrap_or_default());
                    execute(command, by).await.map(Into::into)
                }
                Err(error) => Err(error),
            },
            Err(RequestError::Gone) => return,
            Err(unread) => Err(CommandError::new(unread.to_string())),
        }
    } else {
        tracing::warn!(uid, "another user called the administrator's socket");
        Err(CommandError::new(
            "only root and the user that runs the gateway may command it",
        ))
    };
    let outcome = match outcome {
        Ok(CommandResult::Document(document)) => Ok(document),
        Ok(CommandResult::Lines(lines)) => {
            if let Err(error) = framing::send(&mut stream, lines, &stop, patience).await {
                tracing::warn!(%error, "an export was given up: its caller did not take it");
            }
            return;
        }
        Err(error) => Err(error),
    };
    match protocol::encode_response(outcome) {
        Ok(answer) => match timeout(patience, protocol::write_line(&mut stream, &answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a command was executed, its caller did not wait"),
            Err(_) => tracing::debug!("a command was executed, its caller did not take the answer"),
        },
        Err(error) => tracing::error!(%error, "an answer cannot be written"),
    }
}

/// Whether a system user may command a gateway that `own` runs.
fn may_command(uid: u32, own: u32) -> bool {
    uid == own || uid == 0
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Takes the line, so that it is wiped before the command is executed.
#[expect(clippy::needless_pass_by_value, reason = "see above")]
fn parse(line: Zeroizing<Vec<u8>>) -> Result<AdminRequest, CommandError> {
    protocol::parse_request(&line)
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("the request did not come in time")]
    Slow,
    #[error("the request is larger than {0} bytes; divide it")]
    TooLarge(usize),
    #[error("nobody is there any more")]
    Gone,
}

impl From<ReadLineError> for RequestError {
    fn from(error: ReadLineError) -> Self {
        match error {
            ReadLineError::TooLong(limit) => Self::TooLarge(limit),
            ReadLineError::Ended | ReadLineError::Io(_) => Self::Gone,
        }
    }
}

/// Removes the socket of a dead process; whatever else is there stays and is an error.
fn require_vacant(path: &Path) -> Result<(), BindError> {
    let failed = |error| BindError::Io {
        path: path.to_owned(),
        error,
    };
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => return Err(BindError::InTheWay(path.to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match BlockingUnixStream::connect(path) {
        Ok(_) => Err(BindError::AlreadyRunning(path.to_owned())),
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

/// The file of a socket.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    /// Leaves alone what a successor has put into its place.
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
