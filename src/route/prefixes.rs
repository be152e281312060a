//! The paths of a host's routes, in all their readings.
//!
//! A route's path may have readings itself: `/a%20b` is `/a b` after decoding. A reading of a request's path
//! is compared with these, because the same server reads both.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::iter;

use super::read_path::is_in_other_encoding;
use super::readings::{Readings, fold};

/// The paths of a host's routes, in all readings; longest first.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    exact: Vec<Prefix>,
    folded: Vec<Prefix>,
    are_ordinary: bool,
    /// Indexes of the paths with characters beyond ASCII, in UTF-8.
    beyond_ascii: Vec<usize>,
}

/// Whether case matters in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Exact,
    Folded,
}

/// A reading of a route's path.
#[derive(Debug)]
struct Prefix {
    /// Without a trailing `/`.
    text: String,
    /// The index of the path among those of the host.
    index: usize,
    /// Whether the path is configured in this form.
    is_literal: bool,
}

impl Prefixes {
    /// Computes the readings of paths without a trailing `/`.
    pub(super) fn of<'p>(paths: impl Iterator<Item = &'p str>) -> Self {
        let mut prefixes = Self {
            are_ordinary: true,
            ..Self::default()
        };
        for (index, path) in paths.enumerate() {
            // On an error there are no readings: every path with this prefix is refused for the same reason.
            let readings = Readings::of(&format!("{path}/")).unwrap_or(Readings::Ordinary);
            prefixes.are_ordinary &= readings == Readings::Ordinary;
            let is_utf8 = !readings.others().any(is_in_other_encoding);
            if is_utf8 && !readings.others().all(str::is_ascii) {
                prefixes.beyond_ascii.push(index);
            }
            for reading in iter::once(path).chain(readings.others()) {
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

    /// Whether each of them has one reading only, and no capitals.
    pub(super) fn are_ordinary(&self) -> bool {
        self.are_ordinary
    }

    /// Returns the indexes of the paths with characters beyond ASCII, in UTF-8.
    pub(super) fn beyond_ascii(&self) -> &[usize] {
        &self.beyond_ascii
    }

    /// Returns the index of the longest prefix of a reading, and the rest of the reading. At equal length, a
    /// configured form goes before other readings.
    pub(super) fn longest<'p>(&self, reading: &'p str, spelling: Spelling) -> Option<(usize, &'p str)> {
        let list = match spelling {
            Spelling::Exact => &self.exact,
            Spelling::Folded => &self.folded,
        };
        list.iter()
            .find_map(|prefix| Some((prefix.index, rest(reading, &prefix.text)?)))
    }

    /// Returns the indexes of the longest prefixes of a folded reading: several if they differ in case only.
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

    /// Returns the indexes of the paths below a folded reading; one may occur several times.
    pub(super) fn below<'p>(&'p self, base: &'p str) -> impl Iterator<Item = usize> + 'p {
        self.folded
            .iter()
            .filter(move |prefix| rest(&prefix.text, base).is_some_and(|rest| !rest.is_empty()))
            .map(|prefix| prefix.index)
    }

    /// Returns the indexes of longer paths that begin with a folded reading, at a segment border or not.
    pub(super) fn beginning_with<'p>(&'p self, base: &'p str) -> impl Iterator<Item = usize> + 'p {
        self.folded
            .iter()
            .filter(move |prefix| prefix.text.len() > base.len() && prefix.text.starts_with(base))
            .map(|prefix| prefix.index)
    }
}

impl Spelling {
    /// Returns a text in its form for comparison.
    pub(super) fn of(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Exact => text.into(),
            Self::Folded => fold(text),
        }
    }
}

/// Returns what follows a prefix in a path, if the prefix ends at a segment border.
pub(super) fn rest<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}
