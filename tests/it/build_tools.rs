//! The message of a build where a system package is missing.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use tempfile::TempDir;

use crate::layering::root;

/// Runs the link step on a machine with these programs; returns whether it succeeds, and its output.
fn linked_with(programs: &[&str]) -> (bool, String) {
    let folder = TempDir::new().unwrap();
    for program in programs {
        symlink("/bin/true", folder.path().join(program)).unwrap();
    }
    let mut link = Command::new(root().join(".cargo/cc"));
    let output = link.arg("-o").env("PATH", folder.path()).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_packages_that_are_missing_are_named_before_anything_is_built() {
    assert_eq!(linked_with(&["cc"]), (true, String::new()));
    let (is_linked, said) = linked_with(&[]);
    assert!(!is_linked);
    assert!(said.ends_with("apt-get install gcc\n"), "{said}");
}

/// Cargo uses it for every link, build scripts of dependencies first.
#[test]
fn cargo_links_by_way_of_it() {
    let settings: toml::Table =
        toml::from_str(&fs::read_to_string(root().join(".cargo/config.toml")).unwrap()).unwrap();
    let linux = &settings["target"]["cfg(target_os = \"linux\")"];
    assert_eq!(linux["linker"].as_str(), Some(".cargo/cc"));
}
