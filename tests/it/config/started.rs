//! A gateway starts with what `check` accepts, and does not with what it refuses.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::process::geteuid;
use serde_json::Value;

use crate::harness::{Program, Site, certify};

/// A site with a certificate, whose configuration begins with these lines.
pub(super) fn site(lines: &str) -> Site {
    let site = Site::new("");
    certify(&site.path(""));
    site.configure(&config(lines));
    site
}

fn config(lines: &str) -> String {
    let tls = r#"tls.certificates = [{ cert = "cert.pem", key = "key.pem" }]"#;
    let tls = if lines.contains("tls.") { "" } else { tls };
    format!(
        r#"{lines}
public_url = "https://localhost:0"
listen.https = ["127.0.0.1:0"]
listen.ops = ""
{tls}
[[route]]
upstream = "demo:"
"#
    )
}

pub(super) fn put(site: &Site, name: &str, content: &str) {
    let file = site.path(name);
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
}

/// Returns the findings of `check`.
pub(super) fn check(site: &Site) -> Value {
    let done = site.run(&["check", "--json"]);
    done.document(done.status)
}

/// Returns the output of a gateway that does not start.
fn refusal(site: &Site) -> String {
    let ended = Program::spawn(site).wait_with_output().unwrap();
    assert_ne!(ended.status.code(), Some(0));
    String::from_utf8(ended.stderr).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list")]
fn what_a_start_would_refuse_check_refuses_where_it_stands() {
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    let long = "x".repeat(300);
    for (lines, key, said) in [
        (
            "tls.certificates = [{ cert = \"cert.pem\", key = \"other.pem\" }]",
            "tls.certificates[0].key",
            "this key cannot serve the certificate",
        ),
        ("mail.url = \"smtp://u:hunter2%ff@localhost\"", "mail.url", ""),
        (
            "store.master_key = { file = \"no.key\" }",
            "store.master_key",
            "not a master key",
        ),
        (
            "upstream.a = { servers = [\"https://localhost\"], ca = \"no.key\" }",
            "upstream.a.ca",
            "no certificate in PEM form",
        ),
        (
            "log.access_file = \"no-folder/access.jsonl\"",
            "log.access_file",
            "there is no folder",
        ),
        ("audit.file = \"folder\"", "audit.file", "is a folder"),
        (
            "listen.admin_socket = \"no.key\"",
            "listen.admin_socket",
            "is no socket",
        ),
        ("store.url = \"sled:no.key\"", "store.url", "is no folder"),
        (
            "store.url = \"sled:no.key/x/y\"",
            "store.url",
            "no.key is no folder",
        ),
        (
            "store.url = \"sled:nowhere/x\"",
            "store.url",
            "nowhere is no folder",
        ),
        (
            "listen.admin_socket = \"no.key/admin.sock\"",
            "listen.admin_socket",
            "no.key is no folder",
        ),
        (
            "listen.admin_socket = \"nowhere/x/admin.sock\"",
            "listen.admin_socket",
            "nowhere is no folder",
        ),
        ("audit.file = \"no.key/audit.jsonl\"", "audit.file", "no.key"),
        ("audit.file = \"loop\"", "audit.file", "loop cannot be opened"),
        ("audit.file = \"pipe\"", "audit.file", "pipe cannot be opened"),
        (
            "log.access_file = \"pipe\"",
            "log.access_file",
            "pipe cannot be opened",
        ),
        ("audit.file = \"nowhere/a.jsonl\"", "audit.file", "nowhere"),
        ("mail.url = \"file:no.key\"", "mail.url", "no.key is no folder"),
        ("mail.url = \"file:no.key/x\"", "mail.url", "no.key is no folder"),
        (
            "log.access_file = \"loop\"",
            "log.access_file",
            "loop cannot be opened",
        ),
        ("audit.file = \"socket\"", "audit.file", "is a socket"),
        ("audit.file = \"folder/\"", "audit.file", "the path of a folder"),
        (
            "log.access_file = \"log/\"",
            "log.access_file",
            "the path of a folder",
        ),
        ("audit.file = \"/dev/fd/99\"", "audit.file", "cannot be made"),
        (
            "log.access_file = \"/dev/fd/99\"",
            "log.access_file",
            "cannot be made",
        ),
        (
            "log.access_file = \"astray\"",
            "log.access_file",
            "there is no folder",
        ),
        ("audit.file = \"astray\"", "audit.file", "there is no folder"),
        ("log.access_file = \"socket\"", "log.access_file", "is a socket"),
        (
            &*format!("audit.file = \"{long}\""),
            "audit.file",
            "name too long",
        ),
        (
            &*format!("log.access_file = \"{long}\""),
            "log.access_file",
            "name too long",
        ),
        (
            "listen.admin_socket = \"open/admin.sock\"",
            "listen.admin_socket",
            "may be written by everybody",
        ),
        (
            "listen.plain = [\"unix:open/plain.sock\"]",
            "listen.plain[0]",
            "may be written by everybody",
        ),
        (
            "listen.plain = [\"unix:no.key\"]",
            "listen.plain[0]",
            "is no socket",
        ),
        (
            "listen.plain = [\"unix:no.key/plain.sock\"]",
            "listen.plain[0]",
            "no.key is no folder",
        ),
        (
            "store.url = \"sled:full\"",
            "store.url",
            "holds files but no store",
        ),
        ("store.url = \"sled:loop\"", "store.url", "loop is no folder"),
    ] {
        let site = site(lines);
        fs::copy(other.path().join("key.pem"), site.path("other.pem")).unwrap();
        put(&site, "no.key", "hunter2");
        fs::create_dir(site.path("folder")).unwrap();
        symlink("not-there", site.path("nowhere")).unwrap();
        symlink("loop", site.path("loop")).unwrap();
        symlink("not-there/log", site.path("astray")).unwrap();
        let _socket = UnixListener::bind(site.path("socket")).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(site.path("pipe"))
                .status()
                .unwrap()
                .success()
        );
        fs::create_dir(site.path("full")).unwrap();
        put(&site, "full/notes", "");
        fs::create_dir(site.path("open")).unwrap();
        fs::set_permissions(site.path("open"), Permissions::from_mode(0o777)).unwrap();
        let report = check(&site);
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{lines}: {report}");
        assert_eq!(
            (&errors[0]["key"], &errors[0]["line"]),
            (&key.into(), &1.into()),
            "{report}"
        );
        assert!(errors[0]["message"].as_str().unwrap().contains(said), "{report}");
        assert!(!report.to_string().contains("hunter2"), "{report}");
        assert!(!site.path("data").exists(), "looking makes nothing");
        let refused = refusal(&site);
        if key == "log.access_file" {
            let file = lines.split('"').nth(1).unwrap();
            assert!(refused.contains(file), "the file is named: {refused}");
        }
    }
}

