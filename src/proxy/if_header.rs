//! Finds the resource tags in the `If` header of WebDAV (RFC 4918, section 10.4).

use std::ops::Range;

/// Returns the ranges of the resource tags in an `If` value, without their angle brackets. `None` if the
/// value does not match the grammar: lenient readers could find other resources in it.
pub(super) fn resource_tags(value: &str) -> Option<Vec<Range<usize>>> {
    let bytes = value.as_bytes();
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b' ' | b'\t' => at + 1,
            b'(' => list_end(bytes, at + 1)?,
            b'<' => {
                let end = angle_end(bytes, at + 1)?;
                tags.push(at + 1..end - 1);
                end
            }
            _ => return None,
        };
    }
    Some(tags)
}

/// Returns the index after the `)` of the list whose content begins at `at`.
fn list_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = match *bytes.get(at)? {
            b')' => return Some(at + 1),
            b' ' | b'\t' => at + 1,
            b'<' => angle_end(bytes, at + 1)?,
            b'[' => entity_tag_end(bytes, at + 1)?,
            _ if bytes.get(at..at + 3)?.eq_ignore_ascii_case(b"not") => at + 3,
            _ => return None,
        };
    }
}

/// Returns the index after the `>` of the URL that begins at `at`; it must not contain brackets, quotes or
/// blanks.
fn angle_end(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes[at..].iter().position(|&byte| byte == b'>')?;
    let is_url = bytes[at..at + length]
        .iter()
        .all(|&byte| byte > b' ' && !matches!(byte, b'<' | b'"' | 0x7f));
    (length > 0 && is_url).then_some(at + length + 1)
}

/// Returns the index after the `]` of the entity tag that begins at `at`. Refuses brackets and parentheses
/// within its quotes, because some readers end the tag there.
fn entity_tag_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let opaque = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"")?;
    let length = opaque.iter().position(|&byte| byte == b'"')?;
    let is_plain = opaque[..length]
        .iter()
        .all(|&byte| byte > b' ' && !matches!(byte, b'<' | b'>' | b'(' | b')' | b'[' | b']'));
    let end = bytes.len() - opaque.len() + length + 1;
    (is_plain && bytes.get(end) == Some(&b']')).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(value: &str) -> Option<Vec<&str>> {
        let tags = resource_tags(value)?;
        Some(tags.into_iter().map(|place| &value[place]).collect())
    }

    #[test]
    fn tags_stand_before_lists_and_tokens_in_them() {
        for (value, found) in [
            ("(<urn:uuid:181d4fae>)", [].as_slice()),
            ("(Not <DAV:no-lock> [\"a;b,c\"]) ([W/\"x\"])", &[]),
            ("(<urn:a>NOT[\"x\"])", &[]),
            ("</a/b(1)> (<urn:a>)", &["/a/b(1)"]),
            (
                "<https://h/a> (<urn:a>) (Not <urn:b>)<https://h/b>([\"e\"])",
                &["https://h/a", "https://h/b"],
            ),
        ] {
            assert_eq!(tags(value).as_deref(), Some(found), "{value}");
        }
    }

    #[test]
    fn what_readers_could_cut_differently_is_none() {
        for value in [
            "urn:a",
            "(<urn:a>",
            "<https://h/a",
            "<>",
            "<a b>",
            "<a<b>",
            "(<urn:a> or <urn:b>)",
            "([\"a)] <https://h/b> ([b\"])",
            "([\"a\" ])",
            "([a])",
            "(((<urn:a>)))",
            "(<urn:a>), (<urn:b>)",
        ] {
            assert_eq!(tags(value), None, "{value}");
        }
    }
}
