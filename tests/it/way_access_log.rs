//! The access log, over the wire.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

use crate::harness::{Application, Running, soon};

/// Stops the gateway and returns the log.
async fn lines(gateway: Running) -> Vec<Value> {
    let folder = gateway.stop().await;
    let log = std::fs::read_to_string(folder.path().join("access.jsonl")).unwrap();
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_line_for_every_request() {
    let app = Application::start().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let cookie = gateway.signed_in("ann").await;
    let asked = gateway
        .client()
        .get(gateway.url("/a?token=secret"))
        .header("cookie", &cookie);
    let answer = soon(asked.send()).await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.text().await.unwrap(), "hello");
    let lines = lines(gateway).await;
    assert!(!lines.iter().any(|line| line.to_string().contains("secret")));
    let line = lines
        .iter()
        .find(|line| line["request_id"] == id.as_str())
        .unwrap();
    for (key, value) in [
        ("method", "GET"),
        ("path", "/a"),
        ("user", "ann"),
        ("route", "gw.example.com/"),
        ("client", "127.0.0.1"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(
        (line["status"].as_u64(), line["bytes"].as_u64()),
        (Some(200), Some(5))
    );
    assert_eq!(line["upstream"], app.url());
}

#[tokio::test]
async fn what_nobody_can_read_has_a_name_and_a_line_too() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    let mut named = Vec::new();
    for (head, status) in [
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("\u{1}\r\n\r\n".to_owned(), 400),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: {authority}\r\nX: {}\r\n\r\n",
                "x".repeat(70 << 10)
            ),
            431,
        ),
    ] {
        let mut raw = gateway.raw().await;
        // An earlier response on the connection makes no difference.
        raw.send(format!("GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
            .await;
        assert_eq!(raw.answer_with_body().await.2, "hello");
        raw.send(head).await;
        let answer = raw.head().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let id = answer
            .lines()
            .find_map(|line| line.strip_prefix("x-request-id: "));
        named.push((id.unwrap().to_owned(), status));
        assert_eq!(raw.until_closed().await, "");
    }
    let lines = lines(gateway).await;
    for (id, status) in named {
        let line = lines.iter().find(|line| line["request_id"] == id).unwrap();
        assert_eq!(line["status"], status, "{line}");
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        assert_eq!(line.get("path"), None, "{line}");
    }
}

#[tokio::test]
async fn an_http2_head_that_is_too_large_leaves_the_connection_what_it_was() {
    let app = Application::serving(|_, _, _| async {
        let trailers = [("x-sum", "1")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let frames = [
            Frame::data(Bytes::from("hello")),
            Frame::trailers(HeaderMap::from_iter(trailers)),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok)));
        Response::new(body.boxed_unsync())
    })
    .await;
    let gateway = Running::before("public", &app.url().replace("http:", "h2c:")).await;
    let (mut client, _) = gateway.http2_connection().await;
    let mut served = 0;
    // One connection, whose header compression has state.
    for n in 0..10 {
        let fits = n % 2 == 0;
        let request = Request::get(gateway.url("/a")).header("te", "trailers");
        let request = request.header("x", "x".repeat(if fits { 10 } else { 70 << 10 }));
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let answer = soon(client.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), if fits { 200 } else { 431 });
        // hyper responds by itself, without a request id.
        assert_eq!(answer.headers().contains_key("x-request-id"), fits);
        served += usize::from(fits);
        let body = soon(answer.collect()).await.unwrap();
        assert_eq!(body.trailers().map(HeaderMap::len), fits.then_some(1));
        assert_eq!(body.to_bytes(), if fits { "hello" } else { "" });
    }
    let lines = lines(gateway).await;
    assert_eq!(lines.len(), served);
    assert!(lines.iter().all(|line| line["status"] == 200), "{lines:?}");
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_leaves_a_line() {
    let (asked, mut is_asked) = tokio::sync::mpsc::unbounded_channel();
    let app = Application::serving(move |_, _, _| {
        let asked = asked.clone();
        async move {
            let _ = asked.send(());
            std::future::pending::<()>().await;
            Response::new(Full::new(Bytes::new()).boxed_unsync())
        }
    })
    .await;
    let gateway = Running::before("public", &app.url()).await;
    for client in [gateway.client(), gateway.http2_client()] {
        let answer = tokio::spawn(client.get(gateway.url("/slow")).send());
        soon(is_asked.recv()).await.unwrap();
        answer.abort();
    }
    let lines = lines(gateway).await;
    let left = lines
        .iter()
        .filter(|line| line["status"] == 499 && line["path"] == "/slow");
    assert_eq!(left.count(), 2, "{lines:?}");
}
