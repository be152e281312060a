//! Checks sign-up, passwords, and the administrators' group.

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{Config, SignupMode};
use crate::model::Username;

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    let signup = &config.signup;
    if signup.mode == SignupMode::Open && !signup.approval {
        findings.warn(
            &"signup.mode".into(),
            "open: whoever reaches the page makes an account and passes every \"authenticated\" route",
            "signup.approval",
            "set `signup.approval = true`, or `signup.mode` to \"invite\" or \"closed\"",
        );
    }
    for (url, key) in [
        (&signup.terms_url, "signup.terms_url"),
        (&signup.privacy_url, "signup.privacy_url"),
    ] {
        if !url.is_empty() && !is_link(url) {
            findings.error(&key.into(), NOT_A_LINK);
        }
    }
    for (index, name) in signup.reserved_usernames.iter().enumerate() {
        if let Err(error) = name.parse::<Username>() {
            findings.error(
                &KeyPath::from("signup.reserved_usernames").index(index),
                error.to_string(),
            );
        }
    }
    if !(10..=16).contains(&config.password.bcrypt_cost) {
        findings.error(&"password.bcrypt_cost".into(), "bcrypt's cost is from 10 to 16");
    }
    if let Err(reason) = require_group(&config.admin.group) {
        findings.error(&"admin.group".into(), reason);
    }
}

/// The message about what [`is_link`] rejects.
pub(super) const NOT_A_LINK: &str = "not a link: it begins with neither `https://`, `http://` nor `/`";

/// Whether a page may link to a URL: http or https, or a path on this host; never a script.
pub(super) fn is_link(url: &str) -> bool {
    let has_control = url
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    let on_this_host = url.starts_with('/') && !url.starts_with("//");
    let on_the_web =
        || url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    !has_control && (on_this_host || on_the_web())
}

pub(super) fn require_group(name: &str) -> Result<(), &'static str> {
    if name.trim().is_empty() {
        return Err("a group has a name");
    }
    if name.contains(',') {
        return Err("a group's name has no comma: headers list groups with commas");
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return Err("a group's name has no control characters, and no space at its ends");
    }
    Ok(())
}
