//! Policy for the descendants of a collection that is copied, moved, deleted or locked.

use std::collections::BTreeMap;

use vestibule::config::{Compat, RouteConfig};
use vestibule::control::Command;
use vestibule::services::AccountChange;

use super::{ask, ops, routes};
use crate::harness::{Application, Running, route, upstream};

/// Copying or moving a collection includes all descendants.
#[tokio::test]
async fn s75_what_lies_below_a_collection_is_checked_with_it() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = routes(&app.url());
        config.route.extend([
            RouteConfig {
                allow: ops(),
                ..route("/shared/caf%C3%A9", "public", &app.url())
            },
            RouteConfig {
                allow: ops(),
                ..route("/docs/elsewhere", "public", &other.url())
            },
            RouteConfig {
                allow: ops(),
                ..route("/twice/named", "public", "named")
            },
        ]);
        let named = upstream(&[&app.url()]);
        config.upstream = BTreeMap::from([("named".to_owned(), named)]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for (method, source, destination, status) in [
        ("COPY", "/", "/copy", 403),
        ("COPY", "/shared", "/copy", 403),
        ("COPY", "/shared/", "/copy", 403),
        ("MOVE", "/shared", "/copy", 403),
        ("COPY", "/x", "/shared", 403),
        ("MOVE", "/x", "/", 403),
        ("COPY", "/%73hared", "/copy", 403),
        ("COPY", "/Shared", "/copy", 403),
        ("COPY", "/shared;v=1", "/copy", 403),
        ("COPY", "/shared/x", "/shared/y", 200),
        ("MOVE", "/share", "/shared2", 200),
        ("MOVE", "/docs", "/copy", 200),
        ("COPY", "/twice", "/copy", 403),
        ("COPY", "/ro", "/copy", 405),
    ] {
        let headers = [("destination", destination)];
        let asked = ask(&gateway, &app, &cookie, (method, source), &headers).await;
        let what = format!("{method} {source} to {destination}: {}", asked.problem);
        assert_eq!(asked.status, status, "{what}");
    }
    let groups = AccountChange::SetGroups(["ops".to_owned()].into());
    gateway.change_user("ann@example.com", groups).await;
    let cookie = gateway.sign_in("ann@example.com").await;
    let headers = [("destination", "/copy")];
    let asked = ask(&gateway, &app, &cookie, ("MOVE", "/shared"), &headers).await;
    assert_eq!(asked.status, 200, "{}", asked.problem);
}

/// Copying a collection includes all descendants, as in common servers, whatever `Depth` says.
#[tokio::test]
async fn s75_a_collection_is_copied_by_whoever_may_read_all_in_it_whatever_its_depth() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = routes(&app.url());
        config.route.push(RouteConfig {
            allow: ops(),
            ..route("/shared/secret", "public", &app.url())
        });
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for (method, source, headers, status) in [
        ("COPY", "/x", [("depth", "0")].as_slice(), 200),
        ("COPY", "/shared", &[("depth", "0")], 403),
        (
            "COPY",
            "/shared",
            &[("depth", "0"), ("destination", "/cad/x")],
            403,
        ),
        ("COPY", "/cad", &[("depth", "0")], 403),
        ("COPY", "/shared", &[("depth", "infinity")], 403),
        ("COPY", "/shared", &[("depth", "1")], 403),
        ("COPY", "/shared", &[("depth", "00")], 403),
        ("COPY", "/shared", &[("depth", "0, 0")], 403),
        ("COPY", "/shared", &[("depth", "0"), ("depth", "0")], 403),
        (
            "COPY",
            "/shared",
            &[("depth", "0"), ("x-http-method", "MOVE")],
            403,
        ),
        ("copy", "/shared", &[("depth", "0")], 403),
        ("MOVE", "/shared", &[("depth", "0")], 403),
        // Overwriting deletes first, with all descendants.
        ("COPY", "/x", &[("depth", "0"), ("destination", "/shared")], 403),
        (
            "COPY",
            "/x",
            &[("depth", "0"), ("destination", "/shared"), ("overwrite", "F")],
            403,
        ),
        (
            "COPY",
            "/x",
            &[("destination", "/shared"), ("overwrite", "F")],
            403,
        ),
    ] {
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "destination") {
            headers.push(("destination", "/copy"));
        }
        let asked = ask(&gateway, &app, &cookie, (method, source), &headers).await;
        let what = format!("{method} {source} {headers:?}: {}", asked.problem);
        assert_eq!(asked.status, status, "{what}");
        let depth = asked
            .received
            .map(|received| received.header("depth") == Some("0"));
        assert_eq!(depth, (status == 200).then_some(true), "{what}");
    }
}

