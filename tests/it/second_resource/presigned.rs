//! Second resources of requests that an access key proves, above all of presigned URLs, which anyone may
//! send.

use tempfile::TempDir;
use vestibule::clock::Clock;
use vestibule::config::{Replay, RouteConfig};

use super::routes;
use crate::harness::signer::{Headers, Signer, Unsigned, hash, with};
use crate::harness::{Application, Running, route, soon};

async fn start(routes: Vec<RouteConfig>) -> (Running, Signer) {
    let now = "2026-09-01T03:04:05Z".parse().unwrap();
    let (clock, _) = Clock::manual(now);
    let gateway = Running::start_in(TempDir::new().unwrap(), clock, |config| {
        config.login.iam = true;
        config.route = routes;
    })
    .await;
    gateway.signed_in("ann").await;
    let signer = gateway.signer("ann@example.com", now).await;
    (gateway, signer)
}

fn request<'r>(method: &'r str, target: &'r str) -> Unsigned<'r> {
    Unsigned {
        method,
        target,
        payload: hash(""),
    }
}

async fn send(gateway: &Running, method: &str, target: &str, headers: &Headers) -> (u16, String) {
    let method = method.parse().unwrap();
    let sent = with(gateway.client().request(method, gateway.url(target)), headers);
    let answer = soon(sent.send()).await.unwrap();
    (answer.status().as_u16(), soon(answer.text()).await.unwrap())
}

