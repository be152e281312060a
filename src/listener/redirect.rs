//! HTTP in the clear that the listener answers by itself: `listen.http` sends everybody to HTTPS, the TLS port says that it
//! speaks HTTPS, and `listen.plain` says to whom it speaks.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::io::InspectReader;

use crate::clock::Clock;
use crate::config::{Config, HostPattern};
use crate::request::{Host, RequestIds, X_REQUEST_ID};

/// The largest head that a request may have here; hyper allows no less than 8 KiB.
const MAX_HEAD: usize = 16 << 10;

/// Where `listen.http` sends people.
#[derive(Debug)]
pub(super) struct Redirect {
    hosts: Vec<HostPattern>,
    port: u16,
    /// Fields of a request's head.
    header_fields: usize,
}

impl Redirect {
    /// To all configured hosts, at the port of `public_url`, or at `bound` where that is 0.
    pub(super) fn new(config: &Config, bound: Option<u16>) -> Self {
        let public = config.public_url.host_str().and_then(|host| host.parse().ok());
        let of_routes = config
            .route
            .iter()
            .filter_map(|route| route.host.as_ref()?.parse().ok());
        let port = config
            .public_url
            .port_or_known_default()
            .filter(|&port| port != 0);
        Self {
            hosts: public
                .into_iter()
                .map(HostPattern::Exact)
                .chain(of_routes)
                .collect(),
            port: port.or(bound).unwrap_or(443),
            header_fields: config.limits.header_fields,
        }
    }

    /// Answers one request, within `deadline`.
    pub(super) async fn serve(&self, stream: TcpStream, ids: &RequestIds, clock: &Clock, deadline: Duration) {
        self.serve_once(stream, ids, clock, deadline, |request| self.respond(request))
            .await;
    }

    /// Answers one request that came to a port that speaks TLS, within `deadline`: 400, and where to go instead.
    pub(super) async fn explain(
        &self,
        stream: TcpStream,
        ids: &RequestIds,
        clock: &Clock,
        deadline: Duration,
    ) {
        self.serve_once(stream, ids, clock, deadline, |request| self.explanation(request))
            .await;
    }

    /// Answers one request of a peer that is no trusted proxy, within `deadline`: 403, and who may ask here.
    pub(super) async fn refuse_stranger(
        &self,
        stream: TcpStream,
        ids: &RequestIds,
        clock: &Clock,
        deadline: Duration,
    ) {
        const TEXT: &str = "This address is for the proxies in listen.trusted_proxies, which name their clients in X-Forwarded-For.\n";
        self.serve_once(stream, ids, clock, deadline, |_| {
            text_response(StatusCode::FORBIDDEN, TEXT.to_owned())
        })
        .await;
    }

    async fn serve_once<B>(
        &self,
        stream: TcpStream,
        ids: &RequestIds,
        clock: &Clock,
        deadline: Duration,
        answer: impl Fn(&Request<Incoming>) -> Response<B>,
    ) where
        B: Body<Data = Bytes, Error = Infallible> + Default + Send + 'static,
    {
        let mut request_line = RequestLine::default();
        let has_fragment = AtomicBool::new(false);
        // The HTTP parser drops a `#` and what follows it; over TLS that is 400 too (S43).
        let stream = InspectReader::new(stream, |bytes: &[u8]| {
            if request_line.has_fragment(bytes) {
                has_fragment.store(true, Ordering::Relaxed);
            }
        });
        let service = service_fn(|request| {
            let mut answer = if has_fragment.load(Ordering::Relaxed) {
                let mut refused = Response::new(B::default());
                *refused.status_mut() = StatusCode::BAD_REQUEST;
                refused
            } else {
                answer(&request)
            };
            let headers = answer.headers_mut();
            headers.insert(X_REQUEST_ID, ids.next().header_value());
            // The library's own stays where the clock once was.
            if let Some(Ok(date)) = clock.http_date().map(HeaderValue::try_from) {
                headers.insert(DATE, date);
            }
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(deadline)
            .max_buf_size(MAX_HEAD)
            .max_headers(self.header_fields)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        // A client that goes away or is too slow has nothing to complain of, and there is nothing to do about it.
        let _ = tokio::time::timeout(deadline.saturating_mul(2), connection).await;
    }

    fn explanation<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        // What is told is only what the gateway serves: the text is no place for others to write to.
        let text = match self.location(request) {
            Ok(url) => format!(
                "This port speaks HTTPS: {}\n",
                String::from_utf8_lossy(url.as_bytes())
            ),
            Err(_) => "This port speaks HTTPS.\n".to_owned(),
        };
        text_response(StatusCode::BAD_REQUEST, text)
    }

    fn respond(&self, request: &Request<Incoming>) -> Response<Empty<Bytes>> {
        let mut response = Response::new(Empty::new());
        match self.location(request) {
            Ok(location) => {
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                response.headers_mut().insert(LOCATION, location);
            }
            Err(status) => *response.status_mut() = status,
        }
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        response
    }

    /// Where a request is sent: 400 without one plain host, 404 for a host that is not served.
    fn location<B>(&self, request: &Request<B>) -> Result<HeaderValue, StatusCode> {
        let mut named = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            return Err(StatusCode::BAD_REQUEST);
        };
        let host: Host = host
            .to_str()
            .ok()
            .and_then(|host| host.parse().ok())
            .ok_or(StatusCode::BAD_REQUEST)?;
        if !self.hosts.iter().any(|served| served.matches(&host)) {
            return Err(StatusCode::NOT_FOUND);
        }
        let target = request.uri().path_and_query().ok_or(StatusCode::BAD_REQUEST)?;
        if !target.as_str().starts_with('/') {
            return Err(StatusCode::BAD_REQUEST);
        }
        let location = match self.port {
            443 => format!("https://{host}{target}"),
            port => format!("https://{host}:{port}{target}"),
        };
        HeaderValue::try_from(location).map_err(|_| StatusCode::BAD_REQUEST)
    }
}

