//! The sources of object stores, as headers name them.

use vestibule::config::RouteConfig;

use super::{ask, ops, routes, start};
use crate::harness::{Application, Running, route, soon};

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
async fn s75_a_source_is_checked_on_the_host_that_its_bucket_has() {
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
        // The requested host is `gw`, on which `/cad` is closed.
        ("gw/cad/a.txt", 403),
        ("%67w/cad/a.txt", 403),
        ("gw/b/a.txt", 200),
    ] {
        let headers = [("x-amz-copy-source", source)];
        let asked = ask(&gateway, &app, &cookie, ("PUT", "/bucket/copy"), &headers).await;
        assert_eq!(asked.status, status, "{source}: {}", asked.problem);
    }
}

#[tokio::test]
async fn s75_a_bucket_that_is_closed_on_one_host_is_so_for_sources_that_are_asked_for_on_another() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| {
        let on = |host: &str, path, allow, app: &Application| RouteConfig {
            host: Some(host.to_owned()),
            allow,
            ..route(path, "public", &app.url())
        };
        let public = || route("/", "public", "").allow;
        config.route = vec![
            route("/", "public", &app.url()),
            on("wild.example.com", "/", public(), &app),
            on("wild.example.com", "/cl", ops(), &app),
            on("wild.example.com", "/sp%20ce", ops(), &app),
            on("*.wild.example.com", "/", public(), &app),
            on("shut.wild.example.com", "/", ops(), &app),
            on("*.eu.test", "/", public(), &app),
            on("*.eu.test", "/far", ops(), &app),
            // A host that is closed as a whole closes its own paths, and no bucket.
            on("closed.test", "/", ops(), &app),
            on("app.example.com", "/", public(), &other),
            on("app.example.com", "/more", ops(), &other),
        ];
    })
    .await;
    for (host, source, status) in [
        ("any.wild.example.com", "/cl/x", 403),
        ("any.wild.example.com", "cl/x", 403),
        ("any.wild.example.com", "%63l/x", 403),
        ("any.wild.example.com", "CL/x", 403),
        ("any.wild.example.com", "sp+ce/x", 403),
        ("any.wild.example.com", "shut/x", 403),
        ("any.wild.example.com", "far/x", 403),
        ("any.wild.example.com", "closed/x", 403),
        ("any.wild.example.com", "+cl/x", 403),
        ("any.wild.example.com", "shut%20/x", 403),
        ("any.wild.example.com", "shut;a/x", 403),
        ("any.wild.example.com", "sh%2575t/x", 403),
        ("any.wild.example.com", "open/x", 200),
        // A path of another application does not count.
        ("any.wild.example.com", "more/x", 200),
        ("gw.example.com", "cl/x", 403),
        ("gw.example.com", "shut/x", 403),
    ] {
        // Tencent's begins with a slash unless it begins with a host.
        let slashed = format!("/{}", source.trim_start_matches('/'));
        for (name, source) in [
            ("x-amz-copy-source", source),
            ("x-new-copy-source", source),
            ("x-cos-copy-source", &slashed),
        ] {
            let request = gateway.client().put(gateway.url_of(host, "/k"));
            let answer = soon(request.header(name, source).send()).await.unwrap();
            let (found, problem) = (answer.status().as_u16(), soon(answer.text()).await.unwrap());
            assert_eq!(found, status, "{host} {name}: {source}: {problem}");
        }
    }
}

