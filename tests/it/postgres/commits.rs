//! Commits that hang, and commits whose response is lost: the gateway does not know whether they were made.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{add, config, cookie, gateway_on, get, post, sign_in_as, try_get};
use crate::harness::{Application, Cluster, DatabaseProxy, PASSWORD, Program, Site, soon, until};

const NEW_PASSWORD: &str = "N3w-harbour!9";

/// A gateway that reaches its database by way of a proxy, with an administrator and these accounts in a group.
fn gateway_by(proxy: &DatabaseProxy, database: &str, app: &Application, names: &[&str]) -> (Site, Program) {
    let site = Site::new(&config(&proxy.url(database), &app.url()));
    for name in names {
        add(&site, &format!("{name}@example.com"));
        site.ask(&["user", "set-groups", name, "gateway-admin", "ops"]);
    }
    let (program, _) = Program::start(&site);
    (site, program)
}

async fn sign_in(program: &Program, site: &Site, name: &str) -> String {
    cookie(&sign_in_as(program, site, &format!("{name}@example.com")).await)
}

async fn sign_in_with(program: &Program, site: &Site, login: &str, password: &str) -> u16 {
    let form = json!({ "login": login, "password": password });
    let login = program.client(site).post(program.url("/.auth/login")).json(&form);
    soon(login.send()).await.unwrap().status().as_u16()
}

async fn status(program: &Program, site: &Site, path: &str, cookie: &str) -> u16 {
    get(program, site, path, cookie).await.status().as_u16()
}

async fn groups(program: &Program, site: &Site, cookie: &str) -> Value {
    let me: Value = get(program, site, "/.auth/me", cookie)
        .await
        .json()
        .await
        .unwrap();
    me["groups"].clone()
}

#[tokio::test]
async fn s28_whoever_is_shut_out_while_commits_hang_is_so_within_seconds() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    let names = ["bob", "cat", "dan", "eve", "fay"];
    let mut cookies = HashMap::new();
    for name in names {
        add(&site, &format!("{name}@example.com"));
        cookies.insert(name, sign_in(&program, &site, name).await);
    }
    let site = Arc::new(site);
    cluster.hold_commits();
    let began = Instant::now();
    let commands = names.map(|name| {
        let site = site.clone();
        std::thread::spawn(move || site.run(&["user", "disable", name, "--json"]).error(1))
    });
    for (name, cookie) in &cookies {
        // A request that is under way when its session ends is cut off with it.
        let refused = async || {
            let answer = try_get(&program, &site, "/", cookie).await;
            answer.is_ok_and(|answer| answer.status() == 401)
        };
        while !refused().await {
            let waited = began.elapsed();
            assert!(waited < Duration::from_secs(5), "{name} after {waited:?}");
        }
    }
    for command in commands {
        let error = command.join().unwrap();
        assert!(error.contains("it holds in memory"), "{error}");
    }
    cluster.let_commit();
    for name in names {
        until(|| site.ask(&["user", "show", name])["status"] == "disabled").await;
    }
    program.stop();
}

/// A server that waits for a standby keeps a session for each commit until it answers, whether anybody waits for it or
/// not.
#[tokio::test]
async fn s49_commits_that_hang_take_no_more_sessions_of_the_server_than_the_pool_has() {
    const POOL: usize = 8;
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    // Twice as many are more than the pool has.
    let names: Vec<String> = (0..5).map(|number| format!("user{number}")).collect();
    for name in &names {
        add(&site, &format!("{name}@example.com"));
    }
    let rename_all = || {
        std::thread::scope(|scope| {
            for name in &names {
                let site = &site;
                scope.spawn(move || {
                    site.run(&["user", "set-name", name, "Someone", "--json"])
                        .error(1)
                });
            }
        });
    };
    cluster.hold_commits();
    rename_all();
    rename_all();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vestibule'";
    let sessions: usize = cluster.sql(&database, count).trim().parse().unwrap();
    assert!(sessions <= POOL, "{sessions} sessions");
    cluster.let_commit();
    until(|| site.run(&["user", "set-name", "user0", "Another"]).status == 0).await;
    let is_named = |name: &String| site.ask(&["user", "show", name])["name"] == "Someone";
    assert!(names[1..].iter().any(is_named), "commits that hung are made");
    program.stop();
}

