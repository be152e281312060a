//! The configuration: what parses, what is refused and how, and what is generated from its documentation.

mod answers;
mod compat;
mod conditions;
mod database;
mod documented;
mod generated;
mod mistakes;
mod ownership;
mod started;
mod upstreams;
mod warnings;

use std::fs;

use vestibule::config::{Config, ConfigErrors};

fn errors(text: &str) -> Vec<String> {
    match Config::parse(text, "vestibule.toml") {
        Ok(_) => Vec::new(),
        Err(ConfigErrors { errors, .. }) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn warnings(text: &str) -> Vec<String> {
    match Config::parse(text, "vestibule.toml") {
        Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect(),
        Err(errors) => panic!("{errors}"),
    }
}

/// A configuration without warnings, and this.
fn with(rest: &str) -> String {
    format!("{rest}\n[[route]]\nupstream = \"demo:\"\n")
}

#[test]
fn a_file_is_named_in_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("v.toml");
    fs::write(&file, b"a = \"\xff\"\n").unwrap();
    let error = Config::load(&file).unwrap_err().to_string();
    assert_eq!(error, format!("{}:1:6: not UTF-8", file.display()));
    let error = Config::load(&folder.path().join("none.toml"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("none.toml: cannot be read"), "{error}");
}
