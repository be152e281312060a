//! Request hedging: sends a request to a second server too if the first hangs, as a stopped process or machine does.
//!
//! Only the response time-out proves a hang, and then it is too late for the request. So after a quarter of
//! it the server is probed, and if it does not respond to the probe either, a repeatable request is also sent
//! to another server, within the time that is left. The first response wins.

use std::net::IpAddr;
use std::pin::{Pin, pin};

use http::Request;
use http::header::UPGRADE;
use tokio::time::{Instant, timeout, timeout_at};

use super::balance::Selection;
use super::server::{ReplayableHead, SendOutcome, Server};
use super::{ConnectionPermit, RequestBody, Upstream};
use crate::authorize::Permit;

/// Sends one request, and at most once also to another server.
pub(super) struct HedgedSender<'s> {
    upstream: &'s Upstream,
    permit: &'s Permit,
    client: IpAddr,
    /// Whether the request waits as long as the upstream's do.
    is_patient: bool,
    was_hedged: bool,
}

impl<'s> HedgedSender<'s> {
    pub(super) fn new(upstream: &'s Upstream, permit: &'s Permit, client: IpAddr, is_patient: bool) -> Self {
        Self {
            upstream,
            permit,
            client,
            is_patient,
            was_hedged: false,
        }
    }

    /// Sends the request to `server`. Returns the outcome and the server that it came from; `connection` is
    /// the permit that the response holds.
    pub(super) async fn send(
        &mut self,
        server: &'s Server,
        request: Request<RequestBody>,
        selection: &mut Selection,
        connection: &mut Option<ConnectionPermit>,
    ) -> (&'s Server, SendOutcome) {
        let may_hedge = self.upstream.balancer.has_several()
            && !self.was_hedged
            && !request.headers().contains_key(UPGRADE);
        let copied = may_hedge
            .then(|| ReplayableHead::if_repeatable(&request))
            .flatten();
        let Some(copied) = copied else {
            return (server, server.send(request, None).await);
        };
        let (began, limit) = (Instant::now(), server.response_limit(&request));
        let mut sent = pin!(server.send(request, Some(&copied)));
        if let Ok(attempted) = timeout(server.patience().min(limit), &mut sent).await {
            return (server, attempted);
        }
        let until = began + limit;
        // Boxed: large and seldom needed.
        Box::pin(self.hedge_if_silent(server, sent, &copied, until, selection, connection)).await
    }

    async fn hedge_if_silent(
        &mut self,
        server: &'s Server,
        mut sent: Pin<&mut impl Future<Output = SendOutcome>>,
        copied: &ReplayableHead,
        until: Instant,
        selection: &mut Selection,
        connection: &mut Option<ConnectionPermit>,
    ) -> (&'s Server, SendOutcome) {
        let is_silent = async { server.health().is_suspect() || !server.probe_shared().await };
        let is_silent = tokio::select! {
            attempted = &mut sent => return (server, attempted),
            is_silent = is_silent => is_silent,
        };
        if !is_silent {
            return (server, sent.await);
        }
        self.upstream
            .suspect(server, "no answer to a request and none to a probe");
        let Some(other) = self.upstream.balancer.next_sound(selection) else {
            return (server, sent.await);
        };
        self.was_hedged = true;
        let (upstream, permit, client, is_patient) =
            (self.upstream, self.permit, self.client, self.is_patient);
        let hedge = async {
            let (mut taken, _turn) = upstream.slots.take(client).await.ok()?;
            taken.count(other.begin());
            permit.require_current().ok()?;
            match other.send(copied.request(), None).await {
                SendOutcome::Responded(response) => Some((response, taken)),
                SendOutcome::TimedOut => {
                    if is_patient {
                        upstream.suspect(other, "timeout");
                    }
                    None
                }
                SendOutcome::Broken(_) => {
                    upstream.suspect(other, "broken answer");
                    None
                }
                _ => None,
            }
        };
        let mut hedged = pin!(timeout_at(until, hedge));
        let (responded, attempted) = tokio::select! {
            attempted = &mut sent => match attempted {
                SendOutcome::Broken(_) | SendOutcome::Unreachable(..) => (hedged.await, Some(attempted)),
                attempted => return (server, attempted),
            },
            responded = &mut hedged => (responded, None),
        };
        match (responded, attempted) {
            (Ok(Some((response, taken))), _) => {
                *connection = Some(taken);
                (other, SendOutcome::Responded(response))
            }
            (_, Some(attempted)) => (server, attempted),
            (_, None) => (server, sent.await),
        }
    }
}