/// Closed parts of stores, of one application and of another.
pub(super) fn closed(app: &Application, other: &Application) -> Vec<RouteConfig> {
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

/// Returns the status of a PUT with these headers, and a description for messages. The headers are forwarded
/// unchanged, or not at all.
pub(super) async fn put(
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
async fn s75_whatever_a_store_calls_its_source_it_is_checked() {
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
        (
            "x-ms-file-rename-source",
            [url("/b/k?sig=x"), url("/cad/k"), "b/k".to_owned()],
        ),
        (
            "x-tos-copy-source",
            ["/b/k", "/cad/k", "//cad/k"].map(str::to_owned),
        ),
        (
            "x-nos-copy-source",
            ["/b/k", "/cad/k", "//cad/k"].map(str::to_owned),
        ),
        (
            "x-nos-move-source",
            ["/b/k", "/ro/k", "//cad/k"].map(str::to_owned),
        ),
        (
            "x-qs-copy-source",
            ["/b/k", "/cad/k", "//cad/k"].map(str::to_owned),
        ),
        (
            "x-qs-move-source",
            ["/b/k", "/ro/k", "//cad/k"].map(str::to_owned),
        ),
        (
            "x-kss-copy-source",
            ["/b/k", "cad/k", "//cad/k"].map(str::to_owned),
        ),
        (
            "x-upyun-copy-source",
            ["/b/k", "/cad/k", "//cad/k"].map(str::to_owned),
        ),
        (
            "x-upyun-move-source",
            ["/b/k", "/ro/k", "//cad/k"].map(str::to_owned),
        ),
        ("x-oss-rename-source", ["k", "ro/k", "../k"].map(str::to_owned)),
        ("X-Symlink-Target", ["c/o", "cad/o", "c/o?x"].map(str::to_owned)),
        ("X-Object-Manifest", ["c/o", "cad/o", "c/o?x"].map(str::to_owned)),
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
async fn s75_a_source_is_checked_in_a_store_that_is_served_below_a_path() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| config.route = closed(&app, &other)).await;
    let cookie = gateway.signed_in("ann").await;
    for name in [
        "x-amz-copy-source",
        "x-bce-fetch-source",
        "x-bce-rename-key",
        "x-copy-from",
        "x-ms-rename-source",
        "x-oss-copy-source",
        "x-oss-symlink-target",
        "x-qs-move-source",
        "x-symlink-target",
        "x-upyun-move-source",
    ] {
        for (value, expected) in [("secret/x", 403), ("/secret/x", 403), ("public/x", 200)] {
            let put = put(&gateway, &app, &cookie, "/shared/open/k", &[(name, value)]).await;
            assert_eq!(put.0, expected, "{}", put.1);
        }
    }
}

#[tokio::test]
async fn s75_a_source_is_checked_where_the_store_looks_for_it_and_for_what_becomes_of_it() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| config.route = closed(&app, &other)).await;
    let cookie = gateway.signed_in("ann").await;
    for (target, headers, status) in [
        // Another host, whoever serves it.
        (
            "/b/copy",
            [("x-ms-copy-source", "http://127.0.0.1:1/b/k")].as_slice(),
            403,
        ),
        ("/b/copy", &[("x-cos-copy-source", "b.cos.example.com/k")], 403),
        // A moved source is deleted, with all below it.
        ("/b/copy", &[("x-amz-copy-source", "/ro/k")], 200),
        ("/b/copy", &[("x-ms-rename-source", "/ro/k")], 403),
        ("/b/copy", &[("x-ms-rename-source", "/shared")], 403),
        ("/shared", &[("x-ms-rename-source", "/b/k")], 403),
        ("/shared/x", &[("x-ms-rename-source", "/b/k")], 200),
        // In the target's bucket, named by the host or the path.
        ("/cadmium/copy", &[("x-amz-rename-source", "cad/k")], 403),
        ("/b/copy", &[("x-amz-rename-source", "2026-11-29T16:20/k")], 200),
        ("/b/copy", &[("x-amz-rename-source", "http://elsewhere/k")], 400),
        // A store that deletes what it copied, on request.
        (
            "/b/copy",
            &[
                ("x-amz-copy-source", "/ro/k"),
                ("x-amz-copy-disposition", "replace"),
            ],
            403,
        ),
        // The name of an access point, however often it is encoded.
        (
            "/b/copy",
            &[("x-amz-copy-source", "arn%3Aaws%3As3%3A%3A%3A/object/cad/k")],
            400,
        ),
        (
            "/b/copy",
            &[("x-amz-copy-source", "arn%253Aaws%253As3/cad/k")],
            400,
        ),
        ("/shared/copy", &[("x-amz-rename-source", "secret/k")], 403),
        // In the target's account.
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

/// The name's ending marks it as a source of an unknown syntax.
#[tokio::test]
async fn s75_a_source_of_a_store_that_nobody_knows_is_judged_in_all_that_it_can_mean() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = closed(&app, &other);
        config.route.push(RouteConfig {
            host: Some("other.example.com".to_owned()),
            allow: ops(),
            ..route("/", "public", &app.url())
        });
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let url = |path: &str| gateway.url(path);
    let host = |path: &str| format!("{}{path}", gateway.authority());
    for (target, value, status) in [
        ("/b/copy", "/b/k", 200),
        ("/b/copy", "b/k?versionId=1", 200),
        ("/b/copy", "b%2Fk", 200),
        ("/b/copy", "b/k+l", 200),
        ("/b/copy", "", 200),
        // What leads to another application, or nowhere, is not meant.
        ("/b/copy", "elsewhere/k", 200),
        ("/b/copy", ".auth/account", 200),
        // A path.
        ("/b/copy", "/cad/k", 403),
        ("/b/copy", "cad/k", 403),
        ("/b/copy", "cad%2Fk", 403),
        ("/b/copy", "%63ad/k", 400),
        ("/b/copy", "CAD/k", 400),
        ("/b/copy", "x/../cad/k", 400),
        ("/b/copy", "//cad/k", 400),
        ("/b/copy", "b/k#/cad", 400),
        ("/b/copy", "b\\k", 400),
        ("/b/copy", "x?/../cad/k", 400),
        // All that lies below.
        ("/b/copy", "/shared", 403),
        // A URL, or a host and a path.
        ("/b/copy", &*url("/b/k?sig=a/b"), 200),
        ("/b/copy", &*url("/cad/k?sig=x"), 403),
        ("/b/copy", &*url("/cad/k").replace(':', "%3A"), 400),
        ("/b/copy", "http://127.0.0.1:1/b/k", 403),
        ("/b/copy", "s3://b/k", 400),
        ("/b/copy", "arn:aws:s3:::b/k", 400),
        ("/b/copy", &*host("/b/k"), 200),
        ("/b/copy", &*host("/cad/k"), 403),
        ("/b/copy", "gw.example.com/cad/k", 403),
        ("/b/copy", "other.example.com/k", 403),
        // A bucket with a host.
        ("/b/copy", "gw/cad/k", 403),
        ("/b/copy", "other/k", 403),
        ("/b/copy", "more/k", 200),
        // In the target's own bucket, container or folder.
        ("/shared/copy", "secret/k", 403),
        ("/v1/AUTH_a/c/copy", "closed/o", 403),
        ("/v1/AUTH_a/c/copy", "c/o", 200),
        ("/swift/v1/c/copy", "closed/o", 403),
    ] {
        for name in ["x-new-copy-source", "X-HCP-CopySource", "x-new-clone-from"] {
            let (found, what) = put(&gateway, &app, &cookie, target, &[(name, value)]).await;
            assert_eq!(found, status, "{what}");
        }
    }
    for (value, status) in [("/b/k", 200), ("/cad/k", 403), ("/ro/k", 403)] {
        for name in ["x-new-move-source", "x-new-rename-source", "rename-from"] {
            let (found, what) = put(&gateway, &app, &cookie, "/b/copy", &[(name, value)]).await;
            assert_eq!(found, status, "{what}");
        }
    }
    // Qualifiers of a source name none.
    for name in [
        "x-new-copy-source-if-match",
        "x-new-copy-source-range",
        "x-new-copy-source-version-id",
        "x-traffic-source",
        "x-remove-from",
    ] {
        let (found, what) = put(&gateway, &app, &cookie, "/b/copy", &[(name, "/cad/k")]).await;
        assert_eq!(found, 200, "{what}");
    }
    let odd = [("x_new_copy_source", "/b/k")];
    let (found, what) = put(&gateway, &app, &cookie, "/b/copy", &odd).await;
    assert_eq!(found, 400, "{what}");
}

