//! Accounts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, read, write};
use crate::ids::{AccountId, MailId};
use crate::model::{Account, AccountStatus, Agreement, Decision, PendingEmail, Username};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountV1 {
    id: AccountId,
    username: String,
    email: String,
    email_verified: bool,
    name: Option<String>,
    groups: BTreeSet<String>,
    password_hash: String,
    status: AccountStatusV1,
    created_at: Timestamp,
    password_changed_at: Timestamp,
    agreements: Vec<AgreementV1>,
}

/// Version 1 with the language.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountV2 {
    id: AccountId,
    username: String,
    email: String,
    email_verified: bool,
    name: Option<String>,
    groups: BTreeSet<String>,
    password_hash: String,
    status: AccountStatusV1,
    created_at: Timestamp,
    password_changed_at: Timestamp,
    agreements: Vec<AgreementV1>,
    language: Option<String>,
}

/// Version 2 with the decision.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountV3 {
    id: AccountId,
    username: String,
    email: String,
    email_verified: bool,
    name: Option<String>,
    groups: BTreeSet<String>,
    password_hash: String,
    status: AccountStatusV1,
    decision: Option<DecisionV1>,
    created_at: Timestamp,
    password_changed_at: Timestamp,
    agreements: Vec<AgreementV1>,
    language: Option<String>,
}

/// Version 3 with the former usernames; where a change of the address is pending, with that.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountV4 {
    id: AccountId,
    username: String,
    former_usernames: Vec<String>,
    email: String,
    email_verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_email: Option<PendingEmailV1>,
    name: Option<String>,
    groups: BTreeSet<String>,
    password_hash: String,
    status: AccountStatusV1,
    decision: Option<DecisionV1>,
    created_at: Timestamp,
    password_changed_at: Timestamp,
    agreements: Vec<AgreementV1>,
    language: Option<String>,
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
        write(4, &AccountV4::from(self))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        match version {
            1 => AccountV4::from(AccountV3::from(AccountV2::from(read::<AccountV1>(
                version, json,
            )?)))
            .try_into(),
            2 => AccountV4::from(AccountV3::from(read::<AccountV2>(version, json)?)).try_into(),
            3 => AccountV4::from(read::<AccountV3>(version, json)?).try_into(),
            4 => read::<AccountV4>(version, json)?.try_into(),
            _ => Err(RecordError::Version(version)),
        }
    }
}

impl From<AccountV1> for AccountV2 {
    fn from(row: AccountV1) -> Self {
        Self {
            id: row.id,
            username: row.username,
            email: row.email,
            email_verified: row.email_verified,
            name: row.name,
            groups: row.groups,
            password_hash: row.password_hash,
            status: row.status,
            created_at: row.created_at,
            password_changed_at: row.password_changed_at,
            agreements: row.agreements,
            language: None,
        }
    }
}

impl From<AccountV2> for AccountV3 {
    fn from(row: AccountV2) -> Self {
        Self {
            id: row.id,
            username: row.username,
            email: row.email,
            email_verified: row.email_verified,
            name: row.name,
            groups: row.groups,
            password_hash: row.password_hash,
            status: row.status,
            decision: None,
            created_at: row.created_at,
            password_changed_at: row.password_changed_at,
            agreements: row.agreements,
            language: row.language,
        }
    }
}

impl From<AccountV3> for AccountV4 {
    fn from(row: AccountV3) -> Self {
        Self {
            id: row.id,
            username: row.username,
            former_usernames: Vec::new(),
            email: row.email,
            email_verified: row.email_verified,
            pending_email: None,
            name: row.name,
            groups: row.groups,
            password_hash: row.password_hash,
            status: row.status,
            decision: row.decision,
            created_at: row.created_at,
            password_changed_at: row.password_changed_at,
            agreements: row.agreements,
            language: row.language,
        }
    }
}

impl From<&Account> for AccountV4 {
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
        }
    }
}

impl TryFrom<AccountV4> for Account {
    type Error = RecordError;

