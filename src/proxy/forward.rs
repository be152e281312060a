//! Forwards an admitted request to its upstream, and turns the upstream's response into the client's.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, COOKIE, HOST, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::upgrade::OnUpgrade;

use super::admit::Admitted;
use super::connection_info::ConnectionInfo;
use super::handle::{PendingResponse, Tunnel};
use super::portal_call::visitor;
use super::response_body::BodySource;
use super::websocket::{Handshake, UpstreamHandshake};
use super::{Gateway, forwarded, hop_by_hop};
use crate::authenticate::SignedRequest;
use crate::authorize::Permit;
use crate::config::Allow;
use crate::model::SignatureDigest;
use crate::portal::DemoRequest;
use crate::refusal::{Problem, Refusal};
use crate::request::{Host, RequestHead, X_REQUEST_ID, port_of, require_same_origin};
use crate::route::{Route, RouteTarget, UpstreamId};
use crate::services::ReplayError;
use crate::upstream::{BodyLimits, RequestBody, SendOptions, Upload, UpstreamError, UpstreamResponse};

/// The parts of a request that [`RequestHead`] does not hold.
pub(super) struct InboundRequest<'a> {
    pub(super) upload: Upload,
    pub(super) target: Option<&'a PathAndQuery>,
    pub(super) version: Version,
    /// The host of the TLS handshake, which must equal the request's.
    pub(super) sni: Option<&'a Host>,
    pub(super) handshake: Option<Handshake>,
    pub(super) upgrade: Option<OnUpgrade>,
}

/// The connection that delivered a request, for `X-Forwarded-*`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop {
    /// The other end of the connection.
    pub(super) peer: IpAddr,
    /// The local port.
    pub(super) port: u16,
}

/// A request that is ready to be sent to an upstream.
struct UpstreamRequest {
    request: Request<RequestBody>,
    /// The client's connection, if it may become a tunnel.
    upgrade: Option<OnUpgrade>,
    /// The WebSocket handshake that it is, if it is one.
    handshake: Option<UpstreamHandshake>,
    /// The scheme that the client used.
    scheme: &'static str,
    /// The host and port that the client asked for.
    asked_for: Option<HeaderValue>,
    /// Whether the application is told these.
    preserves_host: bool,
    /// What the application did not get of the path.
    prefix: Option<HeaderValue>,
    /// The single-use signature that was claimed for this request.
    spent: Option<SignatureDigest>,
}

const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Fields that every application reads: Node.js drops all after its 1000th. Of what comes after them, nothing may
/// matter.
const FIELDS_KEPT: usize = 900;

