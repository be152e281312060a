//! Routes that could have taken a request, and why they did not.

use super::{Route, Routes};
use crate::request::RequestHead;

/// A route that another one went before.
#[derive(Clone, Copy, Debug)]
pub struct ShadowedRoute<'r> {
    /// Which.
    pub route: &'r Route,
    /// Why it did not take the request.
    pub lost: ShadowReason,
}

/// Why a route did not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowReason {
    /// It has the same host and path, but not the method.
    Method,
    /// Its path is shorter.
    Path,
    /// Its host is a wildcard, and another one names the host more exactly.
    Host,
}

impl Routes {
    /// The routes whose host and path fit a request that another one takes, the nearest first. [`Routes::find`] asks
    /// the first of the same lists.
    pub fn rivals(&self, head: &RequestHead<'_>) -> Vec<ShadowedRoute<'_>> {
        let mut rivals = Vec::new();
        let mut is_nearest_host = true;
        for host in self.each_of_host(head.host) {
            let mut is_longest_path = is_nearest_host;
            for (routes, _) in host.each_at(head.path) {
                let taker = routes.route_for(head.method);
                if is_longest_path {
                    let others = routes.all().iter();
                    let others =
                        others.filter(|route| taker.is_none_or(|taker| !std::ptr::eq(taker, *route)));
                    rivals.extend(others.map(|route| ShadowedRoute {
                        route,
                        lost: ShadowReason::Method,
                    }));
                } else {
                    let lost = if is_nearest_host {
                        ShadowReason::Path
                    } else {
                        ShadowReason::Host
                    };
                    rivals.extend(taker.map(|route| ShadowedRoute { route, lost }));
                }
                is_longest_path = false;
            }
            is_nearest_host = false;
        }
        rivals
    }
}
