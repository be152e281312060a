//! Finds the route or page of a request.

use http::{HeaderValue, Method};

use super::backendai_session::BackendAiPath;
use super::methods::{SERVED, allow};
use super::path::has_encoded_slash;
use super::prefixes::Spelling;
use super::read_path::is_in_other_encoding;
use super::readings::Readings;
use super::table::{HostRoutes, PathRoutes};
use super::{BadPath, Page, ReadPath, Route, Routes, prefixes};
use crate::request::RequestHead;

/// The target of a request.
#[derive(Clone, Copy, Debug)]
pub enum RouteMatch<'r> {
    /// One of the gateway's own pages.
    Page(Page),
    /// A configured route.
    Route(&'r Route),
}

/// Why a request has no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unroutable {
    /// The path is refused.
    #[error(transparent)]
    BadPath(#[from] BadPath),
    /// A method that is never served.
    #[error("this method is never served")]
    NeverServed,
    /// No route has this host.
    #[error("no route has this host")]
    UnknownHost,
    /// No route or page has this path.
    #[error("nothing has this path")]
    NotFound,
    /// The path has routes or a page, but for other methods; has the value of `Allow`.
    #[error("not with this method")]
    MethodNotAllowed(HeaderValue),
    /// OPTIONS of a page or of the server; has the value of `Allow`.
    #[error("asks which methods there are")]
    Options(HeaderValue),
    /// The request belongs to another URL.
    #[error("belongs to {0}")]
    Redirect(String),
}

/// What lies at a path, for any method.
#[derive(Clone, Copy)]
enum PathMatch<'r> {
    Portal(Option<Page>),
    Routes(&'r PathRoutes),
    /// The routes, by a path in Backend.AI's session form.
    BackendAi(&'r PathRoutes),
    Nothing,
}

impl Routes {
    /// Returns the target of a request.
    ///
    /// An exact host goes before a wildcard, then the longest path wins. If that path has routes but none for
    /// the method, no shorter path serves it. The gateway's own pages go first, so no route can shadow them.
    ///
    /// For a path in Backend.AI's session form, the path that the upstream gets is resolved too, and must
    /// take the same route. So this form reaches nothing that the route's plain paths do not.
    ///
    /// `OPTIONS *` is for the gateway itself (RFC 9110, section 9.3.7), as no route has that path.
    pub fn find(&self, head: &RequestHead<'_>) -> Result<RouteMatch<'_>, Unroutable> {
        if matches!(*head.method, Method::CONNECT | Method::TRACE) {
            return Err(Unroutable::NeverServed);
        }
        if *head.method == Method::OPTIONS && head.path == "*" && head.query.is_none() {
            let is_served =
                self.host_routes(head.host).is_some() || self.public_base_for_alias(head.host).is_some();
            return Err(if is_served {
                Unroutable::Options(SERVED)
            } else {
                Unroutable::UnknownHost
            });
        }
        self.find_among(head, &Readings::of(head.path)?)
    }

    /// Returns the target of a request with another path, which is not for the gateway itself.
    pub fn find_at(&self, head: &RequestHead<'_>, path: &ReadPath) -> Result<RouteMatch<'_>, Unroutable> {
        let head = RequestHead {
            path: path.as_str(),
            query: None,
            ..*head
        };
        self.find_among(&head, path.readings())
    }

    fn find_among(&self, head: &RequestHead<'_>, readings: &Readings) -> Result<RouteMatch<'_>, Unroutable> {
        let Some(host) = self.host_routes(head.host) else {
            return Err(match self.public_base_for_alias(head.host) {
                Some(base) => Unroutable::Redirect(format!("{base}{}", path_and_query(head))),
                None => Unroutable::UnknownHost,
            });
        };
        // A trusted proxy may tell the application of the virtual host in this way.
        if readings.name_other_host(Some(head.host).filter(|_| head.client.through_trusted_proxy)) {
            return Err(BadPath::VirtualHost.into());
        }
        let place = host.resolve(head.path, readings, head.method)?;
        if let PathMatch::BackendAi(routes) = place
            && let Some(bare) = routes.bare_path(head.path)
            && !host
                .resolve(&bare, &Readings::of(&bare)?, head.method)?
                .is(PathMatch::Routes(routes))
        {
            return Err(ambiguous(&bare).into());
        }
        if let Some(route) = place.route_for(head.method)
            && let Some(prefix) = &route.strip_prefix
            && let Some(stripped) = prefix.strip(head.path)
        {
            require_one_host(stripped)?;
        }
        match place {
            PathMatch::Portal(Some(page)) => own(page, head.method),
            PathMatch::Portal(None) if matches!(head.path.strip_prefix(Page::PREFIX), Some("" | "/")) => {
                Err(Unroutable::Redirect(Page::Login.path().to_owned()))
            }
            PathMatch::Portal(None) | PathMatch::Nothing => Err(Unroutable::NotFound),
            PathMatch::Routes(routes) | PathMatch::BackendAi(routes) => routes
                .route_for(head.method)
                .map(RouteMatch::Route)
                .ok_or_else(|| Unroutable::MethodNotAllowed(routes.allow().clone())),
        }
    }
}

/// Refuses what is left of a path if a reading of it begins with a host, which the whole path keeps from being one.
fn require_one_host(stripped: &str) -> Result<(), BadPath> {
    let readings = Readings::of(stripped)?;
    let begins_with_host = |reading: &str| reading.starts_with("//");
    if readings
        .each(stripped)
        .any(|(reading, _)| begins_with_host(reading))
    {
        return Err(BadPath::HostAfterPrefix);
    }
    Ok(())
}

fn own(page: Page, method: &Method) -> Result<RouteMatch<'static>, Unroutable> {
    let methods = page.methods();
    if methods.contains(&method.as_str()) {
        return Ok(RouteMatch::Page(page));
    }
    let all: Vec<&str> = methods.iter().copied().chain(["OPTIONS"]).collect();
    Err(if *method == Method::OPTIONS {
        Unroutable::Options(allow(&all))
    } else {
        Unroutable::MethodNotAllowed(allow(&all))
    })
}

fn path_and_query(head: &RequestHead<'_>) -> String {
    match head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.to_owned(),
    }
}

impl HostRoutes {
    /// Resolves a path; refuses it if any of its readings takes another route.
    ///
    /// Encodings cannot be enumerated. So beside a route whose path has characters beyond ASCII, a path that is not
    /// UTF-8 is refused: an application that falls back to another encoding may read that route's path in it.
    fn resolve(&self, path: &str, readings: &Readings, method: &Method) -> Result<PathMatch<'_>, BadPath> {
        let place = self.place(path);
        if *readings == Readings::Ordinary && self.prefixes().are_ordinary() {
            return Ok(place);
        }
        let spellings: &[Spelling] = if place.is_case_sensitive(method) {
            &[Spelling::Exact]
        } else {
            &[Spelling::Exact, Spelling::Folded]
        };
        let requires_utf8 = !self.prefixes().beyond_ascii().is_empty();
        for (reading, folded) in readings.each(path) {
            let takes_place = spellings.iter().all(|&spelling| {
                let reading = match spelling {
                    Spelling::Exact => reading,
                    Spelling::Folded => folded,
                };
                place.is(self.read_place(reading, spelling))
            });
            if !takes_place || is_in_other_encoding(reading) && requires_utf8 {
                return Err(ambiguous(reading));
            }
        }
        if has_encoded_slash(path) && !place.takes_encoded_slash(method) {
            return Err(BadPath::EncodedSlash);
        }
        Ok(place)
    }

    /// Returns what lies at a path as it was sent.
    fn place(&self, path: &str) -> PathMatch<'_> {
        own_place(path).unwrap_or_else(|| PathMatch::of(self.at(path)))
    }

    /// Returns what lies at a reading of a path in this spelling, compared with the readings of the routes'
    /// paths.
    fn read_place(&self, reading: &str, spelling: Spelling) -> PathMatch<'_> {
        own_place(reading).unwrap_or_else(|| {
            let found = self.prefixes().longest(reading, spelling);
            PathMatch::of(found.and_then(|(index, rest)| Some((self.nth(index)?, rest))))
        })
    }
}

