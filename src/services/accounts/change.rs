//! What administrators create and change of accounts.

use std::collections::BTreeSet;
use std::iter;

use serde::{Deserialize, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::AccountVersion;
use crate::model::{Email, Username};
use crate::secret::Secret;
use crate::services::Kind;

/// An account to create, verified and approved.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewAccount {
    /// The address.
    pub email: Email,
    /// `None`: made from the local part of the address.
    pub username: Option<Username>,
    /// The name.
    pub name: Option<String>,
    /// The groups.
    pub groups: BTreeSet<String>,
    /// The password.
    pub password: InitialPassword,
}

impl NewAccount {
    /// The username that it gets: the one that is asked for, or what can be made of the address, if anything.
    pub fn effective_username(&self) -> Option<Username> {
        self.username.clone().or_else(|| default_username(&self.email))
    }
}

/// The source of a new password.
///
/// Serialised in the clear, only for the admin socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewPassword {
    /// In the clear; must satisfy the password policy.
    Plain(#[serde(serialize_with = "expose")] Secret<String>),
    /// A bcrypt hash from elsewhere (`$2a$`, `$2b$`, `$2y$`), stored as it is.
    Hash(String),
}

/// The password that a new account begins with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialPassword {
    /// One that is given.
    Set(NewPassword),
    /// A random one that is kept nowhere: the owner sets another with a link.
    ByLink(PasswordLink),
}

/// How the owner of a new account gets the link that sets the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasswordLink {
    /// By mail.
    Mailed,
    /// From the administrator, who makes it with [`reset_link`](crate::services::EmailTokens::reset_link).
    HandedOver,
}

/// An account that is to be changed with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenAccount {
    /// Its address, username or id.
    pub name: String,
    /// The version that the decision was made from, if any.
    pub seen: Option<AccountVersion>,
}

/// A change of an account by an administrator.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountChange {
    /// Approves an account that is pending or was declined.
    Approve,
    /// Declines an account that is pending.
    Decline,
    /// Disables an active account and ends its sessions.
    Disable,
    /// Enables a disabled account.
    Enable,
    /// Clears its failed attempts, and so its lock.
    Unlock,
    /// Replaces its groups.
    SetGroups(BTreeSet<String>),
    /// Adds it to groups and removes it from others, whatever else it is in.
    EditGroups {
        /// The groups that it joins.
        add: BTreeSet<String>,
        /// The groups that it leaves. One that it is not in changes nothing.
        remove: BTreeSet<String>,
    },
    /// Replaces its password and ends its sessions.
    SetPassword(NewPassword),
    /// Replaces its display name; a blank one removes it.
    SetName(String),
    /// Replaces its address, which counts as verified, and tells the former one by mail. Its pending links are void.
    SetEmail(Email),
}

fn expose<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl AccountChange {
    /// Returns the kind of the event that records the change.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Approve => Kind::Approve,
            Self::Decline => Kind::Decline,
            Self::Disable => Kind::Disable,
            Self::Enable => Kind::Enable,
            Self::Unlock => Kind::Unlock,
            Self::SetGroups(_) | Self::EditGroups { .. } => Kind::GroupsChange,
            Self::SetPassword(_) => Kind::PasswordChange,
            Self::SetName(_) => Kind::NameChange,
            Self::SetEmail(_) => Kind::EmailChange,
        }
    }
}

/// Makes a username from the local part, without accents; `-` replaces characters that a username cannot have.
pub(super) fn default_username(email: &Email) -> Option<Username> {
    let name: String = email
        .local()
        .to_lowercase()
        .chars()
        .filter(|&c| !is_combining_mark(c))
        .map(|c| {
            let c = iter::once(c).nfkd().next().unwrap_or(c);
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    name.trim_start_matches(['.', '_', '-'])
        .trim_end_matches('-')
        .parse()
        .ok()
}