/// A server that decodes a path first finds other segments in it than were sent.
#[tokio::test]
async fn s75_a_slash_that_is_encoded_in_the_target_hides_no_bucket_and_no_account() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = closed(&app, &other);
        for route in &mut config.route {
            route.encoded_slash = true;
        }
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for (target, headers, status) in [
        (
            "/v1%2FAUTH_a/c/copy",
            [("x-copy-from", "closed/o")].as_slice(),
            403,
        ),
        ("/v1/AUTH_a%2Fc/copy", &[("x-copy-from", "closed/o")], 403),
        ("/v1%2fAUTH_a%2Fc/copy", &[("x-copy-from", "closed/o")], 403),
        ("/v1/AUTH_a%252Fc/copy", &[("x-copy-from", "closed/o")], 403),
        ("/v1//AUTH_a/c/copy", &[("x-copy-from", "closed/o")], 403),
        ("/swift%2Fv1/c/copy", &[("x-copy-from", "closed/o")], 403),
        ("/v1/AUTH_a/c%2Fcopy", &[("x-copy-from", "c/o")], 200),
        ("/shared%2Fb/copy", &[("x-amz-rename-source", "secret/k")], 403),
        ("/shared%2Fcopy", &[("x-amz-rename-source", "k")], 200),
        ("/shared%2Fb/copy", &[("x-new-copy-source", "secret/k")], 403),
        (
            "/v1/AUTH_a%2Fc/copy",
            &[("x-copy-from", "c/o"), ("x-copy-from-account", "AUTH_a")],
            403,
        ),
        (
            "/v1/AUTH_a/c%2Fcopy",
            &[("x-copy-from", "c/o"), ("x-copy-from-account", "AUTH_a")],
            200,
        ),
    ] {
        let (found, what) = put(&gateway, &app, &cookie, target, headers).await;
        assert_eq!(found, status, "{what}");
    }
}
