//! The request's path, on one screen: route, authenticate, authorize, identity, upstream.

mod access_log;
mod body;
mod connection;
mod headers;
mod upgrade;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, HOST, LOCATION, SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::authenticate::{Attempt, Authenticator};
use crate::authorize::{self, Permit};
use crate::config::{Config, HostPattern};
use crate::identity::{Identity, IdentityError};
use crate::portal::{Admitted, Portal, PortalError};
use crate::random::Random;
use crate::refusal::{Problem, Refusal};
use crate::request::{Client, Host, RequestHead, RequestId, RequestIds, require_same_origin};
use crate::route::{Destination, Found, Page, RouteError, Routes};
use crate::services::Services;
use crate::upstream::{UpstreamError, Upstreams};

pub use access_log::AccessLog;
use body::Body;

const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Everything between a connection and an application.
#[derive(Debug)]
pub struct Gateway {
    routes: Routes,
    authenticator: Authenticator,
    identity: Identity,
    upstreams: Upstreams,
    portal: Portal,
    services: Services,
    ids: RequestIds,
    public_url: Url,
    real_certificate: bool,
    form_body: usize,
    settings: connection::Settings,
    access_log: AccessLog,
    stop: CancellationToken,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A route cannot be.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// An identity header cannot be.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An upstream cannot be.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The pages cannot be made.
    #[error(transparent)]
    Portal(#[from] PortalError),
    /// The access log cannot be opened.
    #[error("log.access_file: {0}")]
    AccessLog(std::io::Error),
}

/// Where a request came in, beside what it says itself.
struct Arrival<'a> {
    client: &'a Client,
    sni: Option<&'a Host>,
    id: RequestId,
}

/// What a request is admitted to.
enum Admission {
    Page(Page),
    Redirect(String),
    Forward(Permit),
}

impl Gateway {
    /// Puts the stages together. `routes` were made from the same configuration.
    pub fn new(
        config: &Config,
        routes: Routes,
        services: Services,
        random: &Random,
        real_certificate: bool,
        stop: CancellationToken,
    ) -> Result<Self, GatewayError> {
        Ok(Self {
            authenticator: Authenticator::new(services.clone()),
            identity: Identity::new(config)?,
            upstreams: Upstreams::new(config)?,
            portal: Portal::new(config, services.clone(), routes.hosts())?,
            services,
            ids: RequestIds::new(random),
            public_url: config.public_url.clone(),
            real_certificate,
            form_body: usize::try_from(config.limits.form_body.0).unwrap_or(usize::MAX),
            settings: connection::Settings::new(config),
            access_log: AccessLog::open(&config.log).map_err(GatewayError::AccessLog)?,
            routes,
            stop,
        })
    }

