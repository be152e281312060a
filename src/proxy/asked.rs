//! The host that a request is for.

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

use super::framing::FramingError;
use super::inspect::Fault;
use crate::refusal::{Hint, Problem, Refusal};
use crate::request::Host;
use crate::route::BadPath;

/// A host, and what was sent for it.
pub(super) struct Asked<'a> {
    pub(super) host: Host,
    pub(super) authority: &'a str,
}

/// A request that means different things to different readers, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error(transparent)]
    Head(#[from] Fault),
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("no host, or more than one, or not one")]
    Host,
    #[error("the target and the Host header name different hosts")]
    HostsDiffer,
    /// `?x`, or `#x`, of which the HTTP library leaves nothing: what is judged would not be what is sent.
    #[error("the target has no path")]
    Target,
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        let problem = match malformed {
            Malformed::Framing(error) => error.problem(),
            Malformed::Head(_) | Malformed::Host | Malformed::HostsDiffer | Malformed::Target => {
                Problem::BadRequest
            }
        };
        let refusal = Self::because(problem, malformed.to_string());
        match malformed {
            Malformed::Head(Fault::Fragment) => refusal.hinting(Hint::Path(BadPath::Fragment)),
            Malformed::Target => refusal.hinting(Hint::Path(BadPath::NotAPath)),
            _ => refusal,
        }
    }
}

/// The one host that a request is for (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
pub(super) fn asked(parts: &Parts) -> Result<Asked<'_>, Malformed> {
    if let Some(target) = parts.uri.path_and_query()
        && !target.as_str().starts_with(['/', '*'])
    {
        return Err(Malformed::Target);
    }
    let mut named = parts.headers.get_all(HOST).iter();
    let header = match (named.next(), named.next()) {
        (None, _) => None,
        (Some(one), None) => Some(one.to_str().map_err(|_| Malformed::Host)?),
        (Some(_), Some(_)) => return Err(Malformed::Host),
    };
    let target = parts.uri.authority().map(Authority::as_str);
    if let (Some(header), Some(target)) = (header, target)
        && !header.eq_ignore_ascii_case(target)
    {
        return Err(Malformed::HostsDiffer);
    }
    // HTTP/1 has a Host header even where the target names the host; HTTP/2 has either.
    let authority = match parts.version {
        http::Version::HTTP_2 => target.or(header),
        _ => header,
    };
    let authority = authority.ok_or(Malformed::Host)?;
    let host = authority.parse().map_err(|_| Malformed::Host)?;
    Ok(Asked { host, authority })
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::*;

    fn ask(version: Version, target: &str, hosts: &[&str]) -> Result<String, Malformed> {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        asked(&parts).map(|asked| format!("{} as {}", asked.host, asked.authority))
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
    }

    #[test]
    fn none_two_or_nonsense_is_refused() {
        let http1 = |target, hosts: &[&str]| ask(Version::HTTP_11, target, hosts);
        assert_eq!(http1("/x", &[]), Err(Malformed::Host));
        assert_eq!(http1("https://a.com/x", &[]), Err(Malformed::Host));
        assert_eq!(http1("/x", &["a.com", "a.com"]), Err(Malformed::Host));
        assert_eq!(http1("/x", &["a.com, b.com"]), Err(Malformed::Host));
        assert_eq!(http1("/x", &["user@a.com"]), Err(Malformed::Host));
        assert_eq!(http1("https://a.com/x", &["b.com"]), Err(Malformed::HostsDiffer));
        assert_eq!(
            http1("https://a.com/x", &["a.com:1"]),
            Err(Malformed::HostsDiffer)
        );
        let http2 = ask(Version::HTTP_2, "https://a.com/x", &["b.com"]);
        assert_eq!(http2, Err(Malformed::HostsDiffer));
    }
}
