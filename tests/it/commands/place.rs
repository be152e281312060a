//! Where a command looks for its gateway, and what it creates if there is none.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::{Command, Output};
use tokio::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{CONFIG, add, site};
use crate::harness::{Program, Site};

/// Returns all paths below a folder.
fn below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut unseen = vec![folder.to_owned()];
    while let Some(next) = unseen.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
            if path.is_dir() {
                unseen.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Runs the program in a folder other than the gateway's.
fn run_in(folder: &Path, arguments: &[&str], variable: Option<&Path>) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    program.current_dir(folder).args(arguments).arg("--json");
    match variable {
        Some(file) => program.env("VESTIBULE_CONFIG", file),
        None => program.env_remove("VESTIBULE_CONFIG"),
    };
    program.output().unwrap()
}

fn emails(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let users: Value = serde_json::from_slice(&output.stdout).unwrap();
    let users = users["accounts"].as_array().unwrap().iter();
    users
        .map(|user| user["email"].as_str().unwrap().to_owned())
        .collect()
}

/// A site whose configuration is in `config/`.
fn site_with_a_config_folder() -> Site {
    let site = site();
    fs::create_dir(site.path("config")).unwrap();
    fs::rename(site.path("vestibule.toml"), site.path("config/vestibule.toml")).unwrap();
    symlink("config/vestibule.toml", site.path("vestibule.toml")).unwrap();
    site
}

#[test]
fn from_any_folder_a_configuration_means_the_same_gateway() {
    let site = site_with_a_config_folder();
    let root = site.path("").canonicalize().unwrap();
    let file = root.join("config/vestibule.toml");
    let elsewhere = TempDir::new().unwrap();
    symlink(root.join("config"), elsewhere.path().join("link")).unwrap();
    let before = below(elsewhere.path());
    let look = |what: &str| {
        let expected = ["ann@example.com"];
        let config = ["--config", file.to_str().unwrap()];
        let list = [&["user", "list"], &config[..]].concat();
        for folder in [elsewhere.path(), &root, &root.join("config")] {
            assert_eq!(
                emails(&run_in(folder, &list, None)),
                expected,
                "{what}: {folder:?}"
            );
        }
        let by_variable = run_in(elsewhere.path(), &["user", "list"], Some(&file));
        assert_eq!(emails(&by_variable), expected, "{what}");
        assert_eq!(
            emails(&run_in(&root, &["user", "list"], None)),
            expected,
            "{what}"
        );
        let config = ["user", "list", "--config", "vestibule.toml"];
        assert_eq!(
            emails(&run_in(&root.join("config"), &config, None)),
            expected,
            "{what}"
        );
        let config = ["user", "list", "--config", "link/vestibule.toml"];
        assert_eq!(
            emails(&run_in(elsewhere.path(), &config, None)),
            expected,
            "{what}"
        );
    };
    add(&site, "ann@example.com", &[]);
    look("the store");
    let (gateway, _) = Program::start(&site);
    look("the gateway that runs");
    assert_eq!(gateway.stop().0, 0);
    assert_eq!(below(elsewhere.path()), before);
    assert!(site.path("data/store").is_dir() && site.path("certs/master.key").is_file());
    assert!(!site.path("config/data").exists() && !site.path("config/certs").exists());
}

#[test]
fn a_gateway_serves_from_any_folder_what_its_configuration_names() {
    let site = site_with_a_config_folder();
    let elsewhere = TempDir::new().unwrap();
    let file = site.path("config/vestibule.toml");
    let logs =
        CONFIG.to_owned() + "\n[log]\naccess_file = \"access.jsonl\"\n[audit]\nfile = \"audit.jsonl\"\n";
    fs::write(&file, logs).unwrap();
    let gateway = Program::start_in(elsewhere.path(), &["--config", file.to_str().unwrap()]);
    for made in [
        "data/store",
        "data/admin.sock",
        "certs/local-ca.pem",
        "certs/master.key",
        "audit.jsonl",
        "access.jsonl",
    ] {
        assert!(site.path(made).exists(), "{made}");
    }
    assert!(below(elsewhere.path()).is_empty());
    assert_eq!(gateway.stop().0, 0);
}

