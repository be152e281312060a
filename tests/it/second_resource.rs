//! S75: policy for resources beside the target, and the form in which they reach the upstream.

mod collections;
mod presigned;
mod server_functions;
mod stores;
mod swift;
mod targets;

use std::collections::BTreeMap;

use http::{Method, Response};
use serde_json::{Value, json};
use vestibule::config::{
    Allow, Conditions, Config, DestinationForm, RouteConfig, UpstreamConfig, UpstreamPreset,
};
use vestibule::control::Command;
use vestibule::services::AccountChange;

use crate::harness::signer::with;
use crate::harness::{Application, Received, Running, route, soon, upstream};

const DAV: [&str; 6] = ["PUT", "DELETE", "COPY", "MOVE", "LOCK", "MKCOL"];

fn ops() -> Allow {
    Conditions::of_groups(["ops"]).into()
}

/// Routes of one WebDAV application: all for signed-in users, a folder for a group, one that is read-only,
/// one in which nothing is deleted, and one for everybody.
fn routes(app: &str) -> Vec<RouteConfig> {
    let methods = |methods: &[&str]| methods.iter().map(|&method| method.to_owned()).collect();
    vec![
        route("/", "authenticated", app),
        RouteConfig {
            allow: ops(),
            ..route("/cad", "public", app)
        },
        RouteConfig {
            methods: methods(&["GET", "PROPFIND"]),
            ..route("/ro", "authenticated", app)
        },
        RouteConfig {
            methods: methods(&["GET", "PUT", "MOVE"]),
            ..route("/keep", "authenticated", app)
        },
        RouteConfig {
            methods: methods(&["DELETE"]),
            allow: ops(),
            ..route("/keep", "authenticated", app)
        },
        route("/open", "public", app),
    ]
}

async fn start(app: &Application) -> Running {
    Running::start(|config| config.route = routes(&app.url())).await
}

struct Exchange {
    status: u16,
    problem: Value,
    received: Option<Received>,
}

async fn ask(
    gateway: &Running,
    app: &Application,
    cookie: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
) -> Exchange {
    let before = app.received().len();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = gateway.client().request(method, gateway.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = soon(request.header("cookie", cookie).send()).await.unwrap();
    let status = response.status().as_u16();
    let body = soon(response.bytes()).await.unwrap();
    Exchange {
        status,
        problem: serde_json::from_slice(&body).unwrap_or_default(),
        received: app.received().get(before).cloned(),
    }
}

#[tokio::test]
async fn s75_a_destination_is_checked_as_a_write_there() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    let own = |path: &str| gateway.url(path);
    let port = gateway.authority().rsplit(':').next().unwrap().to_owned();
    for method in ["COPY", "MOVE", "move", "BMOVE"] {
        for (destination, status) in [
            (own("/x2"), 200),
            (own("/x%202/"), 200),
            ("/x2".to_owned(), 200),
            (own("/cadmium"), 200),
            (own("/open/x"), 200),
            (own("/keep/x"), 403),
            (own("/cad/x1"), 403),
            ("/cad/x1".to_owned(), 403),
            (own("/cad"), 403),
            (own("/ro/x"), 403),
            (own("/.auth/account"), 403),
            (own("/.auth/nothing"), 403),
            (gateway.url_of("other.example.com", "/x2"), 403),
            (format!("https://gw.example.com.evil.example:{port}/x2"), 403),
            ("https://evil.example/x2".to_owned(), 403),
            (own("/x/../cad/x1"), 400),
            (own("/x/%2e%2e/cad/x1"), 400),
            (own("/x%2f..%2fcad/x1"), 400),
            (own("//cad/x1"), 400),
            (own("/%63ad/x1"), 400),
            (own("/CAD/x1"), 400),
            (own("/x2?/../cad/x1"), 400),
            (own("/x2#/../cad/x1"), 400),
            ("//cad/x1".to_owned(), 400),
            ("cad/x1".to_owned(), 400),
            (String::new(), 400),
            (own("/x2").replace("https", "ftp"), 400),
            (own("/x2").replace("https://", "https://u@"), 400),
        ] {
            let headers = [("destination", destination.as_str())];
            let asked = ask(&gateway, &app, &cookie, (method, "/x1"), &headers).await;
            let what = format!("{method} to {destination:?}: {}", asked.problem);
            assert_eq!(asked.status, status, "{what}");
            assert_eq!(asked.received.is_some(), status == 200, "{what}");
            if status != 200 {
                let detail = asked.problem["detail"].as_str().unwrap();
                assert!(detail.contains("Destination"), "{what}");
            }
        }
    }
    let twice = [("destination", "/x2"), ("destination", "/x3")];
    assert_eq!(
        ask(&gateway, &app, &cookie, ("MOVE", "/x1"), &twice).await.status,
        400
    );
    // Without overwriting nothing is deleted there.
    let kept = [("destination", "/keep/x"), ("overwrite", "F")];
    assert_eq!(
        ask(&gateway, &app, &cookie, ("MOVE", "/x1"), &kept).await.status,
        200
    );
    // Public routes do not authenticate, so the request is anonymous.
    let public = [("destination", "/x2")];
    assert_eq!(
        ask(&gateway, &app, &cookie, ("MOVE", "/open/x"), &public)
            .await
            .status,
        403
    );
    let open = [("destination", "/open/y")];
    assert_eq!(
        ask(&gateway, &app, "", ("MOVE", "/open/x"), &open).await.status,
        200
    );

    let groups = AccountChange::SetGroups(["ops".to_owned()].into());
    gateway.change_user("ann@example.com", groups).await;
    let cookie = gateway.sign_in("ann@example.com").await;
    for path in ["/cad/x1", "/keep/x"] {
        let asked = ask(&gateway, &app, &cookie, ("MOVE", "/x1"), &[("destination", path)]).await;
        assert_eq!(asked.status, 200, "{path}");
    }
}

