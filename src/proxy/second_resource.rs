//! The resources that a request names beside its target (S75): `Destination` of COPY and MOVE and the resource tags of
//! `If` (RFC 4918, sections 10.3 and 10.4), and what object stores copy from ([`copy_source`](super::copy_source)).
//!
//! An application acts on them with the rights of the request. So each must be of the same host and is judged by the
//! policy of its own route, for the principal of the request and the methods that the act amounts to. The URLs of WebDAV
//! reach the application with the scheme and host of the connection that the application sees.

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::forward::for_application;
use super::if_header::resource_tags;
use super::{Gateway, method_override};
use crate::authorize::Permit;
use crate::config::{Config, DestinationForm, Server, UpstreamConfig, UpstreamPreset};
use crate::refusal::{Hint, Problem, Refusal};
use crate::request::{Host, RequestHead};
use crate::route::{
    BadPath, Below, Found, MOST_READINGS, Route, Routes, Target, Unroutable, UpstreamName, count_readings,
};

pub(super) const DESTINATION: HeaderName = HeaderName::from_static("destination");
const IF: HeaderName = HeaderName::from_static("if");
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");
const DEPTH: HeaderName = HeaderName::from_static("depth");

/// Bytes of a header that names resources. Each of them is judged as often as a target and oftener, and common servers
/// take no longer field.
const MOST_BYTES: usize = 8 << 10;

/// A policy's decision about every second resource of one request, which is that they pass.
#[derive(Debug, Default)]
pub(super) struct SecondResources {
    destination: Option<PathAndQuery>,
    /// The header's text between the URLs of its resource tags, and those URLs.
    conditions: Option<Vec<Piece>>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Url(PathAndQuery),
}

