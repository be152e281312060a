//! Connections: client address, limits, and their end.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use vestibule::clock::Clock;
use vestibule::config::HumanDuration;
use vestibule::listener::{Accepted, Listener};
use vestibule::random::Random;

use super::gateway::{PATIENCE, TestListener, config, connect, read_all, shake_hands, start_of_time};

const SHORT: HumanDuration = HumanDuration(Duration::from_millis(300));

#[tokio::test]
async fn a_handshake_that_takes_too_long_ends() {
    let mut config = config();
    config.timeouts.handshake = SHORT;
    config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let gateway = TestListener::start(&config);
    for said in [&b""[..], b"\x16\x03\x01", b"PROXY TCP4"] {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        socket.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        // An end or a reset; either way it is over.
        let _ = timeout(PATIENCE, socket.read_to_end(&mut rest)).await.unwrap();
    }
    assert_eq!(gateway.metrics.handshakes_failed.value(), 3);
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let mut config = config();
    config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let gateway = TestListener::start(&config);
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x7f\0\0\x01\x12\x67\x01\xbb";
    for (header, told) in [
        (
            &b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 443\r\n"[..],
            "203.0.113.9 false",
        ),
        (
            b"PROXY TCP6 ::ffff:203.0.113.9 ::1 4711 443\r\n",
            "203.0.113.9 false",
        ),
        (v2, "203.0.113.9 false"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1 true"),
        (b"", "127.0.0.1 true"),
    ] {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        socket.write_all(header).await.unwrap();
        let stream = shake_hands(socket, gateway.trusting(), "localhost")
            .await
            .unwrap();
        assert_eq!(read_all(stream).await, format!("{told} localhost false"));
    }
}

#[tokio::test]
async fn from_anybody_else_a_proxy_header_is_a_failed_handshake() {
    let mut config = config();
    config.listen.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let gateway = TestListener::start(&config);
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    socket
        .write_all(b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 443\r\n")
        .await
        .unwrap();
    assert!(
        shake_hands(socket, gateway.trusting(), "localhost")
            .await
            .is_err()
    );
    assert_eq!(gateway.metrics.handshakes_failed.value(), 1);
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let mut config = config();
    config.limits.connections = 1;
    let gateway = TestListener::start_serving(&config, until_the_client_leaves);
    let first = connect(gateway.address, gateway.trusting(), "localhost")
        .await
        .unwrap();
    let mut second = Box::pin(connect(gateway.address, gateway.trusting(), "localhost"));
    assert!(timeout(SHORT.0, &mut second).await.is_err(), "no place yet");
    assert_eq!(gateway.metrics.connections.value(), 1);
    drop(first);
    second.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed_for_one_that_has_no_place() {
    let idle = |mut accepted: Accepted| async move {
        let _ = accepted.stream.read_u8().await;
    };
    let mut config = config();
    config.limits.connections = 2;
    let gateway = TestListener::start_serving(&config, idle);
    let mut held = Vec::new();
    for _ in 0..4 {
        let stream = connect(gateway.address, gateway.trusting(), "localhost");
        held.push(stream.await.unwrap());
    }
    assert_eq!(gateway.metrics.connections.value(), 2);
    for (index, stream) in held.iter_mut().enumerate() {
        let is_closed = timeout(SHORT.0, stream.read_u8()).await.is_ok();
        assert_eq!(is_closed, index < 2, "{index}");
    }
}

#[tokio::test]
async fn a_panic_ends_one_connection() {
    let serve = |accepted: Accepted| async move {
        assert!(accepted.sni.is_some(), "no name");
        until_the_client_leaves(accepted).await;
    };
    let mut config = config();
    config.limits.connections = 1;
    let gateway = TestListener::start_serving(&config, serve);
    let mut broken = connect(gateway.address, gateway.trusting(), "127.0.0.1")
        .await
        .unwrap();
    let _ = timeout(PATIENCE, broken.read_u8()).await.unwrap();
    connect(gateway.address, gateway.trusting(), "localhost")
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_is_let_in_before_the_gateway_can_serve() {
    let (clock, _) = Clock::manual(start_of_time());
    let bound = Listener::bind(&config(), &clock, &Random::seeded(1), Arc::default()).unwrap();
    let address = bound.addresses()[0];
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let listener = bound.listen().unwrap();
    assert_eq!(listener.addresses(), [address]);
    TcpStream::connect(address).await.unwrap();
}

#[tokio::test]
async fn stopping_waits_for_connections_under_way() {
    let done = CancellationToken::new();
    let told = done.clone();
    let serve = move |mut accepted: Accepted| {
        let done = told.clone();
        async move {
            done.cancelled().await;
            accepted.stream.write_all(b"done").await.unwrap();
            accepted.stream.shutdown().await.unwrap();
        }
    };
    let mut gateway = TestListener::start_serving(&config(), serve);
    let stream = connect(gateway.address, gateway.trusting(), "localhost")
        .await
        .unwrap();
    gateway.stop.cancel();
    // No new connection is accepted once the socket is closed.
    timeout(PATIENCE, async {
        while TcpStream::connect(gateway.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(!gateway.run.is_finished());
    done.cancel();
    assert_eq!(read_all(stream).await, "done");
    timeout(PATIENCE, &mut gateway.run).await.unwrap().unwrap();
    assert_eq!(gateway.metrics.connections.value(), 0);
}

#[tokio::test]
async fn connections_that_do_not_end_are_cut() {
    let mut config = config();
    config.timeouts.drain = SHORT;
    let mut gateway = TestListener::start_serving(&config, until_the_client_leaves);
    let mut stream = connect(gateway.address, gateway.trusting(), "localhost")
        .await
        .unwrap();
    gateway.stop.cancel();
    timeout(PATIENCE, &mut gateway.run).await.unwrap().unwrap();
    let _ = timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(gateway.metrics.connections.value(), 0);
}

#[tokio::test]
async fn a_plain_listener_redirects_and_does_nothing_else() {
    let mut config = config();
    config.listen.http = vec!["127.0.0.1:0".parse().unwrap()];
    config.public_url = "https://gw.example.com:8443".parse().unwrap();
    let gateway = TestListener::start(&config);
    for (request, status, location) in [
        (
            "GET /a?b=c HTTP/1.1\r\nHost: gw.example.com\r\n\r\n",
            "308",
            Some("https://gw.example.com:8443/a?b=c"),
        ),
        (
            "POST /.auth/login HTTP/1.1\r\nHost: gw.example.com\r\nContent-Length: 3\r\n\r\na=b",
            "308",
            Some("https://gw.example.com:8443/.auth/login"),
        ),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "404", None),
        ("GET / HTTP/1.1\r\n\r\n", "400", None),
        (
            "GET /a#/../b HTTP/1.1\r\nHost: gw.example.com\r\n\r\n",
            "400",
            None,
        ),
        ("nonsense\r\n\r\n", "400", None),
    ] {
        let mut socket = TcpStream::connect(gateway.plain.unwrap()).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = read_all(socket).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}{answer}"
        );
        let sent = answer.lines().find_map(|line| line.strip_prefix("location: "));
        assert_eq!(sent, location, "{request}{answer}");
        // hyper itself responds to a malformed head.
        for line in ["x-request-id: ", "date: Tue, 01 Jan 2030 00:00:00 GMT\r\n"] {
            let is_said = answer.contains(&format!("\r\n{line}"));
            assert_eq!(is_said, !request.starts_with("nonsense"), "{request}{answer}");
        }
    }
}

#[tokio::test]
async fn http_in_the_clear_at_the_tls_port_is_told_where_to_go() {
    let mut config = config();
    config.public_url = "https://gw.example.com:8443".parse().unwrap();
    let gateway = TestListener::start(&config);
    for (request, told) in [
        (
            "GET /a?b=c HTTP/1.1\r\nHost: gw.example.com\r\n\r\n",
            "This port speaks HTTPS: https://gw.example.com:8443/a?b=c\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: gw.example.com\r\nContent-Length: 3\r\n\r\na=b",
            "This port speaks HTTPS: https://gw.example.com:8443/\n",
        ),
        // A host that is not served is not repeated.
        (
            "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "This port speaks HTTPS.\n",
        ),
    ] {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = read_all(socket).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, told, "{request}");
        for line in [
            "content-type: text/plain; charset=utf-8",
            "x-content-type-options: nosniff",
            "connection: close",
            "x-request-id: ",
            "date: Tue, 01 Jan 2030 00:00:00 GMT",
        ] {
            assert!(head.contains(&format!("\r\n{line}")), "{line}: {answer}");
        }
    }
    assert_eq!(gateway.metrics.handshakes_failed.value(), 3);
}

/// Counts the whole connection as one request.
async fn until_the_client_leaves(mut accepted: Accepted) {
    accepted.activity.begin();
    let _ = accepted.stream.read_u8().await;
}
