//! What lies in a collection, with which it is copied and moved.

use std::collections::BTreeMap;

use vestibule::config::RouteConfig;
use vestibule::control::UserChange;

use super::{ask, ops, routes};
use crate::harness::{Application, Running, route, upstream};

/// A collection is copied and moved with all that is in it.
#[tokio::test]
async fn s75_what_lies_below_a_collection_is_judged_with_it() {
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
    let groups = UserChange::SetGroups(["ops".to_owned()].into());
    gateway.change_user("ann@example.com", groups).await;
    let cookie = gateway.sign_in("ann@example.com").await;
    let headers = [("destination", "/copy")];
    let asked = ask(&gateway, &app, &cookie, ("MOVE", "/shared"), &headers).await;
    assert_eq!(asked.status, 200, "{}", asked.problem);
}
