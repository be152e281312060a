//! TLS from the client's side: handshakes with any certificate, and the verification afterwards.

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Finding, LIMIT};
use crate::config::Config;
use crate::listener::AUTHORITY_FILE;

/// Days that a certificate should still last.
const DAYS_LEFT: i64 = 14;

/// The certificate authorities that this machine trusts.
#[derive(Debug)]
pub(super) struct MachineTrust {
    system: RootCertStore,
    /// The local authority, if the gateway issues its certificates itself.
    local: Option<CertificateDer<'static>>,
}

/// A connection whose certificate is not verified yet.
pub(super) struct Handshake {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) version: &'static str,
    chain: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
}

impl MachineTrust {
    /// Loads the system's authorities, and the local one if the configuration has no certificate.
    pub(super) fn of(config: &Config) -> Self {
        let mut system = RootCertStore::empty();
        system.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let file = config.certs().join(AUTHORITY_FILE);
        let local = config.tls.certificates.is_empty();
        Self {
            system,
            local: local.then(|| CertificateDer::from_pem_file(file).ok()).flatten(),
        }
    }

    /// Verifies the certificate for the host, and reports what is wrong or due.
    pub(super) fn verify(
        &self,
        check: &'static str,
        shaken: &Handshake,
        now: Timestamp,
        place: &str,
    ) -> Vec<Finding> {
        let Some((leaf, others)) = shaken.chain.split_first() else {
            return vec![Finding::problem(
                check,
                format!("{place}: no certificate"),
                "see [tls]",
            )];
        };
        let validity = X509Certificate::from_der(leaf).map(|(_, leaf)| {
            let (from, until) = (leaf.validity().not_before, leaf.validity().not_after);
            from.timestamp()..=until.timestamp()
        });
        let Ok(validity) = validity else {
            let text = format!("{place}: the certificate cannot be read");
            return vec![Finding::problem(check, text, "see [tls]")];
        };
        let problems =
            |roots: &RootCertStore| certificate_errors(shaken, leaf, others, roots, &validity, now);
        let mut findings = Vec::new();
        let mut wrong = problems(&self.system);
        if wrong.iter().any(is_unknown)
            && let Some(local) = &self.local
        {
            let mut roots = RootCertStore::empty();
            let by_local = roots.add(local.clone()).map(|()| problems(&roots));
            if let Ok(by_local) = by_local
                && !by_local.iter().any(is_unknown)
            {
                let text =
                    format!("{place}: signed by the local authority, which this system does not trust");
                let advice =
                    "run `vestibule trust` here and wherever browsers run, or set [tls] certificates";
                findings.push(Finding::warning(check, text, advice));
                wrong = by_local;
            }
        }
        if validity.contains(&now.as_second()) {
            findings.extend(lasts(check, leaf, now, place));
        }
        findings.extend(wrong.iter().map(|error| {
            let (what, advice) = why(error);
            Finding::problem(check, format!("{place}: {what}"), advice)
        }));
        findings
    }
}

/// Why a certificate is not good: what a client says of it would be the first of these alone.
#[derive(Debug)]
enum ChainError {
    Expired,
    NotValidYet,
    /// Of the certificate itself, or of those behind it.
    Other(Error),
    /// A certificate behind it has expired, or is not valid yet.
    Issuer,
}

/// All that is wrong with a certificate. Its time is looked at by itself, and who signed it and for whom at a time at which
/// it holds.
fn certificate_errors(
    shaken: &Handshake,
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    roots: &RootCertStore,
    validity: &RangeInclusive<i64>,
    now: Timestamp,
) -> Vec<ChainError> {
    let mut errors = Vec::new();
    let now = now.as_second();
    if now > *validity.end() {
        errors.push(ChainError::Expired);
    } else if now < *validity.start() {
        errors.push(ChainError::NotValidYet);
    }
    let at = now.max(*validity.start()).min(*validity.end());
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or_default()));
    let algorithms = aws_lc_rs::default_provider()
        .signature_verification_algorithms
        .all;
    let parsed = match ParsedCertificate::try_from(leaf) {
        Ok(parsed) => parsed,
        Err(error) => {
            errors.push(ChainError::Other(error));
            return errors;
        }
    };
    match verify_server_cert_signed_by_trust_anchor(&parsed, roots, others, at, algorithms) {
        Ok(()) => {}
        Err(error) if is_of_time(&error) => errors.push(ChainError::Issuer),
        Err(error) => errors.push(ChainError::Other(error)),
    }
    if let Err(error) = verify_server_name(&parsed, &shaken.name) {
        errors.push(ChainError::Other(error));
    }
    errors
}

fn is_unknown(error: &ChainError) -> bool {
    matches!(
        error,
        ChainError::Other(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    )
}

fn is_of_time(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        )
    )
}

/// Connects with any certificate: by TLS 1.3 or 1.2, or `only_tls12`.
pub(super) async fn shake(address: SocketAddr, host: &str, only_tls12: bool) -> io::Result<Handshake> {
    let versions: &[&SupportedProtocolVersion] = if only_tls12 { &[&TLS12] } else { &[&TLS13, &TLS12] };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAnyCertificate(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
    let shaken = timeout(LIMIT, async {
        let stream = TcpStream::connect(reachable(address)).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name.clone(), stream)
            .await
    });
    let stream = shaken
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (_, session) = stream.get_ref();
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "an unknown version of TLS",
    };
    let chain = session.peer_certificates().unwrap_or_default();
    let chain = chain
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect();
    Ok(Handshake {
        stream,
        version,
        chain,
        name,
    })
}

/// The address by which this machine reaches a listener: loopback for one on all addresses.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

fn lasts(check: &'static str, leaf: &CertificateDer<'_>, now: Timestamp, place: &str) -> Option<Finding> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let left = leaf.validity().not_after.timestamp() - now.as_second();
    let days = left / 86_400;
    (days < DAYS_LEFT).then(|| {
        let text = format!("{place}: the certificate expires in {days} days");
        Finding::warning(check, text, "renew it, then run `vestibule reload`")
    })
}

fn why(error: &ChainError) -> (String, &'static str) {
    let error = match error {
        ChainError::Expired => {
            return (
                "the certificate has expired".to_owned(),
                "renew it, then run `vestibule reload`; if it is new, look at this machine's clock",
            );
        }
        ChainError::NotValidYet => {
            return (
                "the certificate is not valid yet".to_owned(),
                "look at this machine's clock",
            );
        }
        ChainError::Issuer => {
            return (
                "a certificate that stands behind it has expired, or is not valid yet".to_owned(),
                "put the authority's new intermediate certificates behind it in the same file",
            );
        }
        ChainError::Other(error) => error,
    };
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (
            "the certificate is not for this host".to_owned(),
            "get one that names it, and add it to tls.certificates",
        ),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => (
            "no authority that this system trusts has signed the certificate".to_owned(),
            "put the intermediate certificates behind it in the same file, or have the authority trusted",
        ),
        error => (error.to_string(), "see [tls]"),
    }
}

/// Accepts every certificate whose key the peer has: it is verified afterwards, so that all can be reported.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
