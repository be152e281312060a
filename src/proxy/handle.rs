//! Handles one request, from its head to the response that hyper sends.

use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::Either;
use http::header::{ALLOW, CONNECTION, DATE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::access_log::{AbortGuard, RequestOutcome, RequestTimer, RequestTransport};
use super::admit::{Rejection, RejectionKind};
use super::connection_info::ConnectionInfo;
use super::connection_state::RequestGuard;
use super::forward::{InboundRequest, content_length};
use super::framing;
use super::head_inspector::HeadReport;
use super::request_history::RefusalReason;
use super::response_body::{BodySource, DownstreamBody, OnComplete, SessionWatch};
use super::target_host::{TargetError, TargetHost, from_parts};
use super::websocket::{self, Handshake};
use super::{Gateway, hsts};
use crate::authenticate::Credentials;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::request::{RequestHead, X_REQUEST_ID};
use crate::route::{RouteMatch, may_change};
use crate::upstream::{BodyProgress, ConnectionPermit, Upload};

/// A response with what the gateway must know to send and log it.
pub(super) struct PendingResponse {
    pub(super) response: Response<BodySource>,
    /// Credentials whose end also ends the response body.
    pub(super) credentials: Option<Credentials>,
    /// Progress of the request body.
    pub(super) request: Option<Arc<BodyProgress>>,
    /// The two connections of a tunnel, for status 101.
    pub(super) tunnel: Option<Tunnel>,
    /// The server of the upstream that responded.
    pub(super) upstream: Option<Arc<str>>,
    pub(super) route: Option<Arc<str>>,
    pub(super) user: Option<Arc<Principal>>,
    /// The reason of a refusal, for the history.
    pub(super) refused: Option<Box<RefusalReason>>,
    pub(super) clears_cookie: bool,
    /// Whether the request body stays unread.
    pub(super) leaves_unread: bool,
    /// How long the body may pause, if that is not as `timeouts.idle` says.
    pub(super) idle: Option<Duration>,
}

/// The client's and the upstream's connection, to be joined.
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) upstream: OnUpgrade,
    /// Held until the tunnel ends.
    pub(super) permit: Option<ConnectionPermit>,
}

impl From<Response<BodySource>> for PendingResponse {
    fn from(response: Response<BodySource>) -> Self {
        Self {
            response,
            credentials: None,
            request: None,
            tunnel: None,
            upstream: None,
            route: None,
            user: None,
            refused: None,
            clears_cookie: false,
            leaves_unread: false,
            idle: None,
        }
    }
}

impl Gateway {
    /// Handles one request. One that may change something here is handled to its end, also when its client hangs up: what the
    /// store has done is in the audit log then. Others end with their connections.
    pub(super) fn respond(
        self: Arc<Self>,
        connection: Arc<ConnectionInfo>,
        request: Request<Incoming>,
        guard: RequestGuard,
        seen: Option<HeadReport>,
    ) -> impl Future<Output = Response<DownstreamBody>> + Send {
        if *request.method() != Method::POST || !may_change(request.uri().path()) {
            return Either::Left(self.handle(connection, request, guard, seen));
        }
        let acts = self.tunnels.clone();
        let handled = acts.spawn(self.handle(connection, request, guard, seen));
        Either::Right(async move {
            match handled.await {
                Ok(response) => response,
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                // The runtime is shutting down.
                Err(_) => pending().await,
            }
        })
    }

