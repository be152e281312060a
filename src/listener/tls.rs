//! TLS settings of the listeners: protocol versions, and certificates from files or from the local authority.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::certificates::{Certificates, LoadedCertificate, load};
use super::local_ca::{Leaf, LocalCa, LocalCaError};
use crate::certified_key::CertificateError;
use crate::clock::Clock;
use crate::config::{CertificateConfig, Config, HostPattern, TlsVersion};
use crate::metrics::Metrics;
use crate::request::Host;

/// Interval of the checks whether the local certificate must be renewed.
const RENEWAL_CHECK: Duration = Duration::from_hours(1);

/// Reloadable TLS settings; clones share them.
#[derive(Clone, Debug)]
pub struct ListenerTls(Arc<ArcSwap<TlsState>>);

#[derive(Debug)]
struct TlsState {
    server: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    source: CertificateSource,
    provider: Arc<CryptoProvider>,
    clock: Clock,
}

#[derive(Debug)]
enum CertificateSource {
    Files(Vec<CertificateConfig>),
    Local(LocalCa),
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The local authority cannot be created or used.
    #[error(transparent)]
    Authority(#[from] LocalCaError),
    /// rustls refused the configuration.
    #[error("TLS: {0}")]
    Protocol(#[from] rustls::Error),
}

impl ListenerTls {
    /// Loads the configured certificates. Without any, creates or renews a local authority in the folder
    /// `certs`, for `hosts`, the hosts of all routes and the machine itself.
    pub fn load(config: &Config, certs: &Path, hosts: &[Host], clock: &Clock) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let source = if config.tls.certificates.is_empty() {
            let authority = local_ca(config, certs, hosts);
            authority.renew(clock.now())?;
            CertificateSource::Local(authority)
        } else {
            CertificateSource::Files(config.tls.certificates.clone())
        };
        let (first, others) = source.load(&provider, clock)?;
        let certificates = Arc::new(Certificates::new(first, others));
        let versions: &[_] = match config.tls.min_version {
            TlsVersion::Tls12 => &[&TLS12, &TLS13],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(certificates.clone());
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        server.ticketer = aws_lc_rs::Ticketer::new()?;
        // Early data can be replayed (RFC 8446, section 8).
        server.max_early_data_size = 0;
        Ok(Self(Arc::new(ArcSwap::from_pointee(TlsState {
            server: Arc::new(server),
            certificates,
            source,
            provider,
            clock: clock.clone(),
        }))))
    }

    /// Loads the configured certificates as [`load`](Self::load) would, without creating any. Returns for
    /// each, in order, the error or the doubts about it.
    pub fn check(
        config: &Config,
        clock: &Clock,
    ) -> impl Iterator<Item = Result<Vec<&'static str>, CertificateError>> {
        let (provider, now) = (aws_lc_rs::default_provider(), clock.now());
        let files = config.tls.certificates.iter();
        files.map(move |files| load(files, &provider, now).map(|loaded| loaded.doubts))
    }

    /// Refuses files of the local authority that a start could not use, where it is the authority that serves. Returns
    /// whether a start would make some, for which it writes to the folder `certs`.
    pub fn check_local_authority(
        config: &Config,
        certs: &Path,
        hosts: &[Host],
        clock: &Clock,
    ) -> Result<bool, LocalCaError> {
        if !config.tls.certificates.is_empty() {
            return Ok(false);
        }
        local_ca(config, certs, hosts).check(clock.now())
    }

    /// Whether the certificates come from the operator, not from the local authority.
    pub fn is_real(&self) -> bool {
        matches!(self.0.load().source, CertificateSource::Files(_))
    }

    /// Returns the earliest expiry, in seconds since 1970.
    pub fn ends(&self) -> u64 {
        self.0.load().certificates.ends()
    }

    /// Serves new connections with the settings of `other`.
    pub fn replace(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// Renews the local certificate if it is due, and serves the new one. Returns whether it was due.
    ///
    /// Blocks on file access.
    pub fn renew_if_due(&self) -> Result<bool, TlsError> {
        let TlsState {
            certificates,
            source,
            provider,
            clock,
            ..
        } = &**self.0.load();
        let CertificateSource::Local(authority) = source else {
            return Ok(false);
        };
        let renewed = authority.renew(clock.now())?;
        if renewed {
            let (first, others) = source.load(provider, clock)?;
            certificates.replace(first, others);
        }
        Ok(renewed)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load().server.clone())
    }

    /// Checks for renewal at intervals, until `stop`. After a failure it tries again at the next check; the
    /// old certificate is valid for another 30 days.
    pub(super) async fn run_renewal(self, metrics: Arc<Metrics>, stop: CancellationToken) {
        loop {
            metrics.certificate_expiry.set(self.ends());
            if stop
                .run_until_cancelled(tokio::time::sleep(RENEWAL_CHECK))
                .await
                .is_none()
            {
                return;
            }
            let tls = self.clone();
            match tokio::task::spawn_blocking(move || tls.renew_if_due()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!(%error, "the local certificate cannot be renewed"),
                Err(error) => tracing::error!(%error, "the renewal of the local certificate broke down"),
            }
        }
    }
}

/// The authority for the gateway's own hosts and those of routes.
fn local_ca(config: &Config, certs: &Path, hosts: &[Host]) -> LocalCa {
    let hosts = hosts.iter().map(Host::to_string);
    let of_routes = config.route.iter().filter_map(|route| route.host.as_deref());
    let of_routes = of_routes.map(|host| {
        // Certificates have the normalized spelling.
        host.parse::<HostPattern>()
            .map_or_else(|_| host.to_owned(), |pattern| pattern.to_string())
    });
    LocalCa::new(certs, hosts.chain(of_routes))
}

impl CertificateSource {
    fn load(
        &self,
        provider: &CryptoProvider,
        clock: &Clock,
    ) -> Result<(LoadedCertificate, Vec<LoadedCertificate>), TlsError> {
        let now = clock.now();
        match self {
            Self::Local(authority) => {
                let leaf = |leaf| load(&authority.files(leaf), provider, now);
                Ok((
                    leaf(Leaf::Unnamed)?.for_clients_without_sni(),
                    vec![leaf(Leaf::Named)?],
                ))
            }
            Self::Files(files) => {
                let loaded = files.iter().map(|files| {
                    load(files, provider, now).inspect(|loaded| {
                        for doubt in &loaded.doubts {
                            tracing::warn!(path = %files.cert.display(), "{doubt}");
                        }
                    })
                });
                let mut loaded = loaded.collect::<Result<Vec<_>, _>>()?.into_iter();
                let first = loaded
                    .next()
                    .ok_or_else(|| rustls::Error::General("no certificate is configured".to_owned()))?;
                Ok((first, loaded.collect()))
            }
        }
    }
}
