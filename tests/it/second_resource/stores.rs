//! What object stores copy and move from, as headers say.

use vestibule::config::RouteConfig;

use super::{ask, ops, routes, start};
use crate::harness::{Application, Running, route};

#[tokio::test]
async fn s75_an_object_is_copied_only_by_whoever_may_read_it() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    for (source, status) in [
        ("/bucket/key", 200),
        ("bucket%2Fkey%20with=blanks?versionId=1", 200),
        ("ro/key", 200),
        ("/cad/key", 403),
        ("cad/key", 403),
        ("cad%2Fkey?versionId=1", 403),
        ("/x/../cad/key", 400),
        ("//cad/key", 400),
        ("%63ad/key", 400),
        ("x#/../cad/key", 400),
        ("arn:aws:s3:us-east-1:1:accesspoint/a/object/b", 400),
        ("x:/cad/key", 400),
        ("http://elsewhere/cad/key", 400),
        ("c+d/key", 200),
    ] {
        let headers = [("x-amz-copy-source", source)];
        let asked = ask(&gateway, &app, &cookie, ("PUT", "/bucket/copy"), &headers).await;
        assert_eq!(asked.status, status, "{source}: {}", asked.problem);
        let passed = asked
            .received
            .map(|received| received.header("x-amz-copy-source") == Some(source));
        assert_eq!(passed, (status == 200).then_some(true), "{source}");
    }
}

#[tokio::test]
async fn s75_a_source_is_judged_on_the_host_that_its_bucket_has() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = routes(&app.url());
        config.route.push(RouteConfig {
            host: Some("other.example.com".to_owned()),
            allow: ops(),
            ..route("/", "public", &app.url())
        });
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for (source, status) in [
        ("other/a.txt", 403),
        ("/%6fther/a.txt", 403),
        ("OTHER/a.txt", 403),
        ("more/a.txt", 200),
        // The host that is asked is `gw`, where `/cad` is for others.
        ("gw/cad/a.txt", 403),
        ("%67w/cad/a.txt", 403),
        ("gw/b/a.txt", 200),
    ] {
        let headers = [("x-amz-copy-source", source)];
        let asked = ask(&gateway, &app, &cookie, ("PUT", "/bucket/copy"), &headers).await;
        assert_eq!(asked.status, status, "{source}: {}", asked.problem);
    }
}

/// Parts of stores that are closed to whoever is in no group, of one application and of another one.
fn closed(app: &Application, other: &Application) -> Vec<RouteConfig> {
    let closed = |path, app: &Application| RouteConfig {
        allow: ops(),
        ..route(path, "public", &app.url())
    };
    let mut all = routes(&app.url());
    all.extend([
        closed("/v1/AUTH_a/closed", app),
        closed("/swift/v1/closed", app),
        closed("/shared/secret", app),
        closed("/elsewhere", other),
    ]);
    all
}

/// The status of a PUT with these headers, and what it is about. They pass as they are, or not at all.
async fn put(
    gateway: &Running,
    app: &Application,
    cookie: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let asked = ask(gateway, app, cookie, ("PUT", target), headers).await;
    let what = format!("{target} {headers:?}: {}", asked.problem);
    let (name, value) = headers[0];
    let passed = asked
        .received
        .map(|received| received.header(&name.to_ascii_lowercase()) == Some(value));
    assert_eq!(passed, (asked.status == 200).then_some(true), "{what}");
    (asked.status, what)
}

