//! `vestibule user import`

use std::fmt::Write as _;
use std::fs;

use serde_json::json;

use super::{CONFIG, HASH, site};
use crate::harness::Program;

/// The file begins with a byte order mark and is larger than one request may be.
#[test]
fn a_file_of_any_size_is_imported_in_parts() {
    const PEOPLE: usize = 1_300;
    let site = site();
    let mut file = "\u{feff}p0@example.com:".to_owned() + HASH + "\r\n";
    for n in 1..PEOPLE {
        let _ = writeln!(file, "p{n}@example.com:{HASH}\n#{}", "x".repeat(3_600));
    }
    assert!(file.len() > 4 << 20);
    fs::write(site.path("people"), file).unwrap();
    let import = ["user", "import", "--htpasswd", "people"];
    let done = site.run(&import);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    assert_eq!(done.stdout, format!("Imported {PEOPLE} accounts from people.\n"));
    let (gateway, _) = Program::start(&site);
    assert_eq!(site.ask(&["user", "show", "p0@example.com"])["username"], "p0");
    let again = site.run(&import);
    assert_eq!(again.status, 1);
    assert!(
        again
            .stderr
            .contains(&format!("{PEOPLE} of {PEOPLE} accounts were not imported")),
        "{}",
        again.stderr
    );
    assert!(again.stderr.contains("line 1: p0@example.com: ") && again.stderr.lines().count() < 30);
    let again = site.run(&[&import[..], &["--json"]].concat()).document(1);
    assert_eq!(again["refused"].as_array().unwrap().len(), PEOPLE);
    assert_eq!(again["refused"][PEOPLE - 1]["line"], 2 * PEOPLE - 2);
    let events = site.list(&["audit", "--event", "account-add", "--limit", "5000"]);
    let (added, refused): (Vec<_>, Vec<_>) = events
        .as_array()
        .unwrap()
        .iter()
        .partition(|event| event["outcome"] == "success");
    assert_eq!((added.len(), refused.len()), (PEOPLE, 2 * PEOPLE));
    assert_eq!(gateway.stop().0, 0);
    assert_eq!(site.ask(&["store", "verify"])["accounts"], PEOPLE);
}

#[test]
fn a_file_with_a_line_that_is_none_adds_nobody() {
    let site = site();
    let import = ["user", "import", "--htpasswd", "people"];
    for (line, why) in [
        ("carol:$apr1$a$b", "bcrypt"),
        ("no colon", "name:hash"),
        ("c c:x", "c c"),
    ] {
        fs::write(site.path("people"), format!("ann:{HASH}\n{line}\n")).unwrap();
        let report = site.run(&[&import[..], &["--json"]].concat()).document(1);
        assert_eq!(report["added"], json!([]), "{line}");
        assert_eq!(report["refused"][0]["line"], 2, "{line}");
        let error = report.to_string();
        assert!(
            error.contains("nothing was imported") && error.contains(why),
            "{error}"
        );
    }
    fs::write(site.path("people"), [&b"ann:"[..], &[0xff], b"\n"].concat()).unwrap();
    assert!(site.run(&import).stderr.contains("line 1 is not UTF-8"));
    fs::write(site.path("people"), "x".repeat(5_000)).unwrap();
    assert!(site.run(&import).stderr.contains("longer than 4096 bytes"));
    assert_eq!(site.list(&["user", "list"]), json!([]));
}

#[test]
fn an_import_says_every_account_where_that_is_asked() {
    let site = site();
    site.configure(&format!("{CONFIG}\n[audit]\nfile = \"audit.jsonl\"\n"));
    fs::write(site.path("people"), format!("ann:{HASH}\nbob:{HASH}\n")).unwrap();
    let done = site.run(&["user", "import", "--htpasswd", "people", "--verbose"]);
    assert_eq!(
        done.stderr,
        "ann@localhost is added, username ann\nbob@localhost is added, username bob\n"
    );
    let record = fs::read_to_string(site.path("audit.jsonl")).unwrap();
    assert_eq!(record.matches("\"account-add\"").count(), 2);
}
