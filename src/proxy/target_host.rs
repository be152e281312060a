//! Determines the effective host of a request (RFC 9112, section 3.2; RFC 9113, section 8.3.1).

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Uri};

use super::framing::FramingError;
use super::head_inspector::AmbiguousHead;
use crate::refusal::{Hint, Problem, Refusal};
use crate::request::{Host, parse_decimal, port_of};
use crate::route::BadPath;

/// The effective host, with scheme and authority as sent or forwarded.
pub(super) struct TargetHost<'a> {
    pub(super) host: Host,
    pub(super) scheme: &'static str,
    pub(super) authority: Cow<'a, str>,
    /// Whether a trusted proxy forwarded the host; SNI then names the gateway and is not compared.
    pub(super) is_by_proxy: bool,
}

/// Who is at the other end of a connection, as far as its word on host and scheme is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    /// Somebody who is asked over TLS and believed nothing.
    Client,
    /// A trusted proxy, which may say what it was asked for.
    TrustedProxy,
    /// A trusted proxy that ended TLS: it must say that it was asked over HTTPS.
    TlsEnded,
}

/// A head without one unambiguous host and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    #[error(transparent)]
    Head(#[from] AmbiguousHead),
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("no host, or more than one, or not one")]
    Host,
    #[error("the target and the Host header name different hosts")]
    HostsDiffer,
    /// `?x` or `#x`, of which hyper keeps nothing: policy would evaluate another target than was sent.
    #[error("the target has no path")]
    Target,
    #[error("the target is a URL of another scheme")]
    Scheme,
    #[error(
        "it came in at listen.plain, and the proxy does not say in X-Forwarded-Proto that it was asked over HTTPS"
    )]
    Insecure,
}

impl From<TargetError> for Refusal {
    fn from(malformed: TargetError) -> Self {
        let problem = match malformed {
            TargetError::Framing(error) => error.problem(),
            TargetError::Head(_)
            | TargetError::Host
            | TargetError::HostsDiffer
            | TargetError::Target
            | TargetError::Scheme
            | TargetError::Insecure => Problem::BadRequest,
        };
        let refusal = Self::because(problem, malformed.to_string());
        match malformed {
            TargetError::Head(AmbiguousHead::Fragment) => refusal.hinting(Hint::Path(BadPath::Fragment)),
            TargetError::Target => refusal.hinting(Hint::Path(BadPath::NotAPath)),
            TargetError::Insecure => refusal.hinting(Hint::Insecure),
            _ => refusal,
        }
    }
}

/// The one host that a request is for (RFC 9112, section 3.2; RFC 9113, section 8.3.1); of a trusted proxy, the one that
/// the proxy was asked for, if it tells.
pub(super) fn from_parts(parts: &Parts, hop: Hop) -> Result<TargetHost<'_>, TargetError> {
    if let Some(target) = parts.uri.path_and_query()
        && (!target.as_str().starts_with(['/', '*'])
            || parts.version == http::Version::HTTP_2 && is_empty(target))
    {
        return Err(TargetError::Target);
    }
    if let Some(scheme) = parts.uri.scheme_str()
        && !["http", "https"].contains(&scheme)
    {
        return Err(TargetError::Scheme);
    }
    let authority = sent_authority(parts)?;
    let host = authority.parse().map_err(|_| TargetError::Host)?;
    let sent = TargetHost {
        host,
        scheme: "https",
        authority: authority.into(),
        is_by_proxy: false,
    };
    match hop {
        Hop::Client => Ok(sent),
        Hop::TrustedProxy => {
            // Most proxies speak TLS only where they were asked over TLS, and need not say so.
            let scheme = forwarded_scheme(&parts.headers)?.unwrap_or("https");
            sent.with_forwarded(&parts.headers, scheme)
        }
        Hop::TlsEnded => match forwarded_scheme(&parts.headers)? {
            Some(scheme @ "https") => sent.with_forwarded(&parts.headers, scheme),
            _ => Err(TargetError::Insecure),
        },
    }
}

/// The scheme that the nearest proxy was asked by, if it says one that there is. Some name a WebSocket's.
fn forwarded_scheme(headers: &HeaderMap) -> Result<Option<&'static str>, TargetError> {
    let named = last(headers, "x-forwarded-proto")?;
    let is = |scheme: &str| named.is_some_and(|named| named.eq_ignore_ascii_case(scheme));
    Ok(if is("https") || is("wss") {
        Some("https")
    } else if is("http") || is("ws") {
        Some("http")
    } else {
        None
    })
}

/// Whether a target has no path; `PathAndQuery` shows `/` for it, a URI with nothing else does not.
fn is_empty(target: &PathAndQuery) -> bool {
    target.as_str() == "/" && Uri::from(target.clone()).path().is_empty()
}

