//! State that a connection's stream and its requests exchange.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::head_inspector::HeadReport;
use super::memory_budget::MemoryShare;
use crate::listener::{Activity, TunnelSlot};

/// Bytes that a tunnel has on their way to a client that does not read them, beside its buffers.
const TUNNEL_BYTES: usize = 32 << 10;

/// A request in progress, from its head to the end of the response body. Ends on drop, so also when the
/// client aborts.
#[derive(Debug)]
pub(super) struct RequestGuard {
    connection: Arc<ConnectionState>,
    memory: RequestMemory,
    /// Whether its response is the gateway's own, and is being sent.
    sends_own: bool,
}

/// The memory that a request is allowed.
#[derive(Debug)]
enum RequestMemory {
    /// As much as it takes: it is the only one of its connection.
    Unlimited,
    Share(MemoryShare),
    /// None: it must be refused.
    Refused,
}

/// Shared by a connection's stream and the requests on it. In HTTP/1 one task reads and writes it all; in
/// HTTP/2 only the counters are used.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// Report of the latest complete head whose request has not begun.
    seen: Mutex<Option<HeadReport>>,
    in_head: AtomicBool,
    in_body: AtomicBool,
    /// Whether the connection was upgraded: further bytes are not HTTP.
    has_switched: AtomicBool,
    has_unread: AtomicBool,
    is_ending: AtomicBool,
    under_way: AtomicUsize,
    /// Requests since the connection was opened.
    begun: AtomicUsize,
    /// Responses of the gateway's own that have not been sent, and how many have.
    own_pending: AtomicUsize,
    own_sent: AtomicUsize,
    activity: Arc<Activity>,
}

impl ConnectionState {
    /// Creates a state whose requests also count in `activity`.
    pub(super) fn counting(activity: Arc<Activity>) -> Self {
        Self {
            activity,
            ..Self::default()
        }
    }

    /// Notes that the beginning of a head arrived.
    pub(super) fn see_beginning(&self) {
        self.in_head.store(true, Ordering::Relaxed);
    }

    /// Notes that a head is complete.
    pub(super) fn see(&self, seen: HeadReport) {
        *self.seen() = Some(seen);
        self.in_head.store(false, Ordering::Relaxed);
    }

