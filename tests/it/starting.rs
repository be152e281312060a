//! Starts of a gateway with something in the way.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Program, Site, soon};
use crate::store::full_disk::{DISK, fill, run_on_a_small_disk};

const CONFIG: &str = r#"
    public_url = "https://localhost:0"
    [listen]
    https = ["127.0.0.1:0"]
    ops = ""
"#;

#[tokio::test]
async fn a_link_for_the_first_administrator_that_cannot_be_made_keeps_nobody_out() {
    let site = Site::new(CONFIG);
    // Like a full disk: the file is first written under this name.
    fs::create_dir_all(site.path("data/first-administrator.draft/in-the-way")).unwrap();
    let (gateway, said) = Program::start(&site);
    assert!(said.contains("could not be created"), "{said}");
    assert!(said.contains("first-administrator.link"), "{said}");
    let asked = gateway.client(&site).get(gateway.url("/.auth/login")).send();
    assert_eq!(soon(asked).await.unwrap().status(), 200);
    assert_eq!(gateway.stop().0, 0);

    // The next start creates one.
    fs::remove_dir_all(site.path("data/first-administrator.draft")).unwrap();
    let (gateway, said) = Program::start(&site);
    assert!(!said.contains("could not be created"), "{said}");
    assert!(site.path("data/first-administrator.link").exists());
    gateway.stop();
}

#[tokio::test]
async fn the_link_for_the_first_administrator_is_printed_where_it_is_asked_for() {
    let site = Site::new(CONFIG);
    let file = site.path("data/first-administrator.link");
    for (value, is_printed) in [("0", false), ("1", true), ("", false)] {
        let printed = File::create(site.path("printed")).unwrap();
        let child = site
            .program(&["--config", "vestibule.toml"])
            .env("VESTIBULE_PRINT_LINKS", value)
            .stdin(Stdio::null())
            .stdout(printed)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (gateway, said) = Program::started(child);
        assert_eq!(file.exists(), !is_printed, "{value}");
        assert!(!said.contains("invitation="), "{said}");
        let printed = fs::read_to_string(site.path("printed")).unwrap();
        let parsed = printed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let links: Vec<_> = parsed.filter(|line| line["link"].is_string()).collect();
        assert_eq!(links.len(), usize::from(is_printed), "{value}: {printed}");
        if let [line] = links.as_slice() {
            assert_eq!(
                (&line["log"], &line["level"]),
                (&json!("gateway"), &json!("warn"))
            );
            let link = line["link"].as_str().unwrap();
            let path = &link[link.find("/.auth/signup?invitation=").unwrap()..];
            let asked = gateway.client(&site).get(gateway.url(path)).send();
            assert_eq!(soon(asked).await.unwrap().status(), 200);
        }
        gateway.stop();
    }
}

#[tokio::test]
async fn the_service_manager_is_told_of_readiness_and_of_the_stop() {
    for is_abstract in [false, true] {
        let site = Site::new(CONFIG);
        let path = site.path("notify");
        let (address, variable) = if is_abstract {
            let name = path.display().to_string();
            let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
            (address, format!("@{name}"))
        } else {
            (
                SocketAddr::from_pathname(&path).unwrap(),
                path.display().to_string(),
            )
        };
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let told = || {
            let mut message = [0; 64];
            let length = manager.recv(&mut message).unwrap();
            String::from_utf8(message[..length].to_vec()).unwrap()
        };
        let child = site
            .program(&["--config", "vestibule.toml"])
            .env("NOTIFY_SOCKET", variable)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (gateway, _) = Program::started(child);
        assert_eq!(told(), "READY=1");
        let asked = gateway.client(&site).get(gateway.url("/.auth/login")).send();
        assert_eq!(soon(asked).await.unwrap().status(), 200);
        assert_eq!(gateway.stop().0, 0);
        assert_eq!(told(), "STOPPING=1");
    }
}