#[tokio::test]
async fn s49_what_is_shut_out_after_an_enabling_whose_commit_hangs_stays_it() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    add(&site, "bob@example.com");
    let key = site.ask(&["key", "create", "ann"])["access_key"]
        .as_str()
        .unwrap()
        .to_owned();
    site.ask(&["user", "disable", "bob"]);
    site.ask(&["key", "disable", &key]);
    cluster.hold_commits();
    std::thread::scope(|scope| {
        for (kind, who) in [("user", "bob"), ("key", key.as_str())] {
            let site = &site;
            scope.spawn(move || {
                site.run(&[kind, "enable", who, "--json"]).error(1);
                let error = site.run(&[kind, "disable", who, "--json"]).error(1);
                assert!(error.contains("it holds in memory"), "{kind}: {error}");
            });
        }
    });
    let retried = |program: &Program| {
        program
            .said()
            .matches("shut out in memory alone; trying again")
            .count()
    };
    until(|| retried(&program) > 0).await;
    cluster.let_commit();
    let told = |who: &str| {
        let said = program.said();
        said.lines()
            .any(|line| line.contains("the store knows now") && line.contains(who))
    };
    let bob = site.ask(&["user", "show", "bob"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    until(|| told(&bob) && told(&key)).await;
    assert_eq!(site.ask(&["user", "show", "bob"])["status"], "disabled");
    assert_eq!(
        sign_in_with(&program, &site, "bob@example.com", PASSWORD).await,
        401
    );
    let listed = site.list(&["key", "list", "--user", "ann"]);
    assert_eq!(listed[0]["disabled"], true, "{listed}");
    assert_eq!(listed[0]["live"], false, "{listed}");
    program.stop();
}

#[tokio::test]
async fn s28_a_new_password_whose_response_is_lost_ends_the_sessions() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let (database, proxy) = (cluster.database(), DatabaseProxy::start(&cluster));
    let (site, program) = gateway_by(&proxy, &database, &app, &["ann", "bob", "carol"]);
    let [ann, bob, carol] = [
        sign_in(&program, &site, "ann").await,
        sign_in(&program, &site, "bob").await,
        sign_in(&program, &site, "carol").await,
    ];
    let link = site.ask(&["user", "reset-link", "bob"])["link"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, token) = link.split_once("token=").unwrap();
    proxy.lose_responses(true);
    let set = [
        "user",
        "set-password",
        "ann@example.com",
        "--password-stdin",
        "--json",
    ];
    let error = site.run_with_input(&set, NEW_PASSWORD).error(1);
    assert!(error.contains("is not known yet"), "{error}");
    assert_eq!(status(&program, &site, "/", &ann).await, 401, "at once");
    let form = json!({ "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD });
    let path = format!("/.auth/reset?token={token}");
    assert_eq!(post(&program, &site, &path, "", &form).await, 503);
    assert_eq!(status(&program, &site, "/", &bob).await, 401, "S21");
    let form = json!({ "name": "Carol" });
    assert_eq!(post(&program, &site, "/.auth/account", &carol, &form).await, 503);
    assert!(proxy.lost() >= 2);
    proxy.lose_responses(false);
    for name in ["ann", "bob"] {
        let email = format!("{name}@example.com");
        assert_eq!(
            sign_in_with(&program, &site, &email, PASSWORD).await,
            401,
            "{name}"
        );
        assert_eq!(
            sign_in_with(&program, &site, &email, NEW_PASSWORD).await,
            200,
            "{name}"
        );
    }
    // Nobody was told what became of it, and the audit log says so.
    let events = site.ask(&["audit", "--failures"])["events"].take();
    for (event, user) in [
        ("password-reset", "bob@example.com"),
        ("name-change", "carol@example.com"),
    ] {
        let is_told = |told: &Value| {
            (&told["event"], &told["user"], &told["reason"])
                == (&json!(event), &json!(user), &json!("unavailable"))
        };
        assert!(
            events.as_array().unwrap().iter().any(is_told),
            "{event}: {events}"
        );
    }
    // Read again since, by the sign-ins above.
    for cookie in [&ann, &bob] {
        assert_eq!(status(&program, &site, "/", cookie).await, 401);
    }
    program.stop();
}

#[tokio::test]
async fn s28_groups_whose_loss_may_be_stored_serve_no_more() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let (database, proxy) = (cluster.database(), DatabaseProxy::start(&cluster));
    let (site, program) = gateway_by(&proxy, &database, &app, &["ann", "bob", "cat"]);
    let [ann, bob] = [
        sign_in(&program, &site, "ann").await,
        sign_in(&program, &site, "bob").await,
    ];
    let admin = "/.auth/admin/accounts";
    assert_eq!(status(&program, &site, admin, &ann).await, 200);
    proxy.lose_responses(true);
    site.run(&["user", "set-groups", "ann", "ops", "dev", "--json"])
        .error(1);
    site.run(&["user", "set-groups", "bob", "--remove", "ops", "--json"])
        .error(1);
    assert_eq!(
        groups(&program, &site, &ann).await,
        json!(["ops"]),
        "no more than both have"
    );
    assert_eq!(status(&program, &site, admin, &ann).await, 403);
    assert_eq!(groups(&program, &site, &bob).await, json!(["gateway-admin"]));
    proxy.lose_responses(false);
    let deadline = Instant::now() + Duration::from_secs(10);
    while groups(&program, &site, &ann).await != json!(["dev", "ops"]) {
        assert!(
            Instant::now() < deadline,
            "as the store has it: {}",
            program.said()
        );
    }
    assert_eq!(groups(&program, &site, &bob).await, json!(["gateway-admin"]));
    program.stop();
}

/// A read beside a commit that hangs finds the account as it was.
#[tokio::test]
async fn s28_groups_do_not_come_back_before_a_commit_that_hangs_ends() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    site.ask(&["user", "set-groups", "ann", "ops"]);
    let ann = sign_in(&program, &site, "ann").await;
    cluster.hold_commits();
    site.run(&["user", "set-groups", "ann", "--remove", "ops", "--json"])
        .error(1);
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        assert_eq!(groups(&program, &site, &ann).await, json!([]));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.let_commit();
    let sign_in_again = sign_in_with(&program, &site, "ann@example.com", PASSWORD).await;
    assert_eq!(sign_in_again, 200);
    assert_eq!(groups(&program, &site, &ann).await, json!([]));
    assert_eq!(site.ask(&["user", "show", "ann"])["groups"], json!([]));
    program.stop();
}

