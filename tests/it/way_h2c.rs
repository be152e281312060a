//! HTTP/2 upstreams that end the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::frames::{END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, frame, next};
use crate::harness::{Running, soon};

/// What happens to the second request on a connection.
#[derive(Clone, Copy, Debug)]
enum Second {
    /// The connection closes.
    Cut,
    /// GOAWAY announces the close before it.
    Announced,
    /// REFUSED_STREAM: it was not processed.
    Refused,
    /// It was processed, and failed.
    Failed,
}

/// An upstream, and a counter of its requests.
async fn application(second: Second) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    let requests = Arc::<AtomicUsize>::default();
    let counted = requests.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, second, counted.clone()));
        }
    });
    (url, requests)
}

async fn serve(mut stream: TcpStream, second: Second, requests: Arc<AtomicUsize>) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let mut count = 0;
    while let Some((kind, flags, of, _)) = next(&mut stream).await {
        let answer = match kind {
            SETTINGS if flags == 0 => frame(SETTINGS, 1, 0, &[]),
            HEADERS => {
                requests.fetch_add(1, Ordering::Relaxed);
                count += 1;
                match second {
                    _ if count != 2 => frame(HEADERS, END_STREAM | END_HEADERS, of, &[0x88]),
                    Second::Cut => return,
                    Second::Announced => frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]),
                    Second::Refused => frame(RST_STREAM, 0, of, &[0, 0, 0, 7]),
                    Second::Failed => frame(RST_STREAM, 0, of, &[0, 0, 0, 2]),
                }
            }
            _ => continue,
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_safe_request_on_a_connection_that_ends_is_sent_again_once() {
    for (second, status) in [
        (Second::Cut, 200),
        (Second::Announced, 200),
        (Second::Refused, 200),
        (Second::Failed, 502),
    ] {
        let (url, requests) = application(second).await;
        let gateway = Running::before("public", &url).await;
        let client = gateway.client();
        for expected in [200, status] {
            let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
            assert_eq!(answer.status(), expected, "{second:?}");
        }
        let sent = if status == 200 { 3 } else { 2 };
        assert_eq!(requests.load(Ordering::Relaxed), sent, "{second:?}");
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_done_is_not_sent_again_over_http2() {
    let (url, requests) = application(Second::Cut).await;
    let gateway = Running::before("public", &url).await;
    let client = gateway.client();
    let first = soon(client.get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(first.status(), 200);
    for with_body in [
        client.post(gateway.url("/")),
        client.get(gateway.url("/")).body("x"),
    ] {
        let answer = soon(with_body.send()).await.unwrap();
        assert_eq!(answer.status(), 502);
        // On a new connection, as its first request.
        let again = soon(client.get(gateway.url("/")).send()).await.unwrap();
        assert_eq!(again.status(), 200);
    }
    assert_eq!(requests.load(Ordering::Relaxed), 5);
}
