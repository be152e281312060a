//! Encryption at rest of access keys' secrets (S39).
//!
//! Each secret is sealed with the data key, bound to its access key and account. The data key is in the store, sealed
//! with a master key that is not: so another master key means one record to seal again.

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

/// The data key in memory, and where its master key is.
#[derive(Debug)]
pub(super) struct SecretCipher {
    store: Arc<dyn Store>,
    source: SecretSource,
    random: Random,
    data_key: Secret<[u8; 32]>,
    rotating: Mutex<()>,
    /// The master keys as they were last read for use, by their fingerprints.
    known: std::sync::Mutex<Vec<String>>,
}

/// Why secrets cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretCipherError {
    /// The master key cannot be had.
    #[error("store.master_key: {0}")]
    MasterKey(#[from] MasterKeyError),
    /// The file is gone, and the store needs it.
    #[error(
        "store.master_key: the file is not there, and the store needs the master key {0}: put back the copy that you keep"
    )]
    Missing(String),
    /// Another master key than the store's.
    #[error(
        "store.master_key: a wrong master key: the store needs {wanted}, and there is {found}; put back the right one"
    )]
    Wrong {
        /// The fingerprint of the one that is needed.
        wanted: String,
        /// That of the one that is active.
        found: String,
    },
    /// A new master key can be written only to a file.
    #[error(
        "store.master_key is not in a file, so no new one can be written: put a new key before the old one, \
         restart the gateway, and run this again"
    )]
    NotInAFile,
    /// What was sealed is not what is there.
    #[error("the {0} cannot be decrypted: the store's record is damaged; restore the store from a backup")]
    Damaged(String),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SecretCipher {
    /// Opens the data key; makes it, and the master key's file, where there is neither.
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

    /// A key for another purpose, which the data key tells whoever has it, and which tells nothing of the data key.
    pub(super) fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.data_key.expose());
        Secret::new(mac.map_or([0; 32], |mac| {
            mac.chain_update(purpose).finalize().into_bytes().into()
        }))
    }

    /// Seals a secret for its access key and account, and no other.
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

    /// The secret of an access key.
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

    /// Seals the data key with another master key: the active one if that is not what seals it now, else a new one,
    /// which becomes active. Whatever step a crash comes after, the file holds the key that the store needs. The
    /// fingerprint of the one that seals now.
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

    /// Whether the master keys are others than those that were last read for use, or cannot be read any more: what is
    /// changed there is of no consequence before a restart.
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

/// Whether the master key that the configuration names opens a data key from elsewhere.
pub fn require_master_key(source: &SecretSource, wrapped: &WrappedDataKey) -> Result<(), SecretCipherError> {
    match MasterKeys::read(source)? {
        Some(keys) => unwrap(wrapped, &keys).map(drop),
        None => Err(SecretCipherError::Missing(wrapped.master.clone())),
    }
}

/// Whether what the configuration names is a master key, or a file that is not there and made at first start. Where it is
/// known which one the store needs, by its fingerprint, whether it is that.
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

/// The kind of record, the access key and the account, the last two of fixed length.
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
