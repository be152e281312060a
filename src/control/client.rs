//! Asking a running gateway.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::environment::{EnvironmentError, GatewayEnvironment, read_environment};
use super::owner::store_owner;
use super::protocol::{self, MAX_ANSWER, MAX_REQUEST};
use super::{Command, CommandError, ExportPurpose, framing};
use crate::config::Config;
use crate::store::Summary;
use crate::system_user::SystemUser;
use crate::unix_socket::{OpenFolder, folder_of, require_closed};

/// How long a gateway may take to accept a request.
const SENDING: Duration = Duration::from_secs(10);

/// How long a gateway may take to answer: an import hashes nothing, but a large store is verified for minutes.
const ANSWERING: Duration = Duration::from_mins(10);

/// The other end of an administrator's socket.
#[derive(Clone, Debug)]
pub struct SocketClient {
    socket: PathBuf,
    /// Who is believed to run the gateway, beside root and oneself.
    owner: Option<SystemUser>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no gateway answers at {}", .0.display())]
    NotRunning(PathBuf),
    /// The socket is somebody else's.
    #[error("{} belongs to another user: run this as the user that runs the gateway, or as root", .0.display())]
    Denied(PathBuf),
    /// Somebody else answers.
    #[error(
        "at {} {peer} answers, who is neither root nor you nor the owner of the store: nothing was asked",
        .socket.display()
    )]
    Stranger {
        /// Where.
        socket: PathBuf,
        /// Who.
        peer: SystemUser,
    },
    /// Everybody can put a socket of their own there.
    #[error(transparent)]
    OpenFolder(#[from] OpenFolder),
    /// The request is larger than a gateway takes.
    #[error("the request is larger than {MAX_REQUEST} bytes; divide it")]
    TooLarge,
    /// The gateway did not answer in time.
    #[error("the gateway at {} does not answer", .0.display())]
    Silent(PathBuf),
    /// The connection broke.
    #[error("the gateway at {} broke off: {error}", .socket.display())]
    Broken {
        /// Which one.
        socket: PathBuf,
        /// How.
        error: String,
    },
    /// There is no answer to what was sent whole and changes something.
    #[error("{error}. What was asked may have been done all the same: `{shown_by}` shows whether it was")]
    Unanswered {
        /// Why there is none.
        error: Box<ClientError>,
        /// The command that shows it.
        shown_by: &'static str,
    },
}

impl SocketClient {
    /// Of the gateway whose socket this is, if one runs.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            owner: None,
        }
    }

    /// Of the gateway with this configuration: it may be run by whoever owns the store.
    pub fn of(config: &Config) -> Self {
        Self {
            owner: store_owner(config),
            ..Self::new(&config.listen.admin_socket)
        }
    }

    /// Asks, and waits for the answer.
    pub async fn send(&self, command: &Command) -> Result<Result<Value, CommandError>, ClientError> {
        self.send_with_reason(command, None).await
    }

    /// The same, and says why.
    pub async fn send_with_reason(
        &self,
        command: &Command,
        reason: Option<&str>,
    ) -> Result<Result<Value, CommandError>, ClientError> {
        let (mut stream, request) = self.connect(command, reason).await?;
        // A gateway that refuses the caller answers without reading: its answer says more than the broken pipe.
        let sent = timeout(SENDING, protocol::write_line(&mut stream, &request))
            .await
            .map_err(|_| self.silent())?;
        let answer = timeout(ANSWERING, protocol::read_line(&mut stream, MAX_ANSWER)).await;
        let unanswered = |error| match command.shown_by() {
            Some(shown_by) => ClientError::Unanswered {
                error: Box::new(error),
                shown_by,
            },
            None => error,
        };
        match (sent, answer) {
            (_, Err(_)) => Err(unanswered(self.silent())),
            (_, Ok(Ok(line))) => protocol::outcome(&line).map_err(|error| unanswered(self.broken(&error))),
            (Err(error), Ok(Err(_))) => Err(self.broken(&error)),
            (Ok(()), Ok(Err(error))) => Err(unanswered(self.broken(&error))),
        }
    }

    /// Asks for everything in the store.
    pub async fn export(
        &self,
        purpose: ExportPurpose,
        reason: Option<&str>,
    ) -> Result<Result<ExportStream, CommandError>, ClientError> {
        let command = Command::ExportStore(purpose);
        let (mut stream, request) = self.connect(&command, reason).await?;
        let sent = timeout(SENDING, protocol::write_line(&mut stream, &request)).await;
        let sent = sent.map_err(|_| self.silent())?;
        let mut exporting = ExportStream {
            client: self.clone(),
            stream: BufReader::new(stream),
            summary: None,
        };
        match (sent, exporting.outcome().await) {
            (_, Ok(outcome)) => Ok(outcome.map(|_| exporting)),
            (Err(error), Err(_)) => Err(self.broken(&error)),
            (Ok(()), Err(error)) => Err(error),
        }
    }

    /// Whether a gateway answers, or somebody else's may.
    pub async fn is_running(&self) -> bool {
        match UnixStream::connect(&self.socket).await {
            Ok(_) => true,
            Err(error) => !matches!(self.unreached(&error), ClientError::NotRunning(_)),
        }
    }

    /// These variables of the environment that the gateway was started with.
    pub async fn environment(&self, names: &[String]) -> Result<GatewayEnvironment, EnvironmentError> {
        // Held meanwhile, so that the process is still the one that answered.
        let stream = self.connect_trusted().await?;
        let peer = stream.peer_cred().map_err(|error| self.broken(&error))?;
        let process = peer.pid().filter(|process| *process > 0);
        read_environment(process.ok_or(EnvironmentError::NoProcess)?, names)
    }

    async fn connect(
        &self,
        command: &Command,
        reason: Option<&str>,
    ) -> Result<(UnixStream, Zeroizing<Vec<u8>>), ClientError> {
        let request = protocol::request(command, reason).map_err(|error| self.broken(&error))?;
        if request.len() > MAX_REQUEST {
            return Err(ClientError::TooLarge);
        }
        Ok((self.connect_trusted().await?, request))
    }

    async fn connect_trusted(&self) -> Result<UnixStream, ClientError> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| self.unreached(&error))?;
        self.require_trusted(&stream)?;
        Ok(stream)
    }

    /// Commands carry passwords: whoever listens must be somebody who could read the store anyway.
    fn require_trusted(&self, stream: &UnixStream) -> Result<(), ClientError> {
        require_closed(folder_of(&self.socket)).map_err(|error| self.broken(&error))??;
        let peer = stream.peer_cred().map_err(|error| self.broken(&error))?;
        let peer = SystemUser::of(peer.uid());
        if may_answer(peer, SystemUser::current(), self.owner) {
            return Ok(());
        }
        Err(ClientError::Stranger {
            socket: self.socket.clone(),
            peer,
        })
    }

    fn unreached(&self, error: &io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning(self.socket.clone())
            }
            io::ErrorKind::PermissionDenied => ClientError::Denied(self.socket.clone()),
            _ => self.broken(error),
        }
    }

    fn silent(&self) -> ClientError {
        ClientError::Silent(self.socket.clone())
    }

    fn broken(&self, error: &impl ToString) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            error: error.to_string(),
        }
    }
}

