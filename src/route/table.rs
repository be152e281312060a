//! The table of routes.

use std::sync::Arc;

use http::Method;

use super::Page;
use super::path::examine;
use crate::config::{Allow, Config, HostPattern, Target};
use crate::refusal::{Problem, Refusal};
use crate::request::{Host, RequestHead};

/// A route that matched.
#[derive(Debug)]
pub struct Route {
    /// Its hosts.
    pub host: HostPattern,
    /// The beginning of its paths.
    pub path: String,
    /// Its methods; empty for all.
    pub methods: Vec<Method>,
    /// Its policy.
    pub allow: Allow,
    /// Where it leads.
    pub destination: Destination,
    /// Whether `%2f` is passed on.
    pub encoded_slash: bool,
    /// Whether OPTIONS is passed on without a session.
    pub preflight: bool,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The built-in application.
    Demo,
    /// An upstream, by its name or URL.
    Upstream(String),
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub enum Found {
    /// One of the gateway's own pages.
    Page(Page),
    /// `/.auth` itself: on to the login page.
    Front,
    /// The same at the host of `public_url`: the machine was called by another of its names.
    Alias,
    /// An application.
    Route(Arc<Route>),
}

/// A route that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("route {0}: {1}")]
pub struct RouteError(usize, String);

/// All routes; within a host the longest path first.
#[derive(Debug)]
pub struct Routes {
    routes: Vec<Arc<Route>>,
    public: Host,
}

impl Routes {
    /// The table that a configuration describes.
    pub fn new(config: &Config, public: Host) -> Result<Self, RouteError> {
        let mut routes = Vec::new();
        for (index, route) in config.route.iter().enumerate() {
            let wrong = |error: &dyn ToString| RouteError(index, error.to_string());
            routes.push(Arc::new(Route {
                host: route.host_pattern(&public).map_err(|error| wrong(&error))?,
                path: route.path.clone(),
                methods: route
                    .methods
                    .iter()
                    .map(|method| method.parse())
                    .collect::<Result<_, _>>()
                    .map_err(|error: http::method::InvalidMethod| wrong(&error))?,
                allow: route.allow.clone(),
                destination: match route.target().map_err(|error| wrong(&error))? {
                    Target::Demo => Destination::Demo,
                    Target::Named(_) | Target::Server(_) => Destination::Upstream(route.upstream.clone()),
                },
                encoded_slash: route.encoded_slash,
                preflight: route.preflight,
            }));
        }
        // The exact host before the wildcard, the nearer wildcard before the farther, the longer path first.
        routes.sort_by_key(|route| {
            let host = match &route.host {
                HostPattern::Exact(_) => usize::MAX,
                HostPattern::Below(domain) => domain.as_str().len(),
            };
            std::cmp::Reverse((host, route.path.trim_end_matches('/').len()))
        });
        Ok(Self { routes, public })
    }

    /// The exact hosts that are configured, that of `public_url` first.
    pub fn hosts(&self) -> Vec<Host> {
        let mut hosts = vec![self.public.clone()];
        for route in &self.routes {
            if let HostPattern::Exact(host) = &route.host
                && !hosts.contains(host)
            {
                hosts.push(host.clone());
            }
        }
        hosts
    }

    /// Where a request goes.
    pub fn find(&self, head: &RequestHead<'_>) -> Result<Found, Refusal> {
        let host = head.host;
        let known = *host == self.public || self.routes.iter().any(|route| route.host.matches(host));
        if !known {
            let alias = self.public.is_loopback() && host.is_loopback();
            return if alias {
                Ok(Found::Alias)
            } else {
                Err(Refusal::new(Problem::NotFound))
            };
        }
        let (plain, encoded_slash) =
            examine(head.path).map_err(|_| Refusal::because(Problem::BadRequest, "an ambiguous path"))?;
        let found = self.at(host, head.path, head.method);
        if let Some(plain) = plain
            && plain != head.path
        {
            let ambiguous =
                || Refusal::because(Problem::BadRequest, "decoded, the path would take another route");
            match (&found, self.at(host, &plain, head.method)) {
                (Ok(Found::Route(raw)), Ok(Found::Route(decoded))) if Arc::ptr_eq(raw, &decoded) => {
                    if encoded_slash && !raw.encoded_slash {
                        return Err(Refusal::because(Problem::BadRequest, "an encoded slash"));
                    }
                }
                (Err(_), Err(_)) if !encoded_slash => {}
                _ => return Err(ambiguous()),
            }
        }
        found
    }

