//! The routes of a configuration, indexed by host and path.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use http::{HeaderValue, Method};
use url::Url;

use super::backendai_session::{BackendAiPath, BackendAiSession};
use super::prefixes::Prefixes;
use super::response_headers::ResponseHeaders;
use super::stripped_prefix::StrippedPrefix;
use super::{Methods, Route, RouteSlot, RouteTarget, StaticAnswer, UpstreamId, prefixes};
use crate::config::{self, Compat, Config, HostPattern, RouteConfig, UpstreamUrl, UpstreamUrlError};
use crate::request::{Host, HostError};

/// All routes; the gateway's own pages exist on each of their hosts.
#[derive(Debug)]
pub struct Routes {
    exact: HashMap<String, HostRoutes>,
    /// By parent domain of the wildcard.
    below: HashMap<String, HostRoutes>,
    upstreams: Vec<UpstreamName>,
    /// Targets of routes that are limited to some methods.
    by_method: Vec<RouteTarget>,
    /// All hosts that have routes, and that of `public_url`.
    patterns: Vec<HostPattern>,
    public: PublicOrigin,
}

/// An upstream that routes lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamName {
    /// A table `[upstream.NAME]`.
    Named(String),
    /// A server that a route names directly.
    Server(UpstreamUrl),
}

/// Why the routes are invalid. Loading a configuration rules these out.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// An invalid host.
    #[error("route {path}: the host is not a host's name")]
    Host {
        /// The route's path.
        path: String,
        /// The cause.
        source: HostError,
    },
    /// An invalid method.
    #[error("route {path}: {method:?} is not a method")]
    Method {
        /// The route's path.
        path: String,
        /// The value.
        method: String,
    },
    /// An invalid upstream.
    #[error("route {path}: {source}")]
    Upstream {
        /// The route's path.
        path: String,
        /// The cause.
        source: UpstreamUrlError,
    },
    /// No upstream has this name.
    #[error("route {path}: there is no upstream {name:?}")]
    NoUpstream {
        /// The route's path.
        path: String,
        /// The name.
        name: String,
    },
    /// An invalid redirect or text.
    #[error("route {0}: it can be answered with neither its `redirect` nor its `respond`")]
    Answer(String),
    /// A prefix that is none of the route's path.
    #[error("route {0}: `strip_prefix` is no beginning of its path")]
    StripPrefix(String),
    /// What cannot be a response header.
    #[error("route {path}: {name:?} of `response_headers` is no header")]
    ResponseHeader {
        /// The route's path.
        path: String,
        /// The name.
        name: String,
    },
    /// Two routes for the same requests.
    #[error("two routes are alike: {0}")]
    Alike(String),
    /// Two routes of one path that differ in `compat`, which belongs to the path.
    #[error("two routes of one path differ in `compat`: {0}")]
    Compat(String),
}

#[derive(Debug, Default)]
pub(super) struct HostRoutes {
    /// Longest path first.
    paths: Vec<PathRoutes>,
    /// Readings of the paths, by index into `paths`.
    prefixes: Prefixes,
}

#[derive(Debug)]
pub(super) struct PathRoutes {
    /// Without a trailing `/`: "" is the root.
    path: String,
    /// Equal to that of each route.
    session_form: Option<BackendAiSession>,
    routes: Vec<Route>,
    allow: HeaderValue,
}

/// Parts of `public_url`.
#[derive(Debug)]
struct PublicOrigin {
    /// `https://host:port`, without a trailing slash.
    base: String,
    host: Host,
}

impl Routes {
    /// Indexes the routes of a configuration; `host` is that of `public_url`.
    pub fn new(config: &Config, host: Host) -> Result<Self, RouteError> {
        let mut routes = Self {
            exact: HashMap::from([(host.as_str().to_owned(), HostRoutes::default())]),
            below: HashMap::new(),
            upstreams: Vec::new(),
            by_method: Vec::new(),
            patterns: Vec::new(),
            public: PublicOrigin {
                base: base(&config.public_url),
                host,
            },
        };
        for (index, route) in config.route.iter().enumerate() {
            routes.add(config, route, index)?;
        }
        for host in routes.exact.values_mut().chain(routes.below.values_mut()) {
            host.paths.sort_by_key(|path| Reverse(path.path.len()));
            host.prefixes = Prefixes::of(host.paths.iter().map(|path| path.path.as_str()));
            host.note_covered();
        }
        let mut below: Vec<Host> = routes.below.keys().filter_map(|host| host.parse().ok()).collect();
        below.sort();
        let exact = routes.hosts().into_iter().map(HostPattern::Exact);
        routes.patterns = exact.chain(below.into_iter().map(HostPattern::Below)).collect();
        Ok(routes)
    }

    /// Returns the hosts that are configured exactly, that of `public_url` first.
    pub fn hosts(&self) -> Vec<Host> {
        let mut hosts: Vec<Host> = self.exact.keys().filter_map(|host| host.parse().ok()).collect();
        hosts.sort_by(|one, other| (*one != self.public.host, one).cmp(&(*other != self.public.host, other)));
        hosts
    }

