//! Paths that are refused regardless of the routes (S43).

/// Why a path is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not a path: `*`, or empty.
    #[error("the request's target has no path")]
    NotAPath,
    /// A `.` or `..` segment, in any encoding, also with parameters or blanks after its dots.
    #[error("the path has a dot segment")]
    DotSegment,
    /// `\` or `%5c`, which some servers take for `/`.
    #[error("the path has a backslash")]
    Backslash,
    /// `%00`, which ends the path for some servers.
    #[error("the path has a NUL")]
    Nul,
    /// A control character, which servers drop, replace or end the path at.
    #[error("the path has a control character")]
    Control,
    /// A `%` without two hexadecimal digits, or with characters that only some decoders read as such.
    #[error("the path has a % without two hexadecimal digits")]
    Escape,
    /// `#`, which begins a fragment for some servers.
    #[error("the path has a `#`")]
    Fragment,
    /// `%2f` where the route does not allow it.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// An overlong UTF-8 encoding of an ASCII character, which some decoders accept for `.` or `/` (RFC 3629,
    /// section 10).
    #[error("the path has an overlong encoding")]
    Overlong,
    /// Segments that tell an application of a virtual host (Zope's `VirtualHostMonster`), as only proxies do.
    #[error("the path names a virtual host")]
    VirtualHost,
    /// What is left of it without the route's prefix could be read as a host.
    #[error("the path begins with a host, without the prefix that is stripped")]
    HostAfterPrefix,
    /// Percent-encoded more than three times.
    #[error("the path is percent-encoded more than three times over")]
    TooDeep,
    /// More readings than are evaluated.
    #[error("the path can be read in too many ways")]
    TooAmbiguous,
    /// One of its readings takes another route.
    #[error("the path could be taken for {0:?}, which is not of the same route")]
    Ambiguous(String),
}

/// Refuses a path, or a reading of one, that is dangerous for any routes.
pub(super) fn require_harmless(path: &[u8]) -> Result<(), BadPath> {
    match memchr::memchr2(b'\\', b'\0', path).map(|at| path[at]) {
        None => {}
        Some(b'\\') => return Err(BadPath::Backslash),
        Some(_) => return Err(BadPath::Nul),
    }
    if has_control(path) {
        return Err(BadPath::Control);
    }
    if has_lenient_escape(path) {
        return Err(BadPath::Escape);
    }
    if has_dot_segment(path) {
        return Err(BadPath::DotSegment);
    }
    if has_overlong(path) {
        return Err(BadPath::Overlong);
    }
    Ok(())
}

/// Refuses a path as it was sent if a `%` in it begins no escape (RFC 3986, section 2.1): decoders drop it, read
/// it as another character or end the path there.
pub(super) fn require_escapes(path: &[u8]) -> Result<(), BadPath> {
    if strays(path).next().is_none() {
        Ok(())
    } else {
        Err(BadPath::Escape)
    }
}

/// Returns where each `%` is that begins no escape.
pub(super) fn strays(path: &[u8]) -> impl Iterator<Item = usize> {
    let begins_escape = |at: usize| {
        at + 2 < path.len() && path[at + 1].is_ascii_hexdigit() && path[at + 2].is_ascii_hexdigit()
    };
    memchr::memchr_iter(b'%', path).filter(move |&at| !begins_escape(at))
}

/// Whether a path has a control character of ASCII or Unicode (C0, DEL, C1).
fn has_control(path: &[u8]) -> bool {
    // C1 is `c2 80` to `c2 9f` in UTF-8.
    path.iter().any(|&byte| byte < b' ' || byte == 0x7f)
        || memchr::memchr_iter(0xc2, path).any(|at| matches!(path.get(at + 1), Some(0x80..=0x9f)))
}

/// Bytes after a `%` that hold what a lenient decoder takes.
const ESCAPED: usize = 24;

/// Whether a `%` is followed by what only lenient decoders read as hexadecimal digits, or by `u` and four digits,
/// as JavaScript's `escape` writes them and IIS reads them.
fn has_lenient_escape(path: &[u8]) -> bool {
    strays(path).any(|at| {
        let after = &path[at + 1..];
        if after.first().is_none_or(|&first| begins_no_escape(first)) {
            return false;
        }
        let valid = after[..after.len().min(ESCAPED)].utf8_chunks().next();
        let mut letters = valid.map_or("", |chunk| chunk.valid()).chars().peekable();
        let digits = match letters.next_if(|letter| matches!(letter, 'u' | 'U' | '+' | '-')) {
            None => 2,
            Some('u' | 'U') => 4,
            // Java parses a signed number, and refuses one below zero.
            Some('-')
                if letters
                    .peek()
                    .is_some_and(|&letter| letter.is_ascii() && letter != '0') =>
            {
                return false;
            }
            Some(_) => 1,
        };
        letters
            .take(digits)
            .filter(|&letter| is_digit_to_some(letter))
            .count()
            == digits
    })
}

/// Whether no decoder reads an escape of which this is the first byte after the `%`.
fn begins_no_escape(first: u8) -> bool {
    first.is_ascii() && !matches!(first, b'u' | b'U' | b'+' | b'-') && !is_digit_to_some(first.into())
}

