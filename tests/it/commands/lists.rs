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

#[test]
fn accounts_are_sorted_counted_and_changed_as_on_the_page() {
    let site = site();
    add(&site, "bob@example.com", &["--name", "Ann"]);
    let linked = site.ask(&["user", "add", "ann@example.com", "--link"]);
    assert!(
        linked["link"].as_str().unwrap().contains("/.auth/reset?token="),
        "{linked}"
    );
    assert!(linked["link_expires_at"].is_string());
    assert_eq!(
        emails(&site, &["--sort=name"]),
        ["bob@example.com", "ann@example.com"]
    );
    assert_eq!(
        emails(&site, &["--sort", "email"]),
        ["ann@example.com", "bob@example.com"]
    );
    assert_eq!(
        emails(&site, &["--sort=-email"]),
        ["bob@example.com", "ann@example.com"]
    );
    let counted = site.ask(&["user", "list", "--limit", "1"]);
    assert_eq!(
        (&counted["total_count"], &counted["previous"]),
        (&json!(2), &Value::Null)
    );
    assert_eq!(site.run(&["user", "list", "--sort", "shoe-size"]).status, 2);

    let named = site.ask(&["user", "set-name", "ann", "Ann Lee"]);
    assert_eq!(named["name"], "Ann Lee");
    for (name, said) in [
        ("Ann", "ann@example.com has the name\n"),
        (" ", "ann@example.com has no name\n"),
        ("", "ann@example.com has no name\n"),
    ] {
        assert_eq!(site.run(&["user", "set-name", "ann", name]).stdout, said);
    }
    assert_eq!(site.ask(&["user", "show", "ann"])["name"], Value::Null);
    let moved = site.ask(&["user", "set-email", "ann", "ann.lee@example.com"]);
    assert_eq!(moved["email"], "ann.lee@example.com");
    let taken = site.run(&["user", "set-email", "ann", "BOB@example.com", "--json"]);
    assert!(taken.error(1).contains("another account has the address"));
    let both = site.run(&["user", "add", "c@example.com", "--link", "--send-link"]);
    assert_eq!(both.status, 2);
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

#[test]
fn a_mail_that_is_not_wanted_is_dropped() {
    let site = Site::new(&format!("{CONFIG}\n[mail]\nurl = \"smtp://127.0.0.1:1\"\n"));
    site.ask(&["invite", "create", "--email", "ann@example.com", "--send"]);
    let waiting = site.list(&["mail", "list"]);
    let id = waiting[0]["id"].as_str().unwrap();
    let done = site.run(&["mail", "drop", id, "--reason", "left", "--json"]);
    assert_eq!(done.document(0), json!({ "dropped": id }));
    let event: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(
        (&event["event"], &event["why"]),
        (&json!("mail-drop"), &json!("left"))
    );
    assert_eq!(site.list(&["mail", "list"]), json!([]));
    for name in [id, "ann@example.com"] {
        let error = site.run(&["mail", "drop", name, "--json"]).error(1);
        assert!(error.contains("`vestibule mail list`"), "{error}");
    }
}

#[test]
fn invitations_are_listed_as_a_table_for_spreadsheets() {
    let site = site();
    for email in ["ann@example.com", "bob@example.com"] {
        site.ask(&[
            "invite", "create", "--email", email, "--group", "ops", "--group", "dev",
        ]);
    }
    let table = site.run(&["invite", "list", "--csv"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(
        lines[0].starts_with("email,name,groups,language,kind,created_at,created_by,"),
        "{table}"
    );
    assert!(
        lines[1].starts_with("ann@example.com,,\"dev,ops\",,signup,"),
        "{table}"
    );
    assert_eq!(site.run(&["invite", "list", "--csv", "--json"]).status, 2);
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

pub(super) async fn sign_in(program: &Program, site: &Site, login: &str) {
    let fields = json!({ "login": login, "password": super::PASSWORD });
    let form = program
        .client(site)
        .post(program.url("/.auth/login"))
        .json(&fields);
    assert_eq!(form.send().await.unwrap().status(), 200, "{login}");
}

#[tokio::test]
async fn the_last_sign_in_outlives_a_kill_an_export_and_an_import() {
    let site = site();
    for email in ["ann@example.com", "bob@example.com"] {
        add(&site, email, &[]);
    }
    let last = |site: &Site, name| site.ask(&["user", "show", name])["last_sign_in_at"].clone();
    let (gateway, _) = Program::start(&site);
    assert_eq!(last(&site, "ann"), Value::Null);
    sign_in(&gateway, &site, "ann@example.com").await;
    let first = last(&site, "ann");
    sign_in(&gateway, &site, "ann@example.com").await;
    let second = last(&site, "ann");
    assert!(
        first.as_str().unwrap() < second.as_str().unwrap(),
        "{first} {second}"
    );
    let newest = site.list(&["session", "list"])[0]["created_at"].clone();
    assert_eq!(second, newest, "it is the session's beginning");
    gateway.kill();

    let listed = site.list(&["user", "list"]);
    let times: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|account| &account["last_sign_in_at"])
        .collect();
    assert_eq!(times, [&second, &Value::Null]);
    let table = site.run(&["user", "list"]).stdout;
    assert!(
        table.contains("LAST SIGN-IN") && table.contains("never"),
        "{table}"
    );
    let shown = site.run(&["user", "show", "bob"]).stdout;
    assert!(
        shown
            .lines()
            .any(|line| line.split_whitespace().eq(["last", "sign-in", "never"])),
        "{shown}"
    );

    // As if all of it had been in the past.
    let export = site.run(&["store", "export"]).stdout;
    let past = "2020-01-02T03:04:05Z";
    let mut lines: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let anns = lines
        .iter_mut()
        .find(|line| line["account"]["last_sign_in_at"] == second);
    anns.unwrap()["account"]["last_sign_in_at"] = json!(past);
    let old = super::store::forged(&lines);
    let moved = super::site();
    std::fs::create_dir(moved.path("certs")).unwrap();
    std::fs::copy(site.path("certs/master.key"), moved.path("certs/master.key")).unwrap();
    let done = moved.run_with_input(&["store", "import"], &old);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(
        (last(&moved, "ann"), last(&moved, "bob")),
        (json!(past), Value::Null)
    );
    assert_eq!(emails(&moved, &["--inactive", "90d"]), ["ann@example.com"]);
    assert_eq!(emails(&moved, &["--inactive", "90d", "--search", "bob"]), [""; 0]);
    assert_eq!(
        emails(&moved, &["--inactive", "0s"]),
        ["ann@example.com", "bob@example.com"]
    );
    let (gateway, _) = Program::start(&moved);
    assert_eq!(
        emails(&moved, &["--inactive", "90d", "--status", "active"]),
        ["ann@example.com"]
    );
    sign_in(&gateway, &moved, "ann@example.com").await;
    assert_eq!(emails(&moved, &["--inactive", "90d"]), [""; 0]);
    gateway.stop();
    let said = moved.run(&["user", "list", "--inactive", "90d"]).stdout;
    assert_eq!(said, "No account matches.\n");
    assert_eq!(moved.run(&["user", "list", "--inactive", "soon"]).status, 2);
}

#[test]
fn accounts_are_listed_for_a_spreadsheet_which_runs_none_of_their_names() {
    let site = site();
    add(
        &site,
        "ann@example.com",
        &["--name", "Lee, \"Ann\"", "--group", "ops", "--group", "dev"],
    );
    add(
        &site,
        "+82@example.com",
        &["--username", "bob", "--name", "=HYPERLINK(A1)"],
    );
    let done = site.run(&["user", "list", "--csv"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let rows: Vec<&str> = done.stdout.split_terminator("\r\n").collect();
    assert_eq!(
        rows[0],
        "email,username,name,groups,status,email_verified,created_at,last_sign_in_at,id"
    );
    assert!(
        rows[1].starts_with("ann@example.com,ann,\"Lee, \"\"Ann\"\"\",\"dev,ops\",active,true,20"),
        "{}",
        rows[1]
    );
    assert!(
        rows[2].starts_with("'+82@example.com,bob,'=HYPERLINK(A1),,active,true,20"),
        "{}",
        rows[2]
    );
    assert_eq!(rows.len(), 3);
    assert!(done.stdout.ends_with("\r\n"));
    let none = site.run(&["user", "list", "--csv", "--search", "nobody"]).stdout;
    assert_eq!(none.matches("\r\n").count(), 1, "the header alone: {none}");
    assert_eq!(site.run(&["user", "list", "--csv", "--json"]).status, 2);
}
