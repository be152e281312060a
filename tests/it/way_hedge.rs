//! Requests that wait at a hanging server.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use vestibule::config::HumanDuration;

use crate::harness::{Application, Running, head_of, route, soon, upstream};

/// Starts a gateway before two servers, of which the first treats requests as told, and responds to probes if
/// `answers_probes`. Returns all three.
async fn beside_a_slow_server(
    takes: Option<Duration>,
    answers_probes: bool,
) -> (Running, Application, Application) {
    let first = Application::serving(move |parts, _, received| async move {
        received.lock().unwrap().push(head_of(&parts));
        match takes {
            _ if parts.method == "OPTIONS" && answers_probes => {}
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
        Response::new(Full::new(Bytes::from("first")).boxed_unsync())
    })
    .await;
    let second = Application::start().await;
    let gateway = Running::start(|config| {
        config.timeouts.response = HumanDuration(Duration::from_secs(2));
        let servers = upstream(&[&first.url(), &second.url()]);
        config.upstream.insert("app".to_owned(), servers);
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    (gateway, first, second)
}

#[tokio::test]
async fn what_waits_at_a_server_that_stands_still_goes_elsewhere_in_time() {
    let (gateway, _first, second) = beside_a_slow_server(None, false).await;
    let client = gateway.client();
    // Round robin: one of two requests meets it.
    for method in [Method::GET, Method::HEAD, Method::GET, Method::GET] {
        let began = tokio::time::Instant::now();
        let answer = soon(client.request(method.clone(), gateway.url("/")).send()).await;
        assert_eq!(answer.unwrap().status(), 200, "{method}");
        assert!(
            began.elapsed() < Duration::from_millis(1900),
            "{method}: {:?}",
            began.elapsed()
        );
    }
    assert_eq!(second.received().len(), 4);

    // What is not repeatable is not repeated.
    let (gateway, _first, second) = beside_a_slow_server(None, false).await;
    let client = gateway.client();
    let mut timed_out = 0;
    for _ in 0..2 {
        let answer = soon(client.post(gateway.url("/")).body("x").send())
            .await
            .unwrap();
        timed_out += usize::from(answer.status() == 504);
    }
    assert_eq!((timed_out, second.received().len()), (1, 1));
}

#[tokio::test]
async fn of_many_that_wait_each_goes_elsewhere_once_and_one_sends_a_probe() {
    let (gateway, first, second) = beside_a_slow_server(None, false).await;
    let client = gateway.client();
    let asked = (0..40).map(|_| client.get(gateway.url("/")).send());
    for answer in soon(join_all(asked)).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(second.received().len(), 40);
    let (probes, asked): (Vec<_>, Vec<_>) = first
        .received()
        .into_iter()
        .partition(|asked| asked.method == "OPTIONS");
    assert_eq!(asked.len(), 20);
    // Another one checks whether it is back.
    assert!((1..=3).contains(&probes.len()), "{} probes", probes.len());
}

#[tokio::test]
async fn what_waits_at_a_server_that_is_only_slow_stays_there() {
    let (gateway, first, second) = beside_a_slow_server(Some(Duration::from_millis(1200)), true).await;
    let client = gateway.client();
    for _ in 0..4 {
        let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let asked = |app: &Application| {
        app.received()
            .iter()
            .filter(|asked| asked.method == "GET")
            .count()
    };
    assert_eq!((asked(&first), asked(&second)), (2, 2));
}
