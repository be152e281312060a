//! The gateway with its store in PostgreSQL, on a real server, as operators and clients see it.

mod commits;
mod encrypted;
mod foreign;
mod outage;
mod refusing;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Response;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Application, Cluster, CommandResult, DatabaseProxy, PASSWORD, Program, Site, soon, until,
};

/// How long the gateway may take to notice that its database is gone, or back.
const NOTICE: Duration = Duration::from_secs(15);

fn config(url: &str, app: &str) -> String {
    format!(
        r#"
        public_url = "https://localhost:0"
        [listen]
        https = ["127.0.0.1:0"]
        ops = ""
        [store]
        url = "{url}"
        [login]
        iam = true
        [password]
        bcrypt_cost = 10
        [[route]]
        allow = "authenticated"
        upstream = "{app}"
        "#
    )
}

fn add(site: &Site, email: &str) {
    let arguments = ["user", "add", email, "--password-stdin", "--json"];
    site.run_with_input(&arguments, PASSWORD).document(0);
}

/// Starts a gateway on a new database, with an account.
fn gateway(cluster: &Cluster, app: &Application) -> (Site, Program) {
    gateway_on(cluster, &cluster.database(), app)
}

fn gateway_on(cluster: &Cluster, database: &str, app: &Application) -> (Site, Program) {
    let site = Site::new(&config(&cluster.url(database), &app.url()));
    add(&site, "ann@example.com");
    let (program, _) = Program::start(&site);
    (site, program)
}

async fn sign_in(program: &Program, site: &Site) -> Response {
    sign_in_as(program, site, "ann@example.com").await
}

async fn sign_in_as(program: &Program, site: &Site, login: &str) -> Response {
    let form = json!({ "login": login, "password": PASSWORD });
    let login = program.client(site).post(program.url("/.auth/login")).json(&form);
    soon(login.send()).await.unwrap()
}

fn cookie(answer: &Response) -> String {
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn get(program: &Program, site: &Site, path: &str, cookie: &str) -> Response {
    try_get(program, site, path, cookie).await.unwrap()
}

async fn try_get(program: &Program, site: &Site, path: &str, cookie: &str) -> reqwest::Result<Response> {
    let request = program
        .client(site)
        .get(program.url(path))
        .header("cookie", cookie);
    soon(request.send()).await
}

async fn post(program: &Program, site: &Site, path: &str, cookie: &str, form: &Value) -> u16 {
    let post = program
        .client(site)
        .post(program.url(path))
        .header("accept", "application/json")
        .header("cookie", cookie)
        .json(form);
    soon(post.send()).await.unwrap().status().as_u16()
}

/// Repeats a request until the response has this status.
async fn until_status(program: &Program, site: &Site, cookie: &str, status: u16) {
    let answered = async {
        while get(program, site, "/", cookie).await.status() != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(NOTICE, answered).await;
    in_time.unwrap_or_else(|_| panic!("not {status}: {}", program.said()));
}

#[tokio::test]
async fn s49_while_the_database_is_gone_nothing_is_served_and_then_all_is_as_before() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let (site, program) = gateway(&cluster, &app);
    let stays = cookie(&sign_in(&program, &site).await);
    let leaves = cookie(&sign_in(&program, &site).await);
    for cookie in [&stays, &leaves] {
        assert_eq!(get(&program, &site, "/", cookie).await.status(), 200);
    }

    cluster.halt();
    until_status(&program, &site, &stays, 503).await;
    let served = app.received().len();
    for path in ["/", "/.auth/account", "/.auth/me"] {
        let answer = get(&program, &site, path, &stays).await;
        assert_eq!(answer.status(), 503, "{path}");
        assert!(answer.headers().contains_key("retry-after"), "{path}");
        assert!(
            !answer.headers().contains_key("set-cookie"),
            "{path}: the cookie stays"
        );
    }
    let answer = sign_in(&program, &site).await;
    assert_eq!(answer.status(), 503);
    let signed = program
        .client(&site)
        .post(program.url("/.auth/logout"))
        .header("cookie", &leaves);
    let answer = soon(signed.send()).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(!answer.headers().contains_key("set-cookie"));
    assert_eq!(app.received().len(), served, "nothing is forwarded");
    let listed = site.run(&["user", "list", "--json"]);
    assert!(listed.error(1).contains("unavailable"), "{}", listed.stdout);

    cluster.resume(&[]);
    until_status(&program, &site, &stays, 200).await;
    let signed_out = get(&program, &site, "/", &leaves).await.status();
    assert_eq!(signed_out, 401, "who left while it was gone has left");
    assert_eq!(sign_in(&program, &site).await.status(), 200);
    let (status, log) = program.stop();
    assert_eq!(status, 0);
    assert!(
        log.contains("is out of reach") && log.contains("is there again"),
        "{log}"
    );
}

#[tokio::test]
async fn a_session_whose_end_the_database_refused_stays_ended_and_is_ended_there_later() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    let (cookie, other) = (
        cookie(&sign_in(&program, &site).await),
        cookie(&sign_in(&program, &site).await),
    );
    let sessions = || {
        cluster
            .sql(&database, "SELECT count(*) FROM session")
            .trim()
            .to_owned()
    };
    cluster.sql(
        &database,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
         CREATE TRIGGER refuse BEFORE DELETE ON session EXECUTE FUNCTION refuse()",
    );
    let sign_out = async || {
        let post = program
            .client(&site)
            .post(program.url("/.auth/logout"))
            .header("accept", "application/json")
            .header("cookie", &cookie);
        soon(post.send()).await.unwrap().status()
    };
    assert_eq!(sign_out().await, 503, "it is not done while it could come back");
    assert_eq!(
        get(&program, &site, "/", &cookie).await.status(),
        401,
        "and serves nobody"
    );
    assert_eq!(sessions(), "2");
    cluster.sql(&database, "DROP TRIGGER refuse ON session");
    until(|| sessions() == "1").await;
    assert_eq!(get(&program, &site, "/", &other).await.status(), 200);

    cluster.sql(
        &database,
        "CREATE TRIGGER refuse BEFORE DELETE ON session EXECUTE FUNCTION refuse()",
    );
    let ended = site.run(&["session", "revoke", "--user", "ann@example.com"]);
    assert_ne!(ended.status, 0, "{}", ended.stdout);
    let (_, log) = program.stop();
    assert!(log.contains("live again at the next start"), "{log}");
}

