//! The certificates that are served: one is chosen by SNI.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::certified_key::{self, CertificateError};
use crate::config::CertificateConfig;

/// The certificates in use. Replaced atomically, so a handshake sees the old set or the new one.
#[derive(Debug)]
pub(super) struct Certificates(ArcSwap<CertificateIndex>);

#[derive(Debug)]
struct CertificateIndex {
    first: Arc<CertifiedKey>,
    /// The earliest expiry, in seconds since 1970.
    ends: u64,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By parent domain: `example.com` for `*.example.com`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

/// A certificate with its key and DNS names.
#[derive(Debug)]
pub(super) struct LoadedCertificate {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    /// Expiry, in seconds since 1970.
    ends: u64,
    /// Reasons for which clients may refuse it.
    pub(super) doubts: Vec<&'static str>,
}

impl Certificates {
    pub(super) fn new(first: LoadedCertificate, others: Vec<LoadedCertificate>) -> Self {
        Self(ArcSwap::from_pointee(CertificateIndex::new(first, others)))
    }

    /// Returns the earliest expiry, in seconds since 1970.
    pub(super) fn ends(&self) -> u64 {
        self.0.load().ends
    }

    pub(super) fn replace(&self, first: LoadedCertificate, others: Vec<LoadedCertificate>) {
        self.0.store(Arc::new(CertificateIndex::new(first, others)));
    }
}

impl LoadedCertificate {
    /// Drops the names, so that it only serves as the default, for clients without SNI.
    pub(super) fn for_clients_without_sni(mut self) -> Self {
        self.names.clear();
        self
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().choose(hello.server_name()))
    }
}

impl CertificateIndex {
    fn new(first: LoadedCertificate, others: Vec<LoadedCertificate>) -> Self {
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        let default = first.key.clone();
        let ends = others.iter().map(|other| other.ends).fold(first.ends, u64::min);
        for LoadedCertificate { key, names, .. } in std::iter::once(first).chain(others) {
            for name in names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(domain) => (&mut wildcard, domain.to_owned()),
                    None => (&mut exact, name),
                };
                map.entry(name).or_insert_with(|| key.clone());
            }
        }
        Self {
            first: default,
            ends,
            exact,
            wildcard,
        }
    }

    /// Returns the certificate for a name: an exact match, else a wildcard match, else the first.
    fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let name = name.map(str::to_ascii_lowercase);
        let chosen = name.as_deref().and_then(|name| {
            self.exact.get(name).or_else(|| {
                let (_, domain) = name.split_once('.')?;
                self.wildcard.get(domain)
            })
        });
        chosen.unwrap_or(&self.first).clone()
    }
}

/// Loads a certificate chain and its key. One that is expired or otherwise doubtful is served nevertheless,
/// with a warning: no service at all would be worse.
pub(super) fn load(
    files: &CertificateConfig,
    provider: &CryptoProvider,
    now: Timestamp,
) -> Result<LoadedCertificate, CertificateError> {
    let certified = certified_key::load(files, provider)?;
    let leaf = certified
        .cert
        .first()
        .ok_or_else(|| CertificateError::NoCertificate(files.cert.clone()))?;
    let (names, ends, doubts) = {
        let leaf = parse(&files.cert, leaf)?;
        let ends = leaf.validity().not_after.timestamp();
        (
            names(&leaf),
            u64::try_from(ends).unwrap_or_default(),
            doubts(&leaf, now),
        )
    };
    Ok(LoadedCertificate {
        key: Arc::new(certified),
        names,
        ends,
        doubts,
    })
}

pub(super) fn parse<'a>(
    path: &Path,
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, CertificateError> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| CertificateError::Malformed {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

/// Returns the DNS names of a certificate, in lower case. IP addresses never occur in SNI (RFC 6066, section
/// 3).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

/// Returns the reasons for which clients may refuse a certificate, apart from its names.
fn doubts(certificate: &X509Certificate<'_>, now: Timestamp) -> Vec<&'static str> {
    let (validity, now) = (certificate.validity(), now.as_second());
    [
        (
            validity.not_after.timestamp() < now,
            "this certificate has expired: browsers will refuse it",
        ),
        (
            validity.not_before.timestamp() > now,
            "this certificate is not valid yet: browsers will refuse it",
        ),
        (
            certificate.is_ca(),
            "this is the certificate of an authority, not of a server: many clients refuse it",
        ),
    ]
    .into_iter()
    .filter_map(|(is_so, doubt)| is_so.then_some(doubt))
    .collect()
}
