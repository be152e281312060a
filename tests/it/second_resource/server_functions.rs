//! Functions and parts of an application that headers choose, and pages that those of Next.js name.

use vestibule::config::RouteConfig;

use super::{ask, ops, routes};
use crate::harness::{Application, Running, route};

/// An action is known by its id alone, whatever page it is asked of.
#[tokio::test]
async fn s75_a_server_action_is_for_whoever_may_post_everywhere_in_the_application() {
    let (app, other) = (Application::start().await, Application::start().await);
    let closed = |path: &str, app: &Application| RouteConfig {
        allow: ops(),
        ..route(path, "public", &app.url())
    };
    let open = || route("/", "public", &app.url());
    for (others, status) in [
        (vec![], 200),
        (vec![closed("/admin", &app)], 403),
        (vec![closed("/admin", &other)], 200),
        (
            vec![RouteConfig {
                methods: vec!["GET".to_owned()],
                ..closed("/admin", &app)
            }],
            403,
        ),
        (
            vec![RouteConfig {
                methods: vec!["GET".to_owned()],
                ..route("/static", "public", &app.url())
            }],
            200,
        ),
        (
            vec![RouteConfig {
                host: Some("admin.example.com".to_owned()),
                ..closed("/", &app)
            }],
            403,
        ),
    ] {
        let gateway = Running::start(|config| {
            config.route = vec![open()];
            config.route.extend(others.clone());
        })
        .await;
        let cookie = gateway.signed_in("ann").await;
        for (method, name) in [
            ("POST", "next-action"),
            ("POST", "next_action"),
            ("POST", "rsc-action-id"),
            ("POST", "x-server-id"),
            ("GET", "x-server-id"),
            ("GET", "x-vault-namespace"),
        ] {
            let asked = ask(&gateway, &app, &cookie, (method, "/"), &[(name, "40f1")]).await;
            assert_eq!(
                asked.status, status,
                "{method} {name} {others:?}: {}",
                asked.problem
            );
        }
        let plain = ask(&gateway, &app, &cookie, ("POST", "/"), &[]).await;
        assert_eq!(plain.status, 200);
    }
}

/// An intercepting route shows what lies below the page from which a client navigates.
#[tokio::test]
async fn s75_the_page_of_next_url_is_read_by_whoever_may() {
    let app = Application::start().await;
    let gateway = Running::start(|config| config.route = routes(&app.url())).await;
    let cookie = gateway.signed_in("ann").await;
    for (url, status) in [
        ("/", 200),
        ("/pub/1", 200),
        ("/cad", 403),
        ("/cad/x", 403),
        ("/%63ad", 400),
        ("/x/../cad", 400),
    ] {
        for name in ["next-url", "x-sveltekit-pathname", "x-twofold-path"] {
            let headers = [(name, url)];
            let asked = ask(&gateway, &app, &cookie, ("GET", "/pub"), &headers).await;
            assert_eq!(asked.status, status, "{name}: {url}: {}", asked.problem);
        }
    }
}

/// Next.js with a `basePath` names pages without it.
#[tokio::test]
async fn s75_a_page_is_compared_below_every_path_at_which_the_application_may_be() {
    let (app, other) = (Application::start().await, Application::start().await);
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &other.url()),
            route("/shop", "public", &app.url()),
            RouteConfig {
                allow: ops(),
                ..route("/shop/admin", "public", &app.url())
            },
        ];
    })
    .await;
    for (url, status) in [
        ("/", 200),
        ("/photo", 200),
        ("/shop/photo", 200),
        ("/admin", 403),
        ("/admin/", 403),
        ("/admin/x", 403),
        ("/ADMIN", 403),
        ("/shop/admin", 403),
    ] {
        for name in ["next-url", "x-sveltekit-pathname"] {
            let headers = [(name, url)];
            for path in ["/shop", "/shop/photo/1"] {
                let asked = ask(&gateway, &app, "", ("GET", path), &headers).await;
                let is_refused = status == 403 && [400, 403].contains(&asked.status);
                let is_as_told = asked.status == status || is_refused;
                assert!(
                    is_as_told,
                    "{name}: {url} of {path}: {} {}",
                    asked.status, asked.problem
                );
            }
        }
    }
}
