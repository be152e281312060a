//! Message framing, in both directions and both versions of HTTP, and bodies that are not read.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vestibule::config::Size;

use crate::harness::frames::{
    DATA, END_HEADERS, END_STREAM, H2Connection, HEADERS, RST_STREAM, SETTINGS, field, frame, head, next,
};
use crate::harness::{Application, Running, head_of, route, soon};

/// Statuses as the first byte of a header block (RFC 7541, appendix A).
const OK: u8 = 0x88;
const BAD_REQUEST: u8 = 0x8c;

const NO_ERROR: [u8; 4] = [0; 4];

async fn frames(gateway: &Running) -> H2Connection {
    let authority = std::fs::read_to_string(gateway.file("authority.pem")).unwrap();
    H2Connection::connect(gateway.address, &authority, "gw.example.com").await
}

/// An upstream that sends the same bytes to every request, and keeps its connections open.
async fn saying(answer: impl Into<Vec<u8>>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = answer.into();
    let mut run = JoinSet::new();
    run.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            connections.spawn(async move {
                let mut buffer = [0; 8192];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    (address, run)
}

/// An unencrypted HTTP/2 upstream that sends these frames after a head.
async fn saying_frames(answer: Vec<u8>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut run = JoinSet::new();
    run.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            connections.spawn(async move {
                stream.read_exact(&mut [0; 24]).await.unwrap();
                let settings = [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, 1, 0, &[])].concat();
                stream.write_all(&settings).await.unwrap();
                while let Some((kind, ..)) = next(&mut stream).await {
                    if kind == HEADERS {
                        stream.write_all(&answer).await.unwrap();
                    }
                }
            });
        }
    });
    (address, run)
}

/// A gateway whose upstream rejects requests without reading them.
async fn unwilling() -> (Application, Running) {
    let app = Application::serving(|_, _, _| async {
        let mut answer = Response::new(Full::new(Bytes::from_static(b"no")).boxed_unsync());
        *answer.status_mut() = http::StatusCode::CONFLICT;
        answer
    })
    .await;
    let gateway = Running::start(|config| {
        config.limits.form_body = Size(4 << 10);
        let mut get = route("/get", "public", &app.url());
        get.methods = vec!["GET".to_owned()];
        config.route = vec![
            route("/members", "authenticated", &app.url()),
            route("/open", "public", &app.url()),
            get,
        ];
    })
    .await;
    (app, gateway)
}

#[tokio::test]
async fn over_http2_an_upload_that_is_refused_is_read_on_until_its_end() {
    let (_app, gateway) = unwilling().await;
    let authority = gateway.authority();
    let mut frames = frames(&gateway).await;
    for (stream, path) in [
        (1, "/members"),
        (3, "/nothing"),
        (5, "/a/../b"),
        (7, "/get"),
        (9, "/open"),
    ] {
        let head = head("POST", &authority, path);
        frames
            .send(
                [
                    frame(HEADERS, END_HEADERS, stream, &head),
                    frame(DATA, 0, stream, b"half"),
                ]
                .concat(),
            )
            .await;
        let answered = frames.answer(stream).await;
        assert!(
            answered.is_whole && !answered.body.is_empty(),
            "{path}: {answered:?}"
        );
        // More than the stream's window holds: discarding makes room.
        for _ in 0..8 {
            frames.send(frame(DATA, 0, stream, &[b'x'; 8192])).await;
            assert!(!frames.is_reset(stream).await, "{path}");
        }
        frames.send(frame(DATA, END_STREAM, stream, b"rest")).await;
        assert!(!frames.is_reset(stream).await, "{path}");
    }
}

