//! Routing, over the wire.

use crate::harness::frames::{self, END_HEADERS, END_STREAM, H2Connection, HEADERS};
use crate::harness::{Application, Running, route, upstream};

const END: &str = "Connection: close\r\n\r\n";

/// Returns the status of a request line that is sent as it is.
async fn status(gateway: &Running, line: &str) -> u16 {
    let mut raw = gateway.raw().await;
    raw.send(format!(
        "{line} HTTP/1.1\r\nHost: {}\r\n{END}",
        gateway.authority()
    ))
    .await;
    raw.answer().await.0
}

#[tokio::test]
async fn s43_paths_that_mean_different_things_are_refused_and_others_are_forwarded_as_sent() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            route("/admin", "authenticated", &app.url()),
        ];
    })
    .await;
    for path in [
        "/a/../b",
        "/a/%2e%2e/b",
        "/a/.%2E",
        "/.",
        "/a\\b",
        "/a%5cb",
        "/a%00",
        "/a%2fb",
        "/a#b",
        "/a?b#c",
        "//admin",
        "/%61dmin",
        "/admin;x",
        "/x/%252e%252e/admin",
        "/%61dmin/..;/x",
        "/%61dmin/users/%252e%252e/%252e%252e/",
        "/adm%69n/index.php/..;/..;/",
        "/%61dmin/..;",
        "/%61dmin;/..;/",
        "//x/admin/users",
        "///x/admin",
        "/ADMIN",
        "/a%25252525",
        "/%2eauth/login",
        "//.auth/login",
        "/VirtualHostRoot/admin",
        "/VirtualHostBase/https/h:443/VirtualHostRoot/admin",
        "/VirtualHostBase/https/h:443/VirtualHostRoot/x",
        "/VirtualHostBase/https/h:443/VirtualHostRoot/_vh_x/admin",
        "/VirtualHostBase/https/h:443/admin/VirtualHostRoot/x",
        "/VirtualHostBase/https/admin.h/*/VirtualHostRoot/x",
        "/virtual_hosting/admin",
        "/%76irtual_hosting/admin",
        "/_vh_x/admin",
    ] {
        assert_eq!(status(&gateway, &format!("GET {path}")).await, 400, "{path}");
    }
    assert!(app.received().is_empty(), "{:?}", app.received());
    let sent = [
        "/a//b",
        "/a;b=c/d",
        "/%20%41?%2e%2e//#".trim_end_matches('#'),
        "/x/%252f/y",
        "/A/B",
        "/%ED%99%8D;v=1/C%20D",
        "/%E2%82%AC?a=/../b",
        "/virtual_hosting/x",
        "/virtualhostroot/admin",
    ];
    for path in sent {
        assert_eq!(status(&gateway, &format!("GET {path}")).await, 200, "{path}");
    }
    let targets: Vec<String> = app.received().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, sent);
}

/// 400 in the static table of HTTP/2 (RFC 7541, appendix A).
const STATUS_400: u8 = 0x8c;

#[tokio::test]
async fn s43_over_http2_a_target_without_a_path_is_refused_and_never_sent_as_an_empty_one() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = std::fs::read_to_string(gateway.file("authority.pem")).unwrap();
    for path in ["#/admin", "#", "?x", "?x#/admin"] {
        let mut connection = H2Connection::connect(gateway.address, &authority, "gw.example.com").await;
        let head = frames::head("GET", &gateway.authority(), path);
        connection
            .send(frames::frame(HEADERS, END_HEADERS | END_STREAM, 1, &head))
            .await;
        let answer = connection.answer(1).await;
        assert!(
            answer.status == STATUS_400 || answer.reset.is_some(),
            "{path}: {answer:?}"
        );
    }
    assert!(app.received().is_empty(), "{:?}", app.received());
}

/// 200 in the same table.
const STATUS_200: u8 = 0x88;

/// hyper drops a fragment in HTTP/2 before the gateway sees it. The rest is what policy evaluates, and what
/// the upstream gets.
#[tokio::test]
async fn s43_over_http2_a_path_is_checked_and_sent_without_its_fragment() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            route("/admin", "authenticated", &app.url()),
        ];
    })
    .await;
    let authority = std::fs::read_to_string(gateway.file("authority.pem")).unwrap();
    for (path, sent) in [
        ("/x#y", Some("/x")),
        ("/x#/../admin", Some("/x")),
        ("/x?a=b#/../admin", Some("/x?a=b")),
        ("/#/admin", Some("/")),
        ("/admin#/../x", None),
        ("/admin/#", None),
        ("/x/..#/admin", None),
        ("/x%23/../admin", None),
    ] {
        let mut connection = H2Connection::connect(gateway.address, &authority, "gw.example.com").await;
        let head = frames::head("GET", &gateway.authority(), path);
        connection
            .send(frames::frame(HEADERS, END_HEADERS | END_STREAM, 1, &head))
            .await;
        let answer = connection.answer(1).await;
        assert_eq!(answer.status == STATUS_200, sent.is_some(), "{path}: {answer:?}");
        let received = app.received().pop().filter(|_| sent.is_some());
        assert_eq!(
            received.as_ref().map(|request| request.target.as_str()),
            sent,
            "{path}"
        );
    }
    assert_eq!(app.received().len(), 4);
}

