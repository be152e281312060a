//! Databases of another version or for another role are refused, with advice.

use crate::harness::{Cluster, Site};

use super::config;

fn refusal(url: &str) -> String {
    let site = Site::new(&config(url, "demo:"));
    // A command that only reads would create no store.
    site.run(&["invite", "create", "--json"]).error(1)
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let cluster = Cluster::shared();
    let url = cluster.url(&cluster.database());
    let site = Site::new(&config(&url, "demo:"));
    site.ask(&["invite", "create"]);
    cluster.sql("t0", "INSERT INTO migration (version) VALUES (99)");
    let error = refusal(&url);
    assert!(
        error.contains("newer version") && error.contains("schema 99"),
        "{error}"
    );
}

#[test]
fn a_role_that_may_make_nothing_is_refused() {
    let cluster = Cluster::shared();
    cluster.sql("postgres", "CREATE ROLE guest LOGIN");
    let database = cluster.database();
    let error = refusal(&cluster.url(&database).replace("vestibule@", "guest@"));
    assert!(
        error.contains("permission denied") && error.contains("must own"),
        "{error}"
    );
    let left = cluster.sql(&database, "SELECT to_regnamespace('vestibule') IS NULL");
    assert_eq!(left.trim(), "t");
}

#[test]
fn a_database_in_another_encoding_is_refused() {
    let cluster = Cluster::shared();
    let options = "OWNER vestibule ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    cluster.sql("postgres", &format!("CREATE DATABASE latin {options}"));
    let error = refusal(&cluster.url("latin"));
    assert!(error.contains("LATIN1") && error.contains("UTF8"), "{error}");
}

#[test]
fn what_is_not_there_is_named() {
    let cluster = Cluster::shared();
    let error = refusal(&cluster.url("nowhere"));
    assert!(error.contains("database \"nowhere\" does not exist"), "{error}");
    let error = refusal("postgres://ann:hunter2@127.0.0.1:1/db?sslmode=disable");
    assert!(error.contains("postgres://ann@127.0.0.1:1/db"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

/// A record or column that was modified is found and named.
#[test]
fn what_was_changed_by_hand_is_found() {
    let cluster = Cluster::shared();
    let url = cluster.url(&cluster.database());
    let site = Site::new(&config(&url, "demo:"));
    super::add(&site, "ann@example.com");
    let faults = || {
        let found = site.run(&["store", "verify", "--json"]);
        format!("{}{}", found.stdout, found.stderr)
    };
    assert_eq!(site.ask(&["store", "verify"])["faults"], serde_json::json!([]));
    // Only the first fault of a record is reported, so the one that is checked first is made last.
    for (change, says) in [
        ("DELETE FROM audit_subject", "somebody else"),
        ("DELETE FROM account_term", "found by"),
        ("DELETE FROM username", "usernames"),
        ("UPDATE account SET last_active_at = 0", "last sign-in is another"),
        ("UPDATE account SET status = 'disabled'", "stands elsewhere"),
        ("UPDATE account SET email = 'eve@example.com'", "another address"),
        ("UPDATE account SET record = '{}'", "version 1 looks like"),
        ("UPDATE account SET version = 77", "version 77"),
    ] {
        cluster.sql("t0", change);
        assert!(faults().contains(says), "{change}: {}", faults());
    }
}