#[tokio::test]
async fn one_database_serves_one_gateway() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let url = cluster.url(&cluster.database());
    let [one, other] = [(); 2].map(|()| Site::new(&config(&url, &app.url())));
    let (program, _) = Program::start(&one);
    std::fs::create_dir(other.path("certs")).unwrap();
    std::fs::copy(one.path("certs/master.key"), other.path("certs/master.key")).unwrap();
    let refused = other.run(&["serve"]);
    assert_eq!(refused.status, 1);
    for says in ["already in use by another gateway", "connected since", &url] {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    let error = other.run(&["user", "list", "--json"]).error(1);
    assert!(
        error.contains("already in use") && error.contains("--config"),
        "{error}"
    );
    program.kill();
    let (program, _) = Program::start(&other);
    program.stop();
}

#[tokio::test]
async fn whose_database_another_used_meanwhile_answers_nothing_from_memory() {
    let (cluster, app) = (Cluster::shared(), Application::quiet().await);
    let ops = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = config(&cluster.url(&cluster.database()), &app.url());
    let site = Site::new(&text.replace("ops = \"\"", &format!("ops = \"{ops}\"")));
    add(&site, "ann@example.com");
    let (program, _) = Program::start(&site);
    let ready = async || {
        let response = soon(reqwest::get(format!("http://{ops}/readyz"))).await;
        response.unwrap().status().as_u16()
    };
    assert_eq!(ready().await, 200);
    let cookie = cookie(&sign_in(&program, &site).await);
    assert_eq!(get(&program, &site, "/", &cookie).await.status(), 200);

    let mut stream = get(&program, &site, "/", &cookie).await;
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "begun");

    // What another gateway would do between the loss of the lock and its return.
    let locks = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
    cluster.sql("t0", &format!("UPDATE store SET tenure = tenure + 1; {locks}"));
    until_status(&program, &site, &cookie, 503).await;
    let told = async {
        while !program.said().contains("start it anew") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(told).await;
    assert_eq!(get(&program, &site, "/", &cookie).await.status(), 503);
    assert_eq!(sign_in(&program, &site).await.status(), 503);
    assert_eq!(ready().await, 503);
    assert!(soon(stream.chunk()).await.is_err(), "what went on ends");
    program.stop();
    let (program, _) = Program::start(&site);
    assert_eq!(ready().await, 200);
    assert_eq!(
        get(&program, &site, "/", &cookie).await.status(),
        200,
        "as the database has it"
    );
    program.stop();
}

/// A lost lock is taken again, and sessions stay valid.
#[tokio::test]
async fn a_broken_lock_is_held_again() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let (site, program) = gateway(&cluster, &app);
    let cookie = cookie(&sign_in(&program, &site).await);
    cluster.sql(
        "t0",
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'",
    );
    let told = async {
        while !program.said().contains("is there again") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(told).await;
    assert_eq!(get(&program, &site, "/", &cookie).await.status(), 200);
    program.stop();
}