#[tokio::test]
async fn a_refused_path_is_answered_with_its_reason_in_the_readers_language() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            route("/admin", "authenticated", &app.url()),
        ];
    })
    .await;
    for (path, english, korean) in [
        ("/a/..;/b", "“..”", "“..”"),
        ("/a%5Cb", "backslash", "역슬래시"),
        ("/a%00b", "NUL", "NUL"),
        ("/a#b", "“#”", "“#”"),
        ("/a%2fb", "encoded slash", "인코딩된 슬래시"),
        ("/%c0%ae", "overlong", "지나치게 긴"),
        ("/%25252525", "more than three times", "세 번 넘게"),
        ("/ADMIN", "path of another route", "다른 라우트의 경로"),
    ] {
        for (language, reason) in [("en", english), ("ko", korean)] {
            let mut raw = gateway.raw().await;
            let authority = gateway.authority();
            raw.send(format!(
                "GET {path} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\nAccept-Language: {language}\r\n{END}"
            ))
            .await;
            let (status, _, answer) = raw.answer_with_body().await;
            assert_eq!(status, 400, "{path}");
            assert!(answer.contains(reason), "{path}: {answer}");
        }
    }
    assert!(app.received().is_empty());
}

#[tokio::test]
async fn s44_query_and_agent_do_not_choose_the_route() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "authenticated", &app.url()),
            route("/open", "public", &app.url()),
        ];
    })
    .await;
    for path in ["/?/open", "/?path=/open", "/closed?x=/../open"] {
        assert_eq!(status(&gateway, &format!("GET {path}")).await, 401, "{path}");
    }
    let asked = gateway
        .client()
        .get(gateway.url("/"))
        .header("user-agent", "/open");
    assert_eq!(asked.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn only_one_host_is_asked_for() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    for (head, expected) in [
        (
            format!("GET https://{authority}/x HTTP/1.1\r\nHost: {authority}\r\n"),
            200,
        ),
        (
            format!("GET https://other.example.com/x HTTP/1.1\r\nHost: {authority}\r\n"),
            400,
        ),
        ("GET / HTTP/1.1\r\n".to_owned(), 400),
        (
            format!("GET / HTTP/1.1\r\nHost: {authority}\r\nHost: {authority}\r\n"),
            400,
        ),
        (format!("GET / HTTP/1.1\r\nHost: user@{authority}\r\n"), 400),
        (format!("GET * HTTP/1.1\r\nHost: {authority}\r\n"), 400),
        (format!("TRACE / HTTP/1.1\r\nHost: {authority}\r\n"), 405),
        (
            format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"),
            405,
        ),
        // Not the host of the handshake.
        ("GET / HTTP/1.1\r\nHost: app.example.com\r\n".to_owned(), 421),
    ] {
        let mut raw = gateway.raw().await;
        raw.send(format!("{head}{END}")).await;
        let (status, answer) = raw.answer().await;
        assert_eq!(status, expected, "{head}");
        assert!(answer.to_ascii_lowercase().contains("x-request-id: "), "{answer}");
    }
    assert_eq!(app.only().target, "/x");
    let mut other = gateway.raw_for("app.example.com").await;
    other
        .send(format!("GET / HTTP/1.1\r\nHost: app.example.com\r\n{END}"))
        .await;
    assert_eq!(other.answer().await.0, 404);
}

/// 204 in the same table.
const STATUS_204: u8 = 0x89;

#[tokio::test]
async fn the_gateway_itself_answers_what_is_asked_of_the_server() {
    let app = Application::start().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let authority = gateway.authority();
    let ask = async |line: &str| {
        let mut raw = gateway.raw().await;
        raw.send(format!("{line} HTTP/1.1\r\nHost: {authority}\r\n{END}"))
            .await;
        raw.answer().await
    };
    let (status, head) = ask("OPTIONS *").await;
    assert_eq!(status, 204);
    assert!(
        head.contains("allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"),
        "{head}"
    );
    for line in ["GET *", "OPTIONS *?x", "OPTIONS */x"] {
        assert_eq!(ask(line).await.0, 400, "{line}");
    }
    let mut connection = gateway.frames().await;
    let head = frames::head("OPTIONS", &authority, "*");
    let asked = frames::frame(HEADERS, END_HEADERS | END_STREAM, 1, &head);
    connection.send(asked).await;
    assert_eq!(connection.answer(1).await.status, STATUS_204);
    let mut other = gateway.raw_for("app.example.com").await;
    other
        .send(format!("OPTIONS * HTTP/1.1\r\nHost: app.example.com\r\n{END}"))
        .await;
    assert_eq!(other.answer().await.0, 404);
    assert!(app.received().is_empty());
}

