//! All of the gateway's own pages, over the wire.

use std::collections::BTreeSet;

use reqwest::Response;
use vestibule::control::{Command, SocketClient as Administrator};
use vestibule::route::Page;
use vestibule::services::AccountChange;

use crate::harness::{Application, Program, Raw, Running, Site, route, soon};

/// Returns a path of every page with one of these methods; includes new pages automatically.
fn pages_that_answer(methods: &[&str]) -> Vec<String> {
    let answers = |page: &&Page| page.methods().iter().any(|method| methods.contains(method));
    let path = |page: &Page| match page {
        Page::Problem => format!("{}locked", page.path()),
        Page::Asset => format!("{}icon.svg", page.path()),
        page => page.path().to_owned(),
    };
    Page::ALL.iter().filter(answers).map(path).collect()
}

/// Signs in an administrator, who may see every page.
async fn administrator(gateway: &Running) -> String {
    gateway.signed_in("ann").await;
    let groups = BTreeSet::from(["gateway-admin".to_owned()]);
    let command = Command::ChangeUser {
        user: "ann".to_owned(),
        change: AccountChange::SetGroups(groups),
    };
    let changed = Administrator::new(&gateway.file("admin.sock"))
        .send(&command)
        .await;
    changed.unwrap().unwrap();
    gateway.sign_in("ann@example.com").await
}

#[tokio::test]
async fn s30_other_sites_change_nothing_on_any_page() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let cookie = administrator(&gateway).await;
    let client = gateway.client();
    let own = format!("https://{}", gateway.authority());
    let paths = pages_that_answer(&["POST", "PUT", "PATCH", "DELETE"]);
    assert!(paths.len() >= 3, "{paths:?}");
    for path in &paths {
        let ask = |headers: &[(&'static str, &str)]| {
            let mut request = client
                .post(gateway.url(path))
                .header("cookie", &cookie)
                .header("accept", "application/json");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            soon(request.send())
        };
        for headers in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "http://gw.example.com")],
            &[("origin", "https://evil.gw.example.com")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", &own), ("sec-fetch-site", "cross-site")],
            &[
                ("origin", "https://evil.example"),
                ("sec-fetch-site", "same-origin"),
            ],
        ] {
            let answer = ask(headers).await.unwrap();
            assert_eq!(answer.status(), 403, "{path} {headers:?}");
            assert!(!answer.headers().contains_key("set-cookie"), "{path} {headers:?}");
            let problem: serde_json::Value = answer.json().await.unwrap();
            let kind = problem["type"].as_str().unwrap();
            assert!(kind.ends_with("/cross-origin"), "{path} {headers:?}: {problem}");
        }
    }
    // The session is still valid, so none of these signed out; now one does.
    let me = client.get(gateway.url("/.auth/me")).header("cookie", &cookie);
    assert_eq!(soon(me.send()).await.unwrap().status(), 200);
    for path in &paths {
        let same = client
            .post(gateway.url(path))
            .header("origin", &own)
            .header("sec-fetch-site", "same-origin");
        assert_ne!(soon(same.send()).await.unwrap().status(), 403, "{path}");
    }
}

#[tokio::test]
async fn s32_every_page_says_how_a_browser_is_to_treat_it() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let cookie = administrator(&gateway).await;
    let client = gateway.client();
    let paths = pages_that_answer(&["GET"]);
    assert!(paths.len() >= 7, "{paths:?}");
    for path in paths {
        for cookie in ["", &cookie] {
            let request = client.get(gateway.url(&path)).header("cookie", cookie);
            let answer = soon(request.header("accept", "text/html").send()).await.unwrap();
            assert_hardened(&path, &answer);
            let hsts = answer.headers().get("strict-transport-security");
            assert_eq!(hsts.unwrap(), "max-age=31536000", "{path}");
        }
    }
}

fn assert_hardened(path: &str, answer: &Response) {
    let header = |name: &str| {
        let all: Vec<&str> = answer
            .headers()
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert!(all.len() < 2, "{path}: {name}: {all:?}");
        all.first().copied().unwrap_or_default().to_owned()
    };
    assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    let kind = header("content-type");
    if kind.starts_with("text/html") {
        let policy = header("content-security-policy");
        for directive in ["default-src 'none'", "frame-ancestors 'none'", "form-action "] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
    if !(path.starts_with("/.auth/assets/") && answer.status() == 200) {
        assert_eq!(header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn s32_the_local_authority_promises_browsers_nothing() {
    let site = Site::new(
        r#"
        public_url = "https://gw.example.com:0"
        [listen]
        https = ["127.0.0.1:0"]
        ops = ""
        "#,
    );
    let (program, _) = Program::start(&site);
    let mut raw = Raw::connect(program.address, &site.authority(), "gw.example.com").await;
    let authority = format!("gw.example.com:{}", program.address.port());
    raw.send(format!(
        "GET /.auth/login HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    ))
    .await;
    let (status, head) = raw.answer().await;
    assert_eq!(status, 200, "{head}");
    assert!(
        !head.to_ascii_lowercase().contains("strict-transport-security"),
        "{head}"
    );
}

#[tokio::test]
async fn s50_the_public_listener_leads_to_no_operations() {
    const OPS: [&str; 3] = ["/livez", "/readyz", "/metrics"];
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.listen.ops = "127.0.0.1:0".to_owned();
        config.route = vec![route("/", "public", &app.url())];
    })
    .await;
    for path in OPS {
        let answer = soon(gateway.client().get(gateway.url(path)).send())
            .await
            .unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello", "{path}: the application's");
    }
    assert_eq!(app.received().len(), OPS.len());
    let closed = Running::start(|config| {
        config.listen.ops = "127.0.0.1:0".to_owned();
        config.route.clear();
    })
    .await;
    for path in OPS {
        for path in [path.to_owned(), format!("/.auth{path}")] {
            let answer = soon(closed.client().get(closed.url(&path)).send()).await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
    }
    // A command of the admin socket is no request here.
    let mut raw = gateway.raw().await;
    raw.send("{\"version\":1,\"command\":\"list-invitations\"}\n\r\n\r\n")
        .await;
    let answer = raw.until_closed().await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
    assert_eq!(app.received().len(), OPS.len());
}