/// The server's session of a connection that the gateway gave up holds the lock until it finds its client gone.
#[tokio::test]
async fn s49_a_database_that_was_frozen_is_used_again_within_a_second() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let (site, program) = gateway(&cluster, &app);
    let cookie = cookie(&sign_in(&program, &site).await);
    let frozen = cluster.freeze();
    until(|| program.said().contains("is out of reach")).await;
    assert_eq!(get(&program, &site, "/", &cookie).await.status(), 503);
    drop(frozen);
    let thawed = tokio::time::Instant::now();
    until_status(&program, &site, &cookie, 200).await;
    let took = thawed.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}: {}", program.said());
    assert_eq!(sign_in(&program, &site).await.status(), 200);
    let holders = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(cluster.sql("t0", holders).trim(), "1");
    program.stop();
}

/// A gateway that lost the lock may still have a transaction under way, which would be stored after the next one has
/// read the store.
#[tokio::test]
async fn s49_a_change_that_a_former_gateway_began_is_not_made() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (change, groups) = take_over(&cluster, &database, &cluster.url(&database), &app, false).await;
    assert_eq!(change.status, 1, "{}", change.stdout);
    assert_eq!(groups, json!(["ops"]), "as the next gateway has it");
}

/// Credentials are rotated: the next gateway has another role, which sees no session of the former one.
#[tokio::test]
async fn s49_a_change_that_a_former_gateway_of_another_role_made_is_known_to_the_next() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    cluster.sql("postgres", "CREATE ROLE rotated LOGIN IN ROLE vestibule");
    let by_other = cluster.url(&database).replace("://vestibule@", "://rotated@");
    let (change, groups) = take_over(&cluster, &database, &by_other, &app, false).await;
    let expected = if change.status == 0 {
        json!([])
    } else {
        json!(["ops"])
    };
    assert_eq!(groups, expected, "as the store has it: {}", change.stdout);
}

/// The server ends a transaction whose gateway says nothing more.
#[tokio::test]
async fn s49_a_gateway_that_was_frozen_within_a_change_keeps_none_of_another_role_out() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    cluster.sql("postgres", "CREATE ROLE heir LOGIN IN ROLE vestibule");
    let by_other = cluster.url(&database).replace("://vestibule@", "://heir@");
    let (change, groups) = take_over(&cluster, &database, &by_other, &app, true).await;
    assert_ne!(change.status, 0, "{}", change.stdout);
    assert_eq!(groups, json!(["ops"]));
}

/// Has a gateway take ann out of a group while her row is locked, lets it lose the lock, and starts the next one, while
/// the first one stands still or not. Returns what became of the change, and the groups of her session there.
async fn take_over(
    cluster: &Cluster,
    database: &str,
    next: &str,
    app: &Application,
    is_frozen: bool,
) -> (CommandResult, Value) {
    let (site, program) = gateway_on(cluster, database, app);
    site.ask(&["user", "set-groups", "ann", "ops"]);
    let session = cookie(&sign_in(&program, &site).await);
    let next = Site::new(&config(next, &app.url()));
    std::fs::create_dir_all(next.path("certs")).unwrap();
    std::fs::copy(site.path("certs/master.key"), next.path("certs/master.key")).unwrap();
    let found = |sql: &str| cluster.sql(database, sql).trim() != "0";
    let (change, second) = std::thread::scope(|scope| {
        let held = scope.spawn(|| {
            let hold = "BEGIN; SELECT FROM account WHERE email = 'ann@example.com' FOR UPDATE; SELECT pg_sleep(6); COMMIT";
            cluster.sql(database, hold)
        });
        let waits = |what: &str| {
            let sql = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {what}"
            );
            while !found(&sql) {
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        waits("wait_event = 'PgSleep'");
        let change = scope.spawn(|| site.run(&["user", "set-groups", "ann", "--remove", "ops", "--json"]));
        waits("application_name = 'vestibule' AND wait_event_type = 'Lock'");
        if is_frozen {
            program.signal(Signal::STOP);
        }
        // It waits for the lock, so that the former one does not get that back.
        let second = scope.spawn(|| Program::start(&next));
        std::thread::sleep(Duration::from_secs(1));
        cluster.sql(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 1986360180
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        );
        let (second, _) = second.join().unwrap();
        held.join().unwrap();
        if is_frozen {
            program.signal(Signal::CONT);
        }
        (change.join().unwrap(), second)
    });
    let me: Value = get(&second, &next, "/.auth/me", &session)
        .await
        .json()
        .await
        .unwrap();
    second.stop();
    program.stop();
    (change, me["groups"].clone())
}

/// What a firewall leaves that forgets a connection: the server does not know that the gateway has closed it.
#[tokio::test]
async fn s49_a_former_session_that_keeps_the_lock_is_terminated() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let proxy = DatabaseProxy::start(&cluster);
    let site = Site::new(&config(&proxy.url(&cluster.database()), &app.url()));
    add(&site, "ann@example.com");
    let (program, _) = Program::start(&site);
    let cookie = cookie(&sign_in(&program, &site).await);
    proxy.abandon();
    until(|| program.said().contains("is out of reach")).await;
    until_status(&program, &site, &cookie, 200).await;
    assert_eq!(sign_in(&program, &site).await.status(), 200);
    program.stop();
}

