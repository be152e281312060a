//! The store, the mail and the keys: what must be there, and for nobody else's eyes.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{
    Config, HostPattern, MailTransport, PostgresTls, PostgresUrl, SecretSource, StoreLocation,
    require_private,
};
use crate::regular_file;
use crate::trust_anchors::read_trust_anchors;

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    let location = config.store.location();
    if let Err(error) = &location {
        findings.error(&"store.url".into(), error.to_string());
    }
    if let Ok(StoreLocation::Postgres(url)) = &location {
        check_database(url, findings);
    }
    check_master_key(&config.store.master_key, location.ok().as_ref(), findings);
    warn_of_loose_modes(config, findings);
    match config.mail.transport() {
        Ok(MailTransport::Smtp(smtp)) if smtp.bares_password() => findings.warn(
            &"mail.url".into(),
            "the password may cross the network unencrypted: use `smtps:`, or `?tls=required`",
        ),
        Ok(MailTransport::Smtp(smtp)) if smtp.bares_mails() => findings.warn(
            &"mail.url".into(),
            "mails may cross the network unencrypted, with links that sign in and set passwords: use `smtps:`, or `?tls=required`",
        ),
        Ok(MailTransport::Folder(_)) if config.signup.verify_email && !is_loopback(config) => findings.warn(
            &"mail.url".into(),
            "mails become files: nobody gets the link without which a new account is not let in",
        ),
        Ok(_) => {}
        Err(error) => findings.error(&"mail.url".into(), error.to_string()),
    }
    if let Some(file) = &config.mail.ca
        && let Err(error) = read_trust_anchors(file)
    {
        findings.error(&"mail.ca".into(), format!("{} {error}", file.display()));
    }
    if let Err(error) = config.mail.sender() {
        findings.error(&"mail.from".into(), error.to_string());
    }
    let hello = &config.mail.hello;
    if !hello.is_empty() && !matches!(hello.parse(), Ok(HostPattern::Exact(_))) {
        findings.error(&"mail.hello".into(), "not a host's name, without a port");
    }
}

/// What is refused is told where the secret is read.
fn warn_of_loose_modes(config: &Config, findings: &mut Findings<'_, '_>) {
    let mut sources = vec![
        (KeyPath::from("store.url"), &config.store.url),
        (KeyPath::from("store.master_key"), &config.store.master_key),
        (KeyPath::from("mail.url"), &config.mail.url),
    ];
    for (name, upstream) in &config.upstream {
        let path = KeyPath::from("upstream").key(name).key("headers");
        let headers = upstream.headers.iter();
        sources.extend(headers.map(|(header, source)| (path.key(header), source)));
    }
    for (path, source) in sources {
        let SecretSource::File { file } = source else {
            continue;
        };
        let Ok(opened) = regular_file::open(file) else {
            continue;
        };
        if let Ok(Some(loose)) = require_private(file, &opened) {
            findings.warn(&path, format!("{}: {loose}", file.display()));
        }
    }
}

fn is_loopback(config: &Config) -> bool {
    config.public_host().is_none_or(|host| host.is_loopback())
}

fn check_database(url: &PostgresUrl, findings: &mut Findings<'_, '_>) {
    let path = KeyPath::from("store.url");
    if url.is_bare() {
        findings.warn(
            &path,
            "everything that is kept crosses the network unencrypted, the hashes of passwords too: use \
             `sslmode=verify-full`",
        );
    }
    if let PostgresTls::Roots(file) = &url.tls
        && let Err(error) = read_trust_anchors(file)
    {
        findings.error(&path, format!("sslrootcert {} {error}", file.display()));
    }
}

fn check_master_key(key: &SecretSource, store: Option<&StoreLocation>, findings: &mut Findings<'_, '_>) {
    let path = KeyPath::from("store.master_key");
    match key {
        SecretSource::Text(_) => {
            findings.warn(
                &path,
                "stands in the configuration: whoever reads that reads the access keys",
            );
        }
        SecretSource::Env { .. } => {
            if let Err(error) = key.resolve() {
                findings.error(&path, error.to_string());
            }
        }
        SecretSource::File { file } => {
            if let Some(StoreLocation::Sled(folder)) = store
                && plain(file).starts_with(plain(folder))
            {
                findings.error(
                    &path,
                    "inside the store's folder: whoever copies that could read the access keys",
                );
            }
            // It is made at first start, so it need not be there.
            match regular_file::open(file) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => findings.error(&path, format!("{} cannot be read: {error}", file.display())),
                Ok(opened) => {
                    if let Err(error) = require_private(file, &opened) {
                        findings.error(&path, error.to_string());
                    }
                }
            }
        }
    }
}

/// The path from the root, without `.` and `..`, whether or not it is there.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .components()
    {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_write_a_folder_are_one() {
        assert!(plain(Path::new("data/./store/../store/key")).starts_with(plain(Path::new("data/store"))));
        assert!(!plain(Path::new("data/store-key")).starts_with(plain(Path::new("data/store"))));
    }
}
