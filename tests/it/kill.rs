//! Kills the gateway in the middle of its work, repeatedly: everything it acknowledged must hold.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use vestibule::clock::Clock;
use vestibule::control::SocketClient as Administrator;
use vestibule::model::LockoutPolicy;
use vestibule::random::Random;
use vestibule::services::{Invitees, NewInvitations};
use vestibule::store::sled::SledStore;

use crate::harness::{PASSWORD, Program, Site, in_full, inviting, soon};

use crate::store::ledger::{Deed, Ledger, LedgerEntry};

const CONFIG: &str = r#"
    public_url = "https://localhost:0"
    [listen]
    https = ["127.0.0.1:0"]
    ops = ""
    [signup]
    mode = "open"
    [password]
    bcrypt_cost = 10
"#;

const CLIENTS: usize = 6;

/// The policy by which the store counts failures; no account fails here.
const POLICY: LockoutPolicy = LockoutPolicy {
    max_failures: 10,
    duration: Duration::from_mins(20),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gateway_promised_outlives_it() {
    let (site, clock, random) = (Site::new(CONFIG), Clock::system(), Random::system());
    let mut ledger = Ledger::default();
    let rounds = if in_full() { 200 } else { 20 };
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let chance = u64::from(u16::from_be_bytes(random.bytes()));
        if round % 4 == 3 {
            kill_while_it_starts(&site, Duration::from_millis(chance % 300));
            continue;
        }
        let began = clock.monotonic();
        let (program, _) = Program::start(&site);
        let http = program.client(&site);
        let page = soon(http.get(program.url("/.auth/login")).send()).await.unwrap();
        assert_eq!(page.status(), 200, "round {round}");
        let took = clock.monotonic().saturating_sub(began);
        assert!(took < Duration::from_secs(5), "round {round}: {took:?} to answer");
        slowest = slowest.max(took);

        let book = Book::default();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let client = KillClient {
                    name: format!("r{round}c{n}"),
                    http: program.client(&site),
                    base: program.url(""),
                    administrator: Administrator::new(&site.path("data/admin.sock")),
                    book: book.clone(),
                };
                tokio::spawn(client.work())
            })
            .collect();
        book.promised(usize::try_from(chance % 40).unwrap()).await;
        std::thread::sleep(Duration::from_micros(chance));
        let log = program.kill();
        for client in clients {
            client.await.unwrap();
        }
        assert!(!log.contains("panicked"), "round {round}: {log}");

        let (program, said) = Program::start(&site);
        assert!(!said.contains("was damaged"), "round {round}: {said}");
        let (url, http) = (program.url(""), program.client(&site));
        for entry in book.entries() {
            assert_kept(&http, &url, &entry, &book).await;
            ledger.enter(entry);
        }
        program.kill();
    }

    let (program, _) = Program::start(&site);
    assert_eq!(program.stop().0, 0);
    assert_eq!(site.ask(&["store", "verify"])["faults"], json!([]));
    assert!(!site.path("data/store/lost-changes.json").exists());
    let store = SledStore::open(&site.path("data/store"), clock).unwrap();
    assert_eq!(ledger.broken_promises(&store, POLICY).await, "");
    println!(
        "{rounds} rounds, {} promises, up again within {slowest:?}",
        ledger.promises()
    );
    assert!(ledger.promises() > 6 * rounds, "{} promises", ledger.promises());
}

fn kill_while_it_starts(site: &Site, after: Duration) {
    let mut child = Program::spawn(site);
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "it ended by itself");
}

