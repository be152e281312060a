//! `listen.plain`: proxies that ended TLS are served in the clear, and nobody else.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use vestibule::config::{Config, HumanDuration, PlainAddress};

use crate::harness::{Application, PASSWORD, Running, route, soon};

/// The one machine that is a proxy.
const PROXY: &str = "127.0.0.9";

/// Another machine.
const STRANGER: &str = "127.0.0.1";

const HTTPS: &str = "X-Forwarded-Proto: https\r\n";

/// A gateway before an application, with an address and a socket for proxies.
async fn gateway(app: &Application, say: impl FnOnce(&mut Config)) -> Running {
    Running::start(|config| {
        let socket = config.listen.admin_socket.with_file_name("plain.sock");
        config.listen.plain = vec!["127.0.0.1:0".parse().unwrap(), PlainAddress::Unix(socket)];
        config.listen.trusted_proxies = vec![format!("{PROXY}/32").parse().unwrap()];
        config.public_url = "https://gw.example.com".parse().unwrap();
        config.route = vec![
            route("/", "authenticated", &app.url()),
            route("/open", "public", &app.url()),
        ];
        say(config);
    })
    .await
}

fn address(gateway: &Running) -> SocketAddr {
    let tcp = gateway.plain.iter().find_map(|place| match place {
        PlainAddress::Tcp(address) => Some(*address),
        PlainAddress::Unix(_) => None,
    });
    tcp.unwrap()
}

async fn connect(gateway: &Running, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    soon(socket.connect(address(gateway))).await.unwrap()
}

async fn connect_unix(gateway: &Running) -> UnixStream {
    UnixStream::connect(gateway.file("plain.sock")).await.unwrap()
}

/// All that is answered to these bytes.
async fn answers(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: impl AsRef<[u8]>) -> String {
    stream.write_all(request.as_ref()).await.unwrap();
    let mut answer = Vec::new();
    // What is refused may be reset when it was read.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: gw.example.com\r\nConnection: close\r\n{headers}\r\n")
}

fn sign_in(email: &str, headers: &str) -> String {
    let form = format!("login={}&password={PASSWORD}", email.replace('@', "%40"));
    format!(
        "POST /.auth/login HTTP/1.1\r\nHost: gw.example.com\r\nConnection: close\r\nAccept: application/json\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{headers}\r\n{form}",
        form.len()
    )
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status.parse().unwrap_or_else(|_| panic!("{answer:?}"))
}

fn has_header(answer: &str, name: &str) -> bool {
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    head.lines().any(|line| line.starts_with(&format!("{name}:")))
}

#[tokio::test]
async fn s42_a_proxy_that_ended_tls_is_served_in_the_clear() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    let cookie = gateway.signed_in("ann").await;
    let sent = format!(
        "{HTTPS}X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Request-Id: 0123456789abcdef0123456789abcdef\r\nCookie: {cookie}\r\n"
    );
    for stream in ["tcp", "unix"] {
        let answer = match stream {
            "tcp" => answers(connect(&gateway, PROXY).await, get("/", &sent)).await,
            _ => answers(connect_unix(&gateway).await, get("/", &sent)).await,
        };
        assert_eq!(status(&answer), 200, "{stream}: {answer}");
        assert!(!has_header(&answer, "strict-transport-security"), "{answer}");
        let received = app.received().pop().unwrap();
        for (name, value) in [
            ("remote-user", "ann"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "gw.example.com"),
            ("x-forwarded-port", "443"),
            ("x-real-ip", "203.0.113.9"),
        ] {
            assert_eq!(received.header(name), Some(value), "{stream}: {name}");
        }
        let last = if stream == "tcp" { PROXY } else { "127.0.0.1" };
        let chain = format!("6.6.6.6, 203.0.113.9, {last}");
        assert_eq!(received.header("x-forwarded-for"), Some(&*chain), "{stream}");
    }
    for stream in ["tcp", "unix"] {
        let request = sign_in("ann@example.com", HTTPS);
        let answer = match stream {
            "tcp" => answers(connect(&gateway, PROXY).await, request).await,
            _ => answers(connect_unix(&gateway).await, request).await,
        };
        assert_eq!(status(&answer), 200, "{stream}: {answer}");
        assert!(answer.contains("set-cookie: __Host-vestibule="), "{answer}");
        assert!(answer.contains("; Secure"), "{answer}");
    }
    assert_eq!(app.received().len(), 2);
}

/// The proxy names the host; without a name of its own it is the one in `Host`.
#[tokio::test]
async fn s42_the_host_is_the_one_that_the_proxy_was_asked_for() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    let inner = "GET /open HTTP/1.1\r\nHost: 10.0.0.3:8080\r\nConnection: close\r\n";
    let named = format!("{inner}{HTTPS}X-Forwarded-Host: gw.example.com\r\n\r\n");
    let answer = answers(connect(&gateway, PROXY).await, named).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(app.only().header("host"), Some("gw.example.com"));
    let nameless = format!("{inner}{HTTPS}\r\n");
    let answer = answers(connect(&gateway, PROXY).await, nameless).await;
    assert_eq!(status(&answer), 404, "{answer}");
}

