//! Secrets of the configuration, which need not stand in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::private_file::require_private;
use crate::regular_file;
use crate::secret::Secret;

/// A secret: as text, or where to find it.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The secret itself.
    Text(Secret<String>),
    /// The file that holds it; a final line break and a byte order mark are dropped. Only its owner may read it.
    File {
        /// The file's path.
        file: PathBuf,
    },
    /// The environment variable that holds it.
    Env {
        /// The variable's name.
        env: String,
    },
}

/// How it is said that the environment has no variable.
pub(super) const NO_VARIABLE: &str = "the environment has no variable ";

/// Why a secret cannot be had. Never says anything of the secret itself.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {error}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others than the file's owner may read it.
    #[error("{path} is open to other users of this machine (mode {mode:04o}); run `chmod 600` on it", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The environment has no such variable, or it is not UTF-8.
    #[error("{NO_VARIABLE}{0}")]
    NoVariable(String),
    /// The file has nothing but white space in it.
    #[error("{path} is empty", path = .0.display())]
    EmptyFile(PathBuf),
    /// The variable has nothing but white space in it.
    #[error("the variable {0} is empty")]
    EmptyVariable(String),
}

/// Whether both say the same, not whether what they name holds the same.
impl PartialEq for SecretSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(another)) => one.matches(another.expose().as_bytes()),
            (Self::File { file: one }, Self::File { file: another }) => one == another,
            (Self::Env { env: one }, Self::Env { env: another }) => one == another,
            _ => false,
        }
    }
}

impl SecretSource {
    /// The secret, wherever it is. What a file or a variable holds is never empty: somebody meant a secret to be there.
    pub fn resolve(&self) -> Result<Secret<String>, SecretError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File { file } => read_private(file),
            Self::Env { env } => {
                let text = match std::env::var(env) {
                    Ok(text) => text,
                    Err(_) => adopted(env).ok_or_else(|| SecretError::NoVariable(env.clone()))?,
                };
                unless_empty(text).ok_or_else(|| SecretError::EmptyVariable(env.clone()))
            }
        }
    }
}

/// Variables that the environment of this process lacks and that of the gateway that runs has.
static ADOPTED: OnceLock<BTreeMap<String, Secret<String>>> = OnceLock::new();

/// Has [`SecretSource::resolve`] find these variables where the environment of this process lacks them. For a command
/// that an operator runs beside a gateway whose service alone has them; those of the first call stay.
pub fn adopt_variables(variables: BTreeMap<String, Secret<String>>) {
    ADOPTED.get_or_init(|| variables);
}

fn adopted(name: &str) -> Option<String> {
    Some(ADOPTED.get()?.get(name)?.expose().clone())
}

/// What editors put before a text to say that it is UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

fn unless_empty(text: String) -> Option<Secret<String>> {
    let text = Secret::new(text);
    let bare = text
        .expose()
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(text.expose());
    (!bare.trim().is_empty()).then(|| Secret::new(bare.to_owned()))
}

fn read_private(path: &Path) -> Result<Secret<String>, SecretError> {
    let unreadable = |error| SecretError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut file = regular_file::open(path).map_err(unreadable)?;
    require_private(path, &file)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    unless_empty(text).ok_or_else(|| SecretError::EmptyFile(path.to_owned()))
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> Cow<'static, str> {
        "SecretSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one_key = |key: &str, description: &str| {
            json_schema!({
                "type": "object",
                "properties": { key: { "type": "string", "description": description } },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "A secret: as text, or where to find it.",
            "anyOf": [
                { "type": "string" },
                one_key("file", "The file that holds it; a final line break and a byte order mark are dropped. Only its owner may read it."),
                one_key("env", "The environment variable that holds it."),
            ],
        })
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, `{ file = \"…\" }` or `{ env = \"…\" }`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretSource, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<SecretSource, E> {
        Ok(SecretSource::Text(Secret::new(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        const ONE: &str = "a secret has one of `file` and `env`";
        let source = match map.next_key::<SourceKey>()? {
            Some(SourceKey::File) => SecretSource::File {
                file: map.next_value()?,
            },
            Some(SourceKey::Env) => SecretSource::Env {
                env: map.next_value()?,
            },
            None => return Err(A::Error::custom(ONE)),
        };
        match map.next_key::<SourceKey>()? {
            Some(_) => Err(A::Error::custom(ONE)),
            None => Ok(source),
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum SourceKey {
    File,
    Env,
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file_with(content: &str, mode: u32) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        (folder, SecretSource::File { file })
    }

    #[test]
    fn one_final_line_break_is_dropped() {
        for (content, secret) in [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s\n\n", "s\n"),
            ("\u{feff}s3cret\n", "s3cret"),
        ] {
            let (_folder, source) = file_with(content, 0o600);
            assert_eq!(source.resolve().unwrap().expose(), secret);
        }
    }

    #[test]
    fn what_is_empty_is_no_secret() {
        for content in ["", "\n", "\r\n", " \t\n", "\u{feff}", "\u{feff}\n"] {
            let (_folder, source) = file_with(content, 0o600);
            let error = source.resolve().unwrap_err();
            assert!(matches!(error, SecretError::EmptyFile(_)), "{content:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for mode in [0o660, 0o604, 0o644, 0o620] {
            let (_folder, source) = file_with("s3cret", mode);
            let error = source.resolve().unwrap_err();
            assert!(matches!(error, SecretError::Exposed { mode: found, .. } if found == mode));
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn a_file_that_its_group_may_read_serves() {
        let (_folder, source) = file_with("s3cret", 0o440);
        assert_eq!(source.resolve().unwrap().expose(), "s3cret");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let missing = SecretSource::File {
            file: "/nonexistent/secret".into(),
        };
        assert!(matches!(missing.resolve(), Err(SecretError::Unreadable { .. })));
        let unset = SecretSource::Env {
            env: "VESTIBULE_TEST_UNSET".to_owned(),
        };
        assert!(matches!(unset.resolve(), Err(SecretError::NoVariable(_))));
        let path = SecretSource::Env {
            env: "PATH".to_owned(),
        };
        assert_eq!(*path.resolve().unwrap().expose(), std::env::var("PATH").unwrap());
    }
}
