//! The headers about users and connections that upstreams get, over the wire.

use std::collections::BTreeMap;

use http::Response;
use vestibule::config::{Conditions, RouteConfig, SecretSource, UpstreamConfig, UpstreamPreset};
use vestibule::secret::Secret;

use crate::harness::{Application, Received, Running, route, upstream};

/// Returns the identity headers that an upstream received.
fn identity(request: &Received) -> Vec<(String, String)> {
    let spelled = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let mut told: Vec<_> = request
        .headers
        .iter()
        .chain(&request.trailers)
        .filter(|(name, _)| spelled(name).starts_with("remote-"))
        .cloned()
        .collect();
    told.sort();
    told
}

fn of_ann() -> Vec<(String, String)> {
    [
        ("remote-email", "ann@example.com"),
        ("remote-name", "ann"),
        ("remote-user", "ann"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

const FORGERIES: [&str; 10] = [
    "",
    "Remote-User: root\r\n",
    "REMOTE-USER: root\r\nremote-user: root\r\n",
    "Remote_User: root\r\n",
    "remote.user: root\r\nRemote_Groups: ops\r\n",
    "Remote-User:\r\n",
    "Connection: Remote-User, remote-email\r\n",
    "Connection: close, Remote-User\r\nRemote-User: root\r\n",
    "Remote-Groups: ops\r\nRemote~Name: Root\r\nRemote!User: root\r\nRemote+Groups: ops\r\n",
    "Remote-User : root\r\n",
];

#[tokio::test]
async fn s40_s41_an_application_sees_the_gateways_identity_alone() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "authenticated", &app.url()),
            route("/public", "public", &app.url()),
            route("/optional", "optional", &app.url()),
        ];
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for forgery in FORGERIES {
        for (path, cookie, expected) in [
            ("/", cookie.as_str(), of_ann()),
            ("/public", cookie.as_str(), Vec::new()),
            ("/optional", cookie.as_str(), of_ann()),
            ("/optional", "a=b", Vec::new()),
        ] {
            let before = app.received().len();
            let mut raw = gateway.raw().await;
            let authority = gateway.authority();
            raw.send(format!(
                "POST {path} HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\n{forgery}\
                 Transfer-Encoding: chunked\r\nTrailer: Remote-User, Remote_User, X-Sum\r\n\r\n\
                 2\r\nhi\r\n0\r\nRemote-User: root\r\nRemote_User: root\r\nX-Sum: 1\r\n\r\n"
            ))
            .await;
            let (status, _) = raw.answer().await;
            let received = app.received();
            if forgery.contains(" :") {
                assert_eq!((status, received.len()), (400, before), "{forgery:?}");
                continue;
            }
            assert_eq!(status, 200, "{path} {forgery:?}");
            assert_eq!(identity(&received[before]), expected, "{path} {forgery:?}");
            assert_eq!(received[before].body, "hi");
        }
    }
}

#[tokio::test]
async fn s40_over_http2_and_in_utf8() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "authenticated", &app.url())];
        config.identity.headers = BTreeMap::from([("X-Who".to_owned(), "né:{username}:{method}".to_owned())]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let asked = gateway
        .http2_client()
        .get(gateway.url("/a?b=c"))
        .header("cookie", "one=1")
        .header("cookie", &cookie)
        .header("cookie", "two=2")
        .header("remote-user", "root")
        .header("remote_user", "root")
        .header("x-who", "root");
    let answer = asked.send().await.unwrap();
    assert_eq!(
        (answer.version(), answer.status().as_u16()),
        (http::Version::HTTP_2, 200)
    );
    let request = app.only();
    assert_eq!(identity(&request), of_ann());
    assert_eq!(request.header("x-who"), Some("né:ann:password"));
    assert_eq!(request.header("cookie"), Some("one=1; two=2"));
    assert_eq!(request.header("host"), Some(gateway.authority().as_str()));
    assert_eq!(request.target, "/a?b=c");
}

