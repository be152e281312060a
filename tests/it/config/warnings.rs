//! What `check` warns of, and how a warning ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::started::{check, put, site};
use crate::harness::{Program, Site};

#[test]
fn a_warning_says_what_ends_it_and_where_and_is_accepted_by_its_key() {
    let text = r#"
public_url = "https://localhost:0"
[listen]
https = ["127.0.0.1:0"]
ops = ""
[signup]
mode = "open"
[[route]]
upstream = "http://app.example.com"
[[route]]
path = "/b"
upstream = "http://app.example.com"
"#;
    let site = Site::new(text);
    let report = check(&site);
    let found = |report: &Value| -> Vec<String> {
        let warnings = report["warnings"].as_array().unwrap().iter();
        warnings
            .map(|warning| format!("{}:{}", warning["line"], warning["key"].as_str().unwrap()))
            .collect()
    };
    // The one about `identity`, which is not written, stands where the section is that ends it.
    let all = [
        "6:identity",
        "7:signup.mode",
        "9:route[0].upstream",
        "12:route[1].upstream",
    ];
    assert_eq!(found(&report), all);
    for warning in report["warnings"].as_array().unwrap() {
        assert!(warning["suggestion"].is_string(), "{warning:#}");
    }
    assert!(
        report["warnings"][1]["suggestion"]
            .as_str()
            .unwrap()
            .contains("signup.approval = true")
    );
    let said = site.run(&["check"]).stdout;
    assert!(said.contains("[checks] accept = [\"identity\"]"), "{said}");

    site.configure(&format!(
        "{text}[checks]\naccept = [\"signup.mode\", \"route[*].upstream\", \"listen.ops\"]\n"
    ));
    let report = check(&site);
    assert_eq!(found(&report), ["6:identity", "14:checks.accept[2]"]);
    assert_eq!(report["accepted"].as_array().unwrap().len(), 3);
    let said = site.run(&["check"]).stdout;
    assert!(said.trim_end().ends_with("2 warnings, 3 accepted"), "{said}");
    let (gateway, log) = Program::start(&site);
    let log = log + &gateway.said();
    assert!(
        !log.contains("signup.mode: open") && log.contains("identity: "),
        "{log}"
    );
    gateway.stop();
}

/// A proxy runs as another user: through a folder that only the gateway enters it comes to no socket.
#[test]
fn a_folder_that_no_proxy_may_enter_is_warned_of() {
    for (mode, warned) in [(0o700, true), (0o710, false), (0o755, false)] {
        let site = site("listen.plain = [\"unix:run/plain.sock\"]");
        fs::create_dir(site.path("run")).unwrap();
        fs::set_permissions(site.path("run"), Permissions::from_mode(mode)).unwrap();
        let report = check(&site);
        let said = report.to_string().contains("listen.plain[0]");
        assert_eq!(said, warned, "{mode:o}: {report}");
        assert_eq!(report["errors"].as_array().unwrap().len(), 0, "{report}");
    }
}

#[test]
fn a_language_that_is_half_empty_is_named() {
    let site = site("branding.folder = \"pages\"");
    fs::create_dir(site.path("pages")).unwrap();
    put(&site, "pages/fr.toml", "login.title = \"Connexion\"\n");
    let report = check(&site);
    assert_eq!(report["errors"].as_array().unwrap().len(), 0, "{report}");
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("fr.toml lacks ") && warnings.contains("is not offered"),
        "{report}"
    );
}
