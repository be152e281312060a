//! The rows of e-mail tokens.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::ids::{AccountId, MailId};
use crate::model::{EmailToken, Maker, Purpose, TokenDigest};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmailTokenV1 {
    digest: TokenDigest,
    purpose: PurposeV1,
    account: AccountId,
    email: String,
    mail: Option<MailId>,
    maker: Option<Maker>,
    expires_at: Timestamp,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PurposeV1 {
    VerifyEmail,
    Reset,
    ResetByAdministrator,
    ChangeEmail,
}

impl StoredRecord for EmailToken {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&EmailTokenV1 {
            digest: self.digest,
            purpose: self.purpose.into(),
            account: self.account,
            email: self.email.as_str().to_owned(),
            mail: self.mail,
            maker: self.maker,
            expires_at: self.expires_at,
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let row: EmailTokenV1 = only_version_1(version, json)?;
        Ok(Self {
            digest: row.digest,
            purpose: row.purpose.into(),
            account: row.account,
            email: row.email.parse().map_err(|_| RecordError::Field("email"))?,
            mail: row.mail,
            maker: row.maker,
            expires_at: row.expires_at,
        })
    }
}

impl From<Purpose> for PurposeV1 {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::VerifyEmail => Self::VerifyEmail,
            Purpose::Reset => Self::Reset,
            Purpose::ResetByAdministrator => Self::ResetByAdministrator,
            Purpose::ChangeEmail => Self::ChangeEmail,
        }
    }
}

impl From<PurposeV1> for Purpose {
    fn from(purpose: PurposeV1) -> Self {
        match purpose {
            PurposeV1::VerifyEmail => Self::VerifyEmail,
            PurposeV1::Reset => Self::Reset,
            PurposeV1::ResetByAdministrator => Self::ResetByAdministrator,
            PurposeV1::ChangeEmail => Self::ChangeEmail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::assert_version_1_stays;

    /// A row as version 1 was first written; see `account.rs`.
    const FROZEN: &str = r#"{"digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","purpose":"reset-by-administrator",
        "account":"01890a5d-ac96-774b-bcce-b302099a8057","email":"Ann@example.com",
        "mail":"01890a5d-ac96-774b-bcce-b302099a8058","maker":{"account":"01890a5d-ac96-774b-bcce-b302099a8059",
        "password_changed_at":"2026-01-02T03:04:05Z","decided_at":null},"expires_at":"2026-01-02T04:04:05Z"}"#;

    #[test]
    fn version_1_is_read_and_written_as_ever() {
        assert_version_1_stays::<EmailToken>(FROZEN, &[]);
    }
}