#[tokio::test]
async fn s33_the_gateways_cookies_stay_here() {
    let app = Application::answering(|_| {
        Response::builder()
            .header("set-cookie", "__Host-vestibule=forged; Path=/")
            .header("set-cookie", "theirs=1")
            .body("x".into())
            .unwrap()
    })
    .await;
    let gateway = Running::before("optional", &app.url()).await;
    let cookie = gateway.signed_in("ann").await;
    let asked = gateway
        .client()
        .get(gateway.url("/"))
        .header("cookie", format!("a=1; {cookie}; b= 2 ;c"));
    let answer = asked.send().await.unwrap();
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["theirs=1"]);
    let sent = app.only().header("cookie").unwrap().to_owned();
    assert!(!sent.contains("vestibule") && sent.contains("b= 2 ;c"), "{sent}");
}

#[tokio::test]
async fn s27_two_session_cookies_are_none_and_are_cleared() {
    let app = Application::start().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let (ann, bob) = (gateway.signed_in("ann").await, gateway.signed_in("bob").await);
    for path in ["/", "/.auth/me"] {
        let asked = gateway
            .client()
            .get(gateway.url(path))
            .header("cookie", format!("{ann}; {bob}"));
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        let cleared = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(
            cleared.starts_with("__Host-vestibule=;") && cleared.contains("Max-Age=0"),
            "{cleared}"
        );
    }
    assert!(app.received().is_empty());
}

/// What no client may say of its connection or of the address.
const NEVER: [(&str, &str); 33] = [
    ("x-forwarded-prefix", "/x"),
    ("x-forwarded-user", "root"),
    ("x-forwarded-groups", "ops"),
    ("x_forwarded_for", "6.6.6.6"),
    ("x~real~ip", "6.6.6.6"),
    ("x-original-url", "/admin"),
    ("x-original-uri", "/admin"),
    ("x-rewrite-url", "/admin"),
    ("x+rewrite+url", "/admin"),
    ("script_name", "/x"),
    ("x-script-name", "/x"),
    ("x~script~name", "/x"),
    ("path-info", "/admin"),
    ("cf-connecting-ip", "6.6.6.6"),
    ("x-azure-clientip", "6.6.6.6"),
    ("x-some-cdn-client-ip", "6.6.6.6"),
    ("x-accel-mapping", "/=/"),
    ("client-cert", ":x:"),
    ("x-vhm-host", "https://closed.example:443"),
    ("x-vhm-skin", "x/admin"),
    ("x_url_prefix", "/x"),
    ("x-path-prefix", "/x"),
    ("x-real-url", "/admin"),
    ("x-orig-host", "closed.example"),
    ("x-http-host", "closed.example"),
    ("x-proxy-host", "closed.example"),
    ("x-vercel-path", "/admin"),
    ("x-now-route-matches", "1=admin"),
    ("x-envoy-decorator-operation", "x"),
    ("knative-serving-revision", "x"),
    ("l5d-dst-override", "closed.example"),
    ("dtab-local", "/s=>/closed"),
    ("dapr-app-id", "closed"),
];

/// What passes, though it looks like one of them.
const OTHERS: [(&str, &str); 11] = [
    ("x-ip-version", "4"),
    ("x-client-id", "app"),
    ("x-original-filename", "a.txt"),
    ("idempotency-key", "1"),
    ("access-control-request-method", "PUT"),
    ("x-amz-meta-original-path", "/a"),
    ("x-vhost", "/"),
    ("google-cloud-resource-prefix", "projects/p/databases/d"),
    ("x-key-prefix", "a"),
    ("from", "ann@example.com"),
    ("x-auth-token", "theirs"),
];