    /// Handles one request; never fails. `seen` is the report on its head; `None` in HTTP/2, and in HTTP/1 if
    /// the head arrived together with the end of the previous body.
    pub(super) async fn handle(
        self: Arc<Self>,
        connection: Arc<ConnectionInfo>,
        request: Request<Incoming>,
        guard: RequestGuard,
        seen: Option<HeadReport>,
    ) -> Response<DownstreamBody> {
        let begun = RequestTimer::now(&self.clock);
        let (mut parts, incoming) = request.into_parts();
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let handshake = websocket::take_handshake(&mut parts);
        let upload = Upload::new(incoming, parts.version);
        let has_body = !upload.is_end_stream();
        let client = self.client(&connection, &parts.headers);
        // Ambiguous heads are refused (S45).
        let target = match seen.and_then(|seen| seen.fault) {
            Some(fault) => Err(TargetError::from(fault)),
            None => framing::validate(&parts.headers, self.header_fields)
                .map_err(TargetError::from)
                .and_then(|()| from_parts(&parts, connection.hop())),
        };
        let (target, malformed) = match target {
            Ok(target) => (target, None),
            Err(malformed) => (self.unknown_target(), Some(malformed)),
        };
        let head = RequestHead {
            method: &parts.method,
            host: &target.host,
            scheme: target.scheme,
            authority: &target.authority,
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
            client: &client,
            id: self.request_id(&connection, &parts.headers),
        };
        let transport = RequestTransport {
            protocol: parts.version,
            tls: connection.tls,
        };
        let unanswered = AbortGuard::new(self.access_log.as_ref(), &head, transport, begun);
        let mut pending = if guard.lacks_memory() {
            self.refuse_for_memory()
        } else if let Some(malformed) = malformed {
            let mut refused = self.refuse(&head, &malformed.into(), None, has_body);
            // Where the scheme is not known, not even a language is remembered.
            refused.response.headers_mut().remove(SET_COOKIE);
            refused
        } else {
            let inbound = InboundRequest {
                upload,
                target: parts.uri.path_and_query(),
                version: parts.version,
                sni: connection.sni.as_ref().filter(|_| !target.is_by_proxy),
                handshake,
                upgrade,
            };
            let pending =
                AssertUnwindSafe(self.dispatch(&head, inbound, &connection, has_body)).catch_unwind();
            pending.await.unwrap_or_else(|_| {
                let refusal = Refusal::because(Problem::Unavailable, "a stage panicked");
                self.refuse(&head, &refusal, None, has_body)
            })
        };
        if handshake == Some(Handshake::ExtendedConnect)
            && pending.tunnel.is_none()
            && pending.response.status().is_success()
        {
            pending = self.refuse_websocket(&head, pending);
        }
        if matches!(pending.response.body(), BodySource::Own(Some(_))) {
            // Boxed, because only the gateway's own answers need it.
            Box::pin(self.compress_own(&head, parts.version, &mut pending)).await;
        }
        unanswered.answered();
        // HTTP/1 closes after a head that was not inspected, or one with bytes after it that are not its
        // body.
        let is_unsure = match seen {
            Some(seen) => malformed.is_some() || seen.followed && !has_body,
            None => true,
        };
        // It also closes after an unread body and when the gateway stops. `Connection: close` keeps the
        // client from reusing the connection.
        let closes = parts.version != Version::HTTP_2
            && (is_unsure || pending.leaves_unread || self.stop.is_cancelled());
        self.finish(&head, &connection, &mut pending, closes);
        self.send(&head, transport, pending, begun, guard)
    }

    /// Refuses a request without a page, for which there is no memory either.
    fn refuse_for_memory(&self) -> PendingResponse {
        if let Some(unlogged) = self.warnings.admit() {
            tracing::warn!(
                unlogged,
                "the memory for requests over HTTP/2 is spent: connections with many of them are refused more"
            );
        }
        let retry_after = (RETRY_AFTER, HeaderValue::from_static("5"));
        let mut pending = bare(StatusCode::SERVICE_UNAVAILABLE, retry_after);
        pending.response.extensions_mut().insert(Problem::Unavailable);
        pending
    }

    /// Refuses a WebSocket over HTTP/2 where a page or another answer of the gateway's own is: its success would tell the client
    /// that the WebSocket has begun.
    fn refuse_websocket(&self, head: &RequestHead<'_>, instead: PendingResponse) -> PendingResponse {
        let refusal = Refusal::because(Problem::BadRequest, "no application is there for a WebSocket");
        let refused = self.refuse(head, &refusal, instead.user.as_deref(), instead.leaves_unread);
        PendingResponse {
            route: instead.route,
            user: instead.user,
            clears_cookie: instead.clears_cookie,
            ..refused
        }
    }

