//! Paths that only the upstream knows, where routes strip a prefix (S75).
//!
//! Second resources are compared with the routes by the paths that clients know. A URL of one is such a path. A name that an
//! object store or an upload takes is one of the upstream's own, which other routes may lead to by other paths.

use std::collections::BTreeSet;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

use super::forward::with_path;
use super::second_resource::{DESTINATION, SecondResourcePolicy, acts_on_destination};
use super::second_resource_error::SecondResourceError;
use crate::request::{chooses_beside_path, names_second_resource};
use crate::route::{Route, RouteTarget, Routes};
use crate::upstream::Upstreams;

/// Headers with URLs that clients know, and what qualifies them (RFC 4918, section 10).
const OF_CLIENTS: [HeaderName; 4] = [
    DESTINATION,
    HeaderName::from_static("depth"),
    HeaderName::from_static("if"),
    HeaderName::from_static("overwrite"),
];

/// What routes to each application strip: one prefix or none, unless several paths lead to one resource.
#[derive(Debug)]
pub(super) struct UpstreamPrefixes {
    /// In the order of [`Routes::upstreams`].
    upstreams: Vec<BTreeSet<Option<HeaderValue>>>,
    demo: BTreeSet<Option<HeaderValue>>,
}

impl UpstreamPrefixes {
    /// Collects the prefixes of all routes.
    pub(super) fn new(routes: &Routes, upstreams: &Upstreams) -> Self {
        let led: Vec<&Route> = routes.all().filter(|route| route.answer().is_none()).collect();
        let all_to = |target: RouteTarget| {
            let there = led
                .iter()
                .filter(|route| upstreams.is_one_application(route.target(), target));
            there.map(|route| route.stripped_prefix().cloned()).collect()
        };
        let mut by_upstream = vec![BTreeSet::new(); routes.upstreams().len()];
        for route in &led {
            if let RouteTarget::Upstream(id) = route.target()
                && by_upstream[id.index()].is_empty()
            {
                by_upstream[id.index()] = all_to(route.target());
            }
        }
        Self {
            upstreams: by_upstream,
            demo: all_to(RouteTarget::Demo),
        }
    }

    /// Returns the prefixes that routes to the application of this one strip, beside its own.
    fn beside(&self, route: &Route) -> impl Iterator<Item = Option<&HeaderValue>> {
        let all = match route.target() {
            RouteTarget::Upstream(id) => self.upstreams.get(id.index()),
            RouteTarget::Demo => Some(&self.demo),
            RouteTarget::Answer => None,
        };
        let own = route.stripped_prefix();
        let all = all.into_iter().flatten().map(Option::as_ref);
        all.filter(move |prefix| *prefix != own)
    }
}

impl SecondResourcePolicy<'_> {
    /// Requires, where routes to the request's own application strip different prefixes, that those admit the principal by
    /// which the path that the upstream gets is asked for as well. And that every route to it admits them to read and to
    /// write, if the request names a path of the upstream's, or acts on what lies below its own while prefixes differ.
    pub(super) fn require_upstream_paths(&self) -> Result<(), SecondResourceError> {
        let is_apart = self.gateway.upstream_prefixes.beside(self.own).next().is_some();
        if self.own.stripped_prefix().is_none() && !is_apart {
            return Ok(());
        }
        let path = self.own.upstream_path(self.head.path);
        self.require_shared(path.as_deref().unwrap_or(self.head.path))?;
        let names_path = self.head.headers.iter().any(|(name, value)| {
            if OF_CLIENTS.contains(name) {
                // Swift's is no URL.
                *name == DESTINATION && !value.as_bytes().starts_with(b"/") && !has_scheme(value)
            } else {
                names_second_resource(name) || chooses_beside_path(name)
            }
        });
        let may_mean = |method| self.gateway.may_mean(self.head, self.own, self.permit, method);
        let acts_below = || acts_on_destination(self.head) || may_mean("DELETE") || may_mean("LOCK");
        if names_path || is_apart && acts_below() {
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                self.require_everywhere(&method)?;
            }
        }
        Ok(())
    }

    /// Requires that the routes admit the principal by which a path of the upstream's is asked for with other prefixes than
    /// the request's own. Where such a route does not take the method, it closes the path to it for others than those whom it
    /// admits with a method that it takes.
    fn require_shared(&self, upstream_path: &str) -> Result<(), SecondResourceError> {
        let routes = &self.gateway.routes;
        for prefix in self.gateway.upstream_prefixes.beside(self.own) {
            let prefix = bytes(prefix);
            let path = format!("{}{upstream_path}", String::from_utf8_lossy(prefix));
            let path = self.read(&path, "the path for the application")?;
            for pattern in routes.host_patterns() {
                for there in routes.of_pattern_at_any_reading(pattern, &path, self.head.method) {
                    let is_meant = |route: &&Route| {
                        let strips_it = bytes(route.stripped_prefix()) == prefix;
                        self.leads_there(route) && (strips_it || route.answer().is_some())
                    };
                    let meant: Vec<&Route> = there.all.iter().filter(is_meant).collect();
                    let judged = match there.route {
                        // One for this method that leads elsewhere, or by another path, opens nothing here.
                        Some(route) if is_meant(&route) => vec![route],
                        _ => meant,
                    };
                    let mut judged = judged.into_iter();
                    let closed = judged.find(|route| !self.admits(route, self.head.method));
                    if let Some(route) = closed {
                        return Err(SecondResourceError::Shared(route.label().to_string()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns a URL of this route as its application knows it; fails if the request's own is another one and either is not
    /// given whole paths. The path is judged by all routes that lead there.
    pub(super) fn rewritten(
        &self,
        route: &Route,
        url: PathAndQuery,
        header: &'static str,
    ) -> Result<PathAndQuery, SecondResourceError> {
        let strips = self.own.stripped_prefix().is_some() || route.stripped_prefix().is_some();
        if strips && !self.leads_there(route) {
            let reason = "the path is another application's".to_owned();
            let path = url.path().to_owned();
            return Err(SecondResourceError::Forbidden { header, path, reason });
        }
        let path = route.upstream_path(url.path());
        self.require_shared(path.as_deref().unwrap_or(url.path()))?;
        match path.map(|path| with_path(&url, &path)) {
            None => Ok(url),
            Some(changed) => changed.ok_or(SecondResourceError::Unreadable(header)),
        }
    }
}

fn bytes(prefix: Option<&HeaderValue>) -> &[u8] {
    prefix.map_or(b"", |prefix| prefix.as_bytes())
}

/// Whether a value is a URL with a scheme.
fn has_scheme(value: &HeaderValue) -> bool {
    value.as_bytes().windows(3).any(|part| part == b"://")
}
