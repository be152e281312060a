//! Commands that create invitations, and their errors.

use std::fs;

use serde_json::json;

use super::{add, site};
use crate::harness::Program;

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