    /// Placeholder for refusing a request without a valid host.
    fn unknown_target(&self) -> TargetHost<'static> {
        TargetHost {
            host: self.routes.public_host().clone(),
            scheme: "https",
            authority: "".into(),
            is_by_proxy: false,
        }
    }

    /// Admits a request and calls the page or the upstream.
    async fn dispatch(
        &self,
        head: &RequestHead<'_>,
        mut inbound: InboundRequest<'_>,
        connection: &ConnectionInfo,
        has_body: bool,
    ) -> PendingResponse {
        let admitted = self.admit(head, &mut inbound.upload, inbound.sni).await;
        let mut admission = match admitted {
            Ok(admission) => admission,
            Err(stopped) => return self.reject(head, stopped, has_body),
        };
        let pending = match admission.to {
            // Boxed, because every request's future would otherwise reserve the space that pages need.
            RouteMatch::Page(page) => {
                Box::pin(self.page(page, head, inbound.upload, &admission.permit)).await
            }
            RouteMatch::Route(route) => {
                let version = inbound.version;
                let forwarded = self.forward(head, inbound, connection, route, &mut admission);
                forwarded.await.map(|mut pending| {
                    route.change_response_headers(pending.response.headers_mut());
                    self.compress(head, version, route, &mut pending);
                    pending
                })
            }
        };
        let user = admission.permit.principal().cloned();
        let mut pending =
            pending.unwrap_or_else(|refusal| self.refuse(head, &refusal, user.as_deref(), has_body));
        pending.clears_cookie = admission.clears_cookie;
        pending.user = user;
        if let RouteMatch::Route(route) = admission.to {
            pending.route = Some(route.label().clone());
        }
        pending
    }

    pub(super) fn reject(
        &self,
        head: &RequestHead<'_>,
        stopped: Rejection,
        has_body: bool,
    ) -> PendingResponse {
        let mut pending = match stopped.answer {
            RejectionKind::Refused(refusal, allow) => {
                let mut pending = self.refuse(head, &refusal, stopped.user.as_deref(), has_body);
                if let Some(allow) = allow {
                    pending.response.headers_mut().insert(ALLOW, allow);
                }
                pending
            }
            RejectionKind::Options(allow) => bare(StatusCode::NO_CONTENT, (ALLOW, allow)),
            RejectionKind::Redirect(url) => match HeaderValue::try_from(url) {
                Ok(url) => bare(redirect_status(head.method), (LOCATION, url)),
                Err(_) => self.refuse(head, &Refusal::new(Problem::BadRequest), None, has_body),
            },
        };
        pending.leaves_unread = has_body;
        pending.clears_cookie = stopped.clears_cookie;
        pending.route = stopped.route;
        pending.user = stopped.user;
        pending
    }

    /// Logs a refusal and turns it into a response; the only place that does.
    pub(super) fn refuse(
        &self,
        head: &RequestHead<'_>,
        refusal: &Refusal,
        user: Option<&Principal>,
        has_body: bool,
    ) -> PendingResponse {
        if let Some(cause) = &refusal.cause {
            let (request_id, problem) = (head.id, refusal.problem.slug());
            if refusal.problem.status().is_server_error() {
                if let Some(unlogged) = self.warnings.admit() {
                    tracing::warn!(%request_id, problem, %cause, unlogged, "a request is refused");
                }
            } else {
                tracing::debug!(%request_id, problem, %cause, "a request is refused");
            }
        }
        let mut response =
            PendingResponse::from(self.portal.refuse(head, refusal, user).map(BodySource::own));
        response.refused = Some(Box::new(RefusalReason {
            problem: refusal.problem,
            cause: refusal.cause.clone(),
        }));
        response.leaves_unread = has_body;
        response
    }

    /// What every answer says.
    fn finish(
        &self,
        head: &RequestHead<'_>,
        connection: &ConnectionInfo,
        response: &mut PendingResponse,
        closes: bool,
    ) {
        if *head.method == Method::HEAD
            && let BodySource::Own(content) = response.response.body_mut()
        {
            let length = content.take().map_or(0, |content| content.len());
            content_length(response.response.headers_mut(), length);
        }
        let headers = response.response.headers_mut();
        headers.insert(X_REQUEST_ID, head.id.header_value());
        let date = self.clock.http_date().map(HeaderValue::try_from);
        if let Some(Ok(date)) = date {
            // The upstream's date is kept (RFC 9110, section 6.6.1).
            headers.entry(DATE).or_insert(date);
        }
        hsts::apply(
            headers,
            head.host,
            connection.tls.is_some(),
            self.real_certificate,
        );
        if response.clears_cookie && !self.sets_session(headers) {
            headers.append(SET_COOKIE, self.services.cookies.clear_session());
        }
        if closes && response.tunnel.is_none() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Whether a response sets the session cookie; then it must not delete it too.
    fn sets_session(&self, headers: &HeaderMap) -> bool {
        let name = self.services.cookies.session_name().as_bytes();
        headers.get_all(SET_COOKIE).iter().any(|cookie| {
            cookie
                .as_bytes()
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(b"="))
        })
    }

    /// Builds hyper's response, and starts the tunnel of status 101. Cleanup runs when the body is dropped.
    fn send(
        &self,
        head: &RequestHead<'_>,
        transport: RequestTransport,
        response: PendingResponse,
        begun: RequestTimer,
        mut guard: RequestGuard,
    ) -> Response<DownstreamBody> {
        if response.leaves_unread {
            guard.leave_unread();
        }
        guard.release_head();
        if let BodySource::Own(Some(page)) = response.response.body() {
            guard.send_own(page.len());
        }
        // A call of gRPC is refused with 200, and the status that this stands for is counted and logged.
        let status = match &response.refused {
            Some(reason) if response.response.status() == StatusCode::OK => reason.problem.status(),
            _ => response.response.status(),
        };
        self.metrics.responded(status.as_u16());
        if let Some(&problem) = response.response.extensions().get::<Problem>() {
            self.metrics.refusals.of(problem).increment();
        }
        let handled = RequestOutcome {
            user: response.user.as_ref().map(|user| user.username.as_str()),
            route: response.route.as_deref(),
            upstream: response.upstream.as_deref(),
        };
        self.remember(head, begun, &response);
        let mut record = self
            .access_log
            .as_ref()
            .and_then(|log| log.record(head, transport, begun, status, handled));
        let mut guard = Some(guard);
        if let Some(Tunnel {
            client,
            upstream,
            permit,
        }) = response.tunnel
        {
            let end = websocket::TunnelEnd {
                credentials: response.credentials.clone(),
                stop: self.stop.clone(),
                drain: self.timeouts.drain,
                idle: self.timeouts.idle,
            };
            let tunnel = websocket::tunnel(client, upstream, end);
            let record = record.take();
            // A stream's connection goes on with other requests, and the stream counts among them for as long as it is open.
            let (own_slot, stream) = if transport.protocol == Version::HTTP_2 {
                (None, guard.take().map(RequestGuard::carrying_tunnel))
            } else {
                (guard.as_ref().and_then(RequestGuard::switch), None)
            };
            self.tunnels.spawn(async move {
                let (carried, client) = tunnel.await;
                drop((permit, own_slot));
                if let Some(mut record) = record {
                    record.count(usize::try_from(carried).unwrap_or(usize::MAX));
                    record.write();
                }
                if let (Some(stream), Some(client)) = (stream, client) {
                    websocket::close_stream(client, stream);
                }
            });
        }
        let watch = SessionWatch::new(response.credentials, response.idle.unwrap_or(self.timeouts.idle));
        let ending = OnComplete {
            guard,
            request: response.request,
            record,
        };
        response
            .response
            .map(|content| DownstreamBody::new(content, watch, ending))
    }
}

fn bare(status: StatusCode, header: (http::HeaderName, HeaderValue)) -> PendingResponse {
    let mut response = Response::new(BodySource::own(Bytes::new()));
    *response.status_mut() = status;
    response.headers_mut().insert(header.0, header.1);
    PendingResponse::from(response)
}

/// Returns 303 for GET and HEAD; 308 otherwise, which repeats a form's POST.
fn redirect_status(method: &Method) -> StatusCode {
    if matches!(*method, Method::GET | Method::HEAD) {
        StatusCode::SEE_OTHER
    } else {
        StatusCode::PERMANENT_REDIRECT
    }
}
