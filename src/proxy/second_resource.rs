//! Policy for the resources that a request names beside its target (S75): `Destination` of COPY and MOVE and
//! the resource tags of `If` (RFC 4918, sections 10.3 and 10.4), and the sources of object stores
//! ([`copy_source`](super::copy_source)).
//!
//! Upstreams act on them with the rights of the request. So each must be on the same host, and the policy of
//! its own route must admit the principal for every method that the operation amounts to. WebDAV URLs are
//! rewritten to the scheme and host that the upstream sees.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::iter;
use std::rc::Rc;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::if_header::resource_tags;
use super::second_resource_error::SecondResourceError;
use super::source_readings::{SourceReading, TargetPath, destinations};
use super::{Gateway, method_override};
use crate::authenticate::JudgedPolicy;
use crate::authorize::{AccessDenied, Permit};
use crate::refusal::{Problem, Refusal};
use crate::request::{Host, RequestHead};
use crate::route::{
    BadPath, MOST_READINGS, PathRoutesFor, ReadPath, Route, RouteMatch, RouteTarget, Unroutable,
};

const DESTINATION_SHOWN: &str = "Destination";

pub(super) const DESTINATION: HeaderName = HeaderName::from_static("destination");
const IF: HeaderName = HeaderName::from_static("if");
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");
const DEPTH: HeaderName = HeaderName::from_static("depth");

/// Most bytes of a header that names resources; common servers accept no longer field.
pub(super) const MOST_BYTES: usize = 8 << 10;

/// Most readings of all paths together that a request names beside its own, over every base and host.
const MOST_OF_ALL: usize = 4 * MOST_READINGS;

/// Bytes that these readings may have together, beyond the length of the request's own path.
const ROOM: usize = 40 << 10;

/// The second resources of a request that policy admits, ready to be written into the upstream's headers.
#[derive(Debug, Default)]
pub(super) struct SecondResources {
    destination: Option<PathAndQuery>,
    /// The text of `If` between the URLs of its resource tags, and these URLs.
    conditions: Option<Vec<ValuePart>>,
    /// Whether the route of one enforces single-use signatures.
    spends_signature: bool,
    /// Policies that admitted it to one.
    policies: Vec<JudgedPolicy>,
}

#[derive(Debug)]
enum ValuePart {
    Text(String),
    Url(PathAndQuery),
}

/// Evaluates the second resources of one request, whose permit covers only its own route.
pub(super) struct SecondResourcePolicy<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) head: &'a RequestHead<'a>,
    pub(super) own: &'a Route,
    pub(super) permit: &'a Permit,
    /// The path for the upstream.
    pub(super) target: Cow<'a, str>,
    target_path: OnceCell<TargetPath>,
    /// Every path that was compared with the routes so far.
    paths: RefCell<HashMap<String, Rc<ReadPath>>>,
    /// The number of their readings, and their bytes.
    read: Cell<(usize, usize)>,
    /// Whether a route that admits the request enforces single-use signatures.
    spends_signature: Cell<bool>,
    /// Policies that admit the request to other routes.
    policies: RefCell<Vec<JudgedPolicy>>,
}

impl Gateway {
    /// Evaluates the second resources of a request that `permit` admits.
    pub(super) fn second_resources(
        &self,
        head: &RequestHead<'_>,
        to: RouteMatch<'_>,
        permit: &Permit,
    ) -> Result<SecondResources, Refusal> {
        let RouteMatch::Route(route) = to else {
            return Ok(SecondResources::default());
        };
        let policy = SecondResourcePolicy::new(self, head, route, permit);
        // Where a prefix is stripped, these name paths that only the upstream knows.
        if route.stripped_prefix().is_none() {
            policy.require_copy_sources()?;
            policy.require_upload_names()?;
            policy.require_archive()?;
            policy.require_pages()?;
        }
        policy.require_upstream_paths()?;
        policy.require_server_functions()?;
        policy.require_collection()?;
        let destination = acts_on_destination(head)
            .then(|| policy.destination())
            .transpose()?
            .flatten();
        Ok(SecondResources {
            destination,
            conditions: policy.conditions()?,
            spends_signature: policy.spends_signature.get(),
            policies: policy.policies.take(),
        })
    }

