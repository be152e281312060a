//! The file transport: writes mails into a folder, for trying out and for tests.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::content::MailContent;
use crate::ids::MailId;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct FileTransport(PathBuf);

impl FileTransport {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Writes a mail atomically to a file named by time and id, readable by its owner alone.
    pub(super) fn write(&self, mail: &[u8], id: MailId, now: Timestamp) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let name = format!("{}-{id}", now.strftime("%Y%m%dT%H%M%S.%6fZ"));
        let draft = self.0.join(format!("{name}.draft"));
        // Remains of an interrupted attempt.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(mail)?;
        file.sync_all()?;
        fs::rename(&draft, self.0.join(format!("{name}.eml")))?;
        sync_folder(&self.0)
    }

    /// Prints the links to standard error if that is a terminal, so that trying out needs no look at the
    /// file.
    pub(super) fn show(content: &MailContent) {
        if !io::stderr().is_terminal() {
            return;
        }
        for link in &content.links {
            // A closed terminal must not fail the mail.
            let _ = writeln!(
                io::stderr(),
                "  Mail to {}: {}\n  {}\n",
                content.to,
                content.subject,
                link.url
            );
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
