//! A database that refuses revocations, and rows that cannot be read.

use serde_json::json;

use super::{add, config, cookie, gateway_on, get, sign_in};
use crate::harness::{Application, Cluster, PASSWORD, Program, Site, until};

const TABLES: [&str; 3] = ["account", "access_key", "session"];

fn refuse(cluster: &Cluster, database: &str) {
    cluster.sql(
        database,
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'",
    );
    for table in TABLES {
        let sql =
            format!("CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON {table} EXECUTE FUNCTION refuse()");
        cluster.sql(database, &sql);
    }
}

fn relent(cluster: &Cluster, database: &str) {
    for table in TABLES {
        cluster.sql(database, &format!("DROP TRIGGER refuse ON {table}"));
    }
}

#[tokio::test]
async fn whoever_was_shut_out_while_the_database_refused_stays_it_until_it_agrees() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    add(&site, "bob@example.com");
    let key = site.ask(&["key", "create", "bob@example.com"]);
    let key = key["access_key"].as_str().unwrap();
    let is_live = || site.list(&["key", "list", "--user", "bob@example.com"])[0]["live"].clone();
    let stands = |who: &str| site.ask(&["user", "show", who])["status"].clone();
    let cookie = cookie(&sign_in(&program, &site).await);
    assert_eq!(is_live(), true);

    refuse(&cluster, &database);
    for arguments in [
        ["user", "disable", "ann@example.com", "--json"],
        ["key", "disable", key, "--json"],
    ] {
        let error = site.run(&arguments).error(1);
        assert!(error.contains("unavailable"), "{arguments:?}: {error}");
    }
    assert_eq!(get(&program, &site, "/", &cookie).await.status(), 401, "at once");
    assert_eq!(sign_in(&program, &site).await.status(), 503);
    assert_eq!(is_live(), false);
    assert_eq!(stands("ann"), "active");

    relent(&cluster, &database);
    until(|| stands("ann") == "disabled").await;
    until(|| site.list(&["key", "list", "--user", "bob@example.com"])[0]["disabled"] == true).await;
    assert_eq!(sign_in(&program, &site).await.status(), 401);
    let events = site.list(&["audit", "--event", "disable"]);
    let done = events.as_array().unwrap().iter();
    let done = done.filter(|event| event["outcome"] == "success");
    assert_eq!(done.count(), 1, "on record once: {events}");
    site.ask(&["key", "enable", key]);
    assert_eq!(is_live(), true);

    // A revocation that was taken back is not applied later.
    site.ask(&["user", "enable", "ann@example.com"]);
    refuse(&cluster, &database);
    site.run(&["user", "disable", "ann@example.com", "--json"])
        .error(1);
    site.run(&["user", "delete", "bob@example.com", "--yes", "--json"])
        .error(1);
    site.run(&["key", "revoke", key, "--json"]).error(1);
    let (_, log) = program.stop();
    for told in ["ann@example.com", "bob@example.com", key] {
        let is_told = |line: &str| line.contains("could not be told") && line.contains(told);
        assert!(log.lines().any(is_told), "{told}: {log}");
    }
    relent(&cluster, &database);
    let (program, _) = Program::start(&site);
    assert_eq!(sign_in(&program, &site).await.status(), 200, "as it was said");
    program.stop();
}

