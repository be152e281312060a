//! The local authority: what it makes, keeps, renews, and cannot sign.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use vestibule::clock::Clock;
use vestibule::config::RouteConfig;
use vestibule::listener::Tls;

use super::gateway::{Gateway, config, hosts, start_of_time, trusting};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn it_serves_the_machine_itself_and_the_configured_hosts() {
    let mut config = config();
    config.route = vec![RouteConfig {
        host: Some("*.apps.example.com".to_owned()),
        ..RouteConfig::default()
    }];
    let gateway = Gateway::start(&config);
    assert!(!gateway.tls.is_real());
    for name in [
        "localhost",
        "127.0.0.1",
        "::1",
        "gw.example.com",
        "one.apps.example.com",
    ] {
        gateway.ask(gateway.trusting(), name).await;
    }
}

#[tokio::test]
async fn its_key_signs_for_nobody_else() {
    let gateway = Gateway::start(&config());
    for (name, is_believed) in [
        ("localhost", true),
        ("gw.example.com", true),
        ("127.0.0.1", true),
        ("bank.example", false),
        ("example.com", false),
        ("127.0.0.2", false),
        ("::2", false),
    ] {
        let believed = present(&gateway, name).await;
        if is_believed {
            believed.unwrap();
        } else {
            let refused = believed.unwrap_err().to_string();
            assert!(refused.contains("NameConstraintViolation"), "{name}: {refused}");
        }
    }
}

/// A thief of the authority's key signs a certificate for `name` and presents it to somebody who trusts the authority.
async fn present(gateway: &Gateway, name: &str) -> std::io::Result<()> {
    let read = |file| fs::read_to_string(gateway.folder.path().join(file)).unwrap();
    let stolen = KeyPair::from_pem(&read("local-ca.key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("local-ca.pem"), stolen).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(2031, 1, 1);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(gateway.trusting()));
    connector.connect(name, near).await.map(drop)
}

#[tokio::test]
async fn its_keys_are_the_owners_alone() {
    let gateway = Gateway::start(&config());
    let modes: BTreeMap<_, _> = fs::read_dir(gateway.folder.path())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    let names: Vec<_> = modes.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["local-ca.key", "local-ca.pem", "localhost.key", "localhost.pem"]
    );
    assert_eq!((modes["local-ca.key"], modes["localhost.key"]), (0o600, 0o600));
    for key in ["local-ca.key", "localhost.key"] {
        let path = gateway.folder.path().join(key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = gateway.reload().unwrap_err().to_string();
        assert!(
            refused.contains(&format!("chmod 600 {}", path.display())),
            "{refused}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    gateway.reload().unwrap();
}

#[tokio::test]
async fn a_certificate_is_kept_until_thirty_days_before_its_end() {
    let gateway = Gateway::start(&config());
    let authority = || fs::read(gateway.folder.path().join("local-ca.pem")).unwrap();
    let (first, trusted) = (gateway.served_certificate("localhost").await, authority());
    gateway.hand.advance(DAY * (396 - 30));
    assert!(!gateway.tls.renew_if_due().unwrap());
    assert_eq!(gateway.served_certificate("localhost").await, first);
    gateway.hand.advance(Duration::from_secs(1));
    assert!(gateway.tls.renew_if_due().unwrap());
    let second = gateway.served_certificate("localhost").await;
    assert_ne!(second, first, "served without a restart");
    assert_eq!(authority(), trusted, "whoever trusted the authority still does");
    assert!(!gateway.tls.renew_if_due().unwrap());
    gateway.hand.advance(DAY * 3650);
    assert!(gateway.tls.renew_if_due().unwrap());
    assert_ne!(authority(), trusted, "the authority has an end too");
}

#[test]
fn a_restart_keeps_everything_and_new_hosts_make_what_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(start_of_time());
    let files = || ["local-ca.pem", "localhost.pem"].map(|file| fs::read(folder.path().join(file)).unwrap());
    let mut config = config();
    let load = |config: &_| Tls::load(config, folder.path(), &hosts(config), &clock).unwrap();
    load(&config);
    let [authority, leaf] = files();
    load(&config);
    assert_eq!(files(), [authority.clone(), leaf.clone()]);
    // Fewer hosts than the authority may sign for: a new certificate of the same authority.
    config.public_url = "https://localhost:8443".parse().unwrap();
    load(&config);
    let [same, fewer] = files();
    assert_eq!(same, authority);
    assert_ne!(fewer, leaf);
    config.public_url = "https://other.example.com".parse().unwrap();
    load(&config);
    let [another, newest] = files();
    assert_ne!(another, authority);
    assert_ne!(newest, fewer);
    // A half-written pair is made anew, so that a crash at first start costs nothing.
    fs::remove_file(folder.path().join("local-ca.pem")).unwrap();
    load(&config);
    assert_ne!(files()[0], another);
    trusting(folder.path());
}
