//! Several servers of one upstream: how requests are shared, and which servers get any.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::sleep;
use vestibule::config::{Config, UpstreamConfig};
use vestibule::control::Command;

use crate::harness::{Application, Running, route, soon};

async fn gateway(servers: &[&Application], keys: Value) -> Running {
    let mut keys = keys;
    keys["servers"] = servers.iter().map(|server| server.url()).collect();
    let app: UpstreamConfig = serde_json::from_value(keys).unwrap();
    Running::start(|config: &mut Config| {
        "127.0.0.1:0".clone_into(&mut config.listen.ops);
        config.upstream.insert("app".to_owned(), app);
        config.route = vec![route("/", "optional", "app")];
    })
    .await
}

/// Sends so many requests one after another, and returns how many each server got.
async fn shares(
    client: &reqwest::Client,
    gateway: &Running,
    cookie: &str,
    servers: &[&Application],
    count: usize,
) -> Vec<usize> {
    let got = || -> Vec<usize> { servers.iter().map(|server| requests(server)).collect() };
    let before = got();
    for _ in 0..count {
        let request = client.get(gateway.url("/")).header("cookie", cookie);
        assert_eq!(soon(request.send()).await.unwrap().status(), 200);
    }
    let after = got().into_iter().zip(before);
    after.map(|(after, before)| after - before).collect()
}

/// How many requests of clients a server got.
fn requests(server: &Application) -> usize {
    let received = server.received();
    received.iter().filter(|request| request.target == "/").count()
}

/// Responds to `/healthz` with a status that may be changed.
async fn checked(status: &Arc<AtomicU16>) -> Application {
    let status = status.clone();
    Application::answering(move |request| {
        let status = match request.target.as_str() {
            "/healthz" => status.load(Ordering::Relaxed),
            _ => 200,
        };
        Response::builder().status(status).body(Bytes::new()).unwrap()
    })
    .await
}

/// The states of the servers, as `vestibule upstreams` shows them.
async fn states(gateway: &Running) -> Vec<String> {
    let list = gateway.command(Command::ListUpstreams).await;
    let servers = list["upstreams"][0]["servers"].as_array().unwrap();
    let states = servers.iter().map(|server| server["state"].as_str().unwrap());
    states.map(str::to_owned).collect()
}

