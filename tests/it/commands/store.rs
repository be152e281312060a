//! `vestibule store export`, `import`, `backup` and `verify`.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{CONFIG, add, mode, site};
use crate::harness::{Program, Site};

/// A site that has the master key of another.
fn beside(other: &Site) -> Site {
    let site = site();
    fs::create_dir(site.path("certs")).unwrap();
    fs::copy(other.path("certs/master.key"), site.path("certs/master.key")).unwrap();
    site
}

/// A store with nothing in it: what a command leaves that would have changed something.
fn make_empty(site: &Site) {
    site.run(&["user", "unlock", "nobody", "--json"]).error(1);
    assert!(site.path("data/store").is_dir() && site.path("certs/master.key").is_file());
}

/// The records in a file, without what commands put on record and what was sent meanwhile.
fn records(file: &str) -> Vec<&str> {
    let lines: Vec<_> = file.lines().collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    assert!(first.starts_with("{\"vestibule-export\":"), "{first}");
    assert!(last.starts_with("{\"end\":"), "{last}");
    let records = lines[1..lines.len() - 1].iter().copied();
    records
        .filter(|line| !line.starts_with("{\"audit-event\"") && !line.starts_with("{\"mail\""))
        .collect()
}

#[test]
fn what_one_store_exports_another_imports() {
    let from = site();
    add(&from, "ann@example.com", &["--group", "ops"]);
    add(&from, "bob@example.com", &[]);
    from.ask(&["user", "delete", "bob"]);
    from.ask(&["key", "create", "ann@example.com"]);
    from.ask(&["invite", "create"]);

    let exported = from.run(&["store", "export"]);
    assert_eq!(exported.status, 0, "{}", exported.stderr);
    let (gateway, _) = Program::start(&from);
    let over_the_socket = from.run(&["store", "export", "--reason", "moving"]).stdout;
    let said = from.ask(&["store", "export", "--output", "all.jsonl"]);
    assert_eq!(said["counts"]["account"], 1);
    let file = fs::read_to_string(from.path("all.jsonl")).unwrap();
    assert_eq!(file.lines().count() as u64, said["records"].as_u64().unwrap() + 2);
    gateway.stop();
    // Started meanwhile, it made an invitation for the first administrator.
    let first = "\"first-administrator\"";
    let of_running: Vec<_> = records(&file)
        .into_iter()
        .filter(|line| !line.contains(first))
        .collect();
    assert_eq!(of_running, records(&exported.stdout));
    assert_eq!(records(&over_the_socket), records(&file));
    assert_eq!(mode(&from.path("all.jsonl")), 0o600);
    let verified = from.ask(&["store", "verify", "all.jsonl"]);
    assert_eq!(verified["sha256"], said["sha256"]);

    let to = beside(&from);
    let imported = to
        .run_with_input(&["store", "import", "--json", "--reason", "moved"], &file)
        .document(0);
    assert_eq!(imported["records"], said["records"]);
    assert_eq!(to.ask(&["store", "verify"])["faults"], json!([]));
    assert_eq!(to.ask(&["user", "show", "ann"])["groups"], json!(["ops"]));
    assert_eq!(to.list(&["key", "list"])[0]["live"], true);
    assert_eq!(imported["left_out"], 0);
    let again = to.run(&["store", "export"]).stdout;
    assert_eq!(records(&again), records(&file));

    let log = to.list(&["audit"]);
    let events: Vec<_> = log.as_array().unwrap().iter().collect();
    let find = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    assert_eq!(events[0]["event"], "account-add", "the record comes along");
    assert_eq!(find("store-import")["why"], "moved");
    assert!(
        events
            .iter()
            .any(|event| event["event"] == "store-export" && event["why"] == "moving")
    );
}