#[test]
fn an_address_of_another_machine_is_refused_and_a_port_that_is_taken_is_not() {
    for (listen, key, address, said) in [
        (
            "https = [\"127.0.0.1:0\", \"192.0.2.7:0\"]",
            "https[1]",
            "192.0.2.7:0",
            "",
        ),
        (
            "https = [\"[fe80::1]:0\"]",
            "https[0]",
            "[fe80::1]:0",
            "as in \"[fe80::1%2]:0\"",
        ),
        (
            "https = [\"127.0.0.1:0\"]\nhttp = [\"[2001:db8::7]:0\"]",
            "http[0]",
            "[2001:db8::7]:0",
            "",
        ),
        (
            "https = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.1/32\"]\nplain = [\"192.0.2.7:0\"]",
            "plain[0]",
            "192.0.2.7:0",
            "",
        ),
        (
            "https = [\"127.0.0.1:0\"]\nops = \"192.0.2.7:0\"",
            "ops",
            "192.0.2.7:0",
            "",
        ),
    ] {
        let ops = if key == "ops" { "" } else { "ops = \"\"" };
        let site = Site::new(&format!(
            "public_url = \"https://localhost:8443\"\n[listen]\n{listen}\n{ops}\n[[route]]\nupstream = \"demo:\"\n"
        ));
        let report = check(&site);
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{listen}: {report}");
        assert_eq!(errors[0]["key"], format!("listen.{key}"), "{report}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.contains(address) && message.contains(said), "{report}");
        let refused = refusal(&site);
        assert!(refused.contains(address), "{refused}");
    }

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new(&format!(
        "public_url = \"https://localhost:8443\"\n[listen]\nhttps = [\"{address}\"]\nops = \"\"\n[[route]]\nupstream = \"demo:\"\n"
    ));
    assert_eq!(check(&site)["errors"], serde_json::json!([]));
}

#[test]
fn what_is_written_lies_in_no_place_of_anything_else() {
    for (lines, key, said) in [
        (
            "audit.file = \"vestibule.toml\"",
            "audit.file",
            "the configuration",
        ),
        (
            "log.access_file = \"vestibule.toml\"",
            "log.access_file",
            "the configuration",
        ),
        ("audit.file = \"linked\"", "audit.file", "the configuration"),
        ("audit.file = \"hard\"", "audit.file", "the configuration"),
        ("audit.file = \"certs/master.key\"", "audit.file", "certificates"),
        ("audit.file = \"cert.pem\"", "audit.file", "tls.certificates"),
        ("audit.file = \"key.pem\"", "audit.file", "tls.certificates"),
        (
            "log.access_file = \"certs/local-ca.key\"",
            "log.access_file",
            "certificates",
        ),
        ("audit.file = \"data/store/db\"", "audit.file", "store.url"),
        (
            "log.access_file = \"data/./x/../store/vestibule-store.json\"",
            "log.access_file",
            "store.url",
        ),
        (
            "audit.file = \"a.jsonl\"\nlog.access_file = \"./a.jsonl\"",
            "log.access_file",
            "audit.file",
        ),
        (
            "audit.file = \"outbox/a\"\nmail.url = \"file:outbox\"",
            "audit.file",
            "mail.url",
        ),
        ("mail.url = \"file:certs\"", "mail.url", "certificates"),
        ("mail.url = \"file:data/store/mail\"", "mail.url", "store.url"),
        (
            "store.master_key = { file = \"k\" }\naudit.file = \"k\"",
            "audit.file",
            "store.master_key",
        ),
        (
            "audit.file = \"a.jsonl\"\nlog.access_file = \"towards-a\"",
            "log.access_file",
            "audit.file",
        ),
        (
            "audit.file = \"data/x/towards-a\"\nlog.access_file = \"towards-a\"",
            "log.access_file",
            "audit.file",
        ),
        (
            "listen.plain = [\"unix:s\"]\naudit.file = \"s\"",
            "audit.file",
            "listen.plain[0]",
        ),
        (
            "listen.plain = [\"unix:data/store/s\"]",
            "listen.plain[0]",
            "store.url",
        ),
        (
            "listen.admin_socket = \"data/store/s\"",
            "listen.admin_socket",
            "store.url",
        ),
        (
            "listen.admin_socket = \"data\"",
            "listen.admin_socket",
            "store.url",
        ),
        (
            "listen.admin_socket = \"a.jsonl\"\naudit.file = \"a.jsonl\"",
            "audit.file",
            "listen.admin_socket",
        ),
    ] {
        let site = site(lines);
        symlink("vestibule.toml", site.path("linked")).unwrap();
        fs::hard_link(site.path("vestibule.toml"), site.path("hard")).unwrap();
        fs::create_dir_all(site.path("data/x")).unwrap();
        symlink("a.jsonl", site.path("towards-a")).unwrap();
        symlink("../../a.jsonl", site.path("data/x/towards-a")).unwrap();
        let report = check(&site);
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{lines}: {report}");
        assert_eq!(errors[0]["key"], key, "{lines}: {report}");
        assert!(
            errors[0]["message"].as_str().unwrap().contains(said),
            "{lines}: {report}"
        );
        let before = fs::read(site.path("vestibule.toml")).unwrap();
        refusal(&site);
        assert_eq!(fs::read(site.path("vestibule.toml")).unwrap(), before);
    }
    let site = site("audit.file = \"/dev/null\"\nlog.access_file = \"/dev/null\"");
    assert_eq!(check(&site)["errors"], serde_json::json!([]));
}

#[test]
fn a_file_of_the_local_authority_that_cannot_be_read_is_refused() {
    for (name, make) in [
        ("local-ca.key", "mkfifo"),
        ("local-ca.key", "mkdir"),
        ("local-ca.pem", "mkdir"),
        ("localhost.key", "mkdir"),
        ("localhost.pem", "mkdir"),
    ] {
        let site = Site::new(
            "public_url = \"https://localhost:0\"\n[listen]\nhttps = [\"127.0.0.1:0\"]\nops = \"\"\n[[route]]\nupstream = \"demo:\"\n",
        );
        fs::create_dir(site.path("certs")).unwrap();
        let file = site.path(&format!("certs/{name}"));
        assert!(Command::new(make).arg(&file).status().unwrap().success());
        let report = check(&site);
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{make} {name}: {report}");
        assert!(errors[0]["message"].as_str().unwrap().contains(name), "{report}");
        assert!(refusal(&site).contains(name));
    }
}

/// `check` as a user who is not root, to whom the site but for what is made later belongs.
fn check_without_rights(site: &Site) -> Command {
    let command = site.program(&["check", "--json", "--config", "vestibule.toml"]);
    if !geteuid().is_root() {
        return command;
    }
    let owned = ["", "vestibule.toml", "cert.pem", "key.pem", "theirs"].map(|name| site.path(name));
    let given = Command::new("chown").arg("nobody").args(owned).status();
    assert!(given.unwrap().success());
    let mut other = Command::new("setpriv");
    other
        .args(["--reuid", "nobody", "--clear-groups"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(site.path(""));
    other
}

/// A user who may not write where the gateway would is told so, and no file is created.
#[test]
fn what_this_user_may_not_write_check_refuses() {
    let is_root = geteuid().is_root();
    for (lines, key, said) in [
        (
            "audit.file = \"ro/audit.jsonl\"",
            "audit.file",
            "ro cannot be written",
        ),
        (
            "audit.file = \"ro/a/b.jsonl\"",
            "audit.file",
            "ro cannot be written",
        ),
        (
            "audit.file = \"ro/file\"",
            "audit.file",
            "ro/file cannot be written",
        ),
        (
            "log.access_file = \"ro/a.jsonl\"",
            "log.access_file",
            "ro cannot be written",
        ),
        (
            "log.access_file = \"ro/file\"",
            "log.access_file",
            "ro/file cannot be written",
        ),
        (
            "listen.admin_socket = \"ro/admin.sock\"",
            "listen.admin_socket",
            "ro cannot be written",
        ),
        (
            "listen.admin_socket = \"ro/a/admin.sock\"",
            "listen.admin_socket",
            "ro cannot be written",
        ),
        (
            "listen.plain = [\"unix:ro/plain.sock\"]",
            "listen.plain[0]",
            "ro cannot be written",
        ),
        (
            "listen.plain = [\"unix:theirs/socket\"]",
            "listen.plain[0]",
            "is the socket of root",
        ),
        (
            "store.url = \"sled:ro/store\"",
            "store.url",
            "ro cannot be written",
        ),
        ("store.url = \"sled:ro/empty\"", "store.url", "belongs to root"),
        (
            "listen.admin_socket = \"theirs/socket\"",
            "listen.admin_socket",
            "is the socket of root",
        ),
    ] {
        if said.contains("root") && !is_root {
            continue;
        }
        let site = site(lines);
        fs::create_dir(site.path("theirs")).unwrap();
        let _socket = UnixListener::bind(site.path("theirs/socket")).unwrap();
        let mut command = check_without_rights(&site);
        fs::create_dir_all(site.path("ro/empty")).unwrap();
        put(&site, "ro/file", "");
        let modes = [("ro/file", 0o400), ("ro/empty", 0o700), ("ro", 0o555)];
        for (name, mode) in modes {
            fs::set_permissions(site.path(name), Permissions::from_mode(mode)).unwrap();
        }
        let checked = command.output().unwrap();
        let report: Value =
            serde_json::from_slice(&checked.stdout).unwrap_or_else(|error| panic!("{error}: {checked:?}"));
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{lines}: {report}");
        assert_eq!(
            (&errors[0]["key"], &errors[0]["line"]),
            (&key.into(), &1.into()),
            "{report}"
        );
        assert!(errors[0]["message"].as_str().unwrap().contains(said), "{report}");
        assert_eq!(
            fs::read_dir(site.path("ro")).unwrap().count(),
            2,
            "looking makes nothing"
        );
        fs::set_permissions(site.path("ro"), Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn s39_another_master_key_is_refused_by_check_whether_or_not_the_gateway_runs() {
    let (site, other) = (site(""), site(""));
    let (gateway, _) = Program::start(&site);
    let (stranger, _) = Program::start(&other);
    stranger.stop();
    let key = site.path("certs/master.key");
    let own = fs::read(&key).unwrap();
    assert_eq!(check(&site)["ok"], true);
    fs::copy(other.path("certs/master.key"), &key).unwrap();
    let refused = |what: &str, says: &str| {
        let report = check(&site);
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{what}: {report}");
        assert_eq!(errors[0]["key"], "store.master_key", "{what}: {report}");
        assert!(
            errors[0]["message"].as_str().unwrap().contains(says),
            "{what}: {report}"
        );
    };
    refused("running", "a wrong master key");
    gateway.stop();
    refused("stopped", "a wrong master key");
    fs::remove_file(&key).unwrap();
    refused("gone", "the file is not there");
    assert!(refusal(&site).contains("the file is not there"));
    put(&site, "certs/master.key", std::str::from_utf8(&own).unwrap());
    assert_eq!(check(&site)["ok"], true);
    // A new key in its place, as the gateway creates it, belongs to the store from then on.
    let (gateway, _) = Program::start(&site);
    site.ask(&["key", "rotate-master"]);
    assert_eq!(check(&site)["ok"], true);
    put(&site, "certs/master.key", std::str::from_utf8(&own).unwrap());
    refused("rotated", "a wrong master key");
    assert_eq!(gateway.stop().0, 0);
}

#[test]
fn what_check_accepts_a_gateway_starts_with() {
    for lines in [
        r#"mail.from = "A, B <x@y>""#,
        r#"mail.from = "\"A, B\" <x@y>""#,
        "mail.from = \"문지기 <x@y>\"\nmail.url = \"smtp://u:p%40@localhost/gw.example.com\"",
        "limits.connections = 9223372036854775807\nlimits.signed_body_buffer = \"16000000TB\"\naudit.max_events = 9223372036854775807",
        "timeouts = { handshake = \"3650d\", response = \"3650d\", idle = \"3650d\", drain = \"3650d\" }",
        "audit.file = \"new/folder/audit.jsonl\"\nlog.access_file = \"access.jsonl\"",
    ] {
        let site = site(lines);
        let report = check(&site);
        assert_eq!(report["ok"], true, "{lines}: {report}");
        let (gateway, _) = Program::start(&site);
        assert_eq!(gateway.stop().0, 0, "{lines}");
    }
    // A log is made where a link leads.
    let linked = site("audit.file = \"link\"");
    symlink("audit.jsonl", linked.path("link")).unwrap();
    assert_eq!(check(&linked)["ok"], true);
    let (gateway, _) = Program::start(&linked);
    assert_eq!(gateway.stop().0, 0);
    assert!(linked.path("audit.jsonl").is_file());
    // The local authority signs for hosts in any spelling.
    let text = config("tls.min_version = \"1.3\"");
    let text = text.replace("[[route]]", "[[route]]\nhost = \"Gw.Example.Com.\"");
    let site = Site::new(&text);
    assert_eq!(check(&site)["ok"], true);
    let (gateway, _) = Program::start(&site);
    assert_eq!(gateway.stop().0, 0);
}

#[test]
fn a_certificate_that_clients_may_refuse_is_said_in_plain_words() {
    let site = site("");
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    put(&site, "cert.pem", &params.self_signed(&key).unwrap().pem());
    put(&site, "key.pem", &key.serialize_pem());
    let report = check(&site);
    assert_eq!(report["ok"], true, "{report}");
    let warnings = report["warnings"].to_string();
    for said in ["has expired", "of an authority, not of a server"] {
        assert!(warnings.contains(said), "{said}: {warnings}");
    }
    assert_eq!(report["warnings"][0]["key"], "tls.certificates[0].cert");
    params.not_before = rcgen::date_time_ymd(3000, 1, 1);
    params.not_after = rcgen::date_time_ymd(3001, 1, 1);
    put(&site, "cert.pem", &params.self_signed(&key).unwrap().pem());
    assert!(check(&site)["warnings"].to_string().contains("not valid yet"));
}

#[test]
fn a_secret_that_is_empty_is_refused_where_it_stands() {
    let servers = "servers = [\"http://127.0.0.1:1\"]";
    for (name, content) in [("empty", ""), ("blank", " \n"), ("mark", "\u{feff}\n")] {
        for (lines, key) in [
            (format!("store.url = {{ file = \"{name}\" }}"), "store.url"),
            (
                format!("store.master_key = {{ file = \"{name}\" }}"),
                "store.master_key",
            ),
            (format!("mail.url = {{ file = \"{name}\" }}"), "mail.url"),
            (
                format!("upstream.a = {{ {servers}, headers.X-Key = {{ file = \"{name}\" }} }}"),
                "upstream.a.headers.X-Key",
            ),
            (
                format!("upstream.a = {{ {servers}, headers.X-Key = {{ env = \"VESTIBULE_TEST_EMPTY\" }} }}"),
                "upstream.a.headers.X-Key",
            ),
            (
                "store.master_key = { env = \"VESTIBULE_TEST_EMPTY\" }".to_owned(),
                "store.master_key",
            ),
        ] {
            let site = site(&lines);
            put(&site, name, content);
            let checked = site
                .program(&["check", "--json", "--config", "vestibule.toml"])
                .env("VESTIBULE_TEST_EMPTY", content.trim_end_matches('\n'))
                .output()
                .unwrap();
            let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
            let errors = report["errors"].as_array().unwrap();
            assert_eq!(errors.len(), 1, "{lines}: {report}");
            assert_eq!(
                (&errors[0]["key"], &errors[0]["line"]),
                (&key.into(), &1.into()),
                "{report}"
            );
            assert!(errors[0]["column"].as_u64().unwrap() > 1, "{report}");
            assert!(
                errors[0]["message"].as_str().unwrap().ends_with("is empty"),
                "{report}"
            );
        }
    }
}

#[test]
fn a_certificate_that_names_no_host_is_warned_of() {
    let site = site("");
    let key = rcgen::KeyPair::generate().unwrap();
    let nameless = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    put(&site, "cert.pem", &nameless.pem());
    put(&site, "key.pem", &key.serialize_pem());
    let report = check(&site);
    assert_eq!(report["ok"], true, "{report}");
    let warnings = report["warnings"].as_array().unwrap();
    let is_told = |warning: &Value| {
        let message = warning["message"].as_str().unwrap();
        warning["key"] == "public_url" && message.contains("no certificate is for this host")
    };
    assert!(warnings.iter().any(is_told), "{report}");
}
