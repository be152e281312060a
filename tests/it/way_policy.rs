//! Conditions of routes: groups, users and networks, in `allow` and `deny`.

use serde_json::{Value, json};
use vestibule::config::{Allow, Conditions, RouteConfig};
use vestibule::control::Command;

use crate::harness::{Application, PASSWORD, Running, route};

fn conditions(value: Value) -> Conditions {
    serde_json::from_value(value).unwrap()
}

fn for_whom(path: &str, allow: Value, app: &Application) -> RouteConfig {
    RouteConfig {
        allow: serde_json::from_value::<Allow>(allow).unwrap(),
        ..route(path, "public", &app.url())
    }
}

/// The status of a request that a trusted proxy sends for this client.
async fn status(gateway: &Running, path: &str, client: &str, cookie: Option<&str>) -> u16 {
    let mut request = gateway
        .client()
        .get(gateway.url(path))
        .header("x-forwarded-for", client);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn all_conditions_of_a_route_must_hold() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let net = "192.0.2.0/24";
        config.route = vec![
            for_whom("/users", json!({"users": ["bob", "ann"]}), &app),
            for_whom("/address", json!({"users": ["Ann@Example.com"]}), &app),
            for_whom("/unverified", json!({"users": ["eve@example.com"]}), &app),
            for_whom("/others", json!({"users": ["bob"]}), &app),
            for_whom("/net", json!({"networks": [net, "2001:db8::1"]}), &app),
            for_whom("/both", json!({"users": ["ann"], "networks": [net]}), &app),
            for_whom("/no-group", json!({"users": ["ann"], "groups": ["ops"]}), &app),
        ];
    })
    .await;
    let ann = gateway.appointed("ann").await;
    let (near, far) = ("192.0.2.9", "198.51.100.9");
    for (path, client, signed_in, anonymous) in [
        ("/users", far, 200, 401),
        ("/address", far, 200, 401),
        ("/others", far, 403, 401),
        ("/net", near, 200, 401),
        ("/net", "2001:db8::1", 200, 401),
        ("/net", "::ffff:192.0.2.9", 200, 401),
        // No sign-in would help.
        ("/net", far, 403, 403),
        ("/net", "2001:db8::2", 403, 403),
        ("/both", near, 200, 401),
        ("/both", far, 403, 403),
        ("/no-group", far, 403, 401),
    ] {
        let seen = (
            status(&gateway, path, client, Some(&ann.cookie)).await,
            status(&gateway, path, client, None).await,
        );
        assert_eq!(seen, (signed_in, anonymous), "{path} from {client}");
    }
    // Whoever signs up may claim any address.
    let eve = gateway.signed_in("eve").await;
    assert_eq!(status(&gateway, "/unverified", far, Some(&eve)).await, 403);

    for (path, user, reason) in [
        (
            "/both",
            Some("ann"),
            "the route is for the users ann and clients in 192.0.2.0/24, and ann is ann@example.com (verified), the client \
             is at 198.51.100.9; `networks` does not hold",
        ),
        (
            "/no-group",
            Some("ann"),
            "the route is for the group ops and the users ann, and ann is in gateway-admin, ann is ann@example.com \
             (verified); `groups` does not hold",
        ),
        (
            "/no-group",
            None,
            "the route is for the group ops and the users ann, and nobody is signed in",
        ),
    ] {
        let explain = Command::Explain {
            method: "GET".to_owned(),
            url: gateway.url(path),
            user: user.map(str::to_owned),
            destination: None,
            client: Some(far.parse().unwrap()),
        };
        assert_eq!(gateway.command(explain).await["reason"], reason);
    }
}

