//! Configuration keys with a visible effect that no other test covers: each is set to another value than its
//! default, and the difference observed.

mod shown;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use vestibule::clock::{Clock, ManualClock};
use vestibule::config::{Config, HumanDuration, PasswordPolicyName, Size};
use vestibule::control::{Command, SocketClient};

use crate::harness::signer::{post, with};
use crate::harness::{Application, PASSWORD, Program, Running, Site, route, soon, until};

const MINUTE: Duration = Duration::from_mins(1);

/// A gateway with its own clock, and one route for signed-in users.
async fn gateway_in_time(app: &Application, say: impl FnOnce(&mut Config)) -> (Running, ManualClock) {
    let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let (clock, hand) = Clock::manual(noon);
    let gateway = Running::start_in(TempDir::new().unwrap(), clock, |config| {
        config.route = vec![route("/", "authenticated", &app.url())];
        say(config);
    })
    .await;
    (gateway, hand)
}

async fn status(gateway: &Running, cookie: &str) -> u16 {
    let request = gateway.client().get(gateway.url("/")).header("cookie", cookie);
    soon(request.send()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn limits_request_head() {
    let app = Application::start().await;
    for (limit, expected) in [(None, 200), (Some(Size(16 << 10)), 431)] {
        let gateway = Running::start(|config| {
            config.route = vec![route("/", "public", &app.url())];
            config.limits.request_head = limit.unwrap_or(config.limits.request_head);
        })
        .await;
        for client in [gateway.client(), gateway.http2_client()] {
            let request = client.get(gateway.url("/")).header("x", "x".repeat(20 << 10));
            let answer = soon(request.send()).await.unwrap();
            assert_eq!(answer.status(), expected, "{limit:?} {:?}", answer.version());
        }
    }
}

#[tokio::test]
async fn limits_signed_body_buffer() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.login.iam = true;
        config.limits.signed_body_buffer = Size(1000);
        config.route = vec![route("/", "authenticated", &app.url())];
    })
    .await;
    gateway.signed_in("ann").await;
    let key = gateway.signer("ann@example.com", Clock::system().now()).await;
    for (length, status) in [(1000, 200), (1001, 413)] {
        let body = "x".repeat(length);
        let request = gateway.client().post(gateway.url("/"));
        let request = with(request, &key.aws(&post("/", &body))).body(body);
        assert_eq!(soon(request.send()).await.unwrap().status(), status, "{length}");
    }
}

/// A server that accepts connections and sends nothing, like one behind a firewall that drops packets.
#[tokio::test]
async fn timeouts_connect() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &url)];
        config.timeouts.connect = HumanDuration(Duration::from_millis(100));
    })
    .await;
    let client = gateway.client();
    soon(client.get(gateway.url("/.auth/login")).send())
        .await
        .unwrap();
    // The default is five seconds.
    let asked = timeout(Duration::from_secs(4), client.get(gateway.url("/")).send());
    let answer = asked.await.expect("no connection, in time").unwrap();
    assert_eq!(answer.status(), 502);
}

#[tokio::test]
async fn timeouts_keep_alive_of_http2() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &app.url())];
        config.timeouts.keep_alive = HumanDuration(Duration::from_millis(200));
    })
    .await;
    let (mut client, ended) = gateway.http2_connection().await;
    let request = http::Request::get(gateway.url("/"));
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let answer = soon(client.send_request(request)).await.unwrap();
    assert_eq!(soon(answer.collect()).await.unwrap().to_bytes(), "hello");
    soon(ended).await.unwrap();
}

#[tokio::test]
async fn session_cookie_name() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.session.cookie_name = "door".to_owned();
        config.route = vec![route("/", "authenticated", &app.url())];
    })
    .await;
    gateway.sign_up("ann@example.com", "ann", PASSWORD).await;
    let credentials = json!({ "login": "ann@example.com", "password": PASSWORD });
    let cookie = gateway
        .visitor()
        .post_json("/.auth/login", credentials)
        .await
        .cookie();
    let token = cookie.strip_prefix("__Host-door=").unwrap();
    assert_eq!(status(&gateway, &cookie).await, 200);
    assert_eq!(status(&gateway, &format!("__Host-vestibule={token}")).await, 401);
}