#[tokio::test]
async fn s75_whatever_a_store_calls_its_source_it_is_judged() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| config.route = closed(&app, &other)).await;
    let cookie = gateway.signed_in("ann").await;
    let url = |path: &str| gateway.url(path);
    let host = |path: &str| format!("{}{path}", gateway.authority());
    for (name, values) in [
        (
            "x-amz-copy-source",
            ["/b/k", "/cad/k", "//cad/k"].map(str::to_owned),
        ),
        (
            "x-oss-copy-source",
            ["/b/k", "/cad/k", "/b/../cad/k"].map(str::to_owned),
        ),
        (
            "x-obs-copy-source",
            ["b/k", "cad/k", "%63ad/k"].map(str::to_owned),
        ),
        (
            "X-Goog-Copy-Source",
            ["b/k", "cad/k", "http://elsewhere/k"].map(str::to_owned),
        ),
        (
            "x-bce-copy-source",
            ["/b/k", "/cad/k", "/b/#/../cad"].map(str::to_owned),
        ),
        (
            "x-ms-copy-source",
            [url("/b/k?sig=x"), url("/cad/k?sig=x"), "b/k".to_owned()],
        ),
        (
            "x-cos-copy-source",
            [host("/k?versionId=1"), host("/cad/k"), host("/b/../cad/k")],
        ),
        ("x-amz-rename-source", ["k", "ro/k", "../k"].map(str::to_owned)),
        (
            "x-ms-rename-source",
            ["/fs/d?sig=x", "/cad/d", "/fs//../d"].map(str::to_owned),
        ),
        ("X-Copy-From", ["c/o", "cad/o", "c/o?x"].map(str::to_owned)),
    ] {
        for (value, status) in values.iter().zip([200, 403, 400]) {
            let one = [(name, value.as_str())];
            let (found, what) = put(&gateway, &app, &cookie, "/b/copy", &one).await;
            assert_eq!(found, status, "{what}");
        }
        let odd = name.replacen('-', "_", 1);
        let odd = [(odd.as_str(), values[0].as_str())];
        let (found, what) = put(&gateway, &app, &cookie, "/b/copy", &odd).await;
        assert_eq!(found, 400, "{what}");
        let twice = [(name, values[0].as_str()), (name, values[0].as_str())];
        let (found, what) = put(&gateway, &app, &cookie, "/b/copy", &twice).await;
        assert_eq!(found, 400, "{what}");
    }
}

#[tokio::test]
async fn s75_a_source_is_judged_where_the_store_looks_for_it_and_for_what_becomes_of_it() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| config.route = closed(&app, &other)).await;
    let cookie = gateway.signed_in("ann").await;
    for (target, headers, status) in [
        // Another host, whatever serves it.
        (
            "/b/copy",
            [("x-ms-copy-source", "http://127.0.0.1:1/b/k")].as_slice(),
            403,
        ),
        ("/b/copy", &[("x-cos-copy-source", "b.cos.example.com/k")], 403),
        // What is moved is deleted, with what lies in it.
        ("/b/copy", &[("x-amz-copy-source", "/ro/k")], 200),
        ("/b/copy", &[("x-ms-rename-source", "/ro/k")], 403),
        ("/b/copy", &[("x-ms-rename-source", "/shared")], 403),
        ("/shared", &[("x-ms-rename-source", "/b/k")], 403),
        ("/shared/x", &[("x-ms-rename-source", "/b/k")], 200),
        // In the bucket of the target, whether the host or the path names it.
        ("/cadmium/copy", &[("x-amz-rename-source", "cad/k")], 403),
        ("/shared/copy", &[("x-amz-rename-source", "secret/k")], 403),
        // In the account of the target.
        ("/v1/AUTH_a/c/copy", &[("x-copy-from", "c/o")], 200),
        ("/v1/AUTH_a/c/copy", &[("x-copy-from", "/closed/o")], 403),
        ("/v1/AUTH_a/c/copy", &[("x-copy-from", "elsewhere/o")], 200),
        ("/swift/v1/c/copy", &[("x-copy-from", "closed/o")], 403),
        (
            "/v1/AUTH_a/c/copy",
            &[("x-copy-from", "c/o"), ("x-copy-from-account", "AUTH_a")],
            200,
        ),
        (
            "/v1/AUTH_a/c/copy",
            &[("x-copy-from", "c/o"), ("x-copy-from-account", "AUTH_b")],
            403,
        ),
    ] {
        let (found, what) = put(&gateway, &app, &cookie, target, headers).await;
        assert_eq!(found, status, "{what}");
    }
}
