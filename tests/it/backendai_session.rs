//! Backend.AI's session mode over the wire: signing in under `/server/`, everything else under `/func/`.

use http::HeaderMap;
use serde_json::{Value, json};
use vestibule::api::AuditEventList;
use vestibule::clock::Clock;
use vestibule::config::{Compat, Conditions, Config, RouteConfig};
use vestibule::control::{AuditQuery, Command};
use vestibule::services::AccountChange;
use vestibule::store::{AuditFilter, AuditOrder};

use crate::harness::{Application, PASSWORD, Person, ProgramReply, Running, route, soon};

fn compat(path: &str, allow: &str, upstream: &str) -> RouteConfig {
    RouteConfig {
        compat: Some(Compat::BackendAi),
        ..route(path, allow, upstream)
    }
}

async fn gateway(app: &Application, say: impl FnOnce(&mut Config)) -> Running {
    Running::start(|config| {
        config.route = vec![compat("/", "authenticated", &app.url())];
        say(config);
    })
    .await
}

/// Posts as the clients do: with any `Accept`, and a text for an empty body.
async fn post(gateway: &Running, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> ProgramReply {
    let mut request = gateway.client().post(gateway.url(path)).header("accept", "*/*");
    request = match body {
        Some(body) => request.json(&body),
        None => request.header("content-type", "text/plain"),
    };
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = soon(request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = soon(response.bytes()).await.unwrap();
    ProgramReply {
        status,
        headers,
        document: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

async fn log_in(gateway: &Running, username: &str, password: &str) -> ProgramReply {
    let credentials = json!({ "username": username, "password": password });
    post(gateway, "/server/login", Some(credentials), &[]).await
}

async fn check(gateway: &Running, cookie: &str) -> ProgramReply {
    post(gateway, "/server/login-check", None, &[("cookie", cookie)]).await
}

/// Returns the slug of a refusal, in the form for these clients and in the common one.
#[track_caller]
fn slug(told: &ProgramReply) -> String {
    let (said, data) = (&told.document, &told.document["data"]);
    assert_eq!(said["authenticated"], false, "{said}");
    assert!(!data["details"].as_str().unwrap().is_empty());
    assert_eq!(sets_session(&told.headers), None);
    if told.status != 200 {
        assert_eq!((&data["type"], &data["title"]), (&said["type"], &said["title"]));
    }
    let (_, slug) = data["type"].as_str().unwrap().rsplit_once('/').unwrap();
    slug.to_owned()
}

fn sets_session(headers: &HeaderMap) -> Option<String> {
    let mut cookies = headers.get_all("set-cookie").iter();
    let cookie = cookies.next()?.to_str().unwrap().to_owned();
    assert!(cookies.next().is_none());
    Some(cookie)
}

#[tokio::test]
async fn signs_in_says_so_and_signs_out() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    let ann = gateway.person("ann").await;

    let told = log_in(&gateway, "ANN@example.com", PASSWORD).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.headers["content-type"], "application/json");
    let data = json!({ "access_key": null, "role": "user", "status": "active" });
    assert_eq!(told.document["authenticated"], true);
    assert_eq!(told.document["data"], data);
    let set = sets_session(&told.headers).unwrap();
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(set.contains(attribute), "{set}");
    }
    let cookie = told.cookie();
    assert!(cookie.starts_with("__Host-vestibule="));
    let session = told.document["session_id"].as_str().unwrap();
    assert!(!cookie.contains(session));

    let told = check(&gateway, &cookie).await;
    assert_eq!(
        (told.status, told.document["authenticated"].clone()),
        (200, json!(true))
    );
    assert_eq!(told.document["data"], data);
    assert_eq!(told.document["session_id"], session);
    assert_eq!(sets_session(&told.headers), None);

    let told = post(&gateway, "/server/logout", None, &[("cookie", &cookie)]).await;
    let nobody = json!({ "authenticated": false, "data": null, "session_id": null });
    assert_eq!((told.status, &told.document), (200, &nobody));
    assert!(sets_session(&told.headers).unwrap().contains("Max-Age=0"));
    let told = check(&gateway, &cookie).await;
    assert_eq!((told.status, &told.document), (200, &nobody));
    assert_eq!(post(&gateway, "/server/logout", None, &[]).await.status, 200);
    // The page's session is independent.
    assert!(ann.is_signed_in().await);
    assert!(app.received().is_empty());
}

#[tokio::test]
async fn s9_the_session_form_counts_with_the_page() {
    let app = Application::start().await;
    let gateway = gateway(&app, |config| config.lockout.max_failures = 3).await;
    gateway.person("ann").await;
    let on_the_page = async |password: &str| {
        let credentials = json!({ "login": "ann@example.com", "password": password });
        gateway.visitor().post_json("/.auth/login", credentials).await
    };
    for _ in 0..2 {
        let told = log_in(&gateway, "ann@example.com", "wr0ng-guess!").await;
        assert_eq!((told.status, slug(&told).as_str()), (200, "invalid-credentials"));
        let told = on_the_page("wr0ng-guess!").await;
        assert_eq!((told.status, told.problem()), (401, "invalid-credentials"));
    }
    let told = log_in(&gateway, "ann@example.com", PASSWORD).await;
    assert_eq!((told.status, slug(&told).as_str()), (429, "locked"));
    assert!(told.headers.contains_key("retry-after"));
    let told = on_the_page(PASSWORD).await;
    assert_eq!((told.status, told.problem()), (429, "locked"));

    let query = AuditQuery {
        account: Some("ann".to_owned()),
        filter: AuditFilter::default(),
        order: AuditOrder::NewestFirst,
        after: None,
        exports: false,
        limit: 7,
    };
    let read = gateway.command(Command::ReadAudit(query)).await;
    let page: AuditEventList = serde_json::from_value(read).unwrap();
    let sign_ins = page
        .events
        .iter()
        .map(|shown| &shown.event)
        .filter(|event| event.event.as_str() == "sign-in");
    let reasons: Vec<_> = sign_ins.map(|event| event.reason.as_deref()).collect();
    let (locked, invalid) = (Some("locked"), Some("invalid-credentials"));
    assert_eq!(reasons, [locked, locked, invalid, invalid, invalid, invalid]);
}

#[tokio::test]
async fn s17_who_may_not_sign_in_on_the_page_may_not_here() {
    let app = Application::start().await;
    let gateway = gateway(&app, |config| {
        config.lockout.max_failures = 1;
        config.signup.approval = true;
    })
    .await;
    let visitor = gateway.visitor();
    let form = json!({
        "email": "ann@example.com", "username": "ann", "password": PASSWORD, "password_confirm": PASSWORD,
    });
    assert_eq!(visitor.post_json("/.auth/signup", form).await.status, 201);
    for (change, expected) in [
        (None, "not-approved"),
        (Some(AccountChange::Approve), ""),
        (Some(AccountChange::Disable), "account-disabled"),
    ] {
        if let Some(change) = change {
            gateway.change_user("ann", change).await;
        }
        // More often than failures are allowed: none is counted.
        for _ in 0..3 {
            let told = log_in(&gateway, "ann@example.com", PASSWORD).await;
            if expected.is_empty() {
                assert_eq!(told.document["authenticated"], true);
            } else {
                assert_eq!((told.status, slug(&told).as_str()), (200, expected));
            }
        }
    }
}

#[tokio::test]
async fn s30_another_site_signs_nobody_in_or_out() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    let ann = gateway.person("ann").await;
    let credentials = json!({ "username": "ann@example.com", "password": PASSWORD });
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        for path in ["/server/login", "/server/login-check", "/server/logout"] {
            let headers = [foreign, ("cookie", ann.cookie.as_str())];
            let told = post(&gateway, path, Some(credentials.clone()), &headers).await;
            assert_eq!((told.status, told.problem()), (403, "cross-origin"), "{path}");
            assert_eq!(sets_session(&told.headers), None);
        }
    }
    assert!(ann.is_signed_in().await);
}

