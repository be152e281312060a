//! What a connection and the requests on it tell each other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::head_inspector::HeadReport;
use crate::listener::{Activity, TunnelSlot};

/// A request that is being answered. It ends however that ends: a client may break off at any moment.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<ConnectionState>);

/// Shared by a connection's stream and the requests on it. Its values are read and written in one task for HTTP/1;
/// for HTTP/2 only the counts of requests are used.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// Of the head that came in last and whose request has not begun.
    seen: Mutex<Option<HeadReport>>,
    in_head: AtomicBool,
    in_body: AtomicBool,
    /// What comes in from now on is another protocol's.
    has_switched: AtomicBool,
    has_unread: AtomicBool,
    is_ending: AtomicBool,
    under_way: AtomicUsize,
    /// Requests since the beginning.
    begun: AtomicUsize,
    activity: Arc<Activity>,
}

impl ConnectionState {
    /// Has requests counted here too.
    pub(super) fn counting(activity: Arc<Activity>) -> Self {
        Self {
            activity,
            ..Self::default()
        }
    }

    /// The beginning of a head came in.
    pub(super) fn see_beginning(&self) {
        self.in_head.store(true, Ordering::Relaxed);
    }

    /// A head came in completely.
    pub(super) fn see(&self, seen: HeadReport) {
        *self.seen() = Some(seen);
        self.in_head.store(false, Ordering::Relaxed);
    }

    /// A request begins, and lasts as long as its turn does. With it, what was seen of its head; `None` if that came in
    /// with the body before it.
    pub(super) fn begin(self: &Arc<Self>, has_body: bool) -> (RequestGuard, Option<HeadReport>) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.activity.begin();
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_head.store(false, Ordering::Relaxed);
        self.in_body.store(has_body, Ordering::Relaxed);
        self.has_unread.store(false, Ordering::Relaxed);
        (RequestGuard(self.clone()), self.seen().take())
    }

    /// Whether a head came in completely whose request has not begun.
    pub(super) fn has_seen(&self) -> bool {
        self.seen().is_some()
    }

    /// Whether what comes in belongs to a request's body, or to a protocol that has no heads.
    pub(super) fn is_in_body(&self) -> bool {
        self.in_body.load(Ordering::Relaxed) || self.has_switched.load(Ordering::Relaxed)
    }

    /// Whether the client may still be sending what nobody reads.
    pub(super) fn has_unread(&self) -> bool {
        self.has_unread.load(Ordering::Relaxed)
    }

    /// The gateway ends the connection, and the client may be sending a request without knowing it.
    pub(super) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway ends the connection.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// How many requests began so far; `None` while one is under way or comes in.
    pub(super) fn idle_since(&self) -> Option<usize> {
        let is_idle = self.under_way.load(Ordering::Relaxed) == 0 && !self.in_head.load(Ordering::Relaxed);
        is_idle.then(|| self.begun())
    }

    /// How many requests began so far.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    fn seen(&self) -> MutexGuard<'_, Option<HeadReport>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestGuard {
    /// The request is the last one in HTTP.
    pub(super) fn switch(&self) {
        self.0.has_switched.store(true, Ordering::Relaxed);
    }

    /// The connection goes on as a tunnel, in its place.
    pub(super) fn keep_slot(&self) -> Option<TunnelSlot> {
        self.0.activity.keep_slot()
    }

    /// The request is answered before its body was read.
    pub(super) fn leave_unread(&self) {
        self.0.has_unread.store(true, Ordering::Relaxed);
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.in_body.store(false, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.activity.end();
    }
}
