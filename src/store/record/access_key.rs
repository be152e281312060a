//! The rows of access keys and of the wrapped data key.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, EncryptedSecret, KeyScope, KeyUse, WrappedDataKey};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessKeyV1 {
    id: AccessKeyId,
    account: AccountId,
    name: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    disabled: bool,
    last_use: Option<KeyUseV1>,
    routes: BTreeSet<String>,
    methods: BTreeSet<String>,
    secret: SealedV1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyUseV1 {
    at: Timestamp,
    address: Option<IpAddr>,
    client: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrappedDataKeyV1 {
    master: String,
    sealed: SealedV1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedV1 {
    nonce: String,
    ciphertext: String,
}

impl StoredRecord for AccessKey {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&AccessKeyV1 {
            id: self.id,
            account: self.account,
            name: self.name.clone(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            disabled: self.disabled,
            last_use: self.last_use.clone().map(KeyUseV1::from),
            routes: self.scope.routes.clone(),
            methods: self.scope.methods.clone(),
            secret: SealedV1::from(&self.secret),
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let row: AccessKeyV1 = only_version_1(version, json)?;
        Ok(Self {
            id: row.id,
            account: row.account,
            name: row.name,
            created_at: row.created_at,
            expires_at: row.expires_at,
            disabled: row.disabled,
            last_use: row.last_use.map(KeyUse::from),
            scope: KeyScope {
                routes: row.routes,
                methods: row.methods,
            },
            secret: row.secret.read()?,
        })
    }
}

impl StoredRecord for WrappedDataKey {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&WrappedDataKeyV1 {
            master: self.master.clone(),
            sealed: SealedV1::from(&self.sealed),
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let row: WrappedDataKeyV1 = only_version_1(version, json)?;
        Ok(Self {
            master: row.master,
            sealed: row.sealed.read()?,
        })
    }
}

impl SealedV1 {
    fn read(self) -> Result<EncryptedSecret, RecordError> {
        Ok(EncryptedSecret {
            nonce: bytes(&self.nonce)
                .and_then(|nonce| nonce.try_into().ok())
                .ok_or(RecordError::Field("nonce"))?,
            ciphertext: bytes(&self.ciphertext).ok_or(RecordError::Field("ciphertext"))?,
        })
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

impl From<&EncryptedSecret> for SealedV1 {
    fn from(sealed: &EncryptedSecret) -> Self {
        Self {
            nonce: URL_SAFE_NO_PAD.encode(sealed.nonce),
            ciphertext: URL_SAFE_NO_PAD.encode(&sealed.ciphertext),
        }
    }
}

impl From<KeyUse> for KeyUseV1 {
    fn from(last: KeyUse) -> Self {
        Self {
            at: last.at,
            address: last.address,
            client: last.client,
        }
    }
}

impl From<KeyUseV1> for KeyUse {
    fn from(row: KeyUseV1) -> Self {
        Self {
            at: row.at,
            address: row.address,
            client: row.client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::assert_version_1_stays;

    /// Rows as version 1 was first written; see `account.rs`.
    const FROZEN: &str = r#"{"id":"AKIAIOSFODNN7EXAMPLE","account":"01890a5d-ac96-774b-bcce-b302099a8057",
        "name":"backup","created_at":"2026-01-02T03:04:05Z","expires_at":"2026-02-02T03:04:05Z","disabled":false,
        "last_use":{"at":"2026-01-02T03:04:06Z","address":"2001:db8::1","client":"curl/8"},
        "routes":["a.example.com/"],"methods":["GET"],
        "secret":{"nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","ciphertext":"AQID"}}"#;
    const FROZEN_DATA_KEY: &str = r#"{"master":"00112233445566778899aabbccddeeff",
        "sealed":{"nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","ciphertext":"AQID"}}"#;

    #[test]
    fn version_1_is_read_and_written_as_ever() {
        assert_version_1_stays::<AccessKey>(FROZEN, &[]);
        assert_version_1_stays::<WrappedDataKey>(FROZEN_DATA_KEY, &[]);
    }

    #[test]
    fn what_cannot_be_a_nonce_is_malformed() {
        let short = FROZEN.replace("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAA");
        assert!(matches!(
            AccessKey::decode(1, short.as_bytes()),
            Err(RecordError::Field("nonce"))
        ));
    }
}
