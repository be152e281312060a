//! The headers that tell an application who somebody is: stripped from every request, then set from its permit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::authorize::Permit;
use crate::config::{Config, IdentityPreset, Piece, Placeholder, SecretSource, Template, UpstreamPreset};
use crate::model::Principal;
use crate::route::Destination;

/// Headers that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("the identity header {0}: {1}")]
pub struct IdentityError(String, String);

type Headers = Vec<(HeaderName, Template)>;

/// The identity headers of every upstream.
#[derive(Debug)]
pub struct Identity {
    common: Headers,
    of_upstream: HashMap<String, Headers>,
    /// Every name that any upstream is given, in the spelling of [`spelling`].
    stripped: BTreeSet<String>,
}

impl Identity {
    /// The headers that a configuration describes.
    pub fn new(config: &Config) -> Result<Self, IdentityError> {
        let preset: &[(&str, &str)] = match config.identity.preset {
            IdentityPreset::Remote => &[
                ("remote-user", "{username}"),
                ("remote-email", "{email}"),
                ("remote-name", "{name}"),
                ("remote-groups", "{groups}"),
            ],
            IdentityPreset::XForwarded => &[
                ("x-forwarded-user", "{username}"),
                ("x-forwarded-email", "{email}"),
                ("x-forwarded-groups", "{groups}"),
                ("x-forwarded-preferred-username", "{username}"),
            ],
            IdentityPreset::None => &[],
        };
        let mut common = BTreeMap::new();
        for (name, value) in preset {
            common.insert((*name).to_owned(), plain(name, value)?);
        }
        for (name, value) in &config.identity.headers {
            common.insert(name.to_ascii_lowercase(), plain(name, value)?);
        }
        let mut of_upstream = HashMap::new();
        for (upstream, settings) in &config.upstream {
            let mut headers = common.clone();
            if let Some(UpstreamPreset::Radicale) = settings.preset {
                headers.insert("x-remote-user".to_owned(), plain("x-remote-user", "{username}")?);
            }
            for (name, source) in &settings.headers {
                headers.insert(name.to_ascii_lowercase(), from_source(name, source)?);
            }
            of_upstream.insert(upstream.clone(), named(headers)?);
        }
        let common = named(common)?;
        let stripped = of_upstream
            .values()
            .chain([&common])
            .flatten()
            .map(|(name, _)| spelling(name))
            .collect();
        Ok(Self {
            common,
            of_upstream,
            stripped,
        })
    }

    /// Removes what a client says of itself, in any spelling (S40).
    pub fn strip(&self, headers: &mut HeaderMap) {
        let forged: Vec<_> = headers
            .keys()
            .filter(|name| self.stripped.contains(&spelling(name)))
            .cloned()
            .collect();
        for name in forged {
            headers.remove(name);
        }
    }

    /// Sets what the permit proves. An empty value: no header.
    pub fn set(&self, permit: &Permit, headers: &mut HeaderMap) {
        let principal = permit.principal();
        let wanted = match &permit.route().destination {
            Destination::Upstream(name) => self.of_upstream.get(name).unwrap_or(&self.common),
            Destination::Demo => &self.common,
        };
        for (name, template) in wanted {
            let value = filled(template, principal.as_deref());
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
                && !value.is_empty()
            {
                headers.insert(name.clone(), value);
            }
        }
    }
}

fn plain(name: &str, value: &str) -> Result<Template, IdentityError> {
    value
        .parse()
        .map_err(|error: crate::config::TemplateError| IdentityError(name.to_owned(), error.to_string()))
}

fn from_source(name: &str, source: &SecretSource) -> Result<Template, IdentityError> {
    Template::from_source(source).map_err(|error| IdentityError(name.to_owned(), error.to_string()))
}

fn named(headers: BTreeMap<String, Template>) -> Result<Headers, IdentityError> {
    headers
        .into_iter()
        .map(|(name, template)| match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) => Ok((header, template)),
            Err(error) => Err(IdentityError(name, error.to_string())),
        })
        .collect()
}

/// What CGI and its heirs make alike: `X_Remote.User` is `x-remote-user`.
fn spelling(name: &HeaderName) -> String {
    name.as_str().replace(['_', '.'], "-")
}

/// The value; empty if a placeholder has nothing to say.
fn filled(template: &Template, principal: Option<&Principal>) -> String {
    let mut value = String::new();
    for piece in template.pieces() {
        let text = match (piece, principal) {
            (Piece::Text(text), _) => text.expose().clone(),
            (Piece::Placeholder(_), None) => return String::new(),
            (Piece::Placeholder(placeholder), Some(principal)) => said(*placeholder, principal),
        };
        if text.is_empty() {
            return String::new();
        }
        value.push_str(&text);
    }
    value
}

fn said(placeholder: Placeholder, principal: &Principal) -> String {
    match placeholder {
        Placeholder::Id => principal.account.to_string(),
        Placeholder::Username => principal.username.to_string(),
        Placeholder::Email => principal.email.to_string(),
        Placeholder::Name => principal.name.clone(),
        Placeholder::Groups => principal.groups.iter().cloned().collect::<Vec<_>>().join(","),
        Placeholder::Session => principal.session.map(|id| id.to_string()).unwrap_or_default(),
        Placeholder::Method => principal.method.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_an_identity_header_passes() {
        let identity = Identity::new(&Config::default()).unwrap();
        let mut headers = HeaderMap::new();
        for name in [
            "remote-user",
            "remote_user",
            "remote.user",
            "Remote_Groups",
            "x-other",
        ] {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_static("evil"),
            );
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_static(""),
            );
        }
        identity.strip(&mut headers);
        assert_eq!(
            headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["x-other"]
        );
    }
}
