//! One server of an upstream: sends requests over pooled HTTP/1.1 connections or shared HTTP/2 ones.

use std::error::Error as _;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use tokio::time::{Instant, timeout};

use super::connect::{self, Http1Transport, ServerTransport};
use super::health::Health;
use super::health_check::HealthCheck;
use super::http1_pool::{ConnectionLease, Http1Pool, KEPT_FOR};
use super::http2_pool::{Http2Pool, StreamUse};
use super::own_host;
use super::slots::{ActiveRequest, UpstreamSlots};
use super::{BodyProgress, RequestBody, ResponseBody, SendOptions, ServerStatus, UpstreamLimits};
use crate::config;

/// Longest idle time of a connection that a non-repeatable request may reuse: the server may close an idle
/// connection at the moment of use, and servers keep them for 5 s and more.
const SAFE_IDLE: Duration = Duration::from_secs(4);

/// How long a response may come after its connection has ended: what tells of both is one after the other.
const LAST_WORD: Duration = Duration::from_millis(100);

pub(super) struct Server {
    transport: ServerTransport,
    location: config::ServerAddress,
    name: Arc<str>,
    /// Its own host and port, as a value of `Host`.
    authority: HeaderValue,
    limits: UpstreamLimits,
    slots: Arc<UpstreamSlots>,
    http1: Arc<Http1Pool>,
    http2: Http2Pool,
    weight: u16,
    /// Requests under way.
    active: Arc<AtomicUsize>,
    health: Arc<Health>,
    check: Arc<HealthCheck>,
    /// Outcome of the last probe on behalf of a request. Locked during a probe.
    probed: tokio::sync::Mutex<Option<Probed>>,
}

#[derive(Clone, Copy)]
struct Probed {
    ended: Instant,
    is_responsive: bool,
}

/// The outcome of sending a request.
pub(super) enum SendOutcome {
    Responded(Response<ResponseBody>),
    /// Nothing was sent; has the request back.
    Unreachable(io::Error, Request<RequestBody>),
    TimedOut,
    /// The client did not send its whole body.
    BodyFailed,
    Broken(hyper::Error),
}

/// A copy of a request without a body, to send it again.
pub(super) struct ReplayableHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    options: Option<SendOptions>,
}

impl Server {
    pub(super) fn new(
        address: &config::UpstreamUrl,
        transport: ServerTransport,
        limits: UpstreamLimits,
        weight: u16,
        slots: Arc<UpstreamSlots>,
        check: Arc<HealthCheck>,
    ) -> Self {
        let http1 = Arc::default();
        slots.register(&http1);
        Self {
            name: address.to_string().into(),
            authority: HeaderValue::try_from(address.authority())
                .unwrap_or_else(|_| HeaderValue::from_static("localhost")),
            location: address.server_address(),
            transport,
            limits,
            slots,
            http1,
            http2: Http2Pool::default(),
            weight,
            active: Arc::default(),
            health: Arc::new(Health::new(check.config())),
            check,
            probed: tokio::sync::Mutex::default(),
        }
    }

    /// Returns its URL, for logs.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns its own host and port, as a value of `Host`.
    pub(super) fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// Returns its address, which is the same under every name.
    pub(super) fn server_address(&self) -> &config::ServerAddress {
        &self.location
    }

    pub(super) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Returns its share beside those of other servers.
    pub(super) fn weight(&self) -> u16 {
        self.weight
    }

    /// Counts a request that is sent to it.
    pub(super) fn begin(&self) -> ActiveRequest {
        ActiveRequest::begin(&self.active)
    }

    /// Returns its state.
    pub(super) fn status(&self) -> ServerStatus {
        ServerStatus {
            url: self.name.to_string(),
            state: self.health.state(),
            weight: self.weight,
            active_requests: self.active.load(Ordering::Relaxed),
        }
    }

