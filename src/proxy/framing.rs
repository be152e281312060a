//! Validates the framing fields of a request, `Content-Length` and `Transfer-Encoding` (RFC 9112, section 6).
//!
//! hyper picks one reading of ambiguous framing. Upstreams and intermediaries may pick another (request
//! smuggling), so every ambiguous head is refused.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName};

use crate::refusal::Problem;
use crate::request::{is_decimal, is_plain, reads_as};

/// Framing fields that are ambiguous or not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FramingError {
    /// In HTTP/1, `HeadInspector` finds these first: hyper merges equal lengths.
    #[error("Content-Length is there more than once")]
    TwoLengths,
    #[error("Content-Length is not a number in its usual spelling")]
    Length,
    #[error("a header's name reads as Content-Length or Transfer-Encoding where signs are folded")]
    Lookalike,
    #[error("Transfer-Encoding is not chunked, once, at its end")]
    Coding,
    #[error("Transfer-Encoding names a coding that is not known here")]
    UnknownCoding,
    #[error("the head has more fields than limits.header_fields")]
    TooManyFields,
}

impl FramingError {
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::UnknownCoding => Problem::NotImplemented,
            Self::TooManyFields => Problem::HeadTooLarge,
            Self::TwoLengths | Self::Length | Self::Lookalike | Self::Coding => Problem::BadRequest,
        }
    }
}

/// Validates the framing fields, and that there are no more than `most` fields in all.
pub(super) fn validate(headers: &HeaderMap, most: usize) -> Result<(), FramingError> {
    if headers.len() > most {
        return Err(FramingError::TooManyFields);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if lengths
        .next()
        .is_some_and(|length| !is_decimal(length.as_bytes()))
    {
        return Err(FramingError::Length);
    }
    if lengths.next().is_some() {
        return Err(FramingError::TwoLengths);
    }
    let is_lookalike = |name: &&HeaderName| {
        !is_plain(name) && (reads_as(name, "content-length") || reads_as(name, "transfer-encoding"))
    };
    if headers.keys().any(|name| is_lookalike(&name)) {
        return Err(FramingError::Lookalike);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        validate_codings(headers)?;
    }
    Ok(())
}

/// Requires that `chunked` is the only coding and applied once; hyper refuses it where it is not last.
fn validate_codings(headers: &HeaderMap) -> Result<(), FramingError> {
    let values = headers.get_all(TRANSFER_ENCODING).iter();
    let (mut chunked, mut others) = (0, 0);
    for coding in values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')) {
        let mut parts = coding.splitn(2, |&byte| byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"chunked") {
            // `chunked` has no parameters (RFC 9112, section 7.1).
            if parts.next().is_some() {
                return Err(FramingError::Coding);
            }
            chunked += 1;
        } else if HeaderName::from_bytes(name).is_ok() {
            others += 1;
        } else {
            return Err(FramingError::Coding);
        }
    }
    match (chunked, others) {
        (1, 0) => Ok(()),
        (1, _) => Err(FramingError::UnknownCoding),
        _ => Err(FramingError::Coding),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(sent: &[(&'static str, &'static str)]) -> Result<(), FramingError> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        validate(&headers, 3)
    }

    #[test]
    fn ordinary_heads_pass() {
        for sent in [
            &[][..],
            &[("content-length", "0")],
            &[("content-length", "1234567890")],
            &[("transfer-encoding", "Chunked")],
            &[("x-content-length", "05"), ("content-lengths", "05")],
            &[("contentlength", "1"), ("content-type", "a"), ("x_y", "z")],
        ] {
            assert_eq!(check(sent), Ok(()), "{sent:?}");
        }
    }

    #[test]
    fn s45_a_length_has_one_reading() {
        for value in ["05", "00", "+5", "-5", "5 5", "5,5", "0x5", "5_0", "", "५"] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            assert_eq!(validate(&headers, 3), Err(FramingError::Length), "{value}");
        }
        let twice = [("content-length", "5"), ("content-length", "5")];
        assert_eq!(check(&twice), Err(FramingError::TwoLengths));
    }

    #[test]
    fn s45_names_that_read_as_the_bodys_length_are_refused() {
        for sign in "_!#$%&'*+.^`|~".chars() {
            for name in ["content-length", "transfer-encoding"] {
                let name = name.replace('-', &sign.to_string());
                let mut headers = HeaderMap::new();
                headers.insert(
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_static("5"),
                );
                assert_eq!(validate(&headers, 3), Err(FramingError::Lookalike), "{name}");
            }
        }
    }

    #[test]
    fn s45_a_body_is_chunked_once() {
        let coding = |value| [("transfer-encoding", value)];
        for value in [
            "chunked, chunked",
            "gzip, chunked, chunked",
            "chunked;q=1",
            ", chunked",
            "a b, chunked",
            "gzip",
            "",
        ] {
            assert_eq!(check(&coding(value)), Err(FramingError::Coding), "{value}");
        }
        let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert_eq!(check(&twice), Err(FramingError::Coding));
        for value in ["gzip, chunked", "identity, chunked", "x;a=b , chunked"] {
            assert_eq!(check(&coding(value)), Err(FramingError::UnknownCoding), "{value}");
        }
    }

    #[test]
    fn fields_are_counted() {
        assert_eq!(check(&[("a", "1"), ("a", "2"), ("b", "3")]), Ok(()));
        let four = [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")];
        assert_eq!(check(&four), Err(FramingError::TooManyFields));
    }
}
