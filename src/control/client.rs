//! The client of the admin socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::environment::{EnvironmentError, GatewayEnvironment, read_environment};
use super::owner::store_owner;
use super::protocol::{self, MAX_ANSWER, MAX_REQUEST, ReadLineError};
use super::{Command, CommandError, ExportPurpose, framing};
use crate::config::Config;
use crate::store::Summary;
use crate::system_user::SystemUser;
use crate::unix_socket::{OpenFolder, folder_of, require_closed};

/// How long a gateway may say nothing, and take nothing. One that executes a command says so every second, whatever the
/// command takes.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a piece of an export may take to come.
const EXPORTING: Duration = Duration::from_mins(10);

/// Sends commands to the admin socket of a running gateway.
#[derive(Clone, Debug)]
pub struct SocketClient {
    socket: PathBuf,
    /// The system user that may own the peer, beside root and the current user.
    owner: Option<SystemUser>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No gateway listens on the socket.
    #[error("no gateway answers at {}", .0.display())]
    NotRunning(PathBuf),
    /// The socket belongs to another user.
    #[error("{} belongs to another user: run this as the user that runs the gateway, or as root", .0.display())]
    Denied(PathBuf),
    /// The peer is not a trusted user.
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
    /// Every user can put another socket into its folder.
    #[error(transparent)]
    OpenFolder(#[from] OpenFolder),
    /// The request is larger than a gateway accepts.
    #[error("the request is larger than {MAX_REQUEST} bytes; divide it")]
    TooLarge,
    /// The gateway did not answer in time.
    #[error(
        "the gateway at {} did not answer for {} s: it hangs, is stopped or has too many commands at work. See its log, or \
         restart it",
        .0.display(),
        SILENCE.as_secs()
    )]
    Silent(PathBuf),
    /// The connection broke.
    #[error("the gateway at {} broke off: {error}", .socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// How.
        error: String,
    },
    /// A command that changes something was sent, and no response came: whether it was executed is unknown.
    #[error("{error}. What was asked may have been done all the same: `{shown_by}` shows whether it was")]
    Unanswered {
        /// Why there is no response.
        error: Box<ClientError>,
        /// The command that shows whether it was executed.
        shown_by: &'static str,
    },
}

