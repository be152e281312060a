//! Reloads of the running program, by command and by signal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::harness::{Application, Letter, PASSWORD, Program, Raw, Site, certify, soon, until};

/// A gateway to be reloaded.
struct Front {
    site: Site,
    gateway: Program,
    authority: String,
}

/// A configuration with these routes, and `rest`.
fn config(routes: &[(&str, &str)], rest: &str) -> String {
    let mut text = format!(
        r#"
        public_url = "https://localhost:0"
        tls.certificates = [{{ cert = "cert.pem", key = "key.pem" }}]
        listen.https = ["127.0.0.1:0"]
        listen.ops = ""
        log.access = false
        password.bcrypt_cost = 10
        {rest}
        "#
    );
    for (path, upstream) in routes {
        writeln!(text, "[[route]]\npath = \"{path}\"\nupstream = \"{upstream}\"").unwrap();
    }
    text
}

impl Front {
    fn start(config: &str) -> Self {
        let site = Site::new(config);
        let authority = certify(&site.path(""));
        let (gateway, _) = Program::start(&site);
        Self {
            site,
            gateway,
            authority,
        }
    }

    fn reload(&self) -> Value {
        self.site.ask(&["reload"])
    }

    fn add(&self, email: &str, options: &[&str]) {
        let arguments = ["user", "add", email, "--password-stdin"];
        let added = self
            .site
            .run_with_input(&[&arguments, options].concat(), PASSWORD);
        assert_eq!(added.status, 0, "{}", added.stderr);
    }

    fn url(&self, path: &str) -> String {
        self.gateway.url(path)
    }

