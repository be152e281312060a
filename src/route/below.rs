//! The routes below a path: of what lies in a collection, if the path is one.

use std::iter;

use http::Method;

use super::prefixes::Prefixes;
use super::readings::{Readings, fold};
use super::{Route, Routes};
use crate::request::Host;

/// The routes of one path below another one.
#[derive(Clone, Copy, Debug)]
pub struct Below<'r> {
    /// That for the method, if there is one.
    pub route: Option<&'r Route>,
    /// All of them, whatever their method; never none.
    pub all: &'r [Route],
}

impl Routes {
    /// The routes of all paths below this one, for this method. Neither case nor encoding hides one, and the path was
    /// found before.
    pub fn below<'r>(&'r self, host: &Host, path: &str, method: &Method) -> Vec<Below<'r>> {
        self.among(host, path, method, |prefixes, reading| {
            prefixes.below(reading.trim_end_matches('/')).collect()
        })
    }

    /// The routes of all longer paths that begin with this one, on a segment's border or not.
    pub fn beginning_with<'r>(&'r self, host: &Host, path: &str, method: &Method) -> Vec<Below<'r>> {
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
    ) -> Vec<Below<'r>> {
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
        let below = routes.map(|routes| Below {
            route: routes.route_for(method),
            all: routes.all(),
        });
        below.collect()
    }
}
