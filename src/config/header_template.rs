//! Templates of header values, with placeholders for user and request.

use std::str::FromStr;

use http::HeaderValue;

use super::suggestion::did_you_mean;
use super::{SecretError, SecretSource};
use crate::secret::Secret;

/// The template of a header value.
///
/// `{{` and `}}` stand for single braces. `Debug` shows no text, because it may be a secret.
#[derive(Clone, Debug)]
pub struct HeaderTemplate {
    pieces: Vec<TemplatePiece>,
}

/// A piece of a [`HeaderTemplate`].
#[derive(Clone, Debug)]
pub enum TemplatePiece {
    /// Literal text.
    Text(Secret<String>),
    /// A placeholder, and how its value is written.
    Placeholder(Placeholder, HeaderEncoding),
}

/// A property of the user or the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// `{id}`: the account id.
    Id,
    /// `{username}`
    Username,
    /// `{email}`
    Email,
    /// `{name}`: the display name, or the username without one.
    Name,
    /// `{groups}`: separated by commas.
    Groups,
    /// `{session}`: the public id of the session.
    Session,
    /// `{method}`: the sign-in method.
    Method,
    /// `{host}`: host and port of the request.
    Host,
    /// `{public_url}`: as configured, without a trailing slash.
    PublicUrl,
}

/// How a placeholder's value is written into a header, as which RFC 9110 (section 5.5) knows ASCII alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderEncoding {
    /// UTF-8, as it is.
    Utf8,
    /// `{name:ascii}`: without accents, and with `?` for every other character outside ASCII; the username if no letter
    /// or digit is left. Only of a display name: two accounts may have one, so nothing is decided by it.
    Ascii,
    /// `{name:percent}`, `{email:percent}`, `{groups:percent}`: all but the unreserved characters of RFC 3986 as the
    /// percent-encoded bytes of UTF-8; the commas between groups stay.
    Percent,
}

/// Why a template is invalid. Never contains its text.
#[derive(Debug, thiserror::Error)]
pub enum HeaderTemplateError {
    /// An unknown placeholder.
    #[error(
        "an unknown placeholder; known are {{id}} {{username}} {{email}} {{name}} {{groups}} {{session}} {{method}} {{host}} {{public_url}}"
    )]
    Unknown {
        /// "did you mean …?", if one is similar.
        suggestion: Option<String>,
    },
    /// An unknown encoding, or one that the placeholder does not have.
    #[error(
        "an unknown encoding; known are {{name:ascii}} {{name:percent}} {{email:percent}} {{groups:percent}}"
    )]
    Encoding,
    /// `{` without `}`, or the reverse.
    #[error("a brace without its other half; `{{{{` and `}}}}` stand for the braces themselves")]
    Unbalanced,
    /// Line breaks or control characters.
    #[error("not a header's value: it has control characters")]
    NotAValue,
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl HeaderTemplate {
    /// Creates a template from a configured source. Only literal text may have placeholders; a file or an
    /// environment variable is a secret and used as it is.
    pub fn from_source(source: &SecretSource) -> Result<Self, HeaderTemplateError> {
        match source {
            SecretSource::Text(text) => text.expose().parse(),
            SecretSource::File { .. } | SecretSource::Env { .. } => {
                let secret = source.resolve()?;
                require_value(secret.expose())?;
                Ok(Self {
                    pieces: vec![TemplatePiece::Text(secret)],
                })
            }
        }
    }

    /// Returns the pieces in order; no two texts are adjacent.
    pub fn pieces(&self) -> &[TemplatePiece] {
        &self.pieces
    }

    /// Whether it contains this placeholder.
    pub fn tells(&self, placeholder: Placeholder) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, TemplatePiece::Placeholder(found, _) if *found == placeholder))
    }
}

impl FromStr for HeaderTemplate {
    type Err = HeaderTemplateError;

    fn from_str(text: &str) -> Result<Self, HeaderTemplateError> {
        require_value(text)?;
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            plain.push_str(&rest[..brace]);
            let (opening, after) = rest[brace..].split_at(1);
            if let Some(after) = after.strip_prefix(opening) {
                plain.push_str(opening);
                rest = after;
                continue;
            }
            if opening == "}" {
                return Err(HeaderTemplateError::Unbalanced);
            }
            let (name, after) = after.split_once('}').ok_or(HeaderTemplateError::Unbalanced)?;
            let (name, encoding) = match name.split_once(':') {
                Some((name, encoding)) => (name, Some(encoding)),
                None => (name, None),
            };
            let placeholder = Placeholder::named(name).ok_or_else(|| HeaderTemplateError::Unknown {
                suggestion: did_you_mean(name, Placeholder::ALL.iter().map(|(name, _)| *name)),
            })?;
            let encoding = match encoding {
                None => HeaderEncoding::Utf8,
                Some(encoding) => placeholder
                    .encoding_named(encoding)
                    .ok_or(HeaderTemplateError::Encoding)?,
            };
            if !plain.is_empty() {
                pieces.push(TemplatePiece::Text(Secret::new(std::mem::take(&mut plain))));
            }
            pieces.push(TemplatePiece::Placeholder(placeholder, encoding));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(TemplatePiece::Text(Secret::new(plain)));
        }
        Ok(Self { pieces })
    }
}