    /// Returns what its load would be with one more request, for its weight.
    pub(super) fn load(&self) -> f64 {
        let requests = u32::try_from(self.active.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        (f64::from(requests) + 1.0) / (f64::from(self.weight) * self.health.share())
    }

    /// Whether checks ask it for something.
    pub(super) fn is_checked(&self) -> bool {
        self.check.target().is_some()
    }

    /// Checks the server, if that is due by the interval or since it is suspect. A suspect must respond to a request, since the
    /// kernel accepts connections for a stopped process; then it is readmitted.
    pub(super) async fn check_health(&self, is_periodic: bool) {
        let is_due = self.health.due().is_some_and(|due| Instant::now() >= due);
        if !is_due && !is_periodic {
            return;
        }
        let limit = self.check.timeout();
        let checked = match self.check.target() {
            Some(target) => timeout(limit, self.check_response(target)).await,
            None if is_due => timeout(limit, self.ping()).await,
            None => timeout(limit, connect::probe(&self.transport)).await,
        };
        let checked = checked.map_err(io::Error::from).flatten();
        if is_due && checked.is_ok() {
            self.health.readmit();
            tracing::info!(server = %self, "a server answers again");
        }
        if !is_periodic {
            return;
        }
        match self.health.check(checked.is_ok()).map(|_| checked) {
            Some(Ok(())) => tracing::info!(server = %self, "a server is up again"),
            Some(Err(error)) => tracing::warn!(server = %self, %error, "a server is down: its check fails"),
            None => {}
        }
    }

    async fn check_response(&self, target: &Uri) -> io::Result<()> {
        let status = self.ask(Method::GET, target.clone()).await?;
        if self.check.accepts(status) {
            return Ok(());
        }
        Err(io::Error::other(format!("{target} answers {status}")))
    }

    /// Whether the server responds to a probe, for requests that wait for it. Runs one probe at a time;
    /// callers that wait for a running one share the next outcome.
    pub(super) async fn probe_shared(&self) -> bool {
        let asked = Instant::now();
        let mut probed = self.probed.lock().await;
        if let Some(probe) = probed.filter(|probe| probe.ended >= asked) {
            return probe.is_responsive;
        }
        let limit = self.limits.connect.min(self.patience());
        let is_responsive = matches!(timeout(limit, self.ping()).await, Ok(Ok(())));
        *probed = Some(Probed {
            ended: Instant::now(),
            is_responsive,
        });
        is_responsive
    }

    /// Returns how long a request waits before the server is probed.
    pub(super) fn patience(&self) -> Duration {
        self.limits.response / 4
    }

    /// Returns how long this request waits for the response head.
    pub(super) fn response_limit(&self, request: &Request<RequestBody>) -> Duration {
        self.limits.for_request(options_of(request)).response
    }

    /// Sends `OPTIONS *` (RFC 9110, section 9.3.7); any response counts.
    async fn ping(&self) -> io::Result<()> {
        let asked = self.ask(Method::OPTIONS, Uri::from_static("*"));
        asked.await.map(drop)
    }

    /// Sends a request of the gateway's own over a new connection, and returns the status of the response.
    async fn ask(&self, method: Method, target: Uri) -> io::Result<StatusCode> {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = method;
        *request.uri_mut() = target;
        request.headers_mut().insert(HOST, self.authority.clone());
        let responded = match &self.transport {
            ServerTransport::Http2(endpoint) => {
                *request.version_mut() = Version::HTTP_2;
                name_authority(&mut request);
                let mut connection = connect::http2(endpoint).await?;
                connection.sender.send_request(request).await
            }
            ServerTransport::Http1(transport) => {
                let mut sender = connect::http1(transport, self.limits.header_fields, None).await?;
                sender.send_request(request).await
            }
        };
        let responded = responded.map_err(io::Error::other)?;
        Ok(responded.status())
    }

    /// Connects as a request would, and sends none.
    pub(super) async fn check_connection(&self, limit: Duration) -> io::Result<()> {
        let connecting = async {
            match &self.transport {
                ServerTransport::Http2(endpoint) => connect::http2(endpoint).await.map(drop),
                ServerTransport::Http1(transport) => {
                    let connected = connect::http1(transport, self.limits.header_fields, None);
                    connected.await.map(drop)
                }
            }
        };
        timeout(limit, connecting).await?
    }

    /// Sends a request, over an existing connection if possible. The caller holds a connection permit. `copied` is a
    /// copy of the request, if there is one already.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        copied: Option<&ReplayableHead>,
    ) -> SendOutcome {
        let options = options_of(&request);
        if options.own_host {
            own_host::address_to(&self.authority, request.headers_mut());
        }
        let limits = self.limits.for_request(options);
        match &self.transport {
            ServerTransport::Http2(endpoint) => Box::pin(self.send_http2(endpoint, request, &limits)).await,
            ServerTransport::Http1(transport) => self.send_http1(transport, request, copied, &limits).await,
        }
    }

