//! Certificates, chosen by the name that a client asks for.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;

use crate::config::CertificateConfig;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read as what it should be.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// Others can read the private key.
    #[error("{0} can be read by others; run: chmod 600 {0}")]
    Exposed(PathBuf),
}

/// All certificates, by name.
#[derive(Debug)]
pub(super) struct BySni {
    names: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

/// Reads certificates and their keys.
pub(super) fn load(certificates: &[CertificateConfig]) -> Result<BySni, CertificateError> {
    let mut by_sni = BySni {
        names: HashMap::new(),
        first: None,
    };
    for certificate in certificates {
        let key = Arc::new(pair(certificate)?);
        for name in names(&certificate.cert, &key)? {
            by_sni.names.entry(name).or_insert_with(|| key.clone());
        }
        by_sni.first.get_or_insert(key);
    }
    Ok(by_sni)
}

fn pair(config: &CertificateConfig) -> Result<CertifiedKey, CertificateError> {
    let wrong =
        |path: &Path, error: &dyn ToString| CertificateError::File(path.to_owned(), error.to_string());
    let chain = CertificateDer::pem_file_iter(&config.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&config.cert, &error))?;
    if chain.is_empty() {
        return Err(wrong(&config.cert, &"no certificate in it"));
    }
    let mode = std::fs::metadata(&config.key)
        .map_err(|error| wrong(&config.key, &error))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(CertificateError::Exposed(config.key.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|error| wrong(&config.key, &error))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| wrong(&config.key, &error))
}

/// The DNS names of the first certificate of a chain, in lower case.
fn names(path: &Path, key: &CertifiedKey) -> Result<Vec<String>, CertificateError> {
    let leaf = key.cert.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|error| CertificateError::File(path.to_owned(), error.to_string()))?;
    let names = leaf.subject_alternative_name().ok().flatten();
    Ok(names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect())
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let exact = |name: &str| self.names.get(name);
        let wildcard = |name: &str| self.names.get(&format!("*.{}", name.split_once('.')?.1));
        hello
            .server_name()
            .and_then(|name| exact(name).or_else(|| wildcard(name)))
            .or(self.first.as_ref())
            .cloned()
    }
}