impl Gateway {
    /// Sends an admitted request to the upstream of its route, or to the built-in demo.
    pub(super) async fn forward(
        &self,
        head: &RequestHead<'_>,
        inbound: InboundRequest<'_>,
        connection: &ConnectionInfo,
        route: &Route,
        admission: &mut Admitted<'_>,
    ) -> Result<PendingResponse, Refusal> {
        if let Some(mut answer) = answer_of(route, head) {
            answer.leaves_unread = !http_body::Body::is_end_stream(&inbound.upload);
            if *route.allow() != Allow::Public {
                let headers = answer.response.headers_mut();
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
            return Ok(answer);
        }
        if inbound.handshake.is_some() && *route.allow() != Allow::Public {
            require_same_origin(head)
                .map_err(|error| Refusal::because(Problem::CrossOrigin, error.to_string()))?;
        }
        let (mut signed, read) = (admission.signed.take(), admission.read.take());
        let permit = &admission.permit;
        let hop = Hop {
            peer: connection.peer.address,
            port: connection.port,
        };
        let mut headers =
            self.request_headers(head, inbound.version, hop, route, permit, signed.as_deref())?;
        let asked_for = headers.get(HOST).cloned();
        self.tell_host(&mut headers, route);
        let scheme = self.url_schemes.of(route.target());
        admission.second.write(&mut headers, scheme);
        let handshake = inbound.handshake;
        let handshake = handshake.map(|handshake| handshake.write(&mut headers, &self.random));
        // After the last field was written.
        if headers.len() > FIELDS_KEPT {
            headers = self.decisive_first(&headers, signed.is_some())?;
        }
        let limits = self.body_limits(route);
        let length = match &read {
            Some(read) => read.bytes.len() as u64,
            None => http_body::Body::size_hint(&inbound.upload).lower(),
        };
        require_length(limits, length)?;
        let target = inbound.target.map(|sent| {
            let bare = self.authenticator.target(sent, signed.as_deref());
            bare.unwrap_or_else(|| sent.clone())
        });
        let target = target.map(|target| for_application(route, target)).transpose()?;
        // After everything for which a request is refused: what is not sent spends nothing.
        let spends = route.enforces_single_use(head.method) || admission.second.spends_signature();
        let spent = self.claim_signature(signed.as_deref().filter(|_| spends)).await?;
        let id = match route.target() {
            RouteTarget::Demo => return Ok(self.demo(head, &headers, route, permit, &inbound)),
            RouteTarget::Upstream(id) => id,
            RouteTarget::Answer => {
                return Err(Refusal::because(Problem::Unavailable, "the route has no answer"));
            }
        };
        let options = send_options(route);
        let body = if let Some(read) = &read {
            // A chunked body is read only where its decoded length is 0: its content is empty.
            let is_chunked = signed.as_ref().is_some_and(|signed| signed.chunks.is_some());
            let content = if is_chunked {
                Bytes::new()
            } else {
                read.bytes.clone()
            };
            RequestBody::buffered(content, permit)
        } else {
            let check = signed.as_mut().and_then(|signed| signed.body.take());
            RequestBody::new(inbound.upload, check, permit, self.identity.strip(), limits)
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
        *request.headers_mut() = headers;
        if options != SendOptions::default() {
            request.extensions_mut().insert(options);
        }
        let outbound = UpstreamRequest {
            request,
            upgrade: inbound.upgrade,
            handshake,
            scheme: head.scheme,
            asked_for,
            preserves_host: route.preserves_host(),
            prefix: route.stripped_prefix().cloned(),
            spent,
        };
        let mut pending = self.send_once(outbound, permit, head.client.address, id).await?;
        pending.idle = Some(limits.idle);
        Ok(pending)
    }

    /// Returns what a request body may be: as the route says, else its upstream, else the general configuration.
    pub(super) fn body_limits(&self, route: &Route) -> BodyLimits {
        let upstream = match route.target() {
            RouteTarget::Upstream(id) => self.upstreams.of(id),
            RouteTarget::Demo | RouteTarget::Answer => None,
        };
        let idle = route.timeouts().idle.map(|limit| limit.0);
        let most = route.limits().request_body.map(|most| most.0);
        BodyLimits {
            idle: idle
                .or_else(|| Some(upstream?.idle()))
                .unwrap_or(self.timeouts.idle),
            most: most.or_else(|| upstream?.request_body()),
        }
    }

    /// Returns the headers for the upstream: those of the client without hop-by-hop fields, credentials and
    /// reserved names, and with what the gateway adds.
    pub(super) fn request_headers(
        &self,
        head: &RequestHead<'_>,
        version: Version,
        hop: Hop,
        route: &Route,
        permit: &Permit,
        signed: Option<&SignedRequest>,
    ) -> Result<HeaderMap, Refusal> {
        let mut headers = head.headers.clone();
        hop_by_hop::remove_from_request(&mut headers, signed.is_some());
        if version == Version::HTTP_2 {
            join_cookies(&mut headers);
        }
        self.services.cookies.strip_cookie(&mut headers);
        self.authenticator.strip_credentials(&mut headers, signed);
        let authority = HeaderValue::from_str(&self.upstream_authority(head, hop.port))
            .map_err(|_| Refusal::because(Problem::BadRequest, "the host is no header's value"))?;
        forwarded::set_forwarded_headers(&mut headers, head, &authority, hop.peer);
        headers.insert(X_REQUEST_ID, head.id.header_value());
        if let Some(prefix) = route.stripped_prefix() {
            headers.insert(X_FORWARDED_PREFIX, prefix.clone());
        }
        self.strip_method_override(
            &mut headers,
            head.method,
            route,
            permit,
            signed.is_some_and(SignedRequest::is_presigned),
        );
        self.identity
            .apply(&mut headers, route.target(), permit, &authority);
        Ok(headers)
    }

    /// Sets `Host` to what the application is told: its own host and port where the route says so, of several servers those of
    /// the first.
    pub(super) fn tell_host(&self, headers: &mut HeaderMap, route: &Route) {
        if let RouteTarget::Upstream(id) = route.target()
            && !route.preserves_host()
            && let Some(own) = self
                .upstreams
                .of(id)
                .and_then(|upstream| upstream.authorities().next())
        {
            headers.insert(HOST, own.clone());
        }
    }

    /// Puts the gateway's fields before those that policy depends on, and both before all others.
    fn decisive_first(&self, headers: &HeaderMap, is_signed: bool) -> Result<HeaderMap, Refusal> {
        let strip = self.identity.strip();
        let (own, sent): (Vec<_>, Vec<_>) = headers.keys().partition(|name| strip.is_own(name));
        let (decisive, others): (Vec<_>, Vec<_>) = sent.into_iter().partition(|name| strip.is_decisive(name));
        let mut sorted = HeaderMap::with_capacity(headers.len());
        let mut append = |names: &[&HeaderName]| {
            for name in names {
                for value in headers.get_all(*name) {
                    sorted.append(*name, value.clone());
                }
            }
            sorted.len()
        };
        append(&own);
        // Whatever a signature covers may be decisive.
        if is_signed || append(&decisive) > FIELDS_KEPT {
            return Err(Refusal::because(
                Problem::HeadTooLarge,
                format!("it has more than {FIELDS_KEPT} fields that matter"),
            ));
        }
        append(&others);
        Ok(sorted)
    }

    /// Returns the host and port for `X-Forwarded-Host` and `Host`: the host in the form in which it was judged, since
    /// upstreams choose sites by it and tell `A.`, `A:443` and `a` apart, and no port that is the scheme's default. Upstreams
    /// build links from these and clients may send any port, so only a port at which the gateway can be reached passes;
    /// otherwise the public one is used.
    fn upstream_authority<'h>(&self, head: &RequestHead<'h>, port: u16) -> Cow<'h, str> {
        let default = forwarded::default_port(head.scheme);
        let own = port_of(head.authority).unwrap_or(default);
        let is_ours = head.client.through_trusted_proxy || own == port || own == self.public_port;
        let shown = if is_ours { own } else { self.public_port };
        if shown == default {
            head.host.as_str().into()
        } else {
            format!("{}:{shown}", head.host).into()
        }
    }