/// A link to the file, from a folder in which another store could be created.
#[test]
fn a_link_to_a_configuration_means_the_gateway_of_the_file() {
    let site = site();
    let folder = TempDir::new().unwrap();
    let (elsewhere, link) = (folder.path(), folder.path().join("vestibule.toml"));
    symlink(site.path("vestibule.toml"), &link).unwrap();
    let add = ["user", "add", "ann@example.com", "--password-hash", super::HASH];
    let done = run_in(elsewhere, &add, Some(&link));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let config = ["user", "list", "--config", "vestibule.toml"];
    assert_eq!(emails(&run_in(elsewhere, &config, None)), ["ann@example.com"]);
    let gateway = Program::start_in(elsewhere, &["--config", link.to_str().unwrap()]);
    assert!(site.path("data/admin.sock").exists());
    assert_eq!(
        emails(&run_in(elsewhere, &["user", "list"], Some(&link))),
        ["ann@example.com"]
    );
    assert_eq!(gateway.stop().0, 0);
    assert_eq!(below(elsewhere), ["vestibule.toml"]);
    assert!(site.path("data/store").is_dir() && site.path("certs/master.key").is_file());
}

#[test]
fn where_no_gateway_ever_was_a_command_refuses_and_makes_nothing() {
    let folder = TempDir::new().unwrap();
    for line in [
        "user add ann@example.com --password-hash $2y$10$Vx3bQ0nJ8mYkT1sLr5ZuCerjfrJsJAy8bIpRv.13DXyFXA0E.kaXO",
        "user list",
        "user show ann@example.com",
        "user import --htpasswd /etc/hostname",
        "invite create",
        "invite list",
        "key list",
        "session list",
        "mail list",
        "lock list",
        "audit",
        "explain --url /",
        "explain --request 0123",
        "doctor",
        "reload",
        "store verify",
        "store export",
        "store backup .",
        "store import /etc/hostname",
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        let done = run_in(folder.path(), &arguments, None);
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{line}: {said}");
        let document: Value = serde_json::from_slice(&done.stdout).unwrap();
        let error = document["error"].as_str().unwrap();
        assert!(error.contains("--config FILE"), "{line}: {error}");
        let looked = document["looked_at"].to_string();
        for place in [
            "VESTIBULE_CONFIG",
            "config/vestibule.toml",
            "/etc/vestibule/vestibule.toml",
            folder.path().to_str().unwrap(),
        ] {
            assert!(looked.contains(place), "{line}: {looked}");
        }
        assert!(
            below(folder.path()).is_empty(),
            "{line}: {:?}",
            below(folder.path())
        );
    }
    let named = run_in(folder.path(), &["user", "list"], Some(Path::new("none.toml")));
    let document: Value = serde_json::from_slice(&named.stdout).unwrap();
    assert!(document.to_string().contains("none.toml"), "{document}");
    assert!(run_in(folder.path(), &["check"], None).status.success());
    assert!(run_in(folder.path(), &["schema"], None).status.success());
    assert!(below(folder.path()).is_empty());
}

#[test]
fn a_gateway_that_was_tried_out_is_found_in_its_folder() {
    let site = Site::new("");
    add(&site, "ann@example.com", &[]);
    fs::remove_file(site.path("vestibule.toml")).unwrap();
    assert_eq!(
        emails(&run_in(&site.path(""), &["user", "list"], None)),
        ["ann@example.com"]
    );
}

