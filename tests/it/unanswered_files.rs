//! Named pipes without a writer in place of files.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::commands::HASH;
use crate::harness::{Program, Site, soon, until};

fn config(rest: &str) -> String {
    format!(
        "public_url = \"https://localhost:0\"\n{rest}\n[listen]\nhttps = [\"127.0.0.1:0\"]\nops = \"\"\n[[route]]\nupstream = \"demo:\"\n"
    )
}

fn pipe(site: &Site, name: &str) {
    let made = Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(site.path(name))
        .status();
    assert!(made.unwrap().success());
}

#[test]
fn what_names_a_pipe_is_refused_with_its_line() {
    for (line, key) in [
        ("mail.ca = \"pipe\"", "mail.ca"),
        ("branding.logo = \"pipe\"", "branding.logo"),
        ("mail.url = { file = \"pipe\" }", "mail.url"),
        ("store.url = { file = \"pipe\" }", "store.url"),
        ("store.master_key = { file = \"pipe\" }", "store.master_key"),
        (
            "tls.certificates = [{ cert = \"pipe\", key = \"pipe\" }]",
            "tls.certificates[0].cert",
        ),
        ("branding.folder = \"texts\"", "branding.folder"),
    ] {
        let site = Site::new(&config(line));
        std::fs::create_dir(site.path("texts")).unwrap();
        pipe(&site, "pipe");
        pipe(&site, "texts/login.html");
        let told = site.run(&["check"]);
        assert_eq!(told.status, 1, "{line}: {}", told.stdout);
        let is_it = |told: &str| {
            told.contains(":2:") && told.contains(key) && told.contains("named pipe, not a regular file")
        };
        assert!(told.stdout.lines().any(is_it), "{line}: {}", told.stdout);
    }
}

#[tokio::test]
async fn a_reload_that_is_refused_for_a_pipe_stands_in_no_later_ones_way() {
    let site = Site::new(&config(""));
    let (program, _) = Program::start(&site);
    pipe(&site, "pipe");
    site.configure(&config("mail.ca = \"pipe\""));
    program.signal(Signal::HUP);
    until(|| program.said().contains("not reloaded")).await;
    site.run(&["reload", "--json"]).error(1);
    site.configure(&config("branding.name = \"Mended\""));
    site.ask(&["reload"]);
    let (status, _) = program.stop();
    assert_eq!(status, 0);
}

/// Puts a pipe or a device into the configuration's place.
fn replace_config(site: &Site, with: &str) {
    let file = site.path("vestibule.toml");
    std::fs::remove_file(&file).unwrap();
    match with {
        "pipe" => pipe(site, "vestibule.toml"),
        device => symlink(device, file).unwrap(),
    }
}

#[tokio::test]
async fn a_configuration_that_is_a_pipe_or_a_device_is_refused_at_once() {
    for (with, what) in [("pipe", "a named pipe"), ("/dev/zero", "a device")] {
        let site = Site::new(&config(""));
        let (program, _) = Program::start(&site);
        replace_config(&site, with);
        for command in [&["check"][..], &["user", "list"], &["reload"], &["serve"]] {
            let done = site.run(command);
            assert_eq!(done.status, 1, "{command:?}");
            let said = done.stdout + &done.stderr;
            assert!(
                said.contains(&format!("it is {what}, not a regular file")),
                "{command:?}: {said}"
            );
        }
        program.signal(Signal::HUP);
        until(|| program.said().contains("not reloaded")).await;
        let (status, _) = program.stop();
        assert_eq!(status, 0);
    }
}

#[test]
fn a_configuration_that_is_handed_over_ends_somewhere() {
    let site = Site::new("");
    let without_end = File::open("/dev/zero").unwrap();
    let mut check = site.program(&["check", "--config", "/dev/stdin"]);
    let done = check.stdin(without_end).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("it is larger than 16 MiB"), "{said}");
    let mut check = site.program(&["check", "--config", "/dev/stdin"]);
    let mut child = check
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(config("").as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[test]
fn a_pipe_among_the_stores_files_is_refused_by_its_name() {
    for name in [
        "lock",
        "db",
        "conf",
        "vestibule-store.json",
        "high-water-mark.json",
        "master-key.fingerprint",
        "lost-changes.json",
        "snap.0000000000000001",
        "blobs/1",
    ] {
        let site = Site::new(&config(""));
        site.ask(&["user", "add", "ann@example.com", "--password-hash", HASH]);
        let file = format!("data/store/{name}");
        std::fs::create_dir_all(site.path("data/store/blobs")).unwrap();
        let _ = std::fs::remove_file(site.path(&file));
        pipe(&site, &file);
        for command in [&["check"][..], &["user", "list"], &["serve"]] {
            let done = site.run(command);
            assert_eq!(done.status, 1, "{name}: {command:?}");
            let said = done.stdout + &done.stderr;
            assert!(
                said.contains(&format!("{name} is not a regular file: remove it")),
                "{name}: {command:?}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn what_blocks_holds_up_neither_the_end_nor_the_second_sigterm() {
    for again in [false, true] {
        let site = Site::new(&config(""));
        // A shell may hand a configuration over by a pipe, which nobody writes to when it is read again.
        pipe(&site, "stdin");
        let path = site.path("stdin");
        let opening = std::thread::spawn(move || File::options().write(true).open(path).unwrap());
        let stdin = File::open(site.path("stdin")).unwrap();
        let mut writer = opening.join().unwrap();
        writer.write_all(config("").as_bytes()).unwrap();
        let child = site
            .program(&["serve", "--config", "/dev/stdin"])
            .stdin(stdin.try_clone().unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until(|| rustix::io::ioctl_fionread(&stdin).unwrap() == 0).await;
        drop(writer);
        let (program, _) = Program::started(child);
        program.signal(Signal::HUP);
        until(|| program.said().contains("opened again")).await;
        let began = Instant::now();
        program.signal(Signal::TERM);
        until(|| program.said().contains("stopping")).await;
        if again {
            tokio::time::sleep(Duration::from_secs(1)).await;
            program.signal(Signal::TERM);
        }
        let ended = soon(tokio::task::spawn_blocking(|| program.ended()))
            .await
            .unwrap();
        assert_eq!(ended, Some(i32::from(again)));
        let longest = if again { 3 } else { 15 };
        assert!(
            began.elapsed() < Duration::from_secs(longest),
            "{:?}",
            began.elapsed()
        );
    }
}
