//! The protocol of the admin socket: one request and one response a connection, each a line of JSON.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use zeroize::{Zeroize, Zeroizing};

use super::{Command, CommandError};

/// The largest request in bytes, its line break included; an import takes many.
pub(super) const MAX_REQUEST: usize = 4 << 20;

/// The largest response, in bytes.
pub(super) const MAX_ANSWER: usize = 64 << 20;

/// Raised by every change that the other side would misread.
const VERSION: u32 = 6;

/// What a gateway sends every second while it executes a command.
pub(super) const BEAT: &[u8] = b" ";

/// How often.
pub(super) const BEATS: Duration = Duration::from_secs(1);

/// A received request.
#[derive(Debug)]
pub(super) struct AdminRequest {
    pub(super) command: Command,
    pub(super) reason: Option<String>,
}

/// Encodes a request.
pub(super) fn request(command: &Command, reason: Option<&str>) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    #[derive(Serialize)]
    struct EncodedRequest<'a> {
        version: u32,
        command: &'a Command,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    }
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    serde_json::to_writer(
        WipingWriter(&mut line),
        &EncodedRequest {
            version: VERSION,
            command,
            reason,
        },
    )?;
    WipingWriter(&mut line).append(b"\n");
    Ok(line)
}

/// Decodes a request.
pub(super) fn parse_request(line: &[u8]) -> Result<AdminRequest, CommandError> {
    #[derive(Deserialize)]
    struct DecodedRequest {
        command: Command,
        reason: Option<String>,
    }
    require_version(line).map_err(CommandError::new)?;
    serde_json::from_slice(line)
        .map(|DecodedRequest { command, reason }| AdminRequest { command, reason })
        .map_err(|error| CommandError::new(format!("not a request: {error}")))
}

/// Encodes a response.
pub(super) fn encode_response(outcome: Result<Value, CommandError>) -> serde_json::Result<Vec<u8>> {
    let outcome = match outcome {
        Ok(value) => CommandOutcome::Done(value),
        Err(error) => CommandOutcome::Refused(error),
    };
    let mut line = serde_json::to_vec(&AdminResponse {
        version: VERSION,
        outcome,
    })?;
    line.push(b'\n');
    Ok(line)
}

/// Decodes a response.
pub(super) fn outcome(line: &[u8]) -> Result<Result<Value, CommandError>, String> {
    require_version(line)?;
    let answer: AdminResponse = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Ok(match answer.outcome {
        CommandOutcome::Done(value) => Ok(value),
        CommandOutcome::Refused(error) => Err(error),
    })
}

#[derive(Serialize, Deserialize)]
struct AdminResponse {
    version: u32,
    outcome: CommandOutcome,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CommandOutcome {
    Done(Value),
    Refused(CommandError),
}

/// Reads the version alone: a message of another version may have any other form.
fn require_version(line: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } =
        serde_json::from_slice(line).map_err(|error| format!("not a message of this protocol: {error}"))?;
    if version == VERSION {
        return Ok(());
    }
    Err(format!(
        "the other side speaks version {version} of the administrator's protocol, this one {VERSION}: \
         use the program that runs as the gateway"
    ))
}

/// Why no line came in.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadLineError {
    /// The line is longer than allowed.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// The other side ended in the middle of a line, or before it.
    #[error("ended before its line break")]
    Ended,
    /// Nothing came in for as long as allowed.
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One line with its line break, at most `limit` bytes. Whatever memory held it is wiped.
pub(super) async fn read_line(
    from: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, ReadLineError> {
    read_steady_line(from, limit, Duration::MAX).await
}

/// [`read_line`] with a bound on silence: some bytes must arrive in every `silence`.
pub(super) async fn read_steady_line(
    from: &mut (impl AsyncRead + Unpin),
    limit: usize,
    silence: Duration,
) -> Result<Zeroizing<Vec<u8>>, ReadLineError> {
    let mut line = Zeroizing::new(Vec::with_capacity(limit.min(4096)));
    loop {
        if line.len() == line.capacity() {
            grow(&mut line, 1);
        }
        let room = u64::try_from(line.capacity() - line.len()).unwrap_or(u64::MAX);
        let mut piece = (&mut *from).take(room);
        let read = timeout(silence, piece.read_buf(&mut *line)).await;
        if read.map_err(|_| ReadLineError::Silent(silence))?? == 0 {
            return Err(ReadLineError::Ended);
        }
        if line.len() > limit {
            return Err(ReadLineError::TooLong(limit));
        }
        if line.ends_with(b"\n") {
            return Ok(line);
        }
    }
}

/// Sends everything and closes the sending side.
pub(super) async fn write_line(to: &mut (impl AsyncWrite + Unpin), line: &[u8]) -> io::Result<()> {
    to.write_all(line).await?;
    to.shutdown().await
}

/// Makes room for `more` bytes. `Vec` itself would leave the bytes that it moves unwiped.
fn grow(line: &mut Zeroizing<Vec<u8>>, more: usize) {
    let needed = (line.len() + more).max(2 * line.capacity());
    let mut larger = Vec::with_capacity(needed);
    larger.extend_from_slice(line);
    line.zeroize();
    **line = larger;
}

/// Writes to a buffer and wipes what it leaves behind when it grows.
struct WipingWriter<'a>(&'a mut Zeroizing<Vec<u8>>);

impl WipingWriter<'_> {
    fn append(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            grow(self.0, bytes.len());
        }
        self.0.extend_from_slice(bytes);
    }
}

impl io::Write for WipingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_arrives_as_it_was_sent() {
        let user = "ann\n@example.com".repeat(1000);
        let line = request(&Command::ShowUser(user.clone()), Some("a\nb")).unwrap();
        assert_eq!(
            line.split(|&byte| byte == b'\n').count(),
            2,
            "one line and what follows it"
        );
        let arrived = parse_request(&line).unwrap();
        let Command::ShowUser(name) = arrived.command else {
            panic!("another command arrived");
        };
        assert_eq!((name, arrived.reason.as_deref()), (user, Some("a\nb")));
    }

    #[test]
    fn an_outcome_arrives_as_it_was_sent() {
        let mut refusal = CommandError::new("no");
        refusal.details.insert("faults".to_owned(), json!(["one"]));
        for sent in [Ok(json!({"a": 1})), Err(refusal)] {
            assert_eq!(outcome(&encode_response(sent.clone()).unwrap()), Ok(sent));
        }
    }

    #[test]
    fn another_version_is_named_and_not_guessed_at() {
        let line = br#"{"version": 1, "command": {"unheard-of": []}}"#;
        let error = parse_request(line).unwrap_err();
        assert!(error.message.contains("version 1"), "{error}");
        assert!(parse_request(b"{}").is_err());
        assert!(parse_request(br#"{"version": 4, "command": "unheard-of"}"#).is_err());
    }

    #[tokio::test]
    async fn a_line_is_read_up_to_its_limit() {
        let line = [vec![b'x'; 9999], b"\n".to_vec()].concat();
        assert_eq!(*read_line(&mut &line[..], 10_000).await.unwrap(), line);
        assert!(matches!(
            read_line(&mut &line[..], 9999).await,
            Err(ReadLineError::TooLong(9999))
        ));
        assert!(matches!(
            read_line(&mut &line[..5], 10_000).await,
            Err(ReadLineError::Ended)
        ));
    }
}
