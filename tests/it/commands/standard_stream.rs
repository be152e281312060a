//! `-` in place of a file.

use std::fs;

use super::{HASH, add, site};

#[test]
fn a_dash_is_a_standard_stream_and_no_file() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let mut written = Vec::new();
    for command in [
        ["store", "export", "--output", "-"].as_slice(),
        &["store", "backup", "-"],
        &["store", "salvage", "-"],
    ] {
        let done = site.run(command);
        assert_eq!(done.status, 0, "{command:?}: {}", done.stderr);
        let checked = site.run_with_input(&["store", "verify", "-"], &done.stdout);
        assert_eq!(
            checked.status, 0,
            "{command:?}: {}{}",
            checked.stdout, checked.stderr
        );
        assert!(done.stdout.contains("ann@example.com"), "{command:?}");
        assert!(!site.path("-").exists(), "{command:?}");
        written.push(done);
    }
    assert!(
        written[2].stderr.contains("all that was found could be read"),
        "{}",
        written[2].stderr
    );
    let cut = site.run_with_input(&["store", "verify", "-"], &written[0].stdout[..500]);
    assert_eq!(cut.status, 1);
    assert!(cut.stderr.contains("standard input"), "{}", cut.stderr);

    let lines = format!("bob@example.com:{HASH}\n");
    let imported = site.run_with_input(&["user", "import", "--htpasswd", "-"], &lines);
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    let invited = site.run_with_input(&["invite", "create", "--csv", "-"], "cy@example.com,Cy\n");
    assert_eq!(invited.status, 0, "{}", invited.stderr);
    assert!(!site.path("-").exists());
    let list = site.run(&["user", "list"]);
    assert!(list.stdout.contains("bob@example.com"), "{}", list.stdout);

    fs::remove_dir_all(site.path("data")).unwrap();
    let again = site.run_with_input(&["store", "import", "-"], &written[1].stdout);
    assert_eq!(again.status, 0, "{}", again.stderr);
}

#[test]
fn nothing_that_a_command_prints_is_obeyed_by_a_terminal() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let name = "\u{1b}[2J\u{9b}31m\u{202e}moc\r";
    fs::write(site.path("people"), format!("{name}@example.com:{HASH}\n")).unwrap();
    fs::write(site.path("dump.jsonl"), format!("{{\"{name}\":1}}\n")).unwrap();
    for arguments in [
        &["user", "show", name][..],
        &["user", "disable", name],
        &["session", "list", "--user", name],
        &["key", "list", "--user", name],
        &["explain", "--url", "/", "--as", name],
        &["user", "import", "--htpasswd", "people", "--verbose"],
        &["store", "import", "dump.jsonl"],
    ] {
        let done = site.run(arguments);
        assert_ne!(done.status, 0, "{arguments:?}");
        let said = done.stdout + &done.stderr;
        assert!(
            !said.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']),
            "{arguments:?}: {said:?}"
        );
    }
}
