//! Request ids, as in `X-Request-Id`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue};

use crate::random::Random;

/// Longest id that is accepted from a trusted proxy; a UUID has 36 characters.
const LONGEST: usize = 64;

/// The header with the request id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Identifies a request in the response's `X-Request-Id` and in all logs.
///
/// At most 64 of `[A-Za-z0-9_.-]`, so it needs no escaping in headers, pages and logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    length: u8,
    text: [u8; LONGEST],
}

impl RequestId {
    /// Parses a trusted proxy's id; `None` if it is too long or has other characters.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"_.-".contains(b);
        let length = u8::try_from(text.len()).ok()?;
        let mut id = Self {
            length,
            text: [0; LONGEST],
        };
        let place = id.text.get_mut(..text.len())?;
        place.copy_from_slice(text);
        (length > 0 && text.iter().all(allowed)).then_some(id)
    }

    fn counted(run: u64, count: u64) -> Self {
        // Eight digits of the count suffice for all but the longest runs.
        let (length, unused) = if u32::try_from(count).is_ok() {
            (24, 4)
        } else {
            (32, 0)
        };
        let mut text = [0; LONGEST];
        let bytes = run
            .to_be_bytes()
            .into_iter()
            .chain(count.to_be_bytes().into_iter().skip(unused));
        for (byte, place) in bytes.zip(text.chunks_exact_mut(2)) {
            place.copy_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
        }
        Self { length, text }
    }

    /// Returns the id.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns the id as a header value.
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(self.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or_default()
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0' + digit,
        _ => b'a' + digit - 10,
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.as_str())
    }
}

/// Generates request ids from a random part for this run and a counter: one atomic addition, where a random
/// id would cost a system call.
#[derive(Clone, Debug)]
pub struct RequestIds {
    run: u64,
    next: Arc<AtomicU64>,
}

impl RequestIds {
    /// Starts a new run.
    pub fn new(random: &Random) -> Self {
        Self {
            run: u64::from_be_bytes(random.bytes()),
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Returns the next id.
    pub fn next(&self) -> RequestId {
        RequestId::counted(self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_on_from_a_random_beginning() {
        let ids = RequestIds::new(&Random::seeded(1));
        let (first, second) = (ids.next().to_string(), ids.next().to_string());
        assert_eq!(first[..16], second[..16]);
        assert_eq!((&first[16..], &second[16..]), ("00000001", "00000002"));
        let (last, next) = (
            RequestId::counted(7, 0xffff_ffff),
            RequestId::counted(7, 0x1_0000_0000),
        );
        assert_eq!((last.as_str().len(), next.as_str().len()), (24, 32));
        let other = RequestIds::new(&Random::seeded(2)).next().to_string();
        assert_ne!(first, other);
    }

    #[test]
    fn a_request_id_that_was_sent_is_kept_if_it_is_valid() {
        let uuid = "0190c42e-7a3f-7cc1-9d5a-3f2c1b0a9e8d";
        assert_eq!(RequestId::parse(uuid.as_bytes()).unwrap().as_str(), uuid);
        assert!(RequestId::parse(&[b'a'; 64]).is_some());
        for other in [
            "",
            "a b",
            "a\"b",
            "a\r\nb",
            "ä",
            &"a".repeat(65),
            &"a".repeat(300),
        ] {
            assert_eq!(RequestId::parse(other.as_bytes()), None, "{other:?}");
        }
    }
}