/// Policy depends on headers that `Connection` would have removed afterwards.
#[tokio::test]
async fn s75_what_was_checked_is_what_the_application_gets() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    let mut raw = gateway.raw().await;
    let authority = gateway.authority();
    raw.send(format!(
        "COPY /x HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\nDestination: /keep/x\r\nOverwrite: F\r\n\
         Connection: keep-alive, overwrite, destination\r\n\r\n"
    ))
    .await;
    assert_eq!(raw.answer().await.0, 200);
    let received = app.received().pop().unwrap();
    assert_eq!(received.header("overwrite"), Some("F"));
    assert!(received.header("destination").unwrap().ends_with("/keep/x"));
}

#[tokio::test]
async fn s75_methods_of_http_have_no_destination_unless_another_is_asked_for() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let asked = ask(
            &gateway,
            &app,
            &cookie,
            (method, "/x"),
            &[("destination", "Seoul")],
        )
        .await;
        assert_eq!(asked.status, 200, "{method}");
        assert_eq!(asked.received.unwrap().header("destination"), Some("Seoul"));
        for name in [
            "X-HTTP-Method-Override",
            "X-Http-Method",
            "x-method-override",
            "X_HTTP_Method",
        ] {
            let headers = [("destination", "/cad/x"), (name, "MOVE")];
            let asked = ask(&gateway, &app, &cookie, (method, "/x"), &headers).await;
            assert_eq!(
                (asked.status, asked.received.is_some()),
                (403, false),
                "{method} {name}"
            );
        }
    }
}

#[tokio::test]
async fn s75_resources_of_if_are_checked_too() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    let token = "(<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2>)";
    let own = |path: &str| gateway.url(path);
    for (path, value, status) in [
        ("/x", token.to_owned(), 200),
        ("/x", format!("<{}> {token} ([\"e\"])", own("/x")), 200),
        ("/x", format!("</> {token} <{}>{token}", own("/y")), 200),
        ("/ro/x", format!("<{}> {token}", own("/ro/x")), 200),
        (
            "/x",
            format!("<{}> {token} <{}> {token}", own("/x"), own("/cad/x")),
            403,
        ),
        ("/x", format!("</ro/x> {token}"), 403),
        ("/x", format!("<https://evil.example/> {token}"), 403),
        ("/x", format!("</x/../cad/y> {token}"), 400),
        ("/x", format!("<urn:a> {token}"), 400),
        ("/x", format!("{token} x"), 400),
        ("/x", "(<urn:a>".to_owned(), 400),
        ("/x", format!("{}{token}", "</y>".repeat(128)), 200),
        ("/x", format!("{}{token}", "</y>".repeat(129)), 400),
        (
            "/x",
            format!("{}{token}", "</;//%61%20%253b%2525&a:b>".repeat(4)),
            400,
        ),
        ("/x", format!("</{}>{token}", "y".repeat(8 << 10)), 400),
    ] {
        let method = if path == "/x" { "LOCK" } else { "PROPFIND" };
        let asked = ask(&gateway, &app, &cookie, (method, path), &[("if", &value)]).await;
        assert_eq!(asked.status, status, "{path} {value}: {}", asked.problem);
        assert_eq!(asked.received.is_some(), status == 200, "{value}");
        let detail = asked.problem["detail"].as_str().unwrap_or("If");
        assert!(detail.contains("If"), "{detail}");
    }
}

