//! Faults inside the gateway, as a client sees them: 503, and nothing is forwarded.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::json;
use vestibule::config::HumanDuration;
use vestibule::ids::AccountId;

use crate::harness::{Application, PASSWORD, Program, Running, Site, soon, until};

fn site(app: &Application) -> Site {
    Site::new(&format!(
        r#"
        public_url = "https://localhost:0"
        [listen]
        https = ["127.0.0.1:0"]
        ops = ""
        [password]
        bcrypt_cost = 10
        [[route]]
        allow = "authenticated"
        upstream = "{}"
        "#,
        app.url()
    ))
}

/// Overwrites every row of a kind with garbage.
fn damage(site: &Site, kind: u8) {
    damage_rows(site, &[kind]);
}

/// Overwrites every row whose key begins with `prefix`.
fn damage_rows(site: &Site, prefix: &[u8]) {
    let db = ::sled::open(site.path("data/store")).unwrap();
    let keys: Vec<_> = db.scan_prefix(prefix).keys().map(Result::unwrap).collect();
    assert!(!keys.is_empty());
    for key in keys {
        db.insert(key, b"\x01{nonsense").unwrap();
    }
    db.flush().unwrap();
    drop(db);
    close(site);
}

/// Makes the engine's files readable for others, which the gateway refuses to open.
fn close(site: &Site) {
    for file in fs::read_dir(site.path("data/store")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

fn add(site: &Site, email: &str) {
    let arguments = ["user", "add", email, "--password-stdin", "--json"];
    site.run_with_input(&arguments, PASSWORD).document(0);
}

async fn sign_in(program: &Program, site: &Site) -> reqwest::Response {
    sign_in_as(program, site, "ann@example.com").await
}

async fn sign_in_as(program: &Program, site: &Site, login: &str) -> reqwest::Response {
    let form = json!({ "login": login, "password": PASSWORD });
    let login = program.client(site).post(program.url("/.auth/login")).json(&form);
    soon(login.send()).await.unwrap()
}

#[tokio::test]
async fn s49_a_corrupt_account_is_unavailable_and_nothing_is_forwarded() {
    let app = Application::start().await;
    let site = site(&app);
    add(&site, "ann@example.com");
    damage(&site, b'a');
    let (program, _) = Program::start(&site);
    let answer = sign_in(&program, &site).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(!answer.headers().contains_key("set-cookie"));
    let said = answer.text().await.unwrap();
    assert!(said.contains("/problems/unavailable"), "{said}");
    assert!(
        !said.contains("nonsense") && !said.contains("row"),
        "no cause: {said}"
    );
    let asked = program.client(&site).get(program.url("/"));
    assert_eq!(soon(asked.send()).await.unwrap().status(), 401);
    assert!(app.received().is_empty());
    let (_, log) = program.stop();
    assert!(log.contains("the store is damaged: Account "), "{log}");
}

#[tokio::test]
async fn s18_asking_for_a_reset_is_answered_before_any_account_is_read() {
    let app = Application::start().await;
    let site = site(&app);
    add(&site, "ann@example.com");
    damage(&site, b'a');
    let (program, _) = Program::start(&site);
    let forgot = async |email: &str| {
        let form = json!({ "email": email });
        let post = program
            .client(&site)
            .post(program.url("/.auth/forgot"))
            .json(&form);
        let answer = soon(post.send()).await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let told = forgot("ann@example.com").await;
    assert_eq!(
        (told.0.as_u16(), &told),
        (202, &forgot("nobody@example.com").await)
    );
}

#[tokio::test]
async fn s49_a_corrupt_session_serves_nobody() {
    let app = Application::start().await;
    let site = site(&app);
    add(&site, "ann@example.com");
    let id = id_of(&site, "ann");
    let (program, _) = Program::start(&site);
    let ann = cookie(&sign_in(&program, &site).await);
    program.stop();
    damage(&site, b's');
    let (program, log) = Program::start(&site);
    let names_it = |line: &str| line.contains("Session") && line.contains(&id);
    assert!(log.lines().any(names_it), "{log}");
    assert_eq!(visit(&program, &site, &ann).await, 401);
    assert!(app.received().is_empty());
    let again = cookie(&sign_in(&program, &site).await);
    assert_eq!(visit(&program, &site, &again).await, 200);
}

#[tokio::test]
async fn s49_a_row_that_cannot_be_read_shuts_out_its_account_alone() {
    for (kind, serves) in [(b'a', false), (b'k', true)] {
        let app = Application::start().await;
        let site = site(&app);
        add(&site, "ann@example.com");
        add(&site, "bob@example.com");
        let id = id_of(&site, "bob");
        let [ann_key, bob_key] = ["ann@example.com", "bob@example.com"].map(|of| {
            let made = site.ask(&["key", "create", of]);
            made["access_key"].as_str().unwrap().to_owned()
        });
        let (program, _) = Program::start(&site);
        let ann = cookie(&sign_in(&program, &site).await);
        let bob = cookie(&sign_in_as(&program, &site, "bob@example.com").await);
        program.stop();
        let account: AccountId = id.parse().unwrap();
        let row = match kind {
            b'a' => account.as_bytes().to_vec(),
            _ => bob_key.clone().into_bytes(),
        };
        damage_rows(&site, &[&[kind], row.as_slice()].concat());

        let (program, log) = Program::start(&site);
        let names_it = |line: &str| line.contains("cannot be read") && line.contains(&id);
        assert!(log.lines().any(names_it), "{log}");
        assert_eq!(visit(&program, &site, &ann).await, 200);
        assert_eq!(visit(&program, &site, &bob).await, if serves { 200 } else { 401 });
        let listed = site.list(&["key", "list"]);
        let live = |key: &str| {
            let mut keys = listed.as_array().unwrap().iter();
            keys.any(|listed| listed["access_key"] == key && listed["live"] == true)
        };
        assert_eq!((live(&ann_key), live(&bob_key)), (true, false), "{listed}");
    }
}

#[tokio::test]
async fn a_mail_that_cannot_be_read_stands_before_no_other() {
    let app = Application::start().await;
    let site = site(&app);
    add(&site, "ann@example.com");
    // A due entry of 1970 without the row that it points to.
    let db = ::sled::open(site.path("data/store")).unwrap();
    let due = [b"Q".as_slice(), &[0; 24]].concat();
    db.insert(due, b"\x01null").unwrap();
    db.flush().unwrap();
    drop(db);
    close(&site);
    let (program, _) = Program::start(&site);
    let form = json!({ "email": "ann@example.com" });
    let forgot = program
        .client(&site)
        .post(program.url("/.auth/forgot"))
        .json(&form);
    assert_eq!(soon(forgot.send()).await.unwrap().status(), 202);
    let outbox = site.path("data/outbox");
    until(|| fs::read_dir(&outbox).is_ok_and(|mails| mails.count() == 1)).await;
    let (_, log) = program.stop();
    assert!(log.contains("a mail cannot be read and is not sent"), "{log}");
}

fn id_of(site: &Site, who: &str) -> String {
    site.ask(&["user", "show", who])["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn cookie(answer: &reqwest::Response) -> String {
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn visit(program: &Program, site: &Site, cookie: &str) -> u16 {
    let request = program
        .client(site)
        .get(program.url("/"))
        .header("cookie", cookie);
    soon(request.send()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn s49_a_panic_costs_one_answer_and_neither_connection_nor_gateway() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![crate::harness::route("/", "public", &app.url())];
        // No configuration can say this: the time is beyond the clock's range and panics.
        config.timeouts.response = HumanDuration(Duration::MAX);
    })
    .await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.authority());
    let mut raw = gateway.raw().await;
    for _ in 0..3 {
        raw.send(get("/")).await;
        let (status, head, said) = raw.answer_with_body().await;
        assert_eq!(status, 503, "{head}{said}");
        let head = head.to_ascii_lowercase();
        assert!(
            head.contains("retry-after: ") && head.contains("x-request-id: "),
            "{head}"
        );
        assert!(!said.contains("panic"), "{said}");
        raw.send(get("/.auth/login")).await;
        assert_eq!(raw.answer().await.0, 200, "on the same connection");
    }
    let client = gateway.http2_client();
    for (path, status) in [("/", 503), ("/.auth/login", 200), ("/", 503)] {
        let answer = soon(client.get(gateway.url(path)).send()).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}