    /// Begins a request, which lasts as long as the guard. Also returns the report of its head; `None` if
    /// that arrived together with the end of the previous body.
    pub(super) fn begin(self: &Arc<Self>, has_body: bool) -> (RequestGuard, Option<HeadReport>) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.activity.begin();
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_head.store(false, Ordering::Relaxed);
        self.in_body.store(has_body, Ordering::Relaxed);
        self.has_unread.store(false, Ordering::Relaxed);
        let guard = RequestGuard {
            connection: self.clone(),
            memory: RequestMemory::Unlimited,
            sends_own: false,
        };
        (guard, self.seen().take())
    }

    /// Returns how many responses of the gateway's own have been sent; `None` if none waits to be.
    pub(super) fn own_sent(&self) -> Option<usize> {
        let is_pending = self.own_pending.load(Ordering::Relaxed) > 0;
        is_pending.then(|| self.own_sent.load(Ordering::Relaxed))
    }

    /// Whether a complete head waits for its request to begin.
    pub(super) fn has_seen(&self) -> bool {
        self.seen().is_some()
    }

    /// Whether incoming bytes belong to a request body or to an upgraded protocol.
    pub(super) fn is_in_body(&self) -> bool {
        self.in_body.load(Ordering::Relaxed) || self.has_switched.load(Ordering::Relaxed)
    }

    /// Whether the client may still be sending a body that is not read.
    pub(super) fn has_unread(&self) -> bool {
        self.has_unread.load(Ordering::Relaxed)
    }

    /// Notes that the gateway is closing the connection; the client may not know and send another request.
    pub(super) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway is closing the connection.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Returns how many requests have begun; `None` while one is in progress or a head is arriving.
    pub(super) fn idle_since(&self) -> Option<usize> {
        let is_idle = self.under_way.load(Ordering::Relaxed) == 0 && !self.in_head.load(Ordering::Relaxed);
        is_idle.then(|| self.begun())
    }

    /// Returns how many requests have begun.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    fn seen(&self) -> MutexGuard<'_, Option<HeadReport>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestGuard {
    /// Limits the request to a share of memory; with `None` it must be refused.
    pub(super) fn limited_to(mut self, share: Option<MemoryShare>) -> Self {
        self.memory = share.map_or(RequestMemory::Refused, RequestMemory::Share);
        self
    }

    /// Whether there is no memory for the request.
    pub(super) fn lacks_memory(&self) -> bool {
        matches!(self.memory, RequestMemory::Refused)
    }

    /// Releases the memory of the request's head, which is no longer needed.
    pub(super) fn release_head(&mut self) {
        if let RequestMemory::Share(share) = &mut self.memory {
            share.release_head();
        }
    }

    /// Notes that a response of the gateway's own is to be sent, with a body of so many bytes.
    pub(super) fn send_own(&mut self, bytes: usize) {
        if let RequestMemory::Share(share) = &mut self.memory {
            share.grow(bytes);
        }
        self.sends_own = true;
        self.connection.own_pending.fetch_add(1, Ordering::Relaxed);
    }

    /// Marks the connection as upgraded: this is its last HTTP request. Returns the connection's slot, for the tunnel.
    pub(super) fn switch(&self) -> Option<TunnelSlot> {
        self.connection.has_switched.store(true, Ordering::Relaxed);
        self.connection.activity.keep_slot()
    }

    /// Takes the memory of a tunnel that is the request's stream.
    pub(super) fn carrying_tunnel(mut self) -> Self {
        if let RequestMemory::Share(share) = &mut self.memory {
            share.grow(TUNNEL_BYTES);
        }
        self
    }

    /// Ends the request, and returns the memory that what is not sent yet still takes.
    pub(super) fn into_memory(mut self) -> Option<MemoryShare> {
        match std::mem::replace(&mut self.memory, RequestMemory::Refused) {
            RequestMemory::Share(share) => Some(share),
            RequestMemory::Unlimited | RequestMemory::Refused => None,
        }
    }

    /// Notes that the response is sent before the body was read.
    pub(super) fn leave_unread(&self) {
        self.connection.has_unread.store(true, Ordering::Relaxed);
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.connection.in_body.store(false, Ordering::Relaxed);
        self.connection.under_way.fetch_sub(1, Ordering::Relaxed);
        if self.sends_own {
            self.connection.own_sent.fetch_add(1, Ordering::Relaxed);
            self.connection.own_pending.fetch_sub(1, Ordering::Relaxed);
        }
        self.connection.activity.end();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http::Request;

    use super::super::memory_budget::MemoryBudget;
    use super::*;
    use crate::request::ClientAddress;

    #[test]
    fn s48_websockets_over_http2_take_memory_until_their_clients_have_what_was_sent() {
        let memory = Arc::<MemoryBudget>::default().connect(&ClientAddress {
            address: IpAddr::from([192, 0, 2, 1]),
            through_trusted_proxy: false,
            is_known: true,
        });
        let state = Arc::<ConnectionState>::default();
        let request = || state.begin(false).0.limited_to(memory.take(&Request::new(())));
        let tunnels: Vec<_> = std::iter::repeat_with(request)
            .take_while(|request| !request.lacks_memory())
            .map(|mut request| {
                request.release_head();
                request.carrying_tunnel()
            })
            .collect();
        // A quarter of 256 MiB, 48 KiB each.
        assert!((1360..1370).contains(&tunnels.len()), "{}", tunnels.len());
        assert_eq!(state.idle_since(), None);
        let unread: Vec<_> = tunnels.into_iter().map(RequestGuard::into_memory).collect();
        assert!(state.idle_since().is_some());
        assert!(request().lacks_memory());
        drop(unread);
        assert!(!request().lacks_memory());
    }
}
