//! The paths of a host's routes, as others read them.
//!
//! A route's path may itself have readings: `/a%20b` is `/a b` for whoever decodes. A reading of a request's path is
//! compared with those, as both are read by the same application.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::iter;

use super::readings::{Readings, fold};

/// The paths of a host's routes in all readings.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    exact: Vec<Prefix>,
    folded: Vec<Prefix>,
    are_ordinary: bool,
}

/// Whether case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Exact,
    Folded,
}

/// A reading of a route's path.
#[derive(Debug)]
struct Prefix {
    /// Without a final `/`.
    text: String,
    /// The path's place among all of the host's.
    index: usize,
    /// Whether the path is written like this.
    is_literal: bool,
}

impl Prefixes {
    /// Those of paths without a final `/`.
    pub(super) fn of<'p>(paths: impl Iterator<Item = &'p str>) -> Self {
        let mut prefixes = Self {
            are_ordinary: true,
            ..Self::default()
        };
        for (index, path) in paths.enumerate() {
            // Where there is an error, whatever begins with the path is refused for the same reason.
            let readings = Readings::of(&format!("{path}/")).unwrap_or(Readings::Ordinary);
            prefixes.are_ordinary &= readings == Readings::Ordinary;
            for reading in iter::once(path).chain(readings.others().iter().map(String::as_str)) {
                for (spelling, list) in [
                    (Spelling::Exact, &mut prefixes.exact),
                    (Spelling::Folded, &mut prefixes.folded),
                ] {
                    let text = spelling.of(reading.trim_end_matches('/')).into_owned();
                    let is_literal = text == path;
                    list.push(Prefix {
                        text,
                        index,
                        is_literal,
                    });
                }
            }
        }
        for list in [&mut prefixes.exact, &mut prefixes.folded] {
            list.sort_by_key(|prefix| (Reverse(prefix.text.len()), Reverse(prefix.is_literal)));
        }
        prefixes
    }

    /// Whether all of them are read in one way, and have no capitals.
    pub(super) fn are_ordinary(&self) -> bool {
        self.are_ordinary
    }

    /// The longest that a reading of this spelling begins with, one that is written so before one that is read so: its
    /// path's place among all, and the rest of the reading.
    pub(super) fn longest<'p>(&self, reading: &'p str, spelling: Spelling) -> Option<(usize, &'p str)> {
        let list = match spelling {
            Spelling::Exact => &self.exact,
            Spelling::Folded => &self.folded,
        };
        list.iter()
            .find_map(|prefix| Some((prefix.index, rest(reading, &prefix.text)?)))
    }

    /// The places of the longest paths that a folded reading begins with: several, where they differ in case alone.
    pub(super) fn taking<'p>(&'p self, reading: &'p str) -> impl Iterator<Item = usize> + 'p {
        let mut taking = self
            .folded
            .iter()
            .filter(move |prefix| rest(reading, &prefix.text).is_some())
            .peekable();
        let longest = taking.peek().map_or(0, |prefix| prefix.text.len());
        taking
            .take_while(move |prefix| prefix.text.len() == longest)
            .map(|prefix| prefix.index)
    }

    /// The places of the paths below a folded reading, each as often as it is read so.
    pub(super) fn below<'p>(&'p self, base: &'p str) -> impl Iterator<Item = usize> + 'p {
        self.folded
            .iter()
            .filter(move |prefix| rest(&prefix.text, base).is_some_and(|rest| !rest.is_empty()))
            .map(|prefix| prefix.index)
    }

    /// The places of the paths that are longer than a folded reading and begin with it, on a segment's border or not.
    pub(super) fn beginning_with<'p>(&'p self, base: &'p str) -> impl Iterator<Item = usize> + 'p {
        self.folded
            .iter()
            .filter(move |prefix| prefix.text.len() > base.len() && prefix.text.starts_with(base))
            .map(|prefix| prefix.index)
    }
}

impl Spelling {
    /// A text as it is compared.
    pub(super) fn of(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Exact => text.into(),
            Self::Folded => fold(text),
        }
    }
}

/// What follows a prefix in a path, if it ends on a segment's border.
pub(super) fn rest<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}
