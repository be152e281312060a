//! The scheme of the URLs that applications are told in `Destination` and `If`: that of their own connection, or the client's.

use crate::config::{Config, DestinationForm, UpstreamConfig, UpstreamPreset, UpstreamUrl};
use crate::route::{RouteTarget, Routes, UpstreamName};

/// The scheme of WebDAV URLs for each upstream, in the order of [`Routes::upstreams`].
#[derive(Debug)]
pub(super) struct UrlSchemes(Vec<&'static str>);

impl UrlSchemes {
    /// Computes the schemes for the upstreams of all routes.
    pub(super) fn new(config: &Config, routes: &Routes) -> Self {
        let schemes = routes.upstreams().iter().map(|upstream| match upstream {
            UpstreamName::Server(server) => scheme_of(server),
            UpstreamName::Named(name) => config.upstream.get(name).map_or("http", scheme_for),
        });
        Self(schemes.collect())
    }

    /// Returns the scheme for a route's target.
    pub(super) fn of(&self, target: RouteTarget) -> &'static str {
        match target {
            RouteTarget::Demo | RouteTarget::Answer => "https",
            RouteTarget::Upstream(id) => self.0.get(id.index()).copied().unwrap_or("http"),
        }
    }
}

fn scheme_for(upstream: &UpstreamConfig) -> &'static str {
    let by_preset = match upstream.preset {
        Some(UpstreamPreset::Radicale) => DestinationForm::Client,
        Some(_) | None => DestinationForm::Connection,
    };
    match upstream.destination.unwrap_or(by_preset) {
        DestinationForm::Client => "https",
        DestinationForm::Connection => {
            let servers = upstream.parsed_servers().unwrap_or_default();
            servers.first().map_or("http", scheme_of)
        }
    }
}

fn scheme_of(server: &UpstreamUrl) -> &'static str {
    match server {
        UpstreamUrl::Https(_) => "https",
        UpstreamUrl::Http(_) | UpstreamUrl::H2c(_) | UpstreamUrl::Unix(_) => "http",
    }
}
