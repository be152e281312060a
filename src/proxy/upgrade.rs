//! Upgraded connections: two connections tied together until either side, the session or the gateway ends.

use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

/// Ties the client's connection to the application's, after its 101.
pub(super) fn tunnel(
    parts: &http::request::Parts,
    response: &mut Response<Incoming>,
    ended: Option<CancellationToken>,
    stop: CancellationToken,
) {
    let Some(client) = parts.extensions.get::<OnUpgrade>().cloned() else {
        return;
    };
    let upstream = hyper::upgrade::on(response);
    tokio::spawn(async move {
        let (Ok(client), Ok(upstream)) = (client.await, upstream.await) else {
            return;
        };
        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        let session = async {
            match ended {
                Some(ended) => ended.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
            () = session => {}
            () = stop.cancelled() => {}
        }
    });
}
