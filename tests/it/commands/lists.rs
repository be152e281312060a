//! Commands that list accounts, mails and locks.

use serde_json::{Value, json};
use vestibule::clock::Clock;
use vestibule::store::sled::SledStore;
use vestibule::store::{MailOutcome, MailStore as _};

use super::{CONFIG, add, site};
use crate::harness::{Program, Site};

fn emails(site: &Site, options: &[&str]) -> Vec<String> {
    let found = site.list(&[&["user", "list"], options].concat());
    let accounts = found.as_array().unwrap().iter();
    accounts
        .map(|account| account["email"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn accounts_are_looked_for_as_on_the_page() {
    let site = site();
    add(&site, "ann@example.com", &["--name", "Ann Lee", "--group", "ops"]);
    add(&site, "bob@example.com", &["--group", "ops"]);
    add(&site, "leonard@example.com", &[]);
    site.ask(&["user", "disable", "bob"]);
    for (options, found) in [
        (&["--search", "LEE"][..], &["ann@example.com"][..]),
        (&["--search", "le"], &["ann@example.com", "leonard@example.com"]),
        (&["--group", "ops"], &["ann@example.com", "bob@example.com"]),
        (&["--group", "ops", "--status", "disabled"], &["bob@example.com"]),
        (&["--status", "awaiting-approval"], &[]),
        (&["--limit", "2"], &["ann@example.com", "bob@example.com"]),
        (&["--search", "le", "--limit", "1"], &["ann@example.com"]),
    ] {
        let mut seen = emails(&site, options);
        seen.sort();
        assert_eq!(seen, found, "{options:?}");
    }
    assert_eq!(site.run(&["user", "list", "--status", "odd"]).status, 2);
    assert_eq!(site.run(&["user", "list", "--limit", "0"]).status, 2);
}

/// Marks a mail as failed permanently.
async fn fail(site: &Site, id: &str) {
    let store = SledStore::open(&site.path("data/store"), Clock::system()).unwrap();
    let failed = MailOutcome::Failed {
        at: Clock::system().now(),
        reason: "550 no such user".to_owned(),
    };
    assert!(store.complete_mail(id.parse().unwrap(), failed).await.unwrap());
}

#[tokio::test]
async fn mails_that_wait_or_failed_are_listed_and_sent_again() {
    // No server listens there, so a mail stays queued.
    let site = Site::new(&format!("{CONFIG}\n[mail]\nurl = \"smtp://127.0.0.1:1\"\n"));
    assert_eq!(site.list(&["mail", "list"]), json!([]));
    site.ask(&["invite", "create", "--email", "ann@example.com", "--send"]);
    let waiting = site.list(&["mail", "list"]);
    let (mail, id) = (&waiting[0], waiting[0]["id"].as_str().unwrap());
    assert_eq!(
        (&mail["to"], &mail["topic"]),
        (&json!("ann@example.com"), &json!("invitation"))
    );
    assert_eq!(
        (&mail["failed"], &mail["attempt_count"]),
        (&json!(false), &json!(0))
    );
    let table = site.run(&["mail", "list"]).stdout;
    assert!(table.contains("NEXT TRY") && table.contains(id), "{table}");
    for name in [id, "ann@example.com", "nonsense"] {
        let error = site.run(&["mail", "send-again", name, "--json"]).error(1);
        assert!(error.contains("`vestibule mail list`"), "{error}");
    }
    for name in [id, "ANN@example.com"] {
        fail(&site, id).await;
        assert_eq!(site.list(&["mail", "list"])[0]["reason"], "550 no such user");
        let done = site.run(&["mail", "send-again", name, "--reason", "typo", "--json"]);
        assert_eq!(done.document(0), json!({ "again_count": 1 }));
        let event: Value = serde_json::from_str(&done.stderr).unwrap();
        assert_eq!(
            (&event["event"], &event["why"]),
            (&json!("mail-again"), &json!("typo"))
        );
        assert_eq!(site.list(&["mail", "list"])[0]["failed"], false);
    }
}

#[tokio::test]
async fn a_lock_is_listed_until_it_is_lifted() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let (program, _) = Program::start(&site);
    for name in ["ann@example.com", "nobody@example.com"] {
        for _ in 0..11 {
            let form = json!({ "login": name, "password": "wr0ng-guess!" });
            let post = program
                .client(&site)
                .post(program.url("/.auth/login"))
                .json(&form);
            post.send().await.unwrap();
        }
    }
    let locks = site.ask(&["lock", "list"]);
    assert_eq!(locks["accounts"][0]["email"], "ann@example.com", "{locks}");
    assert!(locks["accounts"][0]["locked_for_seconds"].as_u64().unwrap() > 1000);
    assert_eq!(locks["unknown_name_count"], 1);
    let table = site.run(&["lock", "list"]).stdout;
    assert!(
        table.contains("20 minutes") && table.contains("belongs to nobody"),
        "{table}"
    );
    site.ask(&["user", "unlock", "ann"]);
    assert_eq!(site.ask(&["lock", "list"])["accounts"], json!([]));
    program.stop();
}
