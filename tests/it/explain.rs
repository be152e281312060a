//! `explain` predicts what happens to a request.

mod recall;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vestibule::clock::Clock;
use vestibule::config::{Conditions, RouteConfig, SecretSource};
use vestibule::control::Command;
use vestibule::secret::Secret;

use crate::harness::{Application, PASSWORD, Program, Running, Site, route, soon, upstream};

async fn explain(gateway: &Running, method: &str, url: &str, user: Option<&str>) -> Value {
    let explain = Command::Explain {
        method: method.to_owned(),
        url: url.to_owned(),
        user: user.map(str::to_owned),
        destination: None,
        client: Some([127, 0, 0, 1].into()),
    };
    gateway.command(explain).await
}

fn at(host: &str, route: RouteConfig) -> RouteConfig {
    RouteConfig {
        host: Some(host.to_owned()),
        ..route
    }
}

/// Routes of every policy.
fn routes(app: &str) -> Vec<RouteConfig> {
    let ops = Conditions::of_groups(["ops"]);
    let from =
        |networks: &str| serde_json::from_value::<Conditions>(json!({"networks": [networks]})).unwrap();
    vec![
        route("/", "authenticated", app),
        route("/public", "public", app),
        route("/optional", "optional", app),
        RouteConfig {
            allow: ops.into(),
            ..route("/ops", "public", app)
        },
        RouteConfig {
            methods: vec!["GET".to_owned()],
            ..route("/read", "public", app)
        },
        RouteConfig {
            methods: vec!["POST".to_owned()],
            preflight: true,
            ..route("/read", "authenticated", app)
        },
        RouteConfig {
            compat: Some(vestibule::config::Compat::BackendAi),
            ..route("/ai", "public", app)
        },
        at("app.example.com", route("/a", "public", app)),
        at("*.example.com", route("/", "public", app)),
        RouteConfig {
            allow: from("127.0.0.0/8").into(),
            ..route("/near", "public", app)
        },
        RouteConfig {
            allow: from("192.0.2.0/24").into(),
            ..route("/far", "public", app)
        },
        RouteConfig {
            deny: Some(from("127.0.0.0/8")),
            ..route("/shut", "public", app)
        },
    ]
}

/// An explanation predicts the response, its headers and the forwarded request, for every caller and target.
#[tokio::test]
async fn what_is_explained_is_what_happens() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = routes(&app.url());
        config.upstream = BTreeMap::from([("unused".to_owned(), upstream(&["http://127.0.0.1:9"]))]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let own = [
        "/.auth/login",
        "/.auth",
        "/.auth/nothing",
        "/.auth/admin",
        "/.auth/login/iam",
        "/.auth/me",
    ];
    let paths = [
        "/",
        "/x/y?token=1",
        "/public/a",
        "/publicly",
        "/optional",
        "/ops/x",
        "/near/x",
        "/far/x",
        "/shut/x",
        "/read",
        "/read/deeper",
        "/ai/func/x?y",
        "/ai/func/../x",
        "/a%2fb",
        "/a/../b",
        "//ops",
        "/%6fps",
    ];
    let elsewhere = [
        gateway.url_of("app.example.com", "/a/b"),
        gateway.url_of("app.example.com", "/b"),
        gateway.url_of("any.wild.example.com", "/b"),
    ];
    let here = paths.iter().chain(&own).map(|path| gateway.url(path));
    let mut seen = BTreeMap::new();
    for url in here.chain(elsewhere) {
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            for who in [None, Some("ann")] {
                let told = explain(&gateway, method, &url, who).await;
                let (status, location, received) =
                    ask(&gateway, &app, method, &url, who.map(|_| &*cookie)).await;
                let what = format!("{method} {url} of {who:?}: {told:#}");
                assert_eq!(told["live"], true);
                *seen.entry(told["outcome"].to_string()).or_insert(0) += 1;
                match told["outcome"].as_str().unwrap() {
                    "forwarded" => {
                        let received = received.unwrap_or_else(|| panic!("{status}: {what}"));
                        assert_eq!(told["forwarded"]["target"], received.target, "{what}");
                        assert_eq!(told["forwarded"]["forgeable"], json!([]), "{what}");
                        for header in told["forwarded"]["headers"].as_array().unwrap() {
                            let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
                            let is_known = !value.starts_with('(');
                            let arrived = received.header(name).unwrap_or_else(|| panic!("{name}: {what}"));
                            assert!(!is_known || arrived == value, "{name}: {arrived}: {what}");
                        }
                        let has_identity = received.header("remote-user").is_some();
                        let tells = told["forwarded"]["headers"].to_string().contains("remote-user");
                        assert_eq!(has_identity, tells, "{what}");
                    }
                    "refused" => {
                        assert_eq!(received.map(|received| received.target), None, "{what}");
                        assert_eq!(told["to_program"]["status"], status, "{what}");
                        assert_eq!(
                            told["to_program"]["location"].as_str(),
                            location.as_deref(),
                            "{what}"
                        );
                    }
                    _ => {
                        assert_eq!(received.map(|received| received.target), None, "{what}");
                        if !told["to_program"].is_null() {
                            assert_eq!(told["to_program"]["status"], status, "{what}");
                        }
                    }
                }
            }
        }
    }
    assert!(
        seen.len() == 3 && seen.values().all(|count| *count > 5),
        "{seen:?}"
    );
}