#[tokio::test]
async fn s49_a_row_that_cannot_be_read_shuts_out_its_account_alone() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    for (table, whose) in [
        ("account", "WHERE email = 'bob@example.com'"),
        (
            "session",
            "WHERE account = (SELECT id FROM account WHERE email = 'bob@example.com')",
        ),
        (
            "access_key",
            "WHERE account = (SELECT id FROM account WHERE email = 'bob@example.com')",
        ),
    ] {
        let database = if table == "account" {
            database.clone()
        } else {
            cluster.database()
        };
        let (site, program) = gateway_on(&cluster, &database, &app);
        add(&site, "bob@example.com");
        let id = site.ask(&["user", "show", "bob"])["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let [ann_key, bob_key] = ["ann@example.com", "bob@example.com"].map(|of| {
            let made = site.ask(&["key", "create", of]);
            made["access_key"].as_str().unwrap().to_owned()
        });
        let ann = cookie(&sign_in(&program, &site).await);
        let bob = cookie(&super::sign_in_as(&program, &site, "bob@example.com").await);
        program.stop();
        cluster.sql(&database, &format!("UPDATE {table} SET record = '{{}}' {whose}"));

        let (program, log) = Program::start(&site);
        assert_eq!(get(&program, &site, "/", &ann).await.status(), 200, "{table}");
        let bobs = get(&program, &site, "/", &bob).await.status();
        assert_eq!(bobs == 200, table == "access_key", "{table}: {bobs}");
        let names_it = |line: &str| line.contains("cannot be read") && line.contains(&id);
        assert!(log.lines().any(names_it), "{table}: {log}");
        let live = |key: &str| {
            let listed = site.list(&["key", "list"]);
            let keys = listed.as_array().unwrap().iter();
            keys.filter(|listed| listed["access_key"] == key)
                .any(|listed| listed["live"] == true)
        };
        assert!(live(&ann_key), "{table}");
        assert_eq!(live(&bob_key), table == "session", "{table}");
        program.stop();
    }
}

#[tokio::test]
async fn a_mail_that_cannot_be_read_stands_before_no_other() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    program.stop();
    cluster.sql(
        &database,
        "INSERT INTO mail (id, due_at, version, record) VALUES (gen_random_uuid(), 0, 1, '{}')",
    );
    let (program, _) = Program::start(&site);
    let form = json!({ "email": "ann@example.com" });
    let forgot = program
        .client(&site)
        .post(program.url("/.auth/forgot"))
        .json(&form);
    assert_eq!(crate::harness::soon(forgot.send()).await.unwrap().status(), 202);
    let outbox = site.path("data/outbox");
    until(|| std::fs::read_dir(&outbox).is_ok_and(|mails| mails.count() == 1)).await;
    let (_, log) = program.stop();
    assert!(log.contains("a mail cannot be read and is not sent"), "{log}");
}

#[tokio::test]
async fn s49_a_row_that_cannot_be_read_hides_no_other_account_from_administrators() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    for name in ["bob", "cat"] {
        add(&site, &format!("{name}@example.com"));
    }
    site.ask(&["user", "set-groups", "ann", "gateway-admin"]);
    let bob = site.ask(&["user", "show", "bob"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let admin = cookie(&sign_in(&program, &site).await);
    cluster.sql(
        &database,
        "UPDATE account SET record = '{}' WHERE email = 'bob@example.com'",
    );

    let listed = site.run(&["user", "list", "--json"]);
    let document = listed.document(0);
    let others: Vec<_> = document["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["username"].as_str().unwrap())
        .collect();
    assert_eq!(others, ["ann", "cat"]);
    assert!(
        document["unreadable"][0].as_str().unwrap().contains(&bob),
        "{document}"
    );
    assert!(
        listed.stderr.contains("cannot be read") && listed.stderr.contains(&bob),
        "{}",
        listed.stderr
    );
    let path = "/.auth/admin/accounts";
    let asked = program.client(&site).get(program.url(path));
    let asked = asked
        .header("cookie", &admin)
        .header("accept", "application/json");
    let answer = crate::harness::soon(asked.send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let page: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(page["accounts"].as_array().unwrap().len(), 2, "{page}");
    assert!(page["unreadable"][0].as_str().unwrap().contains(&bob), "{page}");
    program.stop();
}

#[tokio::test]
async fn s49_an_administrators_row_that_cannot_be_read_stops_no_sign_up() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let signup = "signup.mode = \"open\"\nsignup.approval = true\n";
    let site = Site::new(&(signup.to_owned() + &config(&cluster.url(&database), &app.url())));
    for name in ["ann", "bob"] {
        add(&site, &format!("{name}@example.com"));
        site.ask(&["user", "set-groups", name, "gateway-admin"]);
    }
    let (program, _) = Program::start(&site);
    cluster.sql(
        &database,
        "UPDATE account SET record = '{}' WHERE email = 'bob@example.com'",
    );
    let form = json!({
        "email": "cat@example.com", "username": "cat",
        "password": PASSWORD, "password_confirm": PASSWORD, "agree": true,
    });
    let signs_up = program
        .client(&site)
        .post(program.url("/.auth/signup"))
        .json(&form);
    let answer = crate::harness::soon(signs_up.header("accept", "application/json").send()).await;
    assert!(answer.unwrap().status().is_success());
    let (_, log) = program.stop();
    assert!(log.contains("is not told of who waits for approval"), "{log}");
}

#[tokio::test]
async fn s49_the_last_administrator_who_can_be_read_stays() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    add(&site, "bob@example.com");
    for name in ["ann", "bob"] {
        site.ask(&["user", "set-groups", name, "gateway-admin"]);
    }
    cluster.sql(
        &database,
        "UPDATE account SET record = '{}' WHERE email = 'bob@example.com'",
    );
    for change in [
        &["user", "disable", "ann"][..],
        &["user", "delete", "ann", "--yes"],
        &["user", "set-groups", "ann", "--remove", "gateway-admin"],
    ] {
        let error = site.run(&[change, &["--json"]].concat()).error(1);
        assert!(error.contains("last active member"), "{change:?}: {error}");
    }
    assert_eq!(site.ask(&["user", "show", "ann"])["status"], "active");
    program.stop();
}

/// The notice of a new password lists the keys that go on serving.
#[tokio::test]
async fn a_key_that_cannot_be_read_keeps_no_notice_of_a_new_password_back() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    for _ in 0..2 {
        site.ask(&["key", "create", "ann@example.com"]);
    }
    let outbox = site.path("data/outbox");
    let sent = |count: usize| std::fs::read_dir(&outbox).is_ok_and(|mails| mails.count() == count);
    until(|| sent(2)).await;
    cluster.sql(
        &database,
        "UPDATE access_key SET record = '{}' WHERE id = (SELECT min(id) FROM access_key)",
    );
    let command = [
        "user",
        "set-password",
        "ann@example.com",
        "--password-stdin",
        "--json",
    ];
    site.run_with_input(&command, "N3w-harbour!9").document(0);
    until(|| sent(3)).await;
    program.stop();
}