/// Whether a system user is believed to be the gateway.
fn may_answer(peer: SystemUser, own: SystemUser, owner: Option<SystemUser>) -> bool {
    peer.is_root() || peer == own || Some(peer) == owner
}

/// An export on its way from a gateway.
#[derive(Debug)]
pub struct ExportStream {
    client: SocketClient,
    stream: BufReader<UnixStream>,
    summary: Option<Summary>,
}

impl ExportStream {
    /// The next lines; none at the end of an export that is whole.
    pub async fn lines(&mut self) -> Result<Result<Option<Vec<u8>>, CommandError>, ClientError> {
        let piece = timeout(ANSWERING, framing::receive(&mut self.stream)).await;
        let piece = piece.map_err(|_| self.client.silent())?;
        if let Some(lines) = piece.map_err(|error| self.client.broken(&error))? {
            return Ok(Ok(Some(lines)));
        }
        match self.outcome().await? {
            Ok(summary) => {
                let summary = serde_json::from_value(summary);
                self.summary = Some(summary.map_err(|error| self.client.broken(&error))?);
                Ok(Ok(None))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// What there was, after the end.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    async fn outcome(&mut self) -> Result<Result<Value, CommandError>, ClientError> {
        let line = timeout(ANSWERING, framing::receive_line(&mut self.stream)).await;
        let line = line.map_err(|_| self.client.silent())?;
        let line = line.map_err(|error| self.client.broken(&error))?;
        protocol::outcome(&line).map_err(|error| self.client.broken(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_is_cut_off_says_that_it_may_be_done_and_how_to_look() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let client = SocketClient::new(&socket);
        let cut_off = async {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                protocol::read_line(&mut stream, MAX_REQUEST).await.unwrap();
            }
        };
        let delete = Command::DeleteUser("ann".to_owned());
        let asked = async { (client.send(&delete).await, client.send(&Command::ListLocks).await) };
        let ((), (changed, read)) = tokio::join!(cut_off, asked);
        let told = changed.unwrap_err().to_string();
        for says in ["broke off", "may have been done", "`vestibule user list`"] {
            assert!(told.contains(says), "{told}");
        }
        let told = read.unwrap_err().to_string();
        assert!(told.contains("broke off") && !told.contains("may have"), "{told}");
    }

    #[test]
    fn root_oneself_and_the_stores_owner_may_answer() {
        let [root, own, owner, other] = [0, 1000, 998, 1001].map(SystemUser::of);
        for peer in [root, own, owner] {
            assert!(may_answer(peer, own, Some(owner)), "{peer}");
        }
        assert!(!may_answer(other, own, Some(owner)));
        assert!(!may_answer(owner, own, None));
    }
}