#[test]
fn an_import_is_refused_where_it_would_do_harm() {
    let from = site();
    add(&from, "ann@example.com", &[]);
    from.ask(&["store", "export", "--output", "all.jsonl"]);
    let file = fs::read_to_string(from.path("all.jsonl")).unwrap();
    let import = |site: &Site, file: &str| site.run_with_input(&["store", "import", "-", "--json"], file);

    let error = import(&from, &file).error(1);
    assert!(
        error.contains("is not empty") && error.contains("store.url"),
        "{error}"
    );
    let (gateway, _) = Program::start(&from);
    let error = import(&from, &file).error(1);
    assert!(error.contains("stop the gateway first"), "{error}");
    gateway.stop();
    let error = from.run(&["store", "import", "nowhere.jsonl", "--json"]).error(1);
    assert!(error.contains("nowhere.jsonl"), "{error}");

    // A command makes an empty store, and an import takes its place.
    let to = beside(&from);
    make_empty(&to);
    assert_eq!(to.list(&["user", "list"]), json!([]));
    for (what, says) in [
        (file[..file.len() / 2].to_owned(), "it was cut off"),
        (
            file.replace("ann@example.com", "eve@example.com"),
            "the checksum is wrong",
        ),
        (file.replace("{\"account\"", "{\"persona\""), "unknown variant"),
        (format!("{}\n", file.lines().next().unwrap()), "it was cut off"),
        (
            "ann:$2b$12$x\n".to_owned(),
            "not a file that `vestibule store export` writes",
        ),
    ] {
        let error = import(&to, &what).error(1);
        assert!(error.starts_with("standard input:"), "{error}");
        assert!(
            error.contains(says) && error.ends_with("nothing was imported"),
            "{error}"
        );
        assert_eq!(to.list(&["user", "list"]), json!([]), "{says}");
    }
    import(&to, &file).document(0);
    assert_eq!(to.list(&["user", "list"])[0]["email"], "ann@example.com");
}

/// A file with another checksum, as whoever changes what is in one writes it.
fn forged(lines: &[Value]) -> String {
    let (end, records) = lines.split_last().unwrap();
    let records: Vec<String> = records.iter().map(Value::to_string).collect();
    let body = records.join("\n") + "\n";
    let mut end = end.clone();
    end["end"]["sha256"] = json!(base16ct::lower::encode_string(&Sha256::digest(&body)));
    format!("{body}{end}\n")
}

#[test]
fn a_file_brings_nothing_that_no_other_way_in_takes() {
    let from = site();
    add(&from, "ann@example.com", &["--group", "ops"]);
    from.ask(&["key", "create", "ann@example.com", "--name", "backup"]);
    from.ask(&["invite", "create", "--group", "ops"]);
    from.ask(&["store", "export", "--output", "all.jsonl"]);
    let file = fs::read_to_string(from.path("all.jsonl")).unwrap();
    let lines: Vec<Value> = file
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    let to = beside(&from);
    make_empty(&to);
    let former: Vec<String> = (0..1000).map(|n| format!("ann-{n}")).collect();
    for (kind, field, value) in [
        ("account", "groups", json!(["ops,gateway-admin"])),
        ("account", "groups", json!(["ops\ngateway-admin"])),
        ("account", "groups", json!([" ops"])),
        ("account", "name", json!("x".repeat(100_000))),
        ("account", "name", json!("a\u{202e}b")),
        ("account", "former_usernames", json!(former)),
        ("access-key", "name", json!("x".repeat(100_000))),
        ("access-key", "name", json!("a\u{202e}b")),
        ("access-key", "name", json!(" backup")),
        ("invitation", "groups", json!(["ops,gateway-admin"])),
    ] {
        let mut lines = lines.clone();
        let line = lines.iter_mut().find(|line| line.get(kind).is_some()).unwrap();
        line[kind][field] = value;
        fs::write(to.path("forged.jsonl"), forged(&lines)).unwrap();
        let error = to.run(&["store", "import", "forged.jsonl", "--json"]).error(1);
        assert!(error.starts_with("forged.jsonl:"), "{kind} {field}: {error}");
        assert!(error.ends_with("nothing was imported"), "{kind} {field}: {error}");
        assert_eq!(to.list(&["user", "list"]), json!([]), "{kind} {field}");
    }
    fs::write(to.path("forged.jsonl"), forged(&lines)).unwrap();
    let imported = to.run(&["store", "import", "forged.jsonl"]);
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    let says = "Nobody administers this gateway";
    assert!(imported.stdout.contains(says), "{}", imported.stdout);

    let to = beside(&from);
    let mut lines = lines;
    let line = lines
        .iter_mut()
        .find(|line| line.get("account").is_some())
        .unwrap();
    line["account"]["groups"] = json!(["gateway-admin"]);
    let imported = to
        .run_with_input(&["store", "import", "--json"], &forged(&lines))
        .document(0);
    assert_eq!(imported["administrators"], 1);
}