/// Returns the response to a program, and what the upstream received.
async fn ask(
    gateway: &Running,
    app: &Application,
    method: &str,
    url: &str,
    cookie: Option<&str>,
) -> (u16, Option<String>, Option<crate::harness::Received>) {
    use std::fmt::Write as _;
    let before = app.received().len();
    let rest = url.strip_prefix("https://").unwrap();
    let (authority, target) = rest.split_at(rest.find('/').unwrap());
    let host = authority.split(':').next().unwrap();
    let mut raw = gateway.raw_for(host).await;
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\n");
    if let Some(cookie) = cookie {
        write!(head, "Cookie: {cookie}\r\n").unwrap();
    }
    match method {
        "POST" => head.push_str("Content-Length: 0\r\n"),
        "OPTIONS" => {
            write!(
                head,
                "Origin: https://{authority}\r\nAccess-Control-Request-Method: GET\r\n"
            )
            .unwrap();
        }
        _ => {}
    }
    raw.send(head + "Connection: close\r\n\r\n").await;
    let answer = raw.until_closed().await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let location = answer
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix("location: "));
    (
        status,
        location.map(str::to_owned),
        app.received().into_iter().nth(before),
    )
}

#[tokio::test]
async fn an_explanation_says_which_route_and_why() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = routes("console");
        let mut console = upstream(&[&app.url(), "http://127.0.0.1:9"]);
        let secret = |text: &str| SecretSource::Text(Secret::new(text.to_owned()));
        console.headers = BTreeMap::from([
            ("X-Gate".to_owned(), secret("hunter2")),
            ("X-Pass".to_owned(), secret("hunter2:{username}")),
        ]);
        config.upstream = BTreeMap::from([("console".to_owned(), console)]);
    })
    .await;
    gateway.signed_in("ann").await;

    let told = explain(&gateway, "GET", "/ops/x", Some("ann@example.com")).await;
    assert_eq!(told["route"]["index"], 3);
    assert_eq!(told["route"]["upstream"], "console");
    assert_eq!(told["route"]["servers"].as_array().unwrap().len(), 2);
    let passed_over = told["passed_over"].as_array().unwrap();
    let reasons: Vec<_> = passed_over
        .iter()
        .map(|other| format!("{} {}", other["index"], other["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(reasons, ["0 has a shorter path", "8 names the host less exactly"]);
    assert_eq!(told["to_program"]["slug"], "forbidden");
    let reason = told["reason"].as_str().unwrap();
    assert!(
        reason.contains("the group ops") && reason.contains("ann is in no group"),
        "{reason}"
    );

    let told = explain(&gateway, "GET", "/x?q=1", None).await;
    assert_eq!(told["to_program"]["status"], 401);
    assert_eq!(told["to_program"]["slug"], "not-authenticated");
    assert_eq!(told["to_browser"]["status"], 303);
    assert_eq!(told["to_browser"]["location"], "/.auth/login?rd=%2Fx%3Fq%3D1");

    let told = explain(&gateway, "POST", "/read", Some("ann")).await;
    assert_eq!(told["passed_over"][0]["reason"], "is for GET");
    let headers = told["forwarded"]["headers"].to_string();
    assert!(headers.contains(r#"["remote-user","ann"]"#), "{headers}");
    assert!(headers.contains(r#"["x-gate","(not shown"#), "{headers}");
    assert!(!told.to_string().contains("hunter2"), "{told}");
    let removed = told["forwarded"]["removed"].to_string();
    assert!(
        removed.contains("remote-email") && removed.contains("x-real-ip"),
        "{removed}"
    );

    let told = explain(&gateway, "GET", "https://other.example.net/", None).await;
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("gw.example.com, app.example.com"), "{reason}");

    let unknown = Command::Explain {
        method: "GET".to_owned(),
        url: "/".to_owned(),
        user: Some("nobody".to_owned()),
        destination: None,
        client: None,
    };
    let refused = gateway.try_command(unknown).await.unwrap_err();
    assert!(refused.message.contains("nobody"), "{refused}");
}

const CONFIG: &str = r#"public_url = "https://localhost:0"
listen.https = ["127.0.0.1:0"]
listen.ops = ""
password.bcrypt_cost = 10
[[route]]
path = "/"
allow = "public"
upstream = "demo:"

[[route]]
path = "/ops"
allow = { groups = ["ops"] }
upstream = "http://127.0.0.1:9"
"#;

#[test]
fn without_a_gateway_the_file_and_the_store_are_explained() {
    let site = Site::new(CONFIG);
    let add = [
        "user",
        "add",
        "ann@example.com",
        "--group",
        "ops",
        "--password-stdin",
    ];
    assert_eq!(site.run_with_input(&add, PASSWORD).status, 0);
    let told = site.ask(&["explain", "--url", "/ops", "--as", "ann"]);
    assert_eq!(told["live"], false);
    assert_eq!(told["outcome"], "forwarded");
    assert_eq!(told["route"]["line"], 10);
    site.ask(&["user", "disable", "ann"]);
    let told = site.ask(&["explain", "--url", "/ops", "--as", "ann"]);
    assert_eq!(told["caller"]["shut_out"], "account-disabled");
    assert_eq!(told["to_program"]["slug"], "not-authenticated");
    let text = site.run(&["explain", "--url", "/ops/a", "--as", "ann"]);
    assert_eq!(text.status, 0);
    insta::assert_snapshot!("explain_refused", text.stdout);
    let text = site.run(&["explain", "--url", "https://localhost:8443/ops"]);
    assert!(text.stdout.contains("no gateway runs"), "{}", text.stdout);
    let unknown = site.run(&["explain", "--request", "0123", "--json"]).error(1);
    assert!(unknown.contains("no gateway runs"), "{unknown}");
    for (arguments, status) in [
        (&["explain", "--json"][..], 2),
        (&["explain", "--url", "/", "--request", "1", "--json"], 2),
        (&["explain", "--url", "ftp://a", "--json"], 1),
        (&["explain", "--url", "/", "--as", "nobody", "--json"], 1),
    ] {
        site.run(arguments).error(status);
    }
}

#[tokio::test]
async fn what_the_running_gateway_says_is_read_by_people() {
    let site = Site::new(CONFIG);
    let (gateway, _) = Program::start(&site);
    let add = [
        "user",
        "add",
        "ann@example.com",
        "--group",
        "ops",
        "--password-stdin",
    ];
    assert_eq!(site.run_with_input(&add, PASSWORD).status, 0);
    let id = site.ask(&["user", "show", "ann"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = site.run(&["explain", "--url", "https://localhost/ops/a?b", "--as", &id]);
    let own = gateway.url("/");
    let port = own.rsplit(':').next().unwrap().trim_end_matches('/');
    insta::assert_snapshot!("explain_forwarded", text.stdout.replace(port, "8443"));

    let client = gateway.client(&site);
    let refused = client.get(gateway.url("/ops?token=hunter2")).send();
    let refused = soon(refused).await.unwrap();
    let id = refused.headers()["x-request-id"].to_str().unwrap();
    let text = site.run(&["explain", "--request", id]).stdout;
    for line in [
        "request   GET localhost/ops",
        "of        nobody",
        "route     localhost/ops",
        "answer    401 not-authenticated",
        "meaning   ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    gateway.stop();
}

#[tokio::test]
async fn an_unknown_host_is_answered_with_all_that_are_configured() {
    let gateway = Running::start(|config| config.route = routes("http://127.0.0.1:9")).await;
    let told = explain(&gateway, "GET", "https://elsewhere.example/", None).await;
    let reason = told["reason"].as_str().unwrap();
    for host in ["gw.example.com", "app.example.com", "*.example.com"] {
        assert!(reason.contains(host), "{host}: {reason}");
    }
}

#[test]
fn refusals_of_a_person_are_listed_by_the_program_from_the_access_log_too() {
    let site = Site::new(
        r#"
        public_url = "https://localhost:0"
        [listen]
        https = ["127.0.0.1:0"]
        ops = ""
        [log]
        access_file = "access.jsonl"
        "#,
    );
    let hash = "$2y$10$Vx3bQ0nJ8mYkT1sLr5ZuCerjfrJsJAy8bIpRv.13DXyFXA0E.kaXO";
    site.ask(&["user", "add", "ann@example.com", "--password-hash", hash]);
    let line = |time: &str, status: u16| {
        json!({
            "time": time, "request_id": format!("r{status}"), "client": "203.0.113.9", "method": "GET",
            "host": "localhost", "path": "/ops", "user": "ann", "status": status,
        })
        .to_string()
    };
    let now = Clock::system().now();
    let lines = [
        line("2020-01-02T03:04:05Z", 401),
        line(&now.to_string(), 403),
        line(&now.to_string(), 200),
    ];
    std::fs::write(site.path("access.jsonl"), lines.join("\n") + "\n").unwrap();
    let told = site.ask(&["explain", "--as", "ann@example.com", "--since", "1h"]);
    let requests = told["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 1, "{told:#}");
    assert_eq!(
        (&requests[0]["request_id"], &told["remembered_since"]),
        (&json!("r403"), &Value::Null)
    );
    let text = site.run(&["explain", "--as", "ann", "--since", "1h"]).stdout;
    assert!(
        text.contains("GET localhost/ops  403  from 203.0.113.9  request r403"),
        "{text}"
    );
    let text = site
        .run(&["explain", "--as", "ann", "--since", "2999-01-01T00:00:00Z"])
        .stdout;
    assert!(text.starts_with("ann@example.com was refused nothing."), "{text}");
    for wrong in [
        &["explain", "--as", "ann"][..],
        &["explain", "--since", "1h"],
        &["explain", "--as", "ann", "--since", "1h", "--url", "/"],
    ] {
        assert_eq!(site.run(wrong).status, 2, "{wrong:?}");
    }
}