/// The first line of a connection, as its pieces come in; empty lines before it do not count.
#[derive(Debug, Default)]
struct RequestLine {
    has_begun: bool,
    has_ended: bool,
}

impl RequestLine {
    /// Whether a piece has a `#` of the line.
    fn has_fragment(&mut self, piece: &[u8]) -> bool {
        for byte in piece {
            match byte {
                _ if self.has_ended => return false,
                b'#' => return true,
                b'\n' => self.has_ended = self.has_begun,
                b'\r' => {}
                _ => self.has_begun = true,
            }
        }
        false
    }
}

fn text_response(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RouteConfig;

    fn redirect(port: u16) -> Redirect {
        let config = Config {
            public_url: format!("https://gw.example.com:{port}").parse().unwrap(),
            route: vec![RouteConfig {
                host: Some("*.apps.example.com".to_owned()),
                ..RouteConfig::default()
            }],
            ..Config::default()
        };
        Redirect::new(&config, Some(4711))
    }

    fn location(port: u16, hosts: &[&str], target: &str) -> Result<String, u16> {
        let mut request = Request::get(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        redirect(port)
            .location(&request.body(()).unwrap())
            .map(|location| location.to_str().unwrap().to_owned())
            .map_err(|status| status.as_u16())
    }

    #[test]
    fn a_served_host_at_the_https_port() {
        assert_eq!(
            location(443, &["GW.example.com:80"], "/a%2Fb?x=//y"),
            Ok("https://gw.example.com/a%2Fb?x=//y".to_owned())
        );
        assert_eq!(
            location(8443, &["one.apps.example.com"], "/"),
            Ok("https://one.apps.example.com:8443/".to_owned())
        );
        assert_eq!(
            location(0, &["gw.example.com"], "/"),
            Ok("https://gw.example.com:4711/".to_owned())
        );
    }

    #[test]
    fn a_fragment_is_seen_in_the_request_line_alone() {
        for (pieces, found) in [
            (["GET /x#y HTTP/1.1\r\n", ""], true),
            (["\r\n\r\nGET /x", "#y HTTP/1.1\r\n"], true),
            (["GET /x HTTP/1.1\r\nA: #", "#"], false),
            (["GET /x HTTP/1.1\r", "\nA: #"], false),
        ] {
            let mut line = RequestLine::default();
            let saw = pieces.map(|piece| line.has_fragment(piece.as_bytes()));
            assert_eq!(saw.contains(&true), found, "{pieces:?}");
        }
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(location(443, &["evil.example"], "/"), Err(404));
        assert_eq!(location(443, &[], "/"), Err(400));
        assert_eq!(location(443, &["gw.example.com", "evil.example"], "/"), Err(400));
        assert_eq!(location(443, &["gw.example.com@evil.example"], "/"), Err(400));
        assert_eq!(location(443, &["gw.example.com"], "*"), Err(400));
        assert_eq!(
            location(443, &["gw.example.com"], "http://evil.example/x"),
            Ok("https://gw.example.com/x".to_owned())
        );
    }
}
