//! The `[upstream.NAME]` sections: servers, headers and limits of an upstream.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Balance, CertificateConfig, HealthConfig, RequestLimits, SecretSource, UpstreamTimeouts, UpstreamUrl,
    UpstreamUrlError,
};

/// An application behind the gateway.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Where it listens: `http://`, `https://`, `h2c://` or `unix:` and a path. Several are balanced. Required.
    #[schemars(required, extend("examples" = [["http://127.0.0.1:3000"]], "default" = null))]
    pub servers: Vec<String>,
    /// How requests are shared among its servers: "round-robin", "least-loaded", or "hash": the same server for a session, or
    /// for a client's address where there is no session.
    pub balance: Balance,
    /// Shares of its servers, in their order, from 1 to 100: of `[3, 1]` the first gets three of four requests. Default: all
    /// alike.
    #[schemars(extend("examples" = [[1]], "default" = []))]
    pub weights: Vec<u16>,
    /// Which of its servers get requests: `path`, `status`, `interval`, `timeout`, `rise`, `fall`, `failures`, `slow_start`.
    #[schemars(extend("examples" = [{"path": "/healthz"}]))]
    pub health: HealthConfig,
    /// Headers over those of `[identity]`; placeholders as there, and secrets: `X-Secret = { env = "…" }`.
    /// A secret from a file or the environment is taken as it is, without placeholders.
    #[schemars(extend("examples" = [{"X-Remote-User": "{username}"}]))]
    pub headers: BTreeMap<String, SecretSource>,
    /// Header names of a well-known application.
    #[schemars(extend("examples" = ["radicale"]))]
    pub preset: Option<UpstreamPreset>,
    /// As URLs of which connection the application gets `Destination` and `If` (WebDAV). "connection": of the one that
    /// the gateway makes to it, which Apache and nginx compare them with. "client": of the one that clients make to the
    /// gateway, for applications that read `X-Forwarded-Proto`. Default: what the preset wants, or "connection".
    #[schemars(extend("examples" = ["client"]))]
    pub destination: Option<DestinationForm>,
    /// PEM file of the authority that signs this application's certificate, instead of the system's.
    #[schemars(extend("examples" = ["certs/console-ca.pem"]))]
    pub ca: Option<PathBuf>,
    /// Host name that its `https` servers are asked for (SNI) and that their certificate must be for, instead of that of
    /// their URL.
    #[schemars(extend("examples" = ["console.internal"]))]
    pub server_name: Option<String>,
    /// Certificate with which the gateway makes itself known to its `https` servers.
    #[schemars(extend("examples" = [{"cert": "certs/gateway.pem", "key": "certs/gateway.key"}]))]
    pub client_certificate: Option<CertificateConfig>,
    /// Connections to all its servers at one time; with `h2c://`, where a connection has many, requests. Further
    /// requests wait for a moment, then get 503.
    pub max_connections: usize,
    /// Its timeouts: `connect`, `response` and `idle`, instead of those of `[timeouts]`.
    #[schemars(extend("examples" = [{"response": "5m"}]))]
    pub timeouts: UpstreamTimeouts,
    /// Limits of requests to it: `request_body`, instead of that of `[limits]`.
    #[schemars(extend("examples" = [{"request_body": "10MiB"}]))]
    pub limits: RequestLimits,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            balance: Balance::default(),
            weights: Vec::new(),
            health: HealthConfig::default(),
            headers: BTreeMap::new(),
            preset: None,
            ca: None,
            server_name: None,
            client_certificate: None,
            destination: None,
            max_connections: 512,
            timeouts: UpstreamTimeouts::default(),
            limits: RequestLimits::default(),
        }
    }
}

impl UpstreamConfig {
    /// Parses its servers. Never fails and never empty after [`Config::load`](super::Config::load).
    pub fn parsed_servers(&self) -> Result<Vec<UpstreamUrl>, UpstreamUrlError> {
        self.servers.iter().map(|server| server.parse()).collect()
    }
}

/// The connection whose scheme an application is told in URLs of its own host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DestinationForm {
    /// The gateway's, to the application.
    Connection,
    /// The client's, to the gateway.
    Client,
}

/// A well-known application, and the header names that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamPreset {
    /// Django with `RemoteUserMiddleware`: `Remote-User`.
    Django,
    /// Gitea and Forgejo with `ENABLE_REVERSE_PROXY_AUTHENTICATION`: `X-WEBAUTH-USER`, `-EMAIL`, `-FULLNAME`.
    Gitea,
    /// Grafana with `[auth.proxy]`: `X-WEBAUTH-USER`, `-EMAIL`, `-NAME`, `-GROUPS`.
    Grafana,
    /// `JupyterHub` with `RemoteUserAuthenticator`: `Remote-User`.
    Jupyter,
    /// Radicale with `http_x_remote_user`: `X-Remote-User`.
    Radicale,
    /// `WsgiDAV` with `trusted_auth_header`: `X-Remote-User`.
    Wsgidav,
}
