//! `doctor`: every check passes on a sound gateway, and names the problem on another.

mod ailing;
mod mail;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Application, PASSWORD, Program, Site, certify};

/// A configuration with a certificate of its own.
fn config(rest: &str) -> String {
    format!(
        r#"
        public_url = "https://localhost:0"
        tls.certificates = [{{ cert = "cert.pem", key = "key.pem" }}]
        listen.https = ["127.0.0.1:0"]
        listen.http = ["127.0.0.1:0"]
        listen.ops = "127.0.0.1:0"
        log.access = false
        password.bcrypt_cost = 10
        {rest}
        "#
    )
}

/// Runs it where the site's authority is trusted; returns exit code and output.
fn doctor(site: &Site, arguments: &[&str]) -> (i32, String) {
    let mut doctor = site.program(&[&["doctor", "--config", "vestibule.toml"], arguments].concat());
    let output = doctor
        .env("SSL_CERT_FILE", site.path("authority.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), said)
}

fn document(site: &Site) -> (i32, Value) {
    let (status, said) = doctor(site, &["--json"]);
    (status, serde_json::from_str(&said).unwrap())
}

/// Returns the findings of a check, each as "verdict: text → advice".
fn found(document: &Value, check: &str) -> Vec<String> {
    let findings = document["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["check"] == check)
        .map(|finding| {
            let part = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
            format!("{}: {} → {}", part("verdict"), part("text"), part("advice"))
        })
        .collect()
}

#[track_caller]
fn says(document: &Value, check: &str, beginning: &str, part: &str) {
    let found = found(document, check);
    assert!(
        found
            .iter()
            .any(|said| said.starts_with(beginning) && said.contains(part)),
        "{check}: {beginning} … {part}: {found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_well_is_said_to_be() {
    let app = Application::start().await;
    let site = Site::new(&config(&format!(
        "[[route]]\npath = \"/\"\nupstream = \"{url}\"\n[[route]]\npath = \"/p\"\nallow = \"public\"\nupstream = \"{url}\"",
        url = app.url()
    )));
    certify(&site.path(""));
    let (gateway, _) = Program::start(&site);
    let add = ["user", "add", "ann@example.com", "--password-stdin"];
    assert_eq!(site.run_with_input(&add, PASSWORD).status, 0);
    let (status, told) = document(&site);
    assert_eq!(
        (status, &told["ok"], &told["running"]),
        (0, &true.into(), &true.into()),
        "{told:#}"
    );
    for (check, part) in [
        ("configuration", "vestibule.toml can be run"),
        ("gateway", "runs, version"),
        ("listen.https", "answers with TLS 1.3"),
        ("certificate", "trusted here, for localhost"),
        ("listen.http", "redirects to https://localhost"),
        ("listen.ops", "is ready"),
        ("public_url", "/.auth/login reaches this gateway"),
        ("trusted_proxies", "is not believed"),
        ("identity", "do not arrive"),
        ("upstream", "takes connections"),
        ("clock", "agrees"),
        ("store", "the gateway reads it"),
        ("disk", "MiB are free"),
        ("files", "for their owner alone"),
        ("mail", "mails are written into data/outbox"),
    ] {
        says(&told, check, "ok", part);
    }
    let (status, text) = doctor(&site, &[]);
    assert_eq!(status, 0);
    assert!(text.contains("\nok       listen.https    127.0.0.1:"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("0 problems, "), "{text}");
    gateway.stop();
}

#[test]
fn what_ails_a_gateway_that_runs_is_said_with_what_to_do() {
    let rest = r#"
        listen.trusted_proxies = ["0.0.0.0/0"]
        [upstream.away]
        servers = ["http://127.0.0.1:9"]
        headers = { X-Secret = "hunter2" }
        [upstream.plain]
        servers = ["https://127.0.0.1:9"]
        [[route]]
        path = "/"
        allow = "public"
        upstream = "away"
        [[route]]
        host = "other.example.net"
        path = "/"
        upstream = "demo:"
    "#;
    let site = Site::new(&config(rest));
    certify(&site.path(""));
    let (gateway, _) = Program::start(&site);
    site.configure(&config(&(rest.to_owned() + "[branding]\nname = \"Else\"\n")));
    expose(&site.path("certs/master.key"), 0o644);
    let (status, told) = document(&site);
    assert_eq!((status, &told["ok"]), (1, &false.into()));
    says(&told, "configuration", "problem", "master.key");
    expose(&site.path("certs/master.key"), 0o600);

    expose(&site.path("data/store"), 0o755);
    let (status, told) = document(&site);
    assert_eq!(status, 1);
    for (check, beginning, part) in [
        ("gateway", "warning", "branding → run `vestibule reload`"),
        (
            "certificate",
            "problem",
            "for other.example.net: the certificate is not for this host → get one",
        ),
        ("trusted_proxies", "problem", "0.0.0.0/0 is everybody"),
        (
            "upstream",
            "problem",
            "away: http://127.0.0.1:9: Connection refused",
        ),
        ("files", "problem", "(mode 0755) → run: chmod 0700 data/store"),
    ] {
        says(&told, check, beginning, part);
    }
    assert!(!told.to_string().contains("hunter2"));
    gateway.stop();
}

#[test]
fn a_certificate_that_is_over_or_soon_will_be_is_noticed() {
    for (days, beginning, part) in [
        (-1, "problem", "has expired → renew"),
        (13, "warning", "expires in 1"),
    ] {
        let site = Site::new(&config(""));
        certify_until(&site.path(""), days);
        let (gateway, _) = Program::start(&site);
        let (status, told) = document(&site);
        assert_eq!(status, i32::from(days < 0), "{told:#}");
        says(&told, "certificate", beginning, part);
        gateway.stop();
    }
}

#[test]
fn the_local_authority_is_trusted_by_who_was_told_to() {
    let site = Site::new(&config("").replace("tls.certificates", "branding.links = []\n#"));
    let (gateway, _) = Program::start(&site);
    fs::write(site.path("authority.pem"), "").unwrap();
    let (status, told) = document(&site);
    assert_eq!(status, 0, "{told:#}");
    says(
        &told,
        "certificate",
        "warning",
        "this system does not trust → run `vestibule trust`",
    );
    fs::copy(site.path("certs/local-ca.pem"), site.path("authority.pem")).unwrap();
    let (_, told) = document(&site);
    says(&told, "certificate", "ok", "trusted here");
    gateway.stop();
}

#[test]
fn another_server_at_public_url_is_not_taken_for_this_one() {
    let other = Site::new(&config(""));
    certify(&other.path(""));
    let (answers, _) = Program::start(&other);
    let port = answers.address.port();
    let site = Site::new(&config("").replace("localhost:0", &format!("localhost:{port}")));
    for name in ["cert.pem", "key.pem", "authority.pem"] {
        fs::copy(other.path(name), site.path(name)).unwrap();
    }
    let (gateway, _) = Program::start(&site);
    let (status, told) = document(&site);
    assert_eq!(status, 1);
    says(&told, "public_url", "problem", "answered by another server");
    answers.stop();
    let (_, told) = document(&site);
    says(&told, "public_url", "problem", "nobody can be reached");
    gateway.stop();

    let site = Site::new(&config("").replace("localhost:0", "gw.nowhere.invalid:8443"));
    certify(&site.path(""));
    let (gateway, _) = Program::start(&site);
    let (_, told) = document(&site);
    says(
        &told,
        "public_url",
        "problem",
        "gw.nowhere.invalid has no address",
    );
    gateway.stop();
}

#[test]
fn without_a_gateway_what_it_would_need_is_looked_at() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new(&config(""));
    certify(&site.path(""));
    let (status, told) = document(&site);
    assert_eq!((status, &told["running"]), (0, &false.into()), "{told:#}");
    says(&told, "gateway", "ok", "none runs");
    says(&told, "listen.https", "skipped", "free");
    says(&told, "public_url", "skipped", "no gateway runs");
    says(&told, "store", "skipped", "is not there yet");
    assert!(!site.path("data").exists(), "nothing is made");

    site.configure(&config("").replace("https = [\"127.0.0.1:0\"]", &format!("https = [\"{address}\"]")));
    fs::create_dir_all(site.path("data/store")).unwrap();
    fs::write(site.path("data/store/db"), "not one").unwrap();
    let (status, told) = document(&site);
    assert_eq!(status, 1);
    says(&told, "listen.https", "problem", "is taken by another program");
    says(&told, "store", "problem", "data/store");

    site.configure("public_url = \"https://localhost\"\nusernam = 1\n");
    let (status, told) = document(&site);
    assert_eq!((status, &told["ok"]), (1, &false.into()));
    says(&told, "configuration", "problem", "vestibule.toml:2:1: usernam");
}

fn expose(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes a certificate for localhost that expires in so many days, and its authority.
fn certify_until(folder: &Path, days: i64) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use time::{Duration, OffsetDateTime};
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(
        folder.join("authority.pem"),
        params.self_signed(&key).unwrap().pem(),
    )
    .unwrap();
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = OffsetDateTime::now_utc() - Duration::days(90);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    fs::write(
        folder.join("cert.pem"),
        params.signed_by(&own_key, &issuer).unwrap().pem(),
    )
    .unwrap();
    fs::write(folder.join("key.pem"), own_key.serialize_pem()).unwrap();
    expose(&folder.join("key.pem"), 0o600);
}

#[test]
fn what_the_gateway_has_from_its_own_environment_is_no_problem_of_this_shell() {
    let rest = "mail.url = { env = \"VESTIBULE_TEST_MAIL\" }\nstore.master_key = { env = \"VESTIBULE_TEST_KEY\" }\n\
                [[route]]\nupstream = \"demo:\"\nallow = \"public\"";
    let site = Site::new(&config(rest));
    certify(&site.path(""));
    let (status, told) = document(&site);
    assert_eq!(status, 1, "none runs: {told}");
    says(&told, "configuration", "problem", "VESTIBULE_TEST_KEY");

    let mut serve = site.program(&["--config", "vestibule.toml"]);
    serve
        .env("VESTIBULE_TEST_MAIL", "file:outbox")
        .env(
            "VESTIBULE_TEST_KEY",
            "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        )
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    let (program, _) = Program::started(serve.spawn().unwrap());
    let (status, told) = document(&site);
    assert_eq!(status, 0, "{told}");
    says(
        &told,
        "configuration",
        "ok",
        "VESTIBULE_TEST_KEY, VESTIBULE_TEST_MAIL are taken from the environment of the gateway that runs",
    );
    says(&told, "mail", "ok", "outbox");
    says(&told, "store", "ok", "the gateway reads it");
    let told = told.to_string();
    assert!(
        !told.contains("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        "{told}"
    );

    // The other commands of an operator do so too.
    for command in [["check"].as_slice(), &["user", "list"]] {
        let done = site.run(command);
        assert_eq!(done.status, 0, "{command:?}: {}{}", done.stdout, done.stderr);
        assert!(
            done.stderr.contains("VESTIBULE_TEST_KEY"),
            "{command:?}: {}",
            done.stderr
        );
        assert!(!done.stderr.contains("MDEyMzQ1"), "{command:?}: {}", done.stderr);
    }
    // A variable that neither has is a problem, and the gateway's lack of it is mentioned.
    site.configure(&config(
        &rest.replace("VESTIBULE_TEST_MAIL", "VESTIBULE_TEST_NONE"),
    ));
    let done = site.run(&["check"]);
    assert_eq!(done.status, 1);
    assert!(done.stdout.contains("VESTIBULE_TEST_NONE"), "{}", done.stdout);
    assert!(
        done.stderr
            .contains("VESTIBULE_TEST_NONE is neither in this shell nor"),
        "{}",
        done.stderr
    );
    program.stop();
    // Without a running gateway the variables are missing as before.
    let done = site.run(&["check"]);
    assert_eq!(done.status, 1);
    assert!(done.stdout.contains("VESTIBULE_TEST_KEY"), "{}", done.stdout);
}

/// A port at which nothing listens yet.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_application_that_speaks_plain_http_is_told_apart_from_one_whose_certificate_is_wrong() {
    let app = Application::start().await;
    let plain = app.url().replace("http://", "https://");
    let site = Site::new(&config(&format!(
        "[upstream.console]\nservers = [\"{plain}\"]\n[[route]]\nupstream = \"console\""
    )));
    certify(&site.path(""));
    // Something that is neither.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = mute.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in mute.incoming() {
            drop(stream);
        }
    });
    let (status, told) = document(&site);
    assert_eq!(status, 1);
    let advice = format!("does not speak TLS, but plain HTTP → write {}", app.url());
    says(&told, "upstream", "problem", &advice);
    assert_eq!(found(&told, "upstream").len(), 1, "{told}");

    site.configure(&config(&format!("[[route]]\nupstream = \"https://{closed}\"")));
    let (_, told) = document(&site);
    let said = found(&told, "upstream").join("\n");
    assert!(!said.contains("write http://"), "{said}");
}

#[test]
fn an_application_that_is_the_gateway_itself_is_named() {
    let port = free_port();
    let site = Site::new(
        &config(&format!(
            r#"
            [upstream.by-address]
            servers = ["https://127.0.0.1:{port}"]
            [upstream.by-name]
            servers = ["https://localhost:{port}"]
            [upstream.by-socket]
            servers = ["unix:data/admin.sock"]
            [upstream.another]
            servers = ["http://127.0.0.1:9"]
            [[route]]
            path = "/a"
            upstream = "by-address"
            [[route]]
            path = "/b"
            upstream = "by-name"
            [[route]]
            path = "/c"
            upstream = "by-socket"
            [[route]]
            path = "/d"
            upstream = "another"
            "#
        ))
        .replace(
            "127.0.0.1:0\"]\n        listen.http",
            &format!("0.0.0.0:{port}\"]\n        listen.http"),
        ),
    );
    certify(&site.path(""));
    let itself = |told: &Value| {
        let found = found(told, "upstream").into_iter();
        found
            .filter(|said| said.contains("is this gateway itself"))
            .count()
    };
    let (_, told) = document(&site);
    assert_eq!(itself(&told), 3, "where none runs, too: {told:#}");
    let (gateway, _) = Program::start(&site);
    let (status, told) = document(&site);
    assert_eq!((status, itself(&told)), (1, 3), "{told:#}");
    says(
        &told,
        "upstream",
        "problem",
        "another: http://127.0.0.1:9: Connection refused",
    );
    gateway.stop();
}

#[test]
fn every_host_of_the_routes_is_looked_up() {
    let site = Site::new(&config(
        r#"
        [[route]]
        upstream = "demo:"
        [[route]]
        host = "app.nowhere.invalid"
        upstream = "demo:"
        [[route]]
        host = "*.wild.invalid"
        upstream = "demo:"
        [[route]]
        host = "*.localhost"
        upstream = "demo:"
        "#,
    ));
    certify(&site.path(""));
    let (status, told) = document(&site);
    assert_eq!(status, 1);
    says(
        &told,
        "dns",
        "problem: app.nowhere.invalid (line ",
        "has no address",
    );
    says(&told, "dns", "warning: any.wild.invalid (line ", "a wildcard");
    assert_eq!(found(&told, "dns").len(), 2, "{told:#}");
}

#[test]
fn all_that_is_wrong_with_a_certificate_is_said_at_once() {
    let rest = "[[route]]\nhost = \"other.example.net\"\nupstream = \"demo:\"";
    let site = Site::new(&config(rest));
    certify_until(&site.path(""), -1);
    // Nobody trusts its authority either.
    fs::write(site.path("authority.pem"), "").unwrap();
    let (gateway, _) = Program::start(&site);
    let (status, told) = document(&site);
    assert_eq!(status, 1);
    let of_the_other: Vec<_> = found(&told, "certificate")
        .into_iter()
        .filter(|said| said.contains("other.example.net"))
        .collect();
    for part in [
        "has expired",
        "no authority that this system trusts",
        "is not for this host",
    ] {
        assert!(
            of_the_other.iter().any(|said| said.contains(part)),
            "{part}: {of_the_other:#?}"
        );
    }
    assert_eq!(of_the_other.len(), 3, "{of_the_other:#?}");
    gateway.stop();
}

#[test]
fn the_gateway_that_runs_is_looked_at_though_the_file_is_broken() {
    let rest =
        "listen.admin_socket = \"elsewhere/a.sock\"\n[[route]]\nupstream = \"demo:\"\nallow = \"public\"\n";
    let site = Site::new(&config(rest));
    certify(&site.path(""));
    let (gateway, _) = Program::start(&site);
    for (broken, said) in [
        (config(rest) + "[branding\nname = \"x\"\n", "vestibule.toml:"),
        (config(rest).replace("listen.ops", "listen.opps"), "opps"),
        (
            config(rest).replace("log.access = false", "log.access = 5"),
            "log.access",
        ),
    ] {
        site.configure(&broken);
        let (status, told) = document(&site);
        assert_eq!((status, &told["running"]), (1, &true.into()), "{told:#}");
        says(&told, "configuration", "problem", said);
        says(&told, "gateway", "ok", "runs, version");
        says(&told, "gateway", "warning", "cannot be read any more");
        says(&told, "listen.https", "ok", "answers with TLS 1.3");
        says(&told, "listen.ops", "ok", "is ready");
        says(&told, "public_url", "ok", "reaches this gateway");
        says(&told, "store", "ok", "the gateway reads it");
    }
    gateway.stop();
    let (_, told) = document(&site);
    assert_eq!(told["running"], false);
    says(
        &told,
        "configuration",
        "skipped",
        "once the configuration can be run",
    );
}