#[tokio::test]
async fn s75_a_key_for_some_methods_writes_nowhere_by_another() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.login.iam = true;
        config.route = routes(&app.url());
    })
    .await;
    gateway.signed_in("ann").await;
    for (methods, overwrite, status) in [
        (["MOVE", "PUT"].as_slice(), "F", 200),
        (&["MOVE", "PUT"], "T", 403),
        (&["MOVE", "PUT", "DELETE"], "T", 200),
        (&["MOVE", "DELETE"], "T", 403),
    ] {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let signer = gateway.limited_signer("ann@example.com", now, methods).await;
        let request = gateway
            .client()
            .request(Method::from_bytes(b"MOVE").unwrap(), gateway.url("/x1"))
            .header("destination", "/x2")
            .header("overwrite", overwrite);
        let response = soon(with(request, &signer.basic()).send()).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{methods:?} {overwrite}");
    }
}

/// Apache's and nginx's modules compare with their own connection; others with what the gateway tells of the
/// client's.
#[tokio::test]
async fn an_application_gets_urls_of_the_connection_that_it_sees() {
    let app = Application::answering(|_| Response::default()).await;
    let named = |form, preset| UpstreamConfig {
        destination: form,
        preset,
        ..upstream(&[&app.url()])
    };
    let gateway = Running::start(|config: &mut Config| {
        config.route = vec![
            route("/", "authenticated", &app.url()),
            route("/connection", "authenticated", "connection"),
            route("/client", "authenticated", "client"),
            route("/radicale", "authenticated", "radicale"),
        ];
        let radicale = Some(UpstreamPreset::Radicale);
        config.upstream = BTreeMap::from([
            (
                "connection".to_owned(),
                named(Some(DestinationForm::Connection), radicale),
            ),
            ("client".to_owned(), named(Some(DestinationForm::Client), None)),
            ("radicale".to_owned(), named(None, radicale)),
        ]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let authority = gateway.authority();
    for (path, scheme) in [
        ("/", "http"),
        ("/connection/", "http"),
        ("/client/", "https"),
        ("/radicale/", "https"),
    ] {
        let condition = format!("<{}> (<urn:a>) <{path}y>(Not <urn:b>)", gateway.url("/x%20;v=1"));
        for destination in [gateway.url("/a%20b"), "/a%20b".to_owned()] {
            let headers = [("destination", destination.as_str()), ("if", &condition)];
            let asked = ask(&gateway, &app, &cookie, ("COPY", path), &headers).await;
            let received = asked.received.unwrap_or_else(|| panic!("{}", asked.problem));
            let base = format!("{scheme}://{authority}");
            assert_eq!(received.header("host"), Some(&*authority));
            assert_eq!(received.header("destination"), Some(&*format!("{base}/a%20b")));
            let expected = format!("<{base}/x%20;v=1> (<urn:a>) <{base}{path}y>(Not <urn:b>)");
            assert_eq!(received.header("if"), Some(&*expected));
        }
    }
}

#[tokio::test]
async fn explain_tells_what_becomes_of_a_destination() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    gateway.signed_in("ann").await;
    let explain = async |destination: &str| {
        let explain = Command::Explain {
            method: "MOVE".to_owned(),
            url: "/x1".to_owned(),
            user: Some("ann".to_owned()),
            destination: Some(destination.to_owned()),
            client: None,
        };
        gateway.command(explain).await
    };
    let told = explain("/x2").await;
    assert_eq!(told["outcome"], "forwarded");
    assert_eq!(told["destination"], "/x2");
    let expected = json!(["destination", format!("http://{}/x2", gateway.authority())]);
    let headers = told["forwarded"]["headers"].as_array().unwrap();
    assert!(headers.contains(&expected), "{headers:?}");

    let told = explain(&gateway.url("/cad/x1")).await;
    assert_eq!(told["outcome"], "refused");
    assert_eq!(told["to_program"]["status"], 403);
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("Destination names /cad/x1"), "{reason}");
    let told = explain("cad").await;
    assert_eq!(told["to_program"]["status"], 400);
}

#[tokio::test]
async fn every_method_of_webdav_passes_where_nothing_else_is_named() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    for method in DAV {
        let asked = ask(
            &gateway,
            &app,
            &cookie,
            (method, "/x"),
            &[("lock-token", "<urn:a>")],
        )
        .await;
        assert_eq!(
            (asked.status, asked.received.unwrap().method.as_str()),
            (200, method)
        );
    }
}