    fn client(&self) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.authority.as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([root]).build().unwrap()
    }

    /// Creates an account and signs in; returns the `Cookie` header of the session.
    async fn signed_in(&self, email: &str) -> String {
        self.signed_in_with(email, &[]).await
    }

    async fn signed_in_with(&self, email: &str, options: &[&str]) -> String {
        self.add(email, options);
        let form = BTreeMap::from([("login", email), ("password", PASSWORD)]);
        let login = self.client().post(self.url("/.auth/login")).json(&form);
        let answer = soon(login.send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Stops a reloaded gateway, which must stop as any other.
    async fn stop(self) {
        // Connections of clients close while it drains.
        let stopped = tokio::task::spawn_blocking(|| self.gateway.stop());
        assert_eq!(soon(stopped).await.unwrap().0, 0);
    }

    async fn status(&self, path: &str, cookie: &str) -> u16 {
        let request = self.client().get(self.url(path)).header("cookie", cookie);
        soon(request.send()).await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn a_new_route_is_there_for_open_sessions_and_open_connections() {
    let app = Application::start().await;
    let front = Front::start(&config(&[("/old", &app.url())], ""));
    let cookie = front.signed_in("ann@example.com").await;
    let mut open = Raw::connect(front.gateway.address, &front.authority, "localhost").await;
    let ask = format!("GET /new HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    open.send(&ask).await;
    assert_eq!(open.answer_with_body().await.0, 404);

    let both = [("/old", app.url()), ("/new", app.url())];
    let both = both.each_ref().map(|(path, url)| (*path, url.as_str()));
    front.site.configure(&config(&both, ""));
    let reloaded = front.reload();
    assert_eq!(
        reloaded,
        json!({ "changed": ["route"], "needs_restart": [], "warnings": [] })
    );

    open.send(&ask).await;
    assert_eq!(open.answer_with_body().await.2, "hello");
    assert_eq!(app.only().header("remote-user"), Some("ann"));
    assert_eq!(front.status("/old", &cookie).await, 200);

    // The reverse, by signal.
    front.site.configure(&config(&[("/new", &app.url())], ""));
    front.gateway.signal(Signal::HUP);
    until(|| front.gateway.said().matches("\"reloaded\"").count() == 2).await;
    assert_eq!(front.status("/old", &cookie).await, 404);
    assert_eq!(front.status("/new", &cookie).await, 200);
    front.stop().await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_every_error_is_told() {
    let app = Application::start().await;
    let front = Front::start(&config(&[("/", &app.url())], ""));
    let cookie = front.signed_in("ann@example.com").await;
    let broken = config(
        &[("/x", "nowhere")],
        "login.usernam = true\nsession.idle = \"soon\"",
    );
    front.site.configure(&broken);

    front.gateway.signal(Signal::HUP);
    until(|| front.gateway.said().contains("not reloaded")).await;
    let said = front.gateway.said();
    for error in [
        "vestibule.toml:8:",
        "login.usernam: unknown key",
        "session.idle",
        "route[0].upstream",
    ] {
        assert!(said.contains(error), "{error}: {said}");
    }
    let refused = front.site.run(&["reload", "--json"]).document(1);
    assert_eq!(refused["errors"].as_array().unwrap().len(), 3, "{refused}");
    // Grammar that is broken does not keep the command from the gateway.
    front.site.configure(&format!("{broken}\n[[rout"));
    let refused = front.site.run(&["reload", "--reason", "a new route", "--json"]);
    assert!(
        refused.document(1)["errors"][0]
            .as_str()
            .unwrap()
            .contains("unclosed")
    );
    front.site.configure(&config(&[("/", &app.url())], ""));
    let events = front.site.list(&["audit", "--event", "reload"]);
    let told: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["reason"])
        .collect();
    assert_eq!(told, ["invalid-configuration"; 3], "{events}");
    assert!(events.to_string().contains("a new route"), "{events}");
    assert_eq!(front.status("/", &cookie).await, 200);

    // A missing file is found before anything is replaced, too.
    front
        .site
        .configure(&config(&[("/x", &app.url())], "branding.logo = \"gone.svg\""));
    assert_eq!(front.site.run(&["reload", "--json"]).status, 1);
    assert_eq!(front.status("/", &cookie).await, 200);
    front.stop().await;
}

#[tokio::test]
async fn a_file_without_any_route_is_refused_by_a_gateway_that_serves_some() {
    let front = Front::start(&config(&[("/", "demo:")], ""));
    let without = config(&[], "");
    for text in ["", "# cut off", &without] {
        front.site.configure(text);
        let refused = front.site.run(&["reload", "--json"]).document(1);
        assert!(
            refused["errors"][0].as_str().unwrap().contains("no route"),
            "{refused}"
        );
        assert_eq!(front.status("/", "").await, 401, "{text}");
    }
    let checked = front.site.run(&["check", "--json"]).document(0);
    let warnings = checked["warnings"].to_string();
    assert!(
        warnings.contains("refuses to be reloaded with this"),
        "{warnings}"
    );
    front.stop().await;

    // A gateway that began without routes may go on so.
    let front = Front::start(&without);
    assert_eq!(front.reload()["changed"], json!([]));
    front.site.configure(&config(&[("/", "demo:")], ""));
    assert_eq!(front.reload()["changed"], json!(["route"]));
    front.stop().await;
}

#[tokio::test]
async fn a_template_that_fails_only_when_it_is_made_changes_nothing() {
    let folder = "branding.folder = \"pages\"";
    let front = Front::start(&config(&[("/", "demo:")], ""));
    std::fs::create_dir(front.site.path("pages")).unwrap();
    front.site.configure(&config(&[("/", "demo:")], folder));
    for (name, fault) in [("login.html", "{{ nobody() }}"), ("letter.html", "{{ nothing }}")] {
        let file = front.site.path("pages").join(name);
        std::fs::write(&file, fault).unwrap();
        let refused = front.site.run(&["reload", "--json"]).document(1).to_string();
        assert!(refused.contains(name), "{refused}");
        let checked = front.site.run(&["check"]);
        assert_eq!(checked.status, 1);
        assert!(checked.stdout.contains(name), "{}", checked.stdout);
        assert_eq!(front.status("/.auth/login", "").await, 200);
        std::fs::remove_file(file).unwrap();
    }
    std::fs::write(
        front.site.path("pages/login.html"),
        "<p style=\"color:red\">{{ t(\"login.title\") }}</p>",
    )
    .unwrap();
    assert_eq!(front.reload()["changed"], json!(["branding"]));
    let checked = front.site.run(&["check", "--json"]).document(0);
    let warnings = checked["warnings"].to_string();
    assert!(
        warnings.contains("login.html has a style attribute"),
        "{warnings}"
    );
    let page = front.client().get(front.url("/.auth/login")).send();
    let page = soon(page).await.unwrap().text().await.unwrap();
    assert_eq!(page, "<p style=\"color:red\">Sign in</p>");
}

#[tokio::test]
async fn a_renewed_certificate_is_served() {
    let mut front = Front::start(&config(&[("/", "demo:")], ""));
    let old = front.client();
    assert!(soon(old.get(front.url("/.auth/login")).send()).await.is_ok());
    front.authority = certify(&front.site.path(""));
    let new = front.client();
    assert!(soon(new.get(front.url("/.auth/login")).send()).await.is_err());
    assert_eq!(front.reload()["changed"], json!([]));
    assert!(soon(new.get(front.url("/.auth/login")).send()).await.is_ok());
}

#[tokio::test]
async fn what_only_a_restart_applies_is_told_and_stays() {
    let front = Front::start(&config(&[("/", "demo:")], ""));
    let cookie = front.signed_in("ann@example.com").await;
    let other = config(
        &[("/", "demo:")],
        "session.cookie_name = \"other\"\nlimits.connections = 7\nsignup.mode = \"invite\"\nlisten.plain = [\"unix:a\"]",
    );
    front
        .site
        .configure(&other.replace("listen.ops = \"\"", "listen.ops = \"127.0.0.1:0\""));
    for changed in [json!(["signup"]), json!([])] {
        let reloaded = front.reload();
        assert_eq!(reloaded["changed"], changed);
        let kept = json!(["listen.plain", "listen.ops", "session", "limits.connections"]);
        assert_eq!(reloaded["needs_restart"], kept);
    }
    assert_eq!(front.status("/", &cookie).await, 200);
}

#[tokio::test]
async fn the_services_and_the_pages_follow() {
    let front = Front::start(&config(&[("/", "demo:")], "signup.mode = \"open\""));
    front.add("ann@example.com", &["--username", "annie"]);
    let sign_in = async || {
        let form = BTreeMap::from([("login", "annie"), ("password", PASSWORD)]);
        let login = front.client().post(front.url("/.auth/login")).json(&form);
        soon(login.send()).await.unwrap().status().as_u16()
    };
    assert_eq!(front.status("/.auth/signup", "").await, 200);
    assert_eq!(sign_in().await, 401);
    front.site.configure(&config(
        &[("/", "demo:")],
        "signup.mode = \"closed\"\nlogin.username = true",
    ));
    assert_eq!(front.reload()["changed"], json!(["signup", "login"]));
    assert_eq!(front.status("/.auth/signup", "").await, 404);
    assert_eq!(sign_in().await, 200);
}

#[tokio::test]
async fn access_keys_prove_something_as_long_as_they_may() {
    let app = Application::start().await;
    let routes = [("/", app.url())];
    let routes = routes.each_ref().map(|(path, url)| (*path, url.as_str()));
    let front = Front::start(&config(&routes, ""));
    front.add("ann@example.com", &[]);
    let key = front.site.ask(&["key", "create", "ann@example.com"]);
    let status = async || {
        let half = |name: &str| key[name].as_str().unwrap().to_owned();
        let request = front.client().get(front.url("/"));
        let request = request.basic_auth(half("access_key"), Some(half("secret_key")));
        soon(request.send()).await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 401);
    for (iam, expected) in [(true, 200), (false, 401), (true, 200)] {
        front
            .site
            .configure(&config(&routes, &format!("login.iam = {iam}")));
        assert_eq!(front.reload()["changed"], json!(["login"]));
        assert_eq!(status().await, expected);
    }
    front.stop().await;
}

#[tokio::test]
async fn a_request_under_way_ends_as_it_began() {
    let (asked, mut is_asked) = mpsc::unbounded_channel();
    let (go, gone) = watch::channel(false);
    let app = Application::serving(move |_, _, _| {
        let (asked, mut gone) = (asked.clone(), gone.clone());
        async move {
            let _ = asked.send(());
            let _ = gone.wait_for(|&gone| gone).await;
            Response::new(Full::new(Bytes::from("late")).boxed_unsync())
        }
    })
    .await;
    let front = Front::start(&config(&[("/", &app.url())], ""));
    let cookie = front.signed_in("ann@example.com").await;
    let request = front.client().get(front.url("/")).header("cookie", &cookie);
    let answer = tokio::spawn(request.send());
    soon(is_asked.recv()).await.unwrap();
    front.site.configure(&config(&[("/other", "demo:")], ""));
    front.reload();
    assert_eq!(front.status("/", &cookie).await, 404);
    go.send(true).unwrap();
    let answer = soon(answer).await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "late");
}

#[tokio::test]
async fn a_secret_in_the_same_file_is_read_again_or_said_to_need_a_restart() {
    let rest = "mail.url = { file = \"mail-url\" }\nstore.url = { file = \"store-url\" }";
    let site = Site::new(&config(&[("/", "demo:")], rest));
    let put = |site: &Site, name: &str, text: &str| {
        let file = site.path(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    put(&site, "mail-url", "file:first\n");
    put(&site, "store-url", "sled:data/store\n");
    let authority = certify(&site.path(""));
    let (gateway, _) = Program::start(&site);
    let front = Front {
        site,
        gateway,
        authority,
    };
    front.add("ann@example.com", &[]);
    let forgot = async || {
        let form = BTreeMap::from([("email", "ann@example.com")]);
        let forgot = front.client().post(front.url("/.auth/forgot")).json(&form);
        assert!(soon(forgot.send()).await.unwrap().status().is_success());
    };
    let mails = |folder: &str| Letter::all_in(&front.site.path(folder)).len();
    forgot().await;
    until(|| mails("first") == 1).await;

    put(&front.site, "mail-url", "file:second\n");
    assert_eq!(front.reload()["needs_restart"], json!([]));
    forgot().await;
    until(|| mails("second") == 1).await;
    assert_eq!(mails("first"), 1);

    put(&front.site, "mail-url", "");
    let refused = front.site.run(&["reload", "--json"]).document(1).to_string();
    assert!(
        refused.contains("mail.url") && refused.contains("is empty"),
        "{refused}"
    );
    forgot().await;
    until(|| mails("second") == 2).await;

    put(&front.site, "mail-url", "file:second\n");
    put(&front.site, "store-url", "sled:data/other\n");
    for _ in 0..2 {
        assert_eq!(front.reload()["needs_restart"], json!(["store"]));
    }
    put(&front.site, "store-url", "sled:data/store");
    assert_eq!(front.reload()["needs_restart"], json!([]));
    // A restart with this key would fail, and so far nothing tells.
    let key = front.site.path("certs/master.key");
    let known = std::fs::read_to_string(&key).unwrap();
    for changed in [
        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n",
        &format!("{known}\n{known}"),
    ] {
        put(&front.site, "certs/master.key", changed);
        assert_eq!(front.reload()["needs_restart"], json!(["store.master_key"]));
    }
    put(&front.site, "certs/master.key", &known);
    assert_eq!(front.reload()["needs_restart"], json!([]));
    front.stop().await;
}

#[tokio::test]
async fn a_mail_server_that_a_reload_names_is_tried_at_once() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let front = Front::start(&config(
        &[("/", "demo:")],
        &format!("mail.url = \"smtp://{nowhere}\""),
    ));
    front.add("ann@example.com", &[]);
    let form = BTreeMap::from([("email", "ann@example.com")]);
    let forgot = front.client().post(front.url("/.auth/forgot")).json(&form);
    assert!(soon(forgot.send()).await.unwrap().status().is_success());
    until(|| front.gateway.said().contains("mails cannot be sent")).await;
    front
        .site
        .configure(&config(&[("/", "demo:")], "mail.url = \"file:outbox\""));
    assert_eq!(front.reload()["changed"], json!(["mail"]));
    until(|| Letter::all_in(&front.site.path("outbox")).len() == 1).await;
    front.stop().await;
}

/// Returns the numbers of requests in an access log and of events in an audit file.
fn logged(front: &Front, name: &str) -> (usize, usize) {
    let count = |file: String| {
        let text = std::fs::read_to_string(front.site.path(&file)).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "{file}: {text}");
        text.lines().count()
    };
    (count(format!("access{name}")), count(format!("audit{name}")))
}

#[tokio::test]
async fn logs_that_were_moved_away_are_opened_again_by_reload_and_by_signals() {
    let rest = "log.access_file = \"access\"\naudit.file = \"audit\"";
    let text = config(&[("/", "demo:")], rest).replace("log.access = false", "log.access = true");
    let front = Front::start(&text);
    front.add("ann@example.com", &[]);
    let act = async || {
        let form = BTreeMap::from([("login", "ann@example.com"), ("password", PASSWORD)]);
        let login = front.client().post(front.url("/.auth/login")).json(&form);
        assert_eq!(soon(login.send()).await.unwrap().status(), 200);
    };
    let opened = || {
        front
            .gateway
            .said()
            .matches("the files of logs are opened again")
            .count()
    };
    act().await;
    let ways: [(&str, &dyn Fn()); 4] = [
        (".1", &|| front.gateway.signal(Signal::USR1)),
        (".2", &|| front.gateway.signal(Signal::HUP)),
        (".3", &|| drop(front.reload())),
        (".4", &|| {
            front.site.configure("nothing = true");
            front.gateway.signal(Signal::HUP);
        }),
    ];
    for (turn, (moved, reopen)) in ways.into_iter().enumerate() {
        until(|| logged(&front, "").0 > 0).await;
        let before = logged(&front, "");
        for file in ["access", "audit"] {
            std::fs::rename(front.site.path(file), front.site.path(&format!("{file}{moved}"))).unwrap();
        }
        reopen();
        until(|| opened() == turn + 1 && front.site.path("audit").exists()).await;
        // A reload is itself an event.
        until(|| moved == ".1" || logged(&front, "").1 == 1).await;
        act().await;
        until(|| logged(&front, "").0 == 1).await;
        assert_eq!(logged(&front, moved), before, "{moved}");
        assert!(logged(&front, "").1 >= 1, "{moved}");
    }
    front.stop().await;
}

#[tokio::test]
async fn a_reload_is_refused_where_a_log_cannot_be_opened_again() {
    for (key, file) in [("log.access_file", "access"), ("audit.file", "audit")] {
        let rest = "log.access_file = \"access\"\naudit.file = \"audit\"";
        let text = config(&[("/", "demo:")], rest).replace("log.access = false", "log.access = true");
        let front = Front::start(&text);
        let cookie = front.signed_in("ann@example.com").await;
        let old = front.site.path(&format!("{file}.1"));
        std::fs::rename(front.site.path(file), &old).unwrap();
        std::fs::create_dir(front.site.path(file)).unwrap();
        front
            .site
            .configure(&text.replace("path = \"/\"", "path = \"/new\""));
        let refused = front.site.run(&["reload"]);
        assert_eq!(refused.status, 1, "{key}: {}", refused.stdout);
        for part in ["not reloaded", key, "Is a directory"] {
            assert!(refused.stderr.contains(part), "{key}: {}", refused.stderr);
        }
        assert_eq!(front.status("/", &cookie).await, 200, "{key}: the old route");
        let lines = std::fs::read_to_string(&old).unwrap();
        if key == "audit.file" {
            let last = lines.lines().last().unwrap();
            assert!(
                last.contains("\"event\":\"reload\"") && last.contains("\"outcome\":\"failure\""),
                "the old file stays in use: {last}"
            );
        }
        std::fs::remove_dir(front.site.path(file)).unwrap();
        assert_eq!(front.reload()["changed"], json!(["route"]), "{key}");
        assert_eq!(front.status("/", &cookie).await, 404, "{key}");
        assert!(front.site.path(file).is_file(), "{key}");
        front.stop().await;
    }
}

#[tokio::test]
async fn no_other_signal_ends_a_gateway() {
    let front = Front::start(&config(&[("/", "demo:")], ""));
    for (signal, name) in [
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::SYS, "SIGSYS"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::IO, "SIGIO"),
        (Signal::POWER, "SIGPWR"),
        (Signal::STKFLT, "SIGSTKFLT"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ] {
        front.gateway.signal(signal);
        until(|| front.gateway.said().contains(name)).await;
    }
    for number in [34, 50, 63, 64] {
        front.gateway.signal_number(number);
        until(|| front.gateway.said().contains(&format!("signal {number}"))).await;
    }
    for signal in [
        Signal::PIPE,
        Signal::CHILD,
        Signal::WINCH,
        Signal::URG,
        Signal::USR1,
    ] {
        front.gateway.signal(signal);
    }
    assert_eq!(front.status("/.auth/login", "").await, 200);
    front.stop().await;
}

#[tokio::test]
async fn sigquit_and_sigint_drain_as_sigterm_does() {
    for signal in [Signal::QUIT, Signal::INT] {
        let (asked, mut is_asked) = mpsc::unbounded_channel();
        let (go, gone) = watch::channel(false);
        let app = Application::serving(move |_, _, _| {
            let (asked, mut gone) = (asked.clone(), gone.clone());
            async move {
                let _ = asked.send(());
                let _ = gone.wait_for(|&gone| gone).await;
                Response::new(Full::new(Bytes::from("late")).boxed_unsync())
            }
        })
        .await;
        let text = config(&[("/", &app.url())], "") + "allow = \"public\"\n";
        let front = Front::start(&text);
        let answer = tokio::spawn(front.client().get(front.url("/")).send());
        soon(is_asked.recv()).await.unwrap();
        front.gateway.signal(signal);
        until(|| front.gateway.said().contains("stopping")).await;
        go.send(true).unwrap();
        let answer = soon(answer).await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "late");
        let ended = tokio::task::spawn_blocking(|| front.gateway.ended());
        assert_eq!(soon(ended).await.unwrap(), Some(0), "{signal:?}");
    }
}

#[test]
fn without_a_gateway_there_is_nothing_to_reload() {
    let site = Site::new("");
    let refused = site.run(&["reload", "--json"]).error(1);
    assert!(refused.contains("no gateway answers at"), "{refused}");
    assert!(!site.path("data").exists(), "nothing was opened");
}

#[tokio::test]
async fn sign_ins_sessions_and_locks_are_counted_across_a_reload() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ops = socket.local_addr().unwrap();
    drop(socket);
    let text = config(&[("/", "demo:")], "lockout.max_failures = 1");
    let front = Front::start(&text.replace("listen.ops = \"\"", &format!("listen.ops = \"{ops}\"")));
    front.signed_in("ann@example.com").await;
    front.reload();
    for status in [401, 401, 429] {
        let form = BTreeMap::from([("login", "ann@example.com"), ("password", "wrong")]);
        let login = front.client().post(front.url("/.auth/login")).json(&form);
        assert_eq!(soon(login.send()).await.unwrap().status(), status);
    }
    let told = soon(reqwest::get(format!("http://{ops}/metrics"))).await.unwrap();
    let told = told.text().await.unwrap();
    for line in [
        "vestibule_sign_ins_total{outcome=\"succeeded\"} 1",
        "vestibule_sign_ins_total{outcome=\"failed\"} 2",
        "vestibule_sign_ins_total{outcome=\"locked\"} 1",
        "vestibule_locks_total 1",
        "vestibule_sessions 1",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
}

#[tokio::test]
async fn s76_a_form_that_was_held_back_is_done_by_the_configuration_of_now() {
    let front = Front::start(&config(&[("/", "demo:")], "admin.group = \"first\""));
    let root = front
        .signed_in_with("root1@example.com", &["--group", "first"])
        .await;
    front.add("root2@example.com", &["--group", "second"]);
    front.add("ann@example.com", &[]);
    let form = "account=ann%40example.com&action=disable";
    let mut held = Raw::connect(front.gateway.address, &front.authority, "localhost").await;
    held.send(format!(
        "POST /.auth/admin/account HTTP/1.1\r\nHost: localhost\r\nCookie: {root}\r\nAccept: application/json\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        form.len()
    ))
    .await;
    assert!(held.head().await.starts_with("HTTP/1.1 100 "));
    held.send(&form[..form.len() - 1]).await;
    front
        .site
        .configure(&config(&[("/", "demo:")], "admin.group = \"second\""));
    front.reload();
    held.send(&form[form.len() - 1..]).await;
    let (status, _, body) = held.answer_with_body().await;
    assert_eq!(status, 403, "{body}");
    let shown = front.site.ask(&["user", "show", "ann@example.com"]);
    assert_eq!(shown["status"], "active", "{shown}");
    front.stop().await;
}
