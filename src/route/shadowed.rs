//! Finds the routes that match a request but do not take it, for explanations.

use super::{Route, Routes};
use crate::request::RequestHead;

/// A route that matches but does not take a request.
#[derive(Clone, Copy, Debug)]
pub struct ShadowedRoute<'r> {
    /// The route.
    pub route: &'r Route,
    /// Why it does not take the request.
    pub lost: ShadowReason,
}

/// Why a route does not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowReason {
    /// Same host and path, other methods.
    Method,
    /// A longer path matches.
    Path,
    /// Its host is a wildcard, and another route names the host more exactly.
    Host,
}

impl Routes {
    /// Returns the other routes that match a request's host and path, in order of precedence. Uses the same
    /// lists as [`Routes::find`].
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
