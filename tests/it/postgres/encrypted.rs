//! A database over a network: the server is verified by certificate, the role by password.

use std::fs;
use std::net::TcpListener;

use crate::harness::{Cluster, Site, certify};

use super::config;

/// A text that appears nowhere else.
const PASSWORD: &str = "hunter%40%3A2";

struct Remote {
    cluster: Cluster,
    port: u16,
    authority: String,
}

impl Remote {
    /// Starts a server that only accepts TLS and passwords.
    fn start() -> Self {
        let cluster = Cluster::prepare();
        let made = tempfile::tempdir().unwrap();
        let authority = certify(made.path());
        for file in ["cert.pem", "key.pem"] {
            cluster.put(file, &fs::read_to_string(made.path().join(file)).unwrap());
        }
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        cluster.put("data/pg_hba.conf", rules);
        // Free until the server takes it.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let (cert, key) = (cluster.path().join("cert.pem"), cluster.path().join("key.pem"));
        cluster.resume_at(
            port,
            &[
                "listen_addresses=127.0.0.1",
                "ssl=on",
                &format!("ssl_cert_file={}", cert.display()),
                &format!("ssl_key_file={}", key.display()),
            ],
        );
        cluster.sql("postgres", "ALTER ROLE vestibule PASSWORD 'hunter@:2'");
        Self {
            cluster,
            port,
            authority,
        }
    }

    fn url(&self, password: &str, parameters: &str) -> String {
        let port = self.port;
        format!("postgres://vestibule:{password}@localhost:{port}/t0?{parameters}")
    }

    fn site(&self, url: &str) -> Site {
        let site = Site::new(&config(url, "demo:"));
        fs::write(site.path("ca.pem"), &self.authority).unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::write(site.path("other.pem"), certify(other.path())).unwrap();
        site
    }
}

#[test]
fn a_server_that_proves_itself_is_spoken_to_and_no_other() {
    let remote = Remote::start();
    assert_eq!(remote.cluster.database(), "t0");
    let site = remote.site(&remote.url(PASSWORD, "sslrootcert=ca.pem"));
    site.list(&["user", "list"]);
    for (password, parameters, says) in [
        (PASSWORD, "sslrootcert=other.pem", "certificate"),
        // The system does not trust this authority.
        (PASSWORD, "sslmode=verify-full", "certificate"),
        (PASSWORD, "sslmode=disable", "no encryption"),
        ("hunter3", "sslrootcert=ca.pem", "password authentication failed"),
    ] {
        let url = remote.url(password, parameters);
        let done = remote.site(&url).run(&["user", "list", "--json"]);
        let error = done.error(1);
        assert!(error.contains(says), "{parameters}: {error}");
        let said = done.stdout + &done.stderr;
        assert!(!said.contains("hunter"), "{parameters}: {said}");
    }
}

/// The URL with the password is in a file, and appears in no output.
#[test]
fn a_url_from_a_file_stays_there() {
    let remote = Remote::start();
    let site = remote.site("sled:unused");
    let url = remote.url(PASSWORD, "sslrootcert=ca.pem");
    fs::write(site.path("store.url"), url + "\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(site.path("store.url"), private).unwrap();
    site.configure(&config("sled:unused", "demo:").replace("\"sled:unused\"", "{ file = \"store.url\" }"));
    super::add(&site, "ann@example.com");
    let (program, said) = crate::harness::Program::start(&site);
    let check = site.run(&["check"]);
    assert_eq!(check.status, 0, "{}", check.stdout);
    let doctor = site.run(&["doctor"]);
    let (_, log) = program.stop();
    remote.cluster.halt();
    let refused = site.run(&["serve"]);
    for text in [
        said,
        log,
        check.stdout,
        check.stderr,
        doctor.stdout,
        doctor.stderr,
        refused.stderr,
    ] {
        assert!(!text.contains("hunter"), "{text}");
    }
}
