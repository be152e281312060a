//! The lines of all logs begin alike, wherever they go.

use std::fs;

use serde_json::Value;

use crate::harness::{PASSWORD, Program, Site, certify, soon};

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_every_log_begins_alike() {
    let site = Site::new(
        r#"
        public_url = "https://localhost:0"
        tls.certificates = [{ cert = "cert.pem", key = "key.pem" }]
        listen.https = ["127.0.0.1:0"]
        listen.ops = ""
        password.bcrypt_cost = 10
        audit.file = "audit.jsonl"
        log.access_file = "access.jsonl"
        log.access_fields = ["user_agent", "referer", "protocol", "tls_version"]
        log.level = "debug"
        [[route]]
        upstream = "demo:"
        "#,
    );
    certify(&site.path(""));
    let (program, mut said) = Program::start(&site);
    let added = site.run_with_input(&["user", "add", "ann@example.com", "--password-stdin"], PASSWORD);
    assert_eq!(added.status, 0, "{}", added.stderr);
    let authority = fs::read(site.path("authority.pem")).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
        .build()
        .unwrap();
    for password in ["wrong-1!", PASSWORD] {
        let form = [("login", "ann@example.com"), ("password", password)];
        let asked = client
            .post(program.url("/.auth/login"))
            .header("accept", "application/json")
            .header("user-agent", "a test")
            .header("referer", "https://ann:secret@elsewhere.example/x?token=secret")
            .json(&std::collections::BTreeMap::from(form));
        soon(asked.send()).await.unwrap();
    }
    let (status, rest) = program.stop();
    assert_eq!(status, 0, "{rest}");
    said.push_str(&rest);
    let read = |name: &str| fs::read_to_string(site.path(name)).unwrap();
    let (access, audit) = (read("access.jsonl"), read("audit.jsonl"));
    for (log, text) in [("gateway", &said), ("access", &access), ("audit", &audit)] {
        let mut lines = 0;
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let parsed: Value = serde_json::from_str(line).unwrap();
            let time = parsed["time"].as_str().unwrap();
            assert!(time.len() == 27 && time.ends_with('Z'), "{line}");
            assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
            let level = parsed["level"].as_str().unwrap();
            assert!(
                ["error", "warn", "info", "debug", "trace"].contains(&level),
                "{line}"
            );
            let field = |name: &str| parsed[name].to_string();
            let beginning = format!(
                "{{\"time\":\"{time}\",\"log\":\"{log}\",\"level\":\"{level}\",\"request_id\":{},\"client\":{},\"user\":{},",
                field("request_id"),
                field("client"),
                field("user"),
            );
            assert!(line.starts_with(&beginning), "{line}\n{beginning}");
            lines += 1;
        }
        assert!(lines > 1, "{log}: {text}");
    }
    let of = |text: &str, status: &str| -> Value {
        let line = text.lines().find(|line| line.contains(status)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    let asked = of(&access, "\"status\":401");
    for (name, value) in [
        ("client", "127.0.0.1"),
        ("user_agent", "a test"),
        ("referer", "https://elsewhere.example/x"),
        ("tls_version", "1.3"),
    ] {
        assert_eq!(asked[name], value, "{asked}");
    }
    assert!(
        asked["protocol"].as_str().unwrap().starts_with("HTTP/"),
        "{asked}"
    );
    // One request has one id, and one client, in both logs.
    let refused = of(&audit, "\"outcome\":\"failure\"");
    for name in ["request_id", "client"] {
        assert_eq!(refused[name], asked[name], "{refused}");
    }
    assert_eq!(
        (&refused["user"], &refused["level"]),
        (&"ann@example.com".into(), &"warn".into())
    );
}
