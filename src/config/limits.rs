//! The `[limits]` section: sizes and counts.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Size;

/// Sizes that are refused when exceeded.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// The largest body of a form of the gateway's own pages, without the place that signing in leads back to.
    pub form_body: Size,
    /// The largest body of a request to an application, as it is sent. Default: any.
    #[schemars(extend("examples" = ["100MiB"]))]
    pub request_body: Option<Size>,
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
            request_head: Size(64 << 10),
            header_fields: 2000,
            connections: 16_384,
            signed_body_buffer: Size(1 << 20),
        }
    }
}

/// The limits of the requests to a route or an upstream, where they differ from those of `[limits]`. A route's go before its
/// upstream's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// The largest body, as it is sent.
    pub request_body: Option<Size>,
}
