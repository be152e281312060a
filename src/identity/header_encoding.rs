//! Encodings of header values for applications that do not read UTF-8 there.

use bytes::{BufMut as _, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Writes a text without its accents, and one `?` for each other character outside ASCII.
pub(super) fn put_ascii(text: &str, buffer: &mut BytesMut) {
    for character in text.chars() {
        if character.is_ascii() {
            put_char(character, buffer);
            continue;
        }
        if is_combining_mark(character) {
            continue;
        }
        let before = buffer.len();
        let mut is_letter_with_accents = true;
        decompose_compatible(character, |part| {
            if part.is_ascii_alphanumeric() {
                put_char(part, buffer);
            } else {
                is_letter_with_accents &= is_combining_mark(part);
            }
        });
        if !is_letter_with_accents {
            buffer.truncate(before);
            buffer.put_u8(b'?');
        }
    }
}

/// Writes a text as the percent-encoded bytes of its UTF-8.
pub(super) fn put_percent(text: &[u8], buffer: &mut BytesMut) {
    for piece in percent_encode(text, RESERVED) {
        buffer.put_slice(piece.as_bytes());
    }
}

/// Writes a character that is ASCII.
fn put_char(character: char, buffer: &mut BytesMut) {
    buffer.put_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_lose_their_accents_and_other_characters_become_question_marks() {
        for (name, ascii) in [
            ("Mina Park", "Mina Park"),
            ("Ånn Müller", "Ann Muller"),
            // The accent as a character of its own.
            ("A\u{30a}nn", "Ann"),
            ("안나 Kim", "?? Kim"),
            ("Søren", "S?ren"),
            ("\u{ff21}\u{ff22}", "AB"),
            // What looks like a sign that an application may split at is none of it.
            ("a\u{ff0c}root", "a?root"),
            ("a\u{37e}b", "a?b"),
            ("\u{bd} x", "? x"),
            ("a,b", "a,b"),
        ] {
            let mut buffer = BytesMut::new();
            put_ascii(name, &mut buffer);
            assert_eq!(buffer, ascii, "{name}");
        }
    }

    #[test]
    fn percent_encoding_leaves_the_unreserved_characters_alone() {
        let mut buffer = BytesMut::new();
        put_percent("aZ0-._~ 안,+%@\"".as_bytes(), &mut buffer);
        assert_eq!(buffer, "aZ0-._~%20%EC%95%88%2C%2B%25%40%22");
    }
}
