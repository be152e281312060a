//! Account versions for optimistic concurrency of administrators' decisions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::AccountChange;
use crate::model::Account;

/// A part of an account that a decision can depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountPart {
    /// Its address.
    Email,
    /// Where it stands.
    Status,
    /// Its groups.
    Groups,
    /// Its display name.
    Name,
}

impl AccountPart {
    const ALL: [Self; 4] = [Self::Email, Self::Status, Self::Groups, Self::Name];

    /// What a decision on the status depends on: not the name, which the owner changes at will.
    const DECIDED_BY: [Self; 3] = [Self::Email, Self::Status, Self::Groups];

    /// Its name, as in the account's JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Status => "status",
            Self::Groups => "groups",
            Self::Name => "name",
        }
    }

    /// 72 bits of SHA-256 in base64url: enough to tell values apart, too little to identify an account by.
    fn digest(self, account: &Account) -> String {
        let mut digest = Sha256::new();
        match self {
            Self::Email => digest.update(account.email.as_str()),
            Self::Status => digest.update(account.status.as_str()),
            Self::Groups => account.groups.iter().for_each(|group| {
                digest.update(group);
                // Separates the names: none contains a comma.
                digest.update(",");
            }),
            Self::Name => digest.update(account.name.as_deref().unwrap_or_default()),
        }
        URL_SAFE_NO_PAD.encode(&digest.finalize()[..9])
    }
}

/// A version of an account: a digest for each of its [parts](AccountPart), opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountVersion(String);

impl AccountVersion {
    /// Computes the version of an account.
    pub fn of(account: &Account) -> Self {
        Self(AccountPart::ALL.map(|part| part.digest(account)).join("."))
    }

    /// Wraps the version that a form or JSON document gives; `None` if empty. A malformed text matches no
    /// account.
    pub fn named(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns those of `parts` that differ in `account`.
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
    /// Returns the parts that must be as they were seen for the change to be what was meant. The other
    /// changes apply to any version: a revocation must not wait.
    pub(super) fn depends_on(&self) -> &'static [AccountPart] {
        match self {
            Self::Approve | Self::Decline | Self::Enable => &AccountPart::DECIDED_BY,
            Self::SetGroups(_) => &[AccountPart::Groups],
            Self::SetName(_) => &[AccountPart::Name],
            Self::SetEmail(_) => &[AccountPart::Email],
            // What joins and leaves is named itself, whatever the account is in besides.
            Self::Disable | Self::Unlock | Self::EditGroups { .. } | Self::SetPassword(_) => &[],
        }
    }
}
