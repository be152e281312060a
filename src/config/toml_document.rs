//! A parsed TOML file that knows the position of every key and value.

use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::diagnostic::TextPosition;

/// The path of a key: `route[1].host`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<PathStep>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathStep {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// Appends a key.
    pub(super) fn key(&self, name: &str) -> Self {
        self.and(PathStep::Key(name.to_owned()))
    }

    /// Appends an array index, from 0.
    pub(super) fn index(&self, index: usize) -> Self {
        self.and(PathStep::Index(index))
    }

    fn and(&self, step: PathStep) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(super) fn steps(&self) -> &[PathStep] {
        &self.0
    }

    /// Returns the last step, if it is a key.
    pub(super) fn name(&self) -> Option<&str> {
        match self.0.last()? {
            PathStep::Key(name) => Some(name),
            PathStep::Index(_) => None,
        }
    }

    /// Whether one path is a prefix of the other.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }
}

/// A path of plain keys, `signup.mode`.
impl From<&str> for KeyPath {
    fn from(dotted: &str) -> Self {
        Self(
            dotted
                .split('.')
                .map(|key| PathStep::Key(key.to_owned()))
                .collect(),
        )
    }
}

impl KeyPath {
    /// Parses a path in its displayed form: `route[0].host`.
    pub(super) fn parse(text: &str) -> Self {
        text.split('.').fold(Self::default(), |path, step| {
            let (name, indices) = step.split_once('[').unwrap_or((step, ""));
            let indices = indices.split('[').filter_map(|index| index.strip_suffix(']'));
            indices
                .filter_map(|index| index.parse().ok())
                .fold(path.key(name), |path, index| path.index(index))
        })
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Index(index) => write!(f, "[{index}]")?,
                PathStep::Key(key) => {
                    if place > 0 {
                        f.write_str(".")?;
                    }
                    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                    if !key.is_empty() && key.bytes().all(bare) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "\"{}\"", key.escape_debug())?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A file in two versions: as written, for positions, and without the values that failed so far, for reading.
pub(super) struct TomlDocument<'t> {
    text: &'t str,
    written: Spanned<DeValue<'t>>,
    rest: Spanned<DeValue<'t>>,
    /// Array elements that `rest` lacks, by their path in `written`.
    removed: Vec<KeyPath>,
}

/// Which of several values at one position is meant: the first `[[route]]` and the array `route` begin at the
/// same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefer {
    Outermost,
    Innermost,
}

