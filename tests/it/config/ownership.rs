//! `check` as the service's own user, of files that root made or that have rights with which no gateway starts.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::geteuid;
use serde_json::Value;

use super::started::put;
use crate::commands::HASH;
use crate::harness::{Program, Site};

const CONFIG: &str = "public_url = \"https://localhost:0\"\n[listen]\nhttps = [\"127.0.0.1:0\"]\nops = \"\"\n[[route]]\nupstream = \"demo:\"\n";

/// The program as the user nobody.
fn as_nobody(site: &Site, arguments: &[&str]) -> Output {
    let command = site.program(arguments);
    let mut other = Command::new("setpriv");
    let other = other
        .args(["--reuid", "nobody", "--clear-groups"])
        .arg(command.get_program())
        .args(command.get_args())
        .args(["--config", "vestibule.toml"])
        .current_dir(site.path(""));
    other.output().unwrap()
}

fn give(to: &str, path: &Path) {
    let given = Command::new("chown").args(["-R", to]).arg(path).status();
    assert!(given.unwrap().success());
}

fn set_mode(site: &Site, name: &str, mode: u32) {
    fs::set_permissions(site.path(name), Permissions::from_mode(mode)).unwrap();
}

fn report(site: &Site) -> Value {
    let checked = as_nobody(site, &["check", "--json"]);
    serde_json::from_slice(&checked.stdout).unwrap_or_else(|error| panic!("{error}: {checked:?}"))
}

/// A site with a store, certificates and a master key, all of which belong to nobody.
fn site_of_nobody() -> Site {
    let site = Site::new(CONFIG);
    let (gateway, _) = Program::start(&site);
    gateway.stop();
    give("nobody", &site.path(""));
    let report = report(&site);
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
    site
}

/// Asserts that `check` and `serve` refuse the site as nobody, and that `check` says this of one key.
fn assert_refused(site: &Site, what: &str, key: &str, said: &[&str]) {
    let report = report(site);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{what}: {report}");
    assert_eq!(errors[0]["key"], key, "{what}: {report}");
    let message = errors[0]["message"].as_str().unwrap();
    let ended = as_nobody(site, &["serve"]);
    let refused = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success(), "{what}: {refused}");
    for said in said {
        assert!(message.contains(said), "{what}: {said}: {report}");
        assert!(refused.contains(said), "{what}: {said}: {refused}");
    }
}

#[test]
fn what_of_a_store_the_services_user_may_not_use_check_refuses_as_a_start_does() {
    if !geteuid().is_root() {
        return;
    }
    for name in [
        "db",
        "conf",
        "lock",
        "blobs",
        "reserved-space",
        "master-key.fingerprint",
        "high-water-mark.begun",
    ] {
        let site = site_of_nobody();
        let file = format!("data/store/{name}");
        if !site.path(&file).exists() {
            put(&site, &file, "");
        }
        let chown = "run as root: chown -R nobody data/store";
        give("root", &site.path(&file));
        assert_refused(
            &site,
            &format!("{name} of root"),
            "store.url",
            &[name, "belongs to root", chown],
        );
        // Root, who checks for the service's user, is told as well.
        let told = site.run(&["check"]).stdout;
        assert!(
            told.contains("belongs to root, and the store to nobody"),
            "{told}"
        );
        give("nobody", &site.path(&file));
        let is_folder = site.path(&file).is_dir();
        set_mode(&site, &file, if is_folder { 0o755 } else { 0o444 });
        assert_refused(
            &site,
            &format!("{name} is open"),
            "store.url",
            &[name, "is open to others"],
        );
        set_mode(&site, &file, 0);
        let chmod = "chmod -R u+rwX data/store";
        assert_refused(
            &site,
            &format!("{name} is closed"),
            "store.url",
            &[name, "is closed to its owner", chmod],
        );
    }
    for name in ["db", "lock"] {
        let site = site_of_nobody();
        let file = format!("data/store/{name}");
        set_mode(&site, &file, 0o400);
        assert_refused(
            &site,
            &format!("{name} may not be written"),
            "store.url",
            &[name, "mode 0400"],
        );
    }
}

#[test]
fn a_lock_of_roots_in_an_empty_store_is_refused() {
    if !geteuid().is_root() {
        return;
    }
    let site = Site::new(CONFIG);
    fs::create_dir_all(site.path("data/store")).unwrap();
    give("nobody", &site.path(""));
    put(&site, "data/store/lock", "");
    assert_refused(
        &site,
        "lock",
        "store.url",
        &["lock belongs to root", "chown -R nobody data/store/lock"],
    );
    give("nobody", &site.path(""));
    let report = report(&site);
    assert_eq!(report["ok"], true, "{report}");
}

#[test]
fn folders_and_files_in_each_others_place_in_a_store_are_refused() {
    for name in [
        "lock",
        "db",
        "conf",
        "master-key.fingerprint",
        "vestibule-store.json",
        "blobs",
    ] {
        let site = Site::new(CONFIG);
        site.ask(&["user", "add", "ann@example.com", "--password-hash", HASH]);
        let file = site.path(&format!("data/store/{name}"));
        if file.is_dir() || name == "blobs" {
            let _ = fs::remove_dir_all(&file);
            fs::write(&file, "").unwrap();
        } else {
            let _ = fs::remove_file(&file);
            fs::create_dir(&file).unwrap();
        }
        for command in ["check", "serve"] {
            let done = site.run(&[command]);
            let said = done.stdout + &done.stderr;
            assert_eq!(done.status, 1, "{command} {name}: {said}");
            assert!(
                said.contains(&format!("data/store/{name} is a f")),
                "{command}: {said}"
            );
        }
    }
}