/// Deleting or locking a collection includes all descendants.
#[tokio::test]
async fn s75_a_collection_is_deleted_and_locked_by_whoever_may_do_so_with_all_in_it() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = routes(&app.url());
        config.route.extend([
            RouteConfig {
                allow: ops(),
                ..route("/shared/secret", "public", "named")
            },
            RouteConfig {
                allow: ops(),
                ..route("/docs/elsewhere", "public", &other.url())
            },
            route("/plain", "authenticated", &other.url()),
            RouteConfig {
                allow: ops(),
                ..route("/plain/secret", "public", &other.url())
            },
        ]);
        let named = upstream(&[&app.url()]);
        config.upstream = BTreeMap::from([("named".to_owned(), named)]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let none = [].as_slice();
    for (method, path, headers, status) in [
        ("DELETE", "/", none, 403),
        ("DELETE", "/shared", none, 403),
        ("DELETE", "/shared/", none, 403),
        ("DELETE", "/Shared", none, 403),
        ("DELETE", "/%73hared;v=1", none, 403),
        ("delete", "/shared", none, 403),
        ("DELETE", "/shared", &[("depth", "0")], 403),
        // An override is evaluated where the upstream gets it.
        ("POST", "/shared", &[("x-http-method-override", "delete")], 200),
        ("POST", "/docs", &[("x-http-method-override", "delete")], 200),
        ("POST", "/plain", &[("x-http-method-override", "delete")], 403),
        ("POST", "/plain", &[("x-http-method", "PATCH, DELETE")], 403),
        ("POST", "/plain", &[("x-method-override", "LOCK")], 403),
        ("DELETE", "/shared/x", none, 200),
        ("DELETE", "/docs", none, 200),
        ("LOCK", "/shared", none, 403),
        ("LOCK", "/shared", &[("depth", "infinity")], 403),
        ("LOCK", "/shared", &[("depth", "0")], 200),
        ("LOCK", "/shared/x", none, 200),
        ("PUT", "/shared", none, 200),
        ("PROPFIND", "/shared", none, 200),
    ] {
        let asked = ask(&gateway, &app, &cookie, (method, path), headers).await;
        let what = format!("{method} {path} {headers:?}: {}", asked.problem);
        assert_eq!(asked.status, status, "{what}");
        assert_eq!(asked.received.is_some(), status == 200, "{what}");
    }
    let listed = Command::Explain {
        method: "PROPFIND".to_owned(),
        url: "/shared".to_owned(),
        user: Some("ann".to_owned()),
        destination: None,
        client: None,
    };
    let told = gateway.command(listed).await;
    assert_eq!(told["outcome"], "forwarded");
    let notes = told["notes"].to_string();
    assert!(notes.contains("/shared/secret is for others"), "{notes}");

    let groups = AccountChange::SetGroups(["ops".to_owned()].into());
    gateway.change_user("ann@example.com", groups).await;
    let cookie = gateway.sign_in("ann@example.com").await;
    for method in ["DELETE", "LOCK"] {
        let asked = ask(&gateway, &app, &cookie, (method, "/shared"), &[]).await;
        assert_eq!(asked.status, 200, "{}", asked.problem);
    }
}

/// The routes below a collection count under every name of the application's server.
#[tokio::test]
async fn s75_a_collection_is_checked_by_what_lies_below_it_under_another_name_of_the_server() {
    let app = Application::start().await;
    let url = app.url();
    let port = url.rsplit(':').next().unwrap();
    for name in [
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost.localdomain",
        "ip6-loopback",
    ] {
        let gateway = Running::start(|config| {
            config.route = vec![
                route("/in", "public", &url),
                RouteConfig {
                    allow: ops(),
                    ..route("/in/closed", "public", &format!("http://{name}:{port}"))
                },
            ];
        })
        .await;
        for method in ["DELETE", "COPY", "MOVE", "LOCK"] {
            let headers = [("destination", "/in/copy")];
            let asked = ask(&gateway, &app, "", (method, "/in/"), &headers).await;
            assert_eq!(asked.status, 403, "{name}: {method}: {}", asked.problem);
            assert!(asked.received.is_none(), "{name}: {method}");
        }
    }
}

