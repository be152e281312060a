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
    let once_more = |path: &[u8]| {
        let mut encoded = Vec::with_capacity(path.len());
        encode(&mut encoded, path, b"/");
        Cow::Owned(encoded)
    };
    let sent = path.as_bytes();
    let mut paths = vec![Cow::Borrowed(sent)];
    let mut add = |path: Cow<'m, [u8]>| {
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    let is_s3 = service.starts_with("s3");
    // A reading must not change the meaning: an encoded slash is no slash, an encoded `;` begins no parameters,
    // and an encoded `+` is no space (S35). Clients of S3 do not encode what is encoded.
    let has_separator = memchr::memchr2(b';', b'+', sent).is_some();
    if !(is_s3 && has_separator) {
        add(once_more(sent));
    }
    if !has_separator && !has_encoded_slash(sent) {
        let decoded: Cow<'_, [u8]> = percent_decode(sent).into();
        add(once_more(&decoded));
    }
    // In S3 an empty segment is part of the name.
    if !is_s3 && memchr::memmem::find(sent, b"//").is_some() {
        let mut merged = sent.to_vec();
        merged.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
        let encoded = once_more(&merged);
        add(Cow::Owned(merged));
        add(encoded);
    }
    paths
}

fn has_encoded_slash(path: &[u8]) -> bool {
    memchr::memmem::find_iter(path, b"%2").any(|at| matches!(path.get(at + 2), Some(b'f' | b'F')))
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
        assert_eq!(read("/a%20b=c", "s3"), ["/a%20b=c", "/a%2520b%3Dc", "/a%20b%3Dc"]);
        assert_eq!(read("/a//b", "s3"), ["/a//b"]);
        assert_eq!(read("/a//b", "execute-api"), ["/a//b", "/a/b"]);
        assert_eq!(
            read("//a=//", "execute-api"),
            ["//a=//", "//a%3D//", "/a=/", "/a%3D/"]
        );
        assert_eq!(read("/a%2Fb", "s3"), ["/a%2Fb", "/a%252Fb"]);
        assert_eq!(read("/a%3Db;c", "s3"), ["/a%3Db;c"]);
        assert_eq!(read("/a+b", "s3"), ["/a+b"]);
        assert_eq!(read("/a+b", "execute-api"), ["/a+b", "/a%2Bb"]);
        assert_eq!(read("/한", "s3"), ["/한", "/%ED%95%9C"]);
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
