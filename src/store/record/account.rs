//! The rows of accounts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::ids::{AccountId, MailId};
use crate::model::{Account, AccountStatus, Agreement, Decision, PendingEmail, Username};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountV1 {
    id: AccountId,
    username: String,
    former_usernames: Vec<String>,
    email: String,
    email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_email: Option<PendingEmailV1>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    groups: BTreeSet<String>,
    password_hash: String,
    status: AccountStatusV1,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionV1>,
    created_at: Timestamp,
    password_changed_at: Timestamp,
    agreements: Vec<AgreementV1>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sign_in_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingEmailV1 {
    email: String,
    since: Timestamp,
    mail: MailId,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AccountStatusV1 {
    Active,
    AwaitingApproval,
    Declined,
    Disabled,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionV1 {
    by: String,
    at: Timestamp,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgreementV1 {
    version: String,
    at: Timestamp,
}

impl StoredRecord for Account {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&AccountV1::from(self))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1::<AccountV1>(version, json)?.try_into()
    }
}

impl From<&Account> for AccountV1 {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            username: account.username.as_str().to_owned(),
            former_usernames: account.former_usernames.iter().map(ToString::to_string).collect(),
            email: account.email.as_str().to_owned(),
            email_verified: account.email_verified,
            pending_email: account.pending_email.as_ref().map(PendingEmailV1::from),
            name: account.name.clone(),
            groups: account.groups.clone(),
            password_hash: account.password_hash.clone(),
            status: account.status.into(),
            decision: account.decision.as_ref().map(DecisionV1::from),
            created_at: account.created_at,
            password_changed_at: account.password_changed_at,
            agreements: account.agreements.iter().map(AgreementV1::from).collect(),
            language: account.language.clone(),
            last_sign_in_at: account.last_sign_in_at,
        }
    }
}

impl TryFrom<AccountV1> for Account {
    type Error = RecordError;

    fn try_from(row: AccountV1) -> Result<Self, RecordError> {
        Ok(Self {
            id: row.id,
            username: username(&row.username)?,
            former_usernames: row
                .former_usernames
                .iter()
                .map(|name| username(name))
                .collect::<Result<_, _>>()?,
            email: row.email.parse().map_err(|_| RecordError::Field("email"))?,
            email_verified: row.email_verified,
            pending_email: row.pending_email.map(PendingEmail::try_from).transpose()?,
            name: row.name,
            groups: row.groups,
            password_hash: row.password_hash,
            status: row.status.into(),
            decision: row.decision.map(Decision::from),
            created_at: row.created_at,
            password_changed_at: row.password_changed_at,
            agreements: row.agreements.into_iter().map(Agreement::from).collect(),
            language: row.language,
            last_sign_in_at: row.last_sign_in_at,
        })
    }
}

fn username(text: &str) -> Result<Username, RecordError> {
    text.parse().map_err(|_| RecordError::Field("username"))
}

impl From<&PendingEmail> for PendingEmailV1 {
    fn from(pending: &PendingEmail) -> Self {
        Self {
            email: pending.email.as_str().to_owned(),
            since: pending.since,
            mail: pending.mail,
        }
    }
}

impl TryFrom<PendingEmailV1> for PendingEmail {
    type Error = RecordError;

    fn try_from(row: PendingEmailV1) -> Result<Self, RecordError> {
        let email = row.email.parse();
        Ok(Self {
            email: email.map_err(|_| RecordError::Field("pending_email"))?,
            since: row.since,
            mail: row.mail,
        })
    }
}

impl From<AccountStatus> for AccountStatusV1 {
    fn from(status: AccountStatus) -> Self {
        match status {
            AccountStatus::Active => Self::Active,
            AccountStatus::AwaitingApproval => Self::AwaitingApproval,
            AccountStatus::Declined => Self::Declined,
            AccountStatus::Disabled => Self::Disabled,
        }
    }
}

impl From<AccountStatusV1> for AccountStatus {
    fn from(status: AccountStatusV1) -> Self {
        match status {
            AccountStatusV1::Active => Self::Active,
            AccountStatusV1::AwaitingApproval => Self::AwaitingApproval,
            AccountStatusV1::Declined => Self::Declined,
            AccountStatusV1::Disabled => Self::Disabled,
        }
    }
}

impl From<&Decision> for DecisionV1 {
    fn from(decision: &Decision) -> Self {
        Self {
            by: decision.by.clone(),
            at: decision.at,
            reason: decision.reason.clone(),
        }
    }
}

impl From<DecisionV1> for Decision {
    fn from(DecisionV1 { by, at, reason }: DecisionV1) -> Self {
        Self { by, at, reason }
    }
}

impl From<&Agreement> for AgreementV1 {
    fn from(agreement: &Agreement) -> Self {
        Self {
            version: agreement.version.clone(),
            at: agreement.at,
        }
    }
}

impl From<AgreementV1> for Agreement {
    fn from(AgreementV1 { version, at }: AgreementV1) -> Self {
        Self { version, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::assert_version_1_stays;

    /// A row as version 1 was first written. If this test fails, rows on disk can no longer be read: add
    /// another version instead.
    const FROZEN: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","username":"ann","former_usernames":["anna"],
        "email":"Ann@example.com","email_verified":true,
        "pending_email":{"email":"a@new.example","since":"2026-01-02T03:04:05Z","mail":"01890a5d-ac96-774b-bcce-b302099a8058"},
        "name":null,"groups":["ops"],"password_hash":"$2b$12$x","status":"declined",
        "decision":{"by":"root@example.com","at":"2026-01-02T03:04:05Z","reason":"not one of us"},
        "created_at":"2026-01-02T03:04:05.000000006Z","password_changed_at":"2026-01-02T03:04:05Z",
        "agreements":[{"version":"1","at":"2026-01-02T03:04:05Z"}],"language":"ko",
        "last_sign_in_at":"2026-02-03T04:05:06.000000007Z"}"#;

    #[test]
    fn version_1_is_read_and_written_as_ever() {
        assert_version_1_stays::<Account>(FROZEN, &["name"]);
    }

    #[test]
    fn a_version_that_is_not_known_is_refused() {
        for version in [0, 2, 3, 255] {
            let refused = Account::decode(version, FROZEN.as_bytes());
            assert_eq!(
                refused.unwrap_err().to_string(),
                format!("its version {version} is not known")
            );
        }
    }
}