    /// Returns the routes below a PROPFIND's collection that the principal may not read. The response may
    /// list their resources, because only the collection's route is evaluated.
    pub(super) fn listed_below(&self, head: &RequestHead<'_>, own: &Route, permit: &Permit) -> Vec<String> {
        if !head.method.as_str().eq_ignore_ascii_case("PROPFIND") {
            return Vec::new();
        }
        let policy = SecondResourcePolicy::new(self, head, own, permit);
        // A path with a route has valid readings.
        let Ok(target) = policy.read(&policy.target, "") else {
            return Vec::new();
        };
        let below = self.routes.below(head.host, &target, &Method::GET);
        let closed = policy.closed(below, &Method::GET);
        closed.map(|route| route.label().to_string()).collect()
    }
}

impl<'a> SecondResourcePolicy<'a> {
    fn new(gateway: &'a Gateway, head: &'a RequestHead<'a>, own: &'a Route, permit: &'a Permit) -> Self {
        Self {
            gateway,
            head,
            own,
            permit,
            target: own.bare_path(head.path).unwrap_or(head.path.into()),
            target_path: OnceCell::new(),
            paths: RefCell::default(),
            read: Cell::default(),
            spends_signature: Cell::new(false),
            policies: RefCell::default(),
        }
    }

    fn destination(&self) -> Result<Option<PathAndQuery>, SecondResourceError> {
        let Some(value) = only(self.head.headers, &DESTINATION, DESTINATION_SHOWN)? else {
            return Ok(None);
        };
        // Overwriting deletes the resource at the destination first (RFC 4918, section 9.9.3).
        let overwrites = only(self.head.headers, &OVERWRITE, "Overwrite")? != Some("F");
        let target = self.target_path();
        let url = if !value.contains("://") && target.is_in_container() {
            self.require_own_account(target)?;
            let readings =
                destinations(value, target).ok_or(SecondResourceError::TooAmbiguous(DESTINATION_SHOWN))?;
            for reading in &readings {
                self.require_destination(reading, overwrites)?;
            }
            // Swift takes a container and object here, not a URL, so nothing is rewritten.
            None
        } else {
            let url = self.parse(value, DESTINATION_SHOWN)?;
            let reading = SourceReading {
                text: url.to_string(),
                is_lenient: false,
            };
            self.require_destination(&reading, overwrites)?
        };
        // Descendants are evaluated in the upstream's paths; common servers copy them despite `Depth: 0` (RFC
        // 4918, 9.8.3).
        self.require_below(&self.target, &Method::GET, DESTINATION_SHOWN)?;
        if !self.head.method.as_str().eq_ignore_ascii_case("COPY") {
            self.require_below(&self.target, &Method::DELETE, DESTINATION_SHOWN)?;
        }
        Ok(url)
    }

    /// Evaluates a destination; returns its URL as the upstream knows it.
    fn require_destination(
        &self,
        reading: &SourceReading,
        overwrites: bool,
    ) -> Result<Option<PathAndQuery>, SecondResourceError> {
        let Some((url, path)) = self.meant(reading, &Method::PUT, DESTINATION_SHOWN)? else {
            return Ok(None);
        };
        if overwrites {
            self.require_second(&path, &Method::DELETE, DESTINATION_SHOWN)?;
        }
        let route = self.require_second(&path, &Method::PUT, DESTINATION_SHOWN)?;
        let url = self.rewritten(route, url, DESTINATION_SHOWN)?;
        // Routes have the paths that clients know.
        let place = match route.stripped_prefix() {
            Some(_) => path.as_str(),
            None => url.path(),
        };
        if overwrites {
            self.require_below(place, &Method::DELETE, DESTINATION_SHOWN)?;
        }
        self.require_below(place, &Method::PUT, DESTINATION_SHOWN)?;
        Ok(Some(url))
    }

    /// Returns the upstream's path with all its readings; computed when first needed.
    pub(super) fn target_path(&self) -> &TargetPath {
        self.target_path.get_or_init(|| {
            // A path with a route has valid readings.
            let others = self.read(&self.target, "").map(|path| path.others().collect());
            TargetPath::new(&self.target, others.unwrap_or_default())
        })
    }

