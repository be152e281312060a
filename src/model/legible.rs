//! Legibility of text that users chose: finds and escapes characters that are invisible or reorder text.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns whether a character is invisible or changes how others are shown: default ignorable (UAX #44,
/// section 5.7), a bidirectional control (UAX #9, section 2), or a line or paragraph separator.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns whether a text shows nothing at all.
pub fn is_blank(text: &str) -> bool {
    // The Braille pattern without a dot is a letter to Unicode.
    text.chars()
        .all(|c| c.is_whitespace() || is_invisible(c) || c == '\u{2800}')
}

/// Returns whether a character reorders the text after it or breaks the line, so that one name could pass for
/// another: embeddings, overrides and isolates (UAX #9, section 2), and line and paragraph separators.
pub fn turns_text(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes each invisible character, as `\u{200b}`.
pub fn legible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    escape(text, is_invisible)
}

/// Text for a terminal: [`legible`], with control characters escaped too, which a terminal would obey. Line breaks and
/// tabs stay, those of CSV too (RFC 4180, section 2).
pub fn terminal_text(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") {
        let lines: Vec<_> = text.split("\r\n").map(terminal_text).collect();
        return Cow::Owned(lines.join("\r\n"));
    }
    escape(text, |c| {
        is_invisible(c) || c.is_control() && !matches!(c, '\n' | '\t')
    })
}

/// JSON for a terminal: characters that it would obey or not show, which stand in strings alone, are written as `\u202e`
/// (RFC 8259, section 7). Line breaks between tokens stay.
pub fn terminal_json(json: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| is_invisible(c) || c.is_control() && c != '\n';
    if !json.contains(is_escaped) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if is_escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_escaped(c) {
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_shown_and_what_is_seen_stays() {
        for text in ["ann@example.com", "김미나", "שרה לוי", "a\u{301}\u{1f600}", ""] {
            assert_eq!(legible(text), text);
        }
        for (text, shown) in [
            ("ann\u{202e}moc", "ann\\u{202e}moc"),
            ("\u{feff}ann\u{200b}", "\\u{feff}ann\\u{200b}"),
            ("a\u{2066}b\u{2069}", "a\\u{2066}b\\u{2069}"),
            ("a\u{2028}b", "a\\u{2028}b"),
            ("\u{e0061}", "\\u{e0061}"),
        ] {
            assert_eq!(legible(text), shown);
        }
    }

    #[test]
    fn a_terminal_obeys_nothing_in_a_text() {
        assert_eq!(
            terminal_text("a\tb\n\u{1b}[2J\u{9b}1m\r\u{7f}"),
            "a\tb\n\\u{1b}[2J\\u{9b}1m\\u{d}\\u{7f}"
        );
        assert_eq!(terminal_text("ann\u{202e}moc"), "ann\\u{202e}moc");
        assert_eq!(terminal_text("김미나"), "김미나");
        assert_eq!(terminal_text("a,\rb\r\nc\r\n"), "a,\\u{d}b\r\nc\r\n");
        let text = "\u{1b}\u{9b}\u{7f}\u{202e}\u{e0061}김\n";
        let json = serde_json::to_string(text).unwrap();
        assert!(terminal_json(&json).contains("\\u009b\\u007f\\u202e\\udb40\\udc61김"));
        let read: String = serde_json::from_str(&terminal_json(&json)).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn a_text_of_which_nothing_is_seen_is_blank() {
        for text in [
            "",
            " ",
            "\u{200b}",
            "\u{feff}",
            "\u{3164} \u{2800}",
            "\u{ad}\u{fe0f}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["a", "\u{200b}a", "한", "❤\u{fe0f}"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
