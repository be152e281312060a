//! Commands that create invitations, and their errors.

use std::fs;

use serde_json::{Value, json};

use super::{CONFIG, PASSWORD, add, site};
use crate::harness::{Program, Site};

#[test]
fn invitations_are_made_listed_and_revoked() {
    let site = site();
    let one = site.ask(&["invite", "create", "--email", "ann@example.com", "--group", "ops"]);
    let link = one["link"].as_str().unwrap();
    assert!(link.contains("/.auth/signup?invitation="), "{link}");
    let one = &one["invitations"][0];
    assert_eq!(one["link"], link);
    assert_eq!(one["email"], "ann@example.com");
    assert_eq!(one["groups"], json!(["ops"]));
    assert!(one["expires_at"].is_string());

    let three = site.ask(&["invite", "create", "--count", "3", "--ttl", "1h"]);
    assert_eq!(three["invitations"].as_array().unwrap().len(), 3);
    assert_eq!(three["link"], three["invitations"][0]["link"]);
    assert_eq!(site.list(&["invite", "list"]).as_array().unwrap().len(), 4);

    let id = one["id"].as_str().unwrap();
    assert_eq!(site.ask(&["invite", "revoke", id])["revoked"], id);
    assert!(
        site.run(&["invite", "revoke", id, "--json"])
            .error(1)
            .contains(id)
    );
    assert_eq!(site.list(&["invite", "list"]).as_array().unwrap().len(), 3);
}

#[test]
fn whoever_has_an_account_is_not_invited_and_nobody_twice() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let refused = |options: &[&str]| {
        let arguments = [&["invite", "create", "--json"], options].concat();
        site.run(&arguments).error(1)
    };
    let ann = ["--email", "Ann@example.com"];
    assert!(refused(&ann).contains("has an account already"));
    assert!(refused(&[&ann[..], &["--send"]].concat()).contains("has an account already"));
    fs::write(site.path("people.csv"), "bob@example.com\nann@example.com\n").unwrap();
    for more in [&[][..], &["--send"]] {
        let error = refused(&[&["--csv", "people.csv"], more].concat());
        assert!(
            error.contains("ann@example.com") && !error.contains("bob"),
            "{error}"
        );
    }
    let three = ["invite", "create", "--email", "bob@example.com", "--count", "3"];
    assert_eq!(site.run(&three).status, 2);
    assert_eq!(site.list(&["invite", "list"]), json!([]));
}

#[test]
fn what_is_said_of_a_mail_depends_on_who_sends_it() {
    let site = site();
    let invite = |email| site.run(&["invite", "create", "--send", "--email", email]).stdout;
    let said = invite("ann@example.com");
    assert!(said.contains("once the gateway runs"), "{said}");
    let (gateway, _) = Program::start(&site);
    assert_eq!(invite("bob@example.com"), "bob@example.com is invited by mail\n");
    gateway.stop();
}

#[test]
fn groups_are_named_as_routes_name_them() {
    let site = site();
    add(&site, "ann@example.com", &["--group", " dev "]);
    assert_eq!(site.ask(&["user", "show", "ann"])["groups"], json!(["dev"]));
    let said = site.run(&["user", "set-groups", "ann", " ops ", "a b"]).stdout;
    assert_eq!(said, "ann@example.com is in a b, ops\n");
    let invited = site.ask(&["invite", "create", "--group", " ops "]);
    assert_eq!(invited["invitations"][0]["groups"], json!(["ops"]));
    let error = site
        .run(&["invite", "create", "--group", "a,b", "--json"])
        .error(1);
    assert!(error.contains("cannot be a group's name"), "{error}");
}

/// The mails to an address that wait or were sent, where nothing is sent.
fn mails_to(site: &Site, email: &str) -> usize {
    let mails = site.list(&["mail", "list"]);
    mails
        .as_array()
        .unwrap()
        .iter()
        .filter(|mail| mail["to"] == email)
        .count()
}

/// Those to sign up: a gateway that starts has one for the first administrator.
fn live(site: &Site) -> Vec<Value> {
    let mut live = site.list(&["invite", "list"]).as_array().unwrap().clone();
    live.retain(|invitation| invitation["kind"] == "signup");
    live
}