/// The scheme with which each application is told of URLs of its own host, in the order of [`Routes::upstreams`].
#[derive(Debug)]
pub(super) struct UrlSchemes(Vec<&'static str>);

/// A reason why a second resource is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecondResourceError {
    #[error("{0} names no URL of this host, or more than one")]
    Unreadable(&'static str),
    #[error("{0} is longer than {MOST_BYTES} bytes")]
    TooLong(&'static str),
    #[error("{0} names resources that can be read in more than {MOST_READINGS} ways together")]
    TooAmbiguous(&'static str),
    #[error("{0}: {1}")]
    BadPath(&'static str, BadPath),
    #[error("{0} names another host")]
    OtherHost(&'static str),
    #[error("{header} names {path}: {reason}")]
    Forbidden {
        header: &'static str,
        path: String,
        reason: String,
    },
    #[error("{method} on the route {route}, which is below, is for others")]
    Below { method: Method, route: String },
}

impl Gateway {
    /// Judges the second resources of a request that `permit` admits.
    pub(super) fn second_resources(
        &self,
        head: &RequestHead<'_>,
        to: Found<'_>,
        permit: &Permit,
    ) -> Result<SecondResources, Refusal> {
        let Found::Route(route) = to else {
            return Ok(SecondResources::default());
        };
        self.require_copy_sources(head, route, permit)?;
        self.require_collection(head, route, permit)?;
        let destination = acts_on_destination(head)
            .then(|| self.destination(head, route, permit))
            .transpose()?
            .flatten();
        Ok(SecondResources {
            destination,
            conditions: self.conditions(head, route, permit)?,
        })
    }

    fn destination(
        &self,
        head: &RequestHead<'_>,
        own: &Route,
        permit: &Permit,
    ) -> Result<Option<PathAndQuery>, SecondResourceError> {
        const HEADER: &str = "Destination";
        let Some(value) = only(head.headers, &DESTINATION, HEADER)? else {
            return Ok(None);
        };
        let url = parse(value, head, HEADER)?;
        // An overwritten resource is deleted first (RFC 4918, section 9.9.3).
        let overwrites = only(head.headers, &OVERWRITE, "Overwrite")? != Some("F");
        if overwrites {
            self.require_second(head, &url, &Method::DELETE, permit, HEADER)?;
        }
        let route = self.require_second(head, &url, &Method::PUT, permit, HEADER)?;
        // What lies below is below the paths that the application sees. It is copied whatever `Depth` says (RFC 4918,
        // section 9.8.3, knows 0): common servers copy it all the same.
        let source = own.bare_path(head.path).unwrap_or(head.path.into());
        let url = rewritten(route, url, HEADER)?;
        if overwrites {
            self.require_below(head, url.path(), own, &Method::DELETE, permit)?;
        }
        self.require_below(head, url.path(), own, &Method::PUT, permit)?;
        self.require_below(head, &source, own, &Method::GET, permit)?;
        if !head.method.as_str().eq_ignore_ascii_case("COPY") {
            self.require_below(head, &source, own, &Method::DELETE, permit)?;
        }
        Ok(Some(url))
    }

    /// Judges what lies in a collection that is deleted or locked with it (RFC 4918, sections 9.6.1 and 9.10.3).
    fn require_collection(
        &self,
        head: &RequestHead<'_>,
        own: &Route,
        permit: &Permit,
    ) -> Result<(), SecondResourceError> {
        let path = own.bare_path(head.path).unwrap_or(head.path.into());
        if self.may_mean(head, own, permit, "DELETE") {
            self.require_below(head, &path, own, &Method::DELETE, permit)?;
        }
        if self.may_mean(head, own, permit, "LOCK") && !is_of_depth_0(head)? {
            self.require_below(head, &path, own, &Method::PUT, permit)?;
        }
        Ok(())
    }

    /// Judges what lies in a collection with which it is read, written or deleted.
    pub(super) fn require_below(
        &self,
        head: &RequestHead<'_>,
        path: &str,
        own: &Route,
        method: &Method,
        permit: &Permit,
    ) -> Result<(), SecondResourceError> {
        match self.closed_below(head, path, own, method, permit).next() {
            None => Ok(()),
            Some(below) => Err(SecondResourceError::Below {
                method: method.clone(),
                route: below.label().to_string(),
            }),
        }
    }

    /// The routes below a path that lead to its own application, whatever name that has there, and by this method let
    /// the permit's principal not in.
    fn closed_below<'r>(
        &'r self,
        head: &RequestHead<'_>,
        path: &str,
        own: &Route,
        method: &Method,
        permit: &Permit,
    ) -> impl Iterator<Item = &'r Route> {
        let below = self.routes.below(head.host, path, method);
        below.into_iter().filter_map(move |Below { route, all }| {
            let leads_there = all
                .iter()
                .find(|route| self.upstreams.is_one_application(route.target(), own.target()));
            let admits = route.is_some_and(|route| permit.extends_to(route, method).is_ok());
            leads_there.filter(|_| !admits)
        })
    }

    /// The routes of whose resources an answer tells that lists what lies below, though the permit's principal may not
    /// read there: `PROPFIND` is judged by the route of the collection alone.
    pub(super) fn listed_below(&self, head: &RequestHead<'_>, own: &Route, permit: &Permit) -> Vec<String> {
        if !head.method.as_str().eq_ignore_ascii_case("PROPFIND") {
            return Vec::new();
        }
        let path = own.bare_path(head.path).unwrap_or(head.path.into());
        let closed = self.closed_below(head, &path, own, &Method::GET, permit);
        closed.map(|route| route.label().to_string()).collect()
    }

    fn conditions(
        &self,
        head: &RequestHead<'_>,
        route: &Route,
        permit: &Permit,
    ) -> Result<Option<Vec<Piece>>, SecondResourceError> {
        const HEADER: &str = "If";
        let Some(value) = only(head.headers, &IF, HEADER)? else {
            return Ok(None);
        };
        let tags = resource_tags(value).ok_or(SecondResourceError::Unreadable(HEADER))?;
        let mut pieces = Vec::with_capacity(2 * tags.len() + 1);
        let mut last = 0;
        let mut readings = 0;
        for tag in tags {
            let url = parse(&value[tag.clone()], head, HEADER)?;
            // All of them together are judged in as many readings as the one path of a target.
            readings +=
                count_readings(url.path()).map_err(|reason| SecondResourceError::BadPath(HEADER, reason))?;
            if readings > MOST_READINGS {
                return Err(SecondResourceError::TooAmbiguous(HEADER));
            }
            // What the request's own route takes by the same method was judged with the request.
            let own = self.routes.find(&at(head, &url, head.method));
            let route = match own {
                Ok(Found::Route(own)) if std::ptr::eq(own, route) => own,
                _ => self.require_second(head, &url, &Method::PUT, permit, HEADER)?,
            };
            pieces.push(Piece::Text(value[last..tag.start].to_owned()));
            pieces.push(Piece::Url(rewritten(route, url, HEADER)?));
            last = tag.end;
        }
        pieces.push(Piece::Text(value[last..].to_owned()));
        Ok(Some(pieces))
    }

    /// The route that takes a request for this URL by this method, if it lets the permit's principal in.
    pub(super) fn require_second(
        &self,
        head: &RequestHead<'_>,
        url: &PathAndQuery,
        method: &Method,
        permit: &Permit,
        header: &'static str,
    ) -> Result<&Route, SecondResourceError> {
        let forbidden = |reason: String| SecondResourceError::Forbidden {
            header,
            path: url.path().to_owned(),
            reason,
        };
        match self.routes.find(&at(head, url, method)) {
            Ok(Found::Route(route)) => {
                let denied = permit.extends_to(route, method).err();
                denied.map_or(Ok(route), |denied| {
                    let cause = denied.refusal.cause.unwrap_or_else(|| "it is for others".into());
                    Err(forbidden(format!(
                        "{method} on the route {}: {cause}",
                        route.label()
                    )))
                })
            }
            Ok(Found::Page(_)) => Err(forbidden("it is a page of the gateway's own".to_owned())),
            Err(Unroutable::BadPath(reason)) => Err(SecondResourceError::BadPath(header, reason)),
            Err(reason) => Err(forbidden(format!("{method}: {reason}"))),
        }
    }
}

/// Whether an application could act on `Destination`. Methods of HTTP itself have no destination, but an application
/// that takes another method from a header may see COPY or MOVE; and some compare methods whatever their case.
fn acts_on_destination(head: &RequestHead<'_>) -> bool {
    const WITHOUT: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    !WITHOUT.contains(head.method) || method_override::is_in(head.headers)
}

fn is_of_depth_0(head: &RequestHead<'_>) -> Result<bool, SecondResourceError> {
    Ok(only(head.headers, &DEPTH, "Depth")? == Some("0"))
}

/// A request for another resource, with everything else of this one.
pub(super) fn at<'h>(head: &RequestHead<'h>, url: &'h PathAndQuery, method: &'h Method) -> RequestHead<'h> {
    RequestHead {
        method,
        path: url.path(),
        query: None,
        ..*head
    }
}

/// The value of a header that is there at most once.
pub(super) fn only<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    shown: &'static str,
) -> Result<Option<&'h str>, SecondResourceError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.len() > MOST_BYTES => Err(SecondResourceError::TooLong(shown)),
        (Some(value), None) => std::str::from_utf8(value.as_bytes())
            .map(|value| Some(value.trim_matches([' ', '\t'])))
            .map_err(|_| SecondResourceError::Unreadable(shown)),
        (Some(_), Some(_)) => Err(SecondResourceError::Unreadable(shown)),
    }
}

