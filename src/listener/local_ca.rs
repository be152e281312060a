//! The local certificate authority, for trials and closed networks; it can only issue certificates for this
//! gateway's hosts.
//!
//! A stolen key is of little use: the authority is name-constrained (RFC 5280, section 4.2.1.10) to the
//! configured hosts, and may only sign leaf certificates for servers. A constraint on a DNS name also admits
//! its subdomains; the standard has nothing narrower.
//!
//! It signs two leaves. `BoringSSL` (gRPC, Envoy, Dart) rejects a leaf with an IP address if the authority is
//! constrained to addresses, so the leaf for clients with SNI has DNS names only. A client that connects to
//! an address sends no SNI (RFC 6066, section 3) and gets the other leaf, which has the addresses too.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData, SanType,
};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{GeneralName, ParsedExtension, X509Certificate};

use super::certificates::parse;
use crate::certified_key::read_chain;
use crate::config::CertificateConfig;
use crate::private_file::{FileError, about, read_private, write_atomically};
use crate::system_user::owner_in_the_way;

/// The file of the authority's certificate.
pub const AUTHORITY_FILE: &str = "local-ca.pem";
const AUTHORITY_KEY_FILE: &str = "local-ca.key";

const DAY: Duration = Duration::from_hours(24);
const AUTHORITY_LIFETIME: Duration = DAY.saturating_mul(3650);
/// With `CLOCK_SKEW`, below the 398 days that browsers accept.
const LEAF_LIFETIME: Duration = DAY.saturating_mul(396);
/// A certificate that expires within this time is replaced.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);
/// How far a client's clock may be slow.
const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// Why the local authority cannot be created or used.
#[derive(Debug, thiserror::Error)]
pub enum LocalCaError {
    /// A file cannot be read or written, or others may read a key.
    #[error("{failed}{advice}", failed = .0, advice = advice(.0))]
    File(#[from] FileError),
    /// A certificate cannot be generated.
    #[error("the local certificate cannot be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// Says whose a file of the authority is that may not be used, and how to hand it over.
fn advice(error: &FileError) -> String {
    match error {
        FileError::Io { path, error } if error.kind() == io::ErrorKind::PermissionDenied => {
            owner_in_the_way(path).map_or_else(String::new, |owner| format!("; {owner}"))
        }
        _ => String::new(),
    }
}

/// The authority in a folder, and the hosts that it issues for.
#[derive(Debug)]
pub(super) struct LocalCa {
    folder: PathBuf,
    names: BTreeSet<SubjectName>,
}

/// One of the two leaf certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// For clients with SNI: DNS names only.
    Named,
    /// For clients without SNI: names and addresses.
    Unnamed,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SubjectName {
    Dns(String),
    Address(IpAddr),
}

impl LocalCa {
    /// Creates an authority for `localhost` and `hosts`, which are names, wildcards (`*.domain`) or
    /// addresses.
    pub(super) fn new(folder: &Path, hosts: impl Iterator<Item = String>) -> Self {
        let machine = ["localhost", "127.0.0.1", "::1"].map(SubjectName::read);
        let hosts = hosts.map(|host| SubjectName::read(&host));
        Self {
            folder: folder.to_owned(),
            names: machine.into_iter().chain(hosts).collect(),
        }
    }

    /// Returns the files of a leaf certificate.
    pub(super) fn files(&self, leaf: Leaf) -> CertificateConfig {
        let name = leaf.file_name();
        CertificateConfig {
            cert: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        }
    }

    /// Refuses what [`renew`](Self::renew) would, except that the folder cannot be written, and writes nothing. Returns
    /// whether something would be made.
    pub(super) fn check(&self, now: Timestamp) -> Result<bool, LocalCaError> {
        let authority = self.kept_authority(now)?;
        let (mut is_made, mut files) = (authority.is_none(), vec![self.folder.join(AUTHORITY_FILE)]);
        for leaf in Leaf::ALL {
            let CertificateConfig { cert, key } = self.files(leaf);
            is_made |= match &authority {
                Some(authority) => !self.keeps_leaf(leaf, authority, now)?,
                None => unless_missing(read_private(&key))?.is_none(),
            };
            files.extend([cert, key]);
        }
        match files.iter().find(|file| file.is_dir()) {
            Some(folder) => Ok(about(folder, Err(io::ErrorKind::IsADirectory.into()))?),
            None => Ok(is_made),
        }
    }

    fn names(&self, leaf: Leaf) -> BTreeSet<SubjectName> {
        let names = self.names.iter();
        names
            .filter(|name| leaf == Leaf::Unnamed || matches!(name, SubjectName::Dns(_)))
            .cloned()
            .collect()
    }

    /// Creates whatever is missing, expires soon or does not fit the hosts. Returns whether a leaf was
    /// replaced.
    pub(super) fn renew(&self, now: Timestamp) -> Result<bool, LocalCaError> {
        let folder = &self.folder;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        about(folder, made)?;
        let authority = match self.kept_authority(now)? {
            Some(kept) => kept,
            None => self.make_authority(now)?,
        };
        let mut renewed = false;
        for leaf in Leaf::ALL {
            if !self.keeps_leaf(leaf, &authority, now)? {
                self.make_leaf(leaf, &authority, now)?;
                renewed = true;
            }
        }
        Ok(renewed)
    }

    /// Loads the authority; `None` if it is missing, incomplete, expires soon or does not cover all hosts.
    fn kept_authority(&self, now: Timestamp) -> Result<Option<Issuer<'static, KeyPair>>, LocalCaError> {
        let (path, key_path) = (
            self.folder.join(AUTHORITY_FILE),
            self.folder.join(AUTHORITY_KEY_FILE),
        );
        let Some(key) = unless_missing(read_private(&key_path))? else {
            return Ok(None);
        };
        let Some(key) = std::str::from_utf8(&key)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
        else {
            return Ok(None);
        };
        let Ok(chain) = read_chain(&path) else {
            return Ok(None);
        };
        let Some(der) = chain.first() else {
            return Ok(None);
        };
        let Ok(certificate) = parse(&path, der) else {
            return Ok(None);
        };
        if *certificate.public_key().subject_public_key.data != *key.der_bytes() {
            return Ok(None);
        }
        if expires_soon(&certificate, now) {
            tracing::warn!("the local authority expires soon and is made anew; run `vestibule trust` again");
            return Ok(None);
        }
        let needed: BTreeSet<_> = self.names.iter().map(SubjectName::domain).collect();
        if !needed.is_subset(&constraints(&certificate)) {
            tracing::warn!(
                "the local authority does not cover all hosts and is made anew; run `vestibule trust` again"
            );
            return Ok(None);
        }
        Ok(Some(Issuer::from_ca_cert_der(der, key)?))
    }

    /// Whether a leaf in the folder can still be used.
    fn keeps_leaf(
        &self,
        leaf: Leaf,
        authority: &Issuer<'_, KeyPair>,
        now: Timestamp,
    ) -> Result<bool, LocalCaError> {
        let CertificateConfig { cert, key } = self.files(leaf);
        let Some(key) = unless_missing(read_private(&key))? else {
            return Ok(false);
        };
        let Ok(chain) = read_chain(&cert) else {
            return Ok(false);
        };
        let Some(Ok(certificate)) = chain.first().map(|der| parse(&cert, der)) else {
            return Ok(false);
        };
        let key = std::str::from_utf8(&key)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok());
        let is_pair =
            key.is_some_and(|key| *key.der_bytes() == *certificate.public_key().subject_public_key.data);
        // The issuer name contains the fingerprint of the authority's key.
        let issuer = certificate.issuer().iter_common_name().next();
        let is_ours = issuer.and_then(|name| name.as_str().ok()) == Some(&*authority_name(authority.key()));
        Ok(is_pair && is_ours && names(&certificate) == self.names(leaf) && !expires_soon(&certificate, now))
    }