#[tokio::test]
async fn a_host_with_an_empty_port_is_one_without() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.public_url = "https://gw.example.com".parse().unwrap();
        config.route = vec![route("/", "public", &app.url())];
    })
    .await;
    let mut raw = gateway.raw().await;
    raw.send(format!("GET / HTTP/1.1\r\nHost: gw.example.com:\r\n{END}"))
        .await;
    assert_eq!(raw.answer().await.0, 200);
    let mut connection = gateway.frames().await;
    let head = frames::head("GET", "gw.example.com:", "/");
    let asked = frames::frame(HEADERS, END_HEADERS | END_STREAM, 1, &head);
    connection.send(asked).await;
    assert_eq!(connection.answer(1).await.status, STATUS_200);
    for request in app.received() {
        for name in ["host", "x-forwarded-host"] {
            assert_eq!(request.header(name), Some("gw.example.com"));
        }
    }
}

#[tokio::test]
async fn methods_and_pages() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.upstream.insert("app".to_owned(), upstream(&[&app.url()]));
        let mut api = route("/api", "public", "app");
        api.methods = vec!["GET".to_owned(), "POST".to_owned()];
        let mut wild = route("/", "public", "app");
        wild.host = Some("*.wild.example.com".to_owned());
        config.route = vec![api, wild];
    })
    .await;
    let client = gateway.client();
    let asked = async |method: &str, url: String| {
        let request = client.request(method.parse().unwrap(), url);
        request.send().await.unwrap()
    };
    let refused = asked("DELETE", gateway.url("/api/x")).await;
    assert_eq!(refused.status(), 405);
    assert_eq!(refused.headers()["allow"], "GET, HEAD, POST");
    assert_eq!(asked("HEAD", gateway.url("/api")).await.status(), 200);
    assert_eq!(asked("GET", gateway.url("/apis")).await.status(), 404);
    for host in ["gw.example.com", "any.wild.example.com"] {
        let page = asked("HEAD", gateway.url_of(host, "/.auth/login")).await;
        assert_eq!(page.status(), 200, "{host}");
        let front = asked("GET", gateway.url_of(host, "/.auth/")).await;
        assert_eq!(
            (front.status().as_u16(), &front.headers()["location"]),
            (303, &"/.auth/login".parse().unwrap())
        );
        assert_eq!(asked("GET", gateway.url_of(host, "/.auth/x")).await.status(), 404);
        let options = asked("OPTIONS", gateway.url_of(host, "/.auth/login")).await;
        assert_eq!(
            (options.status().as_u16(), &options.headers()["allow"]),
            (204, &"GET, HEAD, POST, OPTIONS".parse().unwrap())
        );
        let put = asked("PUT", gateway.url_of(host, "/.auth/login")).await;
        assert_eq!(
            (put.status().as_u16(), &put.headers()["allow"]),
            (405, &"GET, HEAD, POST, OPTIONS".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn every_response_has_a_request_id_and_only_public_names_have_hsts() {
    let app = Application::answering(|_| {
        http::Response::builder()
            .header("x-request-id", "the-applications")
            .header("strict-transport-security", "max-age=1")
            .body("x".into())
            .unwrap()
    })
    .await;
    let gateway = Running::start(|config| {
        let mut local = route("/", "public", &app.url());
        local.host = Some("localhost".to_owned());
        config.route = vec![route("/", "public", &app.url()), local];
    })
    .await;
    let client = gateway.client();
    for path in ["/", "/.auth/login", "/.auth/nothing", "/.auth/me"] {
        let asked = client.get(gateway.url(path)).header("x-request-id", "mine");
        let answer = asked.send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        assert!(id.len() == 24 && id != "mine", "{path}: {id}");
        assert!(
            answer.headers().contains_key("strict-transport-security"),
            "{path}"
        );
        let local = client
            .get(gateway.url_of("localhost", path))
            .send()
            .await
            .unwrap();
        assert!(
            !local.headers().contains_key("strict-transport-security"),
            "{path}"
        );
    }
    let forwarded = app.received().remove(0);
    assert_eq!(forwarded.header("x-request-id").unwrap().len(), 24);
}
