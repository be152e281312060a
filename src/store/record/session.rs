//! The rows of sessions.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::ids::{AccountId, SessionId};
use crate::model::{AccessKeyId, Session, SignInMethod, TokenDigest};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionV1 {
    id: SessionId,
    digest: TokenDigest,
    account: AccountId,
    method: SignInMethodV1,
    access_key: Option<AccessKeyId>,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    proved_at: Option<Timestamp>,
    password_changed_at: Option<Timestamp>,
    address: IpAddr,
    user_agent: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SignInMethodV1 {
    Password,
    Iam,
}

impl StoredRecord for Session {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&SessionV1::from(self))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1::<SessionV1>(version, json).map(Self::from)
    }
}

impl From<&Session> for SessionV1 {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id,
            digest: session.digest,
            account: session.account,
            method: session.method.into(),
            access_key: session.access_key,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            proved_at: session.proved_at,
            password_changed_at: session.password_changed_at,
            address: session.address,
            user_agent: session.user_agent.clone(),
        }
    }
}

impl From<SessionV1> for Session {
    fn from(row: SessionV1) -> Self {
        Self {
            id: row.id,
            digest: row.digest,
            account: row.account,
            method: row.method.into(),
            access_key: row.access_key,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            proved_at: row.proved_at,
            password_changed_at: row.password_changed_at,
            address: row.address,
            user_agent: row.user_agent,
        }
    }
}

impl From<SignInMethod> for SignInMethodV1 {
    fn from(method: SignInMethod) -> Self {
        match method {
            SignInMethod::Password => Self::Password,
            SignInMethod::Iam => Self::Iam,
        }
    }
}

impl From<SignInMethodV1> for SignInMethod {
    fn from(method: SignInMethodV1) -> Self {
        match method {
            SignInMethodV1::Password => Self::Password,
            SignInMethodV1::Iam => Self::Iam,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::assert_version_1_stays;

    /// A row as version 1 was first written; see `account.rs`.
    const FROZEN: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057",
        "digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","account":"01890a5d-ac96-774b-bcce-b302099a8058",
        "method":"iam","access_key":"AKIAIOSFODNN7EXAMPLE","created_at":"2026-01-02T03:04:05Z",
        "last_seen_at":"2026-01-02T03:04:06Z","proved_at":null,"password_changed_at":"2026-01-01T03:04:05Z",
        "address":"2001:db8::1","user_agent":"Firefox"}"#;

    #[test]
    fn version_1_is_read_and_written_as_ever() {
        assert_version_1_stays::<Session>(FROZEN, &[]);
    }
}
