//! `store.url` with the URL of a database.

use super::{errors, warnings, with};

#[test]
fn a_database_that_cannot_be_meant_is_refused_without_a_word_of_its_password() {
    for (url, says) in [
        ("postgres://u:hunter2@h", "no database"),
        ("postgres://u:hunter2@h1,h2/db", "several hosts"),
        ("postgres://u:hunter2@h/db?sslmode=prefer", "`sslmode` is"),
        (
            "postgres://u:hunter2@h/db?sslrootcert=nowhere.pem",
            "nowhere.pem cannot be read",
        ),
        ("mysql://u:hunter2@h/db", "neither `sled:` nor `postgres:`"),
    ] {
        let errors = errors(&with(&format!("[store]\nurl = \"{url}\"")));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains(": store.url: ") && errors[0].contains(says),
            "{errors:?}"
        );
        assert!(!errors[0].contains("hunter2"), "{errors:?}");
    }
    let accepted = "[store]\nurl = \"postgres://u:hunter2@h/db\"";
    assert_eq!(errors(&with(accepted)), [""; 0]);
}

#[test]
fn a_database_in_the_clear_on_another_machine_is_warned_of() {
    for (url, is_warned_of) in [
        ("postgres://u@db.example.com/d?sslmode=disable", true),
        ("postgres://u@db.example.com/d", false),
        ("postgres://u@localhost/d", false),
        ("postgres://u@/d?host=/run/postgresql", false),
    ] {
        let warnings = warnings(&with(&format!("[store]\nurl = \"{url}\"")));
        let found = warnings
            .iter()
            .any(|warning| warning.contains(": store.url: everything"));
        assert_eq!(found, is_warned_of, "{url}: {warnings:?}");
    }
}
