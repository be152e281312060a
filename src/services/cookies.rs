//! The cookies of the gateway: the session's, the chosen language, and a notice for the next page.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::SessionConfig;
use crate::model::{PlainToken, TokenDigest};

/// The session cookies of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedCookie {
    /// None, or one that cannot be a token.
    None,
    /// One token.
    One(TokenDigest),
    /// More than one: treated as signed out, all cleared (S27).
    Several,
}

/// The names and attributes of the gateway's cookies: reads, sets and strips them.
#[derive(Clone, Debug)]
pub struct GatewayCookies {
    session_name: String,
    language_name: String,
    notice_name: String,
    /// `; Domain=…` if the cookie is shared by several hosts, else empty.
    domain: String,
    max_age: u64,
}

impl GatewayCookies {
    /// Builds the cookies of the configuration.
    ///
    /// The prefixes make browsers refuse a cookie of this name that was set without TLS, and with `__Host-`
    /// also one that another host of the domain set (RFC 6265bis, section 4.1.3).
    pub fn new(config: &SessionConfig) -> Self {
        let domain = config.cookie_domain.trim_start_matches('.');
        let (prefix, domain) = if domain.is_empty() {
            ("__Host-", String::new())
        } else {
            ("__Secure-", format!("; Domain={domain}"))
        };
        let name = format!("{prefix}{}", config.cookie_name);
        Self {
            language_name: format!("{name}-lang"),
            notice_name: format!("{name}-notice"),
            session_name: name,
            domain,
            max_age: config.absolute.0.as_secs(),
        }
    }

    /// The full name of the session cookie.
    pub fn session_name(&self) -> &str {
        &self.session_name
    }

    /// The name of the cookie for the chosen language.
    pub fn language_name(&self) -> &str {
        &self.language_name
    }

    /// The name of the cookie for a notice on the next login page.
    pub fn notice_name(&self) -> &str {
        &self.notice_name
    }

    /// Reads the session cookies of a request. On the hot path: does not allocate.
    pub fn presented_session(&self, headers: &HeaderMap) -> PresentedCookie {
        let mut ours = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|header| header.as_bytes().split(|&b| b == b';'))
            .map(pair)
            .filter(|(name, _)| *name == self.session_name.as_bytes());
        match (ours.next(), ours.next()) {
            (None, _) => PresentedCookie::None,
            (Some((_, value)), None) => {
                TokenDigest::of_presented(value).map_or(PresentedCookie::None, PresentedCookie::One)
            }
            (Some(_), Some(_)) => PresentedCookie::Several,
        }
    }

    /// `Set-Cookie` for a new session.
    pub fn set_session(&self, token: &PlainToken) -> HeaderValue {
        let mut value = set_cookie(&self.session_name, token.expose(), &self.domain, self.max_age);
        value.set_sensitive(true);
        value
    }

    /// `Set-Cookie` that deletes the session cookie.
    pub fn clear_session(&self) -> HeaderValue {
        set_cookie(&self.session_name, "", &self.domain, 0)
    }

    /// `Set-Cookie` that keeps a language for a year, for this host only.
    pub fn set_language(&self, tag: &str) -> HeaderValue {
        set_cookie(&self.language_name, tag, "", 365 * 24 * 60 * 60)
    }

    /// `Set-Cookie` with a notice for the next login page, for `max_age` seconds and this host only.
    pub fn set_notice(&self, notice: &str, max_age: u64) -> HeaderValue {
        set_cookie(&self.notice_name, notice, "", max_age)
    }

    /// Removes the gateway's cookies from a request to the upstream (S33). Other cookies stay byte for byte.
    pub fn strip_cookie(&self, headers: &mut HeaderMap) {
        let is_other = |piece: &&[u8]| !self.is_ours(pair(piece).0);
        replace(headers, &COOKIE, |value| {
            let pieces = || value.as_bytes().split(|&b| b == b';');
            if pieces().all(|piece| is_other(&piece)) {
                return Some(value.clone());
            }
            let others = pieces().filter(is_other).collect::<Vec<_>>().join(&b';');
            let others = others.trim_ascii();
            (!others.is_empty())
                .then(|| HeaderValue::from_bytes(others).ok())
                .flatten()
        });
    }

    /// Removes the gateway's cookies from an upstream's `Set-Cookie` (S33).
    pub fn strip_set_cookie(&self, headers: &mut HeaderMap) {
        replace(headers, &SET_COOKIE, |value| {
            let cookie = value.as_bytes().split(|&b| b == b';').next().unwrap_or_default();
            // A nameless cookie is sent back as its bare value, which could read as one of ours.
            let named = cookie.trim_ascii_start();
            let named = named.strip_prefix(b"=").unwrap_or(named);
            (!self.is_ours(pair(named).0)).then(|| value.clone())
        });
    }

    /// Ignores case: names in other case are other cookies to a browser, but perhaps not to an application.
    fn is_ours(&self, name: &[u8]) -> bool {
        [&self.session_name, &self.language_name, &self.notice_name]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
    }
}

