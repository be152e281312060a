//! Commands that change an account's status.

use serde_json::{Value, json};

use super::{CONFIG, PASSWORD, add};
use crate::harness::{Program, Site};

/// A site where Ann's account awaits approval and Bob's does not.
async fn site_with_somebody_waiting() -> Site {
    let site = Site::new(&CONFIG.replace(r#"mode = "invite""#, "mode = \"open\"\napproval = true"));
    let (program, _) = Program::start(&site);
    let fields = json!({
        "email": "ann@example.com", "username": "ann", "password": PASSWORD, "password_confirm": PASSWORD,
    });
    let form = program
        .client(&site)
        .post(program.url("/.auth/signup"))
        .json(&fields);
    let answer = form.header("accept", "application/json").send().await.unwrap();
    assert_eq!(answer.status(), 201);
    program.stop();
    add(&site, "bob@example.com", &[]);
    site
}

#[tokio::test]
async fn an_account_is_declined_for_a_reason() {
    let site = site_with_somebody_waiting().await;
    let waiting = site.list(&["user", "list", "--waiting"]);
    assert_eq!(waiting[0]["email"], "ann@example.com");
    let arguments = ["user", "decline", "ann", "--reason", "not one of us", "--json"];
    let done = site.run(&arguments);
    assert_eq!(done.document(0)["status"], "declined");
    let event: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(
        (&event["event"], &event["why"]),
        (&json!("decline"), &json!("not one of us"))
    );
    let shown = site.ask(&["user", "show", "ann"]);
    assert_eq!(shown["decision"]["reason"], "not one of us");
    assert_eq!(site.ask(&["user", "approve", "ann"])["status"], "active");
}

#[tokio::test]
async fn s17_a_command_that_the_status_leaves_no_choice_about_names_the_one_that_serves() {
    let site = site_with_somebody_waiting().await;
    let refused = |command: &str, name: &str| site.run(&["user", command, name, "--json"]).error(1);
    for command in ["enable", "disable"] {
        let error = refused(command, "ann");
        let said = "ann@example.com waits for approval: approve or decline it, with `vestibule user approve` or \
                    `vestibule user decline`";
        assert!(error.contains(said), "{command}: {error}");
    }
    let error = refused("decline", "bob");
    assert!(
        error.contains("is active: it can be disabled, with `vestibule user disable`"),
        "{error}"
    );
    site.ask(&["user", "disable", "bob"]);
    for command in ["approve", "decline"] {
        let error = refused(command, "bob");
        assert!(error.contains("`vestibule user enable`"), "{command}: {error}");
    }
    site.ask(&["user", "decline", "ann"]);
    assert!(refused("enable", "ann").contains("`vestibule user approve`"));
}

#[test]
fn a_deletion_asks_on_a_terminal_and_wants_yes_elsewhere() {
    let site = Site::new(CONFIG);
    add(&site, "ann@example.com", &[]);
    add(&site, "bob@example.com", &[]);
    let count = || site.list(&["user", "list"]).as_array().unwrap().len();

    let refused = site.run(&["user", "delete", "ann", "--json"]).error(2);
    assert!(refused.contains("add --yes"), "{refused}");
    for typed in ["n\n", "\n", "delete\n"] {
        let refused = site.run_on_terminal(&["user", "delete", "ann"], typed);
        let shown = &refused.stdout;
        assert_eq!(refused.status, 1, "{typed:?}: {shown}");
        let asked = "Delete ann@example.com (username ann, 0 sessions)? This cannot be undone";
        assert!(
            shown.contains(asked) && shown.contains("nothing was changed"),
            "{shown}"
        );
    }
    let unknown = site.run_on_terminal(&["user", "delete", "nobody"], "y\n");
    assert!(
        unknown.status == 1 && !unknown.stdout.contains("[y/N]"),
        "{}",
        unknown.stdout
    );
    assert_eq!(count(), 2, "nothing is deleted yet");

    let done = site.run_on_terminal(&["user", "delete", "ann"], "y\n");
    assert!(
        done.status == 0 && done.stdout.contains("ann@example.com is deleted"),
        "{}",
        done.stdout
    );
    assert_eq!(
        site.ask(&["user", "delete", "bob", "--yes"])["email"],
        "bob@example.com"
    );
    assert_eq!(count(), 0);
}

#[test]
fn the_revocation_of_a_key_asks_on_a_terminal_alone() {
    let site = Site::new(CONFIG);
    add(&site, "ann@example.com", &[]);
    let key = || {
        site.ask(&["key", "create", "ann"])["access_key"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let count = || site.list(&["key", "list"]).as_array().unwrap().len();
    let (first, second) = (key(), key());
    let refused = site.run_on_terminal(&["key", "revoke", &first], "n\n");
    assert!(
        refused.status == 1 && refused.stdout.contains(&format!("Revoke {first}?")),
        "{}",
        refused.stdout
    );
    assert_eq!(count(), 2);
    let done = site.run_on_terminal(&["key", "revoke", &first], "yes\n");
    assert_eq!(done.status, 0, "{}", done.stdout);
    // What ends access does not wait for a script to be changed.
    assert_eq!(site.ask(&["key", "revoke", &second])["revoked"], second.as_str());
    assert_eq!(count(), 0);
}
