//! The bootstrap of the first administrator: a one-time sign-up link while the administrators' group has no
//! active member.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::model::InvitationKind;
use crate::secret::Secret;
use crate::services::{Accounts, Actor, Origin, Services};
use crate::store::StoreError;

/// The lifetime of the link.
pub const LIFETIME: Duration = Duration::from_hours(1);

/// How often the store is polled for an administrator.
const INTERVAL: Duration = Duration::from_secs(2);

/// The actor of the invitation in the audit log.
const BY: &str = "start";

/// The sign-up link of the first administrator, valid once.
#[derive(Debug)]
pub struct BootstrapLink {
    /// The link.
    pub link: Secret<String>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Creates a link and revokes all earlier ones; `None` if the administrators' `group` has an active member.
pub async fn offer(services: &Services, group: &str) -> Result<Option<BootstrapLink>, StoreError> {
    if services.accounts.has_administrator().await? {
        return Ok(None);
    }
    let (invitations, origin) = (&services.invitations, Origin::default());
    let by = Actor::operator(BY);
    for earlier in invitations.list().await?.sound {
        if earlier.kind == InvitationKind::FirstAdministrator {
            invitations.revoke(earlier.id, &by, &origin).await?;
        }
    }
    let (link, invitation) = invitations
        .create(
            InvitationKind::FirstAdministrator,
            None,
            BTreeSet::from([group.to_owned()]),
            LIFETIME,
            &by,
            &origin,
        )
        .await?;
    Ok(Some(BootstrapLink {
        link: Secret::new(link),
        expires_at: invitation.expires_at,
    }))
}

/// The file with the link, for a gateway without a terminal.
#[derive(Clone, Debug)]
pub struct LinkFile(PathBuf);

impl LinkFile {
    /// Names the file in the folder of the admin socket.
    pub fn beside(admin_socket: &Path) -> Self {
        Self(admin_socket.with_file_name("first-administrator.link"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the link, readable by the file's owner only, replacing an earlier file.
    pub fn write(&self, link: &Secret<String>) -> io::Result<()> {
        let draft = self.0.with_extension("draft");
        remove(&draft)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(link.expose().as_bytes())?;
        file.write_all(b"\n")?;
        fs::rename(&draft, &self.0)
    }

    /// Removes the file if it exists.
    pub fn remove(&self) -> io::Result<()> {
        remove(&self.0)
    }

    /// Removes the file if there is an administrator: for a command that made one while no gateway runs.
    pub async fn remove_if_spent(&self, accounts: &Accounts) -> io::Result<()> {
        if self.0.exists() && matches!(accounts.has_administrator().await, Ok(true)) {
            self.remove()?;
        }
        Ok(())
    }

    /// Removes the file once there is an administrator or the link has expired; does nothing after `stop`.
    pub async fn remove_when_spent(self, accounts: &Accounts, stop: &CancellationToken) {
        tokio::select! {
            () = administrator_appears(accounts) => {}
            () = tokio::time::sleep(LIFETIME) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = self.remove() {
            tracing::warn!(file = %self.0.display(), %error, "the spent link cannot be removed");
        }
    }
}

async fn administrator_appears(accounts: &Accounts) {
    // If the store fails, it is polled again.
    while !matches!(accounts.has_administrator().await, Ok(true)) {
        tokio::time::sleep(INTERVAL).await;
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_its_owners_and_holds_the_latest_link() {
        let folder = tempfile::tempdir().unwrap();
        let file = LinkFile::beside(&folder.path().join("admin.sock"));
        for link in ["https://localhost/first", "https://localhost/second"] {
            file.write(&Secret::new(link.to_owned())).unwrap();
            assert_eq!(fs::read_to_string(file.path()).unwrap(), format!("{link}\n"));
            let mode = fs::metadata(file.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn removing_what_is_not_there_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = LinkFile::beside(&folder.path().join("admin.sock"));
        file.remove().unwrap();
        file.write(&Secret::new("https://localhost".to_owned())).unwrap();
        file.remove().unwrap();
        assert!(!file.path().exists());
    }
}
