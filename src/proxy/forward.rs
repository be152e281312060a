//! To an application and back.

use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::answer::Made;
use super::arrival::Arrival;
use super::body::Content;
use super::{Gateway, X_REQUEST_ID, forwarded, hop_by_hop, websocket};
use crate::authorize::Permit;
use crate::config::Allow;
use crate::portal::Admitted;
use crate::refusal::{Problem, Refusal};
use crate::request::{RequestHead, require_same_origin};
use crate::route::{Route, Target, UpstreamId};
use crate::upstream::{Answer, RequestBody, UpstreamError};

/// What of a request is not in its head.
pub(super) struct Rest<'a> {
    pub(super) incoming: Incoming,
    pub(super) target: Option<&'a PathAndQuery>,
    pub(super) version: Version,
    pub(super) upgrade: Option<OnUpgrade>,
}

impl Gateway {
    /// Sends an admitted request to its application, or to the one that is built in.
    pub(super) async fn forward(
        &self,
        head: &RequestHead<'_>,
        rest: Rest<'_>,
        arrival: &Arrival,
        route: &Route,
        permit: &Permit,
    ) -> Result<Made, Refusal> {
        let is_websocket = websocket::is_asked_for(head.method, rest.version, head.headers);
        if is_websocket && *route.allow() != Allow::Public {
            require_same_origin(head.headers, head.authority)
                .map_err(|error| Refusal::because(Problem::CrossOrigin, error.to_string()))?;
        }
        let mut headers = self.outgoing(head, rest.version, arrival, route, permit)?;
        if is_websocket {
            websocket::say(&mut headers);
        }
        match route.target() {
            Target::Demo => Ok(self.demo(head, &headers, route, permit, &rest)),
            Target::Upstream(id) => {
                let made = self.ask(head, headers, rest, permit, id, is_websocket);
                made.await
            }
        }
    }

    /// The headers that an application gets: those of the client, without what is about its connection or only the
    /// gateway may say, and with what the gateway says.
    fn outgoing(
        &self,
        head: &RequestHead<'_>,
        version: Version,
        arrival: &Arrival,
        route: &Route,
        permit: &Permit,
    ) -> Result<HeaderMap, Refusal> {
        let mut headers = head.headers.clone();
        hop_by_hop::remove_from_request(&mut headers);
        if version == Version::HTTP_2 {
            join_cookies(&mut headers);
        }
        self.services.session_cookie.strip(&mut headers);
        let host = match headers.get(HOST) {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(head.authority)
                .map_err(|_| Refusal::because(Problem::BadRequest, "the host is no header's value"))?,
        };
        forwarded::tell(&mut headers, head, &host, arrival.peer.address);
        headers.insert(HOST, host);
        headers.insert(X_REQUEST_ID, head.id.header_value());
        self.identity.apply(&mut headers, route.target(), permit);
        Ok(headers)
    }

    async fn ask(
        &self,
        head: &RequestHead<'_>,
        headers: HeaderMap,
        rest: Rest<'_>,
        permit: &Permit,
        id: UpstreamId,
        is_websocket: bool,
    ) -> Result<Made, Refusal> {
        let body = RequestBody::new(rest.incoming, self.identity.strip(), self.timeouts.idle);
        let progress = body.progress();
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = rest.target.cloned().map(Uri::from).unwrap_or_default();
        *request.headers_mut() = headers;
        let upstream = self.upstreams.of(id).ok_or_else(|| {
            Refusal::because(Problem::Unavailable, "the route's application was not set up")
        })?;
        let answered = upstream.send(permit, request).await;
        let Answer { mut response, server } = match answered {
            Ok(answer) => answer,
            Err(error) => {
                self.metrics.upstream_errors.increment();
                return Err(refusal(&error));
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let begun = is_websocket && websocket::is_begun(response.headers());
            let (true, Some(client)) = (begun, rest.upgrade) else {
                let cause = "the application switched to a protocol that nobody asked for";
                return Err(Refusal::because(Problem::UpstreamUnreachable, cause));
            };
            let upstream = hyper::upgrade::on(&mut response);
            self.incoming(&mut response);
            websocket::say(response.headers_mut());
            let mut made = Made::from(response.map(|_| Content::Own(None)));
            made.tunnel = Some((client, upstream));
            made.session = permit.session().cloned();
            made.upstream = Some(server);
            return Ok(made);
        }
        self.incoming(&mut response);
        let mut made = Made::from(response.map(Content::Upstream));
        made.session = permit.session().cloned();
        made.request = progress;
        made.upstream = Some(server);
        Ok(made)
    }

    /// Removes from an answer what is about the application's connection, and what only the gateway may say.
    fn incoming<B>(&self, response: &mut Response<B>) {
        *response.version_mut() = Version::HTTP_11;
        response.extensions_mut().clear();
        let headers = response.headers_mut();
        hop_by_hop::remove_from_response(headers);
        self.services.session_cookie.strip_set(headers);
    }

    fn demo(
        &self,
        head: &RequestHead<'_>,
        headers: &HeaderMap,
        route: &Route,
        permit: &Permit,
        rest: &Rest<'_>,
    ) -> Made {
        let admitted = Admitted {
            principal: permit.principal().map(|principal| &**principal),
            upstream_headers: headers,
            route: route.label().to_owned(),
            allow: match route.allow() {
                Allow::Public => "public",
                Allow::Optional => "optional",
                Allow::Authenticated => "authenticated",
                Allow::Groups(_) => "groups",
            },
        };
        let mut made = Made::from(self.portal.demo(head, &admitted).map(Content::own));
        made.leaves_unread = !http_body::Body::is_end_stream(&rest.incoming);
        made
    }
}

/// HTTP/2 may send each cookie by itself; applications expect one header (RFC 9113, section 8.2.3).
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
        UpstreamError::Unreachable { .. } | UpstreamError::Broken { .. } => Problem::UpstreamUnreachable,
        UpstreamError::Timeout(_) => Problem::UpstreamTimeout,
        UpstreamError::RequestBody => Problem::BadRequest,
    };
    Refusal::because(problem, error.to_string())
}

/// Removes a head's mention of content that is not sent.
pub(super) fn content_length(headers: &mut HeaderMap, length: usize) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
}
