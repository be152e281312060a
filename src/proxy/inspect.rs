//! What can be seen of a request's head only in its bytes.
//!
//! The HTTP parser drops a `#` and what follows it, and takes a bare line feed for the end of a line (RFC 9112,
//! section 2.2 allows it). Neither is what an application may see differently, so both are noticed here.

/// What was seen of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// A line ends without a carriage return.
    pub(super) bare_line_feed: bool,
    /// The request line has a `#`.
    pub(super) fragment: bool,
    /// More bytes came with its end: its body, or another head.
    pub(super) followed: bool,
}

/// Reads heads of HTTP/1 as they come in.
#[derive(Debug)]
pub(super) struct Inspector {
    seen: Seen,
    in_request_line: bool,
    /// How much of the current line came before.
    line: usize,
    last: u8,
}

impl Default for Inspector {
    fn default() -> Self {
        Self {
            seen: Seen::default(),
            in_request_line: true,
            line: 0,
            last: 0,
        }
    }
}

impl Inspector {
    /// Reads on. What was seen of the head, once it is complete; the next call begins with the next one.
    pub(super) fn inspect(&mut self, bytes: &[u8]) -> Option<Seen> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let before = if end > 0 { bytes[end - 1] } else { self.last };
            let is_crlf = before == b'\r';
            self.seen.bare_line_feed |= !is_crlf;
            self.look_for_fragment(&bytes[start..end]);
            let length = self.line + (end - start) - usize::from(is_crlf);
            self.line = 0;
            start = end + 1;
            if length > 0 {
                self.in_request_line = false;
            } else if !self.in_request_line {
                let seen = Seen {
                    followed: start < bytes.len(),
                    ..self.seen
                };
                *self = Self::default();
                return Some(seen);
            }
        }
        self.look_for_fragment(&bytes[start..]);
        self.line += bytes.len() - start;
        self.last = bytes.last().copied().unwrap_or(self.last);
        None
    }

    fn look_for_fragment(&mut self, bytes: &[u8]) {
        self.seen.fragment |= self.in_request_line && bytes.contains(&b'#');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen, whichever way the bytes are cut.
    fn see(bytes: &[u8]) -> Option<Seen> {
        let whole = Inspector::default().inspect(bytes);
        let mut inspector = Inspector::default();
        let mut by_byte = None;
        for (at, byte) in bytes.iter().enumerate() {
            by_byte = by_byte.or_else(|| {
                let seen = inspector.inspect(std::slice::from_ref(byte))?;
                let followed = at + 1 < bytes.len();
                Some(Seen { followed, ..seen })
            });
        }
        assert_eq!(whole, by_byte);
        whole
    }

    #[test]
    fn an_ordinary_head() {
        assert_eq!(see(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Some(Seen::default()));
        assert_eq!(see(b"\r\nGET / HTTP/1.1\r\n\r\n"), Some(Seen::default()));
        assert_eq!(see(b"GET / HTTP/1.1\r\nHost: a\r\n"), None);
        // A `#` in a header's value is none in the target.
        assert_eq!(see(b"GET / HTTP/1.1\r\nA: #\r\n\r\n"), Some(Seen::default()));
    }

    #[test]
    fn what_is_odd_about_a_head() {
        let bare = Some(Seen {
            bare_line_feed: true,
            ..Seen::default()
        });
        assert_eq!(see(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), bare);
        assert_eq!(see(b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"), bare);
        assert_eq!(see(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), bare);
        let fragment = see(b"GET /a#b HTTP/1.1\r\n\r\n").unwrap();
        assert!(fragment.fragment && !fragment.bare_line_feed);
        assert!(see(b"POST / HTTP/1.1\r\n\r\nbody").unwrap().followed);
    }

    #[test]
    fn the_next_head_is_seen_for_itself() {
        let mut inspector = Inspector::default();
        assert!(inspector.inspect(b"GET /a#b HTTP/1.1\r\n\r\n").unwrap().fragment);
        assert_eq!(
            inspector.inspect(b"GET / HTTP/1.1\r\n\r\n"),
            Some(Seen::default())
        );
    }
}
