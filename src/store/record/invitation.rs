//! The rows of invitations.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::ids::InvitationId;
use crate::model::{Invitation, InvitationKind, Maker, TokenDigest};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitationV1 {
    id: InvitationId,
    digest: TokenDigest,
    kind: InvitationKindV1,
    email: Option<String>,
    groups: BTreeSet<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
    name: Option<String>,
    language: Option<String>,
    approves: bool,
    mailed: bool,
    created_by: Option<String>,
    maker: Option<Maker>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum InvitationKindV1 {
    Signup,
    FirstAdministrator,
}

impl StoredRecord for Invitation {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&InvitationV1::from(self))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1::<InvitationV1>(version, json)?.try_into()
    }
}

impl From<&Invitation> for InvitationV1 {
    fn from(invitation: &Invitation) -> Self {
        Self {
            id: invitation.id,
            digest: invitation.digest,
            kind: invitation.kind.into(),
            email: invitation.email.as_ref().map(|email| email.as_str().to_owned()),
            groups: invitation.groups.clone(),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            name: invitation.name.clone(),
            language: invitation.language.clone(),
            approves: invitation.approves,
            mailed: invitation.mailed,
            created_by: invitation.created_by.clone(),
            maker: invitation.maker,
        }
    }
}

impl TryFrom<InvitationV1> for Invitation {
    type Error = RecordError;

    fn try_from(row: InvitationV1) -> Result<Self, RecordError> {
        let email = row.email.map(|email| email.parse()).transpose();
        Ok(Self {
            id: row.id,
            digest: row.digest,
            kind: row.kind.into(),
            email: email.map_err(|_| RecordError::Field("email"))?,
            groups: row.groups,
            created_at: row.created_at,
            expires_at: row.expires_at,
            name: row.name,
            language: row.language,
            approves: row.approves,
            mailed: row.mailed,
            created_by: row.created_by,
            maker: row.maker,
        })
    }
}

impl From<InvitationKind> for InvitationKindV1 {
    fn from(kind: InvitationKind) -> Self {
        match kind {
            InvitationKind::Signup => Self::Signup,
            InvitationKind::FirstAdministrator => Self::FirstAdministrator,
        }
    }
}

impl From<InvitationKindV1> for InvitationKind {
    fn from(kind: InvitationKindV1) -> Self {
        match kind {
            InvitationKindV1::Signup => Self::Signup,
            InvitationKindV1::FirstAdministrator => Self::FirstAdministrator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::assert_version_1_stays;

    /// A row as version 1 was first written; see `account.rs`.
    const FROZEN: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057",
        "digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","kind":"first-administrator",
        "email":"Ann@example.com","groups":["gateway-admin"],"created_at":"2026-01-02T03:04:05Z",
        "expires_at":"2026-01-02T04:04:05Z","name":"Ann","language":"ko","approves":true,"mailed":true,
        "created_by":"root@example.com","maker":{"account":"01890a5d-ac96-774b-bcce-b302099a8057",
        "password_changed_at":"2026-01-02T03:04:05Z","decided_at":"2026-01-02T03:04:05Z"}}"#;

    #[test]
    fn version_1_is_read_and_written_as_ever() {
        assert_version_1_stays::<Invitation>(FROZEN, &[]);
    }
}