#[test]
fn a_service_manager_that_is_not_there_is_a_warning() {
    let site = Site::new(CONFIG);
    let child = site
        .program(&["--config", "vestibule.toml"])
        .env("NOTIFY_SOCKET", site.path("gone"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (gateway, _) = Program::started(child);
    let (status, said) = gateway.stop();
    assert_eq!(status, 0);
    assert!(said.contains("service manager at NOTIFY_SOCKET"), "{said}");
}

#[test]
fn a_disk_that_is_full_keeps_nobody_out_before_there_is_an_administrator() {
    run_on_a_small_disk("starting::starting_on_the_small_disk");
}

#[tokio::test]
#[ignore = "what the test above runs on its small disk"]
async fn starting_on_the_small_disk() {
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else {
        return;
    };
    let site = Site::new(&format!(
        "{CONFIG}admin_socket = \"{0}/admin.sock\"\n[store]\nurl = \"sled:{0}/store\"\n",
        disk.display()
    ));
    let link = disk.join("first-administrator.link");
    let (gateway, said) = Program::start(&site);
    assert!(!said.contains("could not be created"), "{said}");
    assert_eq!(gateway.stop().0, 0);
    fs::remove_file(&link).unwrap();

    let filler = fill(&disk);
    let (gateway, said) = Program::start(&site);
    assert!(said.contains("could not be created"), "{said}");
    assert!(!link.exists());
    let asked = gateway.client(&site).get(gateway.url("/.auth/login")).send();
    assert_eq!(soon(asked).await.unwrap().status(), 200);
    assert_eq!(gateway.stop().0, 0);

    fs::remove_file(filler).unwrap();
    let (gateway, said) = Program::start(&site);
    assert!(!said.contains("could not be created"), "{said}");
    assert!(link.exists());
    gateway.stop();
}

#[test]
fn no_signal_ends_a_gateway_before_it_has_read_its_configuration() {
    let site = Site::new(CONFIG);
    // A pipe is read where a shell may have handed it over.
    let shared = tempfile::tempdir_in("/dev/shm").unwrap();
    let config = shared.path().join("early.toml");
    assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
    let mut serve = site.program(&["serve", "--config", config.to_str().unwrap()]);
    serve
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = serve.spawn().unwrap();
    // It can be opened once the gateway reads it, and the gateway waits for its content.
    let mut reads = File::options().write(true).open(&config).unwrap();
    for _ in 0..50 {
        for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
            kill_process(Pid::from_child(&child), signal).unwrap();
        }
    }
    // A reload finds a regular file.
    let late = shared.path().join("late.toml");
    fs::write(&late, CONFIG).unwrap();
    fs::rename(late, &config).unwrap();
    reads.write_all(CONFIG.as_bytes()).unwrap();
    drop(reads);
    let (gateway, _) = Program::started(child);
    assert_eq!(gateway.stop().0, 0);
}

#[tokio::test]
async fn the_first_administrators_link_says_that_it_is_void_once_there_is_one() {
    let site = Site::new(&format!(
        "{CONFIG}[signup]\nmode = \"open\"\n[password]\nbcrypt_cost = 10\n"
    ));
    let (gateway, _) = Program::start(&site);
    let link = fs::read_to_string(site.path("data/first-administrator.link")).unwrap();
    let path = link.trim().split_once("/.auth/").unwrap().1;
    let page = async || {
        let asked = gateway.client(&site).get(gateway.url(&format!("/.auth/{path}")));
        let asked = asked.header("accept", "text/html").send();
        soon(asked).await.unwrap().text().await.unwrap()
    };
    let says = "this account will administer the gateway";
    assert!(page().await.contains(says));
    let arguments = [
        "user",
        "add",
        "ann@example.com",
        "--group",
        "gateway-admin",
        "--password-stdin",
        "--json",
    ];
    site.run_with_input(&arguments, PASSWORD).document(0);
    let void = page().await;
    assert!(!void.contains(says), "{void}");
    assert!(void.contains("aria-invalid"), "the invitation is void: {void}");
    gateway.stop();
}