/// Builds `Set-Cookie` with the attributes of all our cookies. Empty, so without effect, if the name or
/// domain cannot be in a header.
fn set_cookie(name: &str, value: &str, domain: &str, max_age: u64) -> HeaderValue {
    let text = format!("{name}={value}; Path=/{domain}; Secure; HttpOnly; SameSite=Lax; Max-Age={max_age}");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Splits a cookie into name and value (RFC 6265, section 5.2).
fn pair(cookie: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = match cookie.iter().position(|&b| b == b'=') {
        Some(equals) => (&cookie[..equals], &cookie[equals + 1..]),
        None => (cookie, &cookie[..0]),
    };
    (name.trim_ascii(), value.trim_ascii())
}

/// Replaces each value of a header by the result of `keep`; leaves the headers alone if nothing changes.
fn replace(headers: &mut HeaderMap, name: &HeaderName, keep: impl Fn(&HeaderValue) -> Option<HeaderValue>) {
    let unchanged = |value: &HeaderValue| keep(value).as_ref() == Some(value);
    if headers.get_all(name).iter().all(unchanged) {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(name).iter().filter_map(&keep).collect();
    headers.remove(name);
    for value in kept {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn cookies() -> GatewayCookies {
        GatewayCookies::new(&SessionConfig::default())
    }

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn values(headers: &HeaderMap) -> Vec<&str> {
        headers.values().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn s26_attributes() {
        let token = PlainToken::new(&Random::seeded(1));
        assert_eq!(
            cookies().set_session(&token).to_str().unwrap(),
            format!(
                "__Host-vestibule={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=604800",
                token.expose()
            )
        );
        assert_eq!(
            cookies().clear_session(),
            "__Host-vestibule=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
        );
        let shared = GatewayCookies::new(&SessionConfig {
            cookie_domain: ".example.com".to_owned(),
            ..SessionConfig::default()
        });
        assert_eq!(
            shared.clear_session(),
            "__Secure-vestibule=; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }

    #[test]
    fn s27_what_a_request_presents() {
        let token = PlainToken::new(&Random::seeded(1));
        let ours = format!("__Host-vestibule={}", token.expose());
        let presented = |values: &[&str]| cookies().presented_session(&headers(&COOKIE, values));
        assert_eq!(presented(&[]), PresentedCookie::None);
        assert_eq!(presented(&["a=b; vestibule=x"]), PresentedCookie::None);
        assert_eq!(presented(&["__Host-vestibule=short"]), PresentedCookie::None);
        assert_eq!(presented(&[&ours]), PresentedCookie::One(token.digest()));
        assert_eq!(
            presented(&["a=b", &format!("c=d;{ours} ; e")]),
            PresentedCookie::One(token.digest())
        );
        assert_eq!(presented(&[&format!("{ours}; {ours}")]), PresentedCookie::Several);
        assert_eq!(
            presented(&[&ours, "__Host-vestibule=short"]),
            PresentedCookie::Several
        );
    }

    #[test]
    fn s33_own_cookies_stay_here_and_others_go_on_as_they_are() {
        for (sent, forwarded) in [
            (vec!["__Host-vestibule=x"], vec![]),
            (vec!["a=1; __Host-vestibule=x; b=2"], vec!["a=1; b=2"]),
            (
                vec!["__Host-vestibule=x; a=1;b=\"2 \"; c"],
                vec!["a=1;b=\"2 \"; c"],
            ),
            (vec!["a=1;__HOST-Vestibule = x"], vec!["a=1"]),
            (vec!["__Host-vestibule-lang=ko", "  a=1;; "], vec!["  a=1;; "]),
            (vec!["a=1; __Host-vestibule-notice=x"], vec!["a=1"]),
            (
                vec!["__Host-vestibule2=x; vestibule=y"],
                vec!["__Host-vestibule2=x; vestibule=y"],
            ),
        ] {
            let mut headers = headers(&COOKIE, &sent);
            cookies().strip_cookie(&mut headers);
            assert_eq!(values(&headers), forwarded, "{sent:?}");
        }
    }

    #[test]
    fn s33_an_upstream_cannot_set_them() {
        let mut headers = headers(
            &SET_COOKIE,
            &[
                "a=1; Path=/",
                "__Host-vestibule=x",
                " __host-VESTIBULE =x; Secure",
                "__Host-vestibule-lang=ko",
                "__Host-vestibule-notice=password-changed",
                "=__Host-vestibule=x",
                "__Host-vestibule",
                "b=__Host-vestibule",
            ],
        );
        cookies().strip_set_cookie(&mut headers);
        assert_eq!(values(&headers), ["a=1; Path=/", "b=__Host-vestibule"]);
    }
}
