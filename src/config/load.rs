//! Loads a configuration, or reports everything that is wrong with it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::check;
use super::diagnostic::{Diagnostic, TextPosition};
use super::paths::is_handed_over;
use super::suggestion::{did_you_mean, write_https};
use super::toml_document::{KeyPath, PathStep, Prefer, TomlDocument};
use super::{Config, ConfigLine, Reserved};
use crate::regular_file;

/// The largest configuration, in bytes: a pipe or a device may never end.
const MAX_SIZE: usize = 16 << 20;

/// The default path of the configuration file.
pub const DEFAULT_PATH: &str = "config/vestibule.toml";

/// The path that is tried after [`DEFAULT_PATH`].
pub const SYSTEM_PATH: &str = "/etc/vestibule/vestibule.toml";

/// A valid configuration.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// Warnings, in the order of the file.
    pub warnings: Vec<Diagnostic>,
    /// Warnings that its operator accepts (`checks.accept`).
    pub accepted: Vec<Diagnostic>,
}

/// Why a configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors {
    /// All errors, in the order of the file; never empty.
    pub errors: Vec<Diagnostic>,
    /// Warnings, as far as they could be determined.
    pub warnings: Vec<Diagnostic>,
    /// The configuration, if the only errors are environment variables that this process lacks.
    pub elsewhere: Option<Box<Config>>,
    /// What can be read of it, to find the gateway that was started with an earlier version. Never to be run.
    pub readable: Option<Box<Config>>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.errors.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Loads a file. Relative paths in it are resolved against [`base_of`](Self::base_of) the file.
    pub fn load(path: &Path) -> Result<LoadedConfig, ConfigErrors> {
        let file = path.display().to_string();
        let whole = |position, message| ConfigErrors {
            errors: vec![Diagnostic {
                file: file.clone(),
                position,
                key: String::new(),
                message,
                suggestion: None,
            }],
            warnings: Vec::new(),
            elsewhere: None,
            readable: None,
        };
        let bytes = read_file(path).map_err(|error| whole(None, format!("cannot be read: {error}")))?;
        let text = str::from_utf8(&bytes).map_err(|error| {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let position = TextPosition::of(&String::from_utf8_lossy(valid), valid.len());
            whole(Some(position), "not UTF-8".to_owned())
        })?;
        Self::parse_in(text, &file, &Self::base_of(path))
    }

    /// Parses the text of a file named `file`. Relative paths are resolved against the working directory.
    pub fn parse(text: &str, file: &str) -> Result<LoadedConfig, ConfigErrors> {
        Self::parse_in(text, file, Path::new(""))
    }

    fn parse_in(text: &str, file: &str, base: &Path) -> Result<LoadedConfig, ConfigErrors> {
        let mut document = TomlDocument::parse(text).map_err(|errors| ConfigErrors {
            errors: errors
                .into_iter()
                .map(|(position, message)| Diagnostic {
                    file: file.to_owned(),
                    position: Some(position),
                    key: String::new(),
                    message,
                    suggestion: None,
                })
                .collect(),
            warnings: Vec::new(),
            elsewhere: None,
            readable: Some(Box::new(Self::readable(text, base))),
        })?;
        let mut shape = Vec::new();
        let mut config = read(&mut document, &mut shape);
        config.resolve_paths(base);
        for (index, route) in config.route.iter_mut().enumerate() {
            let path = document.as_written(&KeyPath::from("route").index(index));
            route.line = ConfigLine(Some(document.position(&path).line));
        }
        let (mut errors, mut warnings) = check::validate(&config, &document, &shape, file);
        errors.extend(shape.into_iter().map(|fault| fault.into_problem(file)));
        errors.sort_by_key(|problem| problem.position);
        warnings.sort_by_key(|problem| problem.position);
        let (warnings, accepted) = config.checks.part(warnings);
        if errors.is_empty() {
            Ok(LoadedConfig {
                config,
                warnings,
                accepted,
            })
        } else {
            let lacks_variables = errors.iter().all(Diagnostic::is_of_environment);
            Err(ConfigErrors {
                errors,
                warnings,
                elsewhere: lacks_variables.then(|| Box::new(config.clone())),
                readable: Some(Box::new(config)),
            })
        }
    }

    /// What can be read of a text whose grammar is broken.
    fn readable(text: &str, base: &Path) -> Self {
        let mut config = read(&mut TomlDocument::parse_readable(text), &mut Vec::new());
        config.resolve_paths(base);
        config
    }
}

impl Diagnostic {
    /// Creates a diagnostic for an error that a later stage found with a key, such as
    /// `tls.certificates[0].key`.
    pub fn found_later(file: &Path, key: &str, message: String) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let document = TomlDocument::parse(&text).ok();
        Self {
            file: file.display().to_string(),
            position: document.map(|document| document.position(&KeyPath::parse(key))),
            key: key.to_owned(),
            message,
            suggestion: None,
        }
    }
}

/// An unknown key, or one with a value of the wrong type.
pub(super) struct KeyError {
    /// The path in the file.
    pub(super) path: KeyPath,
    position: TextPosition,
    message: String,
    suggestion: Option<String>,
}

impl KeyError {
    fn into_problem(self, file: &str) -> Diagnostic {
        Diagnostic {
            file: file.to_owned(),
            position: Some(self.position),
            key: self.path.to_string(),
            message: self.message,
            suggestion: self.suggestion,
        }
    }
}

