//! What is answered: accounts, invitations and sessions without what is nobody's to read.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, InvitationId, SessionId};
use crate::model::{
    AccessKeyId, Account, AccountStatus, Agreement, Decision, Email, Invitation, InvitationKind, KeyScope,
    KeyUse, SignInMethod, Username,
};
use crate::services::{AccessKeyInfo, SessionInfo};

/// An account, without the hash of its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// Its username.
    pub username: Username,
    /// Those that it had before.
    #[serde(default)]
    pub former_usernames: Vec<Username>,
    /// Its address.
    pub email: Email,
    /// Whether the address is proven to be theirs.
    pub email_verified: bool,
    /// The name, if they said one.
    pub name: Option<String>,
    /// Its groups.
    pub groups: BTreeSet<String>,
    /// Where it stands with the administrators.
    pub status: AccountStatus,
    /// What an administrator last decided about that.
    pub decision: Option<Decision>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the password was last set.
    pub password_changed_at: Timestamp,
    /// The terms that they agreed to, oldest first.
    pub agreements: Vec<Agreement>,
    /// The language of their pages and mails, if one is known.
    pub language: Option<String>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            username: account.username,
            former_usernames: account.former_usernames,
            email: account.email,
            email_verified: account.email_verified,
            name: account.name,
            groups: account.groups,
            status: account.status,
            decision: account.decision,
            created_at: account.created_at,
            password_changed_at: account.password_changed_at,
            agreements: account.agreements,
            language: account.language,
        }
    }
}

/// An account, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDetails {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// For how many seconds it is still locked after too many failures.
    pub locked_for_seconds: Option<u64>,
    /// How many sessions it has.
    pub sessions: usize,
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// The accounts that were added.
    pub added: Vec<AccountView>,
    /// The lines that added none.
    pub refused: Vec<RefusedLine>,
}

/// A line of a file that added no account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// Its number, from 1.
    pub line: usize,
    /// The name on it.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// An invitation, without what the store knows of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationView {
    /// Its id.
    pub id: InvitationId,
    /// What it is good for.
    pub kind: InvitationKind,
    /// The only address that it serves, if it is bound to one.
    pub email: Option<Email>,
    /// The groups of the account that it makes.
    pub groups: BTreeSet<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment it serves nobody.
    pub expires_at: Timestamp,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            kind: invitation.kind,
            email: invitation.email,
            groups: invitation.groups,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

/// A new invitation with its link, which is shown here and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationLink {
    /// The link to hand out.
    pub link: String,
    /// The invitation.
    #[serde(flatten)]
    pub invitation: InvitationView,
}

/// A link that sets a new password, which is shown here and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetLink {
    /// The link to hand over.
    pub link: String,
    /// Whose password it sets.
    pub email: Email,
    /// From this moment it serves nobody.
    pub expires_at: Timestamp,
}

/// A session, without what is known of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Its public name.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// Their address.
    pub email: String,
    /// How they signed in.
    pub method: SignInMethod,
    /// The access key that it was begun with, and ends with.
    #[serde(default)]
    pub access_key: Option<AccessKeyId>,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the half minute.
    pub last_seen_at: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
    /// From where they signed in.
    pub address: IpAddr,
    /// What their browser called itself.
    pub user_agent: String,
}

impl From<SessionInfo> for SessionView {
    fn from(info: SessionInfo) -> Self {
        let session = info.session;
        Self {
            id: session.id,
            account: session.account,
            email: info.email,
            method: session.method,
            access_key: session.access_key,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: info.expires_at,
            address: session.address,
            user_agent: session.user_agent,
        }
    }
}

/// An access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its public half.
    pub access_key: AccessKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// Their address.
    pub email: String,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment it serves nobody, if there is such a moment.
    pub expires_at: Option<Timestamp>,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether it proves anything now: not if it is disabled or expired, or its owner may not sign in.
    pub live: bool,
    /// Its last use.
    pub last_use: Option<KeyUse>,
    /// What it may be used for.
    #[serde(flatten)]
    pub scope: KeyScope,
}

impl From<AccessKeyInfo> for KeyView {
    fn from(info: AccessKeyInfo) -> Self {
        let key = info.key;
        Self {
            access_key: key.id,
            account: key.account,
            email: info.email,
            name: key.name,
            created_at: key.created_at,
            expires_at: key.expires_at,
            disabled: key.disabled,
            live: info.is_live,
            last_use: key.last_use,
            scope: key.scope,
        }
    }
}

/// A new access key with its secret, which is shown here and nowhere else.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewKeyView {
    /// Its secret half.
    pub secret_key: String,
    /// The key.
    #[serde(flatten)]
    pub key: KeyView,
}

impl std::fmt::Debug for NewKeyView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewKeyView").field(&self.key).finish()
    }
}

/// The master key that seals from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedMaster {
    /// Its fingerprint.
    pub master_key: String,
}

/// How many sessions were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSessions {
    /// The number.
    pub ended: usize,
}

/// Where a gateway listens that runs, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The program's version.
    pub version: String,
    /// `public_url`, with the port that was bound.
    pub public_url: String,
    /// The addresses that speak HTTPS.
    pub https: Vec<SocketAddr>,
    /// The addresses that redirect.
    pub http: Vec<SocketAddr>,
    /// The address of the probes, unless they are off.
    pub ops: Option<SocketAddr>,
    /// The sections that the file says otherwise by now; none if it cannot be read.
    pub changed: Option<Vec<String>>,
    /// What was promised once and the store lost, if it did.
    #[serde(default)]
    pub lost_changes: Option<String>,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The sections that changed and took effect.
    pub changed: Vec<String>,
    /// The keys and sections that changed and take effect when the gateway is started again.
    pub needs_restart: Vec<String>,
    /// What the operator may not have meant.
    pub warnings: Vec<String>,
}
