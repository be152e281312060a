//! Finds and loads the configuration of a command.

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::runtime;

use super::output::{Failure, mention, print_line};
use super::standard_stream;
use crate::config::{
    Config, ConfigErrors, DEFAULT_PATH, Diagnostic, LoadedConfig, SYSTEM_PATH, StoreLocation, adopt_variables,
};
use crate::control::{ClientError, EnvironmentError, GatewayEnvironment, SocketClient};

/// The environment variable that names the configuration.
const VARIABLE: &str = "VESTIBULE_CONFIG";

/// The location of the configuration.
#[derive(Clone, Debug)]
pub(super) enum ConfigLocation {
    /// In a file.
    File(PathBuf),
    /// None: the demo configuration, in front of the demo or the application at this URL.
    Trial(Option<String>),
}

impl ConfigLocation {
    /// Returns what `--config` or `VESTIBULE_CONFIG` names; without them the first default file that exists,
    /// else the demo configuration.
    pub(super) fn at(path: Option<&Path>) -> Self {
        let variable = || env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let usual = || {
            [DEFAULT_PATH, SYSTEM_PATH]
                .map(PathBuf::from)
                .into_iter()
                .find(|file| is_there(file))
        };
        let named = path.map(Path::to_owned).or_else(|| variable().map(PathBuf::from));
        named.or_else(usual).map_or(Self::Trial(None), Self::File)
    }

    /// Like [`Self::at`], for a command about a gateway that has run before. Fails if there is neither a
    /// configuration nor a trace of the demo, since this is the wrong folder then, and reports where it
    /// looked.
    pub(super) fn of_a_gateway(path: Option<&Path>) -> Result<Self, Failure> {
        let chosen = Self::at(path);
        if matches!(chosen, Self::File(_)) {
            return Ok(chosen);
        }
        let trial = Config::default();
        let store = match trial.store.location() {
            Ok(StoreLocation::Sled(folder)) => folder,
            _ => PathBuf::new(),
        };
        if is_there(&store) || is_there(&trial.listen.admin_socket) {
            return Ok(chosen);
        }
        let here = |path: &Path| {
            std::path::absolute(path)
                .unwrap_or_else(|_| path.to_owned())
                .display()
                .to_string()
        };
        let looked = [
            "--config: not given".to_owned(),
            format!("{VARIABLE}: not set"),
            format!("{}: not there", here(Path::new(DEFAULT_PATH))),
            format!("{SYSTEM_PATH}: not there"),
            format!(
                "{}, the store of a gateway that was tried out here: not there",
                here(&store)
            ),
        ];
        Err(Failure::failed(
            "no configuration and no store is found here, so nothing is done: name the gateway's configuration with \
             --config FILE, or run this in the gateway's folder. Looked at:",
        )
        .with("looked_at", json!(looked)))
    }

    /// The folder of its relative paths.
    pub(super) fn base(&self) -> PathBuf {
        match self {
            Self::File(file) => Config::base_of(file),
            Self::Trial(_) => PathBuf::new(),
        }
    }

    /// Loads the configuration.
    pub(super) fn load(&self) -> Result<LoadedConfig, ConfigErrors> {
        match self {
            Self::File(file) => Config::load(file),
            Self::Trial(to) => Config::parse(&Config::trial_toml(to.as_deref()), "trial configuration"),
        }
    }