#[tokio::test]
async fn s42_what_is_said_of_the_connection() {
    let app = Application::start().await;
    let claims = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-host", "gw.example.com:444"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "444"),
        ("forwarded", "for=7.7.7.7;host=evil.example"),
        ("x-real-ip", "7.7.7.7"),
        ("x-request-id", "theirs-1.2_3"),
    ];
    for trusted in [false, true] {
        let gateway = Running::start(|config| {
            config.route = vec![route("/", "public", &app.url())];
            if trusted {
                config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
            }
        })
        .await;
        let mut asked = gateway.client().get(gateway.url("/"));
        for (name, value) in claims.into_iter().chain(NEVER).chain(OTHERS) {
            asked = asked.header(name, value);
        }
        let answer = asked.send().await.unwrap();
        let request = app.received().pop().unwrap();
        let told = |name| request.header(name);
        for (name, _) in NEVER {
            assert_eq!(told(name), None, "{name}");
        }
        for (name, value) in OTHERS {
            assert_eq!(told(name), Some(value), "{name}");
        }
        assert_eq!(answer.headers()["x-request-id"], told("x-request-id").unwrap());
        let (authority, port) = (gateway.authority(), gateway.address.port().to_string());
        let expected = if trusted {
            let forwarded = "for=6.6.6.6;host=\"gw.example.com:444\";proto=http, for=127.0.0.1";
            [
                ("x-forwarded-for", Some("6.6.6.6, 127.0.0.1")),
                ("x-real-ip", Some("6.6.6.6")),
                ("x-forwarded-host", Some("gw.example.com:444")),
                ("host", Some("gw.example.com:444")),
                ("x-forwarded-proto", Some("http")),
                ("x-forwarded-port", Some("444")),
                ("forwarded", Some(forwarded)),
            ]
        } else {
            [
                ("x-forwarded-for", Some("127.0.0.1")),
                ("x-real-ip", Some("127.0.0.1")),
                ("x-forwarded-host", Some(authority.as_str())),
                ("host", Some(authority.as_str())),
                ("x-forwarded-proto", Some("https")),
                ("x-forwarded-port", Some(port.as_str())),
                ("forwarded", None),
            ]
        };
        for (name, value) in expected {
            assert_eq!(told(name), value, "{name}, trusted: {trusted}");
        }
        assert_eq!(told("x-request-id") == Some("theirs-1.2_3"), trusted);
    }
}

#[tokio::test]
async fn s42_an_application_may_be_given_a_header_that_no_client_may_send() {
    let app = Application::start().await;
    let names = ["x-script-name", "x-vhm-root", "x-url-prefix"];
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", "app")];
        let given = |name: &str| {
            let value = SecretSource::Text(Secret::new("/wiki".to_owned()));
            (name.to_owned(), value)
        };
        let app = UpstreamConfig {
            headers: names.map(given).into(),
            ..upstream(&[&app.url()])
        };
        config.upstream = BTreeMap::from([("app".to_owned(), app)]);
    })
    .await;
    let asked = gateway
        .client()
        .get(gateway.url("/"))
        .header("x-vhm-root", "/admin")
        .header("x_vhm_root", "/admin")
        .header("x-vhm-host", "https://closed.example:443");
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let request = app.only();
    for name in names {
        assert_eq!(request.header(name), Some("/wiki"), "{name}");
    }
    for name in ["x_vhm_root", "x-vhm-host"] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn s42_trailers_choose_no_path_and_no_host() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    let mut raw = gateway.raw().await;
    raw.send(format!(
        "POST / HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Vhm-Host, X_Url_Prefix, l5d-dst-override, X-Sum\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Vhm-Host: https://closed.example:443\r\nX_Url_Prefix: /x\r\n\
         l5d-dst-override: closed.example\r\nX-Sum: 1\r\n\r\n"
    ))
    .await;
    assert_eq!(raw.answer().await.0, 200);
    let request = app.only();
    let names = ["x-vhm-host", "x_url_prefix", "l5d-dst-override"];
    let mut trailers = request.trailers.iter().map(|(name, _)| name.as_str());
    assert!(
        !trailers.any(|name| names.contains(&name)),
        "{:?}",
        request.trailers
    );
}

