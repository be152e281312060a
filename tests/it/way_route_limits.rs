//! Timeouts and limits of routes and upstreams, where they differ from the general ones.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Response;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::time::sleep;
use vestibule::config::{RouteConfig, UpstreamConfig};

use crate::harness::{Application, Running, route};

/// Responds after 600 ms; below `/pausing` at once, but with a pause of 600 ms in the body.
async fn slow() -> Application {
    Application::serving(|parts, _, _| async move {
        let pause = || sleep(Duration::from_millis(600));
        if !parts.uri.path().contains("pausing") {
            pause().await;
            return Response::new(Full::new(Bytes::from("late")).boxed_unsync());
        }
        let pieces = stream::iter(["a", "b"]).then(move |piece| async move {
            if piece == "b" {
                pause().await;
            }
            Ok(Frame::data(Bytes::from(piece)))
        });
        Response::new(StreamBody::new(Box::pin(pieces)).boxed_unsync())
    })
    .await
}

fn timed(path: &str, upstream: &str, timeouts: serde_json::Value) -> RouteConfig {
    RouteConfig {
        timeouts: serde_json::from_value(timeouts).unwrap(),
        ..route(path, "public", upstream)
    }
}

#[tokio::test]
async fn a_route_waits_as_long_as_it_says_or_its_upstream_or_all() {
    let app = slow().await;
    for scheme in ["http:", "h2c:"] {
        let url = app.url().replace("http:", scheme);
        let gateway = Running::start(|config| {
            config.timeouts.response.0 = Duration::from_millis(300);
            config.timeouts.idle.0 = Duration::from_millis(300);
            let patient = UpstreamConfig {
                servers: vec![url.clone()],
                timeouts: serde_json::from_value(json!({"response": "5s", "idle": "5s"})).unwrap(),
                ..UpstreamConfig::default()
            };
            config.upstream.insert("patient".to_owned(), patient);
            config.route = vec![
                timed("/", &url, json!({})),
                timed("/report", &url, json!({"response": "5s", "idle": "5s"})),
                timed("/patient", "patient", json!({})),
                timed(
                    "/patient/quick",
                    "patient",
                    json!({"response": "200ms", "idle": "200ms"}),
                ),
            ];
        })
        .await;
        for (path, status) in [
            ("/", 504),
            ("/report", 200),
            ("/patient", 200),
            ("/patient/quick", 504),
        ] {
            let response = gateway.client().get(gateway.url(path)).send().await.unwrap();
            assert_eq!(response.status(), status, "{scheme} {path}");
        }
        for (path, is_whole) in [
            ("/pausing", false),
            ("/report/pausing", true),
            ("/patient/pausing", true),
            ("/patient/quick/pausing", false),
        ] {
            let response = gateway.client().get(gateway.url(path)).send().await.unwrap();
            assert_eq!(response.status(), 200, "{scheme} {path}");
            let body = response.text().await;
            assert_eq!(body.is_ok(), is_whole, "{scheme} {path}: {body:?}");
        }
    }
}

#[tokio::test]
async fn a_request_body_is_as_large_as_its_route_says_or_its_upstream_or_all() {
    let app = Application::start().await;
    let limited = |path: &str, upstream: &str, most: Option<&str>| RouteConfig {
        limits: serde_json::from_value(json!({ "request_body": most })).unwrap(),
        ..route(path, "public", upstream)
    };
    let gateway = Running::start(|config| {
        config.limits.request_body = Some("10B".to_owned().try_into().unwrap());
        let large = UpstreamConfig {
            servers: vec![app.url()],
            limits: serde_json::from_value(json!({"request_body": "20B"})).unwrap(),
            ..UpstreamConfig::default()
        };
        config.upstream.insert("large".to_owned(), large);
        config.route = vec![
            limited("/", &app.url(), None),
            limited("/upstream", "large", None),
            limited("/upstream/route", "large", Some("30B")),
        ];
    })
    .await;
    for client in [gateway.client(), gateway.http2_client()] {
        for (path, most) in [("/", 10), ("/upstream", 20), ("/upstream/route", 30)] {
            for (size, status) in [(0, 200), (most, 200), (most + 1, 413), (100_000, 413)] {
                for is_chunked in [false, true] {
                    let bytes = vec![b'x'; size];
                    let body = if is_chunked {
                        let pieces: Vec<_> = bytes.chunks(size / 3 + 1).map(Bytes::copy_from_slice).collect();
                        let frames = pieces
                            .into_iter()
                            .map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
                        reqwest::Body::wrap(StreamBody::new(stream::iter(frames)))
                    } else {
                        bytes.into()
                    };
                    let response = client.post(gateway.url(path)).body(body).send().await.unwrap();
                    let seen = response.status();
                    assert_eq!(seen, status, "{path}, {size} bytes, chunked: {is_chunked}");
                }
            }
        }
    }
    for request in app.received() {
        let most = match request.target.as_str() {
            "/" => 10,
            "/upstream" => 20,
            _ => 30,
        };
        assert!(request.body.len() <= most, "{request:?}");
    }
}
