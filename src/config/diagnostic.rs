//! Diagnostics: errors and warnings about a configuration file, with their position.

use std::fmt;

use serde::Serialize;

use super::secret_source::NO_VARIABLE;

/// An error or warning.
///
/// Neither message nor suggestion contains a value from the file, which may be a misplaced secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, as it was named to the program.
    pub file: String,
    /// The position; `None` if the file itself cannot be read.
    #[serde(flatten)]
    pub position: Option<TextPosition>,
    /// The path of the key, such as `route[1].host`, counting from 0; empty for syntax errors.
    pub key: String,
    /// The error or warning.
    pub message: String,
    /// How to fix it.
    pub suggestion: Option<String>,
}

/// A position in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TextPosition {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl TextPosition {
    /// Returns the position of a byte offset in a text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl Diagnostic {
    /// Whether it only says that this process lacks an environment variable, which another process may have.
    pub fn is_of_environment(&self) -> bool {
        self.missing_variable().is_some()
    }

    /// Returns the environment variable that is missing, if that is the error.
    pub fn missing_variable(&self) -> Option<&str> {
        let (_, name) = self.message.split_once(NO_VARIABLE)?;
        Some(name)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(TextPosition { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let text = "a\nüb = 1\n";
        assert_eq!(TextPosition::of(text, 0), TextPosition { line: 1, column: 1 });
        assert_eq!(
            TextPosition::of(text, text.find('b').unwrap()),
            TextPosition { line: 2, column: 2 }
        );
        assert_eq!(TextPosition::of(text, 999), TextPosition { line: 3, column: 1 });
    }
}