#[tokio::test]
async fn whom_a_route_denies_is_turned_away_whatever_it_allows() {
    let app = Application::start().await;
    let denying = |path: &str, allow: &str, deny: Value| RouteConfig {
        deny: Some(conditions(deny)),
        ..route(path, allow, &app.url())
    };
    let gateway = Running::start(|config| {
        config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let net = "192.0.2.0/24";
        config.route = vec![
            denying("/public", "public", json!({"networks": [net]})),
            denying("/optional", "optional", json!({"networks": [net]})),
            denying("/users", "authenticated", json!({"users": ["ann"]})),
            denying(
                "/both",
                "authenticated",
                json!({"users": ["ann"], "networks": [net]}),
            ),
            denying("/others", "authenticated", json!({"groups": ["ops"]})),
        ];
    })
    .await;
    let cookie = gateway.appointed("ann").await.cookie;
    let (near, far) = ("192.0.2.9", "198.51.100.9");
    for (path, client, signed_in, anonymous) in [
        ("/public", near, 403, 403),
        ("/public", far, 200, 200),
        ("/optional", near, 403, 403),
        ("/optional", far, 200, 200),
        ("/users", far, 403, 401),
        ("/both", near, 403, 401),
        ("/both", far, 200, 401),
        ("/others", far, 200, 401),
    ] {
        let seen = (
            status(&gateway, path, client, Some(&cookie)).await,
            status(&gateway, path, client, None).await,
        );
        assert_eq!(seen, (signed_in, anonymous), "{path} from {client}");
    }
}

/// A proxy that names no client leaves nothing but its own address, which says nothing of the client's.
#[tokio::test]
async fn a_client_whom_no_proxy_names_is_in_no_network_that_is_allowed() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let everywhere = json!({"networks": ["0.0.0.0/0", "::/0"]});
        config.route = vec![
            for_whom("/allowed", everywhere.clone(), &app),
            RouteConfig {
                deny: Some(conditions(json!({"networks": ["192.0.2.0/24"]}))),
                ..route("/denied", "public", &app.url())
            },
        ];
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for (client, statuses) in [
        ("198.51.100.9", (200, 200)),
        ("", (403, 403)),
        ("unknown", (403, 403)),
        ("127.0.0.9", (403, 403)),
    ] {
        let seen = (
            status(&gateway, "/allowed", client, Some(&cookie)).await,
            status(&gateway, "/denied", client, Some(&cookie)).await,
        );
        assert_eq!(seen, statuses, "{client:?}");
    }
}

/// What a route names is given by administrators alone.
#[tokio::test]
async fn a_username_that_a_route_names_cannot_be_chosen() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.login.change_username = true;
        config.route = vec![for_whom("/", json!({"users": ["mina"]}), &app)];
    })
    .await;
    let form = json!({
        "email": "eve@example.com", "username": "mina", "password": PASSWORD, "password_confirm": PASSWORD,
    });
    let refused = gateway.visitor().post_json("/.auth/signup", form).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.document["errors"]["username"].is_string(), "{refused:?}");
    let eve = gateway.person("eve").await;
    let form = json!({"username": "mina", "password": PASSWORD});
    let renamed = eve.post_json("/.auth/account/username", form).await;
    assert_eq!(renamed.status, 422, "{renamed:?}");
    let mina = gateway.appointed("mina").await;
    assert_eq!(status(&gateway, "/", "", Some(&mina.cookie)).await, 200);
}

/// A client's own word about where it comes from counts for nothing.
#[tokio::test]
async fn a_network_is_that_of_the_connection_unless_a_trusted_proxy_says_otherwise() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![for_whom("/", json!({"networks": ["192.0.2.0/24"]}), &app)];
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    assert_eq!(status(&gateway, "/", "192.0.2.9", Some(&cookie)).await, 403);
    assert_eq!(app.received().len(), 0);
}