impl SocketClient {
    /// Creates the client of a socket.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            owner: None,
        }
    }

    /// Creates the client of the gateway with this configuration, whose user may be the owner of the store.
    pub fn of(config: &Config) -> Self {
        Self {
            owner: store_owner(config),
            ..Self::new(&config.listen.admin_socket)
        }
    }

    /// Sends a command and waits for the response.
    pub async fn send(&self, command: &Command) -> Result<Result<Value, CommandError>, ClientError> {
        self.send_with_reason(command, None).await
    }

    /// Like [`Self::send`], with a reason for the audit log.
    pub async fn send_with_reason(
        &self,
        command: &Command,
        reason: Option<&str>,
    ) -> Result<Result<Value, CommandError>, ClientError> {
        let (mut stream, request) = self.connect(command, reason).await?;
        // A gateway that refuses the caller responds before it reads: that response says more than the broken
        // pipe.
        let sent = timeout(SILENCE, protocol::write_line(&mut stream, &request))
            .await
            .map_err(|_| self.silent())?;
        let answer = protocol::read_steady_line(&mut stream, MAX_ANSWER, SILENCE).await;
        let unanswered = |error| match command.shown_by() {
            Some(shown_by) => ClientError::Unanswered {
                error: Box::new(error),
                shown_by,
            },
            None => error,
        };
        match (sent, answer) {
            (_, Err(ReadLineError::Silent(_))) => Err(unanswered(self.silent())),
            (_, Ok(line)) => protocol::outcome(&line).map_err(|error| unanswered(self.broken(&error))),
            (Err(error), Err(_)) => Err(self.broken(&error)),
            (Ok(()), Err(error)) => Err(unanswered(self.broken(&error))),
        }
    }

    /// Starts an export of the store.
    pub async fn export(
        &self,
        purpose: ExportPurpose,
        reason: Option<&str>,
    ) -> Result<Result<ExportStream, CommandError>, ClientError> {
        let command = Command::ExportStore(purpose);
        let (mut stream, request) = self.connect(&command, reason).await?;
        let sent = timeout(SILENCE, protocol::write_line(&mut stream, &request)).await;
        let sent = sent.map_err(|_| self.silent())?;
        let mut exporting = ExportStream {
            client: self.clone(),
            stream: BufReader::new(stream),
            summary: None,
        };
        exporting.begun().await?;
        match (sent, exporting.outcome().await) {
            (_, Ok(outcome)) => Ok(outcome.map(|_| exporting)),
            (Err(error), Err(_)) => Err(self.broken(&error)),
            (Ok(()), Err(error)) => Err(error),
        }
    }

    /// Returns whether a gateway listens, or may: only a missing or refusing socket means no.
    pub async fn is_running(&self) -> bool {
        match UnixStream::connect(&self.socket).await {
            Ok(_) => true,
            Err(error) => !matches!(self.unreached(&error), ClientError::NotRunning(_)),
        }
    }

    /// Returns these variables of the gateway's environment, as of its start.
    pub async fn environment(&self, names: &[String]) -> Result<GatewayEnvironment, EnvironmentError> {
        // Held meanwhile, so that the process id still is the peer's.
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

    /// Commands carry passwords: the peer must be a user that could read the store anyway.
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

/// Returns whether a system user is trusted as the gateway.
fn may_answer(peer: SystemUser, own: SystemUser, owner: Option<SystemUser>) -> bool {
    peer.is_root() || peer == own || Some(peer) == owner
}

/// An export being received.
#[derive(Debug)]
pub struct ExportStream {
    client: SocketClient,
    stream: BufReader<UnixStream>,
    summary: Option<Summary>,
}

impl ExportStream {
    /// Returns the next lines; `None` at the end of a complete export.
    pub async fn lines(&mut self) -> Result<Result<Option<Vec<u8>>, CommandError>, ClientError> {
        let piece = timeout(EXPORTING, framing::receive(&mut self.stream)).await;
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

    /// The summary of the export, after its end.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// Waits for the first byte of the response that is not a beat.
    async fn begun(&mut self) -> Result<(), ClientError> {
        loop {
            let buffer = timeout(SILENCE, self.stream.fill_buf()).await;
            let buffer = buffer.map_err(|_| self.client.silent())?;
            let buffer = buffer.map_err(|error| self.client.broken(&error))?;
            let beats = buffer
                .iter()
                .take_while(|byte| protocol::BEAT.contains(byte))
                .count();
            if beats == 0 {
                return Ok(());
            }
            self.stream.consume(beats);
        }
    }

    async fn outcome(&mut self) -> Result<Result<Value, CommandError>, ClientError> {
        let line = timeout(EXPORTING, framing::receive_line(&mut self.stream)).await;
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

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_is_at_it_is_waited_for_and_one_that_says_nothing_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let client = SocketClient::new(&socket);
        let gateway = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            protocol::read_line(&mut stream, MAX_REQUEST).await.unwrap();
            for _ in 0..60 {
                tokio::time::sleep(protocol::BEATS).await;
                stream.try_write(protocol::BEAT).unwrap();
            }
            let answer = protocol::encode_response(Ok(Value::from("done"))).unwrap();
            protocol::write_line(&mut stream, &answer).await.unwrap();
            // The second is taken and never answered.
            listener.accept().await.unwrap()
        };
        let asked = async {
            let answered = client.send(&Command::VerifyStore).await.unwrap().unwrap();
            let began = tokio::time::Instant::now();
            let given_up = client
                .send(&Command::DeleteUser("ann".to_owned()))
                .await
                .unwrap_err();
            (answered, given_up.to_string(), began.elapsed())
        };
        let (_held, (answered, given_up, waited)) = tokio::join!(gateway, asked);
        assert_eq!(answered, "done", "after a minute");
        for says in [
            "did not answer for 5 s",
            "may have been done",
            "`vestibule user list`",
        ] {
            assert!(given_up.contains(says), "{given_up}");
        }
        assert_eq!(waited.as_secs(), 5);
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
