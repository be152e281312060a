//! Keeps root from creating files that the gateway's user cannot open.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Config, SecretSource, StoreLocation};
use crate::services::Audit;
use crate::system_user::SystemUser;

/// A command of root would create files that the gateway's user cannot open.
#[derive(Debug, thiserror::Error)]
#[error("{} belongs to {owner}, and what root makes there {owner} cannot open: run this as that user, `{} vestibule …`", .path.display(), .owner.sudo())]
pub struct OwnerError {
    /// What belongs to that user.
    pub path: PathBuf,
    /// The user.
    pub owner: SystemUser,
}

/// Fails for root if the store, the master key or the audit file belongs to another user, or would be created
/// in another user's folder. Other users cannot create files there in the first place.
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

/// Returns the owner of the store, or with a database that of the master key's file. `None` if neither
/// exists: an owner of the socket alone is not trusted as the gateway.
pub(super) fn store_owner(config: &Config) -> Option<SystemUser> {
    let store = match config.store.location() {
        Ok(StoreLocation::Sled(folder)) => Some(folder),
        _ => None,
    };
    let key = match &config.store.master_key {
        SecretSource::File { file } => Some(file.clone()),
        SecretSource::Text(_) | SecretSource::Env { .. } => None,
    };
    let paths = [store, key].into_iter().flatten();
    let mut owners = paths.filter_map(|path| Some(SystemUser::owner_of(&fs::metadata(path).ok()?)));
    owners.next()
}

/// Returns the path, or its nearest ancestor that exists, with its owner.
fn nearest(path: &Path) -> Option<(PathBuf, SystemUser)> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|path| {
        let about = fs::metadata(path).ok()?;
        Some((path.to_owned(), SystemUser::owner_of(&about)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn the_owner_of_a_sockets_folder_is_not_the_stores() {
        if !SystemUser::current().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (run, store) = (folder.path().join("run"), folder.path().join("store"));
        fs::create_dir(&run).unwrap();
        chown(&run, Some(65_534), None).unwrap();
        let mut config = Config::default();
        config.listen.admin_socket = run.join("admin.sock");
        config.store.url = SecretSource::Text(Secret::new(format!("sled:{}", store.display())));
        config.store.master_key = SecretSource::File {
            file: folder.path().join("master.key"),
        };
        assert_eq!(store_owner(&config), None);
        fs::create_dir(&store).unwrap();
        chown(&store, Some(65_533), None).unwrap();
        assert_eq!(store_owner(&config), Some(SystemUser::of(65_533)));
    }
}
