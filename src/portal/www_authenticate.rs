//! `WWW-Authenticate` (RFC 9110, section 11.6.1): the schemes that are accepted.

use http::{HeaderMap, HeaderValue};

use super::request_context::names_html;

/// The challenges, built once.
#[derive(Debug)]
pub(super) struct AuthChallenges {
    /// For programs.
    all: HeaderValue,
    /// For browsers.
    without_basic: HeaderValue,
}

impl AuthChallenges {
    /// `iam`: whether requests may be signed.
    pub(super) fn new(name: &str, iam: bool) -> Self {
        let realm: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || " ._-".contains(*c))
            .collect();
        let session = format!("Session realm=\"{realm}\"");
        if !iam {
            let session = value(&session);
            return Self {
                all: session.clone(),
                without_basic: session,
            };
        }
        let signed = ["AWS4-HMAC-SHA256", "BackendAI", "Signature"]
            .map(|scheme| format!("{scheme} realm=\"{realm}\""))
            .join(", ");
        // `Basic` first: some clients read only the first challenge, and know only that scheme.
        Self {
            all: value(&format!(
                "Basic realm=\"{realm}: access key and secret\", charset=\"UTF-8\", {session}, {signed}"
            )),
            without_basic: value(&format!("{session}, {signed}")),
        }
    }

    /// Returns the challenges for a request with these headers. Browsers do not get `Basic`: to a script's
    /// request they would show a password dialog of their own.
    pub(super) fn header_for(&self, headers: &HeaderMap) -> HeaderValue {
        let is_script = |kind: &HeaderValue| kind.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest");
        let is_browser = headers.contains_key("sec-fetch-mode")
            || headers.get("x-requested-with").is_some_and(is_script)
            || names_html(headers);
        if is_browser {
            self.without_basic.clone()
        } else {
            self.all.clone()
        }
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("Session"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_named_and_no_browser_is_asked_for_a_password() {
        let none = HeaderMap::new();
        assert_eq!(
            AuthChallenges::new("A \"b\"", false).header_for(&none),
            "Session realm=\"A b\""
        );
        let challenges = AuthChallenges::new("Gate", true);
        assert_eq!(
            challenges.header_for(&none),
            "Basic realm=\"Gate: access key and secret\", charset=\"UTF-8\", Session realm=\"Gate\", \
             AWS4-HMAC-SHA256 realm=\"Gate\", BackendAI realm=\"Gate\", Signature realm=\"Gate\""
        );
        for (name, value) in [
            ("sec-fetch-mode", "cors"),
            ("accept", "text/html,*/*;q=0.8"),
            ("x-requested-with", "XMLHttpRequest"),
        ] {
            let browser = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            assert!(
                !challenges
                    .header_for(&browser)
                    .to_str()
                    .unwrap()
                    .contains("Basic"),
                "{name}"
            );
        }
    }
}
