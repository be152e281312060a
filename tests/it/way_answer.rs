//! Routes that the gateway answers itself: with redirects and texts.

use http::Method;
use serde_json::Value;
use vestibule::config::{Respond, RouteConfig};
use vestibule::control::Command;

use crate::harness::{Application, Running, route};

fn redirect(path: &str, allow: &str, url: &str) -> RouteConfig {
    RouteConfig {
        redirect: Some(url.to_owned()),
        ..route(path, allow, "")
    }
}

fn respond(path: &str, status: u16, text: &str) -> RouteConfig {
    RouteConfig {
        respond: Some(Respond {
            status,
            text: text.to_owned(),
        }),
        ..route(path, "public", "")
    }
}

async fn gateway() -> Running {
    Running::start(|config| {
        config.route = vec![
            redirect("/docs", "public", "https://docs.example.com/a?b#c"),
            redirect("/old", "public", "/new"),
            redirect("/own", "authenticated", "https://own.example.com/"),
            respond("/robots.txt", 200, "User-agent: *\nDisallow: /\n"),
            respond("/gone", 410, "gone"),
            respond("/empty", 204, ""),
            RouteConfig {
                response_headers: [("Cache-Control".to_owned(), "max-age=60".to_owned())].into(),
                ..respond("/cached", 200, "안녕")
            },
        ];
    })
    .await
}

#[tokio::test]
async fn a_route_redirects_without_an_application() {
    let gateway = gateway().await;
    for (method, path, status, location) in [
        (Method::GET, "/docs", 302, "https://docs.example.com/a?b#c"),
        (
            Method::HEAD,
            "/docs/deeper?x=y",
            302,
            "https://docs.example.com/a?b#c",
        ),
        (Method::POST, "/docs", 307, "https://docs.example.com/a?b#c"),
        (Method::GET, "/old", 302, "/new"),
    ] {
        let asked = gateway.client().request(method.clone(), gateway.url(path));
        let answer = asked
            .body(if method == Method::POST { "x" } else { "" })
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(answer.headers()["location"], location);
        assert!(answer.headers().contains_key("x-request-id"));
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    // The policy comes first.
    let get = |cookie: &str| gateway.client().get(gateway.url("/own")).header("cookie", cookie);
    assert_eq!(get("").send().await.unwrap().status(), 401);
    let ann = gateway.signed_in("ann").await;
    let answer = get(&ann).send().await.unwrap();
    assert_eq!(answer.headers()["location"], "https://own.example.com/");
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn a_route_answers_with_a_text_without_an_application() {
    let gateway = gateway().await;
    for (path, status, text) in [
        ("/robots.txt", 200, "User-agent: *\nDisallow: /\n"),
        ("/gone", 410, "gone"),
        ("/empty", 204, ""),
        ("/cached", 200, "안녕"),
    ] {
        let answer = gateway.client().get(gateway.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let kind = answer
            .headers()
            .get("content-type")
            .map(|kind| kind.to_str().unwrap());
        assert_eq!(
            kind,
            (!text.is_empty()).then_some("text/plain; charset=utf-8"),
            "{path}"
        );
        let cached = answer.headers().get("cache-control").is_some();
        assert_eq!(cached, path == "/cached");
        assert_eq!(answer.text().await.unwrap(), text);
        let head = gateway.client().head(gateway.url(path)).send().await.unwrap();
        assert_eq!(head.status(), status);
        assert!(head.bytes().await.unwrap().is_empty());
    }
    // On a connection that is kept, after a body that nobody reads.
    for _ in 0..3 {
        let answer = gateway
            .client()
            .post(gateway.url("/gone"))
            .body("x".repeat(100_000))
            .send();
        assert_eq!(answer.await.unwrap().text().await.unwrap(), "gone");
    }
    for (path, upstream, status) in [
        ("/docs", "https://docs.example.com/a?b#c", 302),
        ("/gone", "a text", 410),
    ] {
        let explained = gateway
            .command(Command::Explain {
                method: "GET".to_owned(),
                url: gateway.url(path),
                user: None,
                destination: None,
                client: None,
            })
            .await;
        assert_eq!(explained["outcome"], "page", "{explained}");
        assert_eq!(explained["route"]["upstream"], upstream);
        assert_eq!(explained["to_program"]["status"], Value::from(status));
    }
}

/// What a route answers in place of the application is closed, however it is asked for.
#[tokio::test]
async fn s75_what_the_gateway_answers_in_place_of_an_application_is_no_second_resource() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        let writes = ["PUT", "DELETE", "MKCOL"].map(str::to_owned).to_vec();
        config.route = vec![
            route("/", "public", &app.url()),
            redirect("/w/ops", "authenticated", "/"),
            respond("/w/shut", 403, "no"),
            respond("/robots.txt", 200, "User-agent: *"),
            RouteConfig {
                methods: vec!["GET".to_owned()],
                ..route("/ro", "public", &app.url())
            },
            RouteConfig {
                methods: writes,
                ..respond("/ro", 403, "read only")
            },
        ];
    })
    .await;
    let base = format!("https://{}", gateway.authority());
    let send = async |method: &str, path: &str, name: &str, value: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let value = value.replace("HOST", &base);
        let asked = gateway.client().request(method, gateway.url(path));
        asked
            .header(name.to_owned(), value)
            .send()
            .await
            .unwrap()
            .status()
    };
    for (method, path, name, value) in [
        ("COPY", "/w", "destination", "HOST/leak"),
        ("MOVE", "/w", "destination", "HOST/leak"),
        ("DELETE", "/w", "x-other", "1"),
        ("COPY", "/x", "destination", "HOST/w/shut/y"),
        ("COPY", "/x", "destination", "HOST/w/ops"),
        ("COPY", "/x", "destination", "HOST/ro/y"),
        ("DELETE", "/", "x-other", "1"),
        ("PUT", "/x", "x-amz-copy-source", "/w/shut/y"),
        ("POST", "/x", "next-action", "0a"),
        ("GET", "/x", "x-parse-application-id", "b"),
    ] {
        let status = send(method, path, name, value).await;
        assert_eq!(status, 403, "{method} {path} {name}: {value}");
    }
    assert_eq!(app.received().len(), 0);
    assert_eq!(send("COPY", "/x", "destination", "HOST/y").await, 200);
    assert_eq!(send("GET", "/ro/y", "x-other", "1").await, 200);
}

/// Everybody is shown some texts in place of the application's, and they close nothing.
#[tokio::test]
async fn a_text_for_everybody_stands_in_nobodys_way() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            respond("/robots.txt", 200, "User-agent: *"),
            // Beside the application.
            RouteConfig {
                host: Some("other.example.com".to_owned()),
                ..redirect("/", "public", "https://gw.example.com/")
            },
        ];
    })
    .await;
    let asked = gateway
        .client()
        .post(gateway.url("/x"))
        .header("next-action", "0a");
    assert_eq!(asked.send().await.unwrap().status(), 200);
}
