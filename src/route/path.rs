//! Which paths are judged at all, and what they would mean to an application that decodes them.

use percent_encoding::percent_decode_str;

/// A path that an application and the gateway could understand differently (S43): never passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// The form that a careless application would make of a path: decoded until nothing
/// changes, without parameters, slashes merged; `None` if that is the path itself. And whether it has `%2f`.
/// An ordinary path costs one look at its bytes.
pub(super) fn examine(path: &str) -> Result<(Option<String>, bool), Ambiguous> {
    let unusual = path
        .bytes()
        .any(|b| matches!(b, b'%' | b'\\' | b';' | b'#' | 0..=0x20 | 0x7f..));
    if !unusual && !path.contains("//") && !path.contains("/.") {
        return Ok((None, false));
    }
    let decoded = decode(path);
    let encoded_slash = path.to_ascii_lowercase().contains("%2f");
    let segments = |text: &str| {
        text.split('/')
            .any(|part| matches!(part.split(';').next(), Some("." | "..")))
    };
    if decoded.contains(['\\', '#', '\0', '\u{fffd}']) || path.contains('#') || segments(&decoded) {
        return Err(Ambiguous);
    }
    let plain: String = decoded
        .split('/')
        .map(|part| part.split(';').next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("/");
    let mut merged = String::with_capacity(plain.len());
    for c in plain.chars() {
        if !(c == '/' && merged.ends_with('/')) {
            merged.push(c);
        }
    }
    Ok((Some(merged), encoded_slash))
}

fn decode(path: &str) -> String {
    let mut text = path.to_owned();
    loop {
        let next = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if next == text {
            return text;
        }
        text = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_two_ways_is_refused() {
        for path in [
            "/a/../b",
            "/a/./b",
            "/%2e%2e/b",
            "/a/%252e%252e",
            "/a\\b",
            "/a%5cb",
            "/a%00",
            "/a#b",
            "/a%23",
            "/..;x/b",
            "/.%2e/",
        ] {
            assert_eq!(examine(path), Err(Ambiguous), "{path}");
        }
        assert_eq!(examine("/a%2Fb").unwrap(), (Some("/a/b".to_owned()), true));
    }

    #[test]
    fn ordinary_paths_cost_nothing() {
        for path in ["/", "/a/b.c", "/a-b_c~d"] {
            assert_eq!(examine(path).unwrap(), (None, false), "{path}");
        }
        assert_eq!(examine("/a//b;v=1").unwrap().0.unwrap(), "/a/b");
        assert_eq!(examine("/.well-known/x").unwrap().0.unwrap(), "/.well-known/x");
    }
}
