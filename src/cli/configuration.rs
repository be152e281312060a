//! Which configuration a command works with.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::answer::Failure;
use crate::config::Config;

/// Read without `--config`, if it is there.
const USUAL: &str = "config/vestibule.toml";

/// A configuration, and what its operator should know.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) warnings: Vec<String>,
    /// Whether it is the one for trying out.
    pub(super) trial: bool,
}

/// What `--config` names; without it the usual file if it is there, else the configuration for trying out.
pub(super) fn read(path: Option<&Path>) -> Result<Loaded, Failure> {
    match path {
        Some(path) => load(path),
        None if Path::new(USUAL).exists() => load(Path::new(USUAL)),
        None => trial(None),
    }
}

/// The configuration for trying out, before the demo or another application.
pub(super) fn trial(to: Option<&str>) -> Result<Loaded, Failure> {
    let config = Config::trial(to).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Loaded {
        config,
        warnings: Vec::new(),
        trial: true,
    })
}

/// Writes down the configuration for trying out. A file that is there stays as it is.
pub(super) fn save(to: Option<&str>, file: &Path) -> Result<(), Failure> {
    let text = Config::trial_toml(to).map_err(|error| Failure::failed(error.to_string()))?;
    write_new(file, &text).map_err(|error| {
        let file = file.display();
        Failure::failed(if error.kind() == io::ErrorKind::AlreadyExists {
            format!("{file} exists and stays as it is: run it with --config {file}, or --save another file")
        } else {
            format!("{file} cannot be written: {error}")
        })
    })
}

fn load(path: &Path) -> Result<Loaded, Failure> {
    let (config, warnings) = Config::load(path).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Loaded {
        config,
        warnings: warnings.iter().map(ToString::to_string).collect(),
        trial: false,
    })
}

fn write_new(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(file)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new").join("vestibule.toml");
        write_new(&file, "first").unwrap();
        let error = write_new(&file, "second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "first");
    }
}
