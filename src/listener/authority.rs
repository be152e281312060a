//! The local authority: a certificate for trying out, made at first start.
//!
//! Its key could sign for any site in the eyes of whoever trusts it; so its certificate is constrained to the
//! hosts that the gateway serves (RFC 5280, section 4.2.1.10), and nothing else that it signs is valid (S54).

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use time::OffsetDateTime;

use crate::clock::Clock;
use crate::config::CertificateConfig;
use crate::request::Host;

const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// The longest life that browsers accept, less a day for clocks.
const LEAF_LIFE: Duration = Duration::from_hours(396 * 24);
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);

/// Why there is no local certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A certificate cannot be made.
    #[error("a local certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// The local certificate for `hosts`, kept if it still serves, made or renewed otherwise.
pub(super) fn ensure(
    folder: &Path,
    hosts: &[Host],
    clock: &Clock,
) -> Result<CertificateConfig, AuthorityError> {
    let files = Files::within(folder);
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(
        hosts
            .iter()
            .map(|host| host.as_str().trim_matches(['[', ']']).to_owned()),
    );
    names.sort();
    names.dedup();
    let now = clock.now();
    let authority_serves = covers(&files.authority, &names, now) && files.authority_key.exists();
    if !authority_serves {
        make_authority(&files, &names, now)?;
        tracing::info!(file = %files.authority.display(), "made a local authority; `vestibule trust` makes browsers believe it");
    }
    if !authority_serves || !covers(&files.leaf, &names, now) || !files.leaf_key.exists() {
        make_leaf(&files, &names, now)?;
    }
    Ok(CertificateConfig {
        cert: files.leaf,
        key: files.leaf_key,
    })
}

struct Files {
    folder: PathBuf,
    authority: PathBuf,
    authority_key: PathBuf,
    leaf: PathBuf,
    leaf_key: PathBuf,
}

impl Files {
    fn within(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            authority: folder.join("local-ca.pem"),
            authority_key: folder.join("local-ca.key"),
            leaf: folder.join("localhost.pem"),
            leaf_key: folder.join("localhost.key"),
        }
    }
}

/// Whether a certificate that was made here is for just these names and has time left. Its names stand in its
/// first line, so that nothing has to be taken apart.
fn covers(path: &Path, names: &[String], now: Timestamp) -> bool {
    let Ok(text) = fs::read_to_string(path) else {
        return false;
    };
    let wanted = format!("# {}", names.join(" "));
    let ends = rustls_pki_types::pem::PemObject::from_pem_slice(text.as_bytes())
        .ok()
        .and_then(|der: rustls_pki_types::CertificateDer<'_>| {
            x509_parser::parse_x509_certificate(&der)
                .ok()
                .map(|(_, certificate)| certificate.validity().not_after.timestamp())
        });
    text.lines().next() == Some(wanted.as_str())
        && ends
            .is_some_and(|ends| ends - i64::try_from(RENEW_BEFORE.as_secs()).unwrap_or(0) > now.as_second())
}

fn make_authority(files: &Files, names: &[String], now: Timestamp) -> Result<(), AuthorityError> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Vestibule local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.iter().map(|name| subtree(name)).collect(),
        excluded_subtrees: Vec::new(),
    });
    valid(&mut params, now, AUTHORITY_LIFE);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    write(files, &files.authority_key, &key.serialize_pem())?;
    write(
        files,
        &files.authority,
        &format!("# {}\n{}", names.join(" "), certificate.pem()),
    )
}

fn make_leaf(files: &Files, names: &[String], now: Timestamp) -> Result<(), AuthorityError> {
    let read =
        |path: &Path| fs::read_to_string(path).map_err(|error| AuthorityError::File(path.to_owned(), error));
    let authority_key = KeyPair::from_pem(&read(&files.authority_key)?)?;
    let issuer = Issuer::from_ca_cert_pem(&read(&files.authority)?, authority_key)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Vestibule");
    params.subject_alt_names = names
        .iter()
        .map(|name| alternative(name))
        .collect::<Result<_, _>>()?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    valid(&mut params, now, LEAF_LIFE);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write(files, &files.leaf_key, &key.serialize_pem())?;
    write(
        files,
        &files.leaf,
        &format!("# {}\n{}", names.join(" "), certificate.pem()),
    )
}

fn valid(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let start = OffsetDateTime::from_unix_timestamp(now.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_before = start - time::Duration::days(1);
    params.not_after = start + life;
}

fn subtree(name: &str) -> GeneralSubtree {
    match name.parse::<IpAddr>() {
        Ok(address) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
        }
        Err(_) => GeneralSubtree::DnsName(name.to_owned()),
    }
}

fn alternative(name: &str) -> Result<SanType, rcgen::Error> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into()?)),
    }
}

/// Writes a file that its owner alone may read, whole or not at all.
fn write(files: &Files, path: &Path, text: &str) -> Result<(), AuthorityError> {
    let failed = |error| AuthorityError::File(path.to_owned(), error);
    fs::create_dir_all(&files.folder).map_err(failed)?;
    let draft = path.with_extension("new");
    let _ = fs::remove_file(&draft);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)
}