    /// Returns all hosts with routes, wildcards included, and that of `public_url`.
    pub fn host_patterns(&self) -> &[HostPattern] {
        &self.patterns
    }

    /// Returns the host of `public_url`.
    pub fn public_host(&self) -> &Host {
        &self.public.host
    }

    /// Returns the upstreams of all routes, indexed by [`UpstreamId`].
    pub fn upstreams(&self) -> &[UpstreamName] {
        &self.upstreams
    }

    /// Returns the targets of routes that are limited to some methods, without duplicates.
    pub fn targets_by_method(&self) -> &[RouteTarget] {
        &self.by_method
    }

    /// Returns the base of `public_url`: `https://host:port`.
    pub fn public_base(&self) -> &str {
        &self.public.base
    }

    /// Returns all routes.
    pub fn all(&self) -> impl Iterator<Item = &Route> {
        let hosts = self.exact.values().chain(self.below.values());
        hosts.flat_map(|host| &host.paths).flat_map(|path| &path.routes)
    }

    /// Returns all routes that apply to a host.
    pub fn of_host(&self, host: &Host) -> impl Iterator<Item = &Route> {
        let paths = self.host_routes(host).into_iter().flat_map(|host| &host.paths);
        paths.flat_map(|path| &path.routes)
    }

    /// Returns the routes of a host by path: its own before those of the nearest wildcard.
    pub(super) fn host_routes(&self, host: &Host) -> Option<&HostRoutes> {
        self.each_of_host(host).next()
    }

    /// Returns the routes of a pattern, and of no other one.
    pub(super) fn pattern_routes(&self, pattern: &HostPattern) -> Option<&HostRoutes> {
        match pattern {
            HostPattern::Exact(host) => self.exact.get(host.as_str()),
            HostPattern::Below(domain) => self.below.get(domain.as_str()),
        }
    }

    /// Whether a route matches this host.
    pub fn has_host(&self, host: &Host) -> bool {
        self.host_routes(host).is_some()
    }

    /// Returns all lists of routes for a host in order of precedence: its own, then those of wildcards,
    /// nearest first.
    pub(super) fn each_of_host<'r>(&'r self, host: &Host) -> impl Iterator<Item = &'r HostRoutes> {
        let name = host.as_str();
        let dots = (!self.below.is_empty()).then(|| memchr::memchr_iter(b'.', name.as_bytes()));
        let below = dots.into_iter().flatten();
        let below = below.filter_map(move |dot| self.below.get(&name[dot + 1..]));
        self.exact.get(name).into_iter().chain(below)
    }

    /// Returns the public base if the host is another loopback name of this machine; `None` otherwise.
    pub(super) fn public_base_for_alias(&self, host: &Host) -> Option<&str> {
        let is_alias = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        (is_alias && self.public.host.is_loopback()).then_some(self.public.base.as_str())
    }

    fn add(&mut self, config: &Config, route: &RouteConfig, index: usize) -> Result<(), RouteError> {
        let path = route.path.trim_end_matches('/');
        let pattern = route
            .host_pattern(&self.public.host)
            .map_err(|source| RouteError::Host {
                path: route.path.clone(),
                source,
            })?;
        let response_headers = ResponseHeaders::parse(&route.response_headers);
        let made = Route {
            place: RouteSlot {
                index,
                line: route.line.0,
            },
            label: route.label_at(&pattern).into(),
            methods: methods(route)?,
            policy: route.policy().into(),
            target: self.target(config, route)?,
            answer: StaticAnswer::of(route)?,
            covers: Vec::new(),
            encoded_slash: route.encoded_slash,
            case_sensitive: route.case_sensitive,
            preflight: route.preflight,
            replay: route.replay,
            unsigned_payload: route.unsigned_payload,
            presigned: route.presigned,
            maintenance: route.maintenance,
            preserve_host: route.preserve_host,
            compress: route.compress,
            timeouts: route.timeouts,
            limits: route.limits,
            strip_prefix: StrippedPrefix::of(route)
                .map_err(|()| RouteError::StripPrefix(route.path.clone()))?,
            response_headers: response_headers.map_err(|name| RouteError::ResponseHeader {
                path: route.path.clone(),
                name: name.to_owned(),
            })?,
            session_form: route.compat.map(|Compat::BackendAi| BackendAiSession::new(path)),
        };
        if made.methods != Methods::ALL && !self.by_method.contains(&made.target) {
            self.by_method.push(made.target);
        }
        let host = match pattern {
            HostPattern::Exact(host) => self.exact.entry(host.into()).or_default(),
            HostPattern::Below(domain) => self.below.entry(domain.into()).or_default(),
        };
        host.add(path, made)
    }

    fn target(&mut self, config: &Config, route: &RouteConfig) -> Result<RouteTarget, RouteError> {
        let path = || route.path.clone();
        if route.redirect.is_some() || route.respond.is_some() {
            return Ok(RouteTarget::Answer);
        }
        let name = match route.target() {
            Ok(config::UpstreamTarget::Demo) => return Ok(RouteTarget::Demo),
            Ok(config::UpstreamTarget::Server(server)) => UpstreamName::Server(server),
            Ok(config::UpstreamTarget::Named(name)) => {
                if !config.upstream.contains_key(name) {
                    let name = name.to_owned();
                    return Err(RouteError::NoUpstream { path: path(), name });
                }
                UpstreamName::Named(name.to_owned())
            }
            Err(source) => return Err(RouteError::Upstream { path: path(), source }),
        };
        let index = self.upstreams.iter().position(|known| *known == name);
        Ok(RouteTarget::Upstream(UpstreamId(index.unwrap_or_else(|| {
            self.upstreams.push(name);
            self.upstreams.len() - 1
        }))))
    }
}

