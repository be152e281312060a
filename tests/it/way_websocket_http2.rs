//! S46 and S28: a WebSocket over HTTP/2 (RFC 8441) holds to all that one of HTTP/1.1 holds to.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key as accept_of;
use vestibule::clock::Clock;
use vestibule::config::{AccessField, Compat, Config, HumanDuration, RouteConfig};
use vestibule::control::Command;
use vestibule::services::{AccessKeyChange, AccountChange};

use crate::harness::signer::get;
use crate::harness::{Application, Http2WebSocket, Running, route, soon, upstream};
use crate::way_websocket::{GOING_AWAY, begun, echo, long_frame, received};

/// A close frame of a client that answers [`GOING_AWAY`].
const ANSWER: [u8; 8] = [0x88, 0x82, 1, 2, 3, 4, 3 ^ 1, 0xE9 ^ 2];

/// Opens a WebSocket to an application that the test plays.
async fn opened(gateway: &Running, listener: &TcpListener) -> (Http2WebSocket, TcpStream) {
    let client = gateway.http2_websockets().await;
    let ((answer, socket), app) = tokio::join!(client.ask("/", &[]), begun(listener));
    assert_eq!(answer.status(), 200);
    (socket, app)
}

/// A gateway before an application that the test plays.
async fn played(say: impl FnOnce(&mut Config)) -> (Running, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &url)];
        say(config);
    })
    .await;
    (gateway, listener)
}

async fn closes(socket: &mut Http2WebSocket) {
    let closed = tokio::time::timeout(Duration::from_secs(5), socket.until_closed());
    assert_eq!(closed.await.expect("it ends"), b"");
}

#[tokio::test]
async fn s46_a_websocket_over_http2_of_a_session_from_its_own_origin() {
    let app = echo().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let cookie = gateway.signed_in("ann").await;
    let cookie = ("cookie", cookie.as_str());
    let own = format!("https://{}", gateway.authority());
    let own = ("origin", own.as_str());
    let client = gateway.http2_websockets().await;
    for (headers, expected) in [
        (vec![], 401),
        (vec![own], 401),
        // A handshake is no navigation, whatever it accepts.
        (vec![own, ("accept", "text/html")], 401),
        (vec![cookie, ("origin", "https://evil.example")], 403),
        (vec![cookie, ("origin", "null")], 403),
        (vec![cookie, ("sec-fetch-site", "cross-site")], 403),
    ] {
        let (answer, _) = client.ask("/", &headers).await;
        assert_eq!(answer.status(), expected, "{headers:?}");
    }
    assert!(app.received().is_empty());
    let asks = [
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("remote-user", "root"),
    ];
    for headers in [vec![cookie], [&[cookie, own][..], &asks[..]].concat()] {
        let (answer, mut socket) = client.ask("/ws?x", &headers).await;
        assert_eq!(answer.status(), 200);
        let subprotocol = headers.contains(&asks[0]).then_some("chat");
        let told = answer.headers().get("sec-websocket-protocol");
        assert_eq!(told.map(|told| told.to_str().unwrap()), subprotocol);
        for name in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
            assert_eq!(answer.headers().get(name), None, "{name}");
        }
        for text in ["hello", "again"] {
            socket.send(text);
            assert_eq!(socket.bytes(5).await, text.as_bytes());
        }
    }
    let asked = app.received();
    let [first, second] = &asked[..] else {
        panic!("{asked:?}");
    };
    for request in [first, second] {
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("GET", "/ws?x")
        );
        assert_eq!(request.header("upgrade"), Some("websocket"));
        assert_eq!(request.header("connection"), Some("Upgrade"));
        assert_eq!(request.header("remote-user"), Some("ann"));
        assert_eq!(request.header("sec-websocket-version"), Some("13"));
        assert_eq!(request.header("cookie"), None);
        assert_eq!(request.header("sec-websocket-key").unwrap().len(), 24);
    }
    let keys = [first, second].map(|request| request.header("sec-websocket-key"));
    assert_ne!(keys[0], keys[1], "a handshake of the gateway's own each");
    assert_ne!(keys[1], Some(asks[2].1));
    for (name, value) in &asks[..2] {
        assert_eq!(second.header(name), Some(*value));
    }
}

