//! Deserialization of values that are written as text.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Deserializes a string by `parse`; its message names what is `expected` instead of other types. By a visitor, so that an
/// error in an array is one of the element, not of the whole array.
pub(super) fn from_text<'de, D, T, E>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
{
    deserializer.deserialize_str(TextVisitor(expected, parse, PhantomData))
}

struct TextVisitor<T, P>(&'static str, P, PhantomData<T>);

impl<T, E, P> Visitor<'_> for TextVisitor<T, P>
where
    P: FnOnce(&str) -> Result<T, E>,
    E: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<V: Error>(self, text: &str) -> Result<T, V> {
        (self.1)(text).map_err(V::custom)
    }
}