impl HostRoutes {
    /// Returns the routes with the longest path that is a prefix of `path` at a segment border, and the rest
    /// of `path`.
    pub(super) fn at<'p>(&self, path: &'p str) -> Option<(&PathRoutes, &'p str)> {
        self.each_at(path).next()
    }

    /// Returns all routes whose path is a prefix, longest first.
    pub(super) fn each_at<'p>(&self, path: &'p str) -> impl Iterator<Item = (&PathRoutes, &'p str)> {
        let rest = move |routes: &PathRoutes| prefixes::rest(path, &routes.path);
        self.paths
            .iter()
            .filter_map(move |routes| Some((routes, rest(routes)?)))
    }

    /// Returns the paths in all readings.
    pub(super) fn prefixes(&self) -> &Prefixes {
        &self.prefixes
    }

    /// Returns the routes at an index of [`Self::prefixes`].
    pub(super) fn nth(&self, index: usize) -> Option<&PathRoutes> {
        self.paths.get(index)
    }

    /// Notes for each route without an upstream whose paths it stands in. Paths are sorted.
    fn note_covered(&mut self) {
        let targets = |routes: &PathRoutes| -> Vec<RouteTarget> {
            let all = routes.routes.iter().map(Route::target);
            all.filter(|target| *target != RouteTarget::Answer).collect()
        };
        let led: Vec<Vec<RouteTarget>> = self.paths.iter().map(targets).collect();
        for index in 0..self.paths.len() {
            let path = &self.paths[index].path;
            let above = (index..self.paths.len())
                .filter(|&above| prefixes::rest(path, &self.paths[above].path).is_some());
            let covered = above.map(|above| &led[above]).find(|led| !led.is_empty());
            let covered = covered.cloned().unwrap_or_default();
            for route in &mut self.paths[index].routes {
                if route.target == RouteTarget::Answer {
                    route.covers.clone_from(&covered);
                }
            }
        }
    }

    fn add(&mut self, path: &str, route: Route) -> Result<(), RouteError> {
        let Some(known) = self.paths.iter_mut().find(|known| known.path == path) else {
            self.paths.push(PathRoutes {
                path: path.to_owned(),
                session_form: route.session_form.clone(),
                allow: Methods::allow_header([&route.methods]),
                routes: vec![route],
            });
            return Ok(());
        };
        if known
            .routes
            .iter()
            .any(|other| other.methods.overlap(&route.methods))
        {
            return Err(RouteError::Alike(route.label.to_string()));
        }
        if known.session_form != route.session_form {
            return Err(RouteError::Compat(route.label.to_string()));
        }
        known.routes.push(route);
        known.allow = Methods::allow_header(known.routes.iter().map(|route| &route.methods));
        Ok(())
    }
}

impl PathRoutes {
    /// Returns the route for a method. A route for GET also serves HEAD; one with `preflight` also serves
    /// OPTIONS.
    pub(super) fn route_for(&self, method: &Method) -> Option<&Route> {
        let named = |method: &Method| self.routes.iter().find(|route| route.methods.contains(method));
        named(method).or_else(|| match *method {
            Method::HEAD => named(&Method::GET),
            Method::OPTIONS => self.routes.iter().find(|route| route.preflight),
            _ => None,
        })
    }

    /// Whether the path is the root, so that they serve everything no other route does.
    pub(super) fn is_root(&self) -> bool {
        self.path.is_empty()
    }

    /// Returns all routes, for any method.
    pub(super) fn all(&self) -> &[Route] {
        &self.routes
    }

    /// Classifies a path in Backend.AI's session form, if that is enabled. `rest` follows the route's own
    /// path.
    pub(super) fn in_session_form(&self, rest: &str) -> Option<BackendAiPath> {
        self.session_form
            .as_ref()
            .and_then(|_| BackendAiSession::read(rest))
    }

    /// Returns the path for the upstream, if it differs from the one sent.
    pub(super) fn bare_path<'p>(&self, sent: &'p str) -> Option<Cow<'p, str>> {
        self.session_form.as_ref()?.bare(sent)
    }

    /// Returns the value of `Allow` for a method without a route.
    pub(super) fn allow(&self) -> &HeaderValue {
        &self.allow
    }
}

fn methods(route: &RouteConfig) -> Result<Methods, RouteError> {
    let methods = route.methods.iter().map(|method| {
        Method::from_bytes(method.as_bytes()).map_err(|_| RouteError::Method {
            path: route.path.clone(),
            method: method.clone(),
        })
    });
    Ok(Methods::of(methods.collect::<Result<_, _>>()?))
}

fn base(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