#[tokio::test]
async fn curl_gets_its_answer_over_http2_however_its_upload_is_refused() {
    let (_app, gateway) = unwilling().await;
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for length in [1000, 300_000] {
        let file = folder.path().join(length.to_string());
        std::fs::write(&file, vec![b'x'; length]).unwrap();
        for (arguments, status) in [
            (&["/members"][..], "401"),
            (&["/nothing"], "404"),
            (&["/get"], "405"),
            (&["/open"], "409"),
            (&["/open/a%00b"], "400"),
            (&["/.auth/login", "-X", "POST"], "413"),
            (
                &["/.auth/login", "-X", "POST", "-H", "Origin: https://evil.example"],
                "413",
            ),
        ] {
            // A form of a thousand bytes is not too large.
            if length == 1000 && status == "413" {
                continue;
            }
            for _ in 0..5 {
                let (told, code) = curl(&gateway, &file, arguments).await;
                if (told.as_str(), code) != (status, Some(0)) {
                    wrong.push(format!(
                        "{length} {arguments:?}: {told} and not {status}, exit {code:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Uploads a file by curl; returns the status and curl's exit code.
async fn curl(gateway: &Running, file: &std::path::Path, arguments: &[&str]) -> (String, Option<i32>) {
    let (path, more) = arguments.split_first().unwrap();
    let mut run = Command::new("curl");
    run.args([
        "--silent",
        "--insecure",
        "--http2",
        "--path-as-is",
        "--output",
        "/dev/null",
    ])
    .args(["--write-out", "%{http_code}", "--noproxy", "*"])
    .arg("--resolve")
    .arg(format!("{}:127.0.0.1", gateway.authority()))
    .arg("--upload-file")
    .arg(file)
    .args(more)
    .arg(gateway.url(path))
    .stdin(Stdio::null());
    let output = soon(tokio::task::spawn_blocking(move || run.output()))
        .await
        .unwrap();
    let output = output.expect("tests/install installs curl");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[tokio::test]
async fn an_application_may_answer_an_upload_and_close() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Running::before("public", &format!("http://{}", listener.local_addr().unwrap())).await;
    let app = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 100]).await.unwrap();
            let answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for client in [gateway.client(), gateway.http2_client()] {
        for _ in 0..20 {
            let upload = client.put(gateway.url("/")).body(vec![b'x'; 200_000]);
            let answer = soon(upload.send()).await.unwrap();
            assert_eq!(answer.status(), 413, "{:?}", answer.version());
            assert_eq!(soon(answer.text()).await.unwrap(), "no");
        }
    }
    app.abort();
}

#[tokio::test]
async fn an_answer_over_http2_that_is_reset_is_never_taken_for_whole() {
    let begun = [frame(HEADERS, END_HEADERS, 1, &[OK]), frame(DATA, 0, 1, b"half")].concat();
    let reset = frame(RST_STREAM, 0, 1, &NO_ERROR);
    let ended = frame(DATA, END_STREAM, 1, b" and half");
    for (rest, is_whole) in [
        (reset.clone(), false),
        (frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), false),
        // An upstream may end its response early, and then refuse the rest of the request (RFC 9113, section
        // 8.1).
        ([ended, reset].concat(), true),
    ] {
        let (address, _run) = saying_frames([begun.clone(), rest].concat()).await;
        for is_http2 in [false, true] {
            let gateway = Running::before("public", &format!("h2c://{address}")).await;
            let client = if is_http2 {
                gateway.http2_client()
            } else {
                gateway.client()
            };
            // The connection may end before anything of the response was sent.
            let body = match soon(client.get(gateway.url("/")).send()).await {
                Ok(answer) => soon(answer.bytes()).await,
                Err(error) => Err(error),
            };
            assert_eq!(body.is_ok(), is_whole, "http2: {is_http2}");
            if let Ok(body) = body {
                assert_eq!(body, "half and half");
            }
        }
    }
}

#[tokio::test]
async fn an_upload_over_http2_that_is_reset_never_looks_complete() {
    let (done, mut outcome) = mpsc::unbounded_channel();
    let app = Application::serving(move |parts, mut incoming, received| {
        let done = done.clone();
        async move {
            received.lock().unwrap().push(head_of(&parts));
            let first = incoming.frame().await;
            let _ = done.send(first.is_some_and(|frame| frame.is_ok()));
            let _ = done.send(incoming.collect().await.is_ok());
            Response::new(Full::new(Bytes::new()).boxed_unsync())
        }
    })
    .await;
    for url in [app.url(), app.url().replace("http:", "h2c:")] {
        let gateway = Running::before("public", &url).await;
        let head = head("POST", &gateway.authority(), "/");
        for reason in [NO_ERROR, [0, 0, 0, 8]] {
            let mut frames = frames(&gateway).await;
            frames
                .send([frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, 0, 1, b"half")].concat())
                .await;
            assert!(soon(outcome.recv()).await.unwrap());
            frames.send(frame(RST_STREAM, 0, 1, &reason)).await;
            assert!(!soon(outcome.recv()).await.unwrap(), "{url} {reason:?}");
        }
    }
}

#[tokio::test]
async fn an_application_that_says_its_length_twice_says_it_once_or_is_refused() {
    for (said, status, length) in [
        ("Content-Length: 2\r\nContent-Length: 2", 200, Some("2")),
        ("Content-Length: 2, 2", 200, Some("2")),
        ("Content-Length: 02", 200, Some("2")),
        ("Content-Length: 2\r\nContent-Length: 3", 502, None),
        ("Content-Length: 2, 3", 502, None),
        ("Content-Length: +2", 502, None),
        ("Content-Length: 2,", 502, None),
    ] {
        let (address, _run) = saying(format!("HTTP/1.1 200 OK\r\n{said}\r\n\r\nhi")).await;
        let gateway = Running::before("public", &format!("http://{address}")).await;
        for client in [gateway.client(), gateway.http2_client()] {
            let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
            assert_eq!(answer.status(), status, "{said}");
            let lengths = answer.headers().get_all("content-length").iter();
            let lengths: Vec<_> = lengths
                .map(|length| length.to_str().unwrap().to_owned())
                .collect();
            assert_eq!(lengths.len(), 1, "{said}: {lengths:?}");
            if let Some(length) = length {
                assert_eq!(lengths, [length], "{said}");
                assert_eq!(soon(answer.text()).await.unwrap(), "hi", "{said}");
            }
        }
    }
    // Also in HTTP/2.
    for (lengths, is_ok) in [(["2", "2"], true), (["2", "3"], false)] {
        let head = [
            vec![OK],
            field("content-length", lengths[0]),
            field("content-length", lengths[1]),
        ]
        .concat();
        let answer = [
            frame(HEADERS, END_HEADERS, 1, &head),
            frame(DATA, END_STREAM, 1, b"hi"),
        ]
        .concat();
        let (address, _run) = saying_frames(answer).await;
        let gateway = Running::before("public", &format!("h2c://{address}")).await;
        let answer = soon(gateway.client().get(gateway.url("/")).send()).await.unwrap();
        assert_eq!(answer.status(), if is_ok { 200 } else { 502 }, "{lengths:?}");
    }
}

#[tokio::test]
async fn chunks_of_an_application_leave_no_length_beside_them() {
    let chunked =
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let (address, _run) = saying(chunked).await;
    let gateway = Running::before("public", &format!("http://{address}")).await;
    for client in [gateway.client(), gateway.http2_client()] {
        let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
        assert_eq!(answer.headers().get("content-length"), None);
        assert_eq!(soon(answer.text()).await.unwrap(), "hi");
    }
}

#[tokio::test]
async fn s45_an_answer_in_a_coding_that_is_not_taken_off_is_refused() {
    let chunks = "2\r\nhi\r\n0\r\n\r\n";
    for (said, body, status) in [
        ("Transfer-Encoding: chunked", chunks, 200),
        ("Transfer-Encoding:  Chunked", chunks, 200),
        ("Transfer-Encoding: gzip, chunked", chunks, 502),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            chunks,
            502,
        ),
        ("Transfer-Encoding: identity, chunked", chunks, 502),
        ("Transfer-Encoding: chunked, chunked", chunks, 502),
        ("Transfer-Encoding: chunked;a=b", chunks, 502),
        ("Transfer-Encoding: , chunked", chunks, 502),
        (
            "Transfer-Encoding: x-new, chunked\r\nContent-Length: 2",
            chunks,
            502,
        ),
        ("Transfer-Encoding: gzip", "hi", 502),
        ("Transfer-Encoding: identity\r\nContent-Length: 2", "hi", 502),
        ("Transfer-Encoding:", "hi", 502),
    ] {
        let (address, _run) = saying(format!("HTTP/1.1 200 OK\r\n{said}\r\n\r\n{body}")).await;
        let gateway = Running::before("public", &format!("http://{address}")).await;
        for client in [gateway.client(), gateway.http2_client()] {
            let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
            assert_eq!(answer.status(), status, "{said}");
            if status == 200 {
                assert_eq!(soon(answer.text()).await.unwrap(), "hi", "{said}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_is_passed_on_whatever_the_method_is() {
    let app = Application::start().await;
    for url in [app.url(), app.url().replace("http:", "h2c:")] {
        let gateway = Running::before("public", &url).await;
        let authority = gateway.authority();
        for method in ["GET", "DELETE", "OPTIONS", "PROPFIND", "POST"] {
            let mut raw = gateway.raw().await;
            raw.send(format!(
                "{method} / HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n\
                 4\r\nbody\r\n0\r\n\r\n"
            ))
            .await;
            assert_eq!(raw.answer().await.0, 200, "{method}");
            let received = app.received().pop().unwrap();
            assert_eq!(
                (received.method.as_str(), received.body.as_ref()),
                (method, &b"body"[..]),
                "{url}"
            );
        }
        for length in [None, Some("4")] {
            let mut frames = frames(&gateway).await;
            let said = length
                .map(|length| field("content-length", length))
                .unwrap_or_default();
            let head = [head("GET", &authority, "/"), said].concat();
            frames
                .send(
                    [
                        frame(HEADERS, END_HEADERS, 1, &head),
                        frame(DATA, END_STREAM, 1, b"body"),
                    ]
                    .concat(),
                )
                .await;
            assert_eq!(frames.answer(1).await.status, OK);
            let received = app.received().pop().unwrap();
            assert_eq!(
                (
                    received.method.as_str(),
                    received.body.as_ref(),
                    received.header("content-length")
                ),
                ("GET", &b"body"[..], length),
                "{url}"
            );
        }
    }
}

#[tokio::test]
async fn s45_a_connection_ends_with_chunks_that_may_stay_unread() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    for (method, closes) in [
        ("GET", true),
        ("DELETE", true),
        ("OPTIONS", true),
        ("COPY", true),
        ("MOVE", true),
        ("UNLOCK", true),
        ("LINK", true),
        ("UNLINK", true),
        ("PURGE", true),
        ("UNCHECKOUT", true),
        ("get", true),
        ("post", true),
        ("WHATEVER", true),
        ("POST", false),
        ("PUT", false),
        ("PATCH", false),
        ("PROPFIND", false),
        ("REPORT", false),
        ("LOCK", false),
        ("MKCOL", false),
        ("VERSION-CONTROL", false),
    ] {
        let mut raw = gateway.raw().await;
        raw.send(format!(
            "{method} / HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n\
             4\r\nbody\r\n0\r\n\r\n"
        ))
        .await;
        assert_eq!(raw.answer().await.0, 200, "{method}");
        let received = app.received().pop().unwrap();
        assert_eq!(
            received.header("connection"),
            closes.then_some("close"),
            "{method}"
        );
    }
}

#[tokio::test]
async fn s45_what_a_head_over_http2_says_of_its_body_has_one_reading() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let head = head("POST", &gateway.authority(), "/");
    for (stream, fields) in (1..).step_by(2).zip([
        vec![("content-length", "4"), ("content-length", "4")],
        vec![("content-length", "4"), ("content-length", "5")],
        vec![("content-length", "04")],
        vec![("content-length", "4, 4")],
        vec![("content_length", "4")],
        vec![("content-length", "4"), ("content!length", "9")],
        vec![("transfer_encoding", "chunked")],
        vec![("transfer.encoding", "chunked")],
    ]) {
        let more = fields.iter().flat_map(|(name, value)| field(name, value));
        let head: Vec<u8> = head.iter().copied().chain(more).collect();
        let mut frames = frames(&gateway).await;
        frames
            .send(
                [
                    frame(HEADERS, END_HEADERS, stream, &head),
                    frame(DATA, END_STREAM, stream, b"body"),
                ]
                .concat(),
            )
            .await;
        let answered = frames.answer(stream).await;
        // What hyper finds itself, it resets.
        let is_refused = answered.status == BAD_REQUEST || answered.reset == Some(1);
        assert!(is_refused, "{fields:?}: {answered:?}");
    }
    assert!(app.received().is_empty(), "{:?}", app.received());
}

/// Returns a head with `count` additional fields.
fn fields(count: usize) -> String {
    (0..count).fold(String::new(), |mut head, n| {
        let _ = write!(head, "X-{n}: {n}\r\n");
        head
    })
}

#[tokio::test]
async fn heads_have_as_many_fields_as_configured_in_both_directions() {
    let app = Application::answering(|request| {
        let count = request.target.trim_start_matches('/').parse().unwrap_or(0);
        let mut answer = Response::new(Bytes::from_static(b"hello"));
        for n in 0..count {
            let name = http::HeaderName::try_from(format!("y-{n}")).unwrap();
            answer.headers_mut().insert(name, http::HeaderValue::from(n));
        }
        answer
    })
    .await;
    // The default is as many as fit into the default size, with the 32 bytes that each counts in HTTP/2.
    for (most, sent, is_ok) in [
        (None, 1400, true),
        (Some(150), 120, true),
        (Some(150), 160, false),
    ] {
        let gateway = Running::start(|config| {
            config.route = vec![
                route("/", "public", &app.url()),
                route("/h2c", "public", &app.url().replace("http:", "h2c:")),
            ];
            config.limits.header_fields = most.unwrap_or(config.limits.header_fields);
        })
        .await;
        let authority = gateway.authority();
        let mut raw = gateway.raw().await;
        raw.send(format!(
            "GET / HTTP/1.1\r\nHost: {authority}\r\n{}\r\n",
            fields(sent)
        ))
        .await;
        assert_eq!(
            raw.answer().await.0,
            if is_ok { 200 } else { 431 },
            "{sent} of {most:?}"
        );
        let mut request = gateway.http2_client().get(gateway.url("/"));
        for n in 0..sent {
            request = request.header(format!("x-{n}"), n);
        }
        let answer = soon(request.send()).await.unwrap();
        assert_eq!(
            answer.status(),
            if is_ok { 200 } else { 431 },
            "{sent} of {most:?}"
        );
        assert!(answer.headers().contains_key("x-request-id"));
        for client in [gateway.client(), gateway.http2_client()] {
            let answer = soon(client.get(gateway.url(&format!("/{sent}"))).send()).await;
            match answer {
                Ok(answer) if is_ok => {
                    assert_eq!(answer.status(), 200, "{sent} of {most:?}");
                    assert_eq!(
                        answer.headers()[&format!("y-{}", sent - 1)],
                        (sent - 1).to_string()
                    );
                }
                Ok(answer) => assert_eq!(answer.status(), 502, "{sent} of {most:?}"),
                // The test's own client accepts a hundred.
                Err(error) => assert!(is_ok, "{error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn answers_without_a_body_have_none_whatever_they_say() {
    for (said, status) in [
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2", 204),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2", 304),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nContent-Length: 2",
            304,
        ),
    ] {
        let (address, _run) = saying(format!("{said}\r\n\r\n")).await;
        let gateway = Running::before("public", &format!("http://{address}")).await;
        for client in [gateway.client(), gateway.http2_client()] {
            for _ in 0..2 {
                let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
                assert_eq!(answer.status(), status, "{said}");
                if status == 204 {
                    assert_eq!(answer.headers().get("content-length"), None, "{said}");
                }
                assert!(soon(answer.bytes()).await.unwrap().is_empty(), "{said}");
            }
        }
    }
}
