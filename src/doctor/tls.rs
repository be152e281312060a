//! TLS from the client's side: handshakes with any certificate, and the verification afterwards.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
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
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let verify = |roots: RootCertStore| {
            let provider = Arc::new(aws_lc_rs::default_provider());
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
            verifier
                .verify_server_cert(leaf, others, &shaken.name, &[], at)
                .map(drop)
        };
        let mut findings = Vec::new();
        let mut trusted = verify(self.system.clone());
        if trusted.is_err()
            && let Some(local) = &self.local
        {
            let mut roots = RootCertStore::empty();
            let by_local = roots.add(local.clone()).and_then(|()| verify(roots));
            if by_local.is_ok() {
                let text =
                    format!("{place}: signed by the local authority, which this system does not trust");
                let advice =
                    "run `vestibule trust` here and wherever browsers run, or set [tls] certificates";
                findings.push(Finding::warning(check, text, advice));
                trusted = Ok(());
            }
        }
        match trusted {
            Ok(()) => findings.extend(lasts(check, leaf, now, place)),
            Err(error) => {
                let (what, advice) = why(&error);
                findings.push(Finding::problem(check, format!("{place}: {what}"), advice));
            }
        }
        findings
    }
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

fn why(error: &Error) -> (String, &'static str) {
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => (
            "the certificate has expired".to_owned(),
            "renew it, then run `vestibule reload`; if it is new, look at this machine's clock",
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => (
            "the certificate is not valid yet".to_owned(),
            "look at this machine's clock",
        ),
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
