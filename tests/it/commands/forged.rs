//! Files for `store import` with modified records and a matching checksum.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::lists::sign_in;
use super::{HASH, add, site};
use crate::harness::Program;

/// Joins the lines into a file with a valid checksum.
fn sealed(lines: &[Value]) -> String {
    let (end, records) = lines.split_last().unwrap();
    let mut body = String::new();
    for line in records {
        writeln!(body, "{line}").unwrap();
    }
    let mut end = end.clone();
    end["end"]["sha256"] = json!(base16ct::lower::encode_string(&Sha256::digest(&body)));
    format!("{body}{end}\n")
}

#[tokio::test]
async fn an_import_takes_no_record_that_no_gateway_keeps() {
    let from = site();
    add(&from, "ann@example.com", &["--group", "ops"]);
    from.ask(&["key", "create", "ann@example.com"]);
    let (gateway, _) = Program::start(&from);
    sign_in(&gateway, &from, "ann@example.com").await;
    gateway.stop();
    from.ask(&["invite", "create", "--email", "bob@example.com", "--send"]);
    from.ask(&["store", "export", "--output", "all.jsonl"]);
    let file = fs::read_to_string(from.path("all.jsonl")).unwrap();
    let lines: Vec<Value> = file
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let groups: Vec<String> = (0..100_000).map(|n| format!("g{n}")).collect();
    let far = json!("2999-01-01T00:00:00Z");
    let long = json!("x".repeat(257));
    let nul = json!("a\u{0}b");
    for (kind, field, value, says) in [
        ("account", "password_hash", json!(""), "bcrypt"),
        ("account", "password_hash", json!("x".repeat(1 << 20)), "bcrypt"),
        (
            "account",
            "password_hash",
            json!(HASH.replace("$10$", "$17$")),
            "bcrypt",
        ),
        (
            "account",
            "password_hash",
            json!(HASH.replace("$10$", "$31$")),
            "bcrypt",
        ),
        (
            "account",
            "password_hash",
            json!(HASH.replace("$10$", "$+9$")),
            "bcrypt",
        ),
        ("account", "language", json!("../ko"), "language"),
        ("account", "last_sign_in_at", far.clone(), "still to come"),
        ("account", "name", nul.clone(), "NUL"),
        ("access-key", "name", nul.clone(), "NUL"),
        (
            "access-key",
            "last_use",
            json!({ "at": "2026-01-01T00:00:00Z", "address": null, "client": long }),
            "more than 256 characters",
        ),
        ("session", "user_agent", long.clone(), "more than 256 characters"),
        ("session", "user_agent", nul.clone(), "NUL"),
        ("audit-event", "user_agent", long, "more than 256 characters"),
        (
            "invitation",
            "expires_at",
            json!("9999-12-30T00:00:00Z"),
            "ten years",
        ),
        ("invitation", "language", json!("../../x"), "language"),
        ("invitation", "name", json!(" Bob"), "blanks"),
        ("mail", "mail/language", json!("../../x"), "language"),
        ("invitation", "created_by", nul, "NUL"),
        ("account", "username", json!("root"), "reserved"),
        ("account", "username", json!("ad.min"), "reserved"),
        (
            "account",
            "username",
            json!("0199c3f0-7b1a-7000-8000-0123456789ab"),
            "reserved",
        ),
        ("account", "groups", json!(groups), "1000 groups"),
        ("account", "created_at", far.clone(), "still to come"),
        ("account", "password_changed_at", far.clone(), "still to come"),
        ("access-key", "created_at", far.clone(), "still to come"),
        ("invitation", "created_at", far.clone(), "still to come"),
        ("audit-event", "time", far, "still to come"),
    ] {
        let to = site();
        let mut lines = lines.clone();
        let at = lines.iter().position(|line| line.get(kind).is_some()).unwrap();
        *lines[at].pointer_mut(&format!("/{kind}/{field}")).unwrap() = value;
        fs::write(to.path("forged.jsonl"), sealed(&lines)).unwrap();
        fs::create_dir(to.path("certs")).unwrap();
        fs::copy(from.path("certs/master.key"), to.path("certs/master.key")).unwrap();
        let error = to.run(&["store", "import", "forged.jsonl", "--json"]).error(1);
        let place = format!("forged.jsonl:{}: ", at + 1);
        assert!(
            error.starts_with(&place) && error.contains(says) && error.ends_with("nothing was imported"),
            "{kind} {field}: {error}"
        );
    }
}

