//! Builds the canonical requests that different clients sign for one request.

use std::borrow::Cow;

use http::HeaderValue;
use percent_encoding::percent_decode;
use sha2::{Digest, Sha256};

use super::SigV4Claim;
use super::payload::HashedPayload;
use super::query::{self, encode};
use crate::authenticate::signature::Message;

/// The forms in which clients differ: each path with each query and host, the usual one first, without
/// duplicates.
#[derive(Debug)]
pub(super) struct RequestReadings<'m> {
    paths: Vec<Cow<'m, [u8]>>,
    queries: Vec<Vec<u8>>,
    hosts: Vec<Cow<'m, str>>,
}

/// Consumes a canonical request in pieces, so that it is hashed without being built.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<'m> RequestReadings<'m> {
    pub(super) fn of(claim: &SigV4Claim<'_>, message: &Message<'m>) -> Self {
        Self {
            paths: paths(message.path, claim.service()),
            queries: query::forms(message.query.unwrap_or_default(), claim.is_in_query()),
            hosts: hosts(message.authority),
        }
    }

    /// Returns the SHA-256 of each canonical request.
    pub(super) fn hashes(
        &self,
        claim: &SigV4Claim<'_>,
        message: &Message<'_>,
        payload: &HashedPayload,
    ) -> impl Iterator<Item = [u8; 32]> {
        let targets = self
            .queries
            .iter()
            .flat_map(|query| self.paths.iter().map(move |path| (path, query)));
        targets.flat_map(move |(path, query)| {
            let mut target = Sha256::new();
            write_target(&mut target, message, path, query);
            self.hosts.iter().map(move |host| {
                let mut hash = target.clone();
                write_rest(&mut hash, claim, message, host, payload);
                hash.finalize().into()
            })
        })
    }

    /// Writes the usual canonical request.
    #[cfg(test)]
    pub(super) fn write_first(
        &self,
        sink: &mut impl Sink,
        claim: &SigV4Claim<'_>,
        message: &Message<'_>,
        payload: &HashedPayload,
    ) {
        write_target(sink, message, &self.paths[0], &self.queries[0]);
        write_rest(sink, claim, message, &self.hosts[0], payload);
    }
}

/// Returns what clients sign for a path: as sent; with every byte encoded that is not unreserved or `/`, `%`
/// too; decoded and encoded anew, as S3 clients do; and without duplicate slashes, as clients of all other
/// services do.
fn paths<'m>(path: &'m str, service: &str) -> Vec<Cow<'m, [u8]>> {
    let sent = path.as_bytes();
    let is_s3 = service.starts_with("s3");
    let mut paths: Vec<Cow<'m, [u8]>> = Vec::new();
    let mut add = |path: Cow<'m, [u8]>| {
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    let is_once = is_s3 || !has_encoded(sent, *b"25") && !has_encoded(sent, *b"3B");
    if is_once {
        add(Cow::Borrowed(sent));
    }
    if !is_s3 {
        add(encoded(sent));
    }
    // An encoded `;` begins no parameters, and an encoded `+` is no space (S35).
    let has_separator = memchr::memchr2(b';', b'+', sent).is_some();
    if is_once && !has_separator && !has_encoded(sent, *b"2F") {
        add(encoded(&Cow::from(percent_decode(sent))));
    }
    // In S3 an empty segment is part of the name.
    if !is_s3 && !names_authority(sent) && memchr::memmem::find(sent, b"//").is_some() {
        let mut merged = sent.to_vec();
        merged.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
        let encoded = encoded(&merged);
        if is_once {
            add(Cow::Owned(merged));
        }
        add(encoded);
    }
    paths
}

/// Whether a path is a host with a path of its own to some applications (RFC 3986, section 4.2), which would see
/// another path than the one without double slashes.
fn names_authority(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"//") else {
        return false;
    };
    let start = rest.iter().take_while(|&&byte| byte == b'/').count();
    let rest = &rest[start..];
    let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    rest[end..].iter().any(|&byte| byte != b'/')
}

/// With every byte percent-encoded that is not unreserved or `/`.
fn encoded(path: &[u8]) -> Cow<'static, [u8]> {
    let mut encoded = Vec::with_capacity(path.len());
    encode(&mut encoded, path, b"/");
    Cow::Owned(encoded)
}

/// Whether a byte is in a path in its percent-encoded form, of which these are the digits.
fn has_encoded(path: &[u8], digits: [u8; 2]) -> bool {
    let mut found = memchr::memchr_iter(b'%', path);
    found.any(|at| {
        path.get(at + 1..at + 3)
            .is_some_and(|after| after.eq_ignore_ascii_case(&digits))
    })
}

/// Returns a host with and without the default port of `https`, which clients may sign either way.
fn hosts(authority: &str) -> Vec<Cow<'_, str>> {
    let mut hosts = vec![Cow::Borrowed(authority)];
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_address..].find(':') {
        None => hosts.push(format!("{authority}:443").into()),
        Some(colon) if authority[after_address + colon..] == *":443" => {
            hosts.push(authority[..after_address + colon].into());
        }
        Some(_) => {}
    }
    hosts
}

fn write_target(sink: &mut impl Sink, message: &Message<'_>, path: &[u8], query: &[u8]) {
    for piece in [message.method.as_bytes(), b"\n", path, b"\n", query, b"\n"] {
        sink.put(piece);
    }
}