#[test]
fn commands_that_only_read_make_nothing() {
    let site = site();
    for (line, says) in [
        (
            "user list",
            json!({ "accounts": [], "unreadable": [], "next": null, "previous": null, "total_count": 0 }),
        ),
        (
            "invite list",
            json!({ "invitations": [], "unreadable": [], "next": null }),
        ),
        ("key list", json!({ "access_keys": [], "unreadable": [] })),
        ("session list", json!({ "sessions": [], "next": null })),
        (
            "mail list",
            json!({ "mails": [], "unreadable": [], "next": null }),
        ),
        ("audit", json!({ "events": [], "unreadable": [], "next": null })),
    ] {
        let done = site.run(&[&line.split(' ').collect::<Vec<_>>()[..], &["--json"]].concat());
        assert_eq!(done.document(0), says, "{line}");
        assert!(
            done.stderr.contains("holds no store yet"),
            "{line}: {}",
            done.stderr
        );
    }
    site.ask(&["lock", "list"]);
    site.ask(&["check"]);
    let explained = site.ask(&["explain", "--method", "get", "--url", "/.auth/login"]);
    assert_eq!(
        (&explained["live"], &explained["method"]),
        (&json!(false), &json!("GET"))
    );
    site.run(&["doctor"]);
    let explained = site.run(&["explain", "--url", "/", "--as", "ann@example.com", "--json"]);
    assert!(explained.error(1).contains("ann@example.com"));
    site.run(&["user", "show", "ann", "--json"]).error(1);
    for line in ["store verify", "store export --output x", "store backup ."] {
        let done = site.run(&[&line.split(' ').collect::<Vec<_>>()[..], &["--json"]].concat());
        let error = done.error(1);
        assert!(error.contains("data/store holds no store"), "{line}: {error}");
    }
    assert_eq!(below(&site.path("")), ["vestibule.toml"]);
}

#[test]
fn root_makes_nothing_among_another_users_files() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let nobody = Some(65_534);
    let refused = |site: &Site, arguments: &[&str]| {
        let error = site.run(&[arguments, &["--json"]].concat()).error(1);
        assert!(
            error.contains("belongs to") && error.contains("sudo -u "),
            "{error}"
        );
        let serve = site.run(&["serve"]);
        (serve.status, serve.stderr)
    };
    let site = site();
    add(&site, "ann@example.com", &[]);
    chown(site.path("data/store"), nobody, nobody).unwrap();
    let before = below(&site.path("data"));
    let (status, said) = refused(&site, &["user", "list"]);
    assert!(status == 1 && said.contains("sudo -u "), "{said}");
    refused(
        &site,
        &["user", "add", "bob@example.com", "--password-hash", super::HASH],
    );
    assert_eq!(below(&site.path("data")), before);

    // Before the first start, in a folder that the gateway's user owns.
    let site = super::site();
    chown(site.path(""), nobody, nobody).unwrap();
    let add = [
        "user",
        "add",
        "bob@example.com",
        "--password-hash",
        super::HASH,
        "--json",
    ];
    let error = site.run(&add).error(1);
    assert!(error.contains("belongs to"), "{error}");
    assert_eq!(below(&site.path("")), ["vestibule.toml"]);
}

#[test]
fn a_gateway_that_hangs_is_given_up_after_five_seconds() {
    let site = site();
    let (gateway, _) = Program::start(&site);
    gateway.signal(Signal::STOP);
    let commands: [&[&str]; 3] = [
        &["user", "list", "--json"],
        &["session", "revoke", "--user", "ann", "--json"],
        &["store", "export", "--json"],
    ];
    let asked = commands.map(|arguments| {
        let began = Instant::now();
        let error = site.run(arguments).error(1);
        assert!(error.contains("did not answer for 5 s"), "{arguments:?}: {error}");
        (began.elapsed(), error)
    });
    gateway.signal(Signal::CONT);
    for (waited, error) in &asked {
        assert!((5..20).contains(&waited.as_secs()), "{waited:?}: {error}");
    }
    let (read, changed) = (&asked[0].1, &asked[1].1);
    assert!(
        !read.contains("may have been done") && changed.contains("`vestibule session list`"),
        "{changed}"
    );
    assert_eq!(site.list(&["user", "list"]), serde_json::json!([]), "it goes on");
    gateway.stop();
}