#[tokio::test]
async fn s27_a_sign_in_ends_the_session_that_came_with_it() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    let ann = gateway.person("ann").await;
    let credentials = json!({ "username": "ann@example.com", "password": PASSWORD });
    let cookie = [("cookie", ann.cookie.as_str())];
    let told = post(&gateway, "/server/login", Some(credentials), &cookie).await;
    assert_eq!(told.status, 200);
    assert_ne!(told.cookie(), ann.cookie);
    assert!(!ann.is_signed_in().await);
    assert_eq!(
        check(&gateway, &told.cookie()).await.document["authenticated"],
        true
    );
}

#[tokio::test]
async fn what_is_missing_or_malformed_is_said() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    let told = post(&gateway, "/server/login", Some(json!({ "password": "x" })), &[]).await;
    assert_eq!((told.status, slug(&told).as_str()), (422, "invalid-input"));
    let fields = told.document["errors"].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["username"]);
    assert_eq!(told.document["data"]["details"], fields["username"]);
    for (body, status) in [
        (json!([]), 400),
        (json!({ "username": 1.5 }), 400),
        (json!({ "username": 1 }), 422),
        (json!({}), 422),
    ] {
        let told = post(&gateway, "/server/login", Some(body), &[]).await;
        assert_eq!(told.status, status);
        assert!(told.document["title"].is_string());
    }
    // What these clients encrypt without TLS, with a public key, is not decoded.
    let encoded = gateway
        .client()
        .post(gateway.url("/server/login"))
        .body("iv:eA==");
    let encoded = encoded.header("x-backendai-encoded", "true").send();
    assert_eq!(soon(encoded).await.unwrap().status(), 400);
    for path in ["/server/login", "/server/login-check", "/server/logout"] {
        let told = gateway.visitor().get_json(path).await;
        assert_eq!((told.status, told.problem()), (405, "method-not-allowed"));
    }
}