#[test]
fn s39_access_keys_need_their_master_key_and_an_export_has_neither() {
    let from = site();
    add(&from, "ann@example.com", &[]);
    from.ask(&["store", "export", "--output", "without.jsonl"]);
    let made = from.ask(&["key", "create", "ann@example.com"]);
    from.ask(&["store", "backup", "with.jsonl"]);
    let file = fs::read_to_string(from.path("with.jsonl")).unwrap();
    assert!(!file.contains(made["secret_key"].as_str().unwrap()));
    let master = fs::read_to_string(from.path("certs/master.key")).unwrap();
    let master = master.lines().find(|line| !line.starts_with('#')).unwrap();
    assert!(master.len() > 40 && !file.contains(master));

    // With keys: refused without the master key, and with another one.
    let to = site();
    let refused = |site: &Site| {
        site.run_with_input(&["store", "import", "--json"], &file)
            .error(1)
    };
    let error = refused(&to);
    assert!(error.contains("put back the copy that you keep"), "{error}");
    assert!(!to.path("certs/master.key").exists(), "none is made");
    make_empty(&to);
    let error = refused(&to);
    assert!(error.contains("a wrong master key: the store needs"), "{error}");
    assert!(error.contains("standard input:"), "{error}");
    fs::copy(from.path("certs/master.key"), to.path("certs/master.key")).unwrap();
    to.run_with_input(&["store", "import", "--json"], &file)
        .document(0);
    assert_eq!(to.list(&["key", "list"])[0]["live"], true);

    // Without keys any master key does.
    let to = site();
    make_empty(&to);
    let file = fs::read_to_string(from.path("without.jsonl")).unwrap();
    to.run_with_input(&["store", "import", "--json"], &file)
        .document(0);
    to.ask(&["key", "create", "ann@example.com"]);
}

#[test]
fn s54_a_backup_is_its_owners_alone_checked_and_never_written_over() {
    let from = site();
    add(&from, "ann@example.com", &[]);
    fs::create_dir(from.path("backups")).unwrap();
    let (gateway, _) = Program::start(&from);
    let made = from.ask(&["store", "backup", "backups"]);
    let name = made["file"].as_str().unwrap();
    assert!(
        name.starts_with("backups/vestibule-20") && name.ends_with("Z.jsonl"),
        "{name}"
    );
    let text = from.run(&["store", "backup", "backups/mine.jsonl"]).stdout;
    assert!(
        text.contains("checked them") && text.contains("master key"),
        "{text}"
    );
    for name in [name, "backups/mine.jsonl"] {
        assert_eq!(mode(&from.path(name)), 0o600);
        let before = fs::read(from.path(name)).unwrap();
        let error = from.run(&["store", "backup", name, "--json"]).error(1);
        assert!(error.contains("exists and stays as it is"), "{error}");
        assert_eq!(fs::read(from.path(name)).unwrap(), before);
        from.ask(&["store", "verify", name]);
    }
    let error = from
        .run(&["store", "backup", "nowhere/x.jsonl", "--json"])
        .error(1);
    assert!(error.contains("cannot be written"), "{error}");
    gateway.stop();
    assert_eq!(
        fs::read_dir(from.path("backups")).unwrap().count(),
        2,
        "nothing else is left"
    );
    let log = from.list(&["audit", "--event", "store-backup"]);
    let outcomes: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["outcome"].as_str())
        .collect();
    let (made, refused) = ([Some("success"); 2], [Some("failure"); 3]);
    assert_eq!(outcomes, [&made[..], &refused].concat(), "{log}");

    // The procedure of the manual: stop, move the old store away, import.
    fs::rename(from.path("data/store"), from.path("data/store.old")).unwrap();
    let imported = from.run(&["store", "import", name]);
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    assert_eq!(from.list(&["user", "list"])[0]["email"], "ann@example.com");
}

#[test]
fn what_cannot_be_read_is_not_left_out_in_silence() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    // As the program would leave its files.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let db = ::sled::open(site.path("data/store")).unwrap();
    let (account, _) = db.scan_prefix(b"a").next().unwrap().unwrap();
    db.insert(account, b"\x01{}").unwrap();
    db.flush().unwrap();
    drop(db);
    for arguments in [
        ["store", "export", "--output", "all.jsonl"].as_slice(),
        &["store", "backup", "all.jsonl"],
    ] {
        let error = site.run(&[arguments, &["--json"]].concat()).error(1);
        assert!(error.contains("the store is damaged: Account"), "{error}");
        assert!(!site.path("all.jsonl").exists());
    }
    let cut_off = site.run(&["store", "export"]);
    assert_eq!(cut_off.status, 1);
    assert!(!cut_off.stdout.contains("\"end\""), "{}", cut_off.stdout);
}

