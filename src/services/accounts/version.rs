//! The version of an account that a decision about it is made from.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::AccountChange;
use crate::model::Account;

/// A part of an account that an administrator's decision can depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountPart {
    /// Its address.
    Email,
    /// Where it stands.
    Status,
    /// Its groups.
    Groups,
}

impl AccountPart {
    const ALL: [Self; 3] = [Self::Email, Self::Status, Self::Groups];

    /// Its name, as in the account's document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Status => "status",
            Self::Groups => "groups",
        }
    }

    /// 72 bits of SHA-256: enough to tell one value from the next, and nothing to find an account by.
    fn digest(self, account: &Account) -> String {
        let mut digest = Sha256::new();
        match self {
            Self::Email => digest.update(account.email.as_str()),
            Self::Status => digest.update(account.status.as_str()),
            Self::Groups => account.groups.iter().for_each(|group| {
                digest.update(group);
                // No group has one in its name.
                digest.update(",");
            }),
        }
        URL_SAFE_NO_PAD.encode(&digest.finalize()[..9])
    }
}

/// A version of an account: a digest for each of its [parts](AccountPart), opaque to clients. What an ordinary user can
/// change at will, their name for one, makes no other version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountVersion(String);

impl AccountVersion {
    /// The version of the account as it is.
    pub fn of(account: &Account) -> Self {
        Self(AccountPart::ALL.map(|part| part.digest(account)).join("."))
    }

    /// The version that a form or a document names, if it names one. A text that is no version is none that an account
    /// ever had.
    pub fn named(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Those of `parts` that are something else in the account as it is.
    pub(super) fn differs(&self, account: &Account, parts: &[AccountPart]) -> Vec<AccountPart> {
        let mut known = self.0.split('.');
        let all = AccountPart::ALL.map(|part| (part, known.next()));
        all.into_iter()
            .filter(|(part, _)| parts.contains(part))
            .filter(|(part, known)| *known != Some(part.digest(account).as_str()))
            .map(|(part, _)| part)
            .collect()
    }
}

impl AccountChange {
    /// What of an account has to be as it was seen for this to be what was meant. The rest is applied to the account
    /// whatever became of it: shutting out must not wait.
    pub(super) fn depends_on(&self) -> &'static [AccountPart] {
        match self {
            Self::Approve | Self::Decline | Self::Enable => &AccountPart::ALL,
            Self::SetGroups(_) => &[AccountPart::Groups],
            // What joins and leaves is named itself, whatever the account is in besides.
            Self::Disable | Self::Unlock | Self::EditGroups { .. } | Self::SetPassword(_) => &[],
        }
    }
}
