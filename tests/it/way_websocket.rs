//! S46 and S28: WebSocket, the one upgrade.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key as accept_of;
use vestibule::config::{Compat, HumanDuration, RouteConfig};
use vestibule::control::Command;
use vestibule::services::AccountChange;

use crate::harness::{Application, Raw, Running, head_of, route, soon, upstream};

/// A server's close frame with status 1001 (RFC 6455, section 7.4.1).
pub(crate) const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];

/// Accepts the upstream's end of the next WebSocket.
pub(crate) async fn begun(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let key = head.lines().find_map(|line| {
        let (name, key) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(key)
    });
    let accept = accept_of(key.unwrap().as_bytes());
    let switched = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(switched.as_bytes()).await.unwrap();
    stream
}

/// A frame with 300 bytes; masked, as clients send it, if `mask` is given.
pub(crate) fn long_frame(mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![0x82, masked | 0x7E, 1, 44];
    frame.extend(mask.into_iter().flatten());
    frame.resize(frame.len() + 300, 7);
    frame
}

pub(crate) async fn received(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// Switches protocols on request, to the first subprotocol if there are some, and echoes bytes.
pub(crate) async fn echo() -> Application {
    Application::serving(|mut parts, _, received| {
        received.lock().unwrap().push(head_of(&parts));
        let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let is_asked = parts.headers.contains_key(UPGRADE);
        let key = parts.headers.get(SEC_WEBSOCKET_KEY);
        let accept = key.map(|key| accept_of(key.as_bytes()));
        let named = parts.headers.get(SEC_WEBSOCKET_PROTOCOL);
        let subprotocol = named.map(|named| named.to_str().unwrap().split(", ").next().unwrap().to_owned());
        async move {
            let body = Full::new(Bytes::new()).boxed_unsync();
            let (true, Some(upgrade)) = (is_asked, upgrade) else {
                return Response::new(body);
            };
            tokio::spawn(async move {
                let mut stream = TokioIo::new(upgrade.await.unwrap());
                let mut buffer = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            });
            let switched = Response::builder().status(101).header(CONNECTION, "upgrade");
            let mut switched = switched.header(UPGRADE, "websocket");
            for (name, value) in [
                (SEC_WEBSOCKET_ACCEPT, accept),
                (SEC_WEBSOCKET_PROTOCOL, subprotocol),
            ] {
                if let Some(value) = value {
                    switched = switched.header(name, value);
                }
            }
            switched.body(body).unwrap()
        }
    })
    .await
}

/// Sends a WebSocket handshake with additional lines.
async fn ask(gateway: &Running, path: &str, lines: &str) -> (Raw, u16) {
    let mut raw = gateway.raw().await;
    let authority = gateway.authority();
    raw.send(format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    ))
    .await;
    let (status, _) = raw.answer().await;
    (raw, status)
}

