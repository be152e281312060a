//! The `[limits]` section: sizes and counts.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RequestRate, Size};

/// Sizes that are refused when exceeded.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// The largest body of a form of the gateway's own pages, without the place that signing in leads back to.
    pub form_body: Size,
    /// The largest body of a request to an application, as it is sent. Default: any.
    #[schemars(extend("examples" = ["100MiB"]))]
    pub request_body: Option<Size>,
    /// Requests to applications from one client address (IPv6: /64), beyond which it gets 429. So many may come at once.
    /// Default: any.
    #[schemars(extend("examples" = ["100/s"]))]
    pub address_rate: Option<RequestRate>,
    /// Requests to applications by one account, in all its sessions and with all its access keys, beyond which it gets 429.
    /// Default: any.
    #[schemars(extend("examples" = ["1000/m"]))]
    pub user_rate: Option<RequestRate>,
    /// The largest head of a request: request line and headers together.
    pub request_head: Size,
    /// Header fields of one request, or of an application's answer. In HTTP/2 each also counts 32 bytes of
    /// `request_head`.
    pub header_fields: usize,
    /// Connections that are served at one time; further ones wait in the system's queue.
    pub connections: usize,
    /// The largest body of a signed request that must be read before it can be verified.
    pub signed_body_buffer: Size,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            form_body: Size(64 << 10),
            request_body: None,
            address_rate: None,
            user_rate: None,
            request_head: Size(64 << 10),
            header_fields: 2000,
            connections: 16_384,
            signed_body_buffer: Size(1 << 20),
        }
    }
}

/// The limits of the requests to a route, where they differ from those of its upstream and of `[limits]`. A route with a rate
/// of its own counts its requests apart from those to all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteLimits {
    /// The largest body, as it is sent.
    pub request_body: Option<Size>,
    /// Requests from one client address (IPv6: /64).
    pub address_rate: Option<RequestRate>,
    /// Requests by one account.
    pub user_rate: Option<RequestRate>,
}

/// The limits of the requests to an upstream, where they differ from those of `[limits]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// The largest body, as it is sent.
    pub request_body: Option<Size>,
}