    fn make_authority(&self, now: Timestamp) -> Result<Issuer<'static, KeyPair>, LocalCaError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, authority_name(&key));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: self.names.iter().map(SubjectName::subtree).collect(),
            excluded_subtrees: Vec::new(),
        });
        set_lifetime(&mut params, now, AUTHORITY_LIFETIME);
        let certificate = params.self_signed(&key)?;
        // The key first: either file without the other leads to a new pair.
        let path = self.folder.join(AUTHORITY_KEY_FILE);
        write_atomically(&path, 0o600, key.serialize_pem().as_bytes())?;
        let path = self.folder.join(AUTHORITY_FILE);
        write_atomically(&path, 0o644, certificate.pem().as_bytes())?;
        tracing::info!(path = %path.display(), "made a local authority; `vestibule trust` makes this machine trust it");
        Ok(Issuer::new(params, key))
    }

    fn make_leaf(
        &self,
        leaf: Leaf,
        authority: &Issuer<'_, KeyPair>,
        now: Timestamp,
    ) -> Result<(), LocalCaError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Vestibule local certificate");
        params.subject_alt_names = self
            .names(leaf)
            .iter()
            .map(SubjectName::alternative)
            .collect::<Result<_, _>>()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_lifetime(&mut params, now, LEAF_LIFETIME);
        let certificate = params.signed_by(&key, authority)?;
        let files = self.files(leaf);
        write_atomically(&files.key, 0o600, key.serialize_pem().as_bytes())?;
        write_atomically(&files.cert, 0o644, certificate.pem().as_bytes())?;
        tracing::info!(path = %files.cert.display(), "made a local certificate");
        Ok(())
    }
}