    /// Returns a path with its readings, which are computed once. They count against the limit of the request,
    /// except those of its own path, which had a limit when it was routed.
    pub(super) fn read(&self, path: &str, header: &'static str) -> Result<Rc<ReadPath>, SecondResourceError> {
        if let Some(known) = self.paths.borrow().get(path) {
            return Ok(Rc::clone(known));
        }
        let is_own = *path == *self.target;
        let (count, bytes) = self.read.get();
        let left = if is_own {
            usize::MAX
        } else {
            (ROOM + self.target.len()).saturating_sub(bytes)
        };
        let found = Rc::new(ReadPath::within(path, left).map_err(|reason| match reason {
            BadPath::TooAmbiguous => SecondResourceError::TooAmbiguous(header),
            reason => SecondResourceError::BadPath(header, reason),
        })?);
        if !is_own {
            let count = count + found.count();
            if count > MOST_OF_ALL {
                return Err(SecondResourceError::TooAmbiguous(header));
            }
            self.read.set((count, bytes + found.bytes()));
        }
        self.paths.borrow_mut().insert(path.to_owned(), Rc::clone(&found));
        Ok(found)
    }

    /// Evaluates the descendants of a collection that DELETE or LOCK includes (RFC 4918, sections 9.6.1 and
    /// 9.10.3).
    fn require_collection(&self) -> Result<(), SecondResourceError> {
        let may_mean = |method| self.gateway.may_mean(self.head, self.own, self.permit, method);
        if may_mean("DELETE") {
            self.require_below(&self.target, &Method::DELETE, "Depth")?;
        }
        if may_mean("LOCK") && !is_of_depth_0(self.head)? {
            self.require_below(&self.target, &Method::PUT, "Depth")?;
        }
        Ok(())
    }

    /// Requires that `method` is admitted for everything below a path.
    pub(super) fn require_below(
        &self,
        path: &str,
        method: &Method,
        header: &'static str,
    ) -> Result<(), SecondResourceError> {
        let path = self.read(path, header)?;
        self.require_open(self.gateway.routes.below(self.head.host, &path, method), method)
    }

    /// Requires that `method` is admitted for every path that begins with this text, at a segment border or
    /// not.
    pub(super) fn require_beginning_with(
        &self,
        path: &str,
        method: &Method,
        header: &'static str,
    ) -> Result<(), SecondResourceError> {
        let path = self.read(path, header)?;
        let routes = &self.gateway.routes;
        self.require_open(routes.beginning_with(self.head.host, &path, method), method)
    }

    /// Requires that each of these routes to the request's own application admits `method`.
    pub(super) fn require_open(
        &self,
        below: Vec<PathRoutesFor<'_>>,
        method: &Method,
    ) -> Result<(), SecondResourceError> {
        match self.closed(below, method).next() {
            None => Ok(()),
            Some(route) => Err(SecondResourceError::Below {
                method: method.clone(),
                route: route.label().to_string(),
            }),
        }
    }

