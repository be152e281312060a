//! S34 to S39 over the wire: signed requests through the gateway to an upstream.

mod bodies;
mod flat;
mod held_back;
mod once;
mod refusals;
mod room;

use jiff::Timestamp;
use reqwest::Response;
use serde_json::Value;
use tempfile::TempDir;
use vestibule::clock::{Clock, ManualClock};
use vestibule::config::{Allow, Config, RouteConfig};

use crate::harness::signer::{Headers, Signer, Unsigned, get, post, with};
use crate::harness::{Application, Running, route, soon};

/// The time of all tests here.
fn now() -> Timestamp {
    "2026-09-01T03:04:05Z".parse().unwrap()
}

/// A gateway with signed requests, in front of one upstream.
struct Front {
    gateway: Running,
    clock: ManualClock,
    app: Application,
    /// Ann's.
    key: Signer,
}

impl Front {
    async fn start() -> Self {
        Self::before(Application::start().await, |_| ()).await
    }

    /// Starts in front of this upstream; `say` changes the only route.
    async fn before(app: Application, say: impl FnOnce(&mut RouteConfig)) -> Self {
        let mut all = route("/", "authenticated", &app.url());
        say(&mut all);
        let (clock, hand) = Clock::manual(now());
        let settings = settings(vec![all]);
        let gateway = Running::start_in(TempDir::new().unwrap(), clock, settings).await;
        gateway.signed_in("ann").await;
        let key = gateway.signer("ann@example.com", now()).await;
        Self {
            gateway,
            clock: hand,
            app,
            key,
        }
    }

    async fn send(&self, request: &Unsigned<'_>, headers: &Headers) -> Response {
        self.send_with(request, headers, "").await
    }

    async fn send_with(
        &self,
        request: &Unsigned<'_>,
        headers: &Headers,
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let method = request.method.parse().unwrap();
        let sent = self
            .gateway
            .client()
            .request(method, self.gateway.url(request.target));
        soon(with(sent, headers).body(body).send()).await.unwrap()
    }
}

/// The settings for signed requests to these routes.
fn settings(routes: Vec<RouteConfig>) -> impl FnOnce(&mut Config) {
    |config| {
        config.login.iam = true;
        config.route = routes;
        config.identity.headers = [("X-Method".to_owned(), "{method}".parse().unwrap())].into();
    }
}

/// Returns status and problem of a refusal, without what always differs.
async fn refusal(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let mut document: Value = serde_json::from_slice(&soon(response.bytes()).await.unwrap()).unwrap();
    document.as_object_mut().unwrap().remove("request_id");
    (status, document)
}

/// Returns the slug of a refusal, and its sentence for the client.
async fn slug(response: Response) -> (String, String) {
    let (_, document) = refusal(response).await;
    let text = |name: &str| document[name].as_str().unwrap().to_owned();
    let slug = text("type").rsplit('/').next().unwrap().to_owned();
    (slug, text("detail"))
}

/// Signs a GET in each scheme except the presigned URL.
fn each_scheme(key: &Signer, request: &Unsigned<'_>) -> Vec<Headers> {
    vec![
        key.aws(request),
        key.aws_declared(request),
        key.backend_ai(request),
        key.message(request, None),
        key.basic(),
    ]
}

