//! Rates of requests to routes.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Response};
use tempfile::TempDir;
use vestibule::clock::{Clock, ManualClock};
use vestibule::config::{Config, Replay, RequestRate, RouteConfig};

use crate::harness::signer::{Signer, post, with};
use crate::harness::{Application, Running, route, soon};

/// When all tests here begin.
const START: &str = "2026-09-01T03:04:05Z";

fn rate(text: &str) -> RequestRate {
    RequestRate::try_from(text.to_owned()).unwrap()
}

async fn gateway(say: impl FnOnce(&mut Config)) -> (Running, ManualClock) {
    let (clock, hand) = Clock::manual(START.parse().unwrap());
    let gateway = Running::start_in(TempDir::new().unwrap(), clock, say).await;
    (gateway, hand)
}

async fn get(client: &Client, gateway: &Running, path: &str, cookie: &str) -> Response {
    let request = client.get(gateway.url(path)).header("cookie", cookie);
    soon(request.send()).await.unwrap()
}

/// How many of ten requests one after another pass.
async fn passed(client: &Client, gateway: &Running, path: &str, cookie: &str) -> usize {
    let mut passed = 0;
    for _ in 0..10 {
        let response = get(client, gateway, path, cookie).await;
        match response.status().as_u16() {
            200 => passed += 1,
            status => assert_eq!(status, 429, "{path}"),
        }
    }
    passed
}

#[tokio::test]
async fn so_many_requests_of_an_address_pass_and_then_one_each_interval() {
    let app = Application::start().await;
    let (gateway, hand) = gateway(|config| {
        config.limits.address_rate = Some(rate("5/m"));
        config.route = vec![
            route("/", "public", &app.url()),
            route("/closed", "authenticated", &app.url()),
        ];
    })
    .await;
    let client = gateway.client();
    // Refused requests count too.
    assert_eq!(get(&client, &gateway, "/closed", "").await.status(), 401);
    assert_eq!(passed(&client, &gateway, "/", "").await, 4);
    let refused = get(&client, &gateway, "/", "").await;
    let header = |name: &str| refused.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("retry-after"), "12");
    assert_eq!(header("ratelimit-policy"), "\"address\";q=5;w=60");
    assert_eq!(header("ratelimit"), "\"address\";r=0;t=12");
    let problem: serde_json::Value = refused.json().await.unwrap();
    let problem_type = problem["type"].as_str().unwrap();
    assert!(problem_type.ends_with("/rate-limited"), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("too many requests from your network"),
        "{problem}"
    );
    assert_eq!(app.received().len(), 4);
    // The gateway's own pages have limits of their own.
    assert_eq!(get(&client, &gateway, "/.auth/login", "").await.status(), 200);
    let other = gateway.client_at(IpAddr::from(Ipv4Addr::new(127, 0, 0, 9)));
    assert_eq!(passed(&other, &gateway, "/", "").await, 5);
    hand.advance(Duration::from_secs(24));
    assert_eq!(passed(&client, &gateway, "/", "").await, 2);
    hand.advance(Duration::from_mins(1));
    assert_eq!(passed(&client, &gateway, "/", "").await, 5);
}

#[tokio::test]
async fn a_route_with_a_rate_of_its_own_is_counted_apart() {
    let app = Application::start().await;
    let own = |path: &str, text: &str| {
        let mut own = route(path, "public", &app.url());
        own.limits.address_rate = Some(rate(text));
        own
    };
    let (gateway, _hand) = gateway(|config| {
        config.limits.address_rate = Some(rate("3/h"));
        config.route = vec![
            route("/", "public", &app.url()),
            route("/same", "public", &app.url()),
            own("/tight", "1/s"),
            own("/wide", "9/h"),
        ];
    })
    .await;
    let client = gateway.client();
    for (path, count) in [("/", 3), ("/same", 0), ("/tight", 1), ("/wide", 9)] {
        assert_eq!(passed(&client, &gateway, path, "").await, count, "{path}");
    }
}

#[tokio::test]
async fn the_requests_of_an_account_are_counted_in_all_its_sessions_and_keys() {
    let app = Application::start().await;
    let (gateway, hand) = gateway(|config| {
        config.login.iam = true;
        config.limits.user_rate = Some(rate("6/m"));
        config.route = vec![RouteConfig {
            replay: Replay::All,
            ..route("/", "optional", &app.url())
        }];
    })
    .await;
    let (client, http2) = (gateway.client(), gateway.http2_client());
    let ann = gateway.signed_in("ann").await;
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let mut key = gateway.signer("ann@example.com", at(START)).await;
    let signed = async |signer: &Signer| {
        let write = post("/", "");
        let request = with(client.post(gateway.url("/")), &signer.aws_declared(&write));
        soon(request.send()).await.unwrap()
    };
    assert_eq!(signed(&key).await.status(), 200);
    for client in [&client, &http2] {
        assert_eq!(get(client, &gateway, "/", &ann).await.status(), 200);
    }
    assert_eq!(passed(&client, &gateway, "/", &ann).await, 3);
    let refused = get(&http2, &gateway, "/", &ann).await;
    assert_eq!(refused.headers()["ratelimit"], "\"user\";r=0;t=10");
    // What is refused spends no signature.
    key.at = at("2026-09-01T03:04:06Z");
    assert_eq!(signed(&key).await.status(), 429);
    hand.advance(Duration::from_secs(10));
    assert_eq!(signed(&key).await.status(), 200);
    hand.advance(Duration::from_secs(10));
    assert_eq!(signed(&key).await.status(), 401, "replayed");
    // Others, and nobody.
    let bob = gateway.signed_in("bob").await;
    assert_eq!(passed(&client, &gateway, "/", &bob).await, 6);
    assert_eq!(passed(&client, &gateway, "/", "").await, 10);
}