#[tokio::test]
async fn s42_no_other_peer_is_served_in_the_clear() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    let cookie = gateway.signed_in("ann").await;
    let sent = format!("{HTTPS}Cookie: {cookie}\r\n");
    let proxied = |client: &str, request: String| format!("PROXY TCP4 {client} 127.0.0.1 1 2\r\n{request}");
    for (from, request) in [
        (STRANGER, get("/", &sent)),
        (STRANGER, get("/open", &sent)),
        (STRANGER, get("/.auth/login", &sent)),
        (STRANGER, sign_in("ann@example.com", HTTPS)),
        // Behind a PROXY header a client speaks itself, and could say anything of its connection.
        (PROXY, proxied("203.0.113.9", get("/open", &sent))),
        (PROXY, proxied("203.0.113.9", sign_in("ann@example.com", HTTPS))),
    ] {
        let answer = answers(connect(&gateway, from).await, &request).await;
        assert_eq!(status(&answer), 403, "{request}: {answer}");
        assert!(answer.contains("listen.trusted_proxies"), "{answer}");
        assert!(!has_header(&answer, "set-cookie"), "{answer}");
    }
    // A stranger's PROXY header is no HTTP, and is believed no more than its X-Forwarded-For.
    let forged = proxied(PROXY, get("/open", &sent));
    let answer = answers(connect(&gateway, STRANGER).await, forged).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let http2 = answers(
        connect(&gateway, STRANGER).await,
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    )
    .await;
    assert!(!http2.contains("HTTP/1.1 2"), "{http2}");
    assert!(app.received().is_empty());
}

#[tokio::test]
async fn s42_no_cookie_is_set_or_taken_where_the_proxy_was_not_asked_over_https() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    let cookie = gateway.signed_in("ann").await;
    for said in [
        "",
        "X-Forwarded-Proto: http\r\n",
        "X-Forwarded-Proto: https, http\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n",
        "X-Forwarded-Proto: ws\r\n",
        "X-Forwarded-Proto: \r\n",
        "Forwarded: proto=https\r\n",
        "X-Forwarded-Ssl: on\r\nX-Forwarded-Scheme: https\r\n",
    ] {
        let with_cookie = format!("{said}Cookie: {cookie}\r\n");
        for request in [
            get("/", &with_cookie),
            get("/open", &with_cookie),
            get("/.auth/login?lang=ko", &with_cookie),
            get("/.auth/logout", &with_cookie),
            sign_in("ann@example.com", said),
            get(
                "/",
                &format!("{said}Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n"),
            ),
        ] {
            for stream in ["tcp", "unix"] {
                let answer = match stream {
                    "tcp" => answers(connect(&gateway, PROXY).await, &request).await,
                    _ => answers(connect_unix(&gateway).await, &request).await,
                };
                assert_eq!(status(&answer), 400, "{stream} {request}: {answer}");
                assert!(!has_header(&answer, "set-cookie"), "{answer}");
                assert!(!has_header(&answer, "location"), "{answer}");
                assert!(
                    answer.contains("X-Forwarded-Proto"),
                    "the reason is told: {answer}"
                );
            }
        }
    }
    assert!(app.received().is_empty());
    let me = answers(
        connect_unix(&gateway).await,
        get("/.auth/me", &format!("{HTTPS}Cookie: {cookie}\r\n")),
    )
    .await;
    assert_eq!(status(&me), 200, "the session was not touched: {me}");
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_spoken_to_proxies() {
    async fn ask(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        scheme: &str,
    ) -> (StatusCode, Bytes) {
        let (mut client, connection) =
            http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = Request::get("http://gw.example.com/open")
            .header("x-forwarded-proto", scheme)
            .body(Full::default())
            .unwrap();
        let answer = soon(client.send_request(request)).await.unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    for (scheme, expected) in [("https", 200), ("http", 400)] {
        let (status, body) = ask(connect(&gateway, PROXY).await, scheme).await;
        assert_eq!(status, expected, "{body:?}");
        let (status, body) = ask(connect_unix(&gateway).await, scheme).await;
        assert_eq!(status, expected, "{body:?}");
    }
    assert_eq!(app.received().len(), 2);
}

#[tokio::test]
async fn limits_are_those_of_connections_over_tls() {
    let app = Application::start().await;
    let gateway = gateway(&app, |config| {
        config.timeouts.header = HumanDuration(Duration::from_millis(300));
        config.timeouts.handshake = HumanDuration(Duration::from_millis(300));
        // It bounds a connection of HTTP/2 that asks for nothing.
        config.timeouts.keep_alive = HumanDuration(Duration::from_millis(300));
    })
    .await;
    let long = get("/open", &format!("{HTTPS}X-Long: {}\r\n", "x".repeat(70_000)));
    for stream in ["tcp", "unix"] {
        let answer = match stream {
            "tcp" => answers(connect(&gateway, PROXY).await, &long).await,
            _ => answers(connect_unix(&gateway).await, &long).await,
        };
        assert_eq!(status(&answer), 431, "{stream}: {answer}");
        assert!(has_header(&answer, "x-request-id"), "{answer}");
    }
    // Heads that stop half way, beginnings of HTTP/2 that do, and nothing at all.
    for half in ["GET /open HTTP/1.1\r\nHost: gw", "PR", "PRI * HT", ""] {
        answers(connect(&gateway, PROXY).await, half).await;
        answers(connect_unix(&gateway).await, half).await;
    }
    answers(connect(&gateway, STRANGER).await, "GET / HTTP/1.1\r\nHost: gw").await;
    assert!(app.received().is_empty());
}

#[tokio::test]
async fn the_socket_is_its_groups_and_goes_with_the_gateway() {
    let app = Application::start().await;
    let running = gateway(&app, |_| {}).await;
    let socket = running.file("plain.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
    let folder = running.stop().await;
    assert!(!socket.exists());
    // What a gateway that was killed left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("plain.sock")).unwrap());
    let again = Running::start_in(folder, vestibule::clock::Clock::system(), |config| {
        let socket = config.listen.admin_socket.with_file_name("plain.sock");
        config.listen.plain = vec![PlainAddress::Unix(socket)];
        config.route = vec![route("/open", "public", &app.url())];
    })
    .await;
    let answer = answers(connect_unix(&again).await, get("/open", HTTPS)).await;
    assert_eq!(status(&answer), 200, "{answer}");
}
