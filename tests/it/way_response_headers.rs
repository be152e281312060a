//! Headers that routes set in, and remove from, responses of applications.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Response;
use vestibule::config::RouteConfig;

use crate::harness::{Application, Running, route};

fn changes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn a_route_sets_and_removes_headers_of_its_applications_responses() {
    let app = Application::answering(|_| {
        let response = Response::builder()
            .header("X-Frame-Options", "SAMEORIGIN")
            .header("X-Frame-Options", "ALLOWALL")
            .header("Set-Cookie", "a=b")
            .header("Set-Cookie", "c=d")
            .header("X-Other", "kept");
        response.body(Bytes::new()).unwrap()
    })
    .await;
    let gateway = Running::start(|config| {
        config.route = vec![
            RouteConfig {
                response_headers: changes(&[
                    ("X-Frame-Options", "DENY"),
                    ("content-type", "text/plain; charset=utf-8"),
                    ("Cache-Control", "no-store"),
                    ("Set-Cookie", ""),
                    ("X-Absent", ""),
                ]),
                ..route("/changed", "public", &app.url())
            },
            RouteConfig {
                response_headers: changes(&[("X-Frame-Options", "DENY")]),
                ..route("/shut", "authenticated", &app.url())
            },
            route("/", "public", &app.url()),
        ];
    })
    .await;
    let get = async |path: &str| gateway.client().get(gateway.url(path)).send().await.unwrap();
    let changed = get("/changed").await;
    let all = |name: &str| -> Vec<&str> {
        let values = changed.headers().get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    };
    assert_eq!(all("x-frame-options"), ["DENY"]);
    assert_eq!(all("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(all("cache-control"), ["no-store"]);
    assert_eq!(all("set-cookie"), Vec::<&str>::new());
    assert_eq!(all("x-other"), ["kept"]);
    let other = get("/other").await;
    assert_eq!(other.headers().get_all("x-frame-options").iter().count(), 2);
    assert_eq!(other.headers().get_all("set-cookie").iter().count(), 2);
    // A refusal is the gateway's own, with the headers of its pages.
    let refused = get("/shut").await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().get("x-frame-options").is_none());
}