    /// Like [`Self::load`], for a command beside a running gateway: variables that this process lacks are
    /// taken from the gateway's environment, if the system allows it. Returns what came of that, if any were
    /// missing.
    pub(super) fn load_beside_gateway(&self) -> (Result<LoadedConfig, ConfigErrors>, Option<Adoption>) {
        let problems = match self.load() {
            Err(problems) if problems.elsewhere.is_some() => problems,
            loaded => return (loaded, None),
        };
        let missing = problems.errors.iter().filter_map(Diagnostic::missing_variable);
        let missing: BTreeSet<String> = missing.map(str::to_owned).collect();
        let missing: Vec<String> = missing.into_iter().collect();
        let client = problems.elsewhere.as_deref().map(SocketClient::of);
        let read = client.map(|client| environment_of(&client, &missing));
        match read {
            None | Some(Err(EnvironmentError::Client(ClientError::NotRunning(_)))) => (Err(problems), None),
            Some(Err(error)) => {
                let adoption = Adoption::Refused {
                    variables: missing,
                    error,
                };
                (Err(problems), Some(adoption))
            }
            Some(Ok(found)) => {
                let (variables, absent) = missing
                    .into_iter()
                    .partition(|name| found.variables.contains_key(name));
                adopt_variables(found.variables);
                let adoption = Adoption::Done {
                    process: found.process,
                    variables,
                    absent,
                };
                (self.load(), Some(adoption))
            }
        }
    }

    /// Like [`Self::load_beside_gateway`], with errors as a failure; mentions where variables came from.
    pub(super) fn read_beside_gateway(&self) -> Result<LoadedConfig, Failure> {
        let (loaded, adoption) = self.load_beside_gateway();
        if let Some(adoption) = adoption {
            mention(adoption);
        }
        self.or_failure(loaded)
    }

    /// Loads the configuration, with errors as a failure.
    pub(super) fn read(&self) -> Result<LoadedConfig, Failure> {
        self.or_failure(self.load())
    }

    fn or_failure(&self, loaded: Result<LoadedConfig, ConfigErrors>) -> Result<LoadedConfig, Failure> {
        let to = match self {
            Self::Trial(to) => to.as_deref(),
            Self::File(_) => None,
        };
        loaded.map_err(|problems| match to {
            Some(to) => Failure::failed(format!(
                "--to {to} names no server ({}): write a URL such as http://127.0.0.1:3000",
                sentences(&problems.errors, |problem| problem.message.clone()).join("; ")
            )),
            None => problems.into(),
        })
    }
}

/// What came of missing environment variables while a gateway runs.
#[derive(Debug)]
pub(super) enum Adoption {
    /// The gateway's environment was read.
    Done {
        /// The gateway's process.
        process: i32,
        /// Variables that were taken from it.
        variables: Vec<String>,
        /// Variables that it lacks too.
        absent: Vec<String>,
    },
    /// It could not be read.
    Refused {
        /// The missing variables.
        variables: Vec<String>,
        /// Why.
        error: EnvironmentError,
    },
}

impl fmt::Display for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done {
                process,
                variables,
                absent,
            } => {
                if !variables.is_empty() {
                    write!(
                        f,
                        "{} taken from the environment of the gateway that runs, process {process}: this shell has no such \
                         variable",
                        listed(variables)
                    )?;
                }
                if !variables.is_empty() && !absent.is_empty() {
                    f.write_str("; ")?;
                }
                if !absent.is_empty() {
                    write!(
                        f,
                        "{} neither in this shell nor in the environment of the gateway that runs, process {process}",
                        listed(absent)
                    )?;
                }
                Ok(())
            }
            Self::Refused { variables, error } => write!(
                f,
                "{} not in this shell, and the service may have it: {error}. Run this as the user that runs the \
                 gateway, as root, or with the service's environment",
                listed(variables)
            ),
        }
    }
}

/// Joins names, with their verb.
fn listed(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

fn environment_of(client: &SocketClient, names: &[String]) -> Result<GatewayEnvironment, EnvironmentError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    // On failure the command itself reports what is missing.
    let runtime = runtime.map_err(|_| EnvironmentError::NoProcess)?;
    runtime.block_on(client.environment(names))
}

/// Returns whether the path exists, readable or not, so that an unreadable file is not skipped.
fn is_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    })
}

/// Writes the demo configuration to a new file or standard output; never replaces a file.
pub(super) fn save(to: Option<&str>, file: &Path) -> Result<(), Failure> {
    if standard_stream::is_named_by(file) {
        return Ok(print_line(&Config::trial_toml(to))?);
    }
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

fn sentences(problems: &[Diagnostic], sentence: impl Fn(&Diagnostic) -> String) -> Vec<String> {
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