    /// Claims a single-use signature; a second claim is refused as a replay.
    async fn claim_signature(
        &self,
        signed: Option<&SignedRequest>,
    ) -> Result<Option<SignatureDigest>, Refusal> {
        let Some((digest, until)) = signed.and_then(|signed| signed.spends) else {
            return Ok(None);
        };
        let spent = self.services.replay_guard.claim(digest, until).await;
        spent.map(|()| Some(digest)).map_err(|error| {
            let problem = match &error {
                ReplayError::SpentBefore => Problem::Replayed,
                ReplayError::Full | ReplayError::Store(_) => Problem::Unavailable,
            };
            Refusal::because(problem, error.to_string())
        })
    }

    async fn send_once(
        &self,
        outbound: UpstreamRequest,
        permit: &Permit,
        client: IpAddr,
        id: UpstreamId,
    ) -> Result<PendingResponse, Refusal> {
        let progress = outbound.request.body().progress();
        let upstream = self.upstreams.of(id).ok_or_else(|| {
            Refusal::because(Problem::Unavailable, "the route's application was not set up")
        })?;
        let answered = upstream.send(permit, client, outbound.request).await;
        let UpstreamResponse {
            mut response,
            server,
            tunnel,
        } = match answered {
            Ok(answer) => answer,
            Err(error) => {
                if let Some(progress) = progress {
                    if let Some(error) = progress.signature_error() {
                        return Err(error.into());
                    }
                    if let Some(lapse) = progress.lapse() {
                        return Err(lapse.into());
                    }
                    if progress.is_too_large() {
                        return Err(Refusal::new(Problem::TooLarge));
                    }
                }
                self.metrics.upstream_errors.increment();
                let is_unsent = matches!(error, UpstreamError::Unreachable { .. } | UpstreamError::Busy(_));
                if let Some(digest) = outbound.spent.filter(|_| is_unsent) {
                    self.services.replay_guard.release(digest).await;
                }
                return Err(refusal(&error));
            }
        };
        let credentials = permit.credentials().cloned();
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let handshake = outbound.handshake;
            let begun = handshake.filter(|handshake| handshake.is_completed_by(response.headers()));
            let (Some(handshake), Some(client)) = (begun, outbound.upgrade) else {
                let cause = "the application switched to a protocol that nobody asked for";
                return Err(Refusal::because(Problem::UpstreamUnreachable, cause));
            };
            let upstream = hyper::upgrade::on(&mut response);
            self.clean_response(&mut response);
            handshake.complete(&mut response);
            let mut pending = PendingResponse::from(response.map(|_| BodySource::Own(None)));
            pending.tunnel = Some(Tunnel {
                client,
                upstream,
                permit: tunnel,
            });
            pending.credentials = credentials;
            pending.upstream = Some(server);
            return Ok(pending);
        }
        if outbound
            .handshake
            .is_some_and(|handshake| handshake.is_feigned_by(response.status()))
        {
            let cause = format!(
                "the application answered {} to a WebSocket's handshake",
                response.status().as_u16()
            );
            return Err(Refusal::because(Problem::UpstreamUnreachable, cause));
        }
        self.clean_response(&mut response);
        if let (Some(asked_for), "https") = (&outbound.asked_for, outbound.scheme) {
            if outbound.preserves_host {
                keep_to_tls(response.headers_mut(), asked_for);
            } else {
                let prefix = outbound.prefix.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
                let base = [b"https://", asked_for.as_bytes()].concat();
                lead_to_client(response.headers_mut(), upstream.authorities(), &base, prefix);
            }
        }
        let mut pending = PendingResponse::from(response.map(BodySource::Upstream));
        pending.credentials = credentials;
        pending.request = progress;
        pending.upstream = Some(server);
        Ok(pending)
    }

    /// Removes hop-by-hop fields and the session cookie from a response, and its extensions.
    fn clean_response<B>(&self, response: &mut Response<B>) {
        *response.version_mut() = Version::HTTP_11;
        response.extensions_mut().clear();
        let headers = response.headers_mut();
        hop_by_hop::remove_from_response(headers);
        self.services.cookies.strip_set_cookie(headers);
    }

    fn demo(
        &self,
        head: &RequestHead<'_>,
        headers: &HeaderMap,
        route: &Route,
        permit: &Permit,
        inbound: &InboundRequest<'_>,
    ) -> PendingResponse {
        let admitted = DemoRequest {
            visitor: visitor(permit),
            upstream_headers: headers,
            route: route.label().to_string(),
            allow: route.allow().kind(),
        };
        let mut pending = PendingResponse::from(self.portal.demo(head, &admitted).map(BodySource::own));
        pending.leaves_unread = !http_body::Body::is_end_stream(&inbound.upload);
        pending
    }
}