    /// Returns those routes to the request's own application that do not admit the principal for `method`.
    pub(super) fn closed<'r>(
        &self,
        routes: Vec<PathRoutesFor<'r>>,
        method: &Method,
    ) -> impl Iterator<Item = &'r Route> {
        routes
            .into_iter()
            .filter_map(move |PathRoutesFor { route, all, .. }| {
                let leads_there = all.iter().find(|route| self.leads_there(route))?;
                // One for this method that leads elsewhere opens nothing here.
                let route = route.filter(|route| self.leads_there(route));
                let admits = route.is_some_and(|route| self.extends_to(route, method).is_ok());
                (!admits).then_some(leads_there)
            })
    }

    /// Whether a route leads to the request's own application, under any upstream name; or has an answer in place of that.
    pub(super) fn leads_there(&self, route: &Route) -> bool {
        let upstreams = &self.gateway.upstreams;
        let mut targets = iter::once(route.target()).chain(route.covers().iter().copied());
        targets.any(|target| upstreams.is_one_application(target, self.own.target()))
    }

    /// Extends the permit to a route and a method, if policy admits that.
    pub(super) fn extends_to(&self, route: &Route, method: &Method) -> Result<(), AccessDenied> {
        // The gateway answers there itself, and the application has nothing to do with it.
        if route.target() == RouteTarget::Answer {
            return Err(AccessDenied {
                refusal: Refusal::because(Problem::Forbidden, "the route has no application"),
                principal: None,
            });
        }
        self.permit.extends_to(route, method, self.head.client)?;
        let policy = JudgedPolicy::of(route.policy(), self.head.client);
        self.policies.borrow_mut().extend(policy);
        if route.enforces_single_use(method) {
            self.spends_signature.set(true);
        }
        Ok(())
    }

    fn conditions(&self) -> Result<Option<Vec<ValuePart>>, SecondResourceError> {
        const HEADER: &str = "If";
        let Some(value) = only(self.head.headers, &IF, HEADER)? else {
            return Ok(None);
        };
        let tags = resource_tags(value).ok_or(SecondResourceError::Unreadable(HEADER))?;
        let mut pieces = Vec::with_capacity(2 * tags.len() + 1);
        let mut last = 0;
        let mut readings = 0;
        for tag in tags {
            let url = self.parse(&value[tag.clone()], HEADER)?;
            // All tags together may have as many readings as one target.
            let path = self.read(url.path(), HEADER)?;
            readings += path.count();
            if readings > MOST_READINGS {
                return Err(SecondResourceError::TooAmbiguous(HEADER));
            }
            // Tags within the request's own route and method are covered by its permit.
            let own = self.find(&path, self.head.method);
            let route = match own {
                Ok(RouteMatch::Route(own)) if std::ptr::eq(own, self.own) => own,
                _ => self.require_second(&path, &Method::PUT, HEADER)?,
            };
            pieces.push(ValuePart::Text(value[last..tag.start].to_owned()));
            pieces.push(ValuePart::Url(self.rewritten(route, url, HEADER)?));
            last = tag.end;
        }
        pieces.push(ValuePart::Text(value[last..].to_owned()));
        Ok(Some(pieces))
    }

    /// Returns the URL of a reading and its path; `None` if it is lenient and no route takes it to the request's own
    /// application.
    pub(super) fn meant(
        &self,
        reading: &SourceReading,
        method: &Method,
        header: &'static str,
    ) -> Result<Option<(PathAndQuery, Rc<ReadPath>)>, SecondResourceError> {
        let url = self.parse(&reading.text, header)?;
        let path = self.read(url.path(), header)?;
        if !reading.is_lenient {
            return Ok(Some((url, path)));
        }
        let is_meant = match self.find(&path, method) {
            Ok(RouteMatch::Route(route)) => self.leads_there(route) || !self.at(&path, method).is_empty(),
            Err(Unroutable::BadPath(reason)) => return Err(SecondResourceError::BadPath(header, reason)),
            // Routes for other methods are not compared, so the reading counts.
            Err(Unroutable::MethodNotAllowed(_)) => true,
            Ok(RouteMatch::Page(_)) | Err(_) => false,
        };
        Ok(is_meant.then_some((url, path)))
    }

    /// Returns the route for a path and method, if it admits the permit's principal.
    pub(super) fn require_second(
        &self,
        path: &ReadPath,
        method: &Method,
        header: &'static str,
    ) -> Result<&'a Route, SecondResourceError> {
        let forbidden = |reason: String| SecondResourceError::Forbidden {
            header,
            path: path.as_str().to_owned(),
            reason,
        };
        match self.find(path, method) {
            Ok(RouteMatch::Route(route)) => {
                let on = |route: &Route, cause: &str| {
                    forbidden(format!("{method} on the route {}: {cause}", route.label()))
                };
                if let Err(denied) = self.extends_to(route, method) {
                    let cause = denied.refusal.cause.unwrap_or_else(|| "it is for others".into());
                    return Err(on(route, &cause));
                }
                // One that leads elsewhere is not what the request's own application is asked for.
                let closed =
                    (!self.leads_there(route)).then(|| self.closed(self.at(path, method), method).next());
                closed
                    .flatten()
                    .map_or(Ok(route), |closed| Err(on(closed, "it is for others")))
            }
            Ok(RouteMatch::Page(_)) => Err(forbidden("it is a page of the gateway's own".to_owned())),
            Err(Unroutable::BadPath(reason)) => Err(SecondResourceError::BadPath(header, reason)),
            Err(reason) => Err(forbidden(format!("{method}: {reason}"))),
        }
    }

    /// Returns the routes at a path of which some lead to the request's own application.
    fn at(&self, path: &ReadPath, method: &Method) -> Vec<PathRoutesFor<'a>> {
        let gateway: &'a Gateway = self.gateway;
        let mut there = gateway.routes.at_any_reading(self.head.host, path, method);
        there.retain(|routes| routes.all.iter().any(|route| self.leads_there(route)));
        there
    }

    /// Returns the target of a request like this one with another path and method, without a query.
    pub(super) fn find(&self, path: &ReadPath, method: &Method) -> Result<RouteMatch<'a>, Unroutable> {
        let gateway: &'a Gateway = self.gateway;
        let head = RequestHead { method, ..*self.head };
        gateway.routes.find_at(&head, path)
    }

    pub(super) fn parse(
        &self,
        text: &str,
        header: &'static str,
    ) -> Result<PathAndQuery, SecondResourceError> {
        parse(text, self.head, self.gateway.public_port, header)
    }
}

