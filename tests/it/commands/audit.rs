//! `vestibule audit`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{CONFIG, HASH, add, site};
use crate::harness::{Program, Site, until};

fn events(site: &Site, options: &[&str]) -> Vec<(String, String)> {
    let found = site.list(&[&["audit"], options].concat());
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let events = found.as_array().unwrap().iter();
    events
        .map(|event| (text(event, "event"), text(event, "user")))
        .collect()
}

#[test]
fn the_audit_log_is_shown_filtered_and_exported() {
    let site = site();
    assert_eq!(site.run(&["audit"]).stdout, "There are no such events.\n");
    add(&site, "ann@example.com", &[]);
    add(&site, "bob@example.com", &[]);
    site.ask(&["user", "disable", "bob", "--reason", "left"]);
    site.ask(&["user", "delete", "bob", "--yes"]);

    let ann = "ann@example.com".to_owned();
    let bob = "bob@example.com".to_owned();
    let all = [
        ("account-add".to_owned(), ann.clone()),
        ("account-add".to_owned(), bob.clone()),
        ("disable".to_owned(), bob.clone()),
        ("account-delete".to_owned(), bob.clone()),
    ];
    assert_eq!(events(&site, &[]), all);
    assert_eq!(events(&site, &["--account", "ANN@example.com"]), all[..1]);
    // Events of a deleted account are still found.
    assert_eq!(events(&site, &["--account", "bob@example.com"]), all[1..]);
    assert_eq!(events(&site, &["--event", "disable", "--since", "1h"]), all[2..3]);
    assert_eq!(events(&site, &["--limit", "2"]), all[2..]);
    assert!(events(&site, &["--failures"]).is_empty());
    assert!(events(&site, &["--until", "2026-01-01T00:00:00Z"]).is_empty());
    let said = site.run(&["audit", "--event", "nonsense"]).stderr;
    assert!(said.contains("sign-in, signed-request, agree"), "{said}");
    let said = site.run(&["audit", "--event", "nonsense", "--json"]).document(2);
    let said = said["error"].as_str().unwrap();
    assert!(
        said.starts_with("invalid value 'nonsense' for '--event <EVENT>' [possible values: sign-in, "),
        "{said}"
    );
    assert!(!said.contains('\n') && !said.contains("--help"), "{said}");
    let said = site.run(&["user", "show", "--json"]).document(2);
    assert_eq!(
        said["error"],
        "the following required arguments were not provided: <EMAIL>"
    );
    // Also by the username.
    assert_eq!(events(&site, &["--account", "bob"]), all[1..]);

    let shown = site.run(&["audit", "--event", "disable"]).stdout;
    assert!(
        shown.contains("disable bob@example.com  by command (uid "),
        "{shown}"
    );
    assert!(shown.contains("because left"), "{shown}");

    for (exports, since) in [&[][..], &["--since", "1h"]].into_iter().enumerate() {
        let exported = site.run(&[&["audit", "--lines"], since].concat()).stdout;
        let lines: Vec<Value> = exported
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines.len(),
            4 + exports,
            "an export is on record, and in the next one"
        );
        if exports > 0 {
            assert_eq!(lines[4]["event"], json!("audit-export"));
            assert!(lines[4]["by"].as_str().unwrap().starts_with("command (uid "));
        }
        assert_eq!(lines[2]["why"], json!("left"));
        assert!(!exported.contains("$2"), "no hash in it");
    }
}

#[test]
fn every_command_that_changes_something_takes_a_reason_and_a_reload_is_recorded() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    fs::write(site.path("htpasswd"), format!("bob@example.com:{HASH}\n")).unwrap();
    site.ask(&[
        "user",
        "import",
        "--htpasswd",
        "htpasswd",
        "--reason",
        "moving in",
    ]);
    let (gateway, _) = Program::start(&site);
    site.ask(&["key", "rotate-master", "--reason", "yearly"]);
    site.ask(&["reload", "--reason", "certificates"]);
    site.configure(&CONFIG.replace(r#"mode = "invite""#, r#"mode = "open""#));
    gateway.signal(Signal::HUP);
    let says = |what: &str, times| {
        for _ in 0..200 {
            if gateway.said().matches(what).count() == times {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}: {}", gateway.said());
    };
    says("\"reloaded\"", 2);
    site.configure("nonsense = 1");
    gateway.signal(Signal::HUP);
    says("not reloaded", 1);
    site.configure(CONFIG);

    let reloads = site.list(&["audit", "--event", "reload"]);
    let seen: Vec<_> = reloads
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            let by = text("by").split(" (").next().unwrap().to_owned();
            [by, text("why"), text("reason"), text("detail")].join("|")
        })
        .collect();
    let expected = [
        "command|certificates||",
        "SIGHUP|||changed signup",
        "SIGHUP||invalid-configuration|",
    ];
    assert_eq!(seen, expected);
    let why = |event: &str| {
        let found = site.list(&["audit", "--event", event]);
        found.as_array().unwrap().last().unwrap()["why"].clone()
    };
    assert_eq!(why("account-add"), "moving in");
    assert_eq!(why("master-key-rotate"), "yearly");
    gateway.stop();
}

