//! Measurements in real time, which need an otherwise idle machine: `tests/run --full`.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use vestibule::clock::Clock;
use vestibule::services::AccountChange;

use crate::harness::signer::{Signer, get, with};
use crate::harness::{Application, PASSWORD, Running, route, soon};

/// The lowest cost that a configuration may have; the default takes four times as long.
const COST: u32 = 10;

async fn gateway(app: &Application, approval: bool) -> Running {
    Running::start(|config| {
        config.signup.approval = approval;
        config.route = vec![route("/", "authenticated", &app.url())];
        config.password.bcrypt_cost = COST;
        // No lockouts in this test.
        config.lockout.max_failures = 1_000_000;
        config.lockout.address_failures = 1_000_000;
    })
    .await
}

/// Tries to sign in; returns the status and the response time.
async fn attempt(client: &reqwest::Client, url: &str, login: &str, password: &str) -> (StatusCode, Duration) {
    let clock = Clock::system();
    let began = clock.monotonic();
    let form = json!({ "login": login, "password": password });
    let request = client.post(url).header("accept", "application/json").json(&form);
    let answer = request.send().await.unwrap();
    (answer.status(), clock.monotonic().saturating_sub(began))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measured in real time: tests/run --full"]
async fn s5_every_wrong_attempt_takes_the_same_time() {
    let app = Application::start().await;
    let gateway = gateway(&app, true).await;
    for name in ["known", "disabled", "waiting"] {
        let email = format!("{name}@example.com");
        let signed_up = gateway.sign_up(&email, name, PASSWORD);
        assert_eq!(signed_up.await.status, 201, "{name}");
    }
    gateway.change_user("known", AccountChange::Approve).await;
    gateway.change_user("disabled", AccountChange::Approve).await;
    gateway.change_user("disabled", AccountChange::Disable).await;
    let (client, url) = (gateway.client(), gateway.url("/.auth/login"));
    let names = ["known", "unknown", "disabled", "waiting"];
    let mut times: [Vec<Duration>; 4] = Default::default();
    // In turn, so that other load affects all alike.
    for _ in 0..61 {
        for (name, times) in names.iter().zip(&mut times) {
            let login = format!("{name}@example.com");
            let (status, took) = attempt(&client, &url, &login, "Wr0ng-pass-phrase").await;
            assert_eq!(status, 401, "{name}");
            times.push(took);
        }
    }
    let medians = times.map(|mut times| percentile(&mut times, 50));
    println!("medians: {names:?} {medians:?}");
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(
        most.as_secs_f64() <= least.as_secs_f64() * 1.15,
        "{names:?}: {medians:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measured in real time: tests/run --full"]
async fn s6_requests_are_quick_while_two_hundred_sign_in() {
    let app = Application::start().await;
    let gateway = gateway(&app, false).await;
    let cookie = gateway.signed_in("ann").await;
    let (client, url) = (gateway.client(), gateway.url("/.auth/login"));
    let mut logins = JoinSet::new();
    for _ in 0..200 {
        let (client, url) = (client.clone(), url.clone());
        logins.spawn(async move { attempt(&client, &url, "ann@example.com", PASSWORD).await.0 });
    }
    let clock = Clock::system();
    let mut times = Vec::new();
    let mut statuses = Vec::new();
    while !logins.is_empty() {
        let began = clock.monotonic();
        let request = client.get(gateway.url("/")).header("cookie", &cookie);
        let answer = soon(request.send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(soon(answer.text()).await.unwrap(), "hello");
        times.push(clock.monotonic().saturating_sub(began));
        statuses.extend(std::iter::from_fn(|| logins.try_join_next()).map(Result::unwrap));
    }
    let p99 = percentile(&mut times, 99);
    println!("{} requests beside 200 logins: p99 {p99:?}", times.len());
    assert!(times.len() > 200, "{}", times.len());
    assert!(p99 < Duration::from_millis(250), "{p99:?}");
    assert_eq!(statuses.len(), 200);
    assert!(statuses.iter().all(|&status| status == 200), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measured in real time: tests/run --full"]
async fn s37_a_signature_takes_the_same_time_whatever_the_key_is() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.login.iam = true;
        config.route = vec![route("/", "authenticated", &app.url())];
    })
    .await;
    for name in ["ann", "disabled"] {
        gateway.signed_in(name).await;
    }
    let now = Clock::system().now();
    let ann = gateway.signer("ann@example.com", now).await;
    let disabled = gateway.signer("disabled@example.com", now).await;
    gateway
        .change_user("disabled@example.com", AccountChange::Disable)
        .await;
    let of = |access_key: &str, secret_key: String| Signer {
        access_key: access_key.to_owned(),
        secret_key,
        ..ann.clone()
    };
    let request = get("/");
    let signed = [
        ("wrong", of(&ann.access_key, "x".repeat(40)).aws(&request)),
        ("empty", of(&ann.access_key, String::new()).aws(&request)),
        (
            "unknown",
            of("AKIAIOSFODNN7EXAMPLE", ann.secret_key.clone()).aws(&request),
        ),
        ("disabled", disabled.aws(&request)),
    ];
    let (client, url, clock) = (gateway.client(), gateway.url("/"), Clock::system());
    let mut times: [Vec<Duration>; 4] = Default::default();
    // In turn, so that other load affects all alike.
    for _ in 0..301 {
        for ((name, headers), times) in signed.iter().zip(&mut times) {
            let began = clock.monotonic();
            let answer = with(client.get(&url), headers).send().await.unwrap();
            times.push(clock.monotonic().saturating_sub(began));
            assert_eq!(answer.status(), 401, "{name}");
        }
    }
    let medians = times.map(|mut times| percentile(&mut times, 50));
    println!("medians: {medians:?}");
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(most.as_secs_f64() <= least.as_secs_f64() * 1.15, "{medians:?}");
}