    async fn send_http1(
        &self,
        transport: &Http1Transport,
        mut request: Request<RequestBody>,
        copied: Option<&ReplayableHead>,
        limits: &UpstreamLimits,
    ) -> SendOutcome {
        *request.version_mut() = Version::HTTP_11;
        frame(&mut request);
        let body = BodyUse::of(&request);
        if body == BodyUse::Unusual {
            request
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let progress = request.body().progress();
        let can_repeat = progress.is_none() && is_safe(request.method());
        let max_idle = if can_repeat { KEPT_FOR } else { SAFE_IDLE };
        while let Some(sender) = self.http1.take(max_idle) {
            // However young the connection is: a server may close it after any response.
            let own = (can_repeat && copied.is_none()).then(|| ReplayableHead::of(&request));
            match self
                .exchange(sender, request, body, progress.as_deref(), limits)
                .await
            {
                SendOutcome::Unreachable(_, unsent) => request = unsent,
                SendOutcome::Broken(error) => match copied.filter(|_| can_repeat).or(own.as_ref()) {
                    Some(copied) if was_closed(&error) => {
                        request = copied.request();
                        // Once, and over a new connection: another idle one may be closed as well.
                        break;
                    }
                    _ => return SendOutcome::Broken(error),
                },
                attempted => return attempted,
            }
        }
        // Boxed: large and seldom needed.
        let connecting = Box::pin(connect::http1(
            transport,
            self.limits.header_fields,
            Some(self.slots.open()),
        ));
        let connected = timeout(self.limits.connect, connecting).await;
        match connected.map_err(io::Error::from).flatten() {
            Ok(sender) => {
                self.exchange(sender, request, body, progress.as_deref(), limits)
                    .await
            }
            Err(error) => SendOutcome::Unreachable(error, request),
        }
    }

    async fn exchange(
        &self,
        mut sender: http1::SendRequest<RequestBody>,
        request: Request<RequestBody>,
        body: BodyUse,
        progress: Option<&BodyProgress>,
        limits: &UpstreamLimits,
    ) -> SendOutcome {
        let response = sender.try_send_request(request);
        let mut response = std::pin::pin!(responded_within(limits, response, progress));
        let responded = tokio::select! {
            biased;
            responded = &mut response => Some(responded),
            () = ended(&mut sender) => timeout(LAST_WORD, &mut response).await.ok(),
        };
        let Some(responded) = responded else {
            // The request was queued in the moment in which the connection ended, and its queue is emptied when the last
            // sender is gone: then it comes back.
            drop(sender);
            return match response.await {
                Some(Err(error)) => failed(error, progress),
                Some(Ok(_)) | None => SendOutcome::TimedOut,
            };
        };
        match responded {
            None => SendOutcome::TimedOut,
            Some(Ok(response)) => {
                let lease = ConnectionLease::new(&self.http1, sender, body.is_read(response.status()));
                let response = response.map(|body| ResponseBody::http1(body, lease));
                SendOutcome::Responded(response)
            }
            Some(Err(error)) => failed(error, progress),
        }
    }

    async fn send_http2(
        &self,
        endpoint: &config::Endpoint,
        mut request: Request<RequestBody>,
        limits: &UpstreamLimits,
    ) -> SendOutcome {
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(TRANSFER_ENCODING);
        name_authority(&mut request);
        let progress = request.body().progress();
        let can_repeat = progress.is_none() && is_safe(request.method());
        let used = if request.body().is_end_stream() {
            StreamUse::Shared
        } else {
            StreamUse::Exclusive
        };
        // A connection may turn out to be closing, and so may the others: then a new one is used.
        let next = self.http2.next_number();
        for oldest in [0, next] {
            let leased = self
                .http2
                .lease_or_connect(endpoint, used, oldest, self.limits.connect);
            let (mut pooled, stream, is_kept) = match leased.await {
                Ok(leased) => leased,
                Err(error) => return SendOutcome::Unreachable(error, request),
            };
            request.body_mut().hold(stream.clone());
            let copied = (can_repeat && is_kept).then(|| ReplayableHead::of(&request));
            let response = pooled.connection.sender.try_send_request(request);
            match responded_within(limits, response, progress.as_deref()).await {
                None => {
                    // It may allow no more streams, and what waits for one would wait for ever.
                    self.http2.remove(&pooled);
                    return SendOutcome::TimedOut;
                }
                Some(Ok(response)) => {
                    pooled.connection.refresh_streams();
                    let response = response.map(|body| ResponseBody::http2(body, stream));
                    return SendOutcome::Responded(response);
                }
                Some(Err(mut error)) => match (error.take_message(), copied) {
                    (Some(unsent), _) => request = unsent,
                    (None, Some(copied)) if was_closed_http2(error.error()) => {
                        request = copied.request();
                        *request.version_mut() = Version::HTTP_2;
                    }
                    (None, _) => {
                        let error = error.into_error();
                        let source = error
                            .source()
                            .and_then(|source| source.downcast_ref::<h2::Error>());
                        if source.is_some_and(is_overloaded) {
                            self.http2.remove(&pooled);
                        }
                        return broken(error, progress.as_deref());
                    }
                },
            }
            self.http2.remove(&pooled);
        }
        SendOutcome::Unreachable(io::ErrorKind::ConnectionAborted.into(), request)
    }
}

/// Whether a server is likely to read the request body. A server that responds without reading it and keeps
/// the connection would parse the rest as the next request, with identity headers forged by the client; so
/// such a connection is not reused. The chunks of an unread body are no request, but an error for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyUse {
    None,
    /// A method that has a body by its standard.
    Usual,
    /// A method whose body has no meaning (RFC 9110, section 9.3), or which is not known: servers seldom read it.
    Unusual,
}