#[tokio::test]
async fn s28_a_websocket_over_http2_ends_with_its_session_and_no_other_of_its_connection() {
    let app = echo().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let (ann, bob) = (gateway.signed_in("ann").await, gateway.signed_in("bob").await);
    let client = gateway.http2_websockets().await;
    let (_, mut of_ann) = client.ask("/", &[("cookie", &ann)]).await;
    let (_, mut of_bob) = client.ask("/", &[("cookie", &bob)]).await;
    gateway.sign_out(&ann).await;
    closes(&mut of_ann).await;
    of_bob.send("still");
    assert_eq!(of_bob.bytes(5).await, b"still");
}

#[tokio::test]
async fn s76_a_websocket_over_http2_ends_when_its_account_leaves_a_group() {
    let app = echo().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let ann = gateway.signed_in("ann").await;
    let ops = BTreeSet::from(["ops".to_owned()]);
    gateway.change_user("ann", AccountChange::SetGroups(ops)).await;
    let client = gateway.http2_websockets().await;
    let (_, mut socket) = client.ask("/", &[("cookie", &ann)]).await;
    socket.send("still");
    assert_eq!(socket.bytes(5).await, b"still");
    let none = AccountChange::SetGroups(BTreeSet::new());
    gateway.change_user("ann", none).await;
    closes(&mut socket).await;
}