#[test]
fn where_the_record_is_required_nothing_leaves_unrecorded() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    site.configure(&format!(
        "{CONFIG}\n[audit]\nmode = \"required\"\nfile = \"/dev/full\"\n"
    ));
    let done = site.run(&["store", "export"]);
    assert_eq!((done.status, done.stdout.as_str()), (1, ""), "{}", done.stderr);
    assert!(done.stderr.contains("nothing is exported"), "{}", done.stderr);
}

#[test]
fn an_export_that_is_written_nowhere_says_why_and_is_on_record_as_failed() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let outcomes = |site: &Site| -> Vec<String> {
        let events = site.list(&["audit", "--event", "store-export", "--event", "store-backup"]);
        let events = events.as_array().unwrap().iter();
        events
            .map(|event| event["outcome"].as_str().unwrap().to_owned())
            .collect()
    };
    let into_a_full_disk = |site: &Site| {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut export = site.program(&["store", "export", "--config", "vestibule.toml"]);
        let done = export.stdout(full).output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(
            said.contains("standard output cannot be written: ") && said.contains("make room there"),
            "{said}"
        );
    };
    into_a_full_disk(&site);
    assert_eq!(outcomes(&site), ["success", "failure"]);
    let (gateway, _) = Program::start(&site);
    into_a_full_disk(&site);
    assert_eq!(outcomes(&site), ["success", "failure", "success", "failure"]);
    // Where nothing can be written at all, nothing leaves the store.
    for arguments in [
        ["store", "backup", "none/x.jsonl"],
        ["store", "backup", "/proc/x.jsonl"],
    ] {
        let said = site.run(&arguments).stderr;
        assert!(
            said.contains(&format!("{} cannot be written: ", arguments[2])),
            "{said}"
        );
    }
    assert_eq!(outcomes(&site)[4..], ["failure", "failure"]);
    gateway.stop();
}

#[test]
fn s54_an_export_that_is_killed_leaves_no_hashes() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    fs::create_dir(site.path("backups")).unwrap();
    for wait in [0, 5, 10, 20, 40, 80] {
        let mut child = site
            .program(&["store", "backup", "backups", "--config", "vestibule.toml"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        for entry in fs::read_dir(site.path("backups")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.starts_with("vestibule-"), "{name}");
        }
    }
}

/// In the store whose import is killed.
const PEOPLE: usize = 500;

/// Killed at any moment, an import made a whole store, or none that anything would serve.
#[test]
fn an_import_that_is_killed_leaves_no_half_of_a_store() {
    let from = site();
    let people: Vec<_> = (0..PEOPLE)
        .map(|n| format!("p{n}@example.com:{}\n", super::HASH))
        .collect();
    fs::write(from.path("people"), people.concat()).unwrap();
    from.ask(&["user", "import", "--htpasswd", "people"]);
    from.ask(&["store", "export", "--output", "all.jsonl"]);
    let file = fs::read(from.path("all.jsonl")).unwrap();

    let (mut none, mut whole) = (0, 0);
    for round in 0..6_u32 {
        let to = beside(&from);
        let mut child = to
            .program(&["store", "import", "--config", "vestibule.toml"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Some are killed while they wait for more, the others while they check and finish.
        let part = if round < 3 {
            file.len() / 4 * (round as usize + 1)
        } else {
            file.len()
        };
        stdin.write_all(&file[..part]).unwrap();
        if round >= 3 {
            drop(stdin);
        }
        thread::sleep(Duration::from_millis(60 * u64::from(round % 3) + 20));
        child.kill().unwrap();
        child.wait().unwrap();

        let listed = to.run(&["user", "list", "--json"]);
        if listed.status == 1 {
            let error = listed.error(1);
            assert!(error.contains("was not finished; import once more"), "{error}");
            let started = to.run(&["serve"]);
            assert!(started.stderr.contains("was not finished"), "{}", started.stderr);
            assert_eq!(started.status, 1);
            none += 1;
        } else {
            match listed.document(0)["accounts"].as_array().unwrap().len() {
                // It had not begun.
                0 => none += 1,
                PEOPLE => whole += 1,
                some => panic!("round {round}: {some} of {PEOPLE} accounts"),
            }
        }
        if listed.status == 1 || listed.document(0) == json!([]) {
            to.run_with_input(
                &["store", "import", "--json"],
                std::str::from_utf8(&file).unwrap(),
            )
            .document(0);
        }
        let faults: Value = to.ask(&["store", "verify"]);
        assert_eq!(
            (&faults["accounts"], &faults["faults"]),
            (&json!(PEOPLE), &json!([]))
        );
    }
    println!("{none} times there was none, {whole} times a whole one");
    assert!(none >= 3, "{none}");
}
