//! The head of a request, as the stages see it.

use http::{HeaderMap, Method};

use super::{ClientAddress, Host, RequestId};

/// A borrowed view of one request's head. Every stage judges the same bytes: those that were sent.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The host that was asked for, without its port.
    pub host: &'a Host,
    /// The scheme that the client used: `https`, unless a trusted proxy says otherwise.
    pub scheme: &'static str,
    /// The host and port as sent (`Host` or `:authority`), or as a trusted proxy says that they were sent to it.
    pub authority: &'a str,
    /// The path, exactly as sent.
    pub path: &'a str,
    /// The query, exactly as sent, without its `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Who is at the other end of the connection.
    pub client: &'a ClientAddress,
    /// The name of this request in answers and in the record.
    pub id: RequestId,
}