fn owned(headers: &[(&'static str, &str)]) -> Headers {
    headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

/// A route without presigned requests accepts none for a second resource either.
#[tokio::test]
async fn s75_a_presigned_url_reaches_no_route_that_takes_none_by_way_of_another() {
    let app = Application::start().await;
    let (gateway, signer) = start(vec![
        route("/", "authenticated", &app.url()),
        RouteConfig {
            presigned: false,
            ..route("/inner", "authenticated", &app.url())
        },
        RouteConfig {
            presigned: false,
            ..route("/docs/inner", "authenticated", &app.url())
        },
    ])
    .await;
    for (method, target, headers, status) in [
        ("COPY", "/x", [("destination", "/y")].as_slice(), 200),
        ("COPY", "/x", &[("destination", "/inner/y")], 403),
        (
            "MOVE",
            "/x",
            &[("destination", "/inner/y"), ("overwrite", "F")],
            403,
        ),
        ("COPY", "/docs", &[("destination", "/y")], 403),
        ("DELETE", "/docs", &[], 403),
        ("DELETE", "/doc", &[], 200),
        ("LOCK", "/docs", &[], 403),
        ("LOCK", "/docs", &[("depth", "0")], 200),
        ("PUT", "/b/k", &[("x-amz-copy-source", "/b/k")], 200),
        ("PUT", "/b/k", &[("x-amz-copy-source", "/inner/k")], 403),
        ("PUT", "/b/k", &[("x-new-copy-source", "/inner/k")], 403),
        (
            "LOCK",
            "/y",
            &[("depth", "0"), ("if", "</inner/y> (<urn:a>)")],
            403,
        ),
    ] {
        let unsigned = request(method, target);
        let url = signer.presigned_over(&unsigned, Some(60), headers);
        let sent = owned(headers);
        let (found, told) = send(&gateway, method, &url, &sent).await;
        assert_eq!(found, status, "{method} {target} {headers:?}: {told}");
        // The same key may, with signed headers.
        let (found, told) = send(&gateway, method, target, &signer.aws_with(&unsigned, headers)).await;
        assert_eq!(found, 200, "{method} {target} {headers:?}: {told}");
    }
}

/// The holder of the URL can add no second resource that was not signed.
#[tokio::test]
async fn s75_a_presigned_url_names_the_second_resource_that_its_signer_meant() {
    let app = Application::start().await;
    let (gateway, signer) = start(routes(&app.url())).await;
    for (method, target, header) in [
        ("COPY", "/x", ("destination", "/y")),
        ("MOVE", "/x", ("destination", "/y")),
        ("MOVE", "/x", ("overwrite", "F")),
        ("COPY", "/x", ("depth", "infinity")),
        ("PROPFIND", "/x", ("depth", "infinity")),
        ("LOCK", "/x", ("if", "</y> (<urn:a>)")),
        ("COPY", "/v1/AUTH_a/c/o", ("destination-account", "AUTH_a")),
        ("PUT", "/v1/AUTH_a/c/o", ("x-copy-from-account", "AUTH_a")),
        ("PUT", "/v1/AUTH_a/c/o", ("x-symlink-target-account", "AUTH_a")),
        ("PUT", "/v1/AUTH_a/c/o", ("x-symlink-target", "c/p")),
        ("PUT", "/v1/AUTH_a/c/o", ("x-object-manifest", "c/p")),
        ("PUT", "/b/k", ("x-qs-move-source", "/b/l")),
        ("PUT", "/b/k", ("x-new-copy-source", "/b/l")),
        ("PUT", "/b/k", ("x-new-move-to", "/b/l")),
        ("COPY", "/x", ("source", "/y")),
        ("POST", "/x", ("upload-concat", "final;/y")),
        ("POST", "/x", ("slug", "y")),
    ] {
        let unsigned = request(method, target);
        let url = signer.presigned(&unsigned, 60);
        let (found, told) = send(&gateway, method, &url, &owned(&[header])).await;
        assert_eq!(found, 401, "{method} {target} {header:?}: {told}");
        assert!(told.contains(header.0), "{told}");
        let url = signer.presigned_over(&unsigned, Some(60), &[header]);
        let (found, told) = send(&gateway, method, &url, &owned(&[header])).await;
        assert_eq!(found, 200, "{method} {target} {header:?}: {told}");
        let other = [(header.0, "/z".to_owned())].to_vec();
        let (found, told) = send(&gateway, method, &url, &other).await;
        assert_eq!(found, 401, "{method} {target} {header:?}: {told}");
    }
    // Headers without a second resource need not be signed.
    let url = signer.presigned(&request("GET", "/x"), 60);
    let (found, told) = send(
        &gateway,
        "GET",
        &url,
        &owned(&[("if-match", "\"e\""), ("range", "bytes=0-")]),
    )
    .await;
    assert_eq!(found, 200, "{told}");
    // With header signatures, signer and sender are the same.
    let unsigned = request("COPY", "/x");
    for mut headers in [
        signer.aws(&unsigned),
        signer.backend_ai(&unsigned),
        signer.message(&unsigned, None),
        signer.basic(),
    ] {
        headers.push(("destination", "/y".to_owned()));
        let (found, told) = send(&gateway, "COPY", "/x", &headers).await;
        assert_eq!(found, 200, "{headers:?}: {told}");
    }
}

/// Whoever has the URL tells a store no more of what it does than its signer did, whatever make the store is.
#[tokio::test]
async fn s35_a_presigned_url_signs_what_stores_are_told() {
    let app = Application::start().await;
    let (gateway, signer) = start(routes(&app.url())).await;
    for name in [
        "x-amz-acl",
        "x-goog-acl",
        "x-goog-meta-owner",
        "x-oss-object-acl",
        "x-oss-acl",
        "x-oss-meta-owner",
        "x-obs-acl",
        "x-obs-grant-full-control",
        "x-cos-acl",
        "x-tos-grant-read",
        "x-bce-storage-class",
        "x-ms-blob-public-access",
        "x-ms-meta-owner",
        "x-kss-acl",
        "x-emc-useracl",
        "x-bz-info-owner",
        "x-container-read",
        "x-container-write",
        "x-container-meta-web-index",
        "x-account-access-control",
        "x-object-meta-owner",
        "x-remove-container-read",
        "x-delete-after",
        "x-archive-meta-owner",
        "x-new-acl",
        "x-new-object-acl",
        "x-new-grant-write",
        "x-new-meta-owner",
        "x-new-tagging",
    ] {
        let header = (name, "public-read");
        let unsigned = request("PUT", "/b/k");
        let url = signer.presigned(&unsigned, 60);
        let (found, told) = send(&gateway, "PUT", &url, &owned(&[header])).await;
        assert_eq!(found, 401, "{name}: {told}");
        assert!(told.contains(name), "{told}");
        let url = signer.presigned_over(&unsigned, Some(60), &[header]);
        let (found, told) = send(&gateway, "PUT", &url, &owned(&[header])).await;
        assert_eq!(found, 200, "{name}: {told}");
        // Whoever signs headers sends them.
        let mut headers = signer.aws(&unsigned);
        headers.push((name, "private".to_owned()));
        let (found, told) = send(&gateway, "PUT", "/b/k", &headers).await;
        assert_eq!(
            found,
            if name == "x-amz-acl" { 401 } else { 200 },
            "{name}: {told}"
        );
    }
    // Readers that fold signs take it for the other one.
    let url = signer.presigned(&request("PUT", "/b/k"), 60);
    let (found, told) = send(&gateway, "PUT", &url, &owned(&[("x_goog_acl", "public-read")])).await;
    assert_eq!(found, 401, "{told}");
    // What clients and what stands before them say of themselves.
    let url = signer.presigned(&request("GET", "/b/k"), 60);
    for name in [
        "x-requested-with",
        "x-client-data",
        "x-ms-client-request-id",
        "x-ms-request-id",
        "x-goog-api-client",
        "x-cloud-trace-context",
        "x-meta-a",
        "x-metadata",
        "x-aclu",
        "origin",
        "traceparent",
    ] {
        let (found, told) = send(&gateway, "GET", &url, &owned(&[(name, "a")])).await;
        assert_eq!(found, 200, "{name}: {told}");
    }
}

/// What runs, and for whom, is the signer's to say.
#[tokio::test]
async fn s75_a_presigned_url_signs_what_chooses_a_function_a_part_a_page_or_a_user() {
    let app = Application::start().await;
    let (gateway, signer) = start(vec![route("/", "authenticated", &app.url())]).await;
    for name in [
        "next-action",
        "next_action",
        "rsc-action-id",
        "x-server-id",
        "x-qrl",
        "x-vault-namespace",
        "x-frappe-site-name",
        "x-parse-application-id",
        "next-url",
        "x-sveltekit-pathname",
        "sudo",
        "impersonate-user",
        "x-on-behalf-of",
    ] {
        let header = (name, "/b");
        let unsigned = request("POST", "/b/k");
        let url = signer.presigned(&unsigned, 60);
        let (found, told) = send(&gateway, "POST", &url, &owned(&[header])).await;
        assert_eq!(found, 401, "{name}: {told}");
        let url = signer.presigned_over(&unsigned, Some(60), &[header]);
        let (found, told) = send(&gateway, "POST", &url, &owned(&[header])).await;
        assert_eq!(found, 200, "{name}: {told}");
    }
}

/// A route's settings for signatures also apply to second resources.
#[tokio::test]
async fn s75_a_signature_serves_once_where_the_route_of_a_second_resource_says_so() {
    let app = Application::start().await;
    let (gateway, signer) = start(vec![
        route("/", "authenticated", &app.url()),
        RouteConfig {
            replay: Replay::Writes,
            ..route("/once", "authenticated", &app.url())
        },
    ])
    .await;
    for (method, target, headers, again) in [
        ("COPY", "/x", [("destination", "/y")].as_slice(), 200),
        ("COPY", "/x", &[("destination", "/once/y")], 401),
        ("DELETE", "/", &[], 401),
        // This route is only read.
        ("PUT", "/b/k", &[("x-amz-copy-source", "/once/k")], 200),
        ("PUT", "/b/k", &[("x-new-move-source", "/once/k")], 401),
    ] {
        let sent = signer.aws_with(&request(method, target), headers);
        for status in [200, again] {
            let (found, told) = send(&gateway, method, target, &sent).await;
            assert_eq!(found, status, "{method} {target} {headers:?}: {told}");
        }
    }
}
