//! The headers that a route sets in, or removes from, responses of its application.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Changes of response headers, in order of name. `None` removes one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseHeaders(Vec<(HeaderName, Option<HeaderValue>)>);

impl ResponseHeaders {
    /// Parses `response_headers` of a route; the name of the one that cannot be a header is the error.
    pub(super) fn parse(written: &BTreeMap<String, String>) -> Result<Self, &str> {
        let changes = written.iter().map(|(name, value)| {
            let value = Some(value).filter(|value| !value.is_empty());
            let value = value.map(|value| value.parse()).transpose();
            match (name.parse(), value) {
                (Ok(header), Ok(value)) => Ok((header, value)),
                _ => Err(name.as_str()),
            }
        });
        changes.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => headers.insert(name, value.clone()),
                None => headers.remove(name),
            };
        }
    }
}
