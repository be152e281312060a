//! Paths that only the upstream knows, where routes strip a prefix (S75).
//!
//! Second resources are compared with the routes by the paths that clients know. A URL of one is such a path. A name that an
//! object store or an upload takes is one of the upstream's own, which other routes may lead to by other paths.

use std::collections::BTreeSet;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

use super::forward::with_path;
use super::second_resource::{DESTINATION, SecondResourceError, SecondResourcePolicy, acts_on_destination};
use crate::config::HostPattern;
use crate::request::{chooses_beside_path, names_second_resource};
use crate::route::Route;

/// Headers with URLs that clients know, and what qualifies them (RFC 4918, section 10).
const OF_CLIENTS: [HeaderName; 4] = [
    DESTINATION,
    HeaderName::from_static("depth"),
    HeaderName::from_static("if"),
    HeaderName::from_static("overwrite"),
];

impl SecondResourcePolicy<'_> {
    /// Requires, where routes to the request's own application strip different prefixes, that those admit the principal by
    /// which the path that the upstream gets is asked for as well. And that every route to it admits them to read and to
    /// write, if the request names a path of the upstream's, or acts on what lies below its own while prefixes differ.
    pub(super) fn require_upstream_paths(&self) -> Result<(), SecondResourceError> {
        let routes = &self.gateway.routes;
        if !routes.strips_prefixes() {
            return Ok(());
        }
        let own = self.own.stripped_prefix();
        let leads_there = routes.all().filter(|route| self.leads_there(route));
        let others: BTreeSet<_> = leads_there
            .map(Route::stripped_prefix)
            .filter(|prefix| *prefix != own)
            .collect();
        for prefix in &others {
            self.require_shared(*prefix)?;
        }
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
        if names_path && own.is_some() || !others.is_empty() && (names_path || acts_below()) {
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                self.require_everywhere(&method)?;
            }
        }
        Ok(())
    }

    /// Requires that the routes admit the principal that lead to the request's upstream path and strip this prefix.
    fn require_shared(&self, prefix: Option<&HeaderValue>) -> Result<(), SecondResourceError> {
        let path = self.own.upstream_path(self.head.path);
        let path = path.as_deref().unwrap_or(self.head.path);
        let prefix = bytes(prefix);
        let path = format!("{}{path}", String::from_utf8_lossy(prefix));
        let path = self.read(&path, "the path for the application")?;
        for pattern in self.gateway.routes.host_patterns() {
            // Routes below a domain are those of any host there.
            let host = match pattern {
                HostPattern::Exact(host) => Some(host.clone()),
                HostPattern::Below(domain) => format!("any.{domain}").parse().ok(),
            };
            let Some(host) = host else { continue };
            let mut there = self.gateway.routes.at_any_reading(&host, &path, self.head.method);
            // Routes for other methods only do not lead there with this one.
            there.retain(|routes| {
                routes
                    .route
                    .is_some_and(|route| bytes(route.stripped_prefix()) == prefix)
            });
            if let Some(route) = self.closed(there, self.head.method).next() {
                return Err(SecondResourceError::Shared(route.label().to_string()));
            }
        }
        Ok(())
    }

    /// Returns a URL of this route as the request's own upstream knows it: without what is stripped of the request's path.
    pub(super) fn rewritten(
        &self,
        route: &Route,
        url: PathAndQuery,
        header: &'static str,
    ) -> Result<PathAndQuery, SecondResourceError> {
        let path = if self.own.stripped_prefix().is_some() {
            Some(self.own.upstream_path(url.path()).ok_or_else(|| {
                let reason = "the application is given no path outside of its prefix".to_owned();
                let path = url.path().to_owned();
                SecondResourceError::Forbidden { header, path, reason }
            })?)
        } else {
            route.bare_path(url.path())
        };
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
