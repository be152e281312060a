//! The parts of a request that a signature can cover.

use http::HeaderMap;
use http::header::AsHeaderName;

use super::SignatureError;

/// A borrowed view of a request, exactly as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The method.
    pub method: &'a str,
    /// Host and port, as sent.
    pub authority: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query, without its `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl<'a> Message<'a> {
    /// The value of a header that is there at most once, in visible ASCII.
    pub(in crate::authenticate) fn only(
        &self,
        name: impl AsHeaderName,
    ) -> Result<Option<&'a str>, SignatureError> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(|value| Some(value.trim())).map_err(|_| {
                SignatureError::Malformed("a header that belongs to the signature is not in ASCII")
            }),
            (Some(_), Some(_)) => Err(SignatureError::Malformed(
                "a header that belongs to the signature is there more than once",
            )),
        }
    }
}
