//! Loads a certificate chain and its private key from files.

use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::CertificateConfig;
use crate::private_file::{FileError, about, read_private};
use crate::regular_file;

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or others may read the key.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file has no certificate.
    #[error("{0}: no certificate in this file; it must have one in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(PathBuf),
    /// The certificate is malformed.
    #[error("{path}: not a certificate: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The file has no private key.
    #[error("{0}: no private key in this file; it must have one in PEM form (-----BEGIN PRIVATE KEY-----)")]
    NoKey(PathBuf),
    /// Certificate and key do not match, or the type of key is not supported.
    #[error("{key}: this key cannot serve the certificate in {cert}: {reason}")]
    Mismatch {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// The cause.
        reason: String,
    },
}

/// Loads a certificate chain, which has one certificate at least, and its key.
pub fn load(files: &CertificateConfig, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let CertificateConfig { cert, key } = files;
    let chain = read_chain(cert)?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate(cert.clone()));
    }
    let pem = read_private(key)?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| CertificateError::NoKey(key.clone()))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| CertificateError::Mismatch {
        cert: cert.clone(),
        key: key.clone(),
        reason: error.to_string(),
    })
}

/// Reads all certificates of a PEM file, in order.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem = about(path, regular_file::read(path))?;
    CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Malformed {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}
