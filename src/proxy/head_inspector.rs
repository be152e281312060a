//! Inspects the raw bytes of HTTP/1 request heads for what parsing hides.
//!
//! The HTTP parser drops a `#` and what follows it, takes a bare line feed for the end of a line, one of two equal
//! lengths for both, and drops a length beside `Transfer-Encoding` unread (RFC 9112, sections 2.2 and 6.3, allow it).
//! Others read such heads differently, so all of that is noticed here.

use crate::request::is_decimal;

/// Report on a complete head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadReport {
    /// An ambiguity that hyper does not report.
    pub(super) fault: Option<AmbiguousHead>,
    /// Whether more bytes came in the same read: a body, or another head.
    pub(super) followed: bool,
}

/// A head that other parsers may read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AmbiguousHead {
    #[error("a line of the head ends without a carriage return")]
    BareLineFeed,
    #[error("the target has a `#`")]
    Fragment,
    #[error("Content-Length is there more than once")]
    TwoLengths,
    #[error("Content-Length is not a number in its usual spelling")]
    Length,
}

const LENGTH: &[u8; 15] = b"content-length:";

/// Bytes of a line that are looked at: the name and the longest number, with spaces to spare.
const MOST_OF_LINE: usize = 64;

/// Incremental inspector of HTTP/1 heads.
#[derive(Debug)]
pub(super) struct HeadInspector {
    seen: HeadReport,
    in_request_line: bool,
    /// Bytes of the current line so far.
    line: usize,
    /// The beginning of the current line.
    beginning: [u8; MOST_OF_LINE],
    has_length: bool,
    last: u8,
}

impl Default for HeadInspector {
    fn default() -> Self {
        Self {
            seen: HeadReport::default(),
            in_request_line: true,
            line: 0,
            beginning: [0; MOST_OF_LINE],
            has_length: false,
            last: 0,
        }
    }
}

impl HeadInspector {
    /// Consumes bytes. Returns the report once the head is complete; the next call starts the next head.
    pub(super) fn inspect(&mut self, bytes: &[u8]) -> Option<HeadReport> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let before = if end > 0 { bytes[end - 1] } else { self.last };
            let is_crlf = before == b'\r';
            self.note(!is_crlf, AmbiguousHead::BareLineFeed);
            self.read_line(&bytes[start..end]);
            let length = self.line - usize::from(is_crlf);
            self.look_for_length();
            self.line = 0;
            start = end + 1;
            if length > 0 {
                self.in_request_line = false;
            } else if !self.in_request_line {
                let seen = HeadReport {
                    followed: start < bytes.len(),
                    ..self.seen
                };
                *self = Self::default();
                return Some(seen);
            }
        }
        self.read_line(&bytes[start..]);
        self.last = bytes.last().copied().unwrap_or(self.last);
        None
    }

    /// Consumes a part of the current line.
    fn read_line(&mut self, piece: &[u8]) {
        let has_fragment = self.in_request_line && memchr::memchr(b'#', piece).is_some();
        self.note(has_fragment, AmbiguousHead::Fragment);
        if let Some(open) = self.beginning.get_mut(self.line..) {
            let count = open.len().min(piece.len());
            open[..count].copy_from_slice(&piece[..count]);
        }
        self.line += piece.len();
    }

    /// Checks at the end of a line whether it was `Content-Length`.
    fn look_for_length(&mut self) {
        let Some(line) = self.beginning.get(..self.line.min(MOST_OF_LINE)) else {
            return;
        };
        let Some((name, value)) = line.split_at_checked(LENGTH.len()) else {
            return;
        };
        if name.eq_ignore_ascii_case(LENGTH) {
            let is_length = self.line <= MOST_OF_LINE && is_decimal(value.trim_ascii());
            self.note(!is_length, AmbiguousHead::Length);
            self.note(self.has_length, AmbiguousHead::TwoLengths);
            self.has_length = true;
        }
    }

    fn note(&mut self, is_there: bool, fault: AmbiguousHead) {
        if is_there {
            self.seen.fault.get_or_insert(fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The report, which must not depend on how the bytes are split.
    fn see(bytes: &[u8]) -> Option<HeadReport> {
        let whole = HeadInspector::default().inspect(bytes);
        let mut inspector = HeadInspector::default();
        let mut by_byte = None;
        for (at, byte) in bytes.iter().enumerate() {
            by_byte = by_byte.or_else(|| {
                let seen = inspector.inspect(std::slice::from_ref(byte))?;
                let followed = at + 1 < bytes.len();
                Some(HeadReport { followed, ..seen })
            });
        }
        assert_eq!(whole, by_byte);
        whole
    }

    #[test]
    fn an_ordinary_head() {
        assert_eq!(
            see(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Some(HeadReport::default())
        );
        assert_eq!(see(b"\r\nGET / HTTP/1.1\r\n\r\n"), Some(HeadReport::default()));
        assert_eq!(see(b"GET / HTTP/1.1\r\nHost: a\r\n"), None);
        // A `#` in a header's value is none in the target.
        assert_eq!(
            see(b"GET / HTTP/1.1\r\nA: #\r\n\r\n"),
            Some(HeadReport::default())
        );
    }

    #[test]
    fn what_is_odd_about_a_head() {
        let fault = |bytes: &[u8]| see(bytes).unwrap().fault;
        for head in [
            b"GET / HTTP/1.1\nHost: a\r\n\r\n".as_slice(),
            b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        ] {
            assert_eq!(fault(head), Some(AmbiguousHead::BareLineFeed));
        }
        assert_eq!(fault(b"GET /a#b HTTP/1.1\r\n\r\n"), Some(AmbiguousHead::Fragment));
        let two = b"POST / HTTP/1.1\r\ncontent-length: 1\r\nContent-LENGTH: 1\r\n\r\n";
        assert_eq!(fault(two), Some(AmbiguousHead::TwoLengths));
        let one = b"POST / HTTP/1.1\r\ncontent-length: 1\r\nx-content-length: +1\r\n\r\n";
        assert_eq!(fault(one), None);
        assert!(see(b"POST / HTTP/1.1\r\n\r\nbody").unwrap().followed);
    }

    #[test]
    fn s45_a_length_has_one_reading_whatever_else_says_where_the_body_ends() {
        let fault = |length: &str| {
            let head = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{length}\r\n\r\n");
            see(head.as_bytes()).unwrap().fault
        };
        for length in [
            "Content-Length: 5",
            "content-length:0",
            "CONTENT-LENGTH: \t 18446744073709551615\t ",
        ] {
            assert_eq!(fault(length), None, "{length:?}");
        }
        let far = format!("Content-Length:{}5", " ".repeat(MOST_OF_LINE));
        for length in [
            "Content-Length: +5",
            "Content-Length: 05",
            "Content-Length: 5, 5",
            "Content-Length: 5 5",
            "Content-Length: 0x5",
            "Content-Length: -1",
            "Content-Length:",
            &far,
        ] {
            assert_eq!(fault(length), Some(AmbiguousHead::Length), "{length:?}");
        }
    }

    #[test]
    fn the_next_head_is_seen_for_itself() {
        let mut inspector = HeadInspector::default();
        let first = inspector.inspect(b"GET /a#b HTTP/1.1\r\n\r\n");
        assert!(first.unwrap().fault.is_some());
        assert_eq!(
            inspector.inspect(b"GET / HTTP/1.1\r\n\r\n"),
            Some(HeadReport::default())
        );
    }
}
