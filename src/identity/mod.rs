//! Identity headers: strip, then set.
//!
//! What a client sends in the name of the gateway is removed from every request, on public routes too (S40). What is
//! set comes from a [`Permit`] and from the configuration, never from the request.

mod connection_header;
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

/// What every application is told, and what no client may say.
#[derive(Debug)]
pub struct Identity {
    strip: Arc<Strip>,
    demo: IdentityHeaders,
    public_url: String,
    /// In the order of [`Routes::upstreams`].
    upstreams: Vec<IdentityHeaders>,
}

/// Why the headers cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Not a header's name.
    #[error("{0:?} is not a header's name")]
    Name(String),
    /// Not a header's value, or a secret that cannot be had.
    #[error("header {name}: {source}")]
    Value {
        /// The header's name.
        name: String,
        /// What is wrong.
        source: HeaderTemplateError,
    },
}

impl Identity {
    /// Prepares the headers for the applications that routes lead to. Secrets are read now.
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
                // A client may have a credential for one application, while another is given the gateway's.
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

    /// Removes what only the gateway may say, then says it of the permit's principal. `host` is the host and port that
    /// the application is told.
    pub fn apply(&self, headers: &mut HeaderMap, target: RouteTarget, permit: &Permit, host: &HeaderValue) {
        self.strip.headers(headers);
        let given = match target {
            RouteTarget::Demo => &self.demo,
            RouteTarget::Upstream(id) => self.upstreams.get(id.index()).unwrap_or(&self.demo),
        };
        let context = HeaderContext {
            principal: permit.principal().map(|principal| &**principal),
            host,
            public_url: &self.public_url,
        };
        given.set(headers, context);
    }

    /// What is removed, for trailers, which arrive after the request was sent on.
    pub fn strip(&self) -> &Arc<Strip> {
        &self.strip
    }
}

/// What every application is told.
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

/// What one application is told over that.
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