#[tokio::test]
async fn s46_a_websocket_over_http2_in_session_form_is_checked_alike_and_ends_alike() {
    let app = echo().await;
    let gateway = Running::start(|config| {
        config.route = vec![RouteConfig {
            compat: Some(Compat::BackendAi),
            ..route("/", "authenticated", &app.url())
        }];
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let cookie = ("cookie", cookie.as_str());
    let client = gateway.http2_websockets().await;
    let foreign = ("origin", "https://evil.example");
    for (headers, expected) in [(vec![], 401), (vec![cookie, foreign], 403)] {
        let (answer, _) = client.ask("/func/stream/x", &headers).await;
        assert_eq!(answer.status(), expected);
    }
    assert!(app.received().is_empty());
    let (answer, mut socket) = client.ask("/func/stream/x?a", &[cookie]).await;
    assert_eq!(answer.status(), 200);
    socket.send("hello");
    assert_eq!(socket.bytes(5).await, b"hello");
    assert_eq!(app.only().target, "/stream/x?a");
    let logout = gateway.client().post(gateway.url("/server/logout"));
    let logout = logout.header(cookie.0, cookie.1).send().await.unwrap();
    assert_eq!(logout.status(), 200);
    closes(&mut socket).await;
}

#[tokio::test]
async fn s35_a_signed_websocket_over_http2_is_judged_as_the_get_that_it_is_and_ends_with_its_key() {
    let app = echo().await;
    let at = "2026-09-01T03:04:05Z".parse().unwrap();
    let (clock, _hand) = Clock::manual(at);
    let gateway = Running::start_in(TempDir::new().unwrap(), clock, |config| {
        config.login.iam = true;
        config.route = vec![route("/", "authenticated", &app.url())];
    })
    .await;
    gateway.signed_in("ann").await;
    let key = gateway.signer("ann@example.com", at).await;
    let client = gateway.http2_websockets().await;
    let headers = key.aws(&get("/ws?a=1"));
    let signed: Vec<_> = headers
        .iter()
        .filter(|(name, _)| *name != "host")
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    for path in ["/ws?a=2", "/w?a=1"] {
        assert_eq!(client.ask(path, &signed).await.0.status(), 401, "{path}");
    }
    assert!(app.received().is_empty());
    let (answer, mut socket) = client.ask("/ws?a=1", &signed).await;
    assert_eq!(answer.status(), 200);
    socket.send("hello");
    assert_eq!(socket.bytes(5).await, b"hello");
    let request = app.only();
    assert_eq!(request.header("remote-user"), Some("ann"));
    assert_eq!(request.header("authorization"), None);
    let change = Command::ChangeKey {
        key: key.access_key.parse().unwrap(),
        change: AccessKeyChange::Revoke,
    };
    gateway.command(change).await;
    closes(&mut socket).await;
}

#[tokio::test]
async fn s46_an_extended_connect_is_judged_by_path_method_and_host_as_a_get_is() {
    let app = echo().await;
    let gateway = Running::start(|config| {
        let post = RouteConfig {
            methods: vec!["POST".to_owned()],
            ..route("/post", "public", &app.url())
        };
        let open = RouteConfig {
            methods: vec!["GET".to_owned()],
            ..route("/open", "public", &app.url())
        };
        let of_others = RouteConfig {
            host: Some("app.example.com".to_owned()),
            ..route("/", "public", &app.url())
        };
        config.route = vec![post, open, of_others];
    })
    .await;
    let client = gateway.http2_websockets().await;
    for (path, expected) in [
        ("/post", 405),
        ("/open/..%2fpost", 400),
        ("/open/%2e%2e/post", 400),
        ("/elsewhere", 404),
        ("/open", 200),
    ] {
        assert_eq!(client.ask(path, &[]).await.0.status(), expected, "{path}");
    }
    // Another host than that of the connection, whether or not the certificate covers it.
    let elsewhere = format!("https://app.example.com:{}/", gateway.address.port());
    let request = Request::connect(elsewhere).extension(Protocol::from_static("websocket"));
    assert_eq!(client.send(request.body(()).unwrap()).await.0.status(), 421);
    assert_eq!(app.only().target, "/open");
}

#[tokio::test]
async fn s46_no_other_connect_is_passed_on() {
    let app = echo().await;
    let gateway = Running::before("public", &app.url()).await;
    let client = gateway.http2_websockets().await;
    let url = gateway.url("/");
    let plain = Request::connect(gateway.authority()).body(()).unwrap();
    let other = Request::connect(&url).extension(Protocol::from_static("connect-udp"));
    for request in [plain, other.body(()).unwrap()] {
        let asked = format!("{request:?}");
        assert_eq!(client.send(request).await.0.status(), 405, "{asked}");
    }
    let scheme = url.replace("https", "wss");
    let wss = Request::connect(scheme).extension(Protocol::from_static("websocket"));
    assert_eq!(client.send(wss.body(()).unwrap()).await.0.status(), 400);
    assert!(app.received().is_empty());
    // The connection serves on.
    assert_eq!(client.ask("/", &[]).await.0.status(), 200);
}

#[tokio::test]
async fn s46_nothing_but_a_handshake_that_was_completed_is_a_success() {
    let app = Application::serving(|parts, _, _| async move {
        let switched = |accept: &str, upgrade: &str| {
            Response::builder()
                .status(101)
                .header(CONNECTION, "upgrade")
                .header(UPGRADE, upgrade)
                .header(SEC_WEBSOCKET_ACCEPT, accept)
        };
        let key = parts.headers[SEC_WEBSOCKET_KEY].as_bytes();
        let (builder, content) = match parts.uri.path() {
            "/wrong" => (switched("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "websocket"), ""),
            "/other" => (switched(&accept_of(key), "h2c"), ""),
            path => {
                let status = path[1..].parse::<u16>().unwrap();
                (
                    Response::builder().status(status).header("location", "/x"),
                    "content",
                )
            }
        };
        builder
            .body(Full::new(Bytes::from(content)).boxed_unsync())
            .unwrap()
    })
    .await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            route("/demo", "public", "demo:"),
        ];
    })
    .await;
    let client = gateway.http2_websockets().await;
    for (path, expected) in [
        ("/426", 426),
        ("/302", 302),
        ("/503", 503),
        ("/200", 502),
        ("/204", 502),
        ("/wrong", 502),
        ("/other", 502),
        ("/demo", 400),
        ("/.auth/login", 400),
        ("/.auth/assets/none", 404),
    ] {
        let (answer, mut socket) = client.ask(path, &[]).await;
        assert_eq!(answer.status(), expected, "{path}");
        let content = socket.until_closed().await;
        assert_eq!(content == b"content", path[1..].parse() == Ok(expected), "{path}");
    }
}

#[tokio::test]
async fn each_side_of_a_websocket_over_http2_may_end_before_the_other() {
    let (gateway, listener) = played(|_| ()).await;
    let (mut socket, mut app) = opened(&gateway, &listener).await;
    socket.send("last");
    socket.finish();
    assert_eq!(received(&mut app, 4).await, b"last");
    assert_eq!(soon(app.read(&mut [0; 1])).await.unwrap(), 0);
    for _ in 0..3 {
        // The application may take its time.
        tokio::time::sleep(Duration::from_secs(1)).await;
        app.write_all(b"more").await.unwrap();
        assert_eq!(socket.bytes(4).await, b"more");
    }
    drop(app);
    assert_eq!(socket.until_closed().await, b"");

    let (mut socket, mut app) = opened(&gateway, &listener).await;
    app.write_all(b"last").await.unwrap();
    app.shutdown().await.unwrap();
    assert_eq!(socket.until_closed().await, b"last");
    for _ in 0..3 {
        socket.send("more");
        assert_eq!(received(&mut app, 4).await, b"more");
    }
    socket.finish();
    assert_eq!(soon(app.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_resets_its_stream_ends_the_applications_websocket() {
    let (gateway, listener) = played(|_| ()).await;
    for (number, finishes) in [(1, false), (2, true)] {
        let (mut socket, mut app) = opened(&gateway, &listener).await;
        socket.send("hello");
        assert_eq!(received(&mut app, 5).await, b"hello");
        if finishes {
            socket.finish();
            assert_eq!(soon(app.read(&mut [0; 1])).await.unwrap(), 0);
        }
        socket.reset();
        // The application says nothing and closes nothing, and yet the WebSocket is over.
        let log = gateway.file("access.jsonl");
        soon(async {
            while std::fs::read_to_string(&log).unwrap().lines().count() < number {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        drop(app);
    }
    let (socket, mut app) = opened(&gateway, &listener).await;
    drop(socket);
    let ended = soon(app.read(&mut [0; 1])).await;
    assert_eq!(ended.unwrap_or(0), 0);
}

#[tokio::test]
async fn neither_side_is_sent_more_than_it_takes() {
    // More than the sockets between them take.
    const ALL: usize = 24 << 20;
    let (gateway, listener) = played(|_| ()).await;
    let (mut socket, mut app) = opened(&gateway, &listener).await;
    let content: Vec<u8> = (0..=250).cycle().take(ALL).collect();
    let mut written = 0;
    // The client grants no more than its first window.
    let most = Duration::from_secs(1);
    while written < ALL
        && let Ok(count) = tokio::time::timeout(most, app.write(&content[written..])).await
    {
        written += count.unwrap();
    }
    assert!(written < ALL, "all of it is somewhere");
    let rest = content[written..].to_vec();
    let sent = tokio::spawn(async move {
        app.write_all(&rest).await.unwrap();
        app
    });
    assert!(socket.bytes(ALL).await == content);
    let mut app = soon(sent).await.unwrap();

    socket.sender.reserve_capacity(ALL);
    let mut sent = 0;
    loop {
        let capacity = socket.sender.capacity();
        if capacity > 0 {
            let piece = content[sent..][..capacity.min(ALL - sent)].to_vec();
            sent += piece.len();
            socket.send(piece);
            socket.sender.reserve_capacity(ALL - sent);
        }
        let more = std::future::poll_fn(|context| socket.sender.poll_capacity(context));
        if tokio::time::timeout(Duration::from_secs(1), more).await.is_err() {
            break;
        }
    }
    assert!(sent < ALL, "the gateway takes all of it");
    socket.send(content[sent..].to_vec());
    assert!(received(&mut app, ALL).await == content);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_a_websocket_over_http2_loses_it() {
    let (gateway, listener) = played(|config| {
        config.timeouts.idle = HumanDuration(Duration::from_secs(1));
    })
    .await;
    let (mut socket, mut app) = opened(&gateway, &listener).await;
    let content = vec![7; 1 << 20];
    soon(async { while app.write_all(&content).await.is_ok() {} }).await;
    // The silence of both is no reason.
    let (mut other, mut silent) = opened(&gateway, &listener).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    silent.write_all(b"still").await.unwrap();
    assert_eq!(other.bytes(5).await, b"still");
    assert!(socket.until_closed().await.len() < 2 << 20);
}

#[tokio::test]
async fn a_connection_with_a_websocket_is_not_idle() {
    let (gateway, listener) = played(|config| {
        config.timeouts.keep_alive = HumanDuration(Duration::from_millis(200));
        config.timeouts.header = HumanDuration(Duration::from_millis(200));
    })
    .await;
    let client = gateway.http2_websockets().await;
    let ((_, mut socket), mut app) = tokio::join!(client.ask("/", &[]), begun(&listener));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..5 {
        socket.send("hello");
        assert_eq!(received(&mut app, 5).await, b"hello");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let request = Request::builder()
        .method(Method::GET)
        .uri(gateway.url("/.auth/login"));
    let (answer, _) = client.send(request.body(()).unwrap()).await;
    assert_eq!(answer.status(), 200, "the connection takes further requests");
}

#[tokio::test]
async fn a_websocket_over_http2_ends_when_the_gateway_stops_and_is_logged() {
    let app = echo().await;
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &app.url())];
        config.log.access_fields = vec![AccessField::Protocol];
    })
    .await;
    let client = gateway.http2_websockets().await;
    let (answer, mut socket) = client.ask("/ws", &[]).await;
    assert_eq!(answer.status(), 200);
    let frame = long_frame(Some([1, 2, 3, 4]));
    socket.send(frame.clone());
    assert_eq!(socket.bytes(308).await, frame);
    let (folder, ()) = tokio::join!(gateway.stop(), async {
        assert_eq!(socket.bytes(4).await, GOING_AWAY);
        socket.send(&ANSWER[..]);
        assert_eq!(socket.until_closed().await, b"");
    });
    let log = std::fs::read_to_string(folder.path().join("access.jsonl")).unwrap();
    let line = log.lines().find(|line| line.contains("\"/ws\"")).unwrap();
    for said in [
        "\"method\":\"GET\"",
        "\"status\":200",
        "\"protocol\":\"HTTP/2\"",
        "\"bytes\":308",
    ] {
        assert!(line.contains(said), "{said}: {line}");
    }
}

#[tokio::test]
async fn a_websocket_over_http2_of_a_gateway_that_stops_is_closed_between_two_frames() {
    let (gateway, listener) = played(|_| ()).await;
    let (mut socket, mut app) = opened(&gateway, &listener).await;
    let (from_app, from_client) = (long_frame(None), long_frame(Some([1, 2, 3, 4])));
    app.write_all(&from_app[..200]).await.unwrap();
    socket.send(from_client[..200].to_vec());
    assert_eq!(socket.bytes(200).await, from_app[..200]);
    assert_eq!(received(&mut app, 200).await, from_client[..200]);
    let address = gateway.address;
    let stopped = tokio::spawn(gateway.stop());
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    app.write_all(&[&from_app[200..], &from_app].concat())
        .await
        .unwrap();
    assert_eq!(socket.bytes(104).await, from_app[200..]);
    assert_eq!(socket.bytes(4).await, GOING_AWAY);
    socket.send([&from_client[200..], &ANSWER].concat());
    assert_eq!(
        received(&mut app, 116).await,
        [&from_client[200..], &ANSWER].concat()
    );
    assert_eq!(soon(app.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(socket.until_closed().await, b"");
    drop(app);
    soon(stopped).await.unwrap();
}

#[tokio::test]
async fn a_gateway_that_stops_waits_for_no_stream_that_its_client_does_not_read() {
    let (gateway, listener) = played(|config| {
        config.timeouts.drain = HumanDuration(Duration::from_secs(1));
    })
    .await;
    let (mut socket, mut app) = opened(&gateway, &listener).await;
    let content = vec![7; 1 << 20];
    let written = tokio::spawn(async move { while app.write_all(&content).await.is_ok() {} });
    soon(std::future::poll_fn(|context| socket.receiver.poll_data(context)))
        .await
        .unwrap()
        .unwrap();
    soon(gateway.stop()).await;
    soon(written).await.unwrap();
}

#[tokio::test]
async fn websockets_over_http2_of_one_client_leave_connections_to_others() {
    let app = echo().await;
    let gateway = Running::start(|config| {
        let mut limited = upstream(&[&app.url()]);
        limited.max_connections = 20;
        config.upstream.insert("app".to_owned(), limited);
        config.route = vec![route("/", "public", "app")];
        config.timeouts.connect = HumanDuration(Duration::from_millis(100));
    })
    .await;
    let client = gateway.http2_websockets().await;
    let mut held = Vec::new();
    for count in 0..20 {
        let (answer, socket) = client.ask("/", &[]).await;
        let expected = if count < 15 { 200 } else { 503 };
        assert_eq!(answer.status(), expected, "{count}");
        held.push(socket);
    }
    let other = gateway.client_at([127, 0, 0, 3].into());
    let answer = soon(other.get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    // What ends makes room, on the same connection too.
    held.drain(..10).for_each(|mut socket| socket.finish());
    soon(async { while client.ask("/", &[]).await.0.status() != 200 {} }).await;
}

#[tokio::test]
async fn an_upstream_that_speaks_http2_is_asked_for_no_websocket() {
    let app = Application::start().await;
    let url = app.url().replace("http", "h2c");
    let gateway = Running::before("public", &url).await;
    let client = gateway.http2_websockets().await;
    let (answer, mut socket) = client.ask("/", &[]).await;
    assert_eq!(answer.status(), 502);
    assert!(!socket.until_closed().await.is_empty());
    assert_eq!(app.only().header("upgrade"), None);
}
