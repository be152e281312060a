//! The hypothetical request that [`Gateway::explain`](super::super::Gateway::explain) takes, parsed from
//! method and URL.

use std::net::IpAddr;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::proxy::second_resource::DESTINATION;
use crate::request::Host;
use crate::services::AccountError;

/// A hypothetical request.
#[derive(Debug)]
pub struct ExplainRequest {
    pub(super) method: Method,
    pub(super) host: Host,
    /// Host and port, as a client sends them.
    pub(super) authority: String,
    pub(super) target: PathAndQuery,
    /// Whether the URL had a fragment.
    pub(super) has_fragment: bool,
    /// Whether the URL has the scheme `http`.
    pub(super) is_plain: bool,
    /// The account: its e-mail address, username or id. `None` for an anonymous request.
    pub(super) caller: Option<String>,
    pub(super) destination: Option<HeaderValue>,
    /// The client's address; `None` if it does not matter.
    pub(super) client: Option<IpAddr>,
}

/// The kind of client: a browser and a program get refusals in different forms.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClientKind {
    Browser,
    Program,
}

/// Why a request cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// Not a method.
    #[error("{0:?} is not a method such as GET")]
    Method(String),
    /// Not a URL.
    #[error("{0:?} is no URL such as https://console.example.com/path, and no path such as /path")]
    Url(String),
    /// Not a request target.
    #[error("{0:?} cannot be sent in a request: spaces and letters beyond ASCII are percent-encoded")]
    Target(String),
    /// The account does not exist or cannot be read.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl ExplainRequest {
    /// Parses a request. `url` is absolute, or a path relative to `base`. The path is kept as it is written:
    /// a URL parser would resolve dot segments, which the gateway refuses.
    pub fn parse(method: &str, url: &str, base: &str, caller: Option<String>) -> Result<Self, ExplainError> {
        let (url, fragment) = match url.split_once('#') {
            Some((url, _)) => (url, true),
            None => (url, false),
        };
        let is_path = url.starts_with('/') || url == "*";
        let whole = if is_path { base } else { url };
        let not_one = || ExplainError::Url(url.to_owned());
        let (scheme, rest) = whole.split_once("://").ok_or_else(not_one)?;
        if !["http", "https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(not_one());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, sent) = rest.split_at(end);
        let sent = if is_path { url } else { sent };
        let target = match sent {
            "" => "/".to_owned(),
            sent if sent.starts_with('?') => format!("/{sent}"),
            sent => sent.to_owned(),
        };
        if !target.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ExplainError::Target(target));
        }
        Ok(Self {
            method: method
                .parse()
                .map_err(|_| ExplainError::Method(method.to_owned()))?,
            host: authority.parse().map_err(|_| not_one())?,
            authority: authority.to_owned(),
            target: target.parse().map_err(|_| ExplainError::Target(target))?,
            has_fragment: fragment,
            is_plain: scheme.eq_ignore_ascii_case("http"),
            caller,
            destination: None,
            client: None,
        })
    }

    /// Adds a `Destination` header with this value.
    pub fn to(self, destination: &str) -> Result<Self, ExplainError> {
        let value = HeaderValue::from_bytes(destination.as_bytes());
        Ok(Self {
            destination: Some(value.map_err(|_| ExplainError::Target(destination.to_owned()))?),
            ..self
        })
    }

    /// Sets the client's address.
    #[must_use]
    pub fn from_client(self, client: IpAddr) -> Self {
        Self {
            client: Some(client),
            ..self
        }
    }

    /// Returns the plain headers of such a request from this kind of client; OPTIONS is a CORS preflight.
    pub(super) fn headers(&self, sender: ClientKind) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_str(&self.authority).map(|host| (header::HOST, host)));
        if let Some(destination) = &self.destination {
            headers.insert(DESTINATION, destination.clone());
        }
        if self.method == Method::OPTIONS {
            let origin = HeaderValue::from_str(&format!("https://{}", self.authority));
            headers.extend(origin.map(|origin| (header::ORIGIN, origin)));
            let asked = HeaderValue::from_static("GET");
            headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, asked);
        }
        match sender {
            ClientKind::Browser => {
                headers.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
                let mode = HeaderName::from_static("sec-fetch-mode");
                headers.insert(mode, HeaderValue::from_static("navigate"));
            }
            ClientKind::Program => {
                headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<String, ExplainError> {
        let asked = ExplainRequest::parse("GET", url, "https://gw.example.com:8443", None)?;
        Ok(format!("{} {} {}", asked.host, asked.authority, asked.target))
    }

    #[test]
    fn a_path_stays_as_it_is_written() {
        for (url, seen) in [
            ("/a", "gw.example.com gw.example.com:8443 /a"),
            (
                "/a/../b?c=/../d",
                "gw.example.com gw.example.com:8443 /a/../b?c=/../d",
            ),
            ("https://A.com", "a.com A.com /"),
            ("HTTPS://a.com:1?x", "a.com a.com:1 /?x"),
            ("https://a.com//b/%2e/\\c", "a.com a.com //b/%2e/\\c"),
            ("https://a.com/b#c/../d", "a.com a.com /b"),
        ] {
            assert_eq!(read(url).unwrap(), seen, "{url}");
        }
    }

    #[test]
    fn what_could_not_be_sent_is_refused() {
        for url in [
            "",
            "a",
            "a.com/b",
            "ftp://a.com/",
            "https://",
            "https://a b/",
            "https://u@a/",
        ] {
            assert!(
                matches!(read(url), Err(ExplainError::Url(_))),
                "{url}: {:?}",
                read(url)
            );
        }
        for url in ["/a b", "/é"] {
            assert!(matches!(read(url), Err(ExplainError::Target(_))), "{url}");
        }
        let wrong = ExplainRequest::parse("GE T", "/", "https://a.com", None);
        assert!(matches!(wrong, Err(ExplainError::Method(_))));
    }
}