/// Refuses a body that is too large by its length.
pub(super) fn require_length(limits: BodyLimits, length: u64) -> Result<(), Refusal> {
    match limits.most {
        Some(most) if length > most => Err(Refusal::new(Problem::TooLarge)),
        _ => Ok(()),
    }
}

/// Returns what requests to a route have instead of what its upstream says.
fn send_options(route: &Route) -> SendOptions {
    let timeouts = route.timeouts();
    SendOptions {
        own_host: !route.preserves_host(),
        response: timeouts.response.map(|limit| limit.0),
        idle: timeouts.idle.map(|limit| limit.0),
    }
}

/// Returns the answer of a route that has no upstream.
pub(super) fn answer_of(route: &Route, head: &RequestHead<'_>) -> Option<PendingResponse> {
    let answer = route.answer()?;
    Some(answer.response(head.method).map(BodySource::own).into())
}

/// Returns the target for the upstream, without the `func` segment of Backend.AI's session form and what the route strips.
pub(super) fn for_application(route: &Route, target: PathAndQuery) -> Result<PathAndQuery, Refusal> {
    let path = route.upstream_path(target.path());
    let changed = path.map(|path| with_path(&target, &path));
    match changed {
        Some(changed) => {
            changed.ok_or_else(|| Refusal::because(Problem::BadRequest, "the rest of the path is not a path"))
        }
        // A target in absolute form without a path; the policy saw `/` (RFC 9112, section 3.2.2).
        None if target.as_str() == "/" => Ok(PathAndQuery::from_static("/")),
        None => Ok(target),
    }
}