/// Whether some decoder reads a character as a hexadecimal digit: Jetty those around the letters in ASCII, Java
/// those of every script.
fn is_digit_to_some(letter: char) -> bool {
    match letter {
        ':'..='@' | '`' | '\u{ff21}'..='\u{ff26}' | '\u{ff41}'..='\u{ff46}' => true,
        letter if letter.is_ascii() => letter.is_ascii_hexdigit(),
        letter => letter.is_numeric(),
    }
}

/// Whether a path contains `%2f`.
pub(super) fn has_encoded_slash(path: &str) -> bool {
    memchr::memchr_iter(b'%', path.as_bytes())
        .any(|at| matches!(path.as_bytes().get(at + 1..at + 3), Some([b'2', b'f' | b'F'])))
}

fn has_dot_segment(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = memchr::memmem::find(rest, b"/.") {
        rest = &rest[at + 2..];
        let after = rest.strip_prefix(b".").unwrap_or(rest);
        let end = memchr::memchr(b'/', after).unwrap_or(after.len());
        let tail = &after[..end];
        // After spaces, further dots are dropped too by servers that drop both at the end.
        let is_dropped = tail.iter().all(|byte| matches!(byte, b'.' | b' '));
        if is_dropped && tail.first().is_none_or(|&byte| byte == b' ') {
            return true;
        }
    }
    false
}

fn has_overlong(path: &[u8]) -> bool {
    std::str::from_utf8(path).is_err()
        && path.windows(2).any(|pair| {
            matches!(
                pair,
                [0xc0 | 0xc1 | 0xf8..=0xfd, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_that_lead_nowhere_else_are_no_dot_segments() {
        for path in [
            "/.well-known/x",
            "/a/...",
            "/a/..b/c",
            "/a/.b",
            "/a.",
            "/a/b../c",
            "/a/.. b",
        ] {
            assert_eq!(require_harmless(path.as_bytes()), Ok(()), "{path}");
        }
        for path in [
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "//..//",
            "/a/.. /b",
            "/a/. ",
            "/a/.. ./b",
            "/a/. . .",
        ] {
            let refused = Err(BadPath::DotSegment);
            assert_eq!(require_harmless(path.as_bytes()), refused, "{path:?}");
        }
    }

    #[test]
    fn many_blanks_are_looked_at_once() {
        let path = format!("/{}", "..       ".repeat(8000));
        assert_eq!(require_harmless(path.as_bytes()), Err(BadPath::DotSegment));
        let path = format!("/{}", "..       x".repeat(8000));
        assert_eq!(require_harmless(path.as_bytes()), Ok(()));
    }

    #[test]
    fn s43_only_hexadecimal_digits_follow_a_percent_sign() {
        for path in ["/100%25", "/%ED%95%9C", "/a%2Fb"] {
            assert_eq!(require_escapes(path.as_bytes()), Ok(()), "{path}");
        }
        for path in [
            "/100%",
            "/a%2",
            "/a%zz",
            "/ad%6=in",
            "/adm%6@n",
            "/ad%u0061in",
            "/ad%u006=in",
            "/x%+2f",
            "/%\u{666}\u{661}dmin",
        ] {
            assert_eq!(require_escapes(path.as_bytes()), Err(BadPath::Escape), "{path}");
        }
    }

    #[test]
    fn s43_a_decoded_percent_sign_may_stand_alone_but_not_before_what_some_read_as_digits() {
        for path in [
            "/100%",
            "/100%/x",
            "/100%=x",
            "/50%-off",
            "/100%-cotton",
            "/50%+off",
            "/50% off",
            "/100%un",
            "/100%u",
            "/100%;v=1",
            "/100%한국",
            "/%2",
        ] {
            assert_eq!(require_harmless(path.as_bytes()), Ok(()), "{path}");
        }
        for path in [
            "/ad%6=in",
            "/adm%6@n",
            "/%6`",
            "/%:;",
            "/%u0061dmin",
            "/%U006=dmin",
            "/%+2",
            "/%-0",
            "/%\u{666}\u{661}dmin",
            "/%\u{662}E",
            "/%\u{ff16}\u{ff41}",
            "/%u\u{660}\u{660}6=",
        ] {
            assert_eq!(require_harmless(path.as_bytes()), Err(BadPath::Escape), "{path}");
        }
    }

    #[test]
    fn s43_control_characters_are_refused() {
        for path in [
            "/a\tb",
            "/a\u{1}",
            "/\u{1f}a",
            "/a\u{7f}",
            "/a\u{80}b",
            "/a\u{85}",
            "/\u{9f}",
        ] {
            assert_eq!(
                require_harmless(path.as_bytes()),
                Err(BadPath::Control),
                "{path:?}"
            );
        }
        assert_eq!(require_harmless("/a\u{a0}/\u{c0}".as_bytes()), Ok(()));
    }

    #[test]
    fn encoded_slashes_are_noticed() {
        for (path, found) in [
            ("/a%2fb", true),
            ("/a%2Fb", true),
            ("/a%20b", false),
            ("/a%252fb", false),
        ] {
            assert_eq!(has_encoded_slash(path), found, "{path}");
        }
    }
}