#[tokio::test]
async fn s49_no_owner_undoes_a_revocation_that_the_database_refused() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    let key = site.ask(&["key", "create", "ann@example.com"]);
    let key = key["access_key"].as_str().unwrap();
    let cookie = cookie(&sign_in(&program, &site).await);
    let change = async |change: &str| {
        let post = program
            .client(&site)
            .post(program.url("/.auth/account/keys"))
            .header("accept", "application/json")
            .header("cookie", &cookie)
            .json(&json!({ "access_key": key, "change": change }));
        crate::harness::soon(post.send()).await.unwrap().status()
    };

    refuse(&cluster, &database);
    let error = site.run(&["key", "revoke", key, "--json"]).error(1);
    assert!(error.contains("it holds in memory"), "{error}");
    for weaker in ["disable", "enable"] {
        assert_eq!(change(weaker).await, 503, "{weaker}");
    }
    relent(&cluster, &database);
    for weaker in ["disable", "enable"] {
        assert_eq!(change(weaker).await, 404, "{weaker}");
    }
    assert_eq!(site.list(&["key", "list"]), json!([]));
    for (event, times) in [
        ("access-key-revoke", 1),
        ("access-key-disable", 0),
        ("access-key-enable", 0),
    ] {
        let events = site.list(&["audit", "--event", event]);
        let done = events.as_array().unwrap().iter();
        let done = done.filter(|event| event["outcome"] == "success");
        assert_eq!(done.count(), times, "{events}");
    }
    program.stop();
}

#[tokio::test]
async fn s49_an_account_that_cannot_be_read_is_shut_out_and_not_deleted() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    sign_in(&program, &site).await;
    cluster.sql(
        &database,
        "CREATE TABLE kept AS SELECT id, record FROM account; UPDATE account SET record = '{}'",
    );
    let refused = site
        .run(&["user", "delete", "ann@example.com", "--yes", "--json"])
        .error(1);
    assert!(refused.contains("it is not deleted"), "{refused}");
    let held = site
        .run(&["user", "disable", "ann@example.com", "--json"])
        .error(1);
    assert!(held.contains("it holds in memory"), "{held}");
    cluster.sql(
        &database,
        "UPDATE account SET record = kept.record FROM kept WHERE kept.id = account.id",
    );
    until(|| site.ask(&["user", "show", "ann"])["status"] == "disabled").await;
    site.ask(&["user", "enable", "ann@example.com"]);
    assert_eq!(sign_in(&program, &site).await.status(), 200);
    program.stop();
}

