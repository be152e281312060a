//! Checks that secrets, the store and logs are readable by their owner only (S54).

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{DoctorContext, Finding};
use crate::config::{SecretSource, StoreLocation, require_private_mode};

const CHECK: &str = "files";

/// Checks keys, the store, the socket and logs.
pub(super) fn files(context: &DoctorContext<'_>) -> Vec<Finding> {
    let mut looked_at = 0;
    let mut findings = Vec::new();
    let (secrets, others) = private(context);
    for (path, is_secret) in secrets
        .into_iter()
        .map(|path| (path, true))
        .chain(others.into_iter().map(|path| (path, false)))
    {
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        looked_at += 1;
        let mode = metadata.permissions().mode() & 0o7777;
        if is_secret && let Ok(Some(loose)) = require_private_mode(&path, &metadata) {
            let shown = path.display();
            let advice = format!("run: chmod 600 {shown}, unless an orchestrator mounts it so");
            findings.push(Finding::warning(CHECK, format!("{shown}: {loose}"), advice));
        } else if mode & 0o077 != 0 {
            let is_folder = metadata.is_dir();
            findings.push(exposed(&path, mode, if is_folder { "0700" } else { "0600" }));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            format!("{looked_at} keys, folders and logs are for their owner alone"),
        ));
    }
    findings
}

fn exposed(path: &Path, mode: u32, wanted: &str) -> Finding {
    let path = path.display();
    let text = format!("{path}: others than its owner may use it (mode {mode:04o})");
    let advice = format!("run: chmod {wanted} {path}");
    Finding::problem(CHECK, text, advice)
}

/// The private paths, whether or not they exist: files of secrets and keys, and all others.
fn private(context: &DoctorContext<'_>) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let config = context.config;
    let mut paths = Vec::new();
    if let SecretSource::File { file } = &config.store.url {
        paths.push(file.clone());
    }
    if let SecretSource::File { file } = &config.store.master_key {
        paths.push(file.clone());
    }
    if let SecretSource::File { file } = &config.mail.url {
        paths.push(file.clone());
    }
    let headers = config
        .upstream
        .values()
        .flat_map(|upstream| upstream.headers.values());
    paths.extend(headers.filter_map(|source| match source {
        SecretSource::File { file } => Some(file.clone()),
        SecretSource::Text(_) | SecretSource::Env { .. } => None,
    }));
    paths.extend(
        config
            .tls
            .certificates
            .iter()
            .map(|certificate| certificate.key.clone()),
    );
    if config.tls.certificates.is_empty() {
        let keys = fs::read_dir(config.certs()).into_iter().flatten().flatten();
        paths.extend(
            keys.map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|end| end == "key")),
        );
    }
    let mut others = vec![
        config.listen.admin_socket.clone(),
        config.audit.file.clone(),
        config.log.access_file.clone(),
    ];
    if let Ok(StoreLocation::Sled(folder)) = config.store.location() {
        let files = fs::read_dir(&folder).into_iter().flatten().flatten();
        others.extend(files.map(|entry| entry.path()));
        others.push(folder);
    }
    others.retain(|path| !path.as_os_str().is_empty());
    (paths.into_iter().collect(), others.into_iter().collect())
}
