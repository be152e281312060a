//! Finds the routes at any reading of a path, and below it, for operations on whole collections.

use http::Method;

use super::prefixes::Prefixes;
use super::table::HostRoutes;
use super::{ReadPath, Route, Routes};
use crate::config::HostPattern;
use crate::request::Host;

/// The routes of one path.
#[derive(Clone, Copy, Debug)]
pub struct PathRoutesFor<'r> {
    /// Whether the path is the root of the host.
    pub is_root: bool,
    /// The route for the method, if any.
    pub route: Option<&'r Route>,
    /// All routes of the path, for any method; never empty.
    pub all: &'r [Route],
}

impl Routes {
    /// Returns the routes that any reading of a path takes on a host, for a method.
    pub fn at_any_reading<'r>(
        &'r self,
        host: &Host,
        path: &ReadPath,
        method: &Method,
    ) -> Vec<PathRoutesFor<'r>> {
        let taking = |prefixes: &Prefixes, reading: &str| prefixes.taking(reading).collect();
        among(self.host_routes(host), path, method, taking)
    }

    /// Returns the routes that any reading of a path takes, among those of a pattern of hosts alone, for a method.
    pub fn of_pattern_at_any_reading<'r>(
        &'r self,
        pattern: &HostPattern,
        path: &ReadPath,
        method: &Method,
    ) -> Vec<PathRoutesFor<'r>> {
        let taking = |prefixes: &Prefixes, reading: &str| prefixes.taking(reading).collect();
        among(self.pattern_routes(pattern), path, method, taking)
    }

    /// Returns the routes of all paths below this one, for a method. Compares without case and in every
    /// reading.
    pub fn below<'r>(&'r self, host: &Host, path: &ReadPath, method: &Method) -> Vec<PathRoutesFor<'r>> {
        let below =
            |prefixes: &Prefixes, reading: &str| prefixes.below(reading.trim_end_matches('/')).collect();
        among(self.host_routes(host), path, method, below)
    }

    /// Returns the routes of all longer paths that begin with this text, at a segment border or not.
    pub fn beginning_with<'r>(
        &'r self,
        host: &Host,
        path: &ReadPath,
        method: &Method,
    ) -> Vec<PathRoutesFor<'r>> {
        let beginning = |prefixes: &Prefixes, reading: &str| prefixes.beginning_with(reading).collect();
        among(self.host_routes(host), path, method, beginning)
    }
}

/// Returns the routes of a host that are found by some reading of a path. One in another encoding than UTF-8 may mean any path
/// with characters beyond ASCII.
fn among<'r>(
    host: Option<&'r HostRoutes>,
    path: &ReadPath,
    method: &Method,
    find: impl Fn(&Prefixes, &str) -> Vec<usize>,
) -> Vec<PathRoutesFor<'r>> {
    let Some(host) = host else {
        return Vec::new();
    };
    let mut places = Vec::new();
    if path.is_in_other_encoding() {
        places.extend_from_slice(host.prefixes().beyond_ascii());
    }
    for reading in path.folded() {
        for place in find(host.prefixes(), reading) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    let routes = places.into_iter().filter_map(|place| host.nth(place));
    let below = routes.map(|routes| PathRoutesFor {
        is_root: routes.is_root(),
        route: routes.route_for(method),
        all: routes.all(),
    });
    below.collect()
}
