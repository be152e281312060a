//! What people may be called.

use crate::model::{is_blank, turns_text};

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 100;

/// Why it is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has at most {LONGEST_NAME} characters that can be seen, on one line, and none that turns the direction of text"
)]
pub struct DisplayNameError;

/// A name as it was typed, without blanks around it: none if nothing is left.
pub(super) fn account_name(typed: &str) -> Result<Option<String>, DisplayNameError> {
    let name = typed.trim();
    let is_hidden = !name.is_empty() && is_blank(name);
    if is_hidden
        || name.chars().count() > LONGEST_NAME
        || name.chars().any(|c| c.is_control() || turns_text(c))
    {
        return Err(DisplayNameError);
    }
    Ok(Some(name.to_owned()).filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_reads_as_it_is() {
        assert_eq!(account_name("  김미나 "), Ok(Some("김미나".to_owned())));
        assert_eq!(account_name("שרה לוי"), Ok(Some("שרה לוי".to_owned())));
        assert_eq!(account_name(" \t"), Ok(None));
        assert!(account_name(&"한".repeat(LONGEST_NAME)).is_ok());
        for name in [
            "a\nb",
            "a\u{7}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{2028}b",
            "\u{200b}",
            " \u{feff}\u{200b} ",
            "\u{3164}",
            &"x".repeat(LONGEST_NAME + 1),
        ] {
            assert_eq!(account_name(name), Err(DisplayNameError), "{name:?}");
        }
    }
}