const OVERRIDES: [&str; 12] = [
    "Method-Override",
    "X-HTTP-Method-Override",
    "x-http-method",
    "X-Method-Override",
    "X_HTTP_Method_Override",
    "x.http~method",
    "X-HTTP-Verb",
    "X-HTTP-Verb-Override",
    "X-Method",
    "X-Override-Method",
    "X-Request-Method",
    "X-Tunneled-Verb",
];

/// Whether the upstream gets the override headers: all of them, or none.
async fn overrides_pass(gateway: &Running, app: &Application, cookie: &str, request: (&str, &str)) -> bool {
    let mut headers = OVERRIDES.map(|name| (name, "DELETE")).to_vec();
    if request.0 == "OPTIONS" {
        headers.extend([
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
        ]);
    }
    let asked = ask(gateway, app, cookie, request, &headers).await;
    let received = asked
        .received
        .unwrap_or_else(|| panic!("{}: {}", asked.status, asked.problem));
    let passed = OVERRIDES
        .iter()
        .filter(|name| !received.all(&name.to_ascii_lowercase()).is_empty())
        .count();
    assert!(passed == 0 || passed == OVERRIDES.len(), "{received:?}");
    passed > 0
}

#[tokio::test]
async fn s75_method_overrides_never_widen_what_methods_allow() {
    let app = Application::start().await;
    let other = Application::start().await;
    let gateway = Running::start(|config| {
        config.login.iam = true;
        config.route = vec![
            RouteConfig {
                methods: vec!["GET".to_owned(), "POST".to_owned()],
                ..route("/read", "authenticated", &app.url())
            },
            route("/all", "authenticated", &app.url()),
            route("/named", "authenticated", "named"),
            route("/", "authenticated", &other.url()),
            RouteConfig {
                preflight: true,
                ..route("/preflight", "authenticated", &other.url())
            },
            RouteConfig {
                replay: vestibule::config::Replay::Writes,
                ..route("/once", "authenticated", &other.url())
            },
        ];
        let named = upstream(&[&app.url()]);
        config.upstream = BTreeMap::from([("named".to_owned(), named)]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    assert!(!overrides_pass(&gateway, &app, &cookie, ("POST", "/read")).await);
    for path in ["/all", "/named"] {
        assert!(
            !overrides_pass(&gateway, &app, &cookie, ("POST", path)).await,
            "{path}"
        );
    }
    assert!(overrides_pass(&gateway, &other, &cookie, ("POST", "/")).await);
    assert!(overrides_pass(&gateway, &other, &cookie, ("POST", "/preflight")).await);
    assert!(!overrides_pass(&gateway, &other, "", ("OPTIONS", "/preflight")).await);
    assert!(!overrides_pass(&gateway, &other, &cookie, ("GET", "/once")).await);

    let now = jiff::Timestamp::UNIX_EPOCH;
    for (methods, passes) in [([].as_slice(), true), (&["POST"], false)] {
        let signer = gateway.limited_signer("ann@example.com", now, methods).await;
        let before = other.received().len();
        let request = gateway
            .client()
            .post(gateway.url("/"))
            .header("x-http-method", "DELETE");
        let response = soon(with(request, &signer.basic()).send()).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let received = &other.received()[before];
        assert_eq!(received.header("x-http-method").is_some(), passes, "{methods:?}");
    }
}
