//! The commands, as processes: on the store itself, and through a running gateway.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod audit;
mod forged;
mod groups;
mod import;
mod invitations;
mod keys;
mod lists;
mod mail;
mod pages;
mod place;
mod salvage;
mod standard_stream;
mod store;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Program, Site};

const PASSWORD: &str = "drei-Birken-7!";

/// The hash of the same password, by crypt(3).
pub(crate) const HASH: &str = "$2y$10$Vx3bQ0nJ8mYkT1sLr5ZuCerjfrJsJAy8bIpRv.13DXyFXA0E.kaXO";

/// The configuration of every site.
const CONFIG: &str = r#"
    public_url = "https://localhost:0"
    [listen]
    https = ["127.0.0.1:0"]
    ops = ""
    [signup]
    mode = "invite"
    [password]
    bcrypt_cost = 10
"#;

fn site() -> Site {
    Site::new(CONFIG)
}

fn add(site: &Site, email: &str, options: &[&str]) -> Value {
    let arguments = ["user", "add", email, "--password-stdin", "--json"];
    site.run_with_input(&[&arguments, options].concat(), &format!("{PASSWORD}\n"))
        .document(0)
}

#[test]
fn an_account_is_added_listed_and_shown() {
    let site = site();
    let added = add(
        &site,
        "ann@example.com",
        &["--name", "Ann", "--group", "ops", "--group", "dev"],
    );
    assert_eq!(added["email"], "ann@example.com");
    assert_eq!(added["username"], "ann");
    assert_eq!(added["groups"], json!(["dev", "ops"]));
    assert_eq!(added["status"], "active");
    assert_eq!(added["email_verified"], true);
    add(&site, "bob@example.com", &["--username", "robert"]);

    let listed = site.list(&["user", "list"]);
    let emails: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|user| &user["email"])
        .collect();
    assert_eq!(emails, ["ann@example.com", "bob@example.com"]);

    for name in ["ANN@example.com", "ann", added["id"].as_str().unwrap()] {
        let shown = site.run(&["user", "show", name, "--json"]);
        assert_eq!(shown.document(0)["id"], added["id"]);
        assert!(!shown.stdout.contains("$2"), "{}", shown.stdout);
    }

    let table = site.run(&["user", "list"]).stdout;
    assert!(table.starts_with("EMAIL            USERNAME  STATUS"), "{table}");
}

#[test]
fn the_record_of_a_command_leaves_its_document_alone() {
    let site = site();
    let arguments = ["user", "add", "ann@example.com", "--password-stdin", "--json"];
    let done = site.run_with_input(&arguments, PASSWORD);
    assert_eq!(done.document(0)["email"], "ann@example.com");
    let event: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(event["event"], "account-add");
    assert!(event["by"].as_str().unwrap().starts_with("command (uid "));
    assert!(!done.stderr.contains(PASSWORD));
}

