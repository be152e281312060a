//! Routes whose applications do not get the whole path.

use http::Method;
use vestibule::config::{Respond, RouteConfig, StripPrefix};

use crate::harness::{Application, Running, route};

fn stripped(path: &str, allow: &str, upstream: &str, strip_prefix: StripPrefix) -> RouteConfig {
    RouteConfig {
        strip_prefix,
        ..route(path, allow, upstream)
    }
}

fn whole(path: &str, allow: &str, upstream: &str) -> RouteConfig {
    stripped(path, allow, upstream, StripPrefix::Own(true))
}

fn beginning(path: &str, allow: &str, upstream: &str, prefix: &str) -> RouteConfig {
    stripped(path, allow, upstream, StripPrefix::Path(prefix.to_owned()))
}

/// The status of a request with a method and headers.
async fn status(gateway: &Running, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = gateway.client().request(method, gateway.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_application_gets_the_rest_of_the_path_and_is_told_the_prefix() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            whole("/app", "public", "http://localhost:1"),
            beginning("/app/admin", "public", &app.url(), "/app"),
            whole("/other/", "public", &app.url()),
        ];
    })
    .await;
    for (path, target, prefix) in [
        ("/x?y", "/x?y", None),
        ("/app/admin", "/admin", Some("/app")),
        ("/app/admin/x%20y?q=/app", "/admin/x%20y?q=/app", Some("/app")),
        ("/other", "/", Some("/other")),
        ("/other?q", "/?q", Some("/other")),
        ("/other/", "/", Some("/other")),
        ("/other/other/x", "/other/x", Some("/other")),
    ] {
        let sent = [("x-forwarded-prefix", "/forged")];
        assert_eq!(status(&gateway, "GET", path, &sent).await, 200, "{path}");
        let request = app.received().pop().unwrap();
        assert_eq!(request.target, target, "{path}");
        assert_eq!(request.header("x-forwarded-prefix"), prefix, "{path}");
    }
}

/// What begins with two slashes is a host for some servers.
#[tokio::test]
async fn s43_what_is_left_of_a_path_begins_with_no_host() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![RouteConfig {
            encoded_slash: true,
            ..whole("/app", "public", &app.url())
        }];
    })
    .await;
    for path in [
        "/app//x",
        "/app///x",
        "/app/%2fx",
        "/app/%2Fx/y",
        "/app%2f/x",
        "/app/;/x",
    ] {
        let mut raw = gateway.raw().await;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.authority());
        raw.send(&head).await;
        let answer = raw.head().await;
        let is_refused = answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 404 ");
        assert!(is_refused, "{path}: {answer}");
    }
    assert_eq!(app.received().len(), 0);
    assert_eq!(status(&gateway, "GET", "/app/x//y", &[]).await, 200);
}

/// What one route closes is not open by another one with a prefix.
#[tokio::test]
async fn s43_a_path_of_the_application_is_for_whom_all_routes_to_it_admit() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            whole("/pub", "public", &app.url()),
            route("/admin", "authenticated", &app.url()),
            RouteConfig {
                host: Some("*.other.example".to_owned()),
                ..route("/closed", "authenticated", &app.url())
            },
            beginning("/v2/secret", "authenticated", &app.url(), "/v2"),
        ];
    })
    .await;
    for path in [
        "/pub/admin",
        "/pub/admin/x",
        "/pub/%61dmin",
        "/pub/ADMIN",
        "/pub/closed",
        "/pub/secret/x",
    ] {
        let status = status(&gateway, "GET", path, &[]).await;
        assert!([400, 403].contains(&status), "{path}: {status}");
    }
    assert_eq!(app.received().len(), 0);
    for path in ["/pub/x", "/pub/administrator", "/pub"] {
        assert_eq!(status(&gateway, "GET", path, &[]).await, 200, "{path}");
    }
    // The whole of the application may be below.
    assert_eq!(status(&gateway, "DELETE", "/pub/x", &[]).await, 403);
}

/// A route that takes other methods, or answers itself, closes its path to the application as well.
#[tokio::test]
async fn s43_a_path_that_is_closed_by_methods_or_an_answer_is_not_open_by_a_prefix() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        let closed = Respond {
            status: 403,
            text: "closed".to_owned(),
        };
        config.route = vec![
            whole("/pub", "public", &app.url()),
            RouteConfig {
                methods: vec!["GET".to_owned()],
                ..route("/admin", "authenticated", &app.url())
            },
            RouteConfig {
                methods: vec!["GET".to_owned()],
                ..route("/readable", "public", &app.url())
            },
            whole("/v2", "public", &app.url()),
            RouteConfig {
                respond: Some(closed),
                ..route("/v2/secret", "public", "")
            },
        ];
    })
    .await;
    for (method, path) in [
        ("GET", "/pub/admin"),
        ("POST", "/pub/admin"),
        ("GET", "/pub/secret"),
        ("GET", "/pub/secret/x"),
        ("POST", "/pub/secret/x"),
    ] {
        assert_eq!(status(&gateway, method, path, &[]).await, 403, "{method} {path}");
    }
    assert_eq!(app.received().len(), 0);
    for (method, path) in [("GET", "/pub/readable"), ("GET", "/pub/x"), ("POST", "/v2/x")] {
        assert_eq!(status(&gateway, method, path, &[]).await, 200, "{method} {path}");
    }
}

