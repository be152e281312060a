//! `vestibule pages …`

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::output::{CommandOutput, Failure};
use crate::portal;
use crate::services::{LETTER, LETTER_TEMPLATE};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Pages {
    /// Write the built-in texts and templates into a folder, to start one's own from; see branding.folder.
    Export {
        /// The folder, which is made if it is not there. No file in it is replaced.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

impl Pages {
    pub(super) fn run(self) -> Result<CommandOutput, Failure> {
        let Self::Export { folder } = self;
        let files = built_in();
        if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
            return Err(Failure::failed(format!(
                "{} is there already: name a folder without texts and templates; nothing was written",
                folder.join(name).display()
            )));
        }
        write(&folder, &files)
            .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", folder.display())))?;
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let text = format!(
            "{} files are in {}. Keep those that you change, delete the others, and name the folder in branding.folder; \
             `vestibule check` reads it.",
            files.len(),
            folder.display()
        );
        CommandOutput::new(&json!({ "folder": folder, "files": names }), text)
    }
}

/// The names and contents of all files that may stand in `branding.folder`.
fn built_in() -> Vec<(String, &'static str)> {
    let texts = text::built_in_files().map(|(tag, file)| (format!("{tag}.toml"), file));
    let templates = portal::built_in_templates().map(|(name, source)| (name.to_owned(), source));
    let letter = (LETTER.to_owned(), LETTER_TEMPLATE);
    texts.chain(templates).chain([letter]).collect()
}

/// Creates the files world-readable: they hold no secret, and the gateway may run as another user.
fn write(folder: &Path, files: &[(String, &str)]) -> std::io::Result<()> {
    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    for (name, content) in files {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(folder.join(name))?;
        file.write_all(content.as_bytes())?;
        file.set_permissions(Permissions::from_mode(0o644))?;
    }
    Ok(())
}
