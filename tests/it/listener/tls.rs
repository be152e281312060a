//! TLS versions, and the choice of the certificate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vestibule::clock::Clock;
use vestibule::config::{CertificateConfig, Config, TlsVersion};
use vestibule::listener::ListenerTls;

use super::gateway::{TestListener, config, connect, hosts, read_all, start_of_time};

#[tokio::test]
async fn both_versions_of_http_are_offered() {
    let gateway = TestListener::start(&config());
    for (offered, http2) in [
        (vec!["h2", "http/1.1"], true),
        (vec!["http/1.1"], false),
        (vec![], false),
    ] {
        let mut client = gateway.trusting();
        client.alpn_protocols = offered
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        let told = gateway.ask(client, "localhost").await;
        assert_eq!(told, format!("127.0.0.1 false localhost {http2}"));
    }
    let mut client = gateway.trusting();
    client.alpn_protocols = vec![b"spdy/3".to_vec()];
    assert!(connect(gateway.address, client, "localhost").await.is_err());
}

#[tokio::test]
async fn the_oldest_version_is_the_configured_one() {
    let older = || {
        rustls::ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    };
    let gateway = TestListener::start(&config());
    let refused = connect(gateway.address, older(), "localhost").await.unwrap_err();
    assert!(
        refused.to_string().contains("invalid peer certificate"),
        "spoken, if not believed: {refused}"
    );
    let mut modern = config();
    modern.tls.min_version = TlsVersion::Tls13;
    let gateway = TestListener::start(&modern);
    let refused = connect(gateway.address, older(), "localhost").await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
}

#[tokio::test]
async fn tls_1_1_is_not_spoken() {
    let gateway = TestListener::start(&config());
    // The same hello is accepted if it offers 1.2, so the version is why it is refused.
    assert_eq!(first_answer(&gateway, [3, 3]).await[0], 22, "a handshake goes on");
    let alert = first_answer(&gateway, [3, 2]).await;
    assert_eq!(alert[0], 21, "an alert");
    assert_eq!(
        alert[5..],
        [2, 70],
        "fatal: protocol version (RFC 8446, section 6)"
    );
}

/// Returns the first bytes of the response to a hello with this version at most.
async fn first_answer(gateway: &TestListener, version: [u8; 2]) -> [u8; 7] {
    let mut hello = version.to_vec();
    hello.extend([7; 32]);
    // No session, ECDHE-ECDSA-AES128-GCM-SHA256, no compression.
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    // Group P-256, uncompressed points, ECDSA with SHA-256, extended master secret.
    hello.extend([0, 26]);
    hello.extend([0, 10, 0, 4, 0, 2, 0, 23]);
    hello.extend([0, 11, 0, 2, 1, 0]);
    hello.extend([0, 13, 0, 4, 0, 2, 4, 3]);
    hello.extend([0, 23, 0, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    socket.write_all(&record).await.unwrap();
    let mut answer = [0; 7];
    socket.read_exact(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_client_that_comes_again_resumes() {
    let gateway = TestListener::start(&config());
    let client = gateway.trusting();
    for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let mut stream = connect(gateway.address, client.clone(), "localhost")
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
        assert!(!stream.get_ref().1.is_early_data_accepted(), "no early data");
        read_all(&mut stream).await;
    }
}

#[tokio::test]
async fn s47_a_client_that_would_send_early_data_may_not() {
    let gateway = TestListener::start(&config());
    let mut client = gateway.trusting();
    client.enable_early_data = true;
    for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let mut stream = connect(gateway.address, client.clone(), "localhost")
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
        assert!(!stream.get_ref().1.is_early_data_accepted());
        read_all(&mut stream).await;
    }
    // The ticket, as just seen, allows no early data.
    let name = "localhost".try_into().unwrap();
    let mut again = rustls::ClientConnection::new(client.into(), name).unwrap();
    assert!(again.early_data().is_none());
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path(), "first", &["first.example.com"]);
    let second = write_pair(
        folder.path(),
        "second",
        &["second.example.com", "*.apps.example.com"],
    );
    let gateway = TestListener::start(&with(&[&first, &second]));
    assert!(gateway.tls.is_real());
    for (name, files) in [
        ("first.example.com", &first),
        ("second.example.com", &second),
        ("SECOND.example.com", &second),
        ("one.apps.example.com", &second),
        ("a.one.apps.example.com", &first),
        ("apps.example.com", &first),
        ("unknown.example.com", &first),
        ("127.0.0.1", &first),
    ] {
        assert_eq!(
            gateway.served_certificate(name).await,
            certificate(files),
            "{name}"
        );
    }
}

#[tokio::test]
async fn new_files_are_served_after_a_reload_and_broken_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_pair(folder.path(), "a", &["gw.example.com"]);
    let gateway = TestListener::start(&with(&[&files]));
    let old = certificate(&files);
    write_pair(folder.path(), "a", &["gw.example.com"]);
    let new = certificate(&files);
    assert_ne!(old, new);
    assert_eq!(gateway.served_certificate("gw.example.com").await, old);
    gateway.reload().unwrap();
    assert_eq!(gateway.served_certificate("gw.example.com").await, new);
    fs::write(&files.cert, "nothing").unwrap();
    assert!(gateway.reload().is_err());
    assert_eq!(gateway.served_certificate("gw.example.com").await, new);
}

#[tokio::test]
async fn the_end_that_comes_first_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (
        write_pair(folder.path(), "one", &["gw.example.com"]),
        write_pair(folder.path(), "two", &["other.example.com"]),
    );
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["other.example.com".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2031, 1, 1);
    fs::write(&two.cert, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&two.key, key.serialize_pem()).unwrap();
    let gateway = TestListener::start(&with(&[&one, &two]));
    let told = gateway.metrics.clone();
    crate::harness::until(|| told.certificate_expiry.value() == 1_924_992_000).await;
    assert_eq!(gateway.tls.ends(), 1_924_992_000);
}

#[test]
fn what_cannot_be_served_is_refused_with_its_file_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let good = write_pair(folder.path(), "good", &["gw.example.com"]);
    let other = write_pair(folder.path(), "other", &["gw.example.com"]);
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o600)).unwrap();
    let exposed = folder.path().join("exposed.key");
    fs::copy(&good.key, &exposed).unwrap();
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o660)).unwrap();
    let gone = folder.path().join("gone.pem");
    for (cert, key, culprit, reason) in [
        (&good.cert, &other.key, &other.key, "this key cannot serve"),
        (&empty, &good.key, &empty, "no certificate in this file"),
        (&good.cert, &empty, &empty, "no private key in this file"),
        (&good.cert, &exposed, &exposed, "run: chmod 600"),
        (&gone, &good.key, &gone, "No such file"),
    ] {
        let files = CertificateConfig {
            cert: cert.clone(),
            key: key.clone(),
        };
        let config = with(&[&files]);
        let (clock, _) = Clock::manual(start_of_time());
        let refused = ListenerTls::load(&config, folder.path(), &hosts(&config), &clock)
            .unwrap_err()
            .to_string();
        assert!(refused.contains(reason), "{refused}");
        assert!(refused.contains(culprit.to_str().unwrap()), "{refused}");
    }
}

fn with(certificates: &[&CertificateConfig]) -> Config {
    let mut config = config();
    config.tls.certificates = certificates.iter().map(|&files| files.clone()).collect();
    config
}

fn write_pair(folder: &Path, name: &str, names: &[&str]) -> CertificateConfig {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let files = CertificateConfig {
        cert: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    };
    fs::write(&files.cert, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    files
}

fn certificate(files: &CertificateConfig) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&files.cert).unwrap()
}