#[tokio::test]
async fn session_cookie_domain() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.session.cookie_domain = "example.com".to_owned();
        let mut route = route("/", "authenticated", &app.url());
        route.host = Some("app.example.com".to_owned());
        config.route = vec![route];
    })
    .await;
    let url = gateway.url_of("app.example.com", "/a?b=c");
    let browser = gateway.client().get(&url).header("accept", "text/html");
    let answer = soon(browser.send()).await.unwrap();
    // To the host for signing in, and back.
    let back: String = form_urlencoded::byte_serialize(url.as_bytes()).collect();
    let login = gateway.url(&format!("/.auth/login?rd={back}"));
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], login);

    gateway.sign_up("ann@example.com", "ann", PASSWORD).await;
    let credentials = json!({ "login": "ann@example.com", "password": PASSWORD, "rd": url });
    let told = gateway.visitor().post_json("/.auth/login", credentials).await;
    assert_eq!(told.document["rd"], url);
    let set = told.headers["set-cookie"].to_str().unwrap();
    assert!(
        set.starts_with("__Secure-vestibule=") && set.contains("; Domain=example.com;"),
        "{set}"
    );
    let request = gateway.client().get(&url).header("cookie", told.cookie());
    assert_eq!(soon(request.send()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn session_idle_and_absolute() {
    let app = Application::start().await;
    let (gateway, hand) = gateway_in_time(&app, |config| {
        config.session.idle = HumanDuration(10 * MINUTE);
        config.session.absolute = HumanDuration(60 * MINUTE);
    })
    .await;
    let used = gateway.signed_in("ann").await;
    let unused = gateway.sign_in("ann@example.com").await;
    for _ in 0..6 {
        hand.advance(9 * MINUTE);
        assert_eq!(status(&gateway, &used).await, 200);
    }
    assert_eq!(status(&gateway, &unused).await, 401, "not used for ten minutes");
    hand.advance(7 * MINUTE);
    assert_eq!(status(&gateway, &used).await, 401, "an hour after its sign-in");
}

#[tokio::test]
async fn lockout_max_failures_and_duration() {
    let app = Application::start().await;
    let (gateway, hand) = gateway_in_time(&app, |config| {
        config.lockout.max_failures = 1;
        config.lockout.duration = HumanDuration(3 * MINUTE);
    })
    .await;
    gateway.signed_in("ann").await;
    for _ in 0..2 {
        assert_eq!(gateway.try_sign_in("ann@example.com", "wrong").await.0, 401);
    }
    let credentials = json!({ "login": "ann@example.com", "password": PASSWORD });
    let told = gateway.visitor().post_json("/.auth/login", credentials).await;
    assert_eq!((told.status, told.problem()), (429, "locked"));
    assert_eq!(told.headers["retry-after"], "180");
    hand.advance(Duration::from_secs(179));
    assert_eq!(gateway.try_sign_in("ann@example.com", PASSWORD).await.0, 429);
    hand.advance(Duration::from_secs(1));
    assert_eq!(gateway.try_sign_in("ann@example.com", PASSWORD).await.0, 200);
}

#[tokio::test]
async fn lockout_address_failures_and_address_window() {
    let app = Application::start().await;
    let (gateway, hand) = gateway_in_time(&app, |config| {
        config.lockout.address_failures = 3;
        config.lockout.address_window = HumanDuration(60 * MINUTE);
    })
    .await;
    gateway.signed_in("ann").await;
    for n in 0..3 {
        assert_eq!(
            gateway
                .try_sign_in(&format!("nobody{n}@example.com"), "x")
                .await
                .0,
            401
        );
    }
    let credentials = json!({ "login": "ann@example.com", "password": PASSWORD });
    let told = gateway.visitor().post_json("/.auth/login", credentials).await;
    assert_eq!((told.status, told.problem()), (429, "rate-limited"));
    assert_eq!(told.headers["retry-after"], "3600");
    hand.advance(59 * MINUTE);
    assert_eq!(gateway.try_sign_in("ann@example.com", PASSWORD).await.0, 429);
    hand.advance(MINUTE);
    assert_eq!(gateway.try_sign_in("ann@example.com", PASSWORD).await.0, 200);
}

#[tokio::test]
async fn password_policy() {
    let gateway = Running::start(|config| {
        config.password.policy = PasswordPolicyName::Nist;
    })
    .await;
    let refused = gateway.sign_up("ann@example.com", "ann", "sh0rt_but_odd").await;
    assert_eq!((refused.status, refused.problem()), (422, "invalid-input"));
    assert!(
        refused.document["errors"]["password"]
            .as_str()
            .unwrap()
            .contains("15")
    );
    let taken = gateway
        .sign_up("ann@example.com", "ann", "long and all in lower case")
        .await;
    assert_eq!(taken.status, 201, "{taken:?}");
}

#[tokio::test]
async fn password_bcrypt_cost() {
    let gateway = Running::start(|config| {
        config.password.bcrypt_cost = 5;
    })
    .await;
    gateway.signed_in("ann").await;
    let folder = gateway.stop().await;
    let store = ::sled::open(folder.path().join("store")).unwrap();
    let hashes: Vec<String> = store
        .iter()
        .map(|row| String::from_utf8_lossy(&row.unwrap().1).into_owned())
        .filter(|value| value.contains("$2b$"))
        .collect();
    assert!(hashes.len() == 1 && hashes[0].contains("$2b$05$"), "{hashes:?}");
}

#[tokio::test]
async fn log_access() {
    let app = Application::start().await;
    for wanted in [true, false] {
        let gateway = Running::start(|config| {
            config.route = vec![route("/", "public", &app.url())];
            config.log.access = wanted;
        })
        .await;
        assert_eq!(status(&gateway, "").await, 200);
        let folder = gateway.stop().await;
        let log = std::fs::read_to_string(folder.path().join("access.jsonl")).unwrap_or_default();
        assert_eq!(log.lines().count(), usize::from(wanted), "{log}");
    }
}

#[tokio::test]
async fn log_level() {
    for (level, tells) in [("info", false), ("info,vestibule::listener=debug", true)] {
        let site = Site::new(&format!(
            "public_url = \"https://localhost:0\"\n[listen]\nhttps = [\"127.0.0.1:0\"]\nops = \"\"\n[log]\nlevel = \"{level}\""
        ));
        let (program, _) = Program::start(&site);
        // A client that leaves before the handshake is only logged at debug level.
        drop(TcpStream::connect(program.address).await.unwrap());
        if tells {
            until(|| program.said().contains("no handshake")).await;
        }
        let (status, said) = tokio::task::spawn_blocking(|| program.stop()).await.unwrap();
        assert_eq!((status, said.contains("no handshake")), (0, tells), "{said}");
    }
}

#[tokio::test]
async fn listen_admin_socket() {
    let gateway = Running::start(|config| {
        let folder = config.listen.admin_socket.parent().unwrap().to_owned();
        config.listen.admin_socket = folder.join("elsewhere.sock");
    })
    .await;
    assert!(!gateway.file("admin.sock").exists());
    let client = SocketClient::new(&gateway.file("elsewhere.sock"));
    let told = soon(client.send_with_reason(&Command::ListInvitations, None)).await;
    assert_eq!(
        told.unwrap().unwrap(),
        json!({ "invitations": [], "unreadable": [], "next": null })
    );
}