#[tokio::test]
async fn new_terms_are_agreed_to_on_the_page() {
    let app = Application::start().await;
    let before = gateway(&app, |_| {}).await;
    before.person("ann").await;
    let after = Running::start_in(before.stop().await, Clock::system(), |config| {
        config.route = vec![compat("/", "authenticated", &app.url())];
        config.signup.terms_url = "/terms".to_owned();
        config.signup.terms_version = "2".to_owned();
    })
    .await;
    let told = log_in(&after, "ann@example.com", PASSWORD).await;
    assert_eq!((told.status, slug(&told).as_str()), (200, "invalid-input"));
    let details = told.document["data"]["details"].as_str().unwrap();
    assert!(details.contains("/.auth/login"), "{details}");
    let on_the_page = json!({ "login": "ann@example.com", "password": PASSWORD, "agree": true });
    assert_eq!(
        after
            .visitor()
            .post_json("/.auth/login", on_the_page)
            .await
            .status,
        200
    );
    assert_eq!(
        log_in(&after, "ann@example.com", PASSWORD).await.document["authenticated"],
        true
    );
}

#[tokio::test]
async fn what_is_under_func_reaches_the_application_without_it() {
    let app = Application::start().await;
    let gateway = gateway(&app, |_| {}).await;
    gateway.person("ann").await;
    for client in [gateway.client(), gateway.http2_client()] {
        let asked = client.get(gateway.url("/func/folders")).send();
        assert_eq!(soon(asked).await.unwrap().status(), 401);
    }
    assert!(app.received().is_empty());
    let cookie = log_in(&gateway, "ann@example.com", PASSWORD).await.cookie();
    for (path, target) in [
        ("/func/", "/"),
        ("/func?x", "/?x"),
        (
            "/func/folders/%EA%B3%84?b=2&a=%2Ffunc",
            "/folders/%EA%B3%84?b=2&a=%2Ffunc",
        ),
        ("/folders", "/folders"),
    ] {
        for client in [gateway.client(), gateway.http2_client()] {
            let request = client.post(gateway.url(path)).header("cookie", &cookie);
            let answer = soon(request.body("{}").send()).await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
        let received = app.received();
        for request in &received[received.len() - 2..] {
            assert_eq!((request.target.as_str(), &request.body[..]), (target, &b"{}"[..]));
            assert_eq!(request.header("remote-user"), Some("ann"));
            assert_eq!(request.header("cookie"), None);
        }
    }
}

#[tokio::test]
async fn s43_without_func_no_path_reaches_what_another_route_guards() {
    let (app, guarded) = (Application::start().await, Application::start().await);
    let gateway = Running::start(|config| {
        config.route = vec![
            compat("/", "authenticated", &app.url()),
            RouteConfig {
                allow: Conditions::of_groups(["ops"]).into(),
                ..route("/admin", "public", &guarded.url())
            },
            route("/open", "public", &app.url()),
        ];
    })
    .await;
    let ann = gateway.person("ann").await;
    assert_eq!(ann.get_json("/admin/gql").await.status, 403);
    for path in [
        "/func/admin/gql",
        "/func//admin/gql",
        "/func/%61dmin/gql",
        "/func/%2e%2e/admin",
        "/func/open",
        "/func/.auth/me",
        "/func/func/x",
        "/func/server/login",
        "/fun%63/x",
    ] {
        assert_eq!(raw_status(&gateway, &ann, path).await, 400, "{path}");
    }
    assert!(app.received().is_empty() && guarded.received().is_empty());
    assert_eq!(raw_status(&gateway, &ann, "/func/administrators").await, 200);
    assert_eq!(app.only().target, "/administrators");
}

/// Returns the status of a path that is sent as it is.
async fn raw_status(gateway: &Running, person: &Person<'_>, path: &str) -> u16 {
    let mut raw = gateway.raw().await;
    let (authority, cookie) = (gateway.authority(), &person.cookie);
    raw.send(format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    ))
    .await;
    raw.answer().await.0
}
