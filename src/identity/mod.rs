//! The identity stage: strips reserved headers, then sets the identity headers.
//!
//! Every request is stripped, on public routes too (S40). The values come from the [`Permit`] and the
//! configuration, never from the request.

mod connection_header;
mod header_encoding;
mod headers;
mod strip;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::authorize::Permit;
use crate::config::{
    Config, HeaderTemplate, HeaderTemplateError, IdentityPreset, UpstreamConfig, UpstreamPreset,
};
use crate::route::{RouteTarget, Routes, UpstreamName};
use headers::{HeaderContext, IdentityHeaders};

pub use connection_header::{OF_THE_CONNECTION, is_of_the_connection};
pub use strip::Strip;

/// The identity headers of each upstream, and the names that clients may not send.
#[derive(Debug)]
pub struct Identity {
    strip: Arc<Strip>,
    demo: IdentityHeaders,
    public_url: String,
    /// In the order of [`Routes::upstreams`].
    upstreams: Vec<IdentityHeaders>,
}

/// Why the headers cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// An invalid header name.
    #[error("{0:?} is not a header's name")]
    Name(String),
    /// An invalid header value, or a secret that cannot be read.
    #[error("header {name}: {source}")]
    Value {
        /// The header's name.
        name: String,
        /// The cause.
        source: HeaderTemplateError,
    },
}

impl Identity {
    /// Prepares the headers for the upstreams of all routes. Reads secrets now.
    pub fn new(config: &Config, routes: &Routes) -> Result<Self, IdentityError> {
        let common = common(config)?;
        let mut by_name = Vec::new();
        for (name, upstream) in &config.upstream {
            by_name.push((name, special(common.clone(), upstream)?));
        }
        let strip = Strip::new(
            by_name
                .iter()
                .flat_map(|(_, given)| given.names())
                .chain(common.names())
                // `Authorization` is not reserved: a client may have credentials for one upstream while
                // another gets the gateway's.
                .filter(|name| *name != AUTHORIZATION),
        );
        let upstreams = routes.upstreams().iter().map(|upstream| {
            let UpstreamName::Named(wanted) = upstream else {
                return common.clone();
            };
            by_name
                .iter()
                .find(|(name, _)| *name == wanted)
                .map_or_else(|| common.clone(), |(_, given)| given.clone())
        });
        Ok(Self {
            upstreams: upstreams.collect(),
            strip: Arc::new(strip),
            public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            demo: common,
        })
    }

    /// Strips reserved headers, then sets those of the target for the permit's principal. `host` is the host
    /// and port for the upstream.
    pub fn apply(&self, headers: &mut HeaderMap, target: RouteTarget, permit: &Permit, host: &HeaderValue) {
        self.strip.headers(headers);
        let given = match target {
            RouteTarget::Demo | RouteTarget::Answer => &self.demo,
            RouteTarget::Upstream(id) => self.upstreams.get(id.index()).unwrap_or(&self.demo),
        };
        let context = HeaderContext {
            principal: permit.principal().map(|principal| &**principal),
            host,
            public_url: &self.public_url,
        };
        given.set(headers, context);
    }

    /// Returns the stripper, for trailers, which arrive after the head was forwarded.
    pub fn strip(&self) -> &Arc<Strip> {
        &self.strip
    }
}

/// Returns the headers for every upstream, by `[identity]`.
fn common(config: &Config) -> Result<IdentityHeaders, IdentityError> {
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
    let mut headers = IdentityHeaders::default();
    for (name, text) in preset {
        headers.add(self::header_name(name)?, &template(name, text.parse())?);
    }
    for (name, text) in &config.identity.headers {
        headers.add(self::header_name(name)?, &template(name, text.parse())?);
    }
    Ok(headers)
}

/// Adds the headers for one upstream, by its preset and `headers`.
fn special(
    mut headers: IdentityHeaders,
    upstream: &UpstreamConfig,
) -> Result<IdentityHeaders, IdentityError> {
    let preset: &[(&str, &str)] = match upstream.preset {
        Some(UpstreamPreset::Radicale | UpstreamPreset::Wsgidav) => &[("x-remote-user", "{username}")],
        Some(UpstreamPreset::Django | UpstreamPreset::Jupyter) => &[("remote-user", "{username}")],
        Some(UpstreamPreset::Gitea) => &[
            ("x-webauth-user", "{username}"),
            ("x-webauth-email", "{email}"),
            ("x-webauth-fullname", "{name}"),
        ],
        Some(UpstreamPreset::Grafana) => &[
            ("x-webauth-user", "{username}"),
            ("x-webauth-email", "{email}"),
            ("x-webauth-name", "{name}"),
            ("x-webauth-groups", "{groups}"),
        ],
        None => &[],
    };
    for (name, text) in preset {
        headers.add(self::header_name(name)?, &template(name, text.parse())?);
    }
    for (name, source) in &upstream.headers {
        headers.add(
            self::header_name(name)?,
            &template(name, HeaderTemplate::from_source(source))?,
        );
    }
    Ok(headers)
}

fn header_name(text: &str) -> Result<HeaderName, IdentityError> {
    text.parse().map_err(|_| IdentityError::Name(text.to_owned()))
}

fn template(
    name: &str,
    made: Result<HeaderTemplate, HeaderTemplateError>,
) -> Result<HeaderTemplate, IdentityError> {
    made.map_err(|source| IdentityError::Value {
        name: name.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