#[tokio::test]
async fn s49_a_row_that_cannot_be_read_stops_no_list() {
    let (cluster, app) = (Cluster::shared(), Application::start().await);
    let database = cluster.database();
    let (site, program) = gateway_on(&cluster, &database, &app);
    site.ask(&["user", "set-groups", "ann", "gateway-admin"]);
    for _ in 0..2 {
        site.ask(&["invite", "create"]);
        site.ask(&["key", "create", "ann@example.com"]);
    }
    for name in ["known@example.com", "other@example.com"] {
        assert_eq!(super::sign_in_as(&program, &site, name).await.status(), 401);
    }
    let admin = cookie(&sign_in(&program, &site).await);
    site.ask(&["audit"]);
    for damage in [
        "UPDATE invitation SET record = '{}' WHERE id = (SELECT min(id::text)::uuid FROM invitation)",
        "UPDATE access_key SET record = '{}' WHERE id = (SELECT min(id) FROM access_key)",
        "UPDATE audit_event SET record = '{}' WHERE number = (SELECT min(number) FROM audit_event)",
        "UPDATE name_failures SET record = '{}' WHERE digest = (SELECT digest FROM name_failures ORDER BY digest DESC LIMIT 1)",
        "INSERT INTO mail (id, failed_at, version, record) VALUES (gen_random_uuid(), 9000000000000000, 1, '{}')",
    ] {
        cluster.sql(&database, damage);
    }

    for (list, rows, sound) in [
        // The oldest is the first administrator's.
        (&["invite", "list"][..], "invitations", 2),
        (&["key", "list"][..], "access_keys", 1),
        (
            &["key", "list", "--user", "ann@example.com"][..],
            "access_keys",
            1,
        ),
        (&["mail", "list"][..], "mails", 0),
        (&["lock", "list"][..], "accounts", 0),
        (&["audit", "--event", "account-add"][..], "events", 0),
    ] {
        let listed = site.run(&[list, &["--json"]].concat());
        let document = listed.document(0);
        // The oldest event is how Ann's account was made.
        assert_eq!(document[rows].as_array().unwrap().len(), sound, "{document}");
        assert_eq!(document["unreadable"].as_array().unwrap().len(), 1, "{document}");
        assert!(listed.stderr.contains("cannot be read: "), "{}", listed.stderr);
    }
    for (page, unreadable) in [
        ("/.auth/admin", 0),
        ("/.auth/admin/invitations", 1),
        ("/.auth/admin/mails", 1),
        ("/.auth/admin/locks", 1),
        ("/.auth/admin/audit?event=account-add", 1),
        ("/.auth/account/keys", 1),
        ("/.auth/account", 0),
    ] {
        let asked = program.client(&site).get(program.url(page));
        let asked = asked
            .header("cookie", &admin)
            .header("accept", "application/json");
        let answer = crate::harness::soon(asked.send()).await.unwrap();
        assert_eq!(answer.status(), 200, "{page}");
        let document: serde_json::Value = answer.json().await.unwrap();
        let named = document["unreadable"].as_array().map_or(0, Vec::len);
        assert_eq!(named, unreadable, "{page}: {document}");
    }

    // The name alone is locked whose failures cannot be read.
    let mut statuses = Vec::new();
    for name in ["known@example.com", "other@example.com", "third@example.com"] {
        statuses.push(super::sign_in_as(&program, &site, name).await.status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [401, 401, 429]);
    let (_, log) = program.stop();
    assert!(log.contains("failed attempts cannot be read"), "{log}");
    let left = "SELECT (SELECT count(*) FROM invitation WHERE record::text = '{}')
        + (SELECT count(*) FROM access_key WHERE record::text = '{}')
        + (SELECT count(*) FROM audit_event WHERE record::text = '{}')
        + (SELECT count(*) FROM name_failures WHERE record::text = '{}')
        + (SELECT count(*) FROM mail WHERE record::text = '{}')";
    assert_eq!(cluster.sql(&database, left).trim(), "5", "nothing is deleted");
}