/// A route that takes a method and leads elsewhere opens nothing of the application.
#[tokio::test]
async fn s43_a_route_to_another_application_opens_no_path_of_this_one() {
    let (app, other) = (Application::start().await, Application::start().await);
    let only = |route: RouteConfig, method: &str| RouteConfig {
        methods: vec![method.to_owned()],
        ..route
    };
    let gateway = Running::start(|config| {
        config.route = vec![
            whole("/v1", "public", &app.url()),
            whole("/v2", "public", &app.url()),
            only(beginning("/v2/admin", "authenticated", &app.url(), "/v2"), "GET"),
            only(route("/v2/admin", "public", &other.url()), "POST"),
            only(beginning("/v2/keys", "authenticated", &app.url(), "/v2"), "GET"),
            // By its whole path, which is not that of the prefix.
            only(route("/v2/keys", "public", &app.url()), "POST"),
        ];
    })
    .await;
    for path in ["/v1/admin/users", "/v1/keys/x"] {
        for method in ["GET", "POST"] {
            assert_eq!(status(&gateway, method, path, &[]).await, 403, "{method} {path}");
        }
    }
    assert_eq!(app.received().len(), 0);
    assert_eq!(status(&gateway, "POST", "/v2/admin", &[]).await, 200);
    assert_eq!(other.received().len(), 1);
}

/// The routes of a wildcard close their paths, whatever single hosts below it have.
#[tokio::test]
async fn s43_a_host_below_a_wildcard_hides_none_of_its_routes() {
    let (app, other) = (Application::start().await, Application::start().await);
    let on = |host: &str, route: RouteConfig| RouteConfig {
        host: Some(host.to_owned()),
        ..route
    };
    let gateway = Running::start(|config| {
        config.route = vec![
            whole("/app", "public", &app.url()),
            on("*.wild.example", route("/admin", "authenticated", &app.url())),
            on("any.wild.example", route("/", "public", &other.url())),
        ];
    })
    .await;
    assert_eq!(status(&gateway, "GET", "/app/admin", &[]).await, 403);
    assert_eq!(status(&gateway, "GET", "/app/x", &[]).await, 200);
    assert_eq!(app.only().target, "/x");
}

#[tokio::test]
async fn s75_tags_are_compared_and_written_by_the_routes_that_they_name() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            whole("/dav", "public", &app.url()),
            whole("/files", "public", &app.url()),
            route("/closed", "authenticated", &app.url()),
            route("/other", "public", "demo:"),
        ];
    })
    .await;
    let base = format!("https://{}", gateway.authority());
    for (tag, written) in [
        ("/files/x", Some("/x")),
        ("/dav/x", Some("/x")),
        ("/dav/closed", None),
        ("/files/closed/x", None),
        ("/other/x", None),
    ] {
        let tagged = format!("<{base}{tag}> (<urn:x>)");
        let seen = status(&gateway, "PUT", "/dav/y", &[("if", &tagged)]).await;
        assert_eq!(seen, if written.is_some() { 200 } else { 403 }, "{tag}");
        let received = app.received().pop();
        let host = gateway.authority();
        let written = written.map(|path| format!("<http://{host}{path}> (<urn:x>)"));
        if let Some(written) = written {
            assert_eq!(received.unwrap().header("if"), Some(written.as_str()));
        }
    }
}

#[tokio::test]
async fn s75_second_resources_are_named_as_the_application_knows_them() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", "demo:"),
            whole("/dav", "public", &app.url()),
            beginning("/dav/closed", "authenticated", &app.url(), "/dav"),
        ];
    })
    .await;
    let own = app.address.to_string();
    let base = format!("https://{}", gateway.authority());
    for (destination, wanted) in [
        ("/dav/y", 200),
        ("/dav/closed/y", 403),
        ("/dav/closed", 403),
        ("/y", 403),
        ("/", 403),
    ] {
        let destination = format!("{base}{destination}");
        let sent = [("destination", destination.as_str()), ("overwrite", "F")];
        let moved = status(&gateway, "MOVE", "/dav/x", &sent).await;
        assert_eq!(moved, wanted, "{destination}");
    }
    let moved = app.only();
    assert_eq!(moved.target, "/x");
    let host = moved.header("host").unwrap();
    assert_ne!(host, own);
    assert_eq!(
        moved.header("destination"),
        Some(format!("http://{host}/y").as_str())
    );
    let if_header = format!("<{base}/dav/x> (<urn:x>)");
    assert_eq!(
        status(&gateway, "PUT", "/dav/x", &[("if", &if_header)]).await,
        200
    );
    let put = app.received().pop().unwrap();
    assert_eq!(
        put.header("if"),
        Some(format!("<http://{host}/x> (<urn:x>)").as_str())
    );
    // Below is a route that is for others.
    assert_eq!(status(&gateway, "DELETE", "/dav", &[]).await, 403);
    // Of which paths the application takes these for, only the application knows.
    for name in ["x-amz-copy-source", "next-url", "upload-metadata", "x-copy-from"] {
        assert_eq!(
            status(&gateway, "PUT", "/dav/x", &[(name, "/b/k")]).await,
            403,
            "{name}"
        );
    }
}

#[tokio::test]
async fn names_of_resources_pass_where_all_of_the_application_is_open() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![whole("/store", "public", &app.url())];
    })
    .await;
    let sent = [("x-amz-copy-source", "/b/k")];
    assert_eq!(status(&gateway, "PUT", "/store/b/l", &sent).await, 200);
    assert_eq!(app.only().header("x-amz-copy-source"), Some("/b/k"));
}
