//! The canonical query.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::canonical::Sink;

/// What a client signs for the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryForm {
    /// Each name and value decoded and encoded anew (`+` is a space), sorted: the published form.
    Encoded,
    /// Each name and value as sent, sorted: botocore.
    Sorted,
    /// As sent: curl before 8.3.
    AsSent,
    /// As `Encoded`, without a session's token that was added after signing.
    WithoutToken,
}

/// The parameter that carries a presigned URL's signature; it cannot be signed itself.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";

const TOKEN: &str = "X-Amz-Security-Token";

const HEX: &[u8; 16] = b"0123456789ABCDEF";

pub(super) fn write(sink: &mut impl Sink, query: &str, form: QueryForm) {
    if query.is_empty() {
        return;
    }
    match form {
        QueryForm::AsSent => sink.put(query.as_bytes()),
        QueryForm::Sorted => write_sorted(
            sink,
            pairs(query).map(|(name, value)| (name.into(), value.into())),
        ),
        QueryForm::Encoded => write_sorted(sink, encoded(query)),
        QueryForm::WithoutToken => write_sorted(
            sink,
            encoded(query).filter(|(name, _)| **name != *TOKEN.as_bytes()),
        ),
    }
}

/// The parameters of a query but for its signature, as sent.
fn pairs(query: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| *name != SIGNATURE)
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

fn encoded(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    pairs(query).map(|(name, value)| (anew(name), anew(value)))
}

fn write_sorted<'q>(sink: &mut impl Sink, pairs: impl Iterator<Item = (Cow<'q, [u8]>, Cow<'q, [u8]>)>) {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            sink.put(b"&");
        }
        sink.put(name);
        sink.put(b"=");
        sink.put(value);
    }
}

/// Decodes and encodes; borrowed where that changes nothing because all is unreserved.
fn anew(text: &[u8]) -> Cow<'_, [u8]> {
    if text.iter().all(|&byte| is_unreserved(byte)) {
        return text.into();
    }
    let spaced: Cow<'_, [u8]> = if text.contains(&b'+') {
        text.iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect()
    } else {
        text.into()
    };
    let decoded: Cow<'_, [u8]> = percent_decode(&spaced).into();
    let mut encoded = Vec::with_capacity(text.len());
    encode(&mut encoded, &decoded, b"");
    encoded.into()
}

/// Percent-encodes all but what is unreserved (RFC 3986, section 2.3) or in `kept`.
pub(super) fn encode(sink: &mut impl Sink, mut bytes: &[u8], kept: &[u8]) {
    while let Some(at) = bytes
        .iter()
        .position(|byte| !is_unreserved(*byte) && !kept.contains(byte))
    {
        let byte = bytes[at];
        let digit = |nibble: u8| HEX[usize::from(nibble)];
        sink.put(&bytes[..at]);
        sink.put(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        bytes = &bytes[at + 1..];
    }
    sink.put(bytes);
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(query: &str, form: QueryForm) -> String {
        let mut text = Vec::new();
        write(&mut text, query, form);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn each_form_of_a_query() {
        let query = "b=2&a=%7e+x&a&c=%ed&X-Amz-Signature=0&&X-Amz-Security-Token=t%2F&A=/";
        assert_eq!(
            written(query, QueryForm::Encoded),
            "A=%2F&X-Amz-Security-Token=t%2F&a=&a=~%20x&b=2&c=%ED"
        );
        assert_eq!(
            written(query, QueryForm::WithoutToken),
            "A=%2F&a=&a=~%20x&b=2&c=%ED"
        );
        assert_eq!(
            written(query, QueryForm::Sorted),
            "A=/&X-Amz-Security-Token=t%2F&a=&a=%7e+x&b=2&c=%ed"
        );
        assert_eq!(written(query, QueryForm::AsSent), query);
        assert_eq!(written("", QueryForm::Encoded), "");
    }
}
