//! Framing of an export, which follows a response that announces it.
//!
//! Each piece is its length in four bytes, big-endian, and that many bytes; none is empty. A length of zero
//! ends them, followed by an ordinary response: the summary of a complete export, or the error.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::protocol::{self, MAX_ANSWER};
use crate::store::ExportWriter;

/// How many times longer than a response a piece may wait for the caller, whose output may be slow.
const PATIENT: u32 = 6;

/// Sends all lines, unless the gateway stops or the caller stalls.
pub(super) async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    mut lines: ExportWriter,
    stop: &CancellationToken,
    patience: Duration,
) -> io::Result<()> {
    let patience = patience * PATIENT;
    let began = protocol::encode_response(Ok(Value::Null)).map_err(io::Error::other)?;
    in_time(patience, to.write_all(&began)).await?;
    let outcome = loop {
        let next = tokio::select! {
            next = lines.lines() => next.map_err(CommandError::from),
            () = stop.cancelled() => Err(CommandError::new("the gateway is stopping: export again when it has")),
        };
        match next {
            Ok(Some(piece)) => in_time(patience, send_piece(to, &piece)).await?,
            Ok(None) => break serde_json::to_value(lines.summary()).map_err(CommandError::from),
            Err(error) => {
                tracing::warn!(%error, "an export was given up");
                break Err(error);
            }
        }
    };
    in_time(patience, to.write_all(&[0; 4])).await?;
    let ended = protocol::encode_response(outcome).map_err(io::Error::other)?;
    in_time(patience, protocol::write_line(to, &ended)).await
}

async fn send_piece(to: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> io::Result<()> {
    let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes()).await?;
    to.write_all(piece).await
}

async fn in_time<T>(patience: Duration, sent: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, sent)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)?
}

/// Receives the next piece; `None` at the end.
pub(super) async fn receive(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if length > MAX_ANSWER {
        return Err(io::Error::other("a piece is too large"));
    }
    let mut piece = vec![0; length];
    from.read_exact(&mut piece).await?;
    Ok(Some(piece).filter(|piece| !piece.is_empty()))
}

/// Reads the line of a response and nothing after it.
pub(super) async fn receive_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(MAX_ANSWER as u64).read_until(b'\n', &mut line).await?;
    if line.ends_with(b"\n") {
        return Ok(line);
    }
    Err(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it ended before its line break",
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use async_trait::async_trait;
    use jiff::Timestamp;
    use tokio::io::BufReader;

    use super::*;
    use crate::store::{Export, ExportReader, NamesKey, Record, StoreError};

    /// Returns this many records at a time, then an end or an error.
    struct RecordFrames(VecDeque<Result<usize, StoreError>>);

    #[async_trait]
    impl Export for RecordFrames {
        async fn next(&mut self) -> Result<Vec<Record>, StoreError> {
            let count = self.0.pop_front().unwrap_or(Ok(0))?;
            Ok(vec![Record::NamesKey(NamesKey { key: [7; 32] }); count])
        }
    }

    fn file(pieces: impl IntoIterator<Item = Result<usize, StoreError>>) -> ExportWriter {
        let pieces = RecordFrames(pieces.into_iter().collect());
        ExportWriter::new(Box::new(pieces), Timestamp::UNIX_EPOCH)
    }

    /// The pieces that arrive, and the result at the end.
    async fn taken(file: ExportWriter, stop: CancellationToken) -> (Vec<u8>, Result<Value, CommandError>) {
        let (mut near, far) = tokio::io::duplex(100);
        let sent = tokio::spawn(async move { send(&mut near, file, &stop, Duration::from_secs(20)).await });
        let mut far = BufReader::new(far);
        let began = receive_line(&mut far).await.unwrap();
        assert_eq!(protocol::outcome(&began).unwrap(), Ok(Value::Null));
        let mut lines = Vec::new();
        while let Some(piece) = receive(&mut far).await.unwrap() {
            lines.extend(piece);
        }
        let ended = receive_line(&mut far).await.unwrap();
        sent.await.unwrap().unwrap();
        (lines, protocol::outcome(&ended).unwrap())
    }

    #[tokio::test]
    async fn an_export_arrives_whole_and_says_so() {
        let (lines, outcome) = taken(file([Ok(3), Ok(500)]), CancellationToken::new()).await;
        let mut reader = ExportReader::begin(&*lines).unwrap();
        while reader.record().unwrap().is_some() {}
        assert_eq!(reader.summary().records, 503);
        assert_eq!(outcome.unwrap(), serde_json::to_value(reader.summary()).unwrap());
    }

    #[tokio::test]
    async fn one_that_breaks_off_says_why() {
        let failed = Err(StoreError::Corrupt("Account 00: it is empty".to_owned()));
        let (lines, outcome) = taken(file([Ok(3), failed]), CancellationToken::new()).await;
        assert!(lines.ends_with(b"}}\n") && !String::from_utf8(lines).unwrap().contains("\"end\""));
        assert!(outcome.unwrap_err().message.contains("Account 00"));

        let stop = CancellationToken::new();
        stop.cancel();
        let endless = file((0..100_000).map(|_| Ok(1)));
        let (_, outcome) = taken(endless, stop).await;
        assert!(outcome.unwrap_err().message.contains("is stopping"));
    }

    #[tokio::test]
    async fn nobody_holds_an_export_who_does_not_take_it() {
        let (mut near, far) = tokio::io::duplex(100);
        let sent = send(
            &mut near,
            file([Ok(500)]),
            &CancellationToken::new(),
            Duration::from_millis(1),
        )
        .await;
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(far);
    }
}