#[tokio::test]
async fn s40_a_preset_takes_all_names_of_its_family() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "authenticated", "grafana")];
        let grafana = UpstreamConfig {
            preset: Some(UpstreamPreset::Grafana),
            ..upstream(&[&app.url()])
        };
        config.upstream = BTreeMap::from([("grafana".to_owned(), grafana)]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let asked = gateway
        .client()
        .get(gateway.url("/"))
        .header("cookie", cookie)
        .header("x-webauth-role", "Admin")
        .header("x_webauth_login", "root")
        .header("remote-role", "Admin");
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let request = app.only();
    assert_eq!(request.header("x-webauth-user"), Some("ann"));
    for name in ["x-webauth-role", "x_webauth_login", "remote-role"] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn s42_the_host_that_a_trusted_proxy_was_asked_for_is_the_one_that_is_checked() {
    let (one, other) = (Application::start().await, Application::start().await);
    let gateway = Running::start(|config| {
        config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let elsewhere = RouteConfig {
            host: Some("app.example.com".to_owned()),
            ..route("/", "public", &other.url())
        };
        config.route = vec![route("/", "public", &one.url()), elsewhere];
    })
    .await;
    let asked = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = gateway.client().post(gateway.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(asked("/", &[("x-forwarded-host", "app.example.com")]).await, 200);
    assert_eq!((one.received().len(), other.received().len()), (0, 1));
    assert_eq!(asked("/", &[("x-forwarded-host", "evil.example")]).await, 404);
    assert_eq!(asked("/", &[("x-forwarded-host", "a b")]).await, 400);
    // A form is same-origin at the host that the browser sees, and at no other.
    let public = ("x-forwarded-host", "app.example.com");
    for (origin, proto, status) in [
        ("https://app.example.com", "https", 401),
        ("http://app.example.com", "http", 401),
        ("http://app.example.com", "https", 403),
        ("https://gw.example.com", "https", 403),
    ] {
        let sent = [
            public,
            ("origin", origin),
            ("x-forwarded-proto", proto),
            ("content-type", "application/json"),
            ("accept", "application/json"),
        ];
        let mut request = gateway.client().post(gateway.url("/.auth/login"));
        for (name, value) in sent {
            request = request.header(name, value);
        }
        let answer = request
            .body(r#"{"login":"nobody","password":"Wrong-1x"}"#)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{origin} {proto}");
    }
}

/// Applications tell sites apart by the bytes of the host.
#[tokio::test]
async fn s43_an_application_gets_the_host_that_was_judged() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    let port = authority.rsplit(':').next().unwrap();
    for host in [
        authority.clone(),
        format!("GW.Example.Com:{port}"),
        format!("gw.example.com.:{port}"),
        format!("GW.example.com.:{port}"),
    ] {
        let mut raw = gateway.raw().await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(raw.answer().await.0, 200, "{host}");
        let received = app.received().pop().unwrap();
        for name in ["host", "x-forwarded-host"] {
            assert_eq!(received.header(name), Some(authority.as_str()), "{host}: {name}");
        }
    }
}

#[tokio::test]
async fn s40_applications_are_told_no_port_that_a_client_made_up() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    for (host, told) in [
        (authority.as_str(), Some(authority.as_str())),
        // A host without a port means 443, where the gateway does not listen.
        ("gw.example.com", Some(authority.as_str())),
        ("gw.example.com:443", Some(authority.as_str())),
        ("gw.example.com:1", Some(authority.as_str())),
        ("gw.example.com:65535", Some(authority.as_str())),
        ("gw.example.com:65536", None),
        ("gw.example.com:99999", None),
    ] {
        let mut raw = gateway.raw().await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let status = raw.answer().await.0;
        let Some(told) = told else {
            assert_eq!(status, 400, "{host}");
            continue;
        };
        assert_eq!(status, 200, "{host}");
        let request = app.received().pop().unwrap();
        for name in ["host", "x-forwarded-host"] {
            assert_eq!(request.header(name), Some(told), "{host}: {name}");
        }
        let port = told.rsplit(':').next();
        assert_eq!(request.header("x-forwarded-port"), port, "{host}");
    }
}

#[tokio::test]
async fn s40_a_port_that_is_forwarded_to_the_listener_is_public_urls() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.public_url = "https://gw.example.com".parse().unwrap();
        config.route = vec![route("/", "public", &app.url())];
    })
    .await;
    let authority = format!("gw.example.com:{}", gateway.address.port());
    for (host, told) in [
        ("gw.example.com", "gw.example.com"),
        ("gw.example.com:443", "gw.example.com"),
        (authority.as_str(), authority.as_str()),
        ("gw.example.com:1", "gw.example.com"),
    ] {
        let mut raw = gateway.raw().await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(raw.answer().await.0, 200, "{host}");
        let request = app.received().pop().unwrap();
        assert_eq!(request.header("host"), Some(told), "{host}");
    }
}

