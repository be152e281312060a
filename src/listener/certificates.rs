//! Certificates and keys from files, and which of them a client gets.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::private_file::{FileError, about, read_private};
use crate::config::CertificateConfig;
use crate::regular_file;

/// A certificate that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or others may read the key.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file has no certificate.
    #[error("{0}: no certificate in this file; it must have one in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(PathBuf),
    /// The certificate cannot be read.
    #[error("{path}: not a certificate: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file has no private key.
    #[error("{0}: no private key in this file; it must have one in PEM form (-----BEGIN PRIVATE KEY-----)")]
    NoKey(PathBuf),
    /// Certificate and key are not of a pair, or the key is of a kind that is not served.
    #[error("{key}: this key cannot serve the certificate in {cert}: {reason}")]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The certificates that are served now. Replaced as a whole; a handshake sees the old ones or the new ones.
#[derive(Debug)]
pub(super) struct Certificates(ArcSwap<CertificateIndex>);

#[derive(Debug)]
struct CertificateIndex {
    first: Arc<CertifiedKey>,
    /// When the one that ends first ends, in seconds since 1970.
    ends: u64,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By the domain below which they serve one label: `example.com` for `*.example.com`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

/// One certificate that was read, and the names in it.
#[derive(Debug)]
pub(super) struct LoadedCertificate {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    /// When it ends, in seconds since 1970.
    ends: u64,
    /// Why clients may refuse it.
    pub(super) doubts: Vec<&'static str>,
}

impl Certificates {
    pub(super) fn new(first: LoadedCertificate, others: Vec<LoadedCertificate>) -> Self {
        Self(ArcSwap::from_pointee(CertificateIndex::new(first, others)))
    }

    /// When the one that ends first ends, in seconds since 1970.
    pub(super) fn ends(&self) -> u64 {
        self.0.load().ends
    }

    pub(super) fn replace(&self, first: LoadedCertificate, others: Vec<LoadedCertificate>) {
        self.0.store(Arc::new(CertificateIndex::new(first, others)));
    }
}

impl LoadedCertificate {
    /// The same, for clients alone that ask for no host.
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

    /// The certificate for a name: exactly its own, else one for all names beside it, else the first.
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

/// Reads one certificate with its chain, and its key. One that clients may refuse now is served all the same: the
/// operator may be about to renew it, and no answer at all would be worse.
pub(super) fn load(
    files: &CertificateConfig,
    provider: &CryptoProvider,
    now: Timestamp,
) -> Result<LoadedCertificate, CertificateError> {
    let CertificateConfig { cert, key } = files;
    let chain = read_chain(cert)?;
    let leaf = chain
        .first()
        .ok_or_else(|| CertificateError::NoCertificate(cert.clone()))?;
    let (names, ends, doubts) = {
        let leaf = parse(cert, leaf)?;
        let ends = leaf.validity().not_after.timestamp();
        (
            names(&leaf),
            u64::try_from(ends).unwrap_or_default(),
            doubts(&leaf, now),
        )
    };
    let pem = read_private(key)?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| CertificateError::NoKey(key.clone()))?;
    let certified =
        CertifiedKey::from_der(chain, private, provider).map_err(|error| CertificateError::Mismatch {
            cert: cert.clone(),
            key: key.clone(),
            reason: error.to_string(),
        })?;
    Ok(LoadedCertificate {
        key: Arc::new(certified),
        names,
        ends,
        doubts,
    })
}

/// All certificates of a PEM file, in their order.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem = about(path, regular_file::read(path))?;
    CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Malformed {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

/// Looks into a certificate.
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

/// The DNS names of a certificate, in lower case. Clients send no addresses as SNI (RFC 6066, section 3).
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

/// Why clients may refuse a certificate, whatever its names are.
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
