//! Checks the header names and templates for upstreams.

use std::collections::{BTreeMap, BTreeSet};

use http::header::SET_COOKIE;
use http::{HeaderName, HeaderValue};

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{
    Allow, Config, HeaderTemplate, HeaderTemplateError, IdentityPreset, Placeholder, SignupMode,
};
use crate::request::fold;

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    let path = KeyPath::from("identity.headers");
    let mut tells_email = config.identity.preset != IdentityPreset::None;
    check_names(&path, config.identity.headers.keys(), findings);
    for (name, text) in &config.identity.headers {
        tells_email |= check_value(&path.key(name), text.parse(), findings);
    }
    for (upstream, settings) in &config.upstream {
        let path = KeyPath::from("upstream").key(upstream).key("headers");
        check_names(&path, settings.headers.keys(), findings);
        for (name, source) in &settings.headers {
            tells_email |= check_value(&path.key(name), HeaderTemplate::from_source(source), findings);
        }
    }
    for (index, route) in config.route.iter().enumerate() {
        let path = KeyPath::from("route").index(index).key("response_headers");
        let mut seen = BTreeSet::new();
        for (name, value) in &route.response_headers {
            if let Err(reason) = check_response_header(name, value) {
                findings.error(&path.key(name), reason);
            } else if !seen.insert(name.to_ascii_lowercase()) {
                findings.error(&path.key(name), "named twice: the names of headers ignore case");
            }
        }
    }
    let serves_people = config
        .route
        .iter()
        .any(|route| route.allow != Allow::Public && !matches!(route.upstream.as_str(), "demo:" | ""));
    if tells_email && serves_people && config.signup.mode != SignupMode::Closed && !config.signup.verify_email
    {
        findings.warn(
            &"identity".into(),
            "applications are told e-mail addresses that nobody verified: do not let them decide by the address",
            "signup.verify_email",
            "set `signup.verify_email = true`",
        );
    }
}

/// Checks a header that a route sets in responses, or removes from them.
fn check_response_header(name: &str, value: &str) -> Result<(), &'static str> {
    const RESERVED: [&str; 13] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "date",
        "keep-alive",
        "proxy-connection",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    ];
    let header: HeaderName = name.parse().map_err(|_| "not a header's name")?;
    if RESERVED.contains(&header.as_str()) || header.as_str().starts_with("sec-websocket-") {
        return Err("this header belongs to the gateway or to the connection");
    }
    if header == SET_COOKIE && !value.is_empty() {
        return Err("cookies are set by applications; an empty value removes theirs");
    }
    let value: Result<HeaderValue, _> = value.parse();
    value
        .map(drop)
        .map_err(|_| "not a header's value: it is one line")
}

/// Checks a template; returns whether it contains the e-mail address.
fn check_value(
    path: &KeyPath,
    value: Result<HeaderTemplate, HeaderTemplateError>,
    findings: &mut Findings<'_, '_>,
) -> bool {
    match value {
        Ok(template) => template.tells(Placeholder::Email),
        Err(error) => {
            let message = error.to_string();
            let suggestion = match error {
                HeaderTemplateError::Unknown { suggestion } => suggestion,
                _ => None,
            };
            findings.error_suggesting(path, message, suggestion);
            false
        }
    }
}

fn check_names<'n>(path: &KeyPath, names: impl Iterator<Item = &'n String>, findings: &mut Findings<'_, '_>) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        let Ok(header) = name.parse::<HeaderName>() else {
            findings.error(&path.key(name), "not a header's name");
            continue;
        };
        if is_reserved(header.as_str()) {
            findings.error(
                &path.key(name),
                "this header belongs to the gateway or to the connection",
            );
        }
        if let Some(other) = seen.insert(fold(&header), name) {
            findings.error(&path.key(name), format!("applications may take it for `{other}`"));
        }
    }
}

/// Whether a header frames or routes messages (RFC 9110), carries credentials, or is set by the gateway
/// itself.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 27] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
    ];
    NAMES.contains(&name) || name.starts_with("sec-websocket-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_presets_are_free() {
        for name in [
            "remote-user",
            "x-remote-user",
            "x-forwarded-user",
            "x-forwarded-email",
            "x-secret",
        ] {
            assert!(!is_reserved(name), "{name}");
        }
        for name in ["host", "cookie", "te", "sec-websocket-key", "x-request-id"] {
            assert!(is_reserved(name), "{name}");
        }
    }
}
