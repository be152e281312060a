//! Responses to plain HTTP: the plain listeners redirect to HTTPS, and the TLS port responds 400 with a hint.

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

/// Largest head of a plain request, in bytes; hyper's minimum is 8 KiB.
const MAX_HEAD: usize = 16 << 10;

/// The hosts and the port that plain requests are redirected to.
#[derive(Debug)]
pub(super) struct Redirect {
    hosts: Vec<HostPattern>,
    port: u16,
    /// Most fields of a request head.
    header_fields: usize,
}

impl Redirect {
    /// Redirects to any configured host, at the port of `public_url`, or at `bound` if that port is 0.
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

    /// Redirects one request, within `deadline` for its head.
    pub(super) async fn serve(&self, stream: TcpStream, ids: &RequestIds, clock: &Clock, deadline: Duration) {
        self.serve_once(stream, ids, clock, deadline, |request| self.respond(request))
            .await;
    }

    /// Responds 400 to one plain request on a TLS port, naming the HTTPS URL, within `deadline` for its head.
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
        // hyper drops a `#` and what follows it; 400, as over TLS (S43).
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
            // hyper caches its own date and would go on sending it when the clock is set back.
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
        // Errors of slow or disappearing clients are ignored.
        let _ = tokio::time::timeout(deadline.saturating_mul(2), connection).await;
    }

    fn explanation<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        // The text contains only a host that the gateway serves, so others cannot inject text.
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

    /// Returns the HTTPS URL of a request. Fails with 400 without exactly one valid host, with 404 if it is
    /// not served.
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

/// Tracks the request line over several reads; empty lines before it are skipped.
#[derive(Debug, Default)]
struct RequestLine {
    has_begun: bool,
    has_ended: bool,
}

impl RequestLine {
    /// Whether this piece of the request line contains a `#`.
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
