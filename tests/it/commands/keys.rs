//! `vestibule key …`

use std::fs;

use serde_json::json;

use super::{add, mode, site};
use crate::harness::Program;

const EMAIL: &str = "ann@example.com";

#[test]
fn an_access_key_is_made_listed_changed_and_revoked() {
    let site = site();
    add(&site, EMAIL, &[]);
    let made = site.ask(&["key", "create", EMAIL, "--name", "backup", "--ttl", "90d"]);
    let access_key = made["access_key"].as_str().unwrap();
    assert!(access_key.starts_with("AKIA") && access_key.len() == 20, "{made}");
    assert_eq!(made["secret_key"].as_str().unwrap().len(), 40);
    assert_eq!(made["name"], "backup");
    assert_eq!(made["live"], true);
    assert!(made["expires_at"].is_string());

    let listed = site.list(&["key", "list", "--user", EMAIL]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["access_key"], access_key);
    assert_eq!(listed[0].get("secret_key"), None, "it is shown once");
    assert!(site.run(&["key", "list"]).stdout.contains(access_key));

    assert_eq!(site.ask(&["key", "disable", access_key])["live"], false);
    assert_eq!(site.ask(&["key", "enable", access_key])["live"], true);
    assert_eq!(
        site.ask(&["key", "revoke", access_key]),
        json!({ "revoked": access_key })
    );
    assert_eq!(site.list(&["key", "list"]), json!([]));
    let error = site.run(&["key", "revoke", access_key, "--json"]).error(1);
    assert!(error.contains("vestibule key list"), "{error}");
}

#[test]
fn what_an_access_key_cannot_be_is_refused() {
    let site = site();
    add(&site, EMAIL, &[]);
    for (arguments, says) in [
        (["key", "create", "bob@example.com"].as_slice(), "no account"),
        (&["key", "create", EMAIL, "--route", "localhost/x"], "no route"),
        (&["key", "create", EMAIL, "--method", "get"], "not a method"),
        (&["key", "disable", "hunter2"], "AKIA"),
    ] {
        let error = site.run(&[arguments, &["--json"]].concat()).error(1);
        assert!(error.contains(says), "{error}");
    }
    for _ in 0..5 {
        site.ask(&["key", "create", EMAIL]);
    }
    let error = site.run(&["key", "create", EMAIL, "--json"]).error(1);
    assert!(error.contains("login.access_keys"), "{error}");
}

#[test]
fn s39_the_master_key_is_beside_the_store_and_replaced_by_one_command() {
    let site = site();
    add(&site, EMAIL, &[]);
    let file = site.path("certs/master.key");
    assert_eq!(mode(&file), 0o600);
    let made = site.ask(&["key", "create", EMAIL]);
    let before = fs::read_to_string(&file).unwrap();

    let (gateway, _) = Program::start(&site);
    let rotated = site.ask(&["key", "rotate-master"]);
    assert_eq!(rotated["master_key"].as_str().unwrap().len(), 32);
    assert_eq!(mode(&file), 0o600);
    assert_ne!(fs::read_to_string(&file).unwrap(), before);
    gateway.stop();
    let listed = site.list(&["key", "list"]);
    assert_eq!(listed[0]["access_key"], made["access_key"]);
    assert_eq!(listed[0]["live"], true);

    fs::remove_file(&file).unwrap();
    let error = site.run(&["key", "list", "--json"]).error(1);
    assert!(error.contains("store.master_key"), "{error}");
    assert!(!file.exists());
}
