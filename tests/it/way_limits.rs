//! Time-outs, size limits, and the end of connections, over the wire.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Response;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use vestibule::config::{Config, HumanDuration, Size};

use crate::harness::{Application, Running, route, soon};

const SHORT: HumanDuration = HumanDuration(Duration::from_millis(200));

async fn gateway(app: &Application, say: impl FnOnce(&mut Config)) -> Running {
    Running::start(|config| {
        config.route = vec![route("/", "public", &app.url())];
        say(config);
    })
    .await
}

#[tokio::test]
async fn s48_a_slow_head_ends_and_an_idle_connection_lasts() {
    let app = Application::start().await;
    let gateway = gateway(&app, |config| config.timeouts.header = SHORT).await;
    let authority = gateway.authority();
    let mut silent = gateway.raw().await;
    assert_eq!(silent.until_closed().await, "");
    let mut slow = gateway.raw().await;
    slow.send(format!("GET / HTTP/1.1\r\nHost: {authority}\r\nX: "))
        .await;
    assert_eq!(slow.until_closed().await, "");
    // Between requests the time for a head does not run.
    let mut idle = gateway.raw().await;
    for _ in 0..2 {
        idle.send(format!("GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
            .await;
        assert_eq!(idle.answer().await.0, 200);
        let early = tokio::time::timeout(2 * SHORT.0, idle.stream.read_u8()).await;
        assert!(early.is_err(), "{early:?}");
    }
    idle.send("GET / HTT").await;
    assert_eq!(idle.until_closed().await, "");
    assert_eq!(app.received().len(), 2);
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let app = Application::start().await;
    let gateway = gateway(&app, |config| config.timeouts.keep_alive = SHORT).await;
    let authority = gateway.authority();
    let mut raw = gateway.raw().await;
    raw.send(format!("GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
        .await;
    assert_eq!(raw.answer_with_body().await.2, "hello");
    assert_eq!(raw.until_closed().await, "");
}

#[tokio::test]
async fn heads_and_forms_have_a_size() {
    let app = Application::start().await;
    let gateway = gateway(&app, |config| config.limits.form_body = Size(1000)).await;
    let authority = gateway.authority();
    let mut raw = gateway.raw().await;
    raw.send(format!(
        "GET / HTTP/1.1\r\nHost: {authority}\r\nX: {}\r\n\r\n",
        "x".repeat(70 << 10)
    ))
    .await;
    assert_eq!(raw.answer().await.0, 431);
    for client in [gateway.client(), gateway.http2_client()] {
        let form = client.post(gateway.url("/.auth/login")).body("x".repeat(1001));
        assert_eq!(soon(form.send()).await.unwrap().status(), 413);
    }
    let mut raw = gateway.raw().await;
    raw.send(format!(
        "POST /.auth/login HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ))
    .await;
    for _ in 0..20 {
        raw.send(format!("64\r\n{}\r\n", "x".repeat(100))).await;
    }
    assert_eq!(raw.answer().await.0, 413);
    assert!(app.received().is_empty());
}

/// A form whose last byte never arrives.
fn held_back() -> reqwest::Body {
    let begun = Frame::data(Bytes::from(format!("rd={}", "x".repeat(20_000))));
    let begun = futures_util::stream::iter([Ok::<_, Infallible>(begun)]);
    reqwest::Body::wrap(StreamBody::new(begun.chain(futures_util::stream::pending())))
}

#[tokio::test]
async fn s48_forms_that_one_client_holds_back_leave_room_for_others_and_are_dropped_within_seconds() {
    let app = Application::start().await;
    let gateway = gateway(&app, |config| {
        config.limits.form_body = Size(1000);
        config.limits.request_head = Size(8 << 10);
    })
    .await;
    let sign_in = |last| {
        let client = gateway.client_at([127, 0, 0, last].into());
        let asked = client.post(gateway.url("/.auth/login"));
        asked.header("content-type", "application/x-www-form-urlencoded")
    };
    // 25,576 bytes is the largest, of which one client may have eight.
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..20 {
        held.spawn(sign_in(2).body(held_back()).send());
    }
    while held.len() > 10 {
        let refused = soon(held.join_next()).await.unwrap().unwrap();
        // A client that was still sending may find the connection closed.
        assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 503));
    }
    let other = soon(sign_in(3).body("login=ann&password=wrong").send())
        .await
        .unwrap();
    assert!(other.status().is_client_error(), "{}", other.status());
    let begun = tokio::time::Instant::now();
    while let Some(dropped) = soon(held.join_next()).await {
        assert_eq!(dropped.unwrap().unwrap().status(), 400, "it stopped");
    }
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn bodies_that_stall_end_in_both_directions() {
    let app = Application::serving(|parts, incoming, _| async move {
        if parts.method == http::Method::POST {
            let _ = incoming.collect().await;
            return Response::new(Full::new(Bytes::new()).boxed_unsync());
        }
        let begun = futures_util::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("begun")))]);
        let stalled = begun.chain(futures_util::stream::once(std::future::pending()));
        let stalled = StreamBody::new(Box::pin(stalled));
        Response::new(stalled.boxed_unsync())
    })
    .await;
    let gateway = gateway(&app, |config| config.timeouts.idle = SHORT).await;
    let authority = gateway.authority();
    let mut down = gateway.raw().await;
    down.send(format!("GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
        .await;
    let answer = down.until_closed().await;
    assert!(
        answer.contains("begun") && !answer.ends_with("0\r\n\r\n"),
        "{answer}"
    );
    let mut up = gateway.raw().await;
    up.send(format!(
        "POST / HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 10\r\n\r\nhalf"
    ))
    .await;
    assert_eq!(up.answer().await.0, 400);
}

#[tokio::test]
async fn a_body_that_nobody_reads_ends_the_connection_and_the_client_is_told() {
    let app = Application::start().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let authority = gateway.authority();
    let mut raw = gateway.raw().await;
    raw.send(format!("DELETE / HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
        .await;
    let (status, head) = raw.answer().await;
    assert_eq!(status, 401);
    assert!(!head.to_ascii_lowercase().contains("\r\nconnection:"), "{head}");
    raw.send(format!(
        "POST / HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 5\r\n\r\n"
    ))
    .await;
    let (status, head) = raw.answer().await;
    assert_eq!(status, 401);
    assert!(
        head.to_ascii_lowercase().contains("\r\nconnection: close\r\n"),
        "{head}"
    );
    raw.send("hello").await;
    assert_eq!(raw.until_closed().await, "");
}

#[tokio::test]
async fn an_application_that_closes_kept_connections_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // One response per connection, without announcing the close.
    let app = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
            let _ = stream.write_all(answer).await;
        }
    });
    let gateway = Running::before("public", &url).await;
    let client = gateway.client();
    for _ in 0..10 {
        let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), "hello");
        // A page of the gateway: time to notice that the upstream closed.
        assert_eq!(
            soon(client.get(gateway.url("/.auth/login")).send())
                .await
                .unwrap()
                .status(),
            200
        );
    }
    app.abort();
}

#[tokio::test]
async fn requests_under_way_are_answered_when_the_gateway_stops() {
    let (asked, mut is_asked) = tokio::sync::mpsc::unbounded_channel();
    let (go, gone) = tokio::sync::watch::channel(false);
    let app = Application::serving(move |_, _, _| {
        let (asked, mut gone) = (asked.clone(), gone.clone());
        async move {
            let _ = asked.send(());
            let _ = gone.wait_for(|&gone| gone).await;
            Response::new(Full::new(Bytes::from("late")).boxed_unsync())
        }
    })
    .await;
    let gateway = gateway(&app, |_| {}).await;
    let answers: Vec<_> = [gateway.client(), gateway.http2_client()]
        .into_iter()
        .map(|client| tokio::spawn(client.get(gateway.url("/")).send()))
        .collect();
    soon(is_asked.recv()).await.unwrap();
    soon(is_asked.recv()).await.unwrap();
    let stopping = tokio::spawn(gateway.stop());
    go.send(true).unwrap();
    for answer in answers {
        let answer = soon(answer).await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "late");
    }
    soon(stopping).await.unwrap();
}
