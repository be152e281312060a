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
        again.stderr.contains(&format!(
            "{PEOPLE} of {PEOPLE} accounts cannot be imported; nothing was imported"
        )),
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
        ("carol@example.com:$apr1$a$b", "bcrypt"),
        ("no colon", "name:hash"),
        ("c c@example.com:x", "c c"),
        (&format!("ann:{HASH}"), "--domain"),
        (&format!("ANN@example.com:{HASH}"), "line 1 has the address"),
        (&format!("ann@example.org:{HASH}"), "line 1 has the username ann"),
    ] {
        fs::write(site.path("people"), format!("ann@example.com:{HASH}\n{line}\n")).unwrap();
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
    let import = [
        "user",
        "import",
        "--htpasswd",
        "people",
        "--verbose",
        "--domain",
        "example.com",
    ];
    let done = site.run(&import);
    assert_eq!(
        done.stderr,
        "ann@example.com is added, username ann\nbob@example.com is added, username bob\n"
    );
    let record = fs::read_to_string(site.path("audit.jsonl")).unwrap();
    assert_eq!(record.matches("\"account-add\"").count(), 2);
}

#[test]
fn a_file_is_imported_as_a_whole_or_not_at_all() {
    let site = site();
    super::add(&site, "ann@example.com", &[]);
    super::add(&site, "bob@elsewhere.example", &[]);
    super::add(&site, "gone@example.com", &[]);
    site.ask(&["user", "delete", "gone", "--yes"]);
    let file = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|name| format!("{name}:{HASH}\n")).collect();
        fs::write(site.path("people"), lines.concat()).unwrap();
    };
    let import = |options: &[&str]| {
        let import = [
            "user",
            "import",
            "--htpasswd",
            "people",
            "--domain",
            "example.com",
            "--json",
        ];
        site.run(&[&import, options].concat())
    };
    let accounts = || site.list(&["user", "list"]).as_array().unwrap().len();
    let running = || Some(Program::start(&site).0);
    let stopped = || None::<Program>;

    // The store itself, and then the gateway: 600 lines are two parts, and what is refused is in the second.
    for gateway in [&stopped as &dyn Fn() -> Option<Program>, &running] {
        let gateway = gateway();
        let mut names: Vec<String> = (0..600).map(|n| format!("p{n}")).collect();
        for (name, why) in [
            ("ann", "another account has the address ann@example.com"),
            ("bob", "the username bob is taken"),
            ("gone", "the username gone is taken"),
            ("admin", "reserved"),
        ] {
            names[550] = name.to_owned();
            file(&names.iter().map(String::as_str).collect::<Vec<_>>());
            for options in [&[][..], &["--dry-run"]] {
                let refused = import(options);
                let error = refused.error(1);
                assert!(
                    error.contains("1 of 600") && error.contains("nothing was imported"),
                    "{error}"
                );
                let refused = &refused.document(1)["refused"];
                assert_eq!(
                    (&refused[0]["line"], &refused[1]),
                    (&json!(551), &json!(null)),
                    "{name}"
                );
                let said = refused[0]["reason"].as_str().unwrap();
                assert!(said.contains(why), "{name}: {said}");
                // The import itself has no such option.
                let is_advised = said.contains("`vestibule user add --username`");
                assert_eq!(is_advised, name != "ann", "{said}");
                assert!(!said.contains("choose another"), "{said}");
            }
            assert_eq!(accounts(), 2, "{name}");
        }
        if let Some(gateway) = gateway {
            gateway.stop();
        }
    }
    let events = site.list(&["audit", "--event", "account-add", "--failures", "--limit", "100"]);
    assert_eq!(
        events.as_array().unwrap().len(),
        8,
        "each import's, and no dry run's"
    );

    file(&["ann", "carol", "ANN", "Dan"]);
    let options = ["--skip-existing", "--group", "ops", "--group", "dev"];
    let planned = import(&[&options[..], &["--dry-run"]].concat()).document(0);
    let groups = json!(["dev", "ops"]);
    assert_eq!(
        planned["planned"],
        json!([
            { "line": 2, "email": "carol@example.com", "username": "carol", "groups": groups },
            { "line": 4, "email": "Dan@example.com", "username": "dan", "groups": groups },
        ])
    );
    let skipped =
        json!([{ "line": 1, "email": "ann@example.com" }, { "line": 3, "email": "ANN@example.com" }]);
    assert_eq!((&planned["skipped"], &planned["added"]), (&skipped, &json!([])));
    assert_eq!(accounts(), 2);
    let done = import(&options).document(0);
    assert_eq!((&done["skipped"], &done["planned"]), (&skipped, &json!(null)));
    assert_eq!(done["added"].as_array().unwrap().len(), 2);
    assert_eq!(site.ask(&["user", "show", "dan"])["groups"], groups);
    assert_eq!(
        site.ask(&["user", "show", "ann"])["groups"],
        json!([]),
        "it is as it was"
    );
    file(&["bob"]);
    assert!(
        import(&["--skip-existing"])
            .error(1)
            .contains("nothing was imported"),
        "bob's address is another"
    );
}

#[test]
fn a_dry_run_makes_no_store() {
    let site = site();
    fs::write(site.path("people"), format!("ann@example.com:{HASH}\n")).unwrap();
    let import = ["user", "import", "--htpasswd", "people", "--dry-run"];
    let done = site.run(&import);
    assert_eq!(
        (done.status, done.stdout.as_str()),
        (0, "Would import 1 account from people.\n")
    );
    assert!(!site.path("data").exists() && !site.path("certs").exists());
    let wrong = site.run(&["user", "import", "--htpasswd", "people", "--domain", "a b"]);
    assert_eq!(wrong.status, 2);
}
