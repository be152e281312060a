use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::clock::Clock;
use crate::model::KeyScope;
use crate::store::Store;
use crate::store::sled::SledStore;

struct CipherFixture {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
}

impl CipherFixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH).0;
        let store = Arc::new(SledStore::open(&folder.path().join("store"), clock).unwrap());
        Self { folder, store }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("master.key")
    }

    async fn open_with(&self, source: SecretSource) -> Result<SecretCipher, SecretCipherError> {
        SecretCipher::open(self.store.clone(), source, Random::system()).await
    }

    async fn open(&self) -> Result<SecretCipher, SecretCipherError> {
        self.open_with(SecretSource::File { file: self.file() }).await
    }
}

/// Encrypts a new secret; returns its access key and the secret.
fn sealed(cipher: &SecretCipher) -> (AccessKey, SecretKey) {
    let random = Random::system();
    let (id, secret) = (AccessKeyId::new(&random), SecretKey::new(&random));
    let account = AccountId::new(jiff::Timestamp::UNIX_EPOCH, &random);
    let key = AccessKey {
        id,
        account,
        name: String::new(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: None,
        disabled: false,
        last_use: None,
        scope: KeyScope::default(),
        secret: cipher.seal(&secret, id, account).unwrap(),
    };
    (key, secret)
}

#[tokio::test]
async fn s39_a_sealed_secret_opens_for_its_key_and_account_alone() {
    let site = CipherFixture::new();
    let vault = site.open().await.unwrap();
    let (key, secret) = sealed(&vault);
    let (other, _) = sealed(&vault);
    assert_eq!(vault.unseal(&key).unwrap().expose(), secret.expose());
    assert!(!key.secret.ciphertext.windows(40).any(|part| secret.matches(part)));
    assert_ne!(key.secret.nonce, other.secret.nonce);

    let mut flipped = key.clone();
    flipped.secret.ciphertext[0] ^= 1;
    for moved in [
        AccessKey {
            id: other.id,
            ..key.clone()
        },
        AccessKey {
            account: other.account,
            ..key.clone()
        },
        flipped,
    ] {
        assert!(matches!(vault.unseal(&moved), Err(SecretCipherError::Damaged(_))));
    }
}

#[tokio::test]
async fn s39_the_master_key_is_not_in_the_store_and_a_wrong_one_is_a_refusal() {
    let site = CipherFixture::new();
    let (key, secret) = sealed(&site.open().await.unwrap());
    assert_eq!(
        site.open().await.unwrap().unseal(&key).unwrap().expose(),
        secret.expose()
    );

    let right = fs::read_to_string(site.file()).unwrap();
    let word = right.lines().last().unwrap().to_owned();
    let database = fs::read(site.folder.path().join("store/db")).unwrap();
    assert!(!database.windows(word.len()).any(|part| part == word.as_bytes()));

    fs::remove_file(site.file()).unwrap();
    assert!(matches!(site.open().await, Err(SecretCipherError::Missing(_))));
    assert!(!site.file().exists(), "a new one would open nothing");
    MasterKeys::make(&site.file(), &Random::system()).unwrap();
    assert!(matches!(site.open().await, Err(SecretCipherError::Wrong { .. })));

    let text = SecretSource::Text(Secret::new(word));
    let vault = site.open_with(text).await.unwrap();
    assert_eq!(vault.unseal(&key).unwrap().expose(), secret.expose());
    assert!(matches!(vault.rotate().await, Err(SecretCipherError::NotInAFile)));
}

#[tokio::test]
async fn another_master_key_is_one_record_sealed_again() {
    let site = CipherFixture::new();
    let vault = site.open().await.unwrap();
    let (key, secret) = sealed(&vault);
    let before = site.store.data_key().await.unwrap().unwrap();
    let fingerprint = vault.rotate().await.unwrap();
    let after = site.store.data_key().await.unwrap().unwrap();
    assert_eq!(after.master, fingerprint);
    assert_ne!(after.master, before.master);
    let again = site.open().await.unwrap();
    assert_eq!(again.unseal(&key).unwrap().expose(), secret.expose());

    // From now on only the active key is needed.
    let text = fs::read_to_string(site.file()).unwrap();
    let active: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .take(1)
        .collect();
    fs::write(site.file(), active.concat()).unwrap();
    let again = site.open().await.unwrap();
    assert_eq!(again.unseal(&key).unwrap().expose(), secret.expose());
}

#[tokio::test]
async fn a_key_that_was_put_before_the_old_one_seals_after_the_command() {
    let site = CipherFixture::new();
    let (key, secret) = sealed(&site.open().await.unwrap());
    let old = fs::read_to_string(site.file()).unwrap();
    let new = "tVrk7XvN0Y0z+f7h5Wq2/kN9b1mC8dE3gH4iJ5kL6mM=";
    let ring = SecretSource::Text(Secret::new(format!("{new}\n{old}")));
    let vault = site.open_with(ring).await.unwrap();
    vault.rotate().await.unwrap();
    let alone = SecretSource::Text(Secret::new(new.to_owned()));
    let vault = site.open_with(alone).await.unwrap();
    assert_eq!(vault.unseal(&key).unwrap().expose(), secret.expose());
}
