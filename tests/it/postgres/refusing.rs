//! Rows of a database that cannot be read.

use serde_json::json;

use super::{add, cookie, gateway_on, get, sign_in};
use crate::harness::{Application, Cluster, Program, until};

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
            let listed = site.ask(&["key", "list"]);
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