#[tokio::test]
async fn an_embedded_store_moves_to_a_database_and_back() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let url = cluster.url(&cluster.database());
    let site = Site::new(&config("sled:data/store", &app.url()));
    add(&site, "ann@example.com");
    add(&site, "bob@example.com");
    site.ask(&["user", "delete", "bob", "--yes"]);
    site.ask(&["key", "create", "ann@example.com"]);
    let (program, _) = Program::start(&site);
    let signed_in = sign_in(&program, &site).await;
    let cookie = cookie(&signed_in);
    site.ask(&["store", "export", "--output", "embedded.jsonl"]);
    program.stop();

    site.configure(&config(&url, &app.url()));
    let imported = site.ask(&["store", "import", "embedded.jsonl"]);
    assert_eq!(imported["left_out"], 0);
    assert_eq!(site.ask(&["store", "verify"])["faults"], json!([]));
    let again = site
        .run(&["store", "import", "embedded.jsonl", "--json"])
        .error(1);
    assert!(
        again.contains("is not empty") && again.contains("store.url"),
        "{again}"
    );
    let (program, _) = Program::start(&site);
    assert_eq!(
        get(&program, &site, "/", &cookie).await.status(),
        200,
        "people stay signed in"
    );
    assert_eq!(site.list(&["key", "list"])[0]["live"], true, "its secret opens");
    site.ask(&["store", "backup", "database.jsonl"]);
    program.stop();

    site.configure(&config("sled:data/other", &app.url()));
    site.ask(&["store", "import", "database.jsonl"]);
    assert_eq!(site.ask(&["store", "verify"])["faults"], json!([]));
    let (program, _) = Program::start(&site);
    assert_eq!(get(&program, &site, "/", &cookie).await.status(), 200);
    let taken = ["user", "add", "bob@example.com", "--password-stdin", "--json"];
    let error = site.run_with_input(&taken, PASSWORD).error(1);
    assert!(error.contains("bob"), "a username is never given again: {error}");
    site.ask(&["store", "export", "--output", "again.jsonl"]);
    program.stop();
    // Everything except audit events and last uses since then.
    let [before, after] = ["embedded.jsonl", "again.jsonl"].map(|file| {
        let text = std::fs::read_to_string(site.path(file)).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let kept = [
            "names-key",
            "data-key",
            "account",
            "retired-username",
            "access-key",
        ];
        lines
            .filter(|line| kept.iter().any(|kind| line.get(kind).is_some()))
            .collect::<Vec<_>>()
    });
    assert_eq!(before, after);
}

#[tokio::test]
async fn doctor_says_whether_the_database_answers() {
    let (cluster, app) = (Arc::new(Cluster::start(&[])), Application::start().await);
    let url = cluster.url(&cluster.database());
    let site = Site::new(&config(&url, &app.url()));
    let finding = |site: &Site| -> Value {
        let said = site.run(&["doctor", "--json"]);
        let said: Value = serde_json::from_str(&said.stdout).unwrap();
        let all = said["findings"].as_array().unwrap().clone();
        all.into_iter()
            .find(|finding| finding["check"] == "store")
            .unwrap()
    };
    let found = finding(&site);
    assert_eq!(found["verdict"], "skipped", "{found}");
    let there = cluster.sql("t0", "SELECT to_regnamespace('vestibule') IS NULL");
    assert_eq!(there.trim(), "t", "it makes nothing");
    add(&site, "ann@example.com");
    let found = finding(&site);
    assert_eq!(found["verdict"], "ok", "{found}");
    assert!(found["text"].as_str().unwrap().contains(&url), "{found}");
    cluster.halt();
    let found = finding(&site);
    assert_eq!(found["verdict"], "problem", "{found}");
}
