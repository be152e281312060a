//! The routes at a path, however it is read, and below it: of what lies in a collection, if the path is one.

use std::iter;

use http::Method;

use super::prefixes::Prefixes;
use super::readings::{Readings, fold};
use super::{Route, Routes};
use crate::request::Host;

/// The routes of one path.
#[derive(Clone, Copy, Debug)]
pub struct PathRoutesFor<'r> {
    /// Whether that path is the whole host's.
    pub is_root: bool,
    /// That for the method, if there is one.
    pub route: Option<&'r Route>,
    /// All of them, whatever their method; never none.
    pub all: &'r [Route],
}

impl Routes {
    /// The routes that a path takes on a host, for this method, in all that it could be read as.
    pub fn at_any_reading<'r>(&'r self, host: &Host, path: &str, method: &Method) -> Vec<PathRoutesFor<'r>> {
        self.among(host, path, method, |prefixes, reading| {
            prefixes.taking(reading).collect()
        })
    }

    /// The routes of all paths below this one, for this method. Neither case nor encoding hides one, and the path was
    /// found before.
    pub fn below<'r>(&'r self, host: &Host, path: &str, method: &Method) -> Vec<PathRoutesFor<'r>> {
        self.among(host, path, method, |prefixes, reading| {
            prefixes.below(reading.trim_end_matches('/')).collect()
        })
    }

    /// The routes of all longer paths that begin with this one, on a segment's border or not.
    pub fn beginning_with<'r>(&'r self, host: &Host, path: &str, method: &Method) -> Vec<PathRoutesFor<'r>> {
        self.among(host, path, method, |prefixes, reading| {
            prefixes.beginning_with(reading).collect()
        })
    }

    fn among<'r>(
        &'r self,
        host: &Host,
        path: &str,
        method: &Method,
        find: impl Fn(&Prefixes, &str) -> Vec<usize>,
    ) -> Vec<PathRoutesFor<'r>> {
        let Some(host) = self.of_host(host) else {
            return Vec::new();
        };
        let readings = Readings::of(path).unwrap_or(Readings::Ordinary);
        let mut places = Vec::new();
        for reading in iter::once(path).chain(readings.others().iter().map(String::as_str)) {
            for place in find(host.prefixes(), &fold(reading)) {
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
