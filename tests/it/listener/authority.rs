//! The local authority: what it creates, keeps and renews, and what it cannot sign.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{Certificate, CertificateParams, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use vestibule::clock::Clock;
use vestibule::config::RouteConfig;
use vestibule::listener::ListenerTls;
use x509_parser::extensions::GeneralName;

use super::gateway::{TestListener, config, hosts, start_of_time, trusting};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn it_serves_the_machine_itself_and_the_configured_hosts() {
    let mut config = config();
    config.route = vec![RouteConfig {
        host: Some("*.apps.example.com".to_owned()),
        ..RouteConfig::default()
    }];
    let gateway = TestListener::start(&config);
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

/// Returns the DNS names and addresses in a certificate.
fn names(certificate: &CertificateDer<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let extension = certificate.subject_alternative_name().unwrap().unwrap();
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => names.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => addresses.push(match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes).unwrap().into(),
                _ => <[u8; 16]>::try_from(*bytes).unwrap().into(),
            }),
            other => panic!("{other:?}"),
        }
    }
    (names, addresses)
}

/// `BoringSSL` rejects addresses in a leaf of an authority that is constrained to addresses.
#[tokio::test]
async fn a_client_that_asks_for_a_host_gets_names_alone() {
    let mut config = config();
    config.public_url = "https://192.0.2.7:8443".parse().unwrap();
    config.route = vec![RouteConfig {
        host: Some("*.apps.example.com".to_owned()),
        ..RouteConfig::default()
    }];
    let gateway = TestListener::start(&config);
    let all_names = ["*.apps.example.com", "localhost"];
    for host in ["localhost", "one.apps.example.com"] {
        let (names, addresses) = names(&gateway.served_certificate(host).await);
        assert_eq!(
            (names.as_slice(), addresses.len()),
            (all_names.map(str::to_owned).as_slice(), 0)
        );
    }
    let (names, addresses) = names(&gateway.served_certificate("127.0.0.1").await);
    assert_eq!(names, all_names, "who asks for none may have come by a name too");
    let all_addresses: [IpAddr; 3] =
        ["127.0.0.1", "192.0.2.7", "::1"].map(|address| address.parse().unwrap());
    assert_eq!(addresses, all_addresses);
    gateway.ask(gateway.trusting(), "192.0.2.7").await;
}

/// OpenSSL's verdict on both leaves and on one that a thief signs, by its own reading of the constraints.
#[tokio::test]
async fn openssl_believes_both_leaves_and_the_constraints() {
    let gateway = TestListener::start(&config());
    let folder = gateway.folder.path();
    let verify = |option: &str, name: &str, leaf: &str| {
        let verified = Command::new("openssl")
            .current_dir(folder)
            .args([
                "verify",
                "-x509_strict",
                "-purpose",
                "sslserver",
                "-attime",
                "1900000000",
            ])
            .args(["-CAfile", "local-ca.pem", option, name, leaf])
            .output()
            .unwrap();
        let said = String::from_utf8(verified.stdout).unwrap() + &String::from_utf8(verified.stderr).unwrap();
        verified.status.success().then_some(()).ok_or(said)
    };
    for (option, name, leaf) in [
        ("-verify_hostname", "gw.example.com", "localhost.pem"),
        ("-verify_hostname", "localhost", "addresses.pem"),
        ("-verify_ip", "127.0.0.1", "addresses.pem"),
        ("-verify_ip", "::1", "addresses.pem"),
    ] {
        verify(option, name, leaf).unwrap_or_else(|said| panic!("{leaf} {name}: {said}"));
    }
    verify("-verify_ip", "127.0.0.1", "localhost.pem").unwrap_err();
    fs::write(
        folder.join("thief.pem"),
        sign_with_stolen_key(&gateway, "bank.example").0.pem(),
    )
    .unwrap();
    let refused = verify("-verify_hostname", "bank.example", "thief.pem").unwrap_err();
    assert!(refused.contains("permitted subtree violation"), "{refused}");
}

/// Folders of older gateways have one leaf for both.
#[tokio::test]
async fn a_leaf_of_both_kinds_is_made_anew_by_the_same_authority() {
    let gateway = TestListener::start(&config());
    let folder = gateway.folder.path();
    let authority = fs::read(folder.join("local-ca.pem")).unwrap();
    fs::rename(folder.join("addresses.pem"), folder.join("localhost.pem")).unwrap();
    fs::rename(folder.join("addresses.key"), folder.join("localhost.key")).unwrap();
    gateway.reload().unwrap();
    assert_eq!(fs::read(folder.join("local-ca.pem")).unwrap(), authority);
    let (_, addresses) = names(&gateway.served_certificate("localhost").await);
    assert!(addresses.is_empty(), "{addresses:?}");
    gateway.ask(gateway.trusting(), "127.0.0.1").await;
    gateway.ask(gateway.trusting(), "localhost").await;
}

#[tokio::test]
async fn its_key_signs_for_nobody_else() {
    let gateway = TestListener::start(&config());
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

/// A thief of the authority's key signs a certificate for `name` and presents it to a client that trusts the
/// authority.
async fn present(gateway: &TestListener, name: &str) -> std::io::Result<()> {
    let (certificate, key) = sign_with_stolen_key(gateway, name);
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

fn sign_with_stolen_key(gateway: &TestListener, name: &str) -> (Certificate, KeyPair) {
    let read = |file| fs::read_to_string(gateway.folder.path().join(file)).unwrap();
    let stolen = KeyPair::from_pem(&read("local-ca.key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("local-ca.pem"), stolen).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(2031, 1, 1);
    // OpenSSL's strict mode requires this.
    params.use_authority_key_identifier_extension = true;
    (params.signed_by(&key, &issuer).unwrap(), key)
}

#[tokio::test]
async fn its_keys_are_the_owners_alone() {
    let gateway = TestListener::start(&config());
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
        [
            "addresses.key",
            "addresses.pem",
            "local-ca.key",
            "local-ca.pem",
            "localhost.key",
            "localhost.pem"
        ]
    );
    for key in ["local-ca.key", "localhost.key", "addresses.key"] {
        assert_eq!(modes[key], 0o600, "{key}");
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
    let gateway = TestListener::start(&config());
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
    let load = |config: &_| ListenerTls::load(config, folder.path(), &hosts(config), &clock).unwrap();
    load(&config);
    let [authority, leaf] = files();
    load(&config);
    assert_eq!(files(), [authority.clone(), leaf.clone()]);
    // For fewer hosts than the authority covers, it issues a new leaf.
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
    // A half-written pair is replaced, so a crash at first start costs nothing.
    fs::remove_file(folder.path().join("local-ca.pem")).unwrap();
    load(&config);
    assert_ne!(files()[0], another);
    trusting(folder.path());
}