#[tokio::test]
async fn s46_a_refused_websocket_is_no_navigation() {
    let app = Application::start().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let authority = gateway.authority();
    let mut raw = gateway.raw().await;
    raw.send(format!(
        "GET / HTTP/1.1\r\nHost: {authority}\r\nAccept: text/html\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ))
    .await;
    assert_eq!(raw.answer().await.0, 401);
}

#[tokio::test]
async fn policies() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        let mut ops = route("/ops", "authenticated", &app.url());
        ops.allow = Conditions::of_groups(["ops"]).into();
        let mut preflight = route("/api", "authenticated", &app.url());
        preflight.preflight = true;
        config.route = vec![route("/", "authenticated", &app.url()), ops, preflight];
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let client = gateway.client();
    let asked = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request = client.request(method.parse().unwrap(), gateway.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let signed_in = [("cookie", cookie.as_str())];
    assert_eq!(asked("GET", "/", &signed_in).await.status(), 200);
    assert_eq!(asked("GET", "/ops", &signed_in).await.status(), 403);
    let program = asked("GET", "/a?b=c", &[]).await;
    assert_eq!(program.status(), 401);
    assert!(program.headers().contains_key("www-authenticate"));
    let problem: serde_json::Value = program.json().await.unwrap();
    assert!(problem["type"].as_str().unwrap().ends_with("/not-authenticated"));
    let browser = asked("GET", "/a?b=c", &[("accept", "text/html")]).await;
    assert_eq!(browser.status(), 303);
    assert_eq!(browser.headers()["location"], "/.auth/login?rd=%2Fa%3Fb%3Dc");
    assert_eq!(asked("OPTIONS", "/", &[]).await.status(), 401);
    assert_eq!(asked("OPTIONS", "/api", &[]).await.status(), 401);
    let preflight = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "PUT"),
    ];
    assert_eq!(asked("OPTIONS", "/", &preflight).await.status(), 401);
    assert_eq!(asked("OPTIONS", "/api", &preflight).await.status(), 200);
    // An application takes such a request for an ordinary one.
    for copy in [
        "access_control_request_method",
        "access.control-request-method",
        "origin_",
    ] {
        let odd = [preflight[0], preflight[1], (copy, "")];
        let expected = if copy == "origin_" { 200 } else { 401 };
        assert_eq!(asked("OPTIONS", "/api", &odd).await.status(), expected, "{copy}");
    }
    for not_one in [
        ("origin", "x"),
        ("access-control-request-method", "0"),
        ("access-control-request-method", "P UT"),
    ] {
        let odd = preflight.map(|field| if field.0 == not_one.0 { not_one } else { field });
        assert_eq!(asked("OPTIONS", "/api", &odd).await.status(), 401, "{not_one:?}");
    }
    for empty in ["origin", "access-control-request-method"] {
        let odd = preflight.map(|(name, value)| (name, if name == empty { "" } else { value }));
        assert_eq!(asked("OPTIONS", "/api", &odd).await.status(), 401, "{empty}");
        let twice = [preflight[0], preflight[1], (empty, "x")];
        assert_eq!(asked("OPTIONS", "/api", &twice).await.status(), 401, "{empty}");
    }
    assert_eq!(asked("GET", "/api", &[]).await.status(), 401);
}
