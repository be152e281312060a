//! The admin socket of a running gateway.

use std::path::{Path, PathBuf};
use std::pin::pin;
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
use crate::unix_socket::{SocketFile, SocketModes, UnixSocket, UnixSocketError};

/// The most concurrent commands; further ones wait in the system's queue.
const CONNECTIONS: usize = 16;

/// Its owner alone may use the socket.
const MODES: SocketModes = SocketModes {
    socket: 0o600,
    folder: 0o700,
};

/// How long a caller may take to send its request, and to receive the response.
const PATIENCE: Duration = Duration::from_secs(10);

/// A listening socket. Dropping it removes its file.
#[derive(Debug)]
pub struct AdministratorSocket {
    listener: UnixListener,
    file: SocketFile,
    patience: Duration,
}

/// Why the socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another gateway listens there.
    #[error(
        "a gateway is already running: it answers at {}; stop it, or choose another listen.admin_socket and store.url",
        .0.display()
    )]
    AlreadyRunning(PathBuf),
    /// It cannot be made.
    #[error("listen.admin_socket: {0}")]
    Socket(UnixSocketError),
}

impl From<UnixSocketError> for BindError {
    fn from(error: UnixSocketError) -> Self {
        match error {
            UnixSocketError::InUse(path) => Self::AlreadyRunning(path),
            error => Self::Socket(error),
        }
    }
}

impl AdministratorSocket {
    /// Listens at `path`, replacing the socket of a dead process. Needs a tokio runtime.
    ///
    /// At no time can another user connect: the socket is created in a private folder, gets mode 0600 there,
    /// and is then moved to `path`.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let UnixSocket { listener, file } = UnixSocket::bind(path, MODES)?;
        let listener = UnixListener::from_std(listener).map_err(|error| {
            let path = path.to_owned();
            BindError::Socket(UnixSocketError::Io { path, error })
        })?;
        Ok(Self {
            listener,
            file,
            patience: PATIENCE,
        })
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Executes all commands that come in, until `stop`; those under way are then completed. `execute` gets
    /// the command and its actor.
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

/// Serves one connection: a request, a response, and an export if there is one.
async fn converse<E, F, G>(mut stream: UnixStream, execute: E, stop: CancellationToken, patience: Duration)
where
    E: Fn(Command, Actor) -> F,
    F: Future<Output = Result<G, CommandError>>,
    G: Into<CommandResult>,
{
    let uid = match stream.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => {
            tracing::warn!(%error, "the user id of a caller of the administrator's socket cannot be read");
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
                    with_beats(&stream, execute(command, by)).await.map(Into::into)
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
            Err(_) => tracing::debug!(
                "a command was executed, its caller closed the connection before the response"
            ),
        },
        Err(error) => tracing::error!(%error, "a response cannot be written"),
    }
}

/// The outcome of a command. Until there is one its caller is told every second that the gateway is at it.
async fn with_beats<T>(stream: &UnixStream, executed: impl Future<Output = T>) -> T {
    let mut executed = pin!(executed);
    loop {
        match timeout(protocol::BEATS, &mut executed).await {
            Ok(outcome) => return outcome,
            // The command goes on whether its caller waits or not.
            Err(_) => drop(stream.try_write(protocol::BEAT)),
        }
    }
}

/// Returns whether a system user may command a gateway that `own` runs.
fn may_command(uid: u32, own: u32) -> bool {
    uid == own || uid == 0
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Consumes the line, so that it is wiped before the command is executed.
#[expect(clippy::needless_pass_by_value, reason = "see above")]
fn parse(line: Zeroizing<Vec<u8>>) -> Result<AdminRequest, CommandError> {
    protocol::parse_request(&line)
}

/// Why a request was not read.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("the request did not come in time")]
    Slow,
    #[error("the request is larger than {0} bytes; divide it")]
    TooLarge(usize),
    #[error("the caller closed the connection")]
    Gone,
}

impl From<ReadLineError> for RequestError {
    fn from(error: ReadLineError) -> Self {
        match error {
            ReadLineError::TooLong(limit) => Self::TooLarge(limit),
            ReadLineError::Ended | ReadLineError::Silent(_) | ReadLineError::Io(_) => Self::Gone,
        }
    }
}

#[cfg(test)]
mod tests;
