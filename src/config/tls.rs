//! The `[tls]` section: certificates and protocol versions.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Certificates and versions of TLS.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates, chosen by the name that the client asks for (SNI); the first serves clients that send none.
    /// `[{ cert = "a.pem", key = "a.key" }]`. Empty: the gateway makes a local authority and a certificate of its own
    /// under `certs/`.
    #[schemars(extend("default" = []))]
    pub certificates: Vec<CertificateConfig>,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            min_version: TlsVersion::Tls12,
        }
    }
}

/// One certificate and its key.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateConfig {
    /// PEM file of the certificate and the chain above it.
    #[schemars(required, extend("default" = null))]
    pub cert: PathBuf,
    /// PEM file of the private key, readable by its owner alone.
    #[schemars(required, extend("default" = null))]
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}
