//! What a connection and the requests on it tell each other.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use super::inspect::Seen;

const COMPLETE: u8 = 1;
const BARE_LINE_FEED: u8 = 2;
const FRAGMENT: u8 = 4;
const FOLLOWED: u8 = 8;

/// Shared by a connection's stream and the requests on it. Its values are read and written in one task for HTTP/1;
/// for HTTP/2 only the count of requests is used.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    seen: AtomicU8,
    in_body: AtomicBool,
    has_unread: AtomicBool,
    under_way: AtomicUsize,
    /// Requests since the beginning.
    begun: AtomicUsize,
}

impl Conversation {
    /// A head came in completely.
    pub(super) fn see(&self, seen: Seen) {
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let bits = COMPLETE
            | bit(seen.bare_line_feed, BARE_LINE_FEED)
            | bit(seen.fragment, FRAGMENT)
            | bit(seen.followed, FOLLOWED);
        self.seen.store(bits, Ordering::Relaxed);
    }

    /// A request begins. What was seen of its head; `None` if it came in with the body before it.
    pub(super) fn begin(&self, has_body: bool) -> Option<Seen> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_body.store(has_body, Ordering::Relaxed);
        self.has_unread.store(false, Ordering::Relaxed);
        let bits = self.seen.swap(0, Ordering::Relaxed);
        (bits & COMPLETE != 0).then_some(Seen {
            bare_line_feed: bits & BARE_LINE_FEED != 0,
            fragment: bits & FRAGMENT != 0,
            followed: bits & FOLLOWED != 0,
        })
    }

    /// A request is answered.
    pub(super) fn end(&self) {
        self.in_body.store(false, Ordering::Relaxed);
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether what comes in belongs to a request's body.
    pub(super) fn is_in_body(&self) -> bool {
        self.in_body.load(Ordering::Relaxed)
    }

    /// A request was answered before its body was read.
    pub(super) fn leave_unread(&self) {
        self.has_unread.store(true, Ordering::Relaxed);
    }

    /// Whether the client may still be sending what nobody reads.
    pub(super) fn has_unread(&self) -> bool {
        self.has_unread.load(Ordering::Relaxed)
    }

    /// How many requests began so far; `None` while one is under way.
    pub(super) fn idle_since(&self) -> Option<usize> {
        let is_idle = self.under_way.load(Ordering::Relaxed) == 0;
        is_idle.then(|| self.begun.load(Ordering::Relaxed))
    }
}