async fn until(gateway: &Running, wanted: &[&str]) {
    for _ in 0..100 {
        if states(gateway).await == wanted {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(states(gateway).await, wanted);
}

#[tokio::test]
async fn servers_get_requests_by_their_weights() {
    let (one, other) = (Application::start().await, Application::start().await);
    let servers = [&one, &other];
    let alike = gateway(&servers, json!({})).await;
    assert_eq!(shares(&alike.client(), &alike, "", &servers, 20).await, [10, 10]);
    let weighted = gateway(&servers, json!({"weights": [3, 1]})).await;
    assert_eq!(
        shares(&weighted.client(), &weighted, "", &servers, 20).await,
        [15, 5]
    );
}

#[tokio::test]
async fn the_least_loaded_server_gets_the_next_request() {
    let slow = Application::quiet().await;
    let (one, other) = (Application::start().await, Application::start().await);
    let servers = [&slow, &one, &other];
    let gateway = gateway(&servers, json!({"balance": "least-loaded"})).await;
    let client = gateway.client();
    // The first of those alike, whose answer does not end.
    let held = soon(client.get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(held.status(), 200);
    let answered = [&one, &other];
    assert_eq!(shares(&client, &gateway, "", &answered, 20).await, [10, 10]);
    let list = gateway.command(Command::ListUpstreams).await;
    let first = &list["upstreams"][0];
    assert_eq!(first["name"], "app");
    assert_eq!(first["balance"], "least-loaded");
    assert_eq!(first["servers"][0]["active_request_count"], 1);
    drop(held);
}

#[tokio::test]
async fn a_session_keeps_its_server_and_so_does_an_address() {
    let servers = [
        Application::start().await,
        Application::start().await,
        Application::start().await,
    ];
    let servers: Vec<&Application> = servers.iter().collect();
    let gateway = gateway(&servers, json!({"balance": "hash"})).await;
    let mut used = [false; 3];
    let (mut client, mut cookie) = (gateway.client(), String::new());
    for number in 0..30_u8 {
        if number < 15 {
            client = gateway.client_at(IpAddr::from(Ipv4Addr::new(127, 0, 0, number + 1)));
        } else {
            cookie = gateway.signed_in(&format!("ann{number}")).await;
        }
        let got = shares(&client, &gateway, &cookie, &servers, 3).await;
        let mine = got.iter().position(|got| *got == 3);
        used[mine.unwrap_or_else(|| panic!("{got:?}"))] = true;
    }
    assert_eq!(used, [true; 3]);
}

#[tokio::test]
async fn a_server_that_is_down_moves_its_own_clients_alone() {
    let (sound, status) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU16::new(200)));
    let (one, other, last) = (
        checked(&sound).await,
        checked(&sound).await,
        checked(&status).await,
    );
    let servers = [&one, &other, &last];
    let keys = json!({"balance": "hash", "health": {"path": "/healthz", "interval": "100ms"}});
    let gateway = gateway(&servers, keys).await;
    let mut owners = Vec::new();
    for number in 1..=12_u8 {
        let client = gateway.client_at(IpAddr::from(Ipv4Addr::new(127, 0, 0, number)));
        let got = shares(&client, &gateway, "", &servers, 2).await;
        owners.push((client, got));
    }
    status.store(500, Ordering::Relaxed);
    until(&gateway, &["up", "up", "down"]).await;
    let mut moved = 0;
    for (client, before) in &owners {
        let got = shares(client, &gateway, "", &servers, 2).await;
        assert!(got[..2].contains(&2), "{got:?}");
        if before[2] == 0 {
            assert_eq!(&got, before);
        } else {
            moved += 1;
        }
    }
    assert!((1..12).contains(&moved), "{moved}");
    status.store(200, Ordering::Relaxed);
    until(&gateway, &["up", "up", "up"]).await;
    for (client, before) in &owners {
        assert_eq!(&shares(client, &gateway, "", &servers, 2).await, before);
    }
}

#[tokio::test]
async fn a_server_whose_check_fails_gets_no_requests_until_it_passes() {
    let status = Arc::new(AtomicU16::new(204));
    let (one, other) = (
        checked(&status).await,
        checked(&Arc::new(AtomicU16::new(204))).await,
    );
    let servers = [&one, &other];
    let keys = json!({"health": {
        "path": "/healthz", "status": [204], "interval": "100ms", "rise": 2, "fall": 3, "slow_start": "1s",
    }});
    let gateway = gateway(&servers, keys).await;
    let client = gateway.client();
    assert_eq!(shares(&client, &gateway, "", &servers, 10).await, [5, 5]);
    status.store(200, Ordering::Relaxed);
    until(&gateway, &["down", "up"]).await;
    assert_eq!(shares(&client, &gateway, "", &servers, 10).await, [0, 10]);
    let address = gateway.ops.unwrap();
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for (server, is_up) in [(&one, 0), (&other, 1)] {
        let url = server.url();
        let line = format!("vestibule_upstream_server_up{{upstream=\"app\",server=\"{url}\"}} {is_up}");
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
    status.store(204, Ordering::Relaxed);
    until(&gateway, &["starting", "up"]).await;
    let begun = shares(&client, &gateway, "", &servers, 40).await;
    until(&gateway, &["up", "up"]).await;
    let whole = shares(&client, &gateway, "", &servers, 40).await;
    assert!(begun[0] < 20, "{begun:?}");
    assert_eq!(whole, [20, 20]);
}

/// Where all checks fail, an application that would answer is asked nevertheless.
#[tokio::test]
async fn where_no_server_is_up_all_are_asked() {
    let status = Arc::new(AtomicU16::new(503));
    let (one, other) = (checked(&status).await, checked(&status).await);
    let servers = [&one, &other];
    let keys = json!({"health": {"path": "/healthz", "interval": "100ms"}});
    let gateway = gateway(&servers, keys).await;
    until(&gateway, &["down", "down"]).await;
    let got = shares(&gateway.client(), &gateway, "", &servers, 10).await;
    assert_eq!(got.iter().sum::<usize>(), 10);
}

#[tokio::test]
async fn a_check_carries_nothing_of_a_client() {
    let app = Application::start().await;
    let keys = json!({"health": {"path": "/healthz?deep=1", "interval": "100ms"}});
    let gateway = gateway(&[&app], keys).await;
    until(&gateway, &["up"]).await;
    while app.received().is_empty() {
        sleep(Duration::from_millis(20)).await;
    }
    let check = app.received().remove(0);
    assert_eq!(
        (check.method.as_str(), check.target.as_str()),
        ("GET", "/healthz?deep=1")
    );
    let host = app.address.to_string();
    assert_eq!(check.headers, [("host".to_owned(), host)]);
}

/// A server hangs up on whoever keeps it waiting, and is sound.
#[tokio::test]
async fn a_client_that_keeps_back_its_body_has_no_server_left_out() {
    let mut servers = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        servers.push(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 1024]).await;
                    sleep(Duration::from_millis(200)).await;
                });
            }
        });
    }
    let app: UpstreamConfig = serde_json::from_value(json!({ "servers": servers })).unwrap();
    let gateway = Running::start(|config: &mut Config| {
        config.upstream.insert("app".to_owned(), app);
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    for (length, left_out) in [(1000, 0), (1000, 0), (3, 1)] {
        let mut raw = gateway.raw().await;
        let authority = gateway.authority();
        raw.send(format!(
            "PUT / HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {length}\r\n\r\nabc"
        ))
        .await;
        assert_eq!(raw.answer().await.0, 502, "{length}");
        let states = states(&gateway).await;
        let suspects = states.iter().filter(|state| *state == "suspect").count();
        assert_eq!(suspects, left_out, "{length}: {states:?}");
    }
}
