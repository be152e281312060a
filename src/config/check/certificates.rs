//! Checks that certificates and keys can be read, and that they cover the configured hosts.

use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{CertificateConfig, Config, HostPattern, LooseMode, require_private};
use crate::regular_file;

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    let (mut covered, mut is_any_read) = (Vec::new(), false);
    for (index, pair) in config.tls.certificates.iter().enumerate() {
        let path = KeyPath::from("tls.certificates").index(index);
        if let Some(names) = check_pair(&path, pair, "tls.certificates", findings) {
            covered.extend(names);
            is_any_read = true;
        }
    }
    if is_any_read {
        warn_of_uncovered_hosts(config, &covered, findings);
    }
}

/// Checks the files of a certificate and its key. Returns the hosts of the certificate, if it can be read. A warning is about
/// `key`.
pub(super) fn check_pair(
    path: &KeyPath,
    pair: &CertificateConfig,
    key: &str,
    findings: &mut Findings<'_, '_>,
) -> Option<Vec<String>> {
    let names = names_of(&pair.cert);
    if let Err(reason) = &names {
        findings.error(&path.key("cert"), reason.clone());
    }
    match require_key(&pair.key) {
        Ok(None) => {}
        Ok(Some(loose)) => findings.warn(
            &path.key("key"),
            format!("{}: {loose}", pair.key.display()),
            key,
            "give the file of the key the mode 0600",
        ),
        Err(reason) => findings.error(&path.key("key"), reason),
    }
    names.ok()
}

fn warn_of_uncovered_hosts(config: &Config, covered: &[String], findings: &mut Findings<'_, '_>) {
    let Some(public) = config.public_host() else {
        return;
    };
    let message = "no certificate is for this host: browsers will refuse it";
    let remedy = "add one to `tls.certificates`";
    if !is_covered(&HostPattern::Exact(public.clone()), covered) {
        findings.warn(&"public_url".into(), message, "tls.certificates", remedy);
    }
    for (index, route) in config.route.iter().enumerate() {
        if route.host.is_some()
            && route
                .host_pattern(&public)
                .is_ok_and(|pattern| !is_covered(&pattern, covered))
        {
            let path = KeyPath::from("route").index(index).key("host");
            findings.warn(&path, message, "tls.certificates", remedy);
        }
    }
}

/// Whether a certificate covers a host; a wildcard covers one label (RFC 6125, section 6.4.3).
fn is_covered(pattern: &HostPattern, covered: &[String]) -> bool {
    let name = pattern.to_string();
    covered.iter().any(|cover| {
        *cover == name
            || cover
                .strip_prefix("*.")
                .is_some_and(|domain| name.split_once('.').is_some_and(|(_, rest)| rest == domain))
    })
}

/// Returns the hosts of the certificate in a file.
fn names_of(file: &Path) -> Result<Vec<String>, String> {
    require_path(file)?;
    let pem =
        regular_file::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let not_one = || format!("{} has no certificate in PEM form", file.display());
    let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| not_one())?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).map_err(|_| not_one())?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    Ok(names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect())
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(format!("[{}]", std::net::Ipv6Addr::from(v6)))
}

fn require_path(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("is missing".to_owned());
    }
    Ok(())
}

fn require_key(path: &Path) -> Result<Option<LooseMode>, String> {
    require_path(path)?;
    let unreadable = |error| format!("{} cannot be read: {error}", path.display());
    let file = regular_file::open(path).map_err(unreadable)?;
    let loose = require_private(path, &file).map_err(|error| error.to_string())?;
    PrivateKeyDer::from_pem_reader(file)
        .map(|_| loose)
        .map_err(|_| format!("{} has no private key in PEM form", path.display()))
}
