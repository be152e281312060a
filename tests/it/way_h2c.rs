//! HTTP/2 upstreams that end the connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vestibule::config::HumanDuration;

use crate::harness::frames::{
    END_HEADERS, END_STREAM, GOAWAY, H2Connection, HEADERS, RST_STREAM, SETTINGS, frame, head, next,
};
use crate::harness::{Application, Raw, Running, route, soon, upstream};

/// What happens to the second request on a connection.
#[derive(Clone, Copy, Debug)]
enum Second {
    /// The connection closes.
    Cut,
    /// GOAWAY announces the close before it.
    Announced,
    /// `REFUSED_STREAM`: it was not processed.
    Refused,
    /// It was processed, and failed.
    Failed,
    /// `ENHANCE_YOUR_CALM`, as all further ones on the connection.
    Overloaded,
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
                    Second::Overloaded if count > 1 => frame(RST_STREAM, 0, of, &[0, 0, 0, 11]),
                    _ if count != 2 => frame(HEADERS, END_STREAM | END_HEADERS, of, &[0x88]),
                    Second::Cut => return,
                    Second::Announced => frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]),
                    Second::Refused => frame(RST_STREAM, 0, of, &[0, 0, 0, 7]),
                    Second::Failed | Second::Overloaded => frame(RST_STREAM, 0, of, &[0, 0, 0, 2]),
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
        (Second::Overloaded, 200),
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

/// Node resets each new stream of a connection of which it holds too much that is not read, for as long as that is.
#[tokio::test]
async fn s48_a_connection_on_which_an_application_is_overloaded_gets_no_further_requests() {
    let (url, requests) = application(Second::Overloaded).await;
    let gateway = Running::before("public", &url).await;
    let client = gateway.client();
    let first = soon(client.get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(first.status(), 200);
    // What is not safe is not sent twice, but the connection is left.
    let unsafe_one = soon(client.delete(gateway.url("/")).send()).await.unwrap();
    assert_eq!(unsafe_one.status(), 502);
    let next = soon(client.delete(gateway.url("/")).send()).await.unwrap();
    assert_eq!(next.status(), 200);
    assert_eq!(requests.load(Ordering::Relaxed), 3);
}

/// An application that allows no streams, and how many connections to it are open.
async fn allowing_no_streams() -> (String, Arc<AtomicUsize>) {
    const MAX_CONCURRENT_STREAMS: [u8; 6] = [0, 3, 0, 0, 0, 0];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    let open = Arc::<AtomicUsize>::default();
    let counted = open.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = counted.clone();
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let settings = frame(SETTINGS, 0, 0, &MAX_CONCURRENT_STREAMS);
                stream.write_all(&settings).await.unwrap();
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).await.unwrap();
                while next(&mut stream).await.is_some() {}
                counted.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (url, open)
}