impl<'t> TomlDocument<'t> {
    /// Parses a file; returns all syntax errors with their positions.
    pub(super) fn parse(text: &'t str) -> Result<Self, Vec<(TextPosition, String)>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let mut errors: Vec<_> = errors
                .into_iter()
                .map(|error| {
                    let offset = error.span().map_or(0, |span| span.start);
                    (TextPosition::of(text, offset), error.message().to_owned())
                })
                .collect();
            errors.sort_by_key(|(position, _)| *position);
            return Err(errors);
        }
        Ok(Self::of(text, table))
    }

    /// What can be read of a text whose grammar is broken: the rest is left out.
    pub(super) fn parse_readable(text: &'t str) -> Self {
        let (table, _) = DeTable::parse_recoverable(text);
        Self::of(text, table)
    }

    fn of(text: &'t str, table: Spanned<DeTable<'t>>) -> Self {
        let span = table.span();
        let written = Spanned::new(span, DeValue::Table(table.into_inner()));
        Self {
            text,
            rest: written.clone(),
            written,
            removed: Vec::new(),
        }
    }

    /// Deserializes the rest.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, toml::de::Error> {
        T::deserialize(ValueDeserializer::from(self.rest.clone()))
    }

    /// Returns the path in the rest of the value at a span.
    pub(super) fn at(&self, span: &Range<usize>, prefer: Prefer) -> Option<KeyPath> {
        find(&self.rest, span, prefer, &KeyPath::default())
    }

    /// Returns the path of the first array in the rest for which `is_one` holds.
    pub(super) fn array_where(&self, is_one: &impl Fn(&KeyPath) -> bool) -> Option<KeyPath> {
        find_array(&self.rest, is_one, &KeyPath::default())
    }

    /// Removes a value, by its path in the rest.
    pub(super) fn remove(&mut self, path: &KeyPath) {
        let written = self.as_written(path);
        let Some((last, parents)) = path.0.split_last() else {
            return;
        };
        let mut parent = self.rest.get_mut();
        for step in parents {
            match child_mut(parent, step) {
                Some(child) => parent = child,
                None => return,
            }
        }
        match (parent, last) {
            (DeValue::Table(table), PathStep::Key(key)) => {
                table.remove(key.as_str());
            }
            (DeValue::Array(array), PathStep::Index(index)) if *index < array.len() => {
                let kept = std::mem::replace(array, std::iter::empty().collect())
                    .into_iter()
                    .enumerate();
                *array = kept
                    .filter(|(at, _)| at != index)
                    .map(|(_, value)| value)
                    .collect();
                self.removed.push(written);
            }
            _ => {}
        }
    }

    /// Converts a path in the rest to one in the file, counting removed array elements again.
    pub(super) fn as_written(&self, path: &KeyPath) -> KeyPath {
        let mut written = KeyPath::default();
        for step in &path.0 {
            let step = match step {
                PathStep::Key(_) => step.clone(),
                PathStep::Index(index) => PathStep::Index(self.written_index(&written, *index)),
            };
            written.0.push(step);
        }
        written
    }

    fn written_index(&self, array: &KeyPath, index: usize) -> usize {
        let mut gone: Vec<usize> = self
            .removed
            .iter()
            .filter_map(|removed| match removed.0.split_last()? {
                (PathStep::Index(index), parents) if parents == array.0 => Some(*index),
                _ => None,
            })
            .collect();
        gone.sort_unstable();
        gone.into_iter()
            .fold(index, |index, gone| if gone <= index { index + 1 } else { index })
    }

    /// Returns the position of a value, by its path in the file; that of its table if it is absent.
    pub(super) fn position(&self, path: &KeyPath) -> TextPosition {
        let mut value = &self.written;
        let mut offset = 0;
        for step in &path.0 {
            match child(value.get_ref(), step) {
                Some(child) => value = child,
                None => break,
            }
            offset = value.span().start;
        }
        TextPosition::of(self.text, offset)
    }

    /// Returns the position of a key's name, by its path in the file.
    pub(super) fn position_of_key(&self, path: &KeyPath) -> TextPosition {
        let Some((PathStep::Key(key), parents)) = path.0.split_last() else {
            return self.position(path);
        };
        let mut value = &self.written;
        for step in parents {
            match child(value.get_ref(), step) {
                Some(child) => value = child,
                None => return self.position(path),
            }
        }
        match value.get_ref() {
            DeValue::Table(table) => match table.get_key_value(key.as_str()) {
                Some((key, _)) => TextPosition::of(self.text, key.span().start),
                None => self.position(path),
            },
            _ => self.position(path),
        }
    }

    /// Whether the file has a value at a path, valid or not.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        self.value(path).is_some()
    }

    /// Returns the type of the value at a path in the file.
    pub(super) fn kind(&self, path: &KeyPath) -> Option<&'static str> {
        Some(match self.value(path)? {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        })
    }

    /// Returns the string at a path in the file.
    pub(super) fn string(&self, path: &KeyPath) -> Option<&str> {
        match self.value(path)? {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    fn value(&self, path: &KeyPath) -> Option<&DeValue<'t>> {
        path.0.iter().try_fold(self.written.get_ref(), |value, step| {
            child(value, step).map(Spanned::get_ref)
        })
    }
}

fn child<'v, 't>(value: &'v DeValue<'t>, step: &PathStep) -> Option<&'v Spanned<DeValue<'t>>> {
    match (value, step) {
        (DeValue::Table(table), PathStep::Key(key)) => table.get(key.as_str()),
        (DeValue::Array(array), PathStep::Index(index)) => array.get(*index),
        _ => None,
    }
}

fn child_mut<'v, 't>(value: &'v mut DeValue<'t>, step: &PathStep) -> Option<&'v mut DeValue<'t>> {
    match (value, step) {
        (DeValue::Table(table), PathStep::Key(key)) => table.get_mut(key.as_str()).map(Spanned::get_mut),
        (DeValue::Array(array), PathStep::Index(index)) => array.get_mut(*index).map(Spanned::get_mut),
        _ => None,
    }
}

fn find(
    value: &Spanned<DeValue<'_>>,
    span: &Range<usize>,
    prefer: Prefer,
    path: &KeyPath,
) -> Option<KeyPath> {
    let check = |key: Option<Range<usize>>, value: &Spanned<DeValue<'_>>, path: KeyPath| {
        let here = key.as_ref() == Some(span) || value.span() == *span;
        if here && prefer == Prefer::Outermost {
            return Some(path);
        }
        find(value, span, prefer, &path).or_else(|| here.then_some(path))
    };
    match value.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .find_map(|(key, value)| check(Some(key.span()), value, path.key(key.get_ref()))),
        DeValue::Array(array) => array
            .iter()
            .enumerate()
            .find_map(|(index, value)| check(None, value, path.index(index))),
        _ => None,
    }
}

fn find_array(
    value: &Spanned<DeValue<'_>>,
    is_one: &impl Fn(&KeyPath) -> bool,
    path: &KeyPath,
) -> Option<KeyPath> {
    match value.get_ref() {
        DeValue::Array(_) if is_one(path) => Some(path.clone()),
        DeValue::Array(array) => array
            .iter()
            .enumerate()
            .find_map(|(index, value)| find_array(value, is_one, &path.index(index))),
        DeValue::Table(table) => table
            .iter()
            .find_map(|(key, value)| find_array(value, is_one, &path.key(key.get_ref()))),
        _ => None,
    }
}
