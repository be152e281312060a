//! A listener that reports what it knows of a connection, and clients for it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use vestibule::clock::{Clock, ManualClock};
use vestibule::config::Config;
use vestibule::listener::{Accepted, Listener, ListenerTls, TlsError};
use vestibule::metrics::Metrics;
use vestibule::random::Random;
use vestibule::request::Host;

/// Longer than anything takes; what takes longer has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct TestListener {
    pub(super) folder: Arc<TempDir>,
    config: Config,
    clock: Clock,
    pub(super) tls: ListenerTls,
    pub(super) hand: ManualClock,
    pub(super) address: SocketAddr,
    pub(super) plain: Option<SocketAddr>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
    pub(super) run: JoinHandle<()>,
}

pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.listen.https = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.public_url = "https://gw.example.com".parse().unwrap();
    config
}

pub(super) fn start_of_time() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

impl TestListener {
    /// Must run inside a tokio runtime.
    pub(super) fn start(config: &Config) -> Self {
        Self::start_serving(config, tell)
    }

    /// Starts with another handler for connections.
    pub(super) fn start_serving<F>(
        config: &Config,
        serve: impl Fn(Accepted) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let (clock, hand) = Clock::manual(start_of_time());
        let tls = ListenerTls::load(config, folder.path(), &hosts(config), &clock).unwrap();
        let metrics = Arc::new(Metrics::default());
        let bound = Listener::bind(config, &clock, &Random::seeded(1), metrics.clone()).unwrap();
        let listener = bound.listen().unwrap();
        let address = listener.addresses()[0];
        let plain = listener.http_addresses().first().copied();
        let stop = CancellationToken::new();
        let run = tokio::spawn(listener.run(tls.clone(), serve, stop.clone()));
        Self {
            folder,
            config: config.clone(),
            clock,
            tls,
            hand,
            address,
            plain,
            metrics,
            stop,
            run,
        }
    }

    /// Reloads all certificates.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let (config, folder) = (&self.config, self.folder.path());
        let next = ListenerTls::load(config, folder, &hosts(config), &self.clock)?;
        self.tls.replace(&next);
        Ok(())
    }

    /// Returns a client configuration that trusts only the local authority, at the time of the gateway's
    /// clock.
    pub(super) fn trusting(&self) -> ClientConfig {
        trusting(self.folder.path())
    }

    /// Returns what the gateway reports to a client that requests `name`.
    pub(super) async fn ask(&self, config: ClientConfig, name: &str) -> String {
        let stream = connect(self.address, config, name).await.unwrap();
        read_all(stream).await
    }

    pub(super) async fn served_certificate(&self, name: &str) -> CertificateDer<'static> {
        let stream = connect(self.address, trusting_all(), name).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }
}

pub(super) fn hosts(config: &Config) -> Vec<Host> {
    vec![config.public_url.host_str().unwrap().parse().unwrap()]
}

pub(super) async fn connect(
    address: SocketAddr,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    shake_hands(socket, config, name).await
}

pub(super) async fn shake_hands(
    socket: TcpStream,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, socket);
    tokio::time::timeout(PATIENCE, shaken).await.unwrap()
}

pub(super) async fn read_all(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    text
}

/// Sends what the listener knows of the connection, and closes it.
async fn tell(accepted: Accepted) {
    let Accepted {
        mut stream,
        client,
        sni,
        http2,
        port: _,
        tls: _,
        activity: _,
    } = accepted;
    let (address, through) = (client.address, client.through_trusted_proxy);
    let sni = sni.map_or("-".to_owned(), |sni| sni.to_string());
    let text = format!("{address} {through} {sni} {http2}");
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

pub(super) fn trusting(folder: &Path) -> ClientConfig {
    let pem = fs::read(folder.join("local-ca.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    builder().with_root_certificates(roots).with_no_client_auth()
}

/// Returns a client that accepts any certificate, to see which one it gets.
pub(super) fn trusting_all() -> ClientConfig {
    builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), Arc::new(Then))
        .with_safe_default_protocol_versions()
        .unwrap()
}

/// The clock of clients: a month after the gateway's.
#[derive(Debug)]
struct Then;

impl rustls::time_provider::TimeProvider for Then {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(start_of_time().as_second()).unwrap();
        Some(UnixTime::since_unix_epoch(
            Duration::from_secs(seconds) + Duration::from_hours(720),
        ))
    }
}

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
