//! What a path must not be, and what another decoder could take it for (S43).

use percent_encoding::percent_decode;

/// A path that is refused whatever the routes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not a path at all: `*`, or nothing.
    #[error("the request's target has no path")]
    NotAPath,
    /// A `.` or `..` segment, however it is encoded.
    #[error("the path has a dot segment")]
    DotSegment,
    /// `\` or `%5c`: some take it for `/`.
    #[error("the path has a backslash")]
    Backslash,
    /// `%00` ends the path for some.
    #[error("the path has a NUL")]
    Nul,
    /// `#`: some take what follows for a fragment.
    #[error("the path has a `#`")]
    Fragment,
    /// `%2f` where the route does not allow it.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// A longer form than UTF-8 has for ASCII; some decoders accept it for `.` or `/` (RFC 3629, section 10).
    #[error("the path has an overlong encoding")]
    Overlong,
    /// Decoded, or with its slashes merged, it would take another route.
    #[error("the path could be taken for one of another route")]
    Ambiguous,
}

/// What is known of a path before any route is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It means the same to everybody.
    Plain,
    /// Others may take it for `other`.
    Otherwise {
        /// The path as the most eager decoder sees it.
        other: String,
        /// `%2f` is in it.
        encoded_slash: bool,
    },
}

/// Judges a path as it was sent. Allocates for unusual paths only.
pub(super) fn judge(path: &str) -> Result<Judged, BadPath> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(BadPath::NotAPath);
    }
    if bytes.contains(&b'#') {
        return Err(BadPath::Fragment);
    }
    refuse_bytes(bytes)?;
    if memchr::memchr2(b'%', b';', bytes).is_none() {
        refuse_dot_segments(bytes)?;
        if memchr::memmem::find(bytes, b"//").is_none() {
            return Ok(Judged::Plain);
        }
    }
    let decoded = decode(bytes);
    refuse_bytes(&decoded)?;
    refuse_dot_segments(&decoded)?;
    if has_overlong(&decoded) {
        return Err(BadPath::Overlong);
    }
    Ok(Judged::Otherwise {
        other: most_eagerly(decoded),
        encoded_slash: has_encoded_slash(bytes),
    })
}

fn refuse_bytes(path: &[u8]) -> Result<(), BadPath> {
    match memchr::memchr2(b'\\', b'\0', path).map(|at| path[at]) {
        None => Ok(()),
        Some(b'\\') => Err(BadPath::Backslash),
        Some(_) => Err(BadPath::Nul),
    }
}

fn refuse_dot_segments(path: &[u8]) -> Result<(), BadPath> {
    let mut rest = path;
    while let Some(at) = memchr::memmem::find(rest, b"/.") {
        rest = &rest[at + 2..];
        if is_dot_rest(rest) {
            return Err(BadPath::DotSegment);
        }
    }
    Ok(())
}

/// Whether the rest of a path after `/.` makes that segment `.` or `..`.
fn is_dot_rest(rest: &[u8]) -> bool {
    matches!(rest, [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..])
}

fn has_encoded_slash(path: &[u8]) -> bool {
    memchr::memchr_iter(b'%', path).any(|at| matches!(path.get(at + 1..at + 3), Some([b'2', b'f' | b'F'])))
}

fn has_overlong(path: &[u8]) -> bool {
    path.windows(2).any(|pair| {
        matches!(
            pair,
            [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]
        )
    })
}

fn decode(path: &[u8]) -> Vec<u8> {
    percent_decode(path).collect()
}

/// The path as somebody sees it who decodes as long as there is something to decode, drops parameters, takes `\` for
/// `/`, merges slashes and resolves dot segments.
fn most_eagerly(mut path: Vec<u8>) -> String {
    // Every round makes it shorter, so this ends.
    loop {
        let decoded = decode(&path);
        if decoded.len() == path.len() {
            break;
        }
        path = decoded;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut ends_in_slash = false;
    for segment in path.split(|&b| b == b'/' || b == b'\\') {
        let name = segment
            .split(|&b| b == b';' || b == b'\0')
            .next()
            .unwrap_or_default();
        ends_in_slash = matches!(name, b"" | b"." | b"..");
        match name {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut other = String::with_capacity(path.len());
    for segment in segments {
        other.push('/');
        other.push_str(&String::from_utf8_lossy(segment));
    }
    if ends_in_slash {
        other.push('/');
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_mean_the_same_to_everybody() {
        for path in [
            "/",
            "/a/b.c/d",
            "/.well-known/x",
            "/a/...",
            "/a/..b/c",
            "/a/.b",
            "/a.",
            "/a/b../c",
            "/홍길동",
        ] {
            assert_eq!(judge(path), Ok(Judged::Plain), "{path}");
        }
    }

    #[test]
    fn s43_some_paths_are_refused_whatever_the_routes_are() {
        for (path, reason) in [
            ("", BadPath::NotAPath),
            ("*", BadPath::NotAPath),
            ("a", BadPath::NotAPath),
            ("/.", BadPath::DotSegment),
            ("/..", BadPath::DotSegment),
            ("/a/./b", BadPath::DotSegment),
            ("/a/../b", BadPath::DotSegment),
            ("/a/..", BadPath::DotSegment),
            ("/a//../b", BadPath::DotSegment),
            ("/a/%2e%2e/b", BadPath::DotSegment),
            ("/a/.%2E/b", BadPath::DotSegment),
            ("/a/%2e", BadPath::DotSegment),
            ("/a/..%2fb", BadPath::DotSegment),
            ("/a%2f..%2fb", BadPath::DotSegment),
            ("/a\\b", BadPath::Backslash),
            ("/a%5cb", BadPath::Backslash),
            ("/a%5Cb", BadPath::Backslash),
            ("/a%00b", BadPath::Nul),
            ("/a#b", BadPath::Fragment),
            ("/a/%c0%ae%c0%ae/b", BadPath::Overlong),
            ("/a%e0%80%afb", BadPath::Overlong),
        ] {
            assert_eq!(judge(path), Err(reason), "{path}");
        }
    }

    #[test]
    fn s43_other_readings_are_found() {
        for (path, seen) in [
            ("/a//b", "/a/b"),
            ("//a", "/a"),
            ("/a/b//", "/a/b/"),
            ("/%61dmin", "/admin"),
            ("/a/%252e%252e/b", "/b"),
            ("/a/%25252e%25252e/b", "/b"),
            ("/a;x=1/b;y", "/a/b"),
            ("/a/..;/b", "/b"),
            ("/a%252fb", "/a/b"),
            ("/a%255cb", "/a/b"),
            ("/a%2500/b", "/a/b"),
            ("/%zz", "/%zz"),
            ("/a%2", "/a%2"),
            ("/a/%20b", "/a/ b"),
            ("/a%23b", "/a#b"),
            ("/%252e%252e", "/"),
        ] {
            let Ok(Judged::Otherwise { other, .. }) = judge(path) else {
                panic!("{path}: {:?}", judge(path));
            };
            assert_eq!(other, seen, "{path}");
        }
    }

    #[test]
    fn encoded_slashes_are_noticed() {
        for (path, found) in [
            ("/a%2fb", true),
            ("/a%2Fb", true),
            ("/a%20b", false),
            ("/a%252fb", false),
        ] {
            let Ok(Judged::Otherwise { encoded_slash, .. }) = judge(path) else {
                panic!("{path}");
            };
            assert_eq!(encoded_slash, found, "{path}");
        }
    }
}
