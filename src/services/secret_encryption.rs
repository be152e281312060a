//! Encryption at rest of access keys' secrets (S39).
//!
//! Each secret is encrypted with the data key and bound to its access key and account. The data key is in the
//! store, encrypted with a master key that is not: a new master key takes one row to encrypt again.

use std::sync::{Arc, MutexGuard, PoisonError};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::sync::Mutex;

use super::master_keys::{MasterKey, MasterKeyError, MasterKeys};
use crate::config::SecretSource;
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, EncryptedSecret, SecretKey, WrappedDataKey};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::{Store, StoreError};

/// Encrypts secrets with the data key, which is in memory.
#[derive(Debug)]
pub(super) struct SecretCipher {
    store: Arc<dyn Store>,
    source: SecretSource,
    random: Random,
    data_key: Secret<[u8; 32]>,
    rotating: Mutex<()>,
    /// The fingerprints of the master keys as last read for use.
    known: std::sync::Mutex<Vec<String>>,
}

/// Why secrets cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum SecretCipherError {
    /// The master key could not be read or written.
    #[error("store.master_key: {0}")]
    MasterKey(#[from] MasterKeyError),
    /// The file of the master key is missing, and the store needs it. Holds the fingerprint.
    #[error(
        "store.master_key: the file is not there, and the store needs the master key {0}: put back the copy that you keep"
    )]
    Missing(String),
    /// The master key is not the store's.
    #[error(
        "store.master_key: a wrong master key: the store needs {wanted}, and there is {found}; put back the right one"
    )]
    Wrong {
        /// The fingerprint of the key that is needed.
        wanted: String,
        /// The fingerprint of the active key.
        found: String,
    },
    /// The master key is not in a file, so that no new one can be written.
    #[error(
        "store.master_key is not in a file, so no new one can be written: put a new key before the old one, \
         restart the gateway, and run this again"
    )]
    NotInAFile,
    /// Authentication of the ciphertext failed; holds what was to be decrypted.
    #[error("the {0} cannot be decrypted: the store's record is damaged; restore the store from a backup")]
    Damaged(String),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SecretCipher {
    /// Decrypts the data key. Creates it on a new store, and the master key's file if that is missing too.
    pub(super) async fn open(
        store: Arc<dyn Store>,
        source: SecretSource,
        random: Random,
    ) -> Result<Self, SecretCipherError> {
        let (data_key, keys) = match (store.data_key().await?, MasterKeys::read(&source)?) {
            (Some(wrapped), Some(keys)) => (unwrap(&wrapped, &keys)?, keys),
            (Some(wrapped), None) => return Err(SecretCipherError::Missing(wrapped.master)),
            (None, keys) => {
                let keys = match (keys, &source) {
                    (Some(keys), _) => keys,
                    (None, SecretSource::File { file }) => MasterKeys::make(file, &random)?,
                    (None, _) => return Err(MasterKeyError::Malformed.into()),
                };
                let data_key = Secret::new(random.bytes());
                let wrapped = wrap(&data_key, active(&keys)?, &random)?;
                if !store.replace_data_key(None, wrapped).await? {
                    return Err(changed().into());
                }
                (data_key, keys)
            }
        };
        Ok(Self {
            store,
            source,
            random,
            data_key,
            rotating: Mutex::default(),
            known: std::sync::Mutex::new(keys.fingerprints()),
        })
    }

    /// Derives a subkey for a purpose from the data key with HMAC-SHA256 (one-way).
    pub(super) fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.data_key.expose());
        Secret::new(mac.map_or([0; 32], |mac| {
            mac.chain_update(purpose).finalize().into_bytes().into()
        }))
    }

    /// Encrypts a secret, bound to its access key and account.
    pub(super) fn seal(
        &self,
        secret: &SecretKey,
        id: AccessKeyId,
        account: AccountId,
    ) -> Result<EncryptedSecret, SecretCipherError> {
        let bound = bound_to(id, account);
        seal(
            self.data_key.expose(),
            secret.expose().as_bytes(),
            &bound,
            &self.random,
        )
        .ok_or_else(|| SecretCipherError::Damaged(format!("secret of {id}")))
    }

    /// Decrypts the secret of an access key.
    pub(super) fn unseal(&self, key: &AccessKey) -> Result<SecretKey, SecretCipherError> {
        unseal(
            self.data_key.expose(),
            &key.secret,
            &bound_to(key.id, key.account),
        )
        .and_then(|plain| String::from_utf8(plain.expose().clone()).ok())
        .and_then(|text| SecretKey::parse(Secret::new(text)))
        .ok_or_else(|| SecretCipherError::Damaged(format!("secret of {}", key.id)))
    }

    /// Encrypts the data key with another master key and returns its fingerprint: with the active one if
    /// another is in use, else with a new one, which becomes active. After a crash at any step, the file has
    /// the key that the store needs.
    pub(super) async fn rotate(&self) -> Result<String, SecretCipherError> {
        let _alone = self.rotating.lock().await;
        let wrapped = self.store.data_key().await?.ok_or_else(changed)?;
        let mut keys = MasterKeys::read(&self.source)?
            .ok_or_else(|| SecretCipherError::Missing(wrapped.master.clone()))?;
        unwrap(&wrapped, &keys)?;
        if active(&keys)?.fingerprint() == wrapped.master {
            let SecretSource::File { file } = &self.source else {
                return Err(SecretCipherError::NotInAFile);
            };
            keys = keys.with_new(&self.random);
            keys.write(file)?;
        }
        let again = wrap(&self.data_key, active(&keys)?, &self.random)?;
        let master = again.master.clone();
        if !self.store.replace_data_key(Some(wrapped), again).await? {
            return Err(changed().into());
        }
        *self.known() = keys.fingerprints();
        Ok(master)
    }

    /// Returns whether the configured master keys differ from those last read for use, or cannot be read.
    /// Such a change takes effect at a restart.
    pub(super) fn is_changed(&self) -> bool {
        match MasterKeys::read(&self.source) {
            Ok(Some(keys)) => keys.fingerprints() != *self.known(),
            Ok(None) | Err(_) => true,
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that a configured master key decrypts the data key of an import.
pub fn require_master_key(source: &SecretSource, wrapped: &WrappedDataKey) -> Result<(), SecretCipherError> {
    match MasterKeys::read(source)? {
        Some(keys) => unwrap(wrapped, &keys).map(drop),
        None => Err(SecretCipherError::Missing(wrapped.master.clone())),
    }
}

/// Checks that the source holds master keys, or is a missing file, which is created at the first start. With
/// `wanted`, the fingerprint of the key that the store needs, checks that it holds that one.
pub fn check_master_key(source: &SecretSource, wanted: Option<&str>) -> Result<(), SecretCipherError> {
    match (MasterKeys::read(source)?, wanted) {
        (Some(keys), Some(wanted)) if keys.find(wanted).is_none() => Err(SecretCipherError::Wrong {
            wanted: wanted.to_owned(),
            found: active(&keys)?.fingerprint(),
        }),
        (None, Some(wanted)) => Err(SecretCipherError::Missing(wanted.to_owned())),
        _ => Ok(()),
    }
}

fn active(keys: &MasterKeys) -> Result<&MasterKey, SecretCipherError> {
    keys.active().ok_or_else(|| MasterKeyError::Malformed.into())
}

fn changed() -> StoreError {
    StoreError::Unavailable("its data key was changed at the same moment".to_owned())
}

fn wrap(
    data_key: &Secret<[u8; 32]>,
    master: &MasterKey,
    random: &Random,
) -> Result<WrappedDataKey, SecretCipherError> {
    let fingerprint = master.fingerprint();
    let sealed = seal(
        master.expose(),
        data_key.expose(),
        &wrapped_by(&fingerprint),
        random,
    );
    Ok(WrappedDataKey {
        sealed: sealed.ok_or_else(|| SecretCipherError::Damaged("data key".to_owned()))?,
        master: fingerprint,
    })
}

fn unwrap(wrapped: &WrappedDataKey, keys: &MasterKeys) -> Result<Secret<[u8; 32]>, SecretCipherError> {
    let Some(master) = keys.find(&wrapped.master) else {
        return Err(SecretCipherError::Wrong {
            wanted: wrapped.master.clone(),
            found: active(keys)?.fingerprint(),
        });
    };
    unseal(master.expose(), &wrapped.sealed, &wrapped_by(&wrapped.master))
        .and_then(|plain| plain.expose().as_slice().try_into().ok())
        .map(Secret::new)
        .ok_or_else(|| SecretCipherError::Damaged("data key".to_owned()))
}

fn wrapped_by(fingerprint: &str) -> Vec<u8> {
    [b"data-key\0", fingerprint.as_bytes()].concat()
}

/// The associated data of a secret: its kind, access key and account, the last two of fixed length.
fn bound_to(id: AccessKeyId, account: AccountId) -> Vec<u8> {
    [b"access-key\0".as_slice(), id.as_bytes(), account.as_bytes()].concat()
}

fn seal(key: &[u8; 32], plain: &[u8], bound_to: &[u8], random: &Random) -> Option<EncryptedSecret> {
    let nonce: [u8; 24] = random.bytes();
    let payload = Payload {
        msg: plain,
        aad: bound_to,
    };
    let ciphertext = XChaCha20Poly1305::new(key.into())
        .encrypt(&nonce.into(), payload)
        .ok()?;
    Some(EncryptedSecret { nonce, ciphertext })
}

fn unseal(key: &[u8; 32], sealed: &EncryptedSecret, bound_to: &[u8]) -> Option<Secret<Vec<u8>>> {
    let payload = Payload {
        msg: &sealed.ciphertext,
        aad: bound_to,
    };
    XChaCha20Poly1305::new(key.into())
        .decrypt(&sealed.nonce.into(), payload)
        .ok()
        .map(Secret::new)
}

#[cfg(test)]
mod tests;