fn sent_authority(parts: &Parts) -> Result<&str, TargetError> {
    let mut named = parts.headers.get_all(HOST).iter();
    let header = match (named.next(), named.next()) {
        (None, _) => None,
        (Some(one), None) => Some(one.to_str().map_err(|_| TargetError::Host)?),
        (Some(_), Some(_)) => return Err(TargetError::Host),
    };
    let header = header.map(without_empty_port);
    let target = parts.uri.authority().map(Authority::as_str);
    let target = target.map(without_empty_port);
    if let (Some(header), Some(target)) = (header, target)
        && !header.eq_ignore_ascii_case(target)
    {
        return Err(TargetError::HostsDiffer);
    }
    // HTTP/1.1 requires `Host` even with a target in absolute form; HTTP/2 has either.
    let authority = match parts.version {
        http::Version::HTTP_2 => target.or(header),
        _ => header,
    };
    authority.ok_or(TargetError::Host)
}

/// Strips the colon of an empty port: `a.com:` is `a.com` (RFC 3986, section 6.2.3), and upstreams get one
/// form.
fn without_empty_port(authority: &str) -> &str {
    let has_port = |bare: &str| bare.rsplit(']').next().is_some_and(|after| after.contains(':'));
    let bare = authority.strip_suffix(':').filter(|bare| !has_port(bare));
    bare.unwrap_or(authority)
}

impl<'a> TargetHost<'a> {
    /// With what a trusted proxy says that it was asked for, in `X-Forwarded-Host` and `-Port`.
    fn with_forwarded(self, headers: &'a HeaderMap, scheme: &'static str) -> Result<Self, TargetError> {
        let host = last(headers, "x-forwarded-host")?.map(without_empty_port);
        let port = last(headers, "x-forwarded-port")?
            .map(|port| parse_decimal::<u16>(port).ok_or(TargetError::Host))
            .transpose()?;
        let (host, authority, is_by_proxy) = match host {
            Some(host) => (host.parse().map_err(|_| TargetError::Host)?, host.into(), true),
            None => (self.host, self.authority, self.is_by_proxy),
        };
        // The forwarded port applies only to a host without one, and is left out if it is the scheme's
        // default.
        let authority = match port {
            Some(port)
                if port_of(&authority).is_none()
                    && !matches!((scheme, port), ("https", 443) | ("http", 80)) =>
            {
                format!("{host}:{port}").into()
            }
            _ => authority,
        };
        Ok(Self {
            host,
            scheme,
            authority,
            is_by_proxy,
        })
    }
}