/// Checks a promise as a client sees it after the gateway restarted.
async fn assert_kept(http: &reqwest::Client, url: &str, entry: &LedgerEntry, book: &Book) {
    let LedgerEntry::Promised(deed) = entry else {
        return;
    };
    match deed {
        Deed::SignUp {
            email, invitation, ..
        } => {
            let form = json!({ "login": email, "password": PASSWORD });
            let answer = post(http, url, "/.auth/login", &form).await.unwrap();
            assert_eq!(answer.0, 200, "{deed:?}: {}", answer.1);
            if book.has(&Deed::Invite {
                token: invitation.clone(),
            }) {
                let again = form_of("another", Some(invitation));
                let answer = post(http, url, "/.auth/signup", &again).await.unwrap();
                assert_eq!(answer.0, 422, "{deed:?}: {}", answer.1);
                assert!(answer.1["errors"]["invitation"].is_string(), "{}", answer.1);
            }
        }
        Deed::SignIn { token } => {
            let end = Deed::SignOut { token: token.clone() };
            if !book.has(&end) {
                assert_eq!(me(http, url, token).await.unwrap(), 200, "{deed:?}");
            }
        }
        Deed::SignOut { token } => assert_eq!(me(http, url, token).await.unwrap(), 401, "{deed:?}"),
        Deed::Invite { .. } | Deed::Fail { .. } => {}
    }
}

/// What the clients of one round asked for and were promised.
#[derive(Clone, Default)]
struct Book(watch::Sender<Vec<LedgerEntry>>);

impl Book {
    fn ask(&self, deed: &Deed) {
        self.0
            .send_modify(|entries| entries.push(LedgerEntry::Asked(deed.clone())));
    }

    fn promise(&self, deed: Deed) {
        self.0
            .send_modify(|entries| entries.push(LedgerEntry::Promised(deed)));
    }

    /// Waits until there are `count` promises.
    async fn promised(&self, count: usize) {
        let is_promise = |entry: &&LedgerEntry| matches!(entry, LedgerEntry::Promised(_));
        let mut entries = self.0.subscribe();
        soon(entries.wait_for(|entries| entries.iter().filter(is_promise).count() >= count))
            .await
            .unwrap();
    }

    fn entries(&self) -> Vec<LedgerEntry> {
        self.0.borrow().clone()
    }

    /// Whether this deed was asked for.
    fn has(&self, deed: &Deed) -> bool {
        let entries = self.0.borrow();
        entries
            .iter()
            .any(|entry| matches!(entry, LedgerEntry::Asked(asked) if asked == deed))
    }
}

/// A client that works until the gateway is gone.
struct KillClient {
    name: String,
    http: reqwest::Client,
    base: String,
    administrator: Administrator,
    book: Book,
}

/// The gateway does not respond any more.
#[derive(Debug)]
struct Gone;

impl KillClient {
    async fn work(self) {
        for n in 0.. {
            if self.one(n).await.is_err() {
                return;
            }
        }
    }

    async fn one(&self, n: usize) -> Result<(), Gone> {
        let name = format!("{}n{n}", self.name);
        if n.is_multiple_of(2) {
            let token = self.invite().await?;
            // Two sign-ups race for the same invitation.
            let (first, second) = (format!("{name}a"), format!("{name}b"));
            let (first_made, second_made) = tokio::join!(
                self.sign_up(&first, Some(&token)),
                self.sign_up(&second, Some(&token))
            );
            assert!(first_made? != second_made?, "one of both gets an account");
        } else {
            assert!(self.sign_up(&name, None).await?);
            let token = self.sign_in(&name).await?;
            if n % 4 == 1 {
                self.sign_out(token).await?;
            }
        }
        Ok(())
    }

    async fn invite(&self) -> Result<String, Gone> {
        let command = inviting(NewInvitations {
            invitees: Invitees::Anyone(1),
            groups: BTreeSet::new(),
            ttl: Duration::from_hours(1),
            ..NewInvitations::default()
        });
        let answer = self
            .administrator
            .send(&command)
            .await
            .map_err(|_| Gone)?
            .unwrap();
        let (_, token) = answer["link"]
            .as_str()
            .unwrap()
            .split_once("?invitation=")
            .unwrap();
        let deed = Deed::Invite {
            token: token.to_owned(),
        };
        self.book.ask(&deed);
        self.book.promise(deed);
        Ok(token.to_owned())
    }

    async fn sign_up(&self, name: &str, invitation: Option<&str>) -> Result<bool, Gone> {
        let deed = Deed::SignUp {
            email: address(name),
            username: name.to_owned(),
            // The ledger counts uses of invitations; this sign-up has none.
            invitation: invitation.map_or_else(|| name.to_owned(), str::to_owned),
        };
        self.book.ask(&deed);
        let form = form_of(name, invitation);
        let (status, answer) = post(&self.http, &self.base, "/.auth/signup", &form).await?;
        let is_made = status == 201;
        if is_made {
            self.book.promise(deed);
        } else {
            assert_eq!(status, 422, "{answer}");
            assert!(answer["errors"]["invitation"].is_string(), "{answer}");
        }
        Ok(is_made)
    }

