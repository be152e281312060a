//! `WWW-Authenticate` (RFC 9110, section 11.6.1): what is accepted as proof of who somebody is.

use http::{HeaderMap, HeaderValue};

use super::request_context::names_html;

/// The schemes that are accepted, made once.
#[derive(Debug)]
pub(super) struct AuthChallenges {
    /// For programs.
    all: HeaderValue,
    /// For browsers.
    without_basic: HeaderValue,
}

impl AuthChallenges {
    /// `iam` says whether requests may be signed.
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
        // The first one is all that some clients read, and those know `Basic` alone.
        Self {
            all: value(&format!(
                "Basic realm=\"{realm}: access key and secret\", charset=\"UTF-8\", {session}, {signed}"
            )),
            without_basic: value(&format!("{session}, {signed}")),
        }
    }

    /// What to say in answer to a request with these headers. A browser would ask for a name and a password in a dialog
    /// of its own if a page's script were answered with `Basic`.
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
