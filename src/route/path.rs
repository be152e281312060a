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
    if has_dot_segment(path) {
        return Err(BadPath::DotSegment);
    }
    if has_overlong(path) {
        return Err(BadPath::Overlong);
    }
    Ok(())
}

/// Whether a path contains `%2f`.
pub(super) fn has_encoded_slash(path: &str) -> bool {
    memchr::memchr_iter(b'%', path.as_bytes())
        .any(|at| matches!(path.as_bytes().get(at + 1..at + 3), Some([b'2', b'f' | b'F'])))
}

/// Whether a byte is a blank or control, which some file systems and patterns drop at the end of a segment.
pub(super) fn is_blank(byte: u8) -> bool {
    byte <= b' '
}

fn has_dot_segment(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = memchr::memmem::find(rest, b"/.") {
        rest = &rest[at + 2..];
        let after = rest.strip_prefix(b".").unwrap_or(rest);
        let end = memchr::memchr(b'/', after).unwrap_or(after.len());
        let tail = &after[..end];
        // After blanks, further dots are dropped too by servers that drop both at the end.
        let is_dropped = tail.iter().all(|&byte| byte == b'.' || is_blank(byte));
        if is_dropped && tail.first().is_none_or(|&byte| is_blank(byte)) {
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
            "/a/.\t",
            "/a/..\n/b",
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
