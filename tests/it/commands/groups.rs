//! Commands about groups.

use serde_json::json;

use super::{CONFIG, add, site};
use crate::harness::{Program, Site};

const ROUTES: &str = r#"
    [[route]]
    path = "/ops"
    allow = { groups = ["ops", "staff"] }
    upstream = "demo:"
    [[route]]
    host = "*.example.com"
    allow = { groups = ["staff"] }
    upstream = "demo:"
"#;

#[test]
fn groups_are_added_and_removed_one_by_one() {
    let site = site();
    add(&site, "ann@example.com", &["--group", "ops", "--group", "staff"]);
    let edit = |options: &[&str]| {
        let arguments = [&["user", "set-groups", "ann"], options].concat();
        site.ask(&arguments)["groups"].clone()
    };
    assert_eq!(edit(&["--add", "dev"]), json!(["dev", "ops", "staff"]));
    let both = [
        "--add", " qa ", "--add", "ops", "--remove", "staff", "--remove", "nobody",
    ];
    assert_eq!(edit(&both), json!(["dev", "ops", "qa"]));
    assert_eq!(edit(&["--remove", "dev", "--remove", "qa"]), json!(["ops"]));
    let events = || {
        let events = site.list(&["audit", "--event", "groups-change"]);
        events.as_array().unwrap().len()
    };
    let before = events();
    assert_eq!(edit(&["--add", "ops", "--remove", "dev"]), json!(["ops"]));
    assert_eq!(events(), before, "what holds already is not recorded");

    for wrong in [
        &["--add", "dev", "--remove", "dev"][..],
        &["--add", "dev", "staff"],
        &["--remove", "dev", "--group", "staff"],
    ] {
        let arguments = [&["user", "set-groups", "ann", "--json"], wrong].concat();
        assert!(!site.run(&arguments).error(2).is_empty(), "{wrong:?}");
    }
    let refused = site.run(&["user", "set-groups", "ann", "--add", "a,b", "--json"]);
    assert!(refused.error(1).contains("cannot be a group's name"));
    assert_eq!(site.ask(&["user", "show", "ann"])["groups"], json!(["ops"]));
}

#[test]
fn the_last_administrator_is_not_removed_from_the_group() {
    let site = site();
    add(
        &site,
        "root@example.com",
        &["--username", "chief", "--group", "gateway-admin"],
    );
    let arguments = [
        "user",
        "set-groups",
        "chief",
        "--remove",
        "gateway-admin",
        "--json",
    ];
    let refused = site.run(&arguments).error(1);
    assert!(refused.contains("last active member"), "{refused}");
}

#[test]
fn groups_are_listed_with_members_and_routes() {
    let site = Site::new(&format!("{CONFIG}{ROUTES}"));
    add(&site, "ann@example.com", &["--group", "ops", "--group", "dev"]);
    add(&site, "bob@example.com", &["--group", "ops"]);
    let groups = json!([
        { "name": "dev", "member_count": 1, "routes": [], "administers": false },
        { "name": "gateway-admin", "member_count": 0, "routes": [], "administers": true },
        { "name": "ops", "member_count": 2, "routes": ["localhost/ops"], "administers": false },
        { "name": "staff", "member_count": 0, "routes": ["localhost/ops", "*.example.com/"], "administers": false },
    ]);
    assert_eq!(site.ask(&["group", "list"])["groups"], groups);
    let (gateway, _) = Program::start(&site);
    assert_eq!(
        site.ask(&["group", "list"])["groups"],
        groups,
        "the gateway says the same"
    );
    gateway.stop();
    let table = site.run(&["group", "list"]).stdout;
    let shown: Vec<&str> = table.lines().collect();
    assert_eq!(shown[0], "GROUP          MEMBERS  ROUTES");
    assert_eq!(shown[1], "dev            1        none names it");
    assert_eq!(shown[2], "gateway-admin  0        administration");
    assert_eq!(shown[4], "staff          0        localhost/ops, *.example.com/");
}

#[test]
fn a_group_that_no_route_names_is_warned_of_wherever_it_is_given() {
    let site = Site::new(&format!("{CONFIG}{ROUTES}"));
    add(&site, "ann@example.com", &[]);
    let warning = "warning: no route names the group opps";
    for command in [
        &["user", "set-groups", "ann", "opps"][..],
        &["user", "set-groups", "ann", "--add", "opps"],
        &["invite", "create", "--group", "opps"],
        &[
            "user",
            "add",
            "bob@example.com",
            "--group",
            "opps",
            "--password-hash",
            super::HASH,
        ],
    ] {
        let done = site.run(command);
        assert!(
            done.status == 0 && done.stderr.contains(warning),
            "{command:?}: {}",
            done.stderr
        );
    }
    let done = site.run(&["user", "set-groups", "ann", "ops", "gateway-admin"]);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    // Elsewhere groups are for applications.
    let plain = super::site();
    add(&plain, "ann@example.com", &[]);
    let done = plain.run(&["user", "set-groups", "ann", "opps"]);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
}