/// A client of gRPC reads statuses of calls, and no pages (gRPC over HTTP/2, "Trailers-Only").
#[tokio::test]
async fn a_grpc_call_is_refused_with_a_status_of_a_call() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/shut", "authenticated", &app.url()),
            for_whom("/ops", json!({"groups": ["ops"]}), &app),
            route("/gone", "public", "h2c://127.0.0.1:9"),
        ];
    })
    .await;
    let ann = gateway.signed_in("ann").await;
    for (path, kind, status) in [
        ("/shut", "application/grpc", "16"),
        ("/shut", "application/gRPC+proto", "16"),
        ("/shut", "application/grpc-web+proto", "16"),
        ("/ops", "application/grpc", "7"),
        ("/gone", "application/grpc", "14"),
        ("/nothing", "application/grpc", "12"),
    ] {
        let call = gateway.client().post(gateway.url(path));
        let call = call.header("content-type", kind).header("te", "trailers");
        let call = if path == "/ops" {
            call.header("cookie", &ann)
        } else {
            call
        };
        let answer = call.body("x").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["grpc-status"], status, "{path}");
        assert_eq!(answer.headers()["content-type"], kind);
        let message = answer.headers()["grpc-message"].to_str().unwrap();
        assert!(!message.is_empty() && !message.contains('%'), "{message}");
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    // What is no call gets what it understands.
    for (method, kind) in [
        ("GET", "application/grpc"),
        ("POST", "application/json"),
        ("POST", "application/grpcs"),
    ] {
        let request = gateway
            .client()
            .request(method.parse().unwrap(), gateway.url("/shut"));
        let answer = request.header("content-type", kind).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{method} {kind}");
    }
    assert!(app.received().is_empty());
}

#[tokio::test]
async fn a_route_in_maintenance_is_for_administrators_alone() {
    let app = Application::start().await;
    let shut = |path: &str, allow: Value| RouteConfig {
        maintenance: true,
        ..for_whom(path, allow, &app)
    };
    let gateway = Running::start(|config| {
        config.route = vec![
            shut("/public", json!("public")),
            shut("/own", json!("authenticated")),
            shut("/ops", json!({"groups": ["ops"]})),
            route("/", "public", &app.url()),
            route("/open", "authenticated", &app.url()),
        ];
    })
    .await;
    let ann = gateway.appointed("ann").await;
    let bob = gateway.signed_in("bob").await;
    let ask = async |path: &str, cookie: Option<&str>, accept: &str| {
        let mut request = gateway.client().get(gateway.url(path)).header("accept", accept);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        request.send().await.unwrap()
    };
    for path in ["/public", "/own", "/ops"] {
        for cookie in [None, Some(bob.as_str())] {
            let answer = ask(path, cookie, "application/json").await;
            assert_eq!(answer.status(), 503, "{path}");
            assert_eq!(answer.headers()["retry-after"], "60");
            let problem: Value = answer.json().await.unwrap();
            assert!(
                problem["type"]
                    .as_str()
                    .unwrap()
                    .ends_with("/.auth/problems/unavailable")
            );
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.starts_with("This application is under maintenance."),
                "{detail}"
            );
        }
        let page = ask(path, None, "text/html").await;
        assert_eq!(page.status(), 503);
        assert!(page.text().await.unwrap().contains("under maintenance"), "{path}");
    }
    // Nor is it reached as the second resource of a request.
    for to in ["/public/x", "/own/x"] {
        let copy = gateway
            .client()
            .request("COPY".parse().unwrap(), gateway.url("/open/x"));
        let copy = copy.header("destination", gateway.url(to)).header("cookie", &bob);
        assert_eq!(copy.send().await.unwrap().status(), 403, "{to}");
    }
    assert!(app.received().is_empty());
    // Administrators pass as far as the policy lets them, and a public route tells of nobody.
    for (path, status) in [("/public", 200), ("/own", 200), ("/ops", 403)] {
        let answer = ask(path, Some(&ann.cookie), "application/json").await;
        assert_eq!(answer.status(), status, "{path}");
    }
    let received = app.received();
    let users: Vec<_> = received
        .iter()
        .map(|request| request.header("remote-user"))
        .collect();
    assert_eq!(users, [None, Some("ann")]);
    assert_eq!(ask("/other", None, "text/html").await.status(), 200);
    for (path, user, reason) in [
        (
            "/own",
            "bob",
            "the route is in maintenance, and then for the administrators' group gateway-admin alone",
        ),
        (
            "/ops",
            "ann",
            "the route is for the group ops, and ann is in gateway-admin",
        ),
    ] {
        let explain = Command::Explain {
            method: "GET".to_owned(),
            url: gateway.url(path),
            user: Some(user.to_owned()),
            destination: None,
            client: None,
        };
        let explained = gateway.command(explain).await;
        assert_eq!(explained["reason"], reason);
        assert_eq!(explained["route"]["maintenance"], true);
    }
}