#[test]
fn what_of_the_local_authority_the_services_user_may_not_use_check_refuses_as_a_start_does() {
    if !geteuid().is_root() {
        return;
    }
    let site = site_of_nobody();
    for name in ["local-ca.key", "localhost.key", "addresses.key"] {
        let file = format!("certs/{name}");
        give("root", &site.path(&file));
        let chown =
            format!("{file} belongs to root, and this runs as nobody; run as root: chown nobody {file}");
        assert_refused(&site, name, "tls.certificates", &[&chown]);
        give("nobody", &site.path(&file));
        set_mode(&site, &file, 0o644);
        assert_refused(&site, name, "tls.certificates", &[name, "chmod 600"]);
        set_mode(&site, &file, 0);
        assert_refused(&site, name, "tls.certificates", &[name, "Permission denied"]);
        set_mode(&site, &file, 0o600);
        let (kept, pipe) = (site.path("certs/kept"), site.path(&file));
        fs::rename(&pipe, &kept).unwrap();
        assert!(
            Command::new("mkfifo")
                .args(["-m", "600"])
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        give("nobody", &pipe);
        assert_refused(&site, name, "tls.certificates", &[name, "a named pipe"]);
        fs::rename(&kept, &pipe).unwrap();
    }
    // A folder that cannot be written is enough for what is whole, and not for what is to be made.
    chown(site.path("certs"), Some(0), None).unwrap();
    set_mode(&site, "certs", 0o755);
    let report = report(&site);
    assert_eq!(report["ok"], true, "{report}");
    fs::remove_file(site.path("certs/addresses.pem")).unwrap();
    let handed_over = "certs belongs to root, and this runs as nobody; run as root: chown nobody certs";
    assert_refused(&site, "certs", "tls.certificates", &["Permission denied"]);
    let message = self::report(&site)["errors"][0]["message"].to_string();
    assert!(message.contains(handed_over), "{message}");
}

#[test]
fn a_folder_in_which_no_mail_or_master_key_can_be_written_is_told() {
    if !geteuid().is_root() {
        return;
    }
    let config =
        format!("mail.url = \"file:outbox\"\nstore.master_key = {{ file = \"keys/master.key\" }}\n{CONFIG}");
    let site = Site::new(&config);
    fs::create_dir(site.path("outbox")).unwrap();
    fs::create_dir(site.path("keys")).unwrap();
    give("nobody", &site.path(""));
    assert_eq!(report(&site)["ok"], true);
    give("root", &site.path("outbox"));
    let told = report(&site);
    let told = told["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|told| told["key"] == "mail.url");
    let told = told.unwrap()["message"].as_str().unwrap();
    assert!(
        told.contains("no mail can be written: outbox") && told.contains("chown nobody outbox"),
        "{told}"
    );
    give("root", &site.path("keys"));
    assert_refused(&site, "keys", "store.master_key", &["keys", "cannot be written"]);
}

#[test]
fn a_port_that_is_kept_from_this_user_is_warned_of() {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if !geteuid().is_root() || first.trim().parse::<u16>().unwrap() <= 82 {
        return;
    }
    let site = Site::new(&CONFIG.replace("127.0.0.1:0", "127.0.0.1:82"));
    give("nobody", &site.path(""));
    let report = report(&site);
    let told = &report["warnings"][0];
    assert_eq!(told["key"], "listen.https[0]", "{report}");
    assert!(
        told["message"].as_str().unwrap().contains("CAP_NET_BIND_SERVICE"),
        "{report}"
    );
    assert!(!as_nobody(&site, &["serve"]).status.success());
    assert!(
        !site.run(&["check"]).stdout.contains("CAP_NET_BIND_SERVICE"),
        "root may"
    );
    // Where a gateway that was let in listens, nothing is to be said.
    let _gateway = std::net::TcpListener::bind("127.0.0.1:82").unwrap();
    assert!(!self::report(&site).to_string().contains("CAP_NET_BIND_SERVICE"));
}

#[test]
fn links_that_lead_nowhere_and_a_terminal_that_is_none_are_refused() {
    let site = Site::new(CONFIG);
    std::os::unix::fs::symlink("not-there", site.path("certs")).unwrap();
    let checked = site.run(&["check", "--json"]);
    let report = checked.document(1);
    let errors = report["errors"].as_array().unwrap();
    assert!(
        errors
            .iter()
            .all(|error| error["message"] == "certs is no folder"),
        "{report}"
    );
    let keys: Vec<_> = errors
        .iter()
        .map(|error| error["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["tls.certificates", "store.master_key"]);
    assert!(site.run(&["serve"]).stderr.contains("certs"));
    for key in ["audit.file", "log.access_file"] {
        let site = Site::new(&format!("{key} = \"/dev/tty\"\n{CONFIG}"));
        // A session of its own has no terminal.
        let without_terminal = |command: &str| {
            let program = site.program(&[command, "--config", "vestibule.toml"]);
            let mut session = Command::new("setsid");
            session
                .arg("--wait")
                .arg(program.get_program())
                .args(program.get_args());
            let done = session.current_dir(site.path("")).output().unwrap();
            assert!(!done.status.success(), "{command}");
            String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap()
        };
        let told = without_terminal("check");
        assert!(
            told.contains(&format!("{key}: /dev/tty cannot be opened")),
            "{told}"
        );
        assert!(without_terminal("serve").contains("/dev/tty"));
    }
}
