//! Warnings that clients can cause at any rate.

use reqwest::StatusCode;

use crate::harness::{Program, Site, soon};

#[tokio::test]
async fn a_flood_of_failing_requests_writes_twenty_warnings_of_each_kind() {
    let site = Site::new(
        r#"
        public_url = "https://localhost:0"
        [listen]
        https = ["127.0.0.1:0"]
        ops = ""
        [[route]]
        path = "/"
        allow = "public"
        upstream = "http://127.0.0.1:1"
        "#,
    );
    let (gateway, _) = Program::start(&site);
    let client = gateway.client(&site);
    for _ in 0..60 {
        let failed = soon(client.get(gateway.url("/")).send()).await.unwrap();
        assert_eq!(failed.status(), StatusCode::BAD_GATEWAY);
    }
    let (status, said) = gateway.stop();
    assert_eq!(status, 0);
    for kind in ["a request is refused", "a server cannot be reached"] {
        let lines = said.lines().filter(|line| line.contains(kind)).count();
        // Twice as many if the machine is so slow that another window of ten seconds began.
        assert!((20..=40).contains(&lines), "{kind}: {lines}");
    }
}
