//! Addresses requests to the host of the server that gets them.

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Fields with URLs of the host.
const WITH_URLS: [HeaderName; 2] = [
    HeaderName::from_static("destination"),
    HeaderName::from_static("if"),
];

/// Sets `Host`, and the host in URLs that were written for the one before: that of another server.
pub(super) fn address_to(host: &HeaderValue, headers: &mut HeaderMap) {
    let before = headers.insert(HOST, host.clone());
    let Some(before) = before.filter(|before| before != host) else {
        return;
    };
    for name in WITH_URLS {
        let value = headers
            .get(&name)
            .map(|value| with_host(value.as_bytes(), before.as_bytes(), host.as_bytes()));
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_bytes(&value)) {
            headers.insert(name, value);
        }
    }
}

/// Returns a value with another host in its URLs.
fn with_host(value: &[u8], host: &[u8], other: &[u8]) -> Vec<u8> {
    let (from, to) = ([b"://", host, b"/"].concat(), [b"://", other, b"/"].concat());
    let mut replaced = Vec::with_capacity(value.len());
    let mut last = 0;
    for at in memchr::memmem::find_iter(value, &from) {
        replaced.extend_from_slice(&value[last..at]);
        replaced.extend_from_slice(&to);
        last = at + from.len();
    }
    replaced.extend_from_slice(&value[last..]);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_host_before_are_of_the_new_one() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "one:1"),
            ("destination", "http://one:1/x"),
            (
                "if",
                "<http://one:1/x> (<urn:a>) <http://one:10/y> (<urn:b>) <http://one:1/> ([\"://one:1\"])",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        address_to(&HeaderValue::from_static("two:2"), &mut headers);
        assert_eq!(headers["host"], "two:2");
        assert_eq!(headers["destination"], "http://two:2/x");
        assert_eq!(
            headers["if"],
            "<http://two:2/x> (<urn:a>) <http://one:10/y> (<urn:b>) <http://two:2/> ([\"://one:1\"])"
        );
    }
}