    /// Answers one request; never fails.
    async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        client: &Client,
        sni: Option<&Host>,
    ) -> Response<Body> {
        let id = self.ids.next();
        let arrival = Arrival { client, sni, id };
        let line = self.access_log.begin(&request, client, id);
        let mut response = self.serve(request, &arrival).await;
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            response.headers_mut().insert("x-request-id", value);
        }
        line.end(response.status());
        response
    }

    async fn serve(self: &Arc<Self>, request: Request<Incoming>, arrival: &Arrival<'_>) -> Response<Body> {
        let (parts, incoming) = request.into_parts();
        let Some((host, authority)) = requested_host(&parts) else {
            return bare(StatusCode::BAD_REQUEST);
        };
        let head = RequestHead {
            method: &parts.method,
            host: &host,
            authority: &authority,
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
            client: arrival.client,
            id: arrival.id,
        };
        let attempt = |use_it| self.authenticator.identify(&parts.headers, use_it);
        let mut response = match self.admit(&head, arrival.sni, attempt) {
            Ok(Admission::Redirect(location)) => redirect(&location),
            Ok(Admission::Page(page)) => self.page(page, &head, incoming).await.map(Body::Full),
            Ok(Admission::Forward(permit)) => match self.forward(&permit, &head, &parts, incoming).await {
                Ok(response) => response,
                Err(refusal) => self.refuse(&head, &refusal).map(Body::Full),
            },
            Err(refusal) => self.refuse(&head, &refusal).map(Body::Full),
        };
        if self.real_certificate && !host.is_loopback() && host.as_str().parse::<std::net::IpAddr>().is_err()
        {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
        response
    }

    fn admit(
        &self,
        head: &RequestHead<'_>,
        sni: Option<&Host>,
        attempt: impl FnOnce(bool) -> Attempt,
    ) -> Result<Admission, Refusal> {
        if matches!(*head.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::new(Problem::MethodNotAllowed));
        }
        if sni.is_some_and(|sni| sni != head.host) {
            return Err(Refusal::new(Problem::Misdirected));
        }
        match self.routes.find(head)? {
            Found::Page(page) => Ok(Admission::Page(page)),
            Found::Front => Ok(Admission::Redirect("/.auth/login".to_owned())),
            Found::Alias => Ok(Admission::Redirect(self.at_public_url(head))),
            Found::Route(route) => {
                authorize::permit(attempt(true), route, head.method).map(Admission::Forward)
            }
        }
    }

    fn at_public_url(&self, head: &RequestHead<'_>) -> String {
        let base = self.public_url.as_str().trim_end_matches('/');
        let query = head.query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{base}{}{query}", head.path)
    }

    async fn page(&self, page: Page, head: &RequestHead<'_>, incoming: Incoming) -> Response<Bytes> {
        if !page.methods().contains(&head.method.as_str()) {
            let mut response = if head.method == Method::OPTIONS {
                Response::builder()
                    .status(StatusCode::NO_CONTENT)
                    .body(Bytes::new())
                    .unwrap_or_default()
            } else {
                self.refuse(head, &Refusal::new(Problem::MethodNotAllowed))
            };
            if let Ok(allow) = HeaderValue::from_str(&page.methods().join(", ")) {
                response.headers_mut().insert(ALLOW, allow);
            }
            return response;
        }
        let read = tokio::time::timeout(
            self.settings.header,
            Limited::new(incoming, self.form_body).collect(),
        );
        let body = match read.await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return self.refuse(head, &Refusal::new(Problem::TooLarge));
            }
            Ok(Err(_)) | Err(_) => return self.refuse(head, &Refusal::new(Problem::BadRequest)),
        };
        let principal = match self.authenticator.identify(head.headers, false) {
            Attempt::Verified(session) => Some(session.principal()),
            Attempt::NotPresented | Attempt::Rejected => None,
        };
        self.portal.respond(page, head, principal, body).await
    }

    async fn forward(
        self: &Arc<Self>,
        permit: &Permit,
        head: &RequestHead<'_>,
        parts: &http::request::Parts,
        incoming: Incoming,
    ) -> Result<Response<Body>, Refusal> {
        let mut headers = parts.headers.clone();
        let upgrade = headers::websocket(&parts.method, &headers);
        if upgrade && require_same_origin(&headers, head.authority).is_err() {
            return Err(Refusal::new(Problem::CrossOrigin));
        }
        headers::strip_hop_by_hop(&mut headers, upgrade);
        self.services.session_cookie.strip(&mut headers);
        self.identity.strip(&mut headers);
        headers::set_forwarded(&mut headers, head);
        self.identity.set(permit, &mut headers);
        if permit.route().destination == Destination::Demo {
            return Ok(self.demo(permit, head, &headers).map(Body::Full));
        }
        headers.insert(
            HOST,
            HeaderValue::from_str(head.authority).map_err(|_| Refusal::new(Problem::BadRequest))?,
        );
        let mut request = Request::new(incoming);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        let ended = permit.session().map(|session| session.ended());
        let mut response = self.upstreams.send(permit, request).await?;
        self.services.session_cookie.strip_set(response.headers_mut());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !upgrade {
                return Err(Refusal::because(
                    Problem::UpstreamUnreachable,
                    "an upgrade that nobody asked for",
                ));
            }
            upgrade::tunnel(parts, &mut response, ended, self.stop.clone());
            return Ok(response.map(|_| Body::Full(Bytes::new())));
        }
        headers::strip_hop_by_hop(response.headers_mut(), false);
        Ok(response.map(|incoming| Body::until(incoming, ended)))
    }

    fn demo(&self, permit: &Permit, head: &RequestHead<'_>, headers: &http::HeaderMap) -> Response<Bytes> {
        let route = permit.route();
        let host = match &route.host {
            HostPattern::Exact(host) => host.to_string(),
            HostPattern::Below(domain) => format!("*.{domain}"),
        };
        let principal = permit.principal();
        let admitted = Admitted {
            principal: principal.as_deref(),
            upstream_headers: headers,
            route: format!("{host}{}", route.path),
            allow: match route.allow {
                crate::config::Allow::Public => "public",
                crate::config::Allow::Optional => "optional",
                crate::config::Allow::Authenticated => "authenticated",
                crate::config::Allow::Groups(_) => "groups",
            },
        };
        self.portal.demo(head, &admitted)
    }

    fn refuse(&self, head: &RequestHead<'_>, refusal: &Refusal) -> Response<Bytes> {
        if let Some(cause) = &refusal.cause {
            tracing::info!(request_id = %head.id, problem = refusal.problem.slug(), %cause, "refused");
        }
        let mut response = self.portal.refuse(head, refusal);
        if let crate::services::Presented::Several = self.services.session_cookie.presented(head.headers) {
            response
                .headers_mut()
                .append(SET_COOKIE, self.services.session_cookie.clear());
        }
        response
    }
}

/// The one host that a request is for (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
fn requested_host(parts: &http::request::Parts) -> Option<(Host, String)> {
    let mut named = parts.headers.get_all(HOST).iter();
    let header = match (named.next(), named.next()) {
        (Some(one), None) => Some(one.to_str().ok()?),
        (None, _) => None,
        (Some(_), Some(_)) => return None,
    };
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    if let (Some(header), Some(target)) = (header, target)
        && !header.eq_ignore_ascii_case(target)
    {
        return None;
    }
    let authority = target.or(header)?;
    Some((authority.parse().ok()?, authority.to_owned()))
}

fn redirect(location: &str) -> Response<Body> {
    let mut response = bare(StatusCode::SEE_OTHER);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::new()));
    *response.status_mut() = status;
    response
}