#[tokio::test]
async fn an_application_that_allows_no_streams_is_waited_for_no_longer_than_for_an_answer() {
    const RESPONSE: Duration = Duration::from_millis(400);
    let (url, open) = allowing_no_streams().await;
    let gateway = Running::start(|config| {
        config.timeouts.response = HumanDuration(RESPONSE);
        // On a new connection a body may go as far as its window before the application says so.
        config.timeouts.idle = HumanDuration(2 * RESPONSE);
        config.route = vec![route("/", "public", &url)];
    })
    .await;
    for client in [gateway.client(), gateway.http2_client()] {
        for _ in 0..3 {
            for request in [
                client.get(gateway.url("/")),
                client.get(gateway.url("/")).body("x"),
                client.post(gateway.url("/")).body("x"),
                client.post(gateway.url("/")).body(vec![b'x'; 200_000]),
            ] {
                let answer = soon(request.send()).await.unwrap();
                assert!(
                    [502, 504].contains(&answer.status().as_u16()),
                    "{}",
                    answer.status()
                );
            }
        }
    }
    // What waits in vain is given up, and its connection with it.
    crate::harness::until(|| open.load(Ordering::SeqCst) <= 2).await;

    let other = Application::start().await;
    let servers = upstream(&[&url, &other.url().replace("http:", "h2c:")]);
    let gateway = Running::start(|config| {
        config.timeouts.response = HumanDuration(4 * RESPONSE);
        config.upstream.insert("app".to_owned(), servers);
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    for _ in 0..4 {
        let answer = soon(gateway.client().get(gateway.url("/")).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

/// An application that allows so many streams a connection and has so many workers for each. It responds to what is sent
/// whole; a body that does not come keeps its worker. Counts the requests that it has not responded to.
async fn limited(streams: u8, workers: usize) -> (String, Arc<AtomicUsize>) {
    let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, streams]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    let held = Arc::<AtomicUsize>::default();
    let counted = held.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (counted, settings) = (counted.clone(), settings.clone());
            tokio::spawn(async move {
                stream.write_all(&settings).await.unwrap();
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).await.unwrap();
                let mut busy = 0;
                while let Some((kind, flags, of, _)) = next(&mut stream).await {
                    let answer = match kind {
                        SETTINGS if flags == 0 => frame(SETTINGS, 1, 0, &[]),
                        HEADERS if flags & END_STREAM == 0 || busy >= workers => {
                            busy += 1;
                            counted.fetch_add(1, Ordering::SeqCst);
                            continue;
                        }
                        HEADERS => frame(HEADERS, END_STREAM | END_HEADERS, of, &[0x88]),
                        _ => continue,
                    };
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    (url, held)
}

/// Begins a request whose body does not end.
async fn stall(gateway: &Running) -> Raw {
    let mut raw = gateway.raw().await;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        gateway.authority()
    );
    raw.send(head).await;
    raw
}

#[tokio::test]
async fn s48_bodies_that_do_not_come_keep_nobody_from_an_application_over_http2() {
    let (url, stalled) = limited(2, usize::MAX).await;
    let gateway = Running::before("public", &url).await;
    let mut held = Vec::new();
    for count in 1..=7 {
        held.push(stall(&gateway).await);
        // A new connection tells of its limit soon, but after it was used.
        crate::harness::until(|| stalled.load(Ordering::SeqCst) >= count).await;
    }
    for client in [gateway.client(), gateway.http2_client()] {
        for _ in 0..3 {
            let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
            assert_eq!(answer.status(), 200);
        }
    }
}

#[tokio::test]
async fn s48_one_client_has_a_share_of_the_requests_to_an_application_over_http2() {
    let (url, stalled) = limited(2, usize::MAX).await;
    let gateway = Running::start(|config| {
        let mut few = upstream(&[&url]);
        few.max_connections = 20;
        config.upstream.insert("app".to_owned(), few);
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..30 {
        held.push(stall(&gateway).await);
    }
    crate::harness::until(|| stalled.load(Ordering::SeqCst) >= 10).await;
    let other = gateway.client_at([127, 0, 0, 2].into());
    let answer = soon(other.get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(stalled.load(Ordering::SeqCst), 10, "half of what there may be");
}

/// An application whose responses do not end, but below `/short`.
async fn endless() -> Application {
    Application::serving(|parts, _, _| async move {
        if parts.uri.path().starts_with("/short") {
            return http::Response::new(Full::new(Bytes::from_static(b"short")).boxed_unsync());
        }
        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 1 << 14])))
        });
        http::Response::new(StreamBody::new(endless).boxed_unsync())
    })
    .await
}

#[tokio::test]
async fn s48_responses_that_one_client_does_not_read_block_no_other_over_http2() {
    const WINDOW_OF_NONE: [u8; 6] = [0, 4, 0, 0, 0, 0];
    let app = endless().await;
    let gateway = Running::before("public", &app.url().replace("http:", "h2c:")).await;
    let (local, authority) = (gateway.certificate_authority(), gateway.authority());
    let mut reads_nothing = H2Connection::connect(gateway.address, &local, "gw.example.com").await;
    reads_nothing.send(frame(SETTINGS, 0, 0, &WINDOW_OF_NONE)).await;
    for stream in (1..=79).step_by(2) {
        let request = head("GET", &authority, "/");
        reads_nothing
            .send(frame(HEADERS, END_STREAM | END_HEADERS, stream, &request))
            .await;
    }
    crate::harness::until(|| app.connections() >= 40 / 6).await;
    let other = gateway.client_at([127, 0, 0, 2].into());
    for _ in 0..20 {
        let short = other.get(gateway.url("/short")).send();
        let short = tokio::time::timeout(Duration::from_secs(2), short).await;
        assert_eq!(short.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn s48_slow_requests_block_no_other_where_few_are_worked_on_at_once() {
    // As Apache at first, which allows a hundred streams, and as Hypercorn, which reads nothing more of a connection until
    // the application has read a body of it.
    for workers in [6, 1] {
        let (url, held) = limited(100, workers).await;
        let gateway = Running::before("public", &url).await;
        let mut slow = Vec::new();
        for count in 1..=15 {
            slow.push(stall(&gateway).await);
            crate::harness::until(|| held.load(Ordering::SeqCst) >= count).await;
        }
        let other = gateway.client_at([127, 0, 0, 2].into());
        for _ in 0..10 {
            let request = other.get(gateway.url("/")).send();
            let answer = tokio::time::timeout(Duration::from_secs(2), request).await;
            assert_eq!(answer.unwrap().unwrap().status(), 200, "{workers} at once");
        }
    }
}

/// An application that takes connections and reads nothing.
async fn reading_nothing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
        }
    });
    authority
}

#[tokio::test]
async fn an_application_that_takes_no_more_of_a_body_is_waited_for_no_longer_than_for_a_pause() {
    let authority = reading_nothing().await;
    for scheme in ["http", "h2c"] {
        let gateway = Running::start(|config| {
            config.timeouts.response = HumanDuration(Duration::from_millis(300));
            config.timeouts.idle = HumanDuration(Duration::from_millis(600));
            config.route = vec![route("/", "public", &format!("{scheme}://{authority}"))];
        })
        .await;
        for client in [gateway.client(), gateway.http2_client()] {
            let upload = client.post(gateway.url("/")).body(vec![b'x'; 64 << 20]);
            let answer = soon(upload.send()).await.unwrap();
            assert_eq!(answer.status(), 504, "{scheme}");
        }
    }
}