#[tokio::test]
async fn s46_a_websocket_of_a_session_from_its_own_origin() {
    let app = echo().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let cookie = format!("Cookie: {}\r\n", gateway.signed_in("ann").await);
    let own = format!("Origin: https://{}\r\n", gateway.authority());
    for (lines, expected) in [
        (String::new(), 401),
        (own.clone(), 401),
        (format!("{cookie}Origin: https://evil.example\r\n"), 403),
        (format!("{cookie}Origin: null\r\n"), 403),
        (format!("{cookie}Sec-Fetch-Site: cross-site\r\n"), 403),
    ] {
        assert_eq!(ask(&gateway, "/", &lines).await.1, expected, "{lines}");
    }
    assert!(app.received().is_empty());
    for lines in [cookie.clone(), format!("{cookie}{own}")] {
        let (mut raw, status) = ask(&gateway, "/ws?x", &lines).await;
        assert_eq!(status, 101);
        for text in ["hello", "again"] {
            raw.send(text).await;
            assert_eq!(raw.bytes(5).await, text.as_bytes());
        }
    }
    let request = app.received().remove(0);
    assert_eq!(request.target, "/ws?x");
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("remote-user"), Some("ann"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
}

#[tokio::test]
async fn s28_a_websocket_ends_with_its_session() {
    let app = echo().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let (ann, bob) = (gateway.signed_in("ann").await, gateway.signed_in("bob").await);
    let (mut of_ann, _) = ask(&gateway, "/", &format!("Cookie: {ann}\r\n")).await;
    let (mut of_bob, _) = ask(&gateway, "/", &format!("Cookie: {bob}\r\n")).await;
    gateway.sign_out(&ann).await;
    let closed = tokio::time::timeout(Duration::from_secs(5), of_ann.until_closed());
    assert_eq!(closed.await.unwrap(), "");
    of_bob.send("still").await;
    assert_eq!(of_bob.bytes(5).await, b"still");
}

#[tokio::test]
async fn s76_a_websocket_ends_when_its_account_leaves_a_group() {
    let app = echo().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let ann = gateway.signed_in("ann").await;
    let ops = BTreeSet::from(["ops".to_owned()]);
    gateway.change_user("ann", AccountChange::SetGroups(ops)).await;
    let (mut raw, _) = ask(&gateway, "/", &format!("Cookie: {ann}\r\n")).await;
    raw.send("still").await;
    assert_eq!(raw.bytes(5).await, b"still");
    let none = AccountChange::SetGroups(BTreeSet::new());
    gateway.change_user("ann", none).await;
    let closed = tokio::time::timeout(Duration::from_secs(5), raw.until_closed());
    assert_eq!(closed.await.unwrap(), "");
}

#[tokio::test]
async fn s46_a_websocket_in_session_form_is_checked_alike_and_ends_alike() {
    let app = echo().await;
    let gateway = Running::start(|config| {
        config.route = vec![RouteConfig {
            compat: Some(Compat::BackendAi),
            ..route("/", "authenticated", &app.url())
        }];
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let lines = format!("Cookie: {cookie}\r\n");
    for (lines, expected) in [
        (String::new(), 401),
        (format!("{lines}Origin: https://evil.example\r\n"), 403),
    ] {
        assert_eq!(ask(&gateway, "/func/stream/x", &lines).await.1, expected);
    }
    assert!(app.received().is_empty());
    let (mut raw, status) = ask(&gateway, "/func/stream/x?a", &lines).await;
    assert_eq!(status, 101);
    raw.send("hello").await;
    assert_eq!(raw.bytes(5).await, b"hello");
    assert_eq!(app.only().target, "/stream/x?a");
    let logout = gateway.client().post(gateway.url("/server/logout"));
    assert_eq!(
        logout.header("cookie", cookie).send().await.unwrap().status(),
        200
    );
    let closed = tokio::time::timeout(Duration::from_secs(5), raw.until_closed());
    assert_eq!(closed.await.unwrap(), "");
}

#[tokio::test]
async fn a_websocket_ends_when_the_gateway_stops() {
    let app = echo().await;
    let gateway = Running::before("public", &app.url()).await;
    let (mut raw, status) = ask(&gateway, "/", "").await;
    assert_eq!(status, 101);
    let (folder, ()) = tokio::join!(gateway.stop(), async {
        assert_eq!(raw.bytes(4).await, GOING_AWAY);
        raw.send([0x88, 0x82, 1, 2, 3, 4, 3 ^ 1, 0xE9 ^ 2]).await;
        assert_eq!(raw.until_closed().await, "");
    });
    let log = std::fs::read_to_string(folder.path().join("access.jsonl")).unwrap();
    assert!(log.contains("\"status\":101"), "{log}");
}

#[tokio::test]
async fn a_websocket_of_a_gateway_that_stops_is_closed_between_two_frames() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Running::before("public", &url).await;
    let ((mut raw, status), mut app) = tokio::join!(ask(&gateway, "/", ""), begun(&listener));
    assert_eq!(status, 101);
    let (from_app, from_client) = (long_frame(None), long_frame(Some([1, 2, 3, 4])));
    app.write_all(&from_app[..200]).await.unwrap();
    raw.send(&from_client[..200]).await;
    assert_eq!(raw.bytes(200).await, from_app[..200]);
    assert_eq!(received(&mut app, 200).await, from_client[..200]);

    let address = gateway.address;
    let stopped = tokio::spawn(gateway.stop());
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    // Frames in progress are completed in both directions; no other frame begins.
    app.write_all(&[&from_app[200..], &from_app].concat())
        .await
        .unwrap();
    raw.send(&from_client[200..]).await;
    assert_eq!(received(&mut app, 108).await, from_client[200..]);
    assert_eq!(raw.bytes(104).await, from_app[200..]);
    assert_eq!(raw.bytes(4).await, GOING_AWAY);
    // What the client sends before its close frame still arrives, and the close frame closes the upstream's
    // side.
    let answer = [0x88, 0x82, 1, 2, 3, 4, 3 ^ 1, 0xE9 ^ 2];
    raw.send([&from_client[..], &answer].concat()).await;
    assert_eq!(received(&mut app, 308).await, from_client);
    assert_eq!(received(&mut app, 8).await, answer);
    assert_eq!(raw.until_closed().await, "");
    drop((raw, app));
    soon(stopped).await.unwrap();
}

#[tokio::test]
async fn a_frame_that_never_ends_keeps_its_own_side_from_being_told_and_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &url)];
        config.timeouts.drain = HumanDuration(Duration::from_secs(1));
    })
    .await;
    let ((mut raw, status), mut app) = tokio::join!(ask(&gateway, "/", ""), begun(&listener));
    let ((mut cut, other), mut half) = tokio::join!(ask(&gateway, "/", ""), begun(&listener));
    assert_eq!((status, other), (101, 101));
    let frame = long_frame(Some([1, 2, 3, 4]));
    raw.send(&frame[..200]).await;
    assert_eq!(received(&mut app, 200).await, frame[..200]);
    half.write_all(&long_frame(None)[..200]).await.unwrap();
    assert_eq!(cut.bytes(200).await.len(), 200);
    let stopped = tokio::spawn(gateway.stop());
    assert_eq!(raw.bytes(4).await, GOING_AWAY);
    assert_eq!(received(&mut half, 8).await, [0x88, 0x82, 0, 0, 0, 0, 3, 0xE9]);
    soon(stopped).await.unwrap();
    assert_eq!(soon(app.read(&mut [0; 1])).await.unwrap_or(0), 0);
    assert_eq!(cut.until_closed().await, "");
}

