//! The schema, the reference and the example are generated from the configuration's documentation.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vestibule::config::{Config, reference, schema};

use super::errors;

#[test]
fn the_committed_example_parses() {
    let loaded = Config::load(&committed("vestibule.example.toml")).unwrap();
    assert_eq!(loaded.config.route.len(), 1);
}

#[test]
fn the_committed_documentation_is_current() {
    for (file, current, command) in [
        (
            "vestibule.schema.json",
            schema(),
            "vestibule schema > config/vestibule.schema.json",
        ),
        (
            "reference.toml",
            reference(),
            "vestibule schema --reference > config/reference.toml",
        ),
    ] {
        let committed = fs::read_to_string(committed(file)).unwrap_or_default();
        assert!(committed == current, "config/{file} is stale; run `{command}`");
    }
}

#[test]
fn the_reference_is_the_defaults() {
    let config = Config::parse(&reference(), "reference.toml").unwrap().config;
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    assert_eq!(
        config.store.location().unwrap(),
        Config::default().store.location().unwrap()
    );
    assert_eq!(
        config.mail.transport().unwrap(),
        Config::default().mail.transport().unwrap()
    );
}

#[test]
fn the_examples_of_the_reference_are_keys_that_exist() {
    let shown: Vec<_> = reference()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(example) if !example.starts_with(' ') => example.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let errors = errors(&shown.join("\n"));
    // The example names a CA file that does not exist, and its route has all that a route may lead to.
    let is_expected = |error: &String| {
        error.contains("cannot be read")
            || error.contains("a route has one of `upstream`, `redirect` and `respond`")
    };
    assert!(errors.iter().all(is_expected), "{errors:?}");
    for key in [
        "[[route]]",
        "[upstream.console]",
        "preflight = false",
        "servers = [",
    ] {
        assert!(shown.iter().any(|line| line.starts_with(key)), "{key}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = Config::parse(&text, "any.toml");
    }

    #[test]
    fn no_value_of_any_key_makes_it_panic_or_is_repeated(
        key in prop::sample::select(vec![
            "public_url", "route", "upstream", "mail", "mail.url", "mail.from", "store.url", "store.master_key",
            "listen.https", "listen.ops", "signup", "signup.mode", "session.idle", "session.cookie_domain",
            "limits.form_body", "tls.certificates", "identity.headers", "upstream.a", "upstream.a.headers.X",
            "upstream.a.servers", "branding.links", "branding.accent", "acme",
        ]),
        value in prop::sample::select(vec![
            "7171717", "-7171717", "7171717.5", "true", "\"7171717\"", "[\"7171717\"]", "[7171717]", "[[]]", "{}",
            "{ file = 7171717 }", "{ env = 7171717 }", "{ 홍 = \"7171717\" }", "[{ url = 7171717 }]", "1979-05-27",
            "\"{7171717}\"", "\"https://a:7171717@b\"", "{ a = { b = \"7171717\" } }",
        ]),
    ) {
        for error in errors(&format!("{key} = {value}\n")) {
            prop_assert!(!error.contains("7171717"), "{}", error);
        }
    }
}

fn committed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file)
}