/// Whether an application may act on `Destination`: not with HTTP's own methods in upper case, unless an
/// override header may change them.
pub(super) fn acts_on_destination(head: &RequestHead<'_>) -> bool {
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

/// Returns the value of a header that may occur at most once.
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

/// Parses a `Simple-ref` (RFC 4918, section 8.3): a URL of the request's host, or an absolute path.
fn parse(
    text: &str,
    head: &RequestHead<'_>,
    public_port: u16,
    header: &'static str,
) -> Result<PathAndQuery, SecondResourceError> {
    let unreadable = SecondResourceError::Unreadable(header);
    // Resources have no query or fragment; where one is kept, it is part of a path. For some readers `//`
    // begins a host.
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
    let is_own_default = is_default(own) || own == ":443";
    // Upstreams are told the public port if the request names none.
    let is_public = port.strip_prefix(':').and_then(|port| port.parse().ok()) == Some(public_port);
    let is_same_port = port == own || (is_default(port) || is_public) && is_own_default;
    if host != *head.host || !is_same_port {
        return Err(SecondResourceError::OtherHost(header));
    }
    if target.is_empty() {
        return Ok(PathAndQuery::from_static("/"));
    }
    target.parse().map_err(|_| unreadable)
}

/// Returns the port of an authority, with its colon.
fn port(authority: &str) -> &str {
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    authority[after_address..]
        .find(':')
        .map_or("", |colon| &authority[after_address + colon..])
}

impl SecondResources {
    pub(super) fn destination(&self) -> Option<&str> {
        self.destination.as_ref().map(PathAndQuery::path)
    }

    /// Takes the policies on which the permit depends too.
    pub(super) fn take_policies(&mut self) -> Vec<JudgedPolicy> {
        std::mem::take(&mut self.policies)
    }

    /// Whether one of them makes the request's signature single-use, by its route.
    pub(super) fn spends_signature(&self) -> bool {
        self.spends_signature
    }

    /// Rewrites `Destination` and `If` to URLs of `scheme` and of the `Host` field, which must be set.
    pub(super) fn write(&self, headers: &mut HeaderMap, scheme: &str) {
        if self.destination.is_none() && self.conditions.is_none() {
            return;
        }
        let mut base = format!("{scheme}://").into_bytes();
        base.extend_from_slice(headers.get(HOST).map_or(b"", HeaderValue::as_bytes));
        let url = |url: &PathAndQuery| [base.as_slice(), url.as_str().as_bytes()].concat();
        let conditions = self.conditions.as_ref().map(|pieces| {
            let pieces = pieces.iter().map(|piece| match piece {
                ValuePart::Text(text) => text.clone().into_bytes(),
                ValuePart::Url(target) => url(target),
            });
            pieces.collect::<Vec<_>>().concat()
        });
        for (name, value) in [
            (DESTINATION, self.destination.as_ref().map(url)),
            (IF, conditions),
        ] {
            let Some(value) = value else { continue };
            headers.remove(&name);
            // The pieces came from a valid field, so they make one again.
            headers.extend(HeaderValue::from_bytes(&value).map(|value| (name, value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::request::{ClientAddress, RequestIds};

    fn read(authority: &str, text: &str) -> Result<String, SecondResourceError> {
        let head = RequestHead {
            method: &Method::PUT,
            host: &authority.parse().unwrap(),
            scheme: "https",
            authority,
            path: "/",
            query: None,
            headers: &HeaderMap::new(),
            client: &ClientAddress {
                address: [127, 0, 0, 1].into(),
                through_trusted_proxy: false,
                is_known: true,
            },
            id: RequestIds::new(&Random::seeded(1)).next(),
        };
        parse(text, &head, 8443, "Destination").map(|url| url.to_string())
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
            // The public port, where the request names none.
            ("a.com", "https://a.com:8443/x", "/x"),
            ("a.com:443", "https://a.com:8443/x", "/x"),
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
