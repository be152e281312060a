//! `vestibule store salvage`.

use std::fs;

use serde_json::json;

use super::{add, mode, site};
use crate::harness::{Program, Site};

/// Modifies the store's rows behind its back.
fn damage(site: &Site, change: impl FnOnce(&::sled::Db)) {
    let db = ::sled::open(site.path("data/store")).unwrap();
    change(&db);
    db.flush().unwrap();
}

#[test]
fn what_can_be_read_of_a_damaged_store_makes_a_new_one() {
    let from = site();
    add(&from, "ann@example.com", &["--group", "ops"]);
    let bob = add(&from, "bob@example.com", &[]);
    from.ask(&["key", "create", "ann@example.com"]);
    from.ask(&["key", "create", "bob@example.com"]);
    let (gateway, _) = Program::start(&from);
    let refused = from.run(&["store", "salvage", "left.jsonl", "--json"]).error(1);
    assert!(refused.contains("a gateway runs"), "{refused}");
    gateway.stop();
    let id: uuid::Uuid = bob["id"].as_str().unwrap().parse().unwrap();
    damage(&from, |db| {
        let key = [b"a".as_slice(), id.as_bytes()].concat();
        db.insert(key, b"\xff\x00").unwrap().unwrap();
    });

    let said = from.ask(&["store", "salvage", "left.jsonl"]);
    assert_eq!(said["counts"]["account"], 1);
    assert_eq!(said["unreadable"], 1);
    // Bob's key.
    assert_eq!(said["left_out"], 1);
    assert_eq!(said["faults"].as_array().unwrap().len(), 2);
    assert_eq!(mode(&from.path("left.jsonl")), 0o600);
    from.ask(&["store", "verify", "left.jsonl"]);
    let again = from.run(&["store", "salvage", "left.jsonl", "--json"]).error(1);
    assert!(again.contains("exists and stays as it is"), "{again}");

    let to = site();
    fs::create_dir(to.path("certs")).unwrap();
    fs::copy(from.path("certs/master.key"), to.path("certs/master.key")).unwrap();
    fs::copy(from.path("left.jsonl"), to.path("left.jsonl")).unwrap();
    to.ask(&["store", "import", "left.jsonl"]);
    assert_eq!(to.ask(&["store", "verify"])["faults"], json!([]));
    assert_eq!(to.ask(&["user", "show", "ann"])["groups"], json!(["ops"]));
    // Bob's username stays reserved.
    let taken = to
        .run_with_input(
            &[
                "user",
                "add",
                "bob@example.org",
                "--username",
                "bob",
                "--password-stdin",
                "--json",
            ],
            "drei-Birken-7!\n",
        )
        .error(1);
    assert!(taken.contains("username"), "{taken}");
}

#[test]
fn a_store_that_cannot_be_opened_says_which_file_and_what_helps() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let db = site.path("data/store/db");
    let length = usize::try_from(fs::metadata(&db).unwrap().len()).unwrap();
    fs::write(&db, b"\xee".repeat(length)).unwrap();
    let refused = site.run(&["user", "list", "--json"]).error(1);
    for part in [
        "data/store/db",
        "damaged",
        "store verify",
        "store import",
        "store salvage",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(!refused.contains("backtrace"), "{refused}");
}
