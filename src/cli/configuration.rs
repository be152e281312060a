//! Which configuration a command works with.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::answer::Failure;
use crate::config::{Config, ConfigErrors, DEFAULT_PATH, Loaded, Problem};

/// Where the configuration is.
#[derive(Clone, Debug)]
pub(super) enum Chosen {
    /// In a file.
    File(PathBuf),
    /// Nowhere: the one for trying out, before the demo or the application at this URL.
    Trial(Option<String>),
}

impl Chosen {
    /// What `--config` names; without it the usual file if it is there, else the configuration for trying out.
    pub(super) fn at(path: Option<&Path>) -> Self {
        let usual = Path::new(DEFAULT_PATH);
        match path.or_else(|| usual.exists().then_some(usual)) {
            Some(file) => Self::File(file.to_owned()),
            None => Self::Trial(None),
        }
    }

    /// Reads it, now or again.
    pub(super) fn load(&self) -> Result<Loaded, ConfigErrors> {
        match self {
            Self::File(file) => Config::load(file),
            Self::Trial(to) => Config::parse(&Config::trial_toml(to.as_deref()), "trial configuration"),
        }
    }

    /// The same, with what is wrong as the command's failure.
    pub(super) fn read(&self) -> Result<Loaded, Failure> {
        let to = match self {
            Self::Trial(to) => to.as_deref(),
            Self::File(_) => None,
        };
        self.load().map_err(|problems| match to {
            Some(to) => Failure::failed(format!(
                "--to {to} names no server ({}): write a URL such as http://127.0.0.1:3000",
                sentences(&problems.errors, |problem| problem.message.clone()).join("; ")
            )),
            None => problems.into(),
        })
    }
}

/// Writes down the configuration for trying out. A file that is there stays as it is.
pub(super) fn save(to: Option<&str>, file: &Path) -> Result<(), Failure> {
    write_new(file, &Config::trial_toml(to)).map_err(|error| {
        let file = file.display();
        Failure::failed(if error.kind() == io::ErrorKind::AlreadyExists {
            format!("{file} exists and stays as it is: run it with --config {file}, or --save another file")
        } else {
            format!("{file} cannot be written: {error}")
        })
    })
}

impl From<ConfigErrors> for Failure {
    fn from(problems: ConfigErrors) -> Self {
        let errors = sentences(&problems.errors, ToString::to_string);
        Self::failed("the configuration cannot be run").with("errors", json!(errors))
    }
}

fn sentences(problems: &[Problem], sentence: impl Fn(&Problem) -> String) -> Vec<String> {
    problems.iter().map(sentence).collect()
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