#[test]
fn a_file_is_invited_twice_and_nobody_is_mailed_twice() {
    let site = Site::new(&format!("{CONFIG}\n[mail]\nurl = \"smtp://127.0.0.1:1\"\n"));
    let people = "name;email;groups;language\nAnn Lee;ann@example.com;\"ops, dev\";ko\n;bob@example.com;;\n";
    fs::write(site.path("people.csv"), people).unwrap();
    let invite = |options: &[&str]| {
        let line = "invite create --csv people.csv --send --lang en --group all";
        let arguments: Vec<&str> = line.split(' ').collect();
        site.ask(&[&arguments, options].concat())
    };
    let planned = invite(&["--dry-run"]);
    assert_eq!(
        planned["planned"],
        json!([
            { "email": "ann@example.com", "name": "Ann Lee", "groups": ["all", "dev", "ops"], "language": "ko", "replaces": false },
            { "email": "bob@example.com", "name": null, "groups": ["all"], "language": "en", "replaces": false },
        ])
    );
    assert_eq!(
        (&planned["invitations"], &planned["link"]),
        (&json!([]), &json!(null))
    );
    assert!(!site.path("data/store").exists(), "a dry run makes nothing");

    let made = invite(&[]);
    assert_eq!(made["invitations"].as_array().unwrap().len(), 2);
    assert_eq!((&made["planned"], &made["unchanged"]), (&json!(null), &json!([])));
    let first = live(&site);
    let ann = &first[0];
    assert_eq!(
        (&ann["name"], &ann["language"], &ann["approves"]),
        (&json!("Ann Lee"), &json!("ko"), &json!(true))
    );
    assert_eq!(ann["mailed"], true);
    assert!(
        ann["created_by"].as_str().unwrap().starts_with("command (uid "),
        "{ann}"
    );

    // The gateway says the same as the store.
    let (gateway, _) = Program::start(&site);
    let again = invite(&[]);
    assert_eq!(again["invitations"], json!([]));
    assert_eq!(again["unchanged"].as_array().unwrap().len(), 2);
    assert_eq!(live(&site), first, "the links that people have are good still");
    assert_eq!(
        (
            mails_to(&site, "ann@example.com"),
            mails_to(&site, "bob@example.com")
        ),
        (1, 1)
    );
    gateway.stop();
    let said = site
        .run(&[
            "invite",
            "create",
            "--csv",
            "people.csv",
            "--send",
            "--group",
            "all",
        ])
        .stdout;
    assert!(
        said.starts_with("ann@example.com is invited already; --resend"),
        "{said}"
    );

    let more =
        format!("{people};carol@example.com;;\n").replace(";bob@example.com;;", ";bob@example.com;qa;");
    fs::write(site.path("people.csv"), more).unwrap();
    let third = invite(&[]);
    let emails = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| one["email"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        emails(&third["invitations"]),
        ["bob@example.com", "carol@example.com"],
        "one offers more, one is new"
    );
    assert_eq!(emails(&third["unchanged"]), ["ann@example.com"]);
    let planned = invite(&["--dry-run", "--resend"]);
    assert_eq!(planned["planned"][0]["replaces"], true);
    assert_eq!(emails(&invite(&["--resend"])["invitations"]).len(), 3);
    assert_eq!(live(&site).len(), 3, "one invitation an address");
    assert_eq!(mails_to(&site, "ann@example.com"), 2);

    add(&site, "ann@example.com", &[]);
    let arguments = ["invite", "create", "--csv", "people.csv", "--send", "--json"];
    let refused = site.run(&arguments).error(1);
    assert!(
        refused.contains("ann@example.com has an account") && refused.contains("--skip-existing"),
        "{refused}"
    );
    let rest = invite(&["--skip-existing", "--resend"]);
    assert_eq!(rest["skipped"], json!(["ann@example.com"]));
    assert_eq!(rest["invitations"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_second_invitation_takes_the_place_of_the_first() {
    let site = Site::new(&CONFIG.replace(r#"mode = "invite""#, "mode = \"invite\"\napproval = true"));
    let invite = |options: &[&str]| {
        let arguments = ["invite", "create", "--email", "ann@example.com"];
        let made = site.ask(&[&arguments, options].concat());
        let link = made["link"].as_str().unwrap();
        link.split_once("invitation=").unwrap().1.to_owned()
    };
    let (first, second) = (invite(&[]), invite(&[]));
    assert_eq!(live(&site).len(), 1);
    let replaced = site.list(&["audit", "--event", "invitation-revoke"]);
    assert_eq!(replaced.as_array().unwrap().len(), 1);
    let waits = site.ask(&[
        "invite",
        "create",
        "--email",
        "bob@example.com",
        "--needs-approval",
    ]);
    assert_eq!(waits["invitations"][0]["approves"], false);
    let anyone = site.ask(&["invite", "create"]);
    let token = |made: &Value| {
        made["link"]
            .as_str()
            .unwrap()
            .split_once("invitation=")
            .unwrap()
            .1
            .to_owned()
    };

    let (gateway, _) = Program::start(&site);
    let sign_up = async |name: &str, token: &str| {
        let fields = json!({
            "email": format!("{name}@example.com"), "username": name, "invitation": token,
            "password": PASSWORD, "password_confirm": PASSWORD,
        });
        let form = gateway
            .client(&site)
            .post(gateway.url("/.auth/signup"))
            .json(&fields);
        let answer = form.header("accept", "application/json").send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(sign_up("ann", &first).await.0, 422, "the earlier link is void");
    let (status, next) = sign_up("ann", &second).await;
    assert_eq!(
        (status, &next["next"]),
        (201, &json!("login")),
        "the invitation was the approval"
    );
    for (name, token) in [("bob", token(&waits)), ("carol", token(&anyone))] {
        let (status, next) = sign_up(name, &token).await;
        assert_eq!((status, &next["next"]), (201, &json!("approval")), "{name}");
    }
    let shown = site.ask(&["user", "show", "ann"]);
    assert_eq!(shown["status"], "active");
    assert!(
        shown["decision"]["by"]
            .as_str()
            .unwrap()
            .starts_with("command (uid "),
        "{shown}"
    );
    assert_eq!(site.ask(&["user", "show", "bob"])["status"], "awaiting-approval");
    gateway.stop();
}

#[test]
fn a_file_in_which_something_is_wrong_invites_nobody() {
    let site = site();
    for (people, why) in [
        ("email,language\nann@example.com,한국어\n", "language"),
        ("email,name\nann@example.com,\u{202e}x\n", "ann@example.com"),
        ("email,groups\nann@example.com,\"a\u{7}b\"\n", "group"),
        ("email,name\nann@example.com,A\nann@example.com,B\n", "line 3"),
        (
            "email,lang\nann@example.com,ko\nbob@example.com,fr\n",
            "line 3: \"fr\" is no language",
        ),
        ("email,team\nann@example.com,ops\n", "line 1: \"team\""),
    ] {
        fs::write(site.path("people.csv"), people).unwrap();
        for options in [&[][..], &["--dry-run"]] {
            let arguments = [&["invite", "create", "--csv", "people.csv", "--json"], options].concat();
            let error = site.run(&arguments).error(1);
            assert!(error.contains(why), "{people}: {error}");
        }
    }
    let lang = "invite create --email ann@example.com --send --lang fr".split(' ');
    let told = site.run(&lang.collect::<Vec<_>>());
    assert_eq!(told.status, 1);
    assert!(told.stderr.contains("which are en, ko"), "{}", told.stderr);
    for endless in ["/dev/zero", "-"] {
        let mut invite = site.program(&["invite", "create", "--csv", endless, "--config", "vestibule.toml"]);
        let zeros = fs::File::open("/dev/zero").unwrap();
        let told = invite.stdin(zeros).output().unwrap();
        assert_eq!(told.status.code(), Some(1));
        let told = String::from_utf8(told.stderr).unwrap();
        assert!(told.contains("cannot be read: it is larger than 4 MiB"), "{told}");
    }
    assert!(live(&site).is_empty());
    let usage = ["invite", "create", "--csv", "people.csv", "--resend"];
    assert_eq!(
        site.run(&usage).status,
        2,
        "there is nothing to send again without --send"
    );
}
