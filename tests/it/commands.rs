//! The commands, as processes: on the store itself, and through a gateway that runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "drei-Tannen7!";

/// The same password, hashed by crypt(3).
const HASH: &str = "$2y$10$Vx3bQ0nJ8mYkT1sLr5ZuCerjfrJsJAy8bIpRv.13DXyFXA0E.kaXO";

/// A folder with a configuration in it.
struct Site(TempDir);

/// What a command said and how it exited.
struct Done {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Site {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let config = r#"
            public_url = "https://localhost:0"
            [listen]
            https = ["127.0.0.1:0"]
            ops = ""
            [signup]
            mode = "invite"
            [password]
            bcrypt_cost = 10
        "#;
        fs::write(folder.path().join("vestibule.toml"), config).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program in this folder.
    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        program
            .current_dir(self.0.path())
            .env_remove("VESTIBULE_LOG")
            .args(arguments);
        program
    }

    /// A command with this on its standard input.
    fn run_with_input(&self, arguments: &[&str], input: &str) -> Done {
        let mut child = self
            .program(arguments)
            .args(["--config", "vestibule.toml"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses before it reads has closed the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Done {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Done {
        self.run_with_input(arguments, "")
    }

    /// The document of a command that is done.
    fn ask(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).document(0)
    }

    fn add(&self, email: &str, options: &[&str]) -> Value {
        let arguments = ["user", "add", email, "--password-stdin", "--json"];
        self.run_with_input(&[&arguments, options].concat(), &format!("{PASSWORD}\n"))
            .document(0)
    }
}

impl Done {
    /// The only document on standard output, of a command that exited like this.
    #[track_caller]
    fn document(&self, status: i32) -> Value {
        assert_eq!(self.status, status, "{}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// The refusal of a command that was refused.
    #[track_caller]
    fn error(&self, status: i32) -> String {
        self.document(status)["error"].as_str().unwrap().to_owned()
    }
}

/// A gateway that runs in a site.
struct Gateway {
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Gateway {
    /// Starts it and waits until it says where it is. The log so far is returned.
    fn start(site: &Site) -> (Self, String) {
        let mut child = site
            .program(&["--config", "vestibule.toml"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("Vestibule is at") {
            assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        // Read on, or it blocks when the pipe is full.
        let log = thread::spawn(move || {
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            rest
        });
        (
            Self {
                child,
                log: Some(log),
            },
            said,
        )
    }

    /// Tells it to stop, and waits. How it exited, and what it said in the meantime.
    fn stop(mut self) -> (i32, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        let status = self.child.wait().unwrap().code().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Gateway {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_account_is_added_listed_and_shown() {
    let site = Site::new();
    let added = site.add(
        "ann@example.com",
        &["--name", "Ann", "--group", "ops", "--group", "dev"],
    );
    assert_eq!(added["email"], "ann@example.com");
    assert_eq!(added["username"], "ann");
    assert_eq!(added["groups"], json!(["dev", "ops"]));
    assert_eq!(added["standing"], "active");
    assert_eq!(added["email_verified"], true);
    site.add("bob@example.com", &["--username", "robert"]);

    let listed = site.ask(&["user", "list"]);
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
    assert!(
        table.starts_with("EMAIL            USERNAME  STANDING"),
        "{table}"
    );
}

#[test]
fn the_record_of_a_command_leaves_its_document_alone() {
    let site = Site::new();
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
    let site = Site::new();
    site.add("ann@example.com", &[]);
    let add = |email: &str, password: &str| {
        let arguments = ["user", "add", email, "--password-stdin", "--json"];
        site.run_with_input(&arguments, password).error(1)
    };
    assert!(add("ann@example.com", PASSWORD).contains("ann@example.com"));
    assert!(add("ann@example.org", PASSWORD).contains("--username"));
    assert!(add("bob@example.com", "short").contains("at least"));
    assert!(add("not an address", PASSWORD).contains("not an e-mail address"));
    let unknown = site.run(&["user", "show", "nobody@example.com", "--json"]);
    assert!(unknown.error(1).contains("nobody@example.com"));
    assert_eq!(site.ask(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_command_line_that_cannot_be_understood_exits_with_2() {
    let site = Site::new();
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
fn an_account_is_changed_and_deleted() {
    let site = Site::new();
    site.add(
        "root@example.com",
        &["--username", "chief", "--group", "gateway-admin"],
    );
    site.add("ann@example.com", &[]);
    let ann = "ann@example.com";

    assert_eq!(site.ask(&["user", "disable", ann])["standing"], "disabled");
    assert_eq!(site.ask(&["user", "enable", ann])["standing"], "active");
    assert_eq!(
        site.ask(&["user", "set-groups", ann, "a", "b"])["groups"],
        json!(["a", "b"])
    );
    assert_eq!(site.ask(&["user", "set-groups", ann])["groups"], json!([]));
    site.ask(&["user", "unlock", ann]);
    site.ask(&["user", "set-password", ann, "--password-hash", HASH]);

    let last = site.run(&["user", "delete", "chief", "--json"]).error(1);
    assert!(last.contains("last active member"), "{last}");
    assert_eq!(site.ask(&["user", "delete", ann])["email"], ann);
    assert_eq!(site.ask(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn accounts_are_imported_once() {
    let site = Site::new();
    let file = format!("# people\nann:{HASH}\nbob@example.com:{HASH}\n");
    fs::write(site.path("htpasswd"), file).unwrap();
    let import = ["user", "import", "--htpasswd", "htpasswd"];

    let report = site.ask(&import);
    let added = report["added"].as_array().unwrap();
    assert_eq!(added[0]["email"], "ann@localhost");
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
fn invitations_are_made_listed_and_revoked() {
    let site = Site::new();
    let one = site.ask(&["invite", "create", "--email", "ann@example.com", "--group", "ops"]);
    let link = one["link"].as_str().unwrap();
    assert!(link.contains("/.auth/signup?invitation="), "{link}");
    assert_eq!(one["email"], "ann@example.com");
    assert_eq!(one["groups"], json!(["ops"]));
    assert!(one["expires_at"].is_string());

    let three = site.ask(&["invite", "create", "--count", "3", "--ttl", "1h"]);
    assert_eq!(three["links"].as_array().unwrap().len(), 3);
    assert_eq!(three["link"], three["links"][0]);
    assert_eq!(site.ask(&["invite", "list"]).as_array().unwrap().len(), 4);

    let id = one["id"].as_str().unwrap();
    assert_eq!(site.ask(&["invite", "revoke", id])["revoked"], id);
    assert!(
        site.run(&["invite", "revoke", id, "--json"])
            .error(1)
            .contains(id)
    );
    assert_eq!(site.ask(&["invite", "list"]).as_array().unwrap().len(), 3);
}

#[test]
fn sessions_that_are_not_there_are_not_revoked() {
    let site = Site::new();
    site.add("ann@example.com", &[]);
    assert_eq!(site.ask(&["session", "list"]), json!([]));
    assert_eq!(
        site.ask(&["session", "revoke", "--user", "ann@example.com"]),
        json!({ "ended": 0 })
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
    let site = Site::new();
    site.add("ann@example.com", &[]);
    let found = site.ask(&["store", "verify"]);
    assert_eq!(found["accounts"], 1);
    assert_eq!(found["faults"], json!([]));
}

#[test]
fn commands_reach_the_gateway_that_runs() {
    let site = Site::new();
    let (gateway, _) = Gateway::start(&site);
    let socket = site.path("data/admin.sock");
    assert_eq!(mode(&socket), 0o600);

    // The gateway alone has the store open: whatever a command does, the gateway did it.
    site.add("ann@example.com", &[]);
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
fn the_first_administrators_link_lies_in_a_file_until_there_is_one() {
    let site = Site::new();
    let file = site.path("data/first-administrator.link");
    let link = || fs::read_to_string(&file).unwrap();

    let (gateway, said) = Gateway::start(&site);
    assert!(said.contains("first-administrator.link"), "{said}");
    assert_eq!(mode(&file), 0o600);
    let first = link();
    assert!(first.contains("/.auth/signup?invitation="), "{first}");
    assert!(!said.contains(first.trim()), "the link is not logged");
    gateway.stop();

    let (gateway, _) = Gateway::start(&site);
    assert_ne!(link(), first);
    let invitations = site.ask(&["invite", "list"]);
    assert_eq!(
        invitations.as_array().unwrap().len(),
        1,
        "the earlier one is revoked"
    );
    assert_eq!(invitations[0]["kind"], "first-administrator");

    site.add("ann@example.com", &["--group", "gateway-admin"]);
    eventually("the file is removed", || !file.exists());
    gateway.stop();

    let (gateway, said) = Gateway::start(&site);
    assert!(!said.contains("first-administrator.link"), "{said}");
    assert!(!file.exists());
    gateway.stop();
}

#[test]
fn a_configuration_that_is_there_is_not_overwritten() {
    let site = Site::new();
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
