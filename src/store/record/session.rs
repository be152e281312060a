//! Sessions.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, read, write};
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
    created_at: Timestamp,
    last_seen_at: Timestamp,
    address: IpAddr,
    user_agent: String,
}

/// Version 1 with the last proof.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionV2 {
    id: SessionId,
    digest: TokenDigest,
    account: AccountId,
    method: SignInMethodV1,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    proved_at: Option<Timestamp>,
    address: IpAddr,
    user_agent: String,
}

/// Version 2 with the access key that it was begun with, and the password that it knows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionV3 {
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
        write(3, &SessionV3::from(self))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        match version {
            1 => read::<SessionV1>(version, json).map(|row| SessionV3::from(SessionV2::from(row)).into()),
            2 => read::<SessionV2>(version, json).map(|row| SessionV3::from(row).into()),
            3 => read::<SessionV3>(version, json).map(Self::from),
            _ => Err(RecordError::Version(version)),
        }
    }
}

/// Every session of version 1 was begun with a password.
impl From<SessionV1> for SessionV2 {
    fn from(row: SessionV1) -> Self {
        Self {
            id: row.id,
            digest: row.digest,
            account: row.account,
            method: row.method,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            proved_at: Some(row.created_at),
            address: row.address,
            user_agent: row.user_agent,
        }
    }
}

impl From<SessionV2> for SessionV3 {
    fn from(row: SessionV2) -> Self {
        Self {
            id: row.id,
            digest: row.digest,
            account: row.account,
            method: row.method,
            access_key: None,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            proved_at: row.proved_at,
            password_changed_at: None,
            address: row.address,
            user_agent: row.user_agent,
        }
    }
}

impl From<&Session> for SessionV3 {
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

impl From<SessionV3> for Session {
    fn from(row: SessionV3) -> Self {
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

    /// Rows as each version was first written: see the accounts.
    const FROZEN_1: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057",
        "digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","account":"01890a5d-ac96-774b-bcce-b302099a8058",
        "method":"password","created_at":"2026-01-02T03:04:05Z","last_seen_at":"2026-01-02T03:04:06Z",
        "address":"2001:db8::1","user_agent":"Firefox"}"#;

    const FROZEN_2: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057",
        "digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","account":"01890a5d-ac96-774b-bcce-b302099a8058",
        "method":"password","created_at":"2026-01-02T03:04:05Z","last_seen_at":"2026-01-02T03:04:06Z",
        "proved_at":"2026-01-02T03:05:00Z","address":"2001:db8::1","user_agent":"Firefox"}"#;

    const FROZEN_3: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057",
        "digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","account":"01890a5d-ac96-774b-bcce-b302099a8058",
        "method":"iam","access_key":"AKIAIOSFODNN7EXAMPLE","created_at":"2026-01-02T03:04:05Z",
        "last_seen_at":"2026-01-02T03:04:06Z","proved_at":null,"password_changed_at":"2026-01-01T03:04:05Z",
        "address":"2001:db8::1","user_agent":"Firefox"}"#;

    #[test]
    fn version_1_is_read_as_ever() {
        let session = Session::decode(1, FROZEN_1.as_bytes()).unwrap();
        assert_eq!(session.proved_at, Some(session.created_at));
    }

    #[test]
    fn version_2_is_read_as_ever() {
        let session = Session::decode(2, FROZEN_2.as_bytes()).unwrap();
        assert_eq!(session.proved_at, Some("2026-01-02T03:05:00Z".parse().unwrap()));
        assert_eq!((session.access_key, session.password_changed_at), (None, None));
    }

    #[test]
    fn version_3_is_read_and_written_as_ever() {
        let written = Session::decode(3, FROZEN_3.as_bytes()).unwrap().encode().unwrap();
        let (version, json) = written.split_first().unwrap();
        assert_eq!(*version, 3);
        let (written, frozen): (serde_json::Value, serde_json::Value) = (
            serde_json::from_slice(json).unwrap(),
            serde_json::from_str(FROZEN_3).unwrap(),
        );
        assert_eq!(written, frozen);
    }
}
