//! The tunnel between client and upstream of a WebSocket, until one end closes it, its credentials lapse, or
//! the gateway stops.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::frames::FrameTracker;
use crate::authenticate::{Credentials, LOOKS_EVERY};
use crate::proxy::connection_state::RequestGuard;

/// Size of the read buffer, in bytes.
const BUFFER: usize = 8 << 10;

/// A close frame with status 1001, "going away" (RFC 6455, section 7.4.1), unmasked as servers send it.
const TO_CLIENT: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];

/// The same frame, masked as clients send it. Masks keep pages from choosing the bytes that intermediaries
/// see (RFC 6455, section 10.3); these bytes are constant, so a zero mask suffices.
const TO_APPLICATION: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9];

/// What else ends a tunnel.
#[derive(Debug)]
pub(in crate::proxy) struct TunnelEnd {
    /// The credentials that opened the tunnel.
    pub(in crate::proxy) credentials: Option<Credentials>,
    /// Cancelled when the gateway stops.
    pub(in crate::proxy) stop: CancellationToken,
    /// How long the tunnel may last after that.
    pub(in crate::proxy) drain: Duration,
    /// How long either side may take nothing of what is sent. A client's connection of HTTP/1.1 has the same limit; a stream of
    /// HTTP/2 may stand while others go on.
    pub(in crate::proxy) idle: Duration,
}

/// What the client has done to its side.
#[derive(Debug, Default)]
struct ClientSide {
    /// Cancelled when its close frame came.
    closed: CancellationToken,
    /// Cancelled when it sends nothing more.
    ended: CancellationToken,
}

/// Copies bytes in both directions until the tunnel ends. When the gateway stops, the client gets a close
/// frame between two frames, and its reply closes the upstream; without a reply after half of `drain`, the
/// upstream gets a close frame too.
///
/// Returns the number of bytes sent from the upstream to the client, and the client's side unless it broke before.
pub(in crate::proxy) async fn tunnel(
    client: OnUpgrade,
    application: OnUpgrade,
    end: TunnelEnd,
) -> (u64, Option<TokioIo<Upgraded>>) {
    let carried = AtomicU64::new(0);
    let mut upgraded = None;
    let ended = tokio::select! {
        ended = tie(client, application, &mut upgraded, &end, &carried) => ended,
        () = end.credentials_lapsed() => Err(io::Error::other("who began it may not go on")),
        () = end.stopped_for(end.drain) => Err(io::Error::other("the gateway stops")),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a tunnel broke off");
    }
    (carried.into_inner(), upgraded)
}

/// Ends a stream of HTTP/2 whose tunnel has ended. What the client has not taken stays in memory until it does or the
/// connection ends, and is counted for as long; the request is over.
pub(in crate::proxy) fn close_stream(mut client: TokioIo<Upgraded>, stream: RequestGuard) {
    let memory = stream.into_memory();
    tokio::spawn(async move {
        if let Err(error) = client.shutdown().await {
            tracing::debug!(%error, "a client's stream broke off");
        }
        drop(memory);
    });
}

async fn tie(
    client: OnUpgrade,
    application: OnUpgrade,
    upgraded: &mut Option<TokioIo<Upgraded>>,
    end: &TunnelEnd,
    carried: &AtomicU64,
) -> io::Result<()> {
    let (client, application) = tokio::try_join!(client, application).map_err(io::Error::other)?;
    let (from_client, to_client) = split(upgraded.insert(TokioIo::new(client)));
    let (from_application, to_application) = split(TokioIo::new(application));
    let client = ClientSide::default();
    tokio::try_join!(
        pass_to_client(from_application, to_client, end, &client, carried),
        pass_to_application(from_client, to_application, end, &client),
    )?;
    Ok(())
}

async fn pass_to_client(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    end: &TunnelEnd,
    client: &ClientSide,
    carried: &AtomicU64,
) -> io::Result<()> {
    let mut frames = FrameTracker::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let stops = end.stop.is_cancelled();
        if stops && frames.may_insert() {
            break;
        }
        let count = tokio::select! {
            biased;
            () = end.stop.cancelled(), if !stops => continue,
            count = from.read(&mut buffer) => count?,
            gone = reset(&mut to, &client.ended) => return Err(gone),
        };
        if count == 0 {
            return timeout(end.idle, to.shutdown()).await?;
        }
        let passed = pass(&mut frames, &buffer[..count], stops);
        let sent = async {
            to.write_all(&buffer[..passed]).await?;
            to.flush().await
        };
        timeout(end.idle, sent).await??;
        carried.fetch_add(passed as u64, Ordering::Relaxed);
    }
    to.write_all(&TO_CLIENT).await?;
    to.flush().await?;
    // After both close frames the server closes the connection first (RFC 6455, section 7.1.1).
    tokio::select! {
        discarded = discard(&mut from, &mut buffer) => discarded?,
        () = client.closed.cancelled() => {}
    }
    to.shutdown().await?;
    discard(&mut from, &mut buffer).await
}

async fn pass_to_application(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    end: &TunnelEnd,
    client: &ClientSide,
) -> io::Result<()> {
    let mut frames = FrameTracker::default();
    let mut buffer = vec![0; BUFFER];
    let mut is_late = false;
    let mut late = pin!(end.stopped_for(end.drain / 2));
    loop {
        if is_late && frames.may_insert() {
            break;
        }
        let count = tokio::select! {
            biased;
            () = &mut late, if !is_late => {
                is_late = true;
                continue;
            }
            count = from.read(&mut buffer) => count?,
        };
        if count == 0 {
            client.ended.cancel();
            if end.stop.is_cancelled() && frames.may_insert() {
                break;
            }
            return timeout(end.idle, to.shutdown()).await?;
        }
        let passed = pass(&mut frames, &buffer[..count], is_late);
        let sent = async {
            to.write_all(&buffer[..passed]).await?;
            to.flush().await
        };
        // Meanwhile nothing is read of the client, not even that it is gone.
        timeout(end.idle, sent).await??;
        if frames.has_closed() {
            client.closed.cancel();
            if end.stop.is_cancelled() {
                return to.shutdown().await;
            }
        }
    }
    to.write_all(&TO_APPLICATION).await?;
    to.shutdown().await
}

/// Tracks all bytes, or those up to the next border if `only_this_frame`. Returns how many may be passed on.
fn pass(frames: &mut FrameTracker, bytes: &[u8], only_this_frame: bool) -> usize {
    let mut passed = 0;
    while passed < bytes.len() {
        passed += frames.advance(&bytes[passed..]);
        if only_this_frame && frames.may_insert() {
            break;
        }
    }
    passed
}

/// Waits for the error of a client that has reset its stream, which its end may have been the first sign of: to one who reads,
/// a stream that is cancelled looks like one that is closed. Nothing wakes a writer that has nothing to send.
async fn reset(to: &mut (impl AsyncWrite + Unpin), ended: &CancellationToken) -> io::Error {
    ended.cancelled().await;
    loop {
        sleep(LOOKS_EVERY).await;
        if let Err(error) = to.flush().await {
            return error;
        }
    }
}

async fn discard(from: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> io::Result<()> {
    while from.read(buffer).await? > 0 {}
    Ok(())
}

impl TunnelEnd {
    async fn credentials_lapsed(&self) {
        match &self.credentials {
            Some(credentials) => credentials.lapsed().await,
            None => std::future::pending().await,
        }
    }

    /// Completes `time` after the gateway was told to stop.
    async fn stopped_for(&self, time: Duration) {
        self.stop.cancelled().await;
        sleep(time).await;
    }
}