/// The store does not know yet that she was disabled, and would let her links serve.
#[tokio::test]
async fn s76_links_of_an_administrator_who_is_shut_out_in_memory_serve_no_more() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let (database, proxy) = (cluster.database(), DatabaseProxy::start(&cluster));
    let by_proxy = config(&proxy.url(&database), &app.url());
    let site = Site::new(&format!("{by_proxy}\n[signup]\nmode = \"invite\"\n"));
    for name in ["ann", "bob", "cat"] {
        add(&site, &format!("{name}@example.com"));
    }
    for name in ["ann", "bob"] {
        site.ask(&["user", "set-groups", name, "gateway-admin"]);
    }
    let (program, _) = Program::start(&site);
    let ann = sign_in(&program, &site, "ann").await;
    let token = async |path: &str, form: Value| {
        let post = program
            .client(&site)
            .post(program.url(path))
            .header("accept", "application/json")
            .header("cookie", &ann)
            .json(&form);
        let made: Value = soon(post.send()).await.unwrap().json().await.unwrap();
        let link = made["link"].as_str().unwrap_or_else(|| panic!("{made}"));
        link.rsplit_once('=').unwrap().1.to_owned()
    };
    let act = json!({ "account": "cat", "action": "reset-link" });
    let reset = token("/.auth/admin/account", act).await;
    let invitation = token("/.auth/admin/invitations", json!({ "groups": ["gateway-admin"] })).await;
    let reset = async || {
        let form = json!({ "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD });
        post(&program, &site, &format!("/.auth/reset?token={reset}"), "", &form).await
    };
    let sign_up = async || {
        let form = json!({
            "email": "eve@example.com",
            "username": "eve",
            "password": PASSWORD,
            "password_confirm": PASSWORD,
            "invitation": &invitation,
        });
        let post = program
            .client(&site)
            .post(program.url("/.auth/signup"))
            .json(&form);
        let answer = soon(post.header("accept", "application/json").send())
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let told: Value = answer.json().await.unwrap();
        (status, told["errors"]["invitation"].is_string())
    };
    proxy.lose_changes(Some("taken-over"));
    let disable = ["user", "disable", "ann", "--reason", "taken-over", "--json"];
    let error = site.run(&disable).error(1);
    assert!(error.contains("it holds in memory"), "{error}");
    assert_eq!(status(&program, &site, "/", &ann).await, 401);
    assert_eq!(
        site.ask(&["user", "show", "ann"])["status"],
        "active",
        "as the store has it"
    );
    let (of_reset, of_sign_up) = (reset().await, sign_up().await);
    assert_eq!((of_reset, of_sign_up), (400, (422, true)));
    proxy.lose_changes(None);
    until(|| site.ask(&["user", "show", "ann"])["status"] == "disabled").await;
    assert_eq!((reset().await, sign_up().await), (400, (422, true)));
    assert_eq!(
        sign_in_with(&program, &site, "cat@example.com", PASSWORD).await,
        200
    );
    program.stop();
}