impl Placeholder {
    const ALL: [(&str, Self); 9] = [
        ("id", Self::Id),
        ("username", Self::Username),
        ("email", Self::Email),
        ("name", Self::Name),
        ("groups", Self::Groups),
        ("session", Self::Session),
        ("method", Self::Method),
        ("host", Self::Host),
        ("public_url", Self::PublicUrl),
    ];

    /// Whether it describes the user. Headers with only such placeholders are not sent on anonymous requests.
    pub fn is_of_a_person(self) -> bool {
        !matches!(self, Self::Host | Self::PublicUrl)
    }

    /// Addresses and groups have no `ascii`: applications decide by them, and without its accent one may be another.
    fn encoding_named(self, name: &str) -> Option<HeaderEncoding> {
        match (name, self) {
            ("ascii", Self::Name) => Some(HeaderEncoding::Ascii),
            ("percent", Self::Name | Self::Email | Self::Groups) => Some(HeaderEncoding::Percent),
            _ => None,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, placeholder)| *placeholder)
    }
}

fn require_value(text: &str) -> Result<(), HeaderTemplateError> {
    HeaderValue::from_bytes(text.as_bytes())
        .map(drop)
        .map_err(|_| HeaderTemplateError::NotAValue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, HeaderTemplateError> {
        let template: HeaderTemplate = text.parse()?;
        Ok(template
            .pieces()
            .iter()
            .map(|piece| match piece {
                TemplatePiece::Text(text) => format!("[{}]", text.expose()),
                TemplatePiece::Placeholder(placeholder, HeaderEncoding::Utf8) => {
                    format!("<{placeholder:?}>")
                }
                TemplatePiece::Placeholder(placeholder, encoding) => {
                    format!("<{placeholder:?} {encoding:?}>")
                }
            })
            .collect())
    }

    #[test]
    fn pieces_are_found() {
        assert_eq!(shown("").unwrap(), "");
        assert_eq!(shown("{username}").unwrap(), "<Username>");
        assert_eq!(shown("u={id}; {groups}!").unwrap(), "[u=]<Id>[; ]<Groups>[!]");
        assert_eq!(shown("{{id}} {name}").unwrap(), "[{id} ]<Name>");
        assert_eq!(shown("홍 {name}").unwrap(), "[홍 ]<Name>");
        assert_eq!(
            shown("{name:ascii}{name:percent}{email:percent} {groups:percent}").unwrap(),
            "<Name Ascii><Name Percent><Email Percent>[ ]<Groups Percent>"
        );
    }

    #[test]
    fn what_cannot_be_one_is_refused() {
        for text in ["{", "}", "{id", "id}", "a{{{id}}", "{id}}"] {
            assert!(
                matches!(shown(text), Err(HeaderTemplateError::Unbalanced)),
                "{text}"
            );
        }
        for text in ["{}", "{ID}", "{ id }", "{{{x}"] {
            assert!(
                matches!(shown(text), Err(HeaderTemplateError::Unknown { .. })),
                "{text}"
            );
        }
        for text in [
            "{name:}",
            "{name:ASCII}",
            "{name:ascii:percent}",
            "{email:ascii}",
            "{groups:ascii}",
            "{username:percent}",
            "{host:percent}",
        ] {
            assert!(
                matches!(shown(text), Err(HeaderTemplateError::Encoding)),
                "{text}"
            );
        }
        assert!(matches!(shown("a\r\nb"), Err(HeaderTemplateError::NotAValue)));
        let Err(HeaderTemplateError::Unknown { suggestion }) = shown("{usrname}") else {
            panic!("an unknown placeholder");
        };
        assert_eq!(suggestion.unwrap(), "did you mean `username`?");
    }

    #[test]
    fn what_is_not_in_the_file_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "a{b\n").unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let template = HeaderTemplate::from_source(&SecretSource::File { file }).unwrap();
        assert!(matches!(template.pieces(), [TemplatePiece::Text(text)] if text.expose() == "a{b"));
        assert!(!format!("{template:?}").contains("a{b"));
    }
}