/// Reads a `Simple-ref` (RFC 4918, section 8.3): a URL of the requested host, or an absolute path.
pub(super) fn parse(
    text: &str,
    head: &RequestHead<'_>,
    header: &'static str,
) -> Result<PathAndQuery, SecondResourceError> {
    let unreadable = SecondResourceError::Unreadable(header);
    // Resources have no query or fragment, and where one is kept it is part of a path; `//` begins a host for some.
    if text.starts_with("//")
        || text
            .bytes()
            .any(|byte| byte <= b' ' || matches!(byte, b'?' | b'#' | 0x7f))
    {
        return Err(unreadable);
    }
    if text.starts_with('/') {
        return text.parse().map_err(|_| unreadable);
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| unreadable.clone())?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return Err(unreadable),
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let host: Host = authority.parse().map_err(|_| unreadable.clone())?;
    let is_default = |port: &str| port.is_empty() || port == ":" || port == default_port;
    let (port, own) = (port(authority), port(head.authority));
    let is_same_port = port == own || is_default(port) && (is_default(own) || own == ":443");
    if host != *head.host || !is_same_port {
        return Err(SecondResourceError::OtherHost(header));
    }
    if target.is_empty() {
        return Ok(PathAndQuery::from_static("/"));
    }
    target.parse().map_err(|_| unreadable)
}

/// The port of a host, with its colon.
fn port(authority: &str) -> &str {
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    authority[after_address..]
        .find(':')
        .map_or("", |colon| &authority[after_address + colon..])
}

/// A URL as the application knows it.
pub(super) fn rewritten(
    route: &Route,
    url: PathAndQuery,
    header: &'static str,
) -> Result<PathAndQuery, SecondResourceError> {
    for_application(route, url).map_err(|_| SecondResourceError::Unreadable(header))
}

impl SecondResources {
    /// The path of `Destination`.
    pub(super) fn destination(&self) -> Option<&str> {
        self.destination.as_ref().map(PathAndQuery::path)
    }

    /// Writes them into the headers that an application gets, whose `Host` is set, as URLs of this scheme.
    pub(super) fn write(&self, headers: &mut HeaderMap, scheme: &str) {
        if self.destination.is_none() && self.conditions.is_none() {
            return;
        }
        let mut base = format!("{scheme}://").into_bytes();
        base.extend_from_slice(headers.get(HOST).map_or(b"", HeaderValue::as_bytes));
        let url = |url: &PathAndQuery| [base.as_slice(), url.as_str().as_bytes()].concat();
        let conditions = self.conditions.as_ref().map(|pieces| {
            let pieces = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.clone().into_bytes(),
                Piece::Url(target) => url(target),
            });
            pieces.collect::<Vec<_>>().concat()
        });
        for (name, value) in [
            (DESTINATION, self.destination.as_ref().map(url)),
            (IF, conditions),
        ] {
            let Some(value) = value else { continue };
            headers.remove(&name);
            // The pieces came from headers, and stand in one again.
            headers.extend(HeaderValue::from_bytes(&value).map(|value| (name, value)));
        }
    }
}

