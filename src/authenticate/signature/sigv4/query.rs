//! The canonical query string, in the forms that clients sign.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The parameter with the signature, which is never signed.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";

const TOKEN: &[u8] = b"X-Amz-Security-Token";

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Returns what clients sign for a query, without duplicates, the documented form first: encoded anew (`+` is
/// a space) and sorted; sorted as sent, as botocore does; as sent, as curl before 8.3 does with header
/// signatures; without the session token, which some add to a presigned URL after signing.
///
/// Sorts once, and once more if encoding anew changes something.
pub(super) fn forms(query: &str, is_presigned: bool) -> Vec<Vec<u8>> {
    // An encoded `;` parts no parameters, and an encoded `%` begins no escape: neither signs a raw one (S35).
    let is_one = !query.contains(';') && is_escaped(query.as_bytes());
    let encoded = Parameters::of(query, |written, text| {
        if is_one {
            encode_anew(written, text);
        } else {
            written.extend_from_slice(text);
        }
    });
    let sorted = encoded.sorted();
    let mut forms = vec![join(sorted.iter().copied())];
    let mut add = |form: Vec<u8>| {
        if !forms.contains(&form) {
            forms.push(form);
        }
    };
    if is_presigned {
        let is_token = |parameter: &&[u8]| {
            parameter
                .strip_prefix(TOKEN)
                .is_some_and(|rest| rest.first() == Some(&DIVIDER))
        };
        add(join(
            sorted.iter().copied().filter(|parameter| !is_token(parameter)),
        ));
    } else {
        add(query.as_bytes().to_vec());
    }
    let sent = Parameters::of(query, Vec::extend_from_slice);
    if sent.bytes != encoded.bytes {
        add(join(sent.sorted().into_iter()));
    }
    forms
}

/// The parameters of a query except its signature, each as name, [`DIVIDER`] and value, so that they sort by
/// name, then value.
struct Parameters {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

/// Occurs in no query, and sorts before everything that does.
const DIVIDER: u8 = 0;

impl Parameters {
    fn of(query: &str, write: impl Fn(&mut Vec<u8>, &[u8])) -> Self {
        let mut bytes = Vec::with_capacity(query.len());
        let mut ends = Vec::new();
        for parameter in query.as_bytes().split(|&byte| byte == b'&') {
            let middle = memchr::memchr(b'=', parameter).unwrap_or(parameter.len());
            let (name, value) = (
                &parameter[..middle],
                parameter.get(middle + 1..).unwrap_or_default(),
            );
            if parameter.is_empty() || name == SIGNATURE.as_bytes() {
                continue;
            }
            write(&mut bytes, name);
            bytes.push(DIVIDER);
            write(&mut bytes, value);
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    fn sorted(&self) -> Vec<&[u8]> {
        let mut begin = 0;
        let parameters = self.ends.iter().map(|&end| {
            let parameter = &self.bytes[begin..end];
            begin = end;
            parameter
        });
        let mut parameters: Vec<&[u8]> = parameters.collect();
        parameters.sort_unstable();
        parameters
    }
}

fn join<'p>(parameters: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut joined = Vec::new();
    for parameter in parameters {
        if !joined.is_empty() {
            joined.push(b'&');
        }
        joined.extend_from_slice(parameter);
    }
    for byte in &mut joined {
        if *byte == DIVIDER {
            *byte = b'=';
        }
    }
    joined
}

/// Whether every `%` begins an escape.
fn is_escaped(query: &[u8]) -> bool {
    memchr::memchr_iter(b'%', query).all(|at| {
        let digits = query.get(at + 1..at + 3).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    })
}

/// Decodes, then encodes.
fn encode_anew(written: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|&byte| is_unreserved(byte)) {
        written.extend_from_slice(text);
        return;
    }
    let spaced: Cow<'_, [u8]> = if text.contains(&b'+') {
        text.iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect()
    } else {
        text.into()
    };
    let decoded: Cow<'_, [u8]> = percent_decode(&spaced).into();
    encode(written, &decoded, b"");
}

/// Percent-encodes all bytes except unreserved ones (RFC 3986, section 2.3) and those in `kept`.
pub(super) fn encode(sink: &mut Vec<u8>, mut bytes: &[u8], kept: &[u8]) {
    while let Some(at) = bytes
        .iter()
        .position(|byte| !is_unreserved(*byte) && !kept.contains(byte))
    {
        let byte = bytes[at];
        let digit = |nibble: u8| HEX[usize::from(nibble)];
        sink.extend_from_slice(&bytes[..at]);
        sink.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        bytes = &bytes[at + 1..];
    }
    sink.extend_from_slice(bytes);
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, is_presigned: bool) -> Vec<String> {
        let forms = forms(query, is_presigned).into_iter();
        forms.map(|form| String::from_utf8(form).unwrap()).collect()
    }

    #[test]
    fn each_form_of_a_query() {
        let query = "b=2&a=%7e+x&a&c=%ed&X-Amz-Signature=0&&X-Amz-Security-Token=t%2F&A=/";
        let encoded = "A=%2F&X-Amz-Security-Token=t%2F&a=&a=~%20x&b=2&c=%ED";
        let sorted = "A=/&X-Amz-Security-Token=t%2F&a=&a=%7e+x&b=2&c=%ed";
        assert_eq!(read(query, false), [encoded, query, sorted]);
        let without_token = "A=%2F&a=&a=~%20x&b=2&c=%ED";
        assert_eq!(read(query, true), [encoded, without_token, sorted]);
    }

    #[test]
    fn no_form_twice() {
        assert_eq!(read("", false), [""]);
        assert_eq!(read("a=1&b=2", false), ["a=1&b=2"]);
        assert_eq!(read("b&a", false), ["a=&b=", "b&a"]);
        assert_eq!(read("b=2&a=1", true), ["a=1&b=2"]);
        assert_eq!(read("b=/&a=1", true), ["a=1&b=%2F", "a=1&b=/"]);
    }

    #[test]
    fn s35_what_is_signed_for_a_query_stands_for_no_other_query() {
        for raw in ["a=1;b=2", "a=%u0061", "a=%", "a=%2", "a=%zz"] {
            assert_eq!(read(raw, true), [raw], "{raw}");
        }
        assert_eq!(read("a=1%3bb=2", true), ["a=1%3Bb%3D2", "a=1%3bb=2"]);
    }
}
