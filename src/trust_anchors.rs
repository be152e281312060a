//! The certificates of authorities that an operator names in a file.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::regular_file;

/// Why a file names no authorities. Goes with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum TrustAnchorError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It has no certificate in PEM form.
    #[error("has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// One of its certificates cannot be read, or cannot be an authority's.
    #[error("cannot be used as an authority of certificates: {0}")]
    Unusable(String),
}

/// Reads a PEM file of authorities, one at least; each can be added to a [`RootCertStore`].
pub fn read_trust_anchors(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustAnchorError> {
    let pem = regular_file::read(file)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TrustAnchorError::Unusable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(TrustAnchorError::NoCertificate);
    }
    for certificate in &certificates {
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| TrustAnchorError::Unusable(error.to_string()))?;
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_of_authorities_has_one_at_least_and_nothing_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        assert!(matches!(
            read_trust_anchors(&file),
            Err(TrustAnchorError::Unreadable(_))
        ));
        fs::write(&file, "no PEM").unwrap();
        assert!(matches!(
            read_trust_anchors(&file),
            Err(TrustAnchorError::NoCertificate)
        ));
        let pair = rcgen::generate_simple_self_signed(["ca.example.com".to_owned()]).unwrap();
        fs::write(&file, pair.cert.pem().repeat(2)).unwrap();
        assert_eq!(read_trust_anchors(&file).unwrap().len(), 2);
        let broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        fs::write(&file, pair.cert.pem() + broken).unwrap();
        assert!(matches!(
            read_trust_anchors(&file),
            Err(TrustAnchorError::Unusable(_))
        ));
    }
}