/// Reads the file. Only a shell hands over what is no regular file: `/dev/stdin`, `<(…)`.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = if is_handed_over(path) {
        File::open(path)?
    } else {
        regular_file::open(path)?
    };
    let mut content = Vec::new();
    file.take(MAX_SIZE as u64 + 1).read_to_end(&mut content)?;
    if content.len() > MAX_SIZE {
        let message = format!("it is larger than {} MiB", MAX_SIZE >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

/// Reads, and reads again without the arrays that serde took for tables: for the fields of a struct in their order,
/// which nobody means.
fn read(document: &mut TomlDocument<'_>, faults: &mut Vec<KeyError>) -> Config {
    loop {
        let config = read_leniently(document, faults);
        let Some(at) = document.array_where(&stands_for_a_table) else {
            return config;
        };
        let path = document.as_written(&at);
        faults.retain(|fault| !fault.path.touches(&path));
        faults.push(KeyError {
            position: document.position(&path),
            path,
            message: "expected a table, found an array".to_owned(),
            suggestion: None,
        });
        document.remove(&at);
    }
}

/// Whether an array at this path is in place of a table.
fn stands_for_a_table(path: &KeyPath) -> bool {
    match path.steps() {
        [PathStep::Key(section)] => section != "route" && section != "public_url",
        [PathStep::Key(section), PathStep::Key(_)] => section == "upstream",
        [.., PathStep::Index(_)] => true,
        _ => false,
    }
}

/// Reads the document repeatedly, each time without the value that failed, until it succeeds.
///
/// Terminates, because every round removes a value.
fn read_leniently(document: &mut TomlDocument<'_>, faults: &mut Vec<KeyError>) -> Config {
    loop {
        let error = match document.read::<Config>() {
            Ok(config) => return config,
            Err(error) => error,
        };
        let message = error.message();
        let missing = quoted_after(message, "missing field `");
        let prefer = if missing.is_some() {
            Prefer::Innermost
        } else {
            Prefer::Outermost
        };
        let Some(at) = error.span().and_then(|span| document.at(&span, prefer)) else {
            faults.push(KeyError {
                path: KeyPath::default(),
                position: TextPosition { line: 1, column: 1 },
                message: "cannot be read".to_owned(),
                suggestion: None,
            });
            return Config::default();
        };
        let written = document.as_written(&at);
        let path = missing.map_or_else(|| written.clone(), |field| written.key(field));
        if !faults.iter().any(|fault| fault.path.touches(&path)) {
            faults.push(explain(document, path, message));
        }
        document.remove(&at);
    }
}

/// Rephrases serde's message for operators, without the value that it contains.
fn explain(document: &TomlDocument<'_>, path: KeyPath, message: &str) -> KeyError {
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    let name = path.name().unwrap_or_default().to_owned();
    let mut position = document.position(&path);
    let (message, suggestion) = if message.starts_with("missing field") {
        ("is missing".to_owned(), None)
    } else if message == Reserved::MESSAGE {
        position = document.position_of_key(&path);
        (message.to_owned(), None)
    } else if message.starts_with("unknown field") {
        position = document.position_of_key(&path);
        let known = quoted(expected.unwrap_or_default());
        let suggestion = did_you_mean(&name, known.iter().copied())
            .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
        ("unknown key".to_owned(), Some(suggestion))
    } else if let Some(variant) = quoted_after(message, "unknown variant `") {
        let known = quoted(expected.unwrap_or_default());
        let list: Vec<_> = known.iter().map(|name| format!("\"{name}\"")).collect();
        (
            format!("not one of {}", list.join(", ")),
            did_you_mean(variant, known.iter().copied()),
        )
    } else if message.starts_with("invalid type")
        || message.starts_with("wanted")
        || message.starts_with("expected")
    {
        let found = document.kind(&path).unwrap_or("something else");
        let expected = if found == "an array" && stands_for_a_table(&path) {
            "a table"
        } else {
            in_words(expected.unwrap_or("another value"))
        };
        let suggestion =
            (name == "route" && found == "a table").then(|| "every route begins with `[[route]]`".to_owned());
        (format!("expected {expected}, found {found}"), suggestion)
    } else if message.starts_with("invalid value") && document.kind(&path) == Some("a whole number") {
        ("a number that is too large or too small".to_owned(), None)
    } else if message.starts_with("invalid value") {
        (format!("not valid: {}", expected.unwrap_or_default()), None)
    } else if name == "public_url" && message.starts_with("relative URL without a base") {
        let suggestion = document.string(&path).and_then(write_https);
        (check::NOT_AN_ADDRESS.to_owned(), suggestion)
    } else {
        let example = match message {
            "invalid socket address syntax" => {
                Some("write an address and a port, such as \"127.0.0.1:8443\"")
            }
            "invalid IP address syntax" => Some("write a network, such as \"10.0.0.0/8\""),
            _ => None,
        };
        // Some messages end with the value in quotation marks.
        let message = message.split(": \"").next().unwrap_or_default();
        (message.to_owned(), example.map(str::to_owned))
    };
    KeyError {
        path,
        position,
        message,
        suggestion,
    }
}

fn in_words(expected: &str) -> &str {
    match expected {
        "a sequence" | "sequence" => "an array",
        "a map" | "map" => "a table",
        "u16" | "u32" | "u64" | "usize" => "a whole number",
        "a boolean" => "true or false",
        "string or table" => "a string or a table",
        "socket address" | "path string" => "a string",
        expected if expected.starts_with("struct ") => "a table",
        expected => expected,
    }
}

fn quoted_after<'m>(message: &'m str, beginning: &str) -> Option<&'m str> {
    message.strip_prefix(beginning)?.split('`').next()
}

/// Returns the words in backticks.
fn quoted(list: &str) -> Vec<&str> {
    list.split('`').skip(1).step_by(2).collect()
}
