//! Normalizes `Content-Length` of upstream responses (RFC 9112, section 6.3).

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};

/// A response whose length or transfer coding is ambiguous (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseFramingError {
    /// `Content-Length` is no number, or two different ones.
    #[error("its response has several lengths, or one that is no number")]
    Length,
    /// The library takes off `chunked` alone, and no coding passes the gateway: what is left would be taken for the
    /// content itself.
    #[error("its response has a Transfer-Encoding other than chunked")]
    Coding,
}

/// Merges repeated equal lengths into one, and removes the length beside `Transfer-Encoding`, which overrides
/// it, or from a response that cannot have one (RFC 9110, section 8.6). Clients would read each of these
/// differently.
pub(super) fn settle(status: StatusCode, headers: &mut HeaderMap) -> Result<(), ResponseFramingError> {
    let has_none = status.is_informational() || status == StatusCode::NO_CONTENT;
    let is_coded = headers.contains_key(TRANSFER_ENCODING);
    if is_coded && !has_none && !is_chunked_alone(headers) {
        return Err(ResponseFramingError::Coding);
    }
    if has_none || is_coded {
        headers.remove(CONTENT_LENGTH);
        return Ok(());
    }
    let mut said = headers.get_all(CONTENT_LENGTH).iter();
    match (said.next(), said.next()) {
        (None, _) => return Ok(()),
        (Some(one), None) if is_plain(one.as_bytes()) => return Ok(()),
        _ => {}
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for member in value.as_bytes().split(|&byte| byte == b',') {
            let member = parse(member.trim_ascii()).ok_or(ResponseFramingError::Length)?;
            if *length.get_or_insert(member) != member {
                return Err(ResponseFramingError::Length);
            }
        }
    }
    let length = length.ok_or(ResponseFramingError::Length)?;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(())
}

fn is_chunked_alone(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next().map(|coding| coding.as_bytes().trim_ascii());
    first.is_some_and(|first| first.eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

/// Whether a value is a canonical number, small enough for every reader.
fn is_plain(value: &[u8]) -> bool {
    let is_canonical = matches!(value, [b'0'] | [b'1'..=b'9', ..]);
    is_canonical && value.len() < 19 && value.iter().all(u8::is_ascii_digit)
}

fn parse(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(said: &[(&'static str, &'static str)]) -> Result<Vec<String>, ResponseFramingError> {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, HeaderValue::from_static(value));
        }
        settle(StatusCode::OK, &mut headers)?;
        let lengths = headers.get_all(CONTENT_LENGTH).iter();
        Ok(lengths.map(|value| value.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn one_length_is_left_of_equal_ones() {
        let length = |value| ("content-length", value);
        for (said, left) in [
            (&[][..], &[][..]),
            (&[length("0")], &["0"]),
            (&[length("12")], &["12"]),
            (&[length("2"), length("2")], &["2"]),
            (&[length("2, 2")], &["2"]),
            (&[length("2,2"), length("02")], &["2"]),
            (&[length("007")], &["7"]),
            (&[length("9"), ("transfer-encoding", "chunked")], &[]),
        ] {
            assert_eq!(settled(said).unwrap(), left, "{said:?}");
        }
    }

    #[test]
    fn what_has_no_content_has_no_length() {
        for (status, is_left) in [(204, false), (101, false), (304, true), (200, true)] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
            settle(StatusCode::from_u16(status).unwrap(), &mut headers).unwrap();
            assert_eq!(headers.contains_key(CONTENT_LENGTH), is_left, "{status}");
        }
    }

    #[test]
    fn s45_no_coding_but_chunked_is_taken_off() {
        let coding = |value| ("transfer-encoding", value);
        for said in [
            &[coding("gzip, chunked")][..],
            &[coding("gzip"), coding("chunked")],
            &[coding("chunked"), coding("chunked")],
            &[coding("chunked, chunked")],
            &[coding("gzip")],
            &[coding("identity"), ("content-length", "2")],
            &[coding("")],
        ] {
            assert_eq!(settled(said), Err(ResponseFramingError::Coding), "{said:?}");
        }
        assert_eq!(settled(&[coding("Chunked")]), Ok(Vec::new()));
    }

    #[test]
    fn different_ones_and_what_is_none_are_refused() {
        let length = |value| ("content-length", value);
        for said in [
            &[length("2"), length("3")][..],
            &[length("2, 3")],
            &[length("2,")],
            &[length("")],
            &[length("+2")],
            &[length("2 2")],
            &[length("0x2")],
            &[length("99999999999999999999")],
        ] {
            assert_eq!(settled(said), Err(ResponseFramingError::Length), "{said:?}");
        }
    }
}
