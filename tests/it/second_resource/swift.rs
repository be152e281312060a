//! The destinations, links and manifests of Swift, as headers name them.

use vestibule::config::RouteConfig;

use super::stores::{closed, put};
use super::{ask, ops};
use crate::harness::{Application, Running, route};

async fn start(app: &Application, other: &Application) -> Running {
    Running::start(|config| {
        config.route = closed(app, other);
        config.route.push(RouteConfig {
            allow: ops(),
            ..route("/v1/AUTH_a/c/closed", "public", &app.url())
        });
    })
    .await
}

#[tokio::test]
async fn s75_what_swift_links_and_joins_is_judged_where_it_lies() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = start(&app, &other).await;
    let cookie = gateway.signed_in("ann").await;
    let object = "/v1/AUTH_a/d/o";
    for (target, headers, status) in [
        (object, [("x-symlink-target", "c/o")].as_slice(), 200),
        (object, &[("x-symlink-target", "closed/o")], 403),
        (object, &[("x-symlink-target", "c/closed/o")], 403),
        (
            object,
            &[
                ("x-symlink-target", "c/o"),
                ("x-symlink-target-account", "AUTH_a"),
            ],
            200,
        ),
        (
            object,
            &[
                ("x-symlink-target", "c/o"),
                ("x-symlink-target-account", "AUTH_b"),
            ],
            403,
        ),
        // All objects whose names begin with this.
        (object, &[("x-object-manifest", "c/o_")], 200),
        (object, &[("x-object-manifest", "c/clover/")], 200),
        (object, &[("x-object-manifest", "c/cl")], 403),
        (object, &[("x-object-manifest", "c/")], 403),
        (object, &[("x-object-manifest", "c/closed/o")], 403),
        (object, &[("x-object-manifest", "closed/o")], 403),
        // A container that keeps overwritten versions, and restores them.
        ("/v1/AUTH_a/d", &[("x-versions-location", "old")], 200),
        ("/v1/AUTH_a/d", &[("x-versions-location", "closed")], 403),
        ("/v1/AUTH_a/d", &[("x-history-location", "c")], 403),
        // The sender would get versions that others overwrite there.
        ("/v1/AUTH_a/c", &[("x-versions-location", "old")], 403),
    ] {
        let (found, what) = put(&gateway, &app, &cookie, target, headers).await;
        assert_eq!(found, status, "{what}");
    }
}

#[tokio::test]
async fn s75_a_destination_of_swift_is_judged_in_its_account_and_passed_on_as_it_is() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = start(&app, &other).await;
    let cookie = gateway.signed_in("ann").await;
    for (target, destination, account, status) in [
        ("/v1/AUTH_a/d/o", "d/p", None, 200),
        ("/v1/AUTH_a/d/o", "/d/p%20q", None, 200),
        ("/v1/AUTH_a/d/o", "d/p", Some("AUTH_a"), 200),
        ("/v1/AUTH_a/d/o", "d/p", Some("AUTH_b"), 403),
        ("/v1/AUTH_a/d/o", "closed/p", None, 403),
        ("/v1/AUTH_a/d/o", "/closed/p", None, 403),
        ("/v1/AUTH_a/d/o", "closed%2Fp", None, 403),
        ("/v1/AUTH_a/d/o", "c/closed/p", None, 403),
        ("/v1/AUTH_a/d/o", "c", None, 403),
        ("/v1/AUTH_a/d/o", "%63losed/p", None, 400),
        ("/v1/AUTH_a/d/o", "d/../closed/p", None, 400),
        ("/v1/AUTH_a/d/o", "//closed/p", None, 400),
        ("/v1/AUTH_a/d/o", "d/p?x", None, 400),
        // To other servers it is a path on the host, or relative to the target.
        ("/v1/AUTH_a/d/o", "/cad/p", None, 403),
        ("/swift/v1/d/o", "d/p", None, 200),
        ("/swift/v1/d/o", "closed/p", None, 403),
        // Without a Swift path it means nothing.
        ("/x/o", "d/p", None, 400),
    ] {
        let mut headers = vec![("destination", destination)];
        headers.extend(account.map(|account| ("destination-account", account)));
        let asked = ask(&gateway, &app, &cookie, ("COPY", target), &headers).await;
        let what = format!("{target} {headers:?}: {}", asked.problem);
        assert_eq!(asked.status, status, "{what}");
        let passed = asked
            .received
            .map(|received| received.header("destination") == Some(destination));
        assert_eq!(passed, (status == 200).then_some(true), "{what}");
    }
}
