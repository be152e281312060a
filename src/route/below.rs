//! Finds the routes at any reading of a path, and below it, for operations on whole collections.

use http::Method;

use super::prefixes::Prefixes;
use super::{ReadPath, Route, Routes};
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
        self.among(host, path, method, |prefixes, reading| {
            prefixes.taking(reading).collect()
        })
    }

    /// Returns the routes of all paths below this one, for a method. Compares without case and in every
    /// reading.
    pub fn below<'r>(&'r self, host: &Host, path: &ReadPath, method: &Method) -> Vec<PathRoutesFor<'r>> {
        self.among(host, path, method, |prefixes, reading| {
            prefixes.below(reading.trim_end_matches('/')).collect()
        })
    }

    /// Returns the routes of all longer paths that begin with this text, at a segment border or not.
    pub fn beginning_with<'r>(
        &'r self,
        host: &Host,
        path: &ReadPath,
        method: &Method,
    ) -> Vec<PathRoutesFor<'r>> {
        self.among(host, path, method, |prefixes, reading| {
            prefixes.beginning_with(reading).collect()
        })
    }

    /// A path in another encoding than UTF-8 may mean any path with characters beyond ASCII.
    fn among<'r>(
        &'r self,
        host: &Host,
        path: &ReadPath,
        method: &Method,
        find: impl Fn(&Prefixes, &str) -> Vec<usize>,
    ) -> Vec<PathRoutesFor<'r>> {
        let Some(host) = self.host_routes(host) else {
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
}
