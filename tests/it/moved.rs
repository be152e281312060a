//! A gateway that was filled from another one's export has everything that its users had.

use std::fs;

use reqwest::StatusCode;
use serde_json::{Value, json};
use vestibule::clock::Clock;

use crate::harness::signer::{Signer, get};
use crate::harness::{Letter, PASSWORD, Program, Site, until};

const CONFIG: &str = r#"
    public_url = "https://localhost:0"
    [listen]
    https = ["127.0.0.1:0"]
    ops = ""
    [signup]
    mode = "open"
    [login]
    iam = true
    [password]
    bcrypt_cost = 10
    [[route]]
    path = "/"
    upstream = "demo:"
"#;

/// A running gateway, as a user's program sees it.
struct TestGateway<'s> {
    program: Program,
    http: reqwest::Client,
    site: &'s Site,
}

impl<'s> TestGateway<'s> {
    fn start(site: &'s Site) -> Self {
        let (program, _) = Program::start(site);
        let http = program.client(site);
        Self { program, http, site }
    }

    async fn post(&self, path: &str, fields: &Value) -> (StatusCode, Value, Option<String>) {
        let sent = self
            .http
            .post(self.program.url(path))
            .json(fields)
            .send()
            .await
            .unwrap();
        let cookie = sent.headers().get("set-cookie").map(|cookie| {
            let cookie = cookie.to_str().unwrap();
            cookie.split(';').next().unwrap().to_owned()
        });
        let status = sent.status();
        (status, sent.json().await.unwrap_or_default(), cookie)
    }

    async fn log_in(&self, login: &str, password: &str) -> (StatusCode, Option<String>) {
        let fields = json!({ "login": login, "password": password });
        let (status, _, cookie) = self.post("/.auth/login", &fields).await;
        (status, cookie)
    }

    async fn sign_up(&self, name: &str, invitation: Option<&str>) -> (StatusCode, Value) {
        let fields = json!({
            "email": format!("{name}@example.com"),
            "username": name,
            "password": PASSWORD,
            "password_confirm": PASSWORD,
            "invitation": invitation,
        });
        let (status, answer, _) = self.post("/.auth/signup", &fields).await;
        (status, answer)
    }

    async fn me(&self, cookie: &str) -> (StatusCode, Value) {
        let asked = self
            .http
            .get(self.program.url("/.auth/me"))
            .header("cookie", cookie);
        let answer = asked.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    async fn signed(&self, key: &Value) -> StatusCode {
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        let signer = Signer {
            access_key: text("access_key"),
            secret_key: text("secret_key"),
            authority: format!("localhost:{}", self.program.address.port()),
            at: Clock::system().now(),
        };
        let mut request = self.http.get(self.program.url("/anything"));
        for (name, value) in signer.aws(&get("/anything")) {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status()
    }

    async fn reset(&self, token: &str, password: &str) -> StatusCode {
        let fields = json!({ "token": token, "password": password, "password_confirm": password });
        self.post("/.auth/reset", &fields).await.0
    }

    fn token_of(&self, arguments: &[&str]) -> String {
        let answer = self.site.ask(arguments).to_string();
        let (_, rest) = answer.split_once('=').unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

/// An invitation-only site with the master key of another.
fn beside(other: &Site) -> Site {
    let site = Site::new(&CONFIG.replace("mode = \"open\"", "mode = \"invite\""));
    fs::create_dir(site.path("certs")).unwrap();
    fs::copy(other.path("certs/master.key"), site.path("certs/master.key")).unwrap();
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_people_have_works_after_a_move() {
    let site = Site::new(CONFIG);
    let old = TestGateway::start(&site);
    for name in ["ann", "bob", "carol", "dave"] {
        assert_eq!(old.sign_up(name, None).await.0, 201);
    }
    let (_, ann) = old.log_in("ann@example.com", PASSWORD).await;
    let (_, ended) = old.log_in("ann@example.com", PASSWORD).await;
    let (ann, ended) = (ann.unwrap(), ended.unwrap());
    let logout = old
        .http
        .post(old.program.url("/.auth/logout"))
        .header("cookie", &ended);
    logout.send().await.unwrap();
    for _ in 0..11 {
        assert_eq!(old.log_in("bob@example.com", "wrong").await.0, 401);
    }
    let key = site.ask(&["key", "create", "ann@example.com"]);
    assert_eq!(old.signed(&key).await, 200);
    site.ask(&["user", "delete", "dave", "--yes"]);
    let (invitation, spent) = (
        old.token_of(&["invite", "create", "--group", "staff"]),
        old.token_of(&["invite", "create"]),
    );
    assert_eq!(old.sign_up("erin", Some(&spent)).await.0, 201);
    let handed_over = old.token_of(&["user", "reset-link", "carol"]);
    old.post("/.auth/forgot", &json!({ "email": "ann@example.com" }))
        .await;
    let outbox = site.path("data/outbox");
    let mailed = || {
        Letter::all_in(&outbox)
            .into_iter()
            .find(|mail| mail.to == "ann@example.com" && mail.text.contains("/.auth/reset?token="))
    };
    until(|| mailed().is_some()).await;
    let letter = mailed().unwrap();
    let (_, mailed) = letter.link("/.auth/reset?token=").split_once('=').unwrap();
    site.ask(&["store", "export", "--output", "all.jsonl"]);
    old.program.kill();

    let file = fs::read_to_string(site.path("all.jsonl")).unwrap();
    let (quiet, new_site) = (beside(&site), beside(&site));
    let imported = quiet.run_with_input(&["store", "import", "--end-sessions", "--json"], &file);
    // One session of Ann's, and two links.
    assert_eq!(imported.document(0)["left_out"], 3);
    assert_eq!(quiet.list(&["session", "list"]), json!([]));
    assert_eq!(quiet.ask(&["store", "verify"])["faults"], json!([]));
    let imported = new_site.run_with_input(&["store", "import"], &file);
    assert_eq!(imported.status, 0, "{}", imported.stderr);

    let new = TestGateway::start(&new_site);
    let (status, me) = new.me(&ann).await;
    assert_eq!((status.as_u16(), &me["username"]), (200, &json!("ann")));
    assert_eq!(new.me(&ended).await.0, 401, "what was ended stays ended");
    assert_eq!(new.signed(&key).await, 200);
    assert_eq!(new.log_in("ann@example.com", PASSWORD).await.0, 200);
    assert_eq!(new.log_in("bob@example.com", PASSWORD).await.0, 429, "locked");
    // Used usernames stay reserved, and used invitations void.
    let (status, errors) = new.sign_up("dave", Some(&invitation)).await;
    assert_eq!(status, 422);
    assert!(errors["errors"]["username"].is_string(), "{errors}");
    assert_eq!(new.sign_up("frank", Some(&spent)).await.0, 422);
    assert_eq!(new.sign_up("frank", Some(&invitation)).await.0, 201);
    assert_eq!(
        new_site.ask(&["user", "show", "frank"])["groups"],
        json!(["staff"])
    );
    for (token, who) in [(mailed, "ann"), (handed_over.as_str(), "carol")] {
        let password = "vier-Eichen-8!";
        assert_eq!(new.reset(token, password).await, 200, "{who}");
        assert_eq!(new.reset(token, password).await, 400, "{who}: once");
        let login = format!("{who}@example.com");
        assert_eq!(new.log_in(&login, password).await.0, 200);
    }
    assert_eq!(new.me(&ann).await.0, 401, "a reset ends all sessions");
    let (status, log) = new.program.stop();
    assert_eq!(status, 0, "{log}");
    assert_eq!(new_site.ask(&["store", "verify"])["faults"], json!([]));
}