/// Returns a target with another path; `None` if that is none.
pub(super) fn with_path(target: &PathAndQuery, path: &str) -> Option<PathAndQuery> {
    match target.query() {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

/// Rewrites `Location: http://` with the request's own authority to `https://`: the upstream sees a plain
/// connection and takes it for the client's.
fn keep_to_tls(headers: &mut HeaderMap, authority: &HeaderValue) {
    let (Some(location), Ok(authority)) = (headers.get(LOCATION), authority.to_str()) else {
        return;
    };
    let Some((named, target)) = absolute(location.as_bytes(), b"http://") else {
        return;
    };
    if named.eq_ignore_ascii_case(authority) || without(named, ":80") == without(authority, ":443") {
        let named = named.strip_suffix(":80").unwrap_or(named);
        if let Ok(secure) = HeaderValue::from_bytes(&[b"https://", named.as_bytes(), target].concat()) {
            headers.insert(LOCATION, secure);
        }
    }
}

/// Rewrites a `Location` with one of the application's own authorities to the base that the client knows it by, and puts the
/// prefix before its path if the application has not.
fn lead_to_client<'o>(
    headers: &mut HeaderMap,
    mut own: impl Iterator<Item = &'o HeaderValue>,
    base: &[u8],
    prefix: &[u8],
) {
    let Some(location) = headers.get(LOCATION) else {
        return;
    };
    let location = location.as_bytes();
    let (found, port) = match absolute(location, b"http://") {
        Some(found) => (Some(found), ":80"),
        None => (absolute(location, b"https://"), ":443"),
    };
    let Some((named, target)) = found else {
        return;
    };
    let is_named = |own: &HeaderValue| {
        own.to_str()
            .is_ok_and(|own| without(own, port) == without(named, port))
    };
    if own.any(is_named)
        && let Ok(outer) = HeaderValue::from_bytes(&[base, missing_prefix(target, prefix), target].concat())
    {
        headers.insert(LOCATION, outer);
    }
}

/// Returns the prefix, or nothing if a target begins with it at a segment border.
fn missing_prefix<'p>(target: &[u8], prefix: &'p [u8]) -> &'p [u8] {
    match target.strip_prefix(prefix) {
        Some([] | [b'/' | b'?' | b'#', ..]) => b"",
        _ => prefix,
    }
}

/// Splits a URL of this scheme into its authority and what follows that.
fn absolute<'u>(url: &'u [u8], scheme: &[u8]) -> Option<(&'u str, &'u [u8])> {
    let rest = url.strip_prefix(scheme)?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (named, target) = rest.split_at(end.unwrap_or(rest.len()));
    Some((std::str::from_utf8(named).ok()?, target))
}

/// The authority in lower case, without this port.
fn without(authority: &str, port: &str) -> String {
    authority
        .strip_suffix(port)
        .unwrap_or(authority)
        .to_ascii_lowercase()
}

/// Joins cookie fields into one: HTTP/2 may split them, HTTP/1.1 servers expect one (RFC 9113, section
/// 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let cookies: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&cookies.join(b"; ".as_slice())) {
        headers.insert(COOKIE, joined);
    }
}

fn refusal(error: &UpstreamError) -> Refusal {
    let problem = match error {
        UpstreamError::Unreachable { .. } | UpstreamError::Broken { .. } | UpstreamError::Framing { .. } => {
            Problem::UpstreamUnreachable
        }
        UpstreamError::Timeout(_) => Problem::UpstreamTimeout,
        UpstreamError::Busy(_) => Problem::Unavailable,
        UpstreamError::RequestBody => Problem::BadRequest,
        UpstreamError::Lapsed(lapse) => return (*lapse).into(),
    };
    Refusal::because(problem, error.to_string())
}

/// Sets `Content-Length`, as in a response to HEAD, whose content is not sent.
pub(super) fn content_length(headers: &mut HeaderMap, length: usize) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applications_own_address_stays_with_tls() {
        let led = |authority: &'static str, location: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            keep_to_tls(&mut headers, &HeaderValue::from_static(authority));
            headers[LOCATION].to_str().unwrap().to_owned()
        };
        for (authority, location, leads) in [
            (
                "a.com:8443",
                "http://a.com:8443/x/?y#z",
                "https://a.com:8443/x/?y#z",
            ),
            ("a.com:8443", "http://A.com:8443", "https://A.com:8443"),
            ("a.com", "http://a.com:80/x", "https://a.com/x"),
            ("a.com", "http://a.com?x", "https://a.com?x"),
            ("a.com:443", "http://a.com/x", "https://a.com/x"),
            ("a.com:8443", "http://a.com/x", "http://a.com/x"),
            ("a.com", "http://a.com.evil.com/", "http://a.com.evil.com/"),
            ("a.com", "http://a.com@evil.com/", "http://a.com@evil.com/"),
            ("a.com", "http://b.com/", "http://b.com/"),
            ("a.com", "/x", "/x"),
            ("a.com", "https://a.com/x", "https://a.com/x"),
        ] {
            assert_eq!(led(authority, location), leads, "{authority} {location}");
        }
    }
}