#[test]
fn the_audit_log_is_followed_while_a_gateway_runs() {
    let site = site();
    let refused = site.run(&["audit", "--follow", "--json"]);
    assert_eq!(refused.status, 1, "without a gateway nothing more will happen");
    let (gateway, _) = Program::start(&site);
    add(&site, "ann@example.com", &[]);
    let mut follower = site
        .program(&[
            "audit",
            "--follow",
            "--json",
            "--event",
            "account-add",
            "--config",
            "vestibule.toml",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["user"], "ann@example.com");
    add(&site, "bob@example.com", &[]);
    assert_eq!(next()["user"], "bob@example.com");
    follower.kill().unwrap();
    follower.wait().unwrap();
    let (status, log) = gateway.stop();
    assert_eq!(status, 0, "{log}");
}

#[test]
fn what_a_command_is_refused_is_on_record_as_on_a_page() {
    let site = site();
    add(&site, "root1@example.com", &["--group", "gateway-admin"]);
    add(&site, "ann@example.com", &[]);
    fs::write(
        site.path("htpasswd"),
        format!("ann@example.com:{HASH}\nroot1@example.com:{HASH}\n"),
    )
    .unwrap();
    let refused: &[&[&str]] = &[
        &["user", "delete", "root1@example.com", "--yes"],
        &["user", "set-groups", "root1"],
        &["user", "disable", "root1", "--reason", "by mistake"],
        &["user", "decline", "ann"],
        &["user", "unlock", "nobody@example.com"],
        &["key", "create", "nobody"],
        &["key", "revoke", "AKIAIOSFODNN7EXAMPLE"],
        &["session", "revoke", "--user", "nobody"],
        &["invite", "create", "--email", "ann@example.com"],
        &["invite", "revoke", "01890a5d-ac96-774b-bcce-b302099a8057"],
        &["user", "add", "ann@example.com", "--password-hash", HASH],
    ];
    let root = "root1@example.com";
    let expected = [
        ("account-delete", root, "invalid-input"),
        ("groups-change", root, "invalid-input"),
        ("disable", root, "invalid-input"),
        ("decline", "ann@example.com", "invalid-input"),
        ("unlock", "nobody@example.com", "not-found"),
        ("access-key-create", "nobody", "not-found"),
        ("access-key-revoke", "", "not-found"),
        ("session-end", "nobody", "not-found"),
        ("invitation-create", "ann@example.com", "invalid-input"),
        ("invitation-revoke", "", "not-found"),
        ("account-add", "ann@example.com", "invalid-input"),
    ];
    let assert_recorded = |times: usize| {
        let found = site.list(&["audit", "--failures", "--limit", "100"]);
        let found: Vec<_> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|event| {
                assert!(event["by"].as_str().unwrap().starts_with("command (uid "));
                ["event", "user", "reason"].map(|name| event[name].as_str().unwrap_or_default().to_owned())
            })
            .collect();
        let expected: Vec<_> = [expected; 2][..times]
            .iter()
            .flatten()
            .map(|(event, who, reason)| [*event, *who, *reason].map(str::to_owned))
            .collect();
        assert_eq!(found, expected);
    };
    let refuse = || {
        for arguments in refused {
            site.run(&[*arguments, &["--json"]].concat()).error(1);
        }
    };
    refuse();
    assert_recorded(1);
    let (gateway, _) = Program::start(&site);
    refuse();
    assert_recorded(2);
    let before = site.list(&["audit", "--failures", "--limit", "100"]);
    let before = before.as_array().unwrap().len();
    site.run(&["user", "import", "--htpasswd", "htpasswd", "--json"]);
    let found = site.list(&["audit", "--failures", "--limit", "100"]);
    let lines: Vec<_> = found.as_array().unwrap()[before..]
        .iter()
        .map(|event| (event["event"].as_str().unwrap(), event["user"].as_str().unwrap()))
        .collect();
    assert_eq!(
        lines.len(),
        2,
        "a line that is refused is an act that is: {lines:?}"
    );
    assert!(
        lines.iter().all(|(event, _)| *event == "account-add"),
        "{lines:?}"
    );
    let why = |event: &str| {
        let found = site.list(&["audit", "--failures", "--event", event]);
        found.as_array().unwrap()[0].clone()
    };
    assert_eq!(why("disable")["why"], "by mistake");
    assert_eq!(
        why("access-key-revoke")["detail"],
        "access key AKIAIOSFODNN7EXAMPLE"
    );
    gateway.stop();
}

