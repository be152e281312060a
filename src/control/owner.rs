//! Whose files a command would make beside a gateway that does not run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Config, SecretSource, StoreLocation};
use crate::services::Audit;
use crate::system_user::SystemUser;

/// A command of root's would leave files that the gateway's user cannot open.
#[derive(Debug, thiserror::Error)]
#[error("{} belongs to {owner}, and what root makes there {owner} cannot open: run this as that user, `{} vestibule …`", .path.display(), .owner.sudo())]
pub struct OwnerError {
    /// What belongs to that user.
    pub path: PathBuf,
    /// The user.
    pub owner: SystemUser,
}

/// Refuses root where the store, the master key or the audit file is another user's, or would be made in another user's
/// folder. Whoever is not root makes nothing there: the system refuses that.
pub(super) fn require_owner(config: &Config) -> Result<(), OwnerError> {
    if !SystemUser::current().is_root() {
        return Ok(());
    }
    let store = match config.store.location() {
        Ok(StoreLocation::Sled(folder)) => Some(folder),
        _ => None,
    };
    let key = match &config.store.master_key {
        SecretSource::File { file } => Some(file.clone()),
        SecretSource::Text(_) | SecretSource::Env { .. } => None,
    };
    let is_file = |file: &PathBuf| !file.as_os_str().is_empty() && *file != Path::new(Audit::STANDARD_ERROR);
    let audit = Some(config.audit.file.clone()).filter(is_file);
    for path in [store, key, audit].into_iter().flatten() {
        if let Some((path, owner)) = nearest(&path)
            && !owner.is_root()
        {
            return Err(OwnerError { path, owner });
        }
    }
    Ok(())
}

/// Who owns the store; with a database, whose the master key is, or else the folder of the administrator's socket.
pub(super) fn store_owner(config: &Config) -> Option<SystemUser> {
    let store = match config.store.location() {
        Ok(StoreLocation::Sled(folder)) => Some(folder),
        _ => None,
    };
    let key = match &config.store.master_key {
        SecretSource::File { file } => Some(file.clone()),
        SecretSource::Text(_) | SecretSource::Env { .. } => None,
    };
    let socket = config.listen.admin_socket.parent().map(Path::to_owned);
    let paths = [store, key, socket].into_iter().flatten();
    let mut owners = paths.filter_map(|path| Some(SystemUser::owner_of(&fs::metadata(path).ok()?)));
    owners.next()
}

/// The path, or the nearest above it that is there, and its owner.
fn nearest(path: &Path) -> Option<(PathBuf, SystemUser)> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|path| {
        let about = fs::metadata(path).ok()?;
        Some((path.to_owned(), SystemUser::owner_of(&about)))
    })
}