#[tokio::test]
async fn an_application_is_told_that_the_gateway_stops_where_its_client_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &url)];
        config.timeouts.drain = HumanDuration(Duration::from_secs(2));
    })
    .await;
    let ((mut raw, status), mut app) = tokio::join!(ask(&gateway, "/", ""), begun(&listener));
    assert_eq!(status, 101);
    let stopped = tokio::spawn(gateway.stop());
    assert_eq!(raw.bytes(4).await, GOING_AWAY);
    assert_eq!(received(&mut app, 8).await, [0x88, 0x82, 0, 0, 0, 0, 3, 0xE9]);
    assert_eq!(soon(app.read(&mut [0; 1])).await.unwrap(), 0);
    // The upstream does not close: after `drain` both connections are cut.
    soon(stopped).await.unwrap();
    assert_eq!(raw.until_closed().await, "");
}

#[tokio::test]
async fn what_a_client_says_in_a_websocket_is_no_head_that_takes_too_long() {
    let app = echo().await;
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &app.url())];
        config.timeouts.header = HumanDuration(Duration::from_millis(50));
    })
    .await;
    let (mut raw, status) = ask(&gateway, "/", "").await;
    assert_eq!(status, 101);
    for _ in 0..20 {
        raw.send("hello").await;
        assert_eq!(raw.bytes(5).await, b"hello");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn s46_other_upgrades_are_not_passed_on() {
    let app = echo().await;
    let switching = Application::serving(|_, _, _| async {
        let switched = Response::builder().status(101).header(UPGRADE, "h2c");
        switched.body(Full::new(Bytes::new()).boxed_unsync()).unwrap()
    })
    .await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            route("/switching", "public", &switching.url()),
        ];
    })
    .await;
    let authority = gateway.authority();
    for lines in [
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x",
        "Upgrade: websocket",
    ] {
        let mut raw = gateway.raw().await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: {authority}\r\n{lines}\r\n\r\n"))
            .await;
        assert_eq!(raw.answer().await.0, 200, "{lines}");
        let request = app.received().pop().unwrap();
        for name in ["upgrade", "http2-settings"] {
            assert_eq!(request.header(name), None, "{lines}");
        }
    }
    // An upstream that switches to another protocol is refused.
    let asked = gateway.client().get(gateway.url("/switching")).send();
    assert_eq!(asked.await.unwrap().status(), 502);
    assert_eq!(ask(&gateway, "/switching", "").await.1, 502);
}

#[tokio::test]
async fn an_application_that_refuses_is_heard() {
    let app = Application::answering(|_| Response::builder().status(426).body("no".into()).unwrap()).await;
    let gateway = Running::before("public", &app.url()).await;
    assert_eq!(ask(&gateway, "/", "").await.1, 426);
}

#[tokio::test]
async fn websockets_of_one_client_leave_connections_to_others() {
    let app = echo().await;
    let gateway = Running::start(|config| {
        let mut limited = upstream(&[&app.url()]);
        limited.max_connections = 20;
        config.upstream.insert("app".to_owned(), limited);
        config.route = vec![route("/", "public", "app")];
        config.timeouts.connect = HumanDuration(Duration::from_millis(100));
    })
    .await;
    let mut held = Vec::new();
    for count in 0..20 {
        let (raw, status) = ask(&gateway, "/", "").await;
        assert_eq!(status, if count < 15 { 101 } else { 503 }, "{count}");
        held.push(raw);
    }
    let other = gateway.client_at([127, 0, 0, 3].into());
    let answer = soon(other.get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_websocket_keeps_the_place_of_its_connection() {
    let app = echo().await;
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &app.url())];
        config.limits.connections = 2;
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let (raw, status) = ask(&gateway, "/", "").await;
        assert_eq!(status, 101);
        held.push(raw);
    }
    let mut further = Box::pin(ask(&gateway, "/", ""));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut further).await;
    assert!(early.is_err(), "there is no place");
    held.pop();
    assert_eq!(soon(further).await.1, 101);
}

/// While an application takes nothing, nothing tells that its client is gone.
#[tokio::test]
async fn a_websocket_whose_application_takes_nothing_ends_with_the_idle_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = Running::start(|config| {
        config.timeouts.idle = HumanDuration(Duration::from_secs(1));
        config.route = vec![route("/", "public", &format!("http://{address}"))];
    })
    .await;
    let opened = ask(&gateway, "/", "");
    let ((mut raw, status), application) = tokio::join!(opened, begun(&listener));
    assert_eq!(status, 101);
    let flood = vec![0; 64 << 10];
    let patience = Duration::from_millis(300);
    while let Ok(Ok(())) = tokio::time::timeout(patience, raw.stream.write_all(&flood)).await {}
    drop(raw);
    for _ in 0..100 {
        let list = gateway.command(Command::ListUpstreams).await;
        if list["upstreams"][0]["servers"][0]["active_request_count"] == 0 {
            drop(application);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the tunnel is still there");
}