/// Methods whose standards define a body. Case matters, as it does for servers.
const WITH_BODY: [&str; 26] = [
    // HTTP (RFC 9110 and 5789), and its safe method with a body.
    "POST",
    "PUT",
    "PATCH",
    "QUERY",
    // WebDAV (RFC 4918).
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "LOCK",
    // Versioning (RFC 3253).
    "REPORT",
    "VERSION-CONTROL",
    "CHECKOUT",
    "CHECKIN",
    "UPDATE",
    "LABEL",
    "MERGE",
    "MKWORKSPACE",
    "BASELINE-CONTROL",
    // Access control, search, calendars, order, bindings and references (RFC 3744, 5323, 4791, 3648, 5842 and 4437).
    "ACL",
    "SEARCH",
    "MKCALENDAR",
    "ORDERPATCH",
    "BIND",
    "UNBIND",
    "REBIND",
    "MKREDIRECTREF",
    "UPDATEREDIRECTREF",
];

impl BodyUse {
    fn of(request: &Request<RequestBody>) -> Self {
        let body = request.body();
        if body.is_end_stream() || body.size_hint().exact() == Some(0) {
            return Self::None;
        }
        if WITH_BODY.contains(&request.method().as_str()) {
            Self::Usual
        } else {
            Self::Unusual
        }
    }

    /// Whether the body was read, as far as the status tells: an error response may come without.
    fn is_read(self, status: StatusCode) -> bool {
        match self {
            Self::None => true,
            Self::Usual => status.is_success(),
            Self::Unusual => false,
        }
    }
}