    async fn sign_in(&self, name: &str) -> Result<String, Gone> {
        let form = json!({ "login": address(name), "password": PASSWORD });
        let login = self.http.post(format!("{}/.auth/login", self.base)).json(&form);
        let answer = login.send().await.map_err(|_| Gone)?;
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let (token, _) = cookie
            .strip_prefix("__Host-vestibule=")
            .unwrap()
            .split_once(';')
            .unwrap();
        let token = token.to_owned();
        let deed = Deed::SignIn { token: token.clone() };
        self.book.ask(&deed);
        self.book.promise(deed);
        Ok(token)
    }

    async fn sign_out(&self, token: String) -> Result<(), Gone> {
        let deed = Deed::SignOut { token: token.clone() };
        self.book.ask(&deed);
        let logout = self
            .http
            .post(format!("{}/.auth/logout", self.base))
            .header("accept", "application/json")
            .header("cookie", format!("__Host-vestibule={token}"));
        assert_eq!(logout.send().await.map_err(|_| Gone)?.status(), 204);
        self.book.promise(deed);
        Ok(())
    }
}

fn address(name: &str) -> String {
    format!("{name}@example.com")
}

fn form_of(name: &str, invitation: Option<&str>) -> Value {
    json!({
        "email": address(name),
        "username": name,
        "password": PASSWORD,
        "password_confirm": PASSWORD,
        "invitation": invitation,
    })
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    path: &str,
    form: &Value,
) -> Result<(StatusCode, Value), Gone> {
    let sent = http.post(format!("{url}{path}")).json(form).send();
    let answer = sent.await.map_err(|_| Gone)?;
    let status = answer.status();
    Ok((status, answer.json().await.map_err(|_| Gone)?))
}

async fn me(http: &reqwest::Client, url: &str, token: &str) -> Result<StatusCode, Gone> {
    let asked = http
        .get(format!("{url}/.auth/me"))
        .header("cookie", format!("__Host-vestibule={token}"));
    Ok(asked.send().await.map_err(|_| Gone)?.status())
}

#[tokio::test]
async fn s11_a_lock_outlives_the_gateway() {
    let site = Site::new(CONFIG);
    let (program, _) = Program::start(&site);
    let (http, url) = (program.client(&site), program.url(""));
    let made = post(&http, &url, "/.auth/signup", &form_of("ann", None)).await;
    assert!(made.is_ok_and(|(status, _)| status == 201));
    let names = ["ann@example.com", "nobody@example.com"];
    let mut waits = Vec::new();
    for name in names {
        for _ in 0..11 {
            assert_eq!(attempt(&http, &url, name, "wrong").await.0, 401);
        }
        let (status, wait) = attempt(&http, &url, name, PASSWORD).await;
        assert_eq!(status, 429);
        waits.push(wait.unwrap());
    }
    program.kill();

    let (program, _) = Program::start(&site);
    let (http, url) = (program.client(&site), program.url(""));
    for (name, before) in names.into_iter().zip(waits) {
        let (status, wait) = attempt(&http, &url, name, PASSWORD).await;
        assert_eq!(status, 429, "{name}");
        let wait = wait.unwrap();
        assert!(
            (before - 120..=before).contains(&wait) && wait <= 1200,
            "{name}: {before} s, then {wait} s"
        );
    }
}

/// Tries to sign in; returns the status and `Retry-After` in seconds.
async fn attempt(
    http: &reqwest::Client,
    url: &str,
    login: &str,
    password: &str,
) -> (StatusCode, Option<u64>) {
    let form = json!({ "login": login, "password": password });
    let sent = http.post(format!("{url}/.auth/login")).json(&form).send();
    let answer = soon(sent).await.unwrap();
    let wait = answer.headers().get("retry-after");
    let wait = wait.map(|wait| wait.to_str().unwrap().parse().unwrap());
    (answer.status(), wait)
}
