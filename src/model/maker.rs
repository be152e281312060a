//! The administrator on whose right a link rests.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Account;
use crate::ids::AccountId;

/// The administrator who made a link, as their account was then. Versions are compared, so no clock decides what came
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredMaker")]
pub struct Maker {
    /// The account.
    pub account: AccountId,
    /// When the account's password had been set.
    pub password_changed_at: Timestamp,
    /// When an administrator had last decided on the account's status; `None` if none had.
    pub decided_at: Option<Timestamp>,
}

/// A maker as stores and exports have it.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum StoredMaker {
    Version {
        account: AccountId,
        password_changed_at: Timestamp,
        decided_at: Option<Timestamp>,
    },
    /// Of builds before versions were stored.
    Account(AccountId),
}

impl From<&Account> for Maker {
    fn from(account: &Account) -> Self {
        Self {
            account: account.id,
            password_changed_at: account.password_changed_at,
            decided_at: account.decision.as_ref().map(|decision| decision.at),
        }
    }
}

impl From<StoredMaker> for Maker {
    fn from(stored: StoredMaker) -> Self {
        match stored {
            StoredMaker::Version {
                account,
                password_changed_at,
                decided_at,
            } => Self {
                account,
                password_changed_at,
                decided_at,
            },
            // Which version it was is not known: no account is at this one, and the link is void.
            StoredMaker::Account(account) => Self {
                account,
                password_changed_at: Timestamp::MIN,
                decided_at: Some(Timestamp::MIN),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_maker_is_read_as_it_was_written_and_without_a_version_is_at_none() {
        let account: AccountId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let at: Timestamp = "2026-01-02T03:04:05.000000006Z".parse().unwrap();
        for decided_at in [None, Some(at)] {
            let maker = Maker {
                account,
                password_changed_at: at,
                decided_at,
            };
            let written = serde_json::to_string(&maker).unwrap();
            assert_eq!(serde_json::from_str::<Maker>(&written).unwrap(), maker);
        }
        let bare: Maker = serde_json::from_value(json!(account)).unwrap();
        assert_eq!(bare.account, account);
        assert!(bare.password_changed_at < at && bare.decided_at < Some(at) && bare.decided_at.is_some());
    }
}
