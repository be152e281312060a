//! S36: single-use signatures.

use jiff::SignedDuration;
use tempfile::TempDir;
use vestibule::clock::Clock;
use vestibule::config::Replay;

use super::{Front, now, settings, slug};
use crate::harness::signer::{Headers, Signer, get, post, with};
use crate::harness::{Application, Running, route, soon};

async fn front(replay: Replay) -> Front {
    Front::before(Application::start().await, |route| route.replay = replay).await
}

#[tokio::test]
async fn s36_a_signature_of_a_write_serves_once() {
    let front = front(Replay::Writes).await;
    let (read, write) = (get("/"), post("/", "x"));
    let key = &front.key;
    for (headers, write_again) in [
        (key.aws_declared(&write), 401),
        (key.backend_ai(&write), 401),
        (key.message(&write, Some("x")), 401),
        // `Basic` has no signature.
        (key.basic(), 200),
    ] {
        assert_eq!(
            front.send_with(&write, &headers, "x").await.status(),
            200,
            "{headers:?}"
        );
        let again = front.send_with(&write, &headers, "x").await;
        assert_eq!(again.status(), write_again, "{headers:?}");
        if write_again == 401 {
            assert_eq!(slug(again).await.0, "replayed");
        }
    }
    for _ in 0..2 {
        assert_eq!(front.send(&read, &key.aws(&read)).await.status(), 200);
    }
    // Signed again it is another signature.
    let later = Signer {
        at: now() + SignedDuration::from_secs(1),
        ..key.clone()
    };
    let answer = front.send_with(&write, &later.aws_declared(&write), "x").await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn s36_of_many_at_one_moment_one_serves() {
    let front = front(Replay::All).await;
    let request = get("/");
    let headers = front.key.aws(&request);
    let answers = (0..20).map(|_| front.send(&request, &headers));
    let answers = futures_util::future::join_all(answers).await;
    let served = answers.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!((served, front.app.received().len()), (1, 1));
}

#[tokio::test]
async fn s36_it_is_spent_only_if_the_application_was_reached() {
    let (clock, _) = Clock::manual(now());
    // A port on which no server listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut all = route("/", "authenticated", &format!("http://{port}"));
    all.replay = Replay::All;
    let gateway = Running::start_in(TempDir::new().unwrap(), clock, settings(vec![all])).await;
    gateway.signed_in("ann").await;
    let key = gateway.signer("ann@example.com", now()).await;
    for _ in 0..3 {
        let request = with(gateway.client().get(gateway.url("/")), &key.aws(&get("/")));
        let answer = soon(request.send()).await.unwrap();
        assert_eq!(slug(answer).await.0, "upstream-unreachable");
    }
}

#[tokio::test]
async fn s36_a_body_that_is_too_large_spends_nothing() {
    let front = Front::before(Application::start().await, |route| {
        route.replay = Replay::All;
        route.limits.request_body = Some("10B".to_owned().try_into().unwrap());
    })
    .await;
    let body = "more than ten bytes";
    let write = post("/", body);
    for headers in [
        front.key.aws(&write),
        front.key.aws_declared(&write),
        front.key.backend_ai(&write),
    ] {
        for _ in 0..2 {
            let answer = front.send_with(&write, &headers, body).await;
            assert_eq!(slug(answer).await.0, "too-large", "{headers:?}");
        }
    }
    assert_eq!(front.app.received().len(), 0);
}

#[tokio::test]
async fn s36_a_restart_forgets_none() {
    let front = front(Replay::Writes).await;
    let write = post("/", "x");
    let headers = front.key.aws_declared(&write);
    assert_eq!(front.send_with(&write, &headers, "x").await.status(), 200);
    let folder = front.gateway.stop().await;
    let mut all = route("/", "authenticated", &front.app.url());
    all.replay = Replay::Writes;
    let (clock, _) = Clock::manual(now());
    let gateway = Running::start_in(folder, clock, settings(vec![all])).await;
    let send = async |headers: &Headers, authority: &str| {
        let request = gateway.client().post(gateway.url("/")).body("x");
        let request = with(request.header("host", authority), headers);
        soon(request.send()).await.unwrap()
    };
    // The port differs, the signed host does not.
    let answer = send(&headers, &front.key.authority).await;
    assert_eq!(slug(answer).await.0, "replayed");
}