#[tokio::test]
async fn s39_each_scheme_names_the_owner_and_the_application_sees_nothing_of_it() {
    let front = Front::start().await;
    let request = get("/files/a%20b?list=1&x=%2F");
    for headers in each_scheme(&front.key, &request) {
        let answer = front.send(&request, &headers).await;
        assert_eq!(answer.status(), 200, "{headers:?}");
        assert_eq!(soon(answer.text()).await.unwrap(), "hello");
    }
    let received = front.app.received();
    assert_eq!(received.len(), 5);
    for request in received {
        assert_eq!(request.target, "/files/a%20b?list=1&x=%2F");
        assert_eq!(request.header("remote-user"), Some("ann"));
        assert_eq!(request.header("x-method"), Some("iam"));
        for (name, value) in &request.headers {
            let is_proof = ["authorization", "signature", "signature-input"].contains(&name.as_str())
                || name.starts_with("x-amz-")
                || value.contains(&front.key.access_key)
                || value.contains(&front.key.secret_key);
            assert!(!is_proof, "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn s39_a_presigned_url_is_stripped_and_logged_without_its_signature() {
    let front = Front::start().await;
    for (target, reaches) in [("/a?b=1&list", "/a?b=1&list"), ("/a", "/a")] {
        // Presigners differ in what they declare about the absent body.
        for payload in [get("").payload, "UNSIGNED-PAYLOAD".to_owned()] {
            let canonical = target.replace("list", "list=");
            let signed = Unsigned {
                payload,
                ..get(&canonical)
            };
            let presigned = front.key.presigned(&signed, 600);
            let presigned = presigned.replace("list=", "list");
            let request = get(&presigned);
            assert_eq!(front.send(&request, &Headers::new()).await.status(), 200);
            assert_eq!(front.app.received().last().unwrap().target, reaches);
        }
    }
    // A presigned URL has its own lifetime, longer than that of a header.
    let presigned = front.key.presigned(&get("/a"), 600);
    front.clock.set_wall(now() + jiff::SignedDuration::from_secs(599));
    assert_eq!(front.send(&get(&presigned), &Headers::new()).await.status(), 200);
    front.clock.set_wall(now() + jiff::SignedDuration::from_secs(600));
    let (slug, detail) = slug(front.send(&get(&presigned), &Headers::new()).await).await;
    assert_eq!(
        (slug.as_str(), detail.contains("0 seconds")),
        ("clock-skew", true),
        "{detail}"
    );
    // Without a declaration it is as long as that of a header.
    let brief = front.key.presigned_with(&get("/a"), None);
    for (seconds, status) in [(299, 200), (300, 401)] {
        front
            .clock
            .set_wall(now() + jiff::SignedDuration::from_secs(seconds));
        assert_eq!(front.send(&get(&brief), &Headers::new()).await.status(), status);
    }
    let folder = front.gateway.stop().await;
    let log = std::fs::read_to_string(folder.path().join("access.jsonl")).unwrap();
    assert!(log.contains("/a") && !log.contains("X-Amz") && !log.contains("Signature"));
}

/// Servers that merge trailers with the head would take them for headers, which must be signed.
#[tokio::test]
async fn s38_whoever_has_a_presigned_url_adds_no_trailers() {
    let front = Front::before(Application::start().await, |route| route.unsigned_payload = true).await;
    let put = Unsigned {
        method: "PUT",
        target: "/object",
        payload: "UNSIGNED-PAYLOAD".to_owned(),
    };
    let target = front.key.presigned(&put, 600);
    let mut raw = front.gateway.raw().await;
    raw.send(format!(
        "PUT {target} HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nTrailer: x-amz-acl, x-ok\r\n\r\n\
         3\r\none\r\n0\r\nx-amz-acl: public-read\r\nx-ok: 1\r\n\r\n",
        front.gateway.authority()
    ))
    .await;
    assert_eq!(raw.answer().await.0, 200);
    let received = front.app.only();
    assert_eq!(received.body, "one");
    assert_eq!(received.trailers, []);
}

#[tokio::test]
async fn s39_what_proves_something_to_the_gateway_alone_is_withheld_from_public_routes_too() {
    let front = Front::before(Application::start().await, |route| route.allow = Allow::Public).await;
    let presigned = front.key.presigned(&get("/a?b=1"), 600);
    assert_eq!(front.send(&get(&presigned), &Headers::new()).await.status(), 200);
    assert_eq!(front.app.received().last().unwrap().target, "/a?b=1");
    // A key of the application's own.
    let own = presigned.replace(&front.key.access_key, "minioadmin");
    assert_eq!(front.send(&get(&own), &Headers::new()).await.status(), 200);
    assert_eq!(front.app.received().last().unwrap().target, own);

    let basic = front.key.basic();
    let (_, encoded) = basic[0].1.split_once(' ').unwrap();
    let bare = encoded.trim_end_matches('=');
    for value in [
        format!("Basic {encoded}"),
        format!("Basic\t{encoded}"),
        format!("basic \t {encoded}"),
        format!("Basic {bare}"),
        format!("Basic {} {}", &bare[..20], &bare[20..]),
        format!("Basic {}", bare.replace('+', "-").replace('/', "_")),
        format!("Basic:{encoded}"),
        format!("x, Basic {encoded}"),
        format!("Basic realm=\"x\", {encoded}"),
    ] {
        let headers = vec![("authorization", value.clone())];
        assert_eq!(front.send(&get("/"), &headers).await.status(), 200);
        let received = front.app.received().pop().unwrap();
        assert_eq!(received.header("authorization"), None, "{value:?}");
    }
    let in_two = ["Basic", encoded].map(|value| ("authorization", value.to_owned()));
    assert_eq!(front.send(&get("/"), &in_two.into()).await.status(), 200);
    let received = front.app.received().pop().unwrap();
    assert_eq!(received.all("authorization").len(), 0);
}

#[tokio::test]
async fn a_route_may_refuse_what_is_signed_in_its_query() {
    let front = Front::before(Application::start().await, |route| route.presigned = false).await;
    let presigned = front.key.presigned(&get("/a"), 600);
    let unknown = presigned.replace(&front.key.access_key, "AKIAIOSFODNN7EXAMPLE");
    for target in [&presigned, &unknown] {
        let (slug, detail) = slug(front.send(&get(target), &Headers::new()).await).await;
        assert_eq!(slug, "signature-invalid");
        assert!(
            detail.starts_with("Signatures in the URL are not accepted here."),
            "{detail}"
        );
    }
    let headers = front.key.aws(&get("/a"));
    assert_eq!(front.send(&get("/a"), &headers).await.status(), 200);
    assert_eq!(front.app.received().len(), 1);
}

#[tokio::test]
async fn a_signature_of_version_2_is_told_what_to_use() {
    let front = Front::start().await;
    let key = &front.key.access_key;
    let query = format!("/a?AWSAccessKeyId={key}&Signature=x%3D&Expires=1900000000");
    let header = vec![("authorization", format!("AWS {key}:c2lnbmF0dXJl"))];
    for (target, headers) in [(query.as_str(), Headers::new()), ("/a", header)] {
        let (slug, detail) = slug(front.send(&get(target), &headers).await).await;
        assert_eq!(slug, "signature-invalid");
        assert!(detail.contains("signature_version=\"s3v4\""), "{detail}");
    }
    let unsigned = Unsigned {
        payload: "UNSIGNED-PAYLOAD".to_owned(),
        ..get("/a")
    };
    let headers = front.key.aws_declared(&unsigned);
    let (_, detail) = slug(front.send(&unsigned, &headers).await).await;
    assert!(detail.contains("unsigned_payload = true"), "{detail}");
}

#[tokio::test]
async fn who_i_am_is_told_in_any_scheme() {
    let front = Front::start().await;
    let request = get("/.auth/me");
    for headers in each_scheme(&front.key, &request) {
        let answer = front.send(&request, &headers).await;
        assert_eq!(answer.status(), 200, "{headers:?}");
        let me: Value = serde_json::from_slice(&soon(answer.bytes()).await.unwrap()).unwrap();
        assert_eq!((&me["username"], &me["method"]), (&"ann".into(), &"iam".into()));
    }
    // A key alone never changes an account.
    for path in ["/.auth/account", "/.auth/account/sessions"] {
        let request = get(path);
        let answer = front.send(&request, &front.key.basic()).await;
        assert_eq!(answer.status(), 401, "{path}");
    }
}

#[tokio::test]
async fn a_key_may_be_for_some_methods_only() {
    let front = Front::start().await;
    let limited = front
        .gateway
        .limited_signer("ann@example.com", now(), &["GET"])
        .await;
    assert_eq!(front.send(&get("/"), &limited.aws(&get("/"))).await.status(), 200);
    let head = Unsigned {
        method: "HEAD",
        ..get("/")
    };
    assert_eq!(front.send(&head, &limited.aws(&head)).await.status(), 200);
    let delete = Unsigned {
        method: "DELETE",
        ..get("/")
    };
    let answer = front.send(&delete, &limited.aws(&delete)).await;
    assert_eq!(slug(answer).await.0, "forbidden");
    assert_eq!(front.app.received().len(), 2);
}

#[tokio::test]
async fn policies_hold_for_keys_too() {
    let app = Application::start().await;
    let (clock, _) = Clock::manual(now());
    let routes = vec![
        route("/", "authenticated", &app.url()),
        route("/optional", "optional", &app.url()),
        route("/public", "public", &app.url()),
        RouteConfig {
            allow: serde_json::from_str(r#"{ "groups": ["ops"] }"#).unwrap(),
            ..route("/ops", "optional", &app.url())
        },
    ];
    let gateway = Running::start_in(TempDir::new().unwrap(), clock, settings(routes)).await;
    let cookie = gateway.signed_in("ann").await;
    let key = gateway.signer("ann@example.com", now()).await;
    let other = Signer {
        secret_key: "x".repeat(40),
        ..key.clone()
    };
    let ask = async |path: &str, headers: &Headers| {
        let request = with(gateway.client().get(gateway.url(path)), headers);
        soon(request.send()).await.unwrap()
    };
    for (path, right, wrong) in [
        ("/", 200, 401),
        ("/optional", 200, 401),
        ("/public", 200, 200),
        ("/ops", 403, 401),
    ] {
        assert_eq!(ask(path, &key.aws(&get(path))).await.status(), right, "{path}");
        // A cookie does not repair a wrong signature.
        let mut headers = other.aws(&get(path));
        headers.push(("cookie", cookie.clone()));
        assert_eq!(ask(path, &headers).await.status(), wrong, "{path}");
    }
    // The key takes precedence over the cookie.
    let ben = gateway.signed_in("ben").await;
    let mut headers = key.aws(&get("/"));
    headers.push(("cookie", ben));
    assert_eq!(ask("/", &headers).await.status(), 200);
    assert_eq!(app.received().last().unwrap().header("remote-user"), Some("ann"));
    // On a public route signatures are forwarded, but secrets never.
    ask("/public", &key.aws(&get("/public"))).await;
    let public = app.received().pop().unwrap();
    assert!(public.header("authorization").is_some() && public.header("remote-user").is_none());
    ask("/public", &key.basic()).await;
    assert_eq!(app.received().pop().unwrap().header("authorization"), None);
    ask(
        "/",
        &vec![("authorization", "Bearer x".to_owned()), ("cookie", cookie)],
    )
    .await;
    assert_eq!(
        app.received().pop().unwrap().header("authorization"),
        Some("Bearer x")
    );
}

#[tokio::test]
async fn s15_switched_off_nothing_of_it_works() {
    let app = Application::start().await;
    let (clock, _) = Clock::manual(now());
    let gateway = Running::start_in(TempDir::new().unwrap(), clock, |config| {
        config.route = vec![route("/", "authenticated", &app.url())];
    })
    .await;
    gateway.signed_in("ann").await;
    let key = gateway.signer("ann@example.com", now()).await;
    let request = get("/");
    for headers in each_scheme(&key, &request) {
        let request = with(gateway.client().get(gateway.url("/")), &headers);
        let answer = soon(request.send()).await.unwrap();
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(
            challenge.starts_with("Session") && !challenge.contains("AWS4"),
            "{challenge}"
        );
        assert_eq!(slug(answer).await.0, "not-authenticated");
    }
    assert!(app.received().is_empty());
}

#[tokio::test]
async fn each_scheme_works_over_http2() {
    let front = Front::start().await;
    let request = get("/a?b=1");
    for headers in each_scheme(&front.key, &request) {
        let sent = front
            .gateway
            .http2_client()
            .get(front.gateway.url(request.target));
        let answer = soon(with(sent, &headers).send()).await.unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert_eq!(answer.status(), 200, "{headers:?}");
    }
    let wrong = Signer {
        secret_key: "x".repeat(40),
        ..front.key.clone()
    };
    let body = post("/a", "x");
    for (key, status) in [(&front.key, 200), (&wrong, 401)] {
        let sent = front
            .gateway
            .http2_client()
            .post(front.gateway.url("/a"))
            .body("x");
        let answer = soon(with(sent, &key.aws_declared(&body)).send()).await.unwrap();
        assert_eq!(answer.status(), status);
    }
    let sent = front
        .gateway
        .http2_client()
        .post(front.gateway.url("/a"))
        .body("y");
    let answer = soon(with(sent, &front.key.aws_declared(&body)).send())
        .await
        .unwrap();
    assert_eq!(slug(answer).await.0, "signature-invalid");
}