fn own_place(path: &str) -> Option<PathMatch<'static>> {
    prefixes::rest(path, Page::PREFIX)?;
    Some(PathMatch::Portal(Page::at(path)))
}

/// Characters of a reading that an error quotes.
const TOLD: usize = 100;

fn ambiguous(reading: &str) -> BadPath {
    BadPath::Ambiguous(reading.chars().take(TOLD).collect())
}

impl<'r> PathMatch<'r> {
    /// Classifies routes and the rest of a path after theirs.
    fn of(found: Option<(&'r PathRoutes, &str)>) -> Self {
        let Some((routes, rest)) = found else {
            return Self::Nothing;
        };
        match routes.in_session_form(rest) {
            None => Self::Routes(routes),
            Some(BackendAiPath::Page(page)) => Self::Portal(Some(Page::SessionForm(page))),
            Some(BackendAiPath::Bare) => Self::BackendAi(routes),
        }
    }

    fn is(self, other: PathMatch<'_>) -> bool {
        match (self, other) {
            (Self::Portal(one), PathMatch::Portal(other)) => one == other,
            (Self::Routes(one), PathMatch::Routes(other))
            | (Self::BackendAi(one), PathMatch::BackendAi(other)) => std::ptr::eq(one, other),
            (Self::Nothing, PathMatch::Nothing) => true,
            _ => false,
        }
    }

    fn takes_encoded_slash(self, method: &Method) -> bool {
        self.route_for(method).is_some_and(|route| route.encoded_slash)
    }

    fn is_case_sensitive(self, method: &Method) -> bool {
        self.route_for(method).is_some_and(|route| route.case_sensitive)
    }

    fn route_for(self, method: &Method) -> Option<&'r Route> {
        match self {
            Self::Routes(routes) | Self::BackendAi(routes) => routes.route_for(method),
            Self::Portal(_) | Self::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests;