/// Sets `Transfer-Encoding: chunked` for a body of unknown length, whatever the method; hyper would send none
/// with GET and HEAD.
fn frame(request: &mut Request<RequestBody>) {
    let body = request.body();
    let is_of_unknown_length = !body.is_end_stream() && body.size_hint().exact().is_none();
    if is_of_unknown_length && !request.headers().contains_key(CONTENT_LENGTH) {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
}

/// Moves `Host` into `:authority` (RFC 9113, section 8.3.1). `:scheme` is `http`, as servers are reached in
/// the clear; the client's scheme is in `X-Forwarded-Proto`.
fn name_authority(request: &mut Request<RequestBody>) {
    let host = request.headers_mut().remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut target = std::mem::take(request.uri_mut()).into_parts();
    target.scheme = Some(Scheme::HTTP);
    target.authority = authority;
    *request.uri_mut() = Uri::from_parts(target).unwrap_or_default();
}

type PendingSend = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// Awaits the response head; `None` if it takes longer than `limits.response` after the end of the request body.
async fn responded_within(
    limits: &UpstreamLimits,
    response: impl Future<Output = PendingSend>,
    progress: Option<&BodyProgress>,
) -> Option<PendingSend> {
    let mut response = std::pin::pin!(response);
    let limit = limits.response;
    let mut deadline = Instant::now() + limit;
    let mut asked = (0, Instant::now());
    loop {
        if let Ok(sent) = tokio::time::timeout_at(deadline, &mut response).await {
            return Some(sent);
        }
        let progress = progress?;
        let begin = if let Some(finished) = progress.finished() {
            finished
        } else {
            // A body that stalls on its client's side has a limit of its own, which ends it when it is asked for more.
            let (now, count) = (Instant::now(), progress.asked());
            if count > asked.0 {
                asked = (count, now);
            } else if count == 0 || now >= asked.1 + limits.idle {
                return None;
            }
            now
        };
        deadline = begin + limit;
        if deadline <= Instant::now() {
            return None;
        }
    }
}

/// Completes when the connection has ended.
async fn ended(sender: &mut http1::SendRequest<RequestBody>) {
    // That it is ready for a request says nothing of its end.
    poll_fn(|context| match sender.poll_ready(context) {
        Poll::Ready(Err(_)) => Poll::Ready(()),
        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
    })
    .await;
}

pub(super) fn options_of(request: &Request<RequestBody>) -> SendOptions {
    request.extensions().get().copied().unwrap_or_default()
}

/// Whether a method is safe (RFC 9110, section 9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the connection closed without a response, as opposed to a malformed response.
fn was_closed(error: &hyper::Error) -> bool {
    !error.is_parse() && !error.is_user()
}

/// [`was_closed`] for HTTP/2, where GOAWAY may announce the close, and a refused stream was not processed
/// (RFC 9113, section 8.7).
fn was_closed_http2(error: &hyper::Error) -> bool {
    match error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>())
    {
        Some(error) => {
            error.is_io()
                || error.is_go_away() && error.is_remote()
                || error.reason() == Some(h2::Reason::REFUSED_STREAM)
                || is_overloaded(error)
        }
        None => was_closed(error),
    }
}

/// Whether a server answers no more on this connection, whose other streams fill the memory that it has for one: Node resets
/// each new stream until they are read.
fn is_overloaded(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
}

/// The outcome of an exchange that failed; the request comes back if none of it was sent.
fn failed(mut error: TrySendError<Request<RequestBody>>, progress: Option<&BodyProgress>) -> SendOutcome {
    match error.take_message() {
        Some(unsent) => SendOutcome::Unreachable(io::ErrorKind::ConnectionAborted.into(), unsent),
        None => broken(error.into_error(), progress),
    }
}

fn broken(error: hyper::Error, progress: Option<&BodyProgress>) -> SendOutcome {
    if progress.is_some_and(BodyProgress::has_failed) {
        SendOutcome::BodyFailed
    } else {
        SendOutcome::Broken(error)
    }
}

impl ReplayableHead {
    /// Copies a request, if it has no body and a safe method.
    pub(super) fn if_repeatable(request: &Request<RequestBody>) -> Option<Self> {
        let is_repeatable = request.body().progress().is_none() && is_safe(request.method());
        is_repeatable.then(|| Self::of(request))
    }

    fn of(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            options: request.extensions().get().copied(),
        }
    }

    pub(super) fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(options) = self.options {
            request.extensions_mut().insert(options);
        }
        request
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.name)
    }
}
