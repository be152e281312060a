//! Revoking access while the database is unavailable.

use serde_json::json;

use super::{add, config, cookie, get, post, sign_in_as, until_status};
use crate::harness::{Application, Cluster, Program, Site, until};

#[tokio::test]
async fn s49_whoever_was_shut_out_while_the_database_was_gone_stays_it_when_it_is_there_again() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let site = Site::new(&config(&cluster.url(&database), &app.url()));
    let names = ["ann", "bob", "cat", "dan", "eve", "fay", "gus"];
    for name in names {
        add(&site, &format!("{name}@example.com"));
    }
    site.run(&["user", "set-groups", "gus", "gateway-admin", "--json"])
        .document(0);
    let (program, _) = Program::start(&site);
    let mut cookies = Vec::new();
    for name in names {
        let answer = sign_in_as(&program, &site, &format!("{name}@example.com")).await;
        cookies.push(cookie(&answer));
    }
    let [ann, bob, cat, dan, eve, fay, gus] = &cookies[..] else {
        panic!("{cookies:?}");
    };
    let id = |name: &str| {
        site.ask(&["user", "show", name])["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let dan_id = id("dan");
    let fays = site.list(&["session", "list", "--user", "fay"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = site.ask(&["key", "create", "gus"])["access_key"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.halt();
    until_status(&program, &site, gus, 503).await;
    for _ in 0..2 {
        assert_eq!(post(&program, &site, "/.auth/logout", ann, &json!({})).await, 503);
    }
    for arguments in [
        &["user", "disable", "bob@example.com"][..],
        &["user", "disable", "cat"],
        &["user", "delete", &dan_id, "--yes"],
        &["session", "revoke", &fays],
        &["key", "revoke", &key],
        &["user", "disable", "bob"],
    ] {
        let error = site.run(&[arguments, &["--json"]].concat()).error(1);
        assert!(
            error.contains("it holds in memory from now on"),
            "{arguments:?}: {error}"
        );
    }
    let error = site
        .run(&["session", "revoke", "--user", "eve", "--json"])
        .error(1);
    assert!(error.contains("it holds in memory from now on"), "{error}");
    let error = site.run(&["user", "disable", "nobody", "--json"]).error(1);
    assert!(error.contains("nothing was changed; try again"), "{error}");
    assert!(program.said().contains("ann@example.com"), "the log names them");

    cluster.resume(&[]);
    until_status(&program, &site, gus, 200).await;
    for (name, cookie) in names.iter().zip([ann, bob, cat, dan, eve, fay]) {
        assert_eq!(get(&program, &site, "/", cookie).await.status(), 401, "{name}");
    }
    for name in ["bob", "cat"] {
        until(|| site.ask(&["user", "show", name])["status"] == "disabled").await;
    }
    until(|| site.run(&["user", "show", "dan", "--json"]).status == 1).await;
    until(|| site.list(&["key", "list"]) == json!([])).await;
    let sessions = || cluster.sql(&database, "SELECT count(*) FROM session");
    until(|| sessions().trim() == "1").await;

    // Also on a page, by a session that recently confirmed the password.
    add(&site, "hal@example.com");
    let hal = cookie(&sign_in_as(&program, &site, "hal@example.com").await);
    cluster.halt();
    until_status(&program, &site, gus, 503).await;
    let form = json!({ "account": "hal@example.com", "action": "disable" });
    assert_eq!(
        post(&program, &site, "/.auth/admin/account", gus, &form).await,
        503
    );
    cluster.resume(&[]);
    until_status(&program, &site, gus, 200).await;
    assert_eq!(get(&program, &site, "/", &hal).await.status(), 401);
    until(|| site.ask(&["user", "show", "hal"])["status"] == "disabled").await;
    program.stop();
}

#[tokio::test]
async fn s49_what_is_done_where_another_has_the_database_is_not_said_to_hold() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let site = Site::new(&config(&cluster.url(&database), &app.url()));
    add(&site, "ann@example.com");
    let (program, _) = Program::start(&site);
    let cookie = cookie(&sign_in_as(&program, &site, "ann@example.com").await);
    let key = site.ask(&["key", "create", "ann"])["access_key"]
        .as_str()
        .unwrap()
        .to_owned();

    // Another one has the lock, and keeps it.
    let other = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory';
        SELECT pg_advisory_lock(1986360180, 1); SELECT pg_sleep(20)";
    cluster.sql(&database, "UPDATE store SET tenure = tenure + 1");
    let held = {
        let (cluster, database) = (cluster.clone(), database.clone());
        std::thread::spawn(move || cluster.sql(&database, other))
    };
    until(|| program.said().contains("this one answers nothing more")).await;
    assert!(!held.is_finished(), "while the other has it");
    for arguments in [
        &["user", "disable", "ann@example.com"][..],
        &["user", "delete", "ann@example.com", "--yes"],
        &["key", "revoke", &key],
        &["session", "revoke", "--user", "ann@example.com"],
    ] {
        let error = site.run(&[arguments, &["--json"]].concat()).error(1);
        assert!(error.contains("it is not kept here"), "{arguments:?}: {error}");
        assert!(!error.contains("in memory"), "{arguments:?}: {error}");
    }
    assert_eq!(
        post(&program, &site, "/.auth/logout", &cookie, &json!({})).await,
        503
    );
    let said = site.run(&["doctor", "--json"]).stdout;
    assert!(said.contains("has used it meanwhile"), "{said}");
    let (_, log) = program.stop();
    assert!(
        !log.contains("the store is told again"),
        "nothing is promised: {log}"
    );
}