impl UrlSchemes {
    /// Those of the applications that the routes lead to.
    pub(super) fn new(config: &Config, routes: &Routes) -> Self {
        let schemes = routes.upstreams().iter().map(|upstream| match upstream {
            UpstreamName::Server(server) => scheme_of(server),
            UpstreamName::Named(name) => config.upstream.get(name).map_or("http", scheme_for),
        });
        Self(schemes.collect())
    }

    /// That of a route's application.
    pub(super) fn of(&self, target: Target) -> &'static str {
        match target {
            Target::Demo => "https",
            Target::Upstream(id) => self.0.get(id.index()).copied().unwrap_or("http"),
        }
    }
}

fn scheme_for(upstream: &UpstreamConfig) -> &'static str {
    let by_preset = match upstream.preset {
        Some(UpstreamPreset::Radicale) => DestinationForm::Client,
        Some(_) | None => DestinationForm::Connection,
    };
    match upstream.destination.unwrap_or(by_preset) {
        DestinationForm::Client => "https",
        DestinationForm::Connection => {
            let servers = upstream.parsed_servers().unwrap_or_default();
            servers.first().map_or("http", scheme_of)
        }
    }
}

fn scheme_of(server: &Server) -> &'static str {
    match server {
        Server::Https(_) => "https",
        Server::Http(_) | Server::H2c(_) | Server::Unix(_) => "http",
    }
}

impl From<SecondResourceError> for Refusal {
    fn from(error: SecondResourceError) -> Self {
        let (problem, hint) = match &error {
            SecondResourceError::Unreadable(header)
            | SecondResourceError::TooLong(header)
            | SecondResourceError::TooAmbiguous(header)
            | SecondResourceError::BadPath(header, _) => {
                (Problem::BadRequest, Hint::ReferenceUnreadable(header))
            }
            SecondResourceError::OtherHost(header) => (Problem::Forbidden, Hint::ReferenceElsewhere(header)),
            SecondResourceError::Forbidden { header, .. } => {
                (Problem::Forbidden, Hint::ReferenceForbidden(header))
            }
            SecondResourceError::Below { .. } => (Problem::Forbidden, Hint::BelowForbidden),
        };
        Self::because(problem, error.to_string()).hinting(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::request::{Client, RequestIds};

    fn read(authority: &str, text: &str) -> Result<String, SecondResourceError> {
        let head = RequestHead {
            method: &Method::PUT,
            host: &authority.parse().unwrap(),
            scheme: "https",
            authority,
            path: "/",
            query: None,
            headers: &HeaderMap::new(),
            client: &Client {
                address: [127, 0, 0, 1].into(),
                through_trusted_proxy: false,
            },
            id: RequestIds::new(&Random::seeded(1)).next(),
        };
        parse(text, &head, "Destination").map(|url| url.to_string())
    }

    #[test]
    fn a_url_of_the_same_host_or_a_path() {
        for (authority, text, path) in [
            ("a.com:8443", "https://a.com:8443/x%20y;z", "/x%20y;z"),
            ("a.com:8443", "HTTP://A.com.:8443/x", "/x"),
            ("a.com:8443", "/x/한글", "/x/한글"),
            ("a.com", "https://a.com", "/"),
            ("a.com", "https://a.com:443/x", "/x"),
            ("a.com:443", "https://a.com/x", "/x"),
            ("a.com", "http://a.com/x", "/x"),
            ("a.com:443", "http://a.com/x", "/x"),
            ("[::1]:8443", "https://[0::1]:8443/x", "/x"),
        ] {
            assert_eq!(read(authority, text).as_deref(), Ok(path), "{text}");
        }
    }

    #[test]
    fn another_host_or_port_is_elsewhere() {
        for text in [
            "https://b.com:8443/x",
            "https://a.com/x",
            "https://a.com:8444/x",
            "http://a.com:80/x",
        ] {
            let elsewhere = Err(SecondResourceError::OtherHost("Destination"));
            assert_eq!(read("a.com:8443", text), elsewhere, "{text}");
        }
    }

    #[test]
    fn what_is_read_in_two_ways_or_in_none_is_refused() {
        for text in [
            "",
            "x",
            "x/y",
            "../x",
            "//a.com/x",
            "https:/x",
            "https:///x",
            "ftp://a.com/x",
            "https://u@a.com/x",
            "https://b.com\\@a.com/x",
            "https://a.com?x",
            "/x?/../y",
            "https://a.com/x#y",
            "/x y",
            "/x\ty",
            "/x, /y",
        ] {
            let unreadable = Err(SecondResourceError::Unreadable("Destination"));
            assert_eq!(read("a.com", text), unreadable, "{text:?}");
        }
    }
}