#[tokio::test]
async fn s52_sessions_whose_end_cannot_be_recorded_are_ended_and_told_of_alike_by_command_and_on_the_page() {
    let site = Site::new(&format!(
        "{CONFIG}\n[audit]\nmode = \"required\"\nfile = \"audit.jsonl\"\n"
    ));
    add(&site, "root1@example.com", &["--group", "gateway-admin"]);
    add(&site, "ann@example.com", &[]);
    let (program, _) = Program::start(&site);
    let client = program.client(&site);
    let post = |path: &str, cookie: &str, fields: Value| {
        let request = client.post(program.url(path)).json(&fields);
        let request = request.header("accept", "application/json");
        request.header("cookie", cookie).send()
    };
    let sign_in = async |login: &str| {
        let fields = json!({ "login": login, "password": super::PASSWORD });
        let response = post("/.auth/login", "", fields).await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    };
    let admin = sign_in("root1@example.com").await;
    for _ in 0..2 {
        sign_in("ann@example.com").await;
    }
    let anns = || site.list(&["session", "list", "--user", "ann@example.com"]);
    let id = anns()[0]["id"].as_str().unwrap().to_owned();

    // From now on no line can be written.
    fs::remove_file(site.path("audit.jsonl")).unwrap();
    std::os::unix::fs::symlink("/dev/full", site.path("audit.jsonl")).unwrap();
    program.signal(Signal::USR1);
    until(|| program.said().contains("the files of logs are opened again")).await;
    let error = site.run(&["session", "revoke", &id, "--json"]).error(1);
    assert!(error.starts_with("the sessions are ended, but "), "{error}");
    assert_eq!(anns().as_array().unwrap().len(), 1);
    let fields = json!({ "account": "ann", "action": "end-sessions" });
    let refused = post("/.auth/admin/account", &admin, fields).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(anns(), json!([]));
    let refusals = site.list(&["audit", "--event", "session-end", "--failures"]);
    assert_eq!(refusals, json!([]), "nothing was refused");
    program.stop();
}

#[test]
fn what_comes_to_nothing_before_the_gateway_is_asked_is_on_record_too() {
    let site = site();
    fs::write(site.path("people"), format!("ann@example.com:{HASH}\nno colon\n")).unwrap();
    let refused: &[&[&str]] = &[
        &["store", "export", "--output", "no-folder/all.jsonl"],
        &["store", "backup", "no-folder/all.jsonl"],
        &["user", "import", "--htpasswd", "people"],
    ];
    let refuse = || {
        for arguments in refused {
            let done = site.run(&[*arguments, &["--json"]].concat());
            assert_eq!(done.status, 1, "{arguments:?}: {}", done.stdout);
        }
    };
    refuse();
    assert!(!site.path("data/store").exists(), "no store is made for it");
    add(&site, "root1@example.com", &["--group", "gateway-admin"]);
    let recorded = || {
        let found = site.list(&["audit", "--failures", "--limit", "100"]);
        let found = found.as_array().unwrap().iter();
        let names = found.map(|event| event["event"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let all = ["store-export", "store-backup", "account-add"];
    refuse();
    assert_eq!(recorded(), all);
    let (gateway, _) = Program::start(&site);
    refuse();
    assert_eq!(recorded(), [all, all].concat());
    assert_eq!(site.list(&["user", "list"]).as_array().unwrap().len(), 1);
    gateway.stop();
}