/// In Backend.AI's session form a collection has two paths; its descendants are below the one that the
/// upstream sees.
#[tokio::test]
async fn s75_a_collection_in_session_form_is_checked_by_what_lies_below_it_for_the_application() {
    let app = Application::start().await;
    let compat = |route| RouteConfig {
        compat: Some(Compat::BackendAi),
        ..route
    };
    let gateway = Running::start(|config| {
        config.route = vec![
            compat(route("/", "authenticated", &app.url())),
            RouteConfig {
                allow: ops(),
                ..route("/shared/secret", "public", &app.url())
            },
        ];
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for (method, path, destination, status) in [
        ("DELETE", "/func/shared/", None, 403),
        ("DELETE", "/func/shared", None, 403),
        ("DELETE", "/func", None, 403),
        ("DELETE", "/func/", None, 403),
        ("DELETE", "/func/dir/", None, 200),
        ("COPY", "/func/shared/", Some("/func/copy"), 403),
        ("COPY", "/func/shared/", Some("/copy"), 403),
        ("COPY", "/shared/", Some("/func/copy"), 403),
        ("MOVE", "/func/dir/", Some("/func/shared/"), 403),
        ("MOVE", "/dir/", Some("/func/shared"), 403),
        ("MOVE", "/func/dir/", Some("/func/shared/secret/x"), 400),
        ("MOVE", "/func/dir/", Some("/func"), 403),
        ("MOVE", "/func/dir/", Some("/func/copy/"), 200),
        ("COPY", "/func/dir/", Some("/func/shared/x"), 200),
    ] {
        let headers: Vec<_> = destination.map(|to| ("destination", to)).into_iter().collect();
        let asked = ask(&gateway, &app, &cookie, (method, path), &headers).await;
        let what = format!("{method} {path} to {destination:?}: {}", asked.problem);
        assert_eq!(asked.status, status, "{what}");
        let Some(received) = asked.received else { continue };
        assert_eq!(received.target, path.replace("/func", ""), "{what}");
        let told = destination.map(|to| format!("http://{}{}", gateway.authority(), to.replace("/func", "")));
        assert_eq!(received.header("destination"), told.as_deref(), "{what}");
    }
}

/// What an application has below, it deletes and moves, whatever other one a route for the method leads to.
#[tokio::test]
async fn s75_a_route_to_another_application_opens_nothing_below() {
    let (app, other) = (Application::start().await, Application::start().await);
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            RouteConfig {
                methods: vec!["GET".to_owned()],
                allow: ops(),
                ..route("/f/admin", "public", &app.url())
            },
            RouteConfig {
                methods: vec!["DELETE".to_owned(), "PUT".to_owned()],
                ..route("/f/admin", "public", &other.url())
            },
        ];
    })
    .await;
    let url = |path: &str| gateway.url(path);
    let (into, onto) = (url("/f/admin/x"), url("/f"));
    for (method, path, headers) in [
        ("DELETE", "/f", vec![]),
        ("DELETE", "/", vec![]),
        ("MOVE", "/f", vec![("destination", url("/g"))]),
        ("COPY", "/f", vec![("destination", url("/g"))]),
        ("MOVE", "/x", vec![("destination", onto.clone())]),
        ("MOVE", "/x", vec![("destination", into.clone())]),
        (
            "COPY",
            "/x",
            vec![("destination", into), ("overwrite", "F".to_owned())],
        ),
        ("PUT", "/x", vec![("x-amz-copy-source", "/f/admin/x".to_owned())]),
        (
            "PUT",
            "/x",
            vec![("if", format!("<{}> (<urn:x>)", url("/f/admin/x")))],
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let asked = ask(&gateway, &app, "", (method, path), &headers).await;
        assert_eq!(
            asked.status, 403,
            "{method} {path} {headers:?}: {}",
            asked.problem
        );
    }
    assert_eq!(app.received().len(), 0);
    // The other application's own.
    assert_eq!(
        ask(&gateway, &other, "", ("DELETE", "/f/admin/x"), &[])
            .await
            .status,
        200
    );
}
