//! Files that never answer: a named pipe that nobody writes to.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

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

#[tokio::test]
async fn what_blocks_holds_up_neither_the_end_nor_the_second_sigterm() {
    for again in [false, true] {
        let site = Site::new(&config(""));
        let (program, _) = Program::start(&site);
        // A configuration may come by a pipe.
        let file = site.path("vestibule.toml");
        std::fs::remove_file(&file).unwrap();
        let made = Command::new("mkfifo").arg(&file).status();
        assert!(made.unwrap().success());
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