#[test]
fn an_import_takes_no_more_access_keys_an_account_than_the_gateway_allows() {
    let from = site();
    add(&from, "ann@example.com", &[]);
    for _ in 0..3 {
        from.ask(&["key", "create", "ann@example.com"]);
    }
    from.ask(&["store", "export", "--output", "all.jsonl"]);
    let import = |most: usize| {
        let to = site();
        let text = fs::read_to_string(to.path("vestibule.toml")).unwrap();
        to.configure(&format!("login.access_keys = {most}\n{text}"));
        fs::create_dir(to.path("certs")).unwrap();
        fs::copy(from.path("certs/master.key"), to.path("certs/master.key")).unwrap();
        fs::copy(from.path("all.jsonl"), to.path("all.jsonl")).unwrap();
        to.run(&["store", "import", "all.jsonl", "--json"])
    };
    let error = import(2).error(1);
    assert!(
        error.contains("access-key") && error.contains("login.access_keys"),
        "{error}"
    );
    import(3).document(0);
}

#[test]
fn an_invitation_is_in_a_language_that_is_one() {
    let site = site();
    let arguments = [
        "invite",
        "create",
        "--email",
        "bob@example.com",
        "--send",
        "--lang",
        "../../x",
        "--json",
    ];
    let error = site.run(&arguments).error(1);
    assert!(error.contains("language"), "{error}");
    assert_eq!(site.list(&["invite", "list"]), json!([]));
}

#[test]
fn what_an_import_takes_lasts_no_longer_than_a_gateway_would_have_it() {
    let from = site();
    add(&from, "ann@example.com", &[]);
    from.ask(&["user", "reset-link", "ann@example.com"]);
    from.ask(&["store", "export", "--output", "all.jsonl"]);
    let file = fs::read_to_string(from.path("all.jsonl")).unwrap();
    let mut lines: Vec<Value> = file
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let far = json!("9999-12-30T00:00:00Z");
    let at = lines.iter().position(|line| line.get("mailed-token").is_some());
    let at = at.unwrap();
    lines[at]["mailed-token"]["expires_at"] = far.clone();
    let mail = json!({ "mail": "0199c3f0-7b1a-7000-8000-0123456789ab", "until": far });
    let sent = json!({ "address": "ann@example.com", "mails": [mail] });
    lines.insert(at + 1, json!({ "address-mails": sent }));
    let end = &mut lines.last_mut().unwrap()["end"];
    end["records"] = json!(end["records"].as_u64().unwrap() + 1);
    end["counts"]["address-mails"] = json!(1);

    let to = site();
    fs::create_dir(to.path("certs")).unwrap();
    fs::copy(from.path("certs/master.key"), to.path("certs/master.key")).unwrap();
    fs::write(to.path("forged.jsonl"), sealed(&lines)).unwrap();
    let imported = to.ask(&["store", "import", "forged.jsonl"]);
    assert_eq!(
        imported["left_out"], 1,
        "a link that lasts for ever is none: {imported}"
    );
    to.ask(&["store", "export", "--output", "again.jsonl"]);
    let again = fs::read_to_string(to.path("again.jsonl")).unwrap();
    assert!(!again.contains("9999"), "{again}");
    assert!(!again.contains("{\"mailed-token\""), "{again}");
    let kept: Value = again
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|line| line.get("address-mails").is_some())
        .unwrap();
    let until: jiff::Timestamp = kept["address-mails"]["mails"][0]["until"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let hour = std::time::Duration::from_hours(1);
    assert!(until <= vestibule::clock::Clock::system().now() + hour, "{kept}");
}

#[test]
fn a_hash_with_a_sign_before_its_cost_is_none() {
    let site = site();
    let hash = HASH.replace("$10$", "$+9$");
    let arguments = [
        "user",
        "add",
        "ann@example.com",
        "--password-hash",
        &hash,
        "--json",
    ];
    assert!(site.run(&arguments).error(1).contains("not a bcrypt hash"));
}
