//! What the fuzz targets share: requests made of arbitrary text.

use http::{HeaderMap, HeaderName, HeaderValue};
use vestibule::authenticate::signature::Message;

/// A request, and its credentials.
pub struct Sent<'a> {
    method: &'a str,
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    headers: HeaderMap,
    /// What follows the scheme in `Authorization`.
    pub parameters: &'a str,
}

impl<'a> Sent<'a> {
    /// Parses a request from lines, headers last. `None` if a server would not accept it.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(data).ok()?.split('\n');
        let mut line = || lines.next();
        let mut sent = Self {
            method: line()?,
            authority: line()?,
            path: line()?,
            query: line().filter(|query| !query.is_empty()),
            parameters: line()?,
            headers: HeaderMap::new(),
        };
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name: HeaderName = name.parse().ok()?;
            sent.headers.append(name, HeaderValue::from_str(value).ok()?);
        }
        Some(sent)
    }

    pub fn message(&'a self) -> Message<'a> {
        Message {
            method: self.method,
            authority: self.authority,
            path: self.path,
            query: self.query,
            headers: &self.headers,
        }
    }
}

/// A secret that no input was signed with.
pub const SECRET: &str = "never-a-secret-of-anybody-never-of-anybod";