/// Returns the last element of a list field, which the nearest proxy wrote.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, TargetError> {
    let Some(value) = headers.get_all(name).iter().next_back() else {
        return Ok(None);
    };
    let list = value.to_str().map_err(|_| TargetError::Host)?;
    Ok(list
        .rsplit(',')
        .map(str::trim)
        .find(|element| !element.is_empty()))
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::*;

    fn ask(version: Version, target: &str, hosts: &[&str]) -> Result<String, TargetError> {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        from_parts(&parts, Hop::Client).map(|asked| format!("{} as {}", asked.host, asked.authority))
    }

    fn target_of(sent: &[(&'static str, &'static str)]) -> Result<String, TargetError> {
        target_at(Hop::TrustedProxy, sent)
    }

    fn target_at(hop: Hop, sent: &[(&'static str, &'static str)]) -> Result<String, TargetError> {
        let mut request = Request::builder().uri("/x").header(HOST, "inner:8443");
        for (name, value) in sent {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        from_parts(&parts, hop)
            .map(|asked| format!("{}://{} {}", asked.scheme, asked.authority, asked.is_by_proxy))
    }

    #[test]
    fn one_host_however_it_is_named() {
        let found = Ok("a.com as A.com:8443".to_owned());
        assert_eq!(ask(Version::HTTP_11, "/x", &["A.com:8443"]), found);
        assert_eq!(
            ask(Version::HTTP_11, "https://a.com:8443/x", &["A.com:8443"]),
            found
        );
        assert_eq!(ask(Version::HTTP_2, "https://A.com:8443/x", &[]), found);
        assert_eq!(
            ask(Version::HTTP_2, "https://A.com:8443/x", &["a.com:8443"]),
            found
        );
        assert_eq!(ask(Version::HTTP_2, "/x", &["A.com:8443"]), found);
        let found = Ok("a.com as a.com".to_owned());
        assert_eq!(ask(Version::HTTP_11, "/x", &["a.com:"]), found);
        assert_eq!(ask(Version::HTTP_11, "https://a.com/x", &["a.com:"]), found);
        assert_eq!(
            ask(Version::HTTP_11, "/x", &["[::1]:"]),
            Ok("[::1] as [::1]".to_owned())
        );
    }

    #[test]
    fn none_two_or_nonsense_is_refused() {
        let http1 = |target, hosts: &[&str]| ask(Version::HTTP_11, target, hosts);
        assert_eq!(http1("/x", &[]), Err(TargetError::Host));
        assert_eq!(http1("https://a.com/x", &[]), Err(TargetError::Host));
        assert_eq!(http1("/x", &["a.com", "a.com"]), Err(TargetError::Host));
        assert_eq!(http1("/x", &["a.com, b.com"]), Err(TargetError::Host));
        assert_eq!(http1("/x", &["user@a.com"]), Err(TargetError::Host));
        assert_eq!(http1("/x", &["a.com::"]), Err(TargetError::Host));
        assert_eq!(http1("/x", &["a.com:8443:"]), Err(TargetError::Host));
        assert_eq!(http1("/x", &["[::1]:1:"]), Err(TargetError::Host));
        assert_eq!(http1("/x", &[":"]), Err(TargetError::Host));
        assert_eq!(
            http1("https://a.com/x", &["b.com"]),
            Err(TargetError::HostsDiffer)
        );
        assert_eq!(
            http1("https://a.com/x", &["a.com:1"]),
            Err(TargetError::HostsDiffer)
        );
        assert_eq!(http1("ftp://a.com/x", &["a.com"]), Err(TargetError::Scheme));
        let http2 = ask(Version::HTTP_2, "https://a.com/x", &["b.com"]);
        assert_eq!(http2, Err(TargetError::HostsDiffer));
    }

    #[test]
    fn s42_a_trusted_proxy_says_what_it_was_asked_for() {
        for (sent, found) in [
            ([].as_slice(), "https://inner:8443 false"),
            (&[("x-forwarded-host", "a.com")], "https://a.com true"),
            (
                &[("x-forwarded-host", "evil.com, a.com:444")],
                "https://a.com:444 true",
            ),
            (
                &[("x-forwarded-host", "evil.com"), ("x-forwarded-host", "a.com")],
                "https://a.com true",
            ),
            (
                &[("x-forwarded-host", "a.com"), ("x-forwarded-port", "8444")],
                "https://a.com:8444 true",
            ),
            (
                &[("x-forwarded-host", "a.com:1"), ("x-forwarded-port", "443")],
                "https://a.com:1 true",
            ),
            (
                &[
                    ("x-forwarded-host", "a.com"),
                    ("x-forwarded-port", "80"),
                    ("x-forwarded-proto", "https, http"),
                ],
                "http://a.com true",
            ),
            (&[("x-forwarded-host", "")], "https://inner:8443 false"),
            (&[("x-forwarded-host", "a.com:")], "https://a.com true"),
            (
                &[("x-forwarded-host", "a.com:"), ("x-forwarded-port", "8444")],
                "https://a.com:8444 true",
            ),
        ] {
            assert_eq!(target_of(sent).as_deref(), Ok(found), "{sent:?}");
        }
        for nonsense in [
            ("x-forwarded-host", "a b"),
            ("x-forwarded-host", "user@a.com"),
            ("x-forwarded-port", "99999"),
            ("x-forwarded-port", "+8444"),
            ("x-forwarded-port", "08444"),
        ] {
            assert_eq!(target_of(&[nonsense]), Err(TargetError::Host), "{nonsense:?}");
        }
    }

    #[test]
    fn s42_a_proxy_that_ended_tls_must_say_that_it_was_asked_over_https() {
        let host = ("x-forwarded-host", "a.com");
        for scheme in ["https", "HTTPS", "wss", "http, https", "https,"] {
            let found = target_at(Hop::TlsEnded, &[host, ("x-forwarded-proto", scheme)]);
            assert_eq!(found.as_deref(), Ok("https://a.com true"), "{scheme}");
        }
        for scheme in ["http", "ws", "https, http", "", "httpss", "on", "https http"] {
            let found = target_at(Hop::TlsEnded, &[host, ("x-forwarded-proto", scheme)]);
            assert_eq!(found, Err(TargetError::Insecure), "{scheme}");
        }
        assert_eq!(target_at(Hop::TlsEnded, &[host]), Err(TargetError::Insecure));
        let twice = [("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")];
        assert_eq!(target_at(Hop::TlsEnded, &twice), Err(TargetError::Insecure));
        let forwarded = [host, ("forwarded", "proto=https"), ("x-forwarded-ssl", "on")];
        assert_eq!(target_at(Hop::TlsEnded, &forwarded), Err(TargetError::Insecure));
    }

    #[test]
    fn s42_a_websocket_of_a_proxy_has_the_scheme_of_its_connection() {
        for (scheme, found) in [
            ("ws", "http://inner:8443 false"),
            ("wss", "https://inner:8443 false"),
        ] {
            let sent = [("x-forwarded-proto", scheme)];
            assert_eq!(target_of(&sent).as_deref(), Ok(found), "{scheme}");
        }
    }
}