#[test]
fn what_the_services_refuse_exits_with_1_and_says_why() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let refusal = |email: &str, password: &str| {
        let arguments = ["user", "add", email, "--password-stdin", "--json"];
        site.run_with_input(&arguments, password).error(1)
    };
    assert!(refusal("ann@example.com", PASSWORD).contains("ann@example.com"));
    assert!(refusal("ann@example.org", PASSWORD).contains("--username"));
    assert!(refusal("bob@example.com", "short").contains("at least"));
    assert!(refusal("not an address", PASSWORD).contains("not an e-mail address"));
    let name = [
        "user",
        "add",
        "bob@example.com",
        "--password-stdin",
        "--json",
        "--name",
    ];
    for unfit in ["a\u{7}b", "a\nb", "a\u{202e}b", &"x".repeat(101)] {
        let error = site
            .run_with_input(&[&name[..], &[unfit]].concat(), PASSWORD)
            .error(1);
        assert!(error.contains("at most 100 characters"), "{error}");
    }
    let unknown = site.run(&["user", "show", "nobody@example.com", "--json"]);
    assert!(unknown.error(1).contains("nobody@example.com"));
    assert_eq!(site.list(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_command_line_that_cannot_be_understood_exits_with_2() {
    let site = site();
    for arguments in [
        &["user", "frobnicate", "--json"][..],
        &["user", "add", "ann@example.com", "--json"],
        &["user", "set-password", "ann@example.com", "--json"],
        &["session", "revoke", "--json"],
        &["serve", "--to", "http://127.0.0.1:1", "--json"],
        &["invite", "create", "--count", "0", "--json"],
    ] {
        let done = site.run(arguments);
        assert!(!done.error(2).is_empty(), "{arguments:?}");
        assert!(!done.stderr.is_empty(), "{arguments:?}");
    }
    assert!(!site.path("data").exists(), "nothing was opened");
}

#[test]
fn whoever_has_read_enough_of_an_answer_breaks_nothing() {
    let site = site();
    for arguments in [
        &["check"][..],
        &["check", "--json"],
        &["schema"],
        &["user", "list"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = site.program(arguments);
        let done = program
            .args(["--config", "vestibule.toml"])
            .stdout(writer)
            .output()
            .unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(
            done.status.success() && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn an_account_is_changed_and_deleted() {
    let site = site();
    add(
        &site,
        "root@example.com",
        &["--username", "chief", "--group", "gateway-admin"],
    );
    add(&site, "ann@example.com", &[]);
    let ann = "ann@example.com";

    assert_eq!(site.ask(&["user", "disable", ann])["status"], "disabled");
    assert_eq!(site.ask(&["user", "enable", ann])["status"], "active");
    assert_eq!(
        site.ask(&["user", "set-groups", ann, "a", "b"])["groups"],
        json!(["a", "b"])
    );
    assert_eq!(site.ask(&["user", "set-groups", ann])["groups"], json!([]));
    site.ask(&["user", "unlock", ann]);
    site.ask(&["user", "set-password", ann, "--password-hash", HASH]);

    let last = site.run(&["user", "delete", "chief", "--yes", "--json"]).error(1);
    assert!(last.contains("last active member"), "{last}");
    assert_eq!(site.ask(&["user", "delete", ann, "--yes"])["email"], ann);
    assert_eq!(site.list(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn accounts_are_imported_once() {
    let site = site();
    let file = format!("# people\nann:{HASH}\nbob@example.com:{HASH}\n");
    fs::write(site.path("htpasswd"), file).unwrap();
    let import = [
        "user",
        "import",
        "--htpasswd",
        "htpasswd",
        "--domain",
        "example.org",
    ];

    let report = site.ask(&import);
    let added = report["added"].as_array().unwrap();
    assert_eq!(added[0]["email"], "ann@example.org");
    assert_eq!(added[1]["username"], "bob");

    let again = site.run(&[&import[..], &["--json"]].concat());
    let report = again.document(1);
    assert_eq!(report["refused"].as_array().unwrap().len(), 2);
    assert_eq!(report["added"], json!([]));

    fs::write(site.path("htpasswd"), "carol:$apr1$a$b\n").unwrap();
    let report = site.run(&[&import[..], &["--json"]].concat()).document(1);
    assert_eq!(report["refused"][0]["line"], 1);
    assert_eq!(report["refused"][0]["name"], "carol");
}

#[test]
fn sessions_that_are_not_there_are_not_revoked() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    assert_eq!(site.list(&["session", "list"]), json!([]));
    assert_eq!(
        site.ask(&["session", "revoke", "--user", "ann@example.com"]),
        json!({ "ended_count": 0 })
    );
    let id = "0190b5a0-0000-7000-8000-000000000000";
    assert!(
        site.run(&["session", "revoke", id, "--json"])
            .error(1)
            .contains(id)
    );
}

#[test]
fn the_store_is_verified() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let found = site.ask(&["store", "verify"]);
    assert_eq!(found["accounts"], 1);
    assert_eq!(found["faults"], json!([]));
}

#[test]
fn commands_reach_the_gateway_that_runs() {
    let site = site();
    let (gateway, _) = Program::start(&site);
    let socket = site.path("data/admin.sock");
    assert_eq!(mode(&socket), 0o600);

    // The gateway has the store open, so it must have executed the command.
    add(&site, "ann@example.com", &[]);
    assert_eq!(site.ask(&["user", "show", "ann"])["email"], "ann@example.com");
    let refused = site.run(&["user", "show", "nobody", "--json"]).error(1);
    assert!(refused.contains("nobody"), "{refused}");

    let second = site.run(&["serve"]);
    assert_eq!(second.status, 1);
    assert!(
        second.stderr.contains("a gateway is already running"),
        "{}",
        second.stderr
    );

    let (status, log) = gateway.stop();
    assert_eq!(status, 0, "{log}");
    assert!(!socket.exists());
    assert!(!log.contains(PASSWORD), "{log}");
    assert_eq!(site.ask(&["user", "show", "ann"])["email"], "ann@example.com");
}

#[test]
fn the_first_administrators_link_goes_when_a_command_makes_one_without_a_gateway() {
    let site = site();
    let file = site.path("data/first-administrator.link");
    let (gateway, _) = Program::start(&site);
    gateway.stop();
    assert!(file.exists());
    add(&site, "ann@example.com", &[]);
    assert!(file.exists(), "she administers nothing");
    site.ask(&["user", "list"]);
    site.ask(&["user", "set-groups", "ann@example.com", "gateway-admin"]);
    assert!(!file.exists());
}

#[test]
fn the_first_administrators_link_lies_in_a_file_until_there_is_one() {
    let site = site();
    let file = site.path("data/first-administrator.link");
    let link = || fs::read_to_string(&file).unwrap();

    let (gateway, said) = Program::start(&site);
    assert!(said.contains("first-administrator.link"), "{said}");
    assert_eq!(mode(&file), 0o600);
    let first = link();
    assert!(first.contains("/.auth/signup?invitation="), "{first}");
    assert!(!said.contains(first.trim()), "the link is not logged");
    gateway.stop();

    let (gateway, _) = Program::start(&site);
    assert_ne!(link(), first);
    let invitations = site.list(&["invite", "list"]);
    assert_eq!(
        invitations.as_array().unwrap().len(),
        1,
        "the earlier one is revoked"
    );
    assert_eq!(invitations[0]["kind"], "first-administrator");

    add(&site, "ann@example.com", &["--group", "gateway-admin"]);
    assert_eq!(site.list(&["invite", "list"]), json!([]), "it is void");
    eventually("the file is removed", || !file.exists());
    gateway.stop();

    let (gateway, said) = Program::start(&site);
    assert!(!said.contains("first-administrator.link"), "{said}");
    assert!(!file.exists());
    gateway.stop();
}

#[test]
fn a_configuration_that_is_there_is_not_overwritten() {
    let site = site();
    fs::write(site.path("mine.toml"), "# mine\n").unwrap();
    let output = site.program(&["serve", "--save", "mine.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(site.path("mine.toml")).unwrap(), "# mine\n");
    assert!(!site.path("data").exists(), "nothing was started");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("in 30 seconds it did not happen that {what}");
}
