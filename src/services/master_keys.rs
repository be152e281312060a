//! Master keys, which encrypt the store's data key and are not in the store.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::config::{SecretError, SecretSource};
use crate::random::Random;
use crate::secret::Secret;

/// A master key: 256 random bits.
#[derive(Clone, Debug)]
pub(super) struct MasterKey(Secret<[u8; 32]>);

/// The operator's master keys, the active one first; the others only decrypt.
#[derive(Clone, Debug)]
pub(super) struct MasterKeys(Vec<MasterKey>);

/// Why master keys could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file or the variable could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The text is no list of master keys.
    #[error("not a master key: 32 random bytes in base64, such as `openssl rand -base64 32` prints")]
    Malformed,
    /// The file could not be written.
    #[error("{path} cannot be written: {error}", path = .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl MasterKey {
    pub(super) fn new(random: &Random) -> Self {
        Self(Secret::new(random.bytes()))
    }

    /// Identifies the key without revealing it: half a SHA-256, in hex.
    pub(super) fn fingerprint(&self) -> String {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"vestibule master key\0")
            .chain_update(self.0.expose())
            .finalize()
            .into();
        let half = digest.first_chunk().copied().unwrap_or_default();
        format!("{:032x}", u128::from_be_bytes(half))
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Parses base64 in either alphabet, with or without padding.
    fn parse(word: &str) -> Option<Self> {
        let word = Secret::new(word.trim_end_matches('=').replace('+', "-").replace('/', "_"));
        let bytes = Secret::new(URL_SAFE_NO_PAD.decode(word.expose()).ok()?);
        let key: [u8; 32] = bytes.expose().as_slice().try_into().ok()?;
        Some(Self(Secret::new(key)))
    }
}

impl MasterKeys {
    /// Reads the keys. `None` if their file does not exist.
    pub(super) fn read(source: &SecretSource) -> Result<Option<Self>, MasterKeyError> {
        match source.resolve() {
            Ok(text) => Self::parse(text.expose()).map(Some),
            Err(SecretError::Unreadable { error, .. }) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Parses words of base64, the active key first; `#` begins a comment.
    fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let keys: Option<Vec<MasterKey>> = text
            .lines()
            .filter_map(|line| line.split('#').next())
            .flat_map(str::split_whitespace)
            .map(MasterKey::parse)
            .collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self(keys)),
            _ => Err(MasterKeyError::Malformed),
        }
    }

    /// Returns the fingerprints, the active key's first.
    pub(super) fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(MasterKey::fingerprint).collect()
    }

    /// Creates a key in a new file.
    pub(super) fn make(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        let keys = Self(vec![MasterKey::new(random)]);
        keys.write(path)?;
        Ok(keys)
    }

    /// Returns these keys behind a new active one.
    #[must_use]
    pub(super) fn with_new(&self, random: &Random) -> Self {
        let mut keys = vec![MasterKey::new(random)];
        keys.extend(self.0.iter().cloned());
        Self(keys)
    }

    /// The key that encrypts.
    pub(super) fn active(&self) -> Option<&MasterKey> {
        self.0.first()
    }

    /// Returns the key with this fingerprint.
    pub(super) fn find(&self, fingerprint: &str) -> Option<&MasterKey> {
        self.0.iter().find(|key| key.fingerprint() == fingerprint)
    }

    /// Replaces the file, readable by its owner only; atomic and durable.
    pub(super) fn write(&self, path: &Path) -> Result<(), MasterKeyError> {
        self.write_whole(path)
            .map_err(|error| MasterKeyError::Unwritable {
                path: path.to_owned(),
                error,
            })
    }

    fn write_whole(&self, path: &Path) -> io::Result<()> {
        let mut text = Secret::new(
            "# Master keys of Vestibule, the active one first; older ones open older copies of the store.\n\
             # Keep a copy of this file, apart from the copies of the store.\n"
                .to_owned(),
        );
        for key in &self.0 {
            let line = Secret::new(URL_SAFE_NO_PAD.encode(key.expose()));
            text = Secret::new(format!("{}{}\n", text.expose(), line.expose()));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        // Mode 0600 from the first byte.
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text.expose().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn s54_a_new_file_is_its_owners_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certs/master.key");
        let source = SecretSource::File { file: path.clone() };
        assert!(MasterKeys::read(&source).unwrap().is_none());
        let random = Random::seeded(1);
        let made = MasterKeys::make(&path, &random).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let first = made.active().unwrap().fingerprint();
        made.with_new(&random).write(&path).unwrap();
        let read = MasterKeys::read(&source).unwrap().unwrap();
        assert_ne!(read.active().unwrap().fingerprint(), first);
        assert_eq!(
            read.find(&first).unwrap().expose(),
            made.active().unwrap().expose()
        );
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_other_programs_print_is_a_key_and_anything_else_is_not() {
        let openssl = "tVrk7XvN0Y0z+f7h5Wq2/kN9b1mC8dE3gH4iJ5kL6mM=\n";
        assert!(MasterKeys::parse(openssl).is_ok());
        for text in ["", "# nothing\n", "hunter2", &openssl[..40], "tVrk hunter2"] {
            let error = MasterKeys::parse(text).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{text:?}");
        }
    }
}