    fn try_from(row: AccountV4) -> Result<Self, RecordError> {
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

    /// Rows as each version was first written. If a test fails, rows that are on disks can no longer be read: make
    /// another version instead.
    const FROZEN_1: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","username":"ann","email":"Ann@example.com",
        "email_verified":true,"name":null,"groups":["ops"],"password_hash":"$2b$12$x","status":"awaiting-approval",
        "created_at":"2026-01-02T03:04:05.000000006Z","password_changed_at":"2026-01-02T03:04:05Z",
        "agreements":[{"version":"1","at":"2026-01-02T03:04:05Z"}]}"#;

    const FROZEN_2: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","username":"ann","email":"Ann@example.com",
        "email_verified":true,"name":null,"groups":["ops"],"password_hash":"$2b$12$x","status":"awaiting-approval",
        "created_at":"2026-01-02T03:04:05.000000006Z","password_changed_at":"2026-01-02T03:04:05Z",
        "agreements":[{"version":"1","at":"2026-01-02T03:04:05Z"}],"language":"ko"}"#;

    const FROZEN_3: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","username":"ann","email":"Ann@example.com",
        "email_verified":true,"name":null,"groups":["ops"],"password_hash":"$2b$12$x","status":"declined",
        "decision":{"by":"root@example.com","at":"2026-01-02T03:04:05Z","reason":"not one of us"},
        "created_at":"2026-01-02T03:04:05.000000006Z","password_changed_at":"2026-01-02T03:04:05Z",
        "agreements":[{"version":"1","at":"2026-01-02T03:04:05Z"}],"language":"ko"}"#;

    const FROZEN_4: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","username":"ann","former_usernames":["anna"],"email":"Ann@example.com",
        "email_verified":true,"name":null,"groups":["ops"],"password_hash":"$2b$12$x","status":"declined",
        "decision":{"by":"root@example.com","at":"2026-01-02T03:04:05Z","reason":"not one of us"},
        "created_at":"2026-01-02T03:04:05.000000006Z","password_changed_at":"2026-01-02T03:04:05Z",
        "agreements":[{"version":"1","at":"2026-01-02T03:04:05Z"}],"language":"ko"}"#;

    #[test]
    fn version_1_is_read_as_ever() {
        let account = Account::decode(1, FROZEN_1.as_bytes()).unwrap();
        assert_eq!(account.status, AccountStatus::AwaitingApproval);
        assert_eq!(account.agreements.len(), 1);
        assert_eq!(account.language, None);
    }

    #[test]
    fn version_2_is_read_as_ever() {
        let account = Account::decode(2, FROZEN_2.as_bytes()).unwrap();
        assert_eq!(account.language.as_deref(), Some("ko"));
        assert_eq!(account.decision, None);
    }

    #[test]
    fn version_3_is_read_as_ever() {
        let account = Account::decode(3, FROZEN_3.as_bytes()).unwrap();
        assert_eq!(account.status, AccountStatus::Declined);
        assert!(account.decision.is_some() && account.former_usernames.is_empty());
    }

    #[test]
    fn version_4_is_read_and_written_as_ever() {
        let account = Account::decode(4, FROZEN_4.as_bytes()).unwrap();
        let written = account.encode().unwrap();
        let (version, json) = written.split_first().unwrap();
        assert_eq!(*version, 4);
        let (written, frozen): (serde_json::Value, serde_json::Value) = (
            serde_json::from_slice(json).unwrap(),
            serde_json::from_str(FROZEN_4).unwrap(),
        );
        assert_eq!(written, frozen);
    }

    #[test]
    fn a_pending_change_of_the_address_is_read_and_written() {
        let with = r#""email_verified":true,"pending_email":{"email":"a@new.example","since":"2026-01-02T03:04:05Z",
            "mail":"01890a5d-ac96-774b-bcce-b302099a8058"},"#;
        let row = FROZEN_4.replace(r#""email_verified":true,"#, with);
        let account = Account::decode(4, row.as_bytes()).unwrap();
        assert_eq!(
            account.pending_email.as_ref().unwrap().email.as_str(),
            "a@new.example"
        );
        let written = account.encode().unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written[1..]).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(&row).unwrap());
    }
}
