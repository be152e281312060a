//! `vestibule pages export`, and what `check` says of a folder of pages.

use std::fs;

use serde_json::Value;

use super::{CONFIG, mode};
use crate::harness::Site;

fn branded() -> Site {
    Site::new(&format!(
        "{CONFIG}\n[branding]\nfolder = \"pages\"\n[[route]]\nupstream = \"demo:\"\n"
    ))
}

#[test]
fn what_is_exported_is_a_folder_of_pages_that_passes() {
    let site = branded();
    let made = site.ask(&["pages", "export", "pages"]);
    let files: Vec<&str> = made["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    for name in [
        "en.toml",
        "ko.toml",
        "login.html",
        "layout.html",
        "letter.html",
        "admin-accounts.html",
    ] {
        assert!(
            files.contains(&name) && site.path("pages").join(name).is_file(),
            "{name}: {files:?}"
        );
    }
    assert_eq!(fs::read_dir(site.path("pages")).unwrap().count(), files.len());
    assert_eq!(
        (mode(&site.path("pages")), mode(&site.path("pages/en.toml"))),
        (0o755, 0o644)
    );
    assert_eq!(site.ask(&["check"])["warnings"], Value::Array(Vec::new()));

    // Nothing of the operator's is replaced, and nothing is added beside it.
    fs::remove_file(site.path("pages/en.toml")).unwrap();
    fs::write(site.path("pages/login.html"), "mine").unwrap();
    let error = site.run(&["pages", "export", "pages", "--json"]).error(1);
    assert!(error.contains("is there already"), "{error}");
    assert!(!site.path("pages/en.toml").exists());
    assert_eq!(fs::read_to_string(site.path("pages/login.html")).unwrap(), "mine");
    let text = super::site().run(&["pages", "export", "own"]).stdout;
    assert!(text.contains("branding.folder"), "{text}");
}

#[test]
fn check_names_the_file_and_the_line_of_what_is_wrong_with_a_page() {
    for (name, content, line, says) in [
        ("login.html", "<p>\n{% if %}", 2, "syntax error"),
        ("login.html", "<p>\n\n{{ view.logn }}", 3, "the page login"),
        ("letter.html", "\n{{ letter.subjct }}", 2, "the template of mails"),
        (
            "ko.toml",
            "[login]\ntitle = \"들어가기\"\ntitel = \"x\"\n",
            3,
            "did you mean login.title?",
        ),
        (
            "ko.toml",
            "\nlogin.title = \"{nothing}\"\n",
            2,
            "login.title has {nothing}",
        ),
        ("fr.toml", "language.name = \"Français\"\nx = y\n", 2, ""),
    ] {
        let site = branded();
        fs::create_dir(site.path("pages")).unwrap();
        fs::write(site.path("pages").join(name), content).unwrap();
        let report = site.run(&["check", "--json"]).document(1);
        let error = &report["errors"][0];
        assert!(
            error["file"]
                .as_str()
                .unwrap()
                .ends_with(&format!("pages/{name}")),
            "{report:#}"
        );
        assert_eq!(
            (&error["line"], &error["key"]),
            (&line.into(), &"branding.folder".into()),
            "{report:#}"
        );
        assert!(error["message"].as_str().unwrap().contains(says), "{report:#}");
        let text = site.run(&["check"]).stdout;
        assert!(
            text.contains(&format!("pages/{name}:{line}:1: branding.folder: ")),
            "{text}"
        );
    }
    let site = branded();
    fs::create_dir(site.path("pages")).unwrap();
    fs::write(site.path("pages/demo.html"), "<p>\n<p style=\"color:red\">").unwrap();
    let warning = &site.ask(&["check"])["warnings"][0];
    assert!(
        warning["file"].as_str().unwrap().ends_with("pages/demo.html"),
        "{warning:#}"
    );
    assert_eq!(warning["line"], 2, "{warning:#}");
}