    fn at(&self, host: &Host, path: &str, method: &Method) -> Result<Found, Refusal> {
        if is_within(path, Page::PREFIX) {
            return match path {
                "/.auth" | "/.auth/" => Ok(Found::Front),
                _ => Page::at(path)
                    .map(Found::Page)
                    .ok_or_else(|| Refusal::new(Problem::NotFound)),
            };
        }
        // All routes of the first host and path that match; no shorter one is looked at.
        let Some(first) = self
            .routes
            .iter()
            .find(|route| route.host.matches(host) && is_within(path, &route.path))
        else {
            return Err(Refusal::new(Problem::NotFound));
        };
        self.routes
            .iter()
            .filter(|route| {
                route.host == first.host
                    && route.path.trim_end_matches('/') == first.path.trim_end_matches('/')
            })
            .find(|route| {
                route.methods.is_empty()
                    || route.methods.contains(method)
                    || (method == Method::HEAD && route.methods.contains(&Method::GET))
            })
            .map(|route| Found::Route(route.clone()))
            .ok_or_else(|| Refusal::new(Problem::MethodNotAllowed))
    }
}

/// Whether a path begins with another on a segment's border.
fn is_within(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::request::{Client, RequestIds};
    use http::HeaderMap;

    fn find(method: &str, host: &str, path: &str) -> Result<String, Problem> {
        let text = r#"
            public_url = "https://gw.example.com"
            [[route]]
            path = "/"
            upstream = "demo:"
            [[route]]
            path = "/api"
            methods = ["GET"]
            upstream = "http://127.0.0.1:1"
            [[route]]
            host = "*.example.com"
            upstream = "http://127.0.0.1:2"
        "#;
        let config = Config::parse(text, "test").unwrap().config;
        let routes = Routes::new(&config, "gw.example.com".parse().unwrap()).unwrap();
        let (method, host) = (method.parse().unwrap(), host.parse().unwrap());
        let client = Client {
            address: [127, 0, 0, 1].into(),
            through_trusted_proxy: false,
        };
        let found = routes.find(&RequestHead {
            method: &method,
            host: &host,
            authority: "",
            path,
            query: None,
            headers: &HeaderMap::new(),
            client: &client,
            id: RequestIds::new(&Random::seeded(1)).next(),
        });
        found
            .map(|found| match found {
                Found::Route(route) => format!("{:?}", route.destination),
                other => format!("{other:?}"),
            })
            .map_err(|refusal| refusal.problem)
    }

    #[test]
    fn the_exact_host_then_the_longest_path_then_the_method() {
        assert_eq!(find("GET", "gw.example.com", "/apiary").unwrap(), "Demo");
        assert!(find("GET", "gw.example.com", "/api/x").unwrap().contains(":1"));
        assert_eq!(
            find("POST", "gw.example.com", "/api").unwrap_err(),
            Problem::MethodNotAllowed
        );
        assert!(find("GET", "a.b.example.com", "/").unwrap().contains(":2"));
        assert_eq!(find("GET", "example.com", "/").unwrap_err(), Problem::NotFound);
        assert!(
            find("GET", "a.example.com", "/.auth/login")
                .unwrap()
                .contains("Login")
        );
        assert_eq!(
            find("GET", "gw.example.com", "/.auth/nothing").unwrap_err(),
            Problem::NotFound
        );
    }

    #[test]
    fn a_path_that_decodes_to_another_route_is_refused() {
        for path in [
            "//api",
            "/%61pi",
            "/%2561pi",
            "/;x/api",
            "/a%2fb",
            "/api/..",
            "/%2eauth/login",
            "//.auth/login",
        ] {
            assert_eq!(
                find("GET", "gw.example.com", path).unwrap_err(),
                Problem::BadRequest,
                "{path}"
            );
        }
        assert!(
            find("GET", "gw.example.com", "/api/a%20b;v=1//c")
                .unwrap()
                .contains(":1")
        );
    }
}