fn write_rest(
    sink: &mut impl Sink,
    claim: &SigV4Claim<'_>,
    message: &Message<'_>,
    host: &str,
    payload: &HashedPayload,
) {
    for name in claim.signed_headers.split(';') {
        sink.put(name.as_bytes());
        sink.put(b":");
        if name == "host" {
            sink.put(host.as_bytes());
        } else {
            write_values(sink, message.headers.get_all(name).iter());
        }
        sink.put(b"\n");
    }
    sink.put(b"\n");
    sink.put(claim.signed_headers.as_bytes());
    sink.put(b"\n");
    sink.put(payload.as_bytes());
}

/// Writes a header's values: trimmed, with runs of spaces collapsed, joined by commas.
fn write_values<'v>(sink: &mut impl Sink, values: impl Iterator<Item = &'v HeaderValue>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            sink.put(b",");
        }
        let words = value
            .as_bytes()
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            if index > 0 {
                sink.put(b" ");
            }
            sink.put(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, service: &str) -> Vec<String> {
        let paths = paths(path, service).into_iter();
        paths
            .map(|path| String::from_utf8_lossy(&path).into_owned())
            .collect()
    }

    #[test]
    fn each_reading_of_a_path_once() {
        assert_eq!(read("/a", "s3"), ["/a"]);
        assert_eq!(read("/a%20b=c", "s3"), ["/a%20b=c", "/a%20b%3Dc"]);
        assert_eq!(
            read("/a%20b=c", "execute-api"),
            ["/a%20b=c", "/a%2520b%3Dc", "/a%20b%3Dc"]
        );
        assert_eq!(read("/a%2520b", "s3"), ["/a%2520b"]);
        assert_eq!(read("/a%2520b", "execute-api"), ["/a%252520b"]);
        assert_eq!(read("/a//b", "s3"), ["/a//b"]);
        assert_eq!(read("/a//b", "execute-api"), ["/a//b", "/a/b"]);
        assert_eq!(
            read("/a=//", "execute-api"),
            ["/a=//", "/a%3D//", "/a=/", "/a%3D/"]
        );
        assert_eq!(read("/%25//", "execute-api"), ["/%2525//", "/%2525/"]);
        assert_eq!(
            read("//a=//", "execute-api"),
            ["//a=//", "//a%3D//", "/a=/", "/a%3D/"]
        );
        assert_eq!(read("//a/b", "execute-api"), ["//a/b"]);
        assert_eq!(read("///a//b", "execute-api"), ["///a//b"]);
        assert_eq!(read("/a%2fb", "s3"), ["/a%2fb"]);
        assert_eq!(read("/a%2Fb", "execute-api"), ["/a%2Fb", "/a%252Fb"]);
        assert_eq!(read("/a%3Db;c", "s3"), ["/a%3Db;c"]);
        assert_eq!(read("/a%3Db;c", "execute-api"), ["/a%3Db;c", "/a%253Db%3Bc"]);
        assert_eq!(read("/a%3bc", "execute-api"), ["/a%253bc"]);
        assert_eq!(read("/a+b", "s3"), ["/a+b"]);
        assert_eq!(read("/a+b", "execute-api"), ["/a+b", "/a%2Bb"]);
        assert_eq!(read("/한", "s3"), ["/한", "/%ED%95%9C"]);
    }

    /// What a path means to who decodes it once: an encoded slash and `;` are others than those that stand for themselves,
    /// and where slashes are merged, several are one.
    fn meaning(path: &str, merges: bool) -> String {
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let kept = path.replace("%2F", "\u{1}").replace("%3B", "\u{2}");
        let mut meaning = decoded(&kept);
        while merges && meaning.contains("//") {
            meaning = meaning.replace("//", "/");
        }
        meaning
    }

    #[test]
    fn s35_what_is_signed_for_a_path_stands_for_no_other_path() {
        const PIECES: [&str; 14] = [
            "a",
            "%20",
            "%25",
            "20",
            "%2520",
            "=",
            "%3D",
            "3D",
            ";",
            "%3B",
            "3B",
            "%2F",
            "/",
            "%E2%82%AC",
        ];
        let longer = |paths: &[String]| -> Vec<String> {
            let all = paths
                .iter()
                .flat_map(|path| PIECES.map(|piece| format!("{path}{piece}")));
            all.collect()
        };
        let mut paths = vec!["/".to_owned()];
        for _ in 0..4 {
            paths.extend(longer(&paths));
            paths.sort_unstable();
            paths.dedup();
        }
        for service in ["s3", "execute-api"] {
            let mut meanings = std::collections::HashMap::new();
            for path in &paths {
                let meant = meaning(path, service != "s3");
                for signed in read(path, service) {
                    let known = meanings.entry(signed.clone()).or_insert_with(|| meant.clone());
                    assert_eq!(*known, meant, "{service}: {signed} is signed for {path} too");
                }
            }
        }
    }

    #[test]
    fn the_default_port_may_be_left_out() {
        assert_eq!(hosts("a.com"), ["a.com", "a.com:443"]);
        assert_eq!(hosts("a.com:443"), ["a.com:443", "a.com"]);
        assert_eq!(hosts("[::1]"), ["[::1]", "[::1]:443"]);
        assert_eq!(hosts("[::1]:443"), ["[::1]:443", "[::1]"]);
        for host in ["a.com:8443", "a.com:80", "[::1]:8443"] {
            assert_eq!(hosts(host), [host]);
        }
    }
}