impl Leaf {
    pub(super) const ALL: [Self; 2] = [Self::Named, Self::Unnamed];

    /// Returns the file name without its extension.
    fn file_name(self) -> &'static str {
        match self {
            Self::Named => "localhost",
            Self::Unnamed => "addresses",
        }
    }
}

impl SubjectName {
    /// Parses a configured host: a name, `*.` and a domain, or an address, IPv6 with or without brackets.
    fn read(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse()
            .map_or_else(|_| Self::Dns(host.to_ascii_lowercase()), Self::Address)
    }

    /// Returns the name for a constraint: a wildcard's parent domain.
    fn domain(&self) -> Self {
        match self {
            Self::Dns(name) => Self::Dns(name.trim_start_matches("*.").to_owned()),
            Self::Address(_) => self.clone(),
        }
    }

    fn subtree(&self) -> GeneralSubtree {
        match self.domain() {
            Self::Dns(name) => GeneralSubtree::DnsName(name),
            Self::Address(address @ IpAddr::V4(_)) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 32))
            }
            Self::Address(address @ IpAddr::V6(_)) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 128))
            }
        }
    }

    fn alternative(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Address(address) => SanType::IpAddress(*address),
        })
    }

    /// Converts a name from a certificate. An address has 4 or 16 bytes; in a constraint its mask follows,
    /// which is always full.
    fn from_general(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::DNSName(name) => Some(Self::Dns((*name).to_owned())),
            GeneralName::IPAddress(bytes) => {
                let address = match bytes.len() {
                    4 | 8 => IpAddr::from(*bytes.first_chunk::<4>()?),
                    _ => IpAddr::from(*bytes.first_chunk::<16>()?),
                };
                Some(Self::Address(address))
            }
            _ => None,
        }
    }
}

fn authority_name(key: &KeyPair) -> String {
    let fingerprint: [u8; 32] = Sha256::digest(key.der_bytes()).into();
    let [a, b, c, d, ..] = fingerprint;
    format!("Vestibule local authority {a:02x}{b:02x}{c:02x}{d:02x}")
}

fn names(certificate: &X509Certificate<'_>) -> BTreeSet<SubjectName> {
    match certificate.subject_alternative_name() {
        Ok(Some(names)) => names
            .value
            .general_names
            .iter()
            .filter_map(SubjectName::from_general)
            .collect(),
        _ => BTreeSet::new(),
    }
}

fn constraints(certificate: &X509Certificate<'_>) -> BTreeSet<SubjectName> {
    let subtrees = certificate.extensions().iter().filter_map(|extension| {
        let ParsedExtension::NameConstraints(constraints) = extension.parsed_extension() else {
            return None;
        };
        constraints.permitted_subtrees.as_ref()
    });
    subtrees
        .flatten()
        .filter_map(|subtree| SubjectName::from_general(&subtree.base))
        .collect()
}

fn expires_soon(certificate: &X509Certificate<'_>, now: Timestamp) -> bool {
    let validity = certificate.validity();
    let soon = now.as_second().saturating_add_unsigned(RENEW_BEFORE.as_secs());
    // Not yet valid counts too: the clock may have been wrong when the certificate was created.
    validity.not_after.timestamp() < soon || validity.not_before.timestamp() > now.as_second()
}

fn set_lifetime(params: &mut CertificateParams, now: Timestamp, lifetime: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    params.not_before = epoch + now.saturating_sub(CLOCK_SKEW);
    params.not_after = epoch + now + lifetime;
}

/// Returns `None` if the file does not exist; keeps other errors.
fn unless_missing<T>(result: Result<T, FileError>) -> Result<Option<T>, FileError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(FileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
