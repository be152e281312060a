//! Which responses may be compressed, and what their heads then say.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::ContentCoding;

/// The least content that is compressed, in bytes: less fits into one packet either way.
const LEAST: u64 = 1024;

/// Digests of content and signatures over the head, which a change would break (RFC 9530, RFC 9421, RFC 3230).
const INTEGRITY_FIELDS: [HeaderName; 6] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("signature"),
    HeaderName::from_static("signature-input"),
];

/// Beginnings of such fields of stores and clouds.
const INTEGRITY_BEGINNINGS: [&str; 3] = ["x-amz-checksum-", "x-goog-hash", "oc-checksum"];

/// Media types that are worth it, beside `text/…` and those that end in `+json`, `+xml`, `+text` and `+yaml`.
const TYPES: [&str; 26] = [
    "application/ecmascript",
    "application/geo+json-seq",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/json-seq",
    "application/jsonl",
    "application/ndjson",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-yaml",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    "message/rfc822",
];

const SUFFIXES: [&str; 4] = ["+json", "+xml", "+text", "+yaml"];

/// Whether a response has content that may be compressed and that it pays for; `length` is that of the content where it is
/// known.
///
/// Not a part of something, nor what is encoded already, what must not be transformed (RFC 9110, section 7.7), and what a
/// digest or a signature covers.
pub fn is_compressible(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> bool {
    let has_content = !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        );
    has_content
        && status != StatusCode::PARTIAL_CONTENT
        && length.is_none_or(|length| length >= LEAST)
        && headers.get(CONTENT_TYPE).is_some_and(is_worth_it)
        && !is_fixed(headers)
}

/// Whether a response is 304 (Not Modified) for content that may have been compressed. Its fields replace those that a cache
/// has, so they must be those of 200 (RFC 9110, section 15.4.5).
pub fn renews_compressible(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::NOT_MODIFIED
        && headers.get(CONTENT_TYPE).is_none_or(is_worth_it)
        && !is_fixed(headers)
}

/// Whether the content must stay as it is.
fn is_fixed(headers: &HeaderMap) -> bool {
    !is_transformable(headers)
        || [CONTENT_ENCODING, CONTENT_RANGE]
            .iter()
            .chain(&INTEGRITY_FIELDS)
            .any(|name| headers.contains_key(name))
        || headers.keys().any(|name| {
            let mut known = INTEGRITY_BEGINNINGS.iter();
            known.any(|known| name.as_str().starts_with(known))
        })
}

/// Whether `Cache-Control`, of a request or a response, lets the content be transformed.
pub fn is_transformable(headers: &HeaderMap) -> bool {
    let directives = headers.get_all(CACHE_CONTROL).iter();
    !directives
        .flat_map(elements)
        .any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// Says that the response depends on `Accept-Encoding`.
pub fn mark_negotiated(headers: &mut HeaderMap) {
    let is_said = headers
        .get_all(VARY)
        .iter()
        .flat_map(elements)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"));
    if !is_said {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// Says that the content is encoded, and takes back what was said of it as it was: its length, its ranges, and that each byte
/// of it is known by its entity tag (RFC 9110, section 8.8.1).
pub fn mark_encoded(headers: &mut HeaderMap, coding: ContentCoding) {
    headers.insert(CONTENT_ENCODING, coding.header_value());
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    weaken_entity_tag(headers);
}

/// Makes a strong entity tag weak.
pub fn weaken_entity_tag(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""))
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
}

/// Whether content of this type is worth it, and may be held back: events are not, which some servers and clients count one
/// by one, and calls of gRPC, which compress messages themselves.
fn is_worth_it(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or(kind);
    let Ok(kind) = std::str::from_utf8(kind) else {
        return false;
    };
    let kind = kind.trim().to_ascii_lowercase();
    if kind == "text/event-stream" || kind.starts_with("application/grpc") {
        return false;
    }
    kind.starts_with("text/")
        || SUFFIXES.iter().any(|suffix| kind.ends_with(suffix))
        || TYPES.contains(&kind.as_str())
}

/// Returns the elements of a list (RFC 9110, section 5.6.1).
fn elements(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn media_types_that_pay_are_compressed() {
        let is_worth_it = |kind: &'static str| is_worth_it(&HeaderValue::from_static(kind));
        for kind in [
            "text/html",
            "Text/HTML; charset=utf-8",
            "text/css ;x",
            "application/json",
            "application/problem+json",
            "application/manifest+json; a=b",
            "image/svg+xml",
            "application/wasm",
            "text/javascript",
        ] {
            assert!(is_worth_it(kind), "{kind}");
        }
        for kind in [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "application/grpc",
            "application/grpc+json",
            "application/grpc-web+json",
            "image/png",
            "application/gzip",
            "application/zip",
            "font/woff2",
            "video/mp4",
            "application/octet-stream",
            "multipart/x-mixed-replace",
            "",
            "textual",
        ] {
            assert!(!is_worth_it(kind), "{kind}");
        }
    }

    #[test]
    fn what_depends_on_its_bytes_stays_as_it_is() {
        let of = |more: &[(&'static str, &'static str)]| {
            let headers = head(&[&[("content-type", "text/plain")], more].concat());
            is_compressible(StatusCode::OK, &headers, None)
        };
        assert!(of(&[]));
        assert!(of(&[
            ("cache-control", "no-store, max-age=0"),
            ("accept-ranges", "bytes")
        ]));
        for (name, value) in [
            ("content-encoding", "identity"),
            ("content-range", "bytes 0-1/2"),
            ("cache-control", "public, No-Transform"),
            ("content-digest", "sha-256=::"),
            ("repr-digest", "sha-256=::"),
            ("digest", "sha-256="),
            ("content-md5", "x"),
            ("signature", "a=::"),
            ("x-amz-checksum-crc32", "AAAAAA=="),
            ("x-goog-hash", "crc32c=AAAAAA=="),
            ("oc-checksum", "SHA1:x"),
        ] {
            assert!(!of(&[(name, value)]), "{name}");
        }
        assert!(!of(&[
            ("cache-control", "public"),
            ("cache-control", "no-transform")
        ]));
        let headers = head(&[("content-type", "text/plain")]);
        for status in [100, 101, 204, 205, 206, 304] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(!is_compressible(status, &headers, None), "{status}");
        }
        assert!(is_compressible(StatusCode::NOT_FOUND, &headers, Some(1024)));
        assert!(!is_compressible(StatusCode::OK, &headers, Some(1023)));
        assert!(!is_compressible(StatusCode::OK, &head(&[]), None));
    }

    #[test]
    fn the_head_says_what_was_done() {
        let mut headers = head(&[
            ("vary", "Cookie"),
            ("etag", "\"a\""),
            ("content-length", "2000"),
            ("accept-ranges", "bytes"),
        ]);
        mark_negotiated(&mut headers);
        mark_negotiated(&mut headers);
        mark_encoded(&mut headers, ContentCoding::Brotli);
        let expected = head(&[
            ("vary", "Cookie"),
            ("vary", "Accept-Encoding"),
            ("etag", "W/\"a\""),
            ("content-encoding", "br"),
        ]);
        assert_eq!(headers, expected);
        weaken_entity_tag(&mut headers);
        assert_eq!(headers[ETAG], "W/\"a\"");
        for said in ["*", "Origin, accept-encoding"] {
            let mut headers = head(&[("vary", said)]);
            mark_negotiated(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().count(), 1, "{said}");
        }
    }
}
