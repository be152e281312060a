//! What can be asked.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::ids::{AccountId, InvitationId, MailId, SessionId};
use crate::model::{AccessKeyId, AccountStatus, AuditCursor, Email, KeyScope, Username};
use crate::secret::Secret;
use crate::services::Actor;
use crate::store::{AuditFilter, AuditOrder};

/// How many accounts [`Command::ListUsers`] answers at one time.
pub const USERS_A_PAGE: usize = 1000;

/// How many mails [`Command::ListMails`] answers at one time.
pub const MAILS_A_PAGE: usize = 1000;

/// How many events [`Command::ReadAudit`] answers at one time.
pub const AUDIT_EVENTS_A_PAGE: usize = 1000;

/// One thing that an administrator asks.
///
/// Serialised onto the administrator's socket only: passwords are in it in the clear.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Adds an account, verified and approved. Answers an [`AccountView`](super::AccountView).
    AddUser(NewUser),
    /// Adds the accounts of some lines of an htpasswd file. Answers an [`ImportReport`](super::ImportReport).
    ImportLines(HtpasswdLines),
    /// Up to [`USERS_A_PAGE`] accounts in the order they were made, from the one after this.
    /// Answers a list of [`AccountView`](super::AccountView).
    ListUsers(Option<AccountId>),
    /// Accounts among many. Answers [`FoundUsers`](super::FoundUsers).
    FindUsers(UserQuery),
    /// Up to [`MAILS_A_PAGE`] mails that wait or failed for good, in the order they were enqueued, from the one after this.
    /// Answers a list of [`MailView`](super::MailView).
    ListMails(Option<MailId>),
    /// Has a mail sent again that failed for good, by its id, or all of those to an address. Answers
    /// [`ResentMails`](super::ResentMails).
    SendAgain(String),
    /// The locks that are in force. Answers [`LocksView`](super::LocksView).
    ListLocks,
    /// The account with this address, username or id. Answers [`AccountDetails`](super::AccountDetails).
    ShowUser(String),
    /// Changes an account. Answers an [`AccountView`](super::AccountView).
    ChangeUser {
        /// Its address, username or id.
        user: String,
        /// The change.
        change: UserChange,
    },
    /// Deletes the account with this address, username or id. Answers an [`AccountView`](super::AccountView).
    DeleteUser(String),
    /// Makes invitations. Answers a list of [`InvitationLink`](super::InvitationLink).
    CreateInvitations(NewInvitations),
    /// Makes invitations, one an address. Answers a list of [`InvitationLink`](super::InvitationLink).
    CreateInvitationsFor(BoundInvitations),
    /// Makes invitations, one an address, and mails them. Answers a list of [`InvitationView`](super::InvitationView).
    MailInvitations(MailedInvitations),
    /// Makes a link that sets a new password, whatever `login.reset` says. Answers a [`ResetLink`](super::ResetLink).
    CreateResetLink(String),
    /// Invitations that are good for something, oldest first.
    /// Answers a list of [`InvitationView`](super::InvitationView).
    ListInvitations,
    /// Revokes an invitation. Answers its id.
    RevokeInvitation(InvitationId),
    /// Sessions of an account, or all, newest first. Answers a list of [`SessionView`](super::SessionView).
    ListSessions(Option<String>),
    /// Ends sessions. Answers [`EndedSessions`](super::EndedSessions).
    RevokeSessions(SessionSelector),
    /// Reads the configuration again. Answers [`ReloadReport`](super::ReloadReport).
    Reload,
    /// Makes an access key. Answers a [`NewKeyView`](super::NewKeyView).
    CreateKey(NewKey),
    /// Access keys of an account, or all, in the order they were made. Answers a list of [`KeyView`](super::KeyView).
    ListKeys(Option<String>),
    /// Changes an access key. Answers the [`KeyView`](super::KeyView) that it then has, or had.
    ChangeKey {
        /// Its public half.
        key: AccessKeyId,
        /// The change.
        change: KeyChange,
    },
    /// Seals the key of all access keys' secrets with another master key. Answers a
    /// [`RotatedMaster`](super::RotatedMaster).
    RotateMaster,
    /// Reads the audit log. Answers an [`AuditPage`](crate::store::AuditPage).
    ReadAudit(AuditQuery),
    /// Says where the gateway listens. Answers a [`ServerInfo`](super::ServerInfo).
    Whereabouts,
    /// Says what would become of a request, and why. Answers an `ExplainReport`.
    Explain {
        /// Its method.
        method: String,
        /// Its URL, or a path at `public_url`.
        url: String,
        /// Whose it is: an address, username or id. Nobody's if none.
        user: Option<String>,
        /// Its `Destination`: a URL, or a path at the same host.
        #[serde(default)]
        destination: Option<String>,
    },
    /// Says what became of the request with this id. Answers a `RequestReport`.
    ExplainRequest(String),
    /// Says what the running gateway remembers of the request with this id, at once. Answers a `RecentRequest` or null.
    Recall(String),
    /// Checks the store. Answers a [`Verification`](crate::store::Verification) without faults.
    VerifyStore,
    /// Writes everything in the store out. Answers with lines, and then a [`Summary`](crate::store::Summary).
    ExportStore(ExportPurpose),
    /// Puts on record that nothing came of an export. Answers nothing.
    NoteFailedExport(ExportPurpose),
}

impl Command {
    /// Whether it changes nothing but the record, which an export of the audit log is on.
    pub fn only_reads(&self) -> bool {
        match self {
            Self::ListUsers(_)
            | Self::FindUsers(_)
            | Self::ListMails(_)
            | Self::ListLocks
            | Self::ShowUser(_)
            | Self::ListInvitations
            | Self::ListSessions(_)
            | Self::ListKeys(_)
            | Self::ReadAudit(_)
            | Self::Whereabouts
            | Self::Explain { .. }
            | Self::ExplainRequest(_)
            | Self::Recall(_)
            | Self::VerifyStore => true,
            Self::AddUser(_)
            | Self::ImportLines(_)
            | Self::SendAgain(_)
            | Self::ChangeUser { .. }
            | Self::DeleteUser(_)
            | Self::CreateInvitations(_)
            | Self::CreateInvitationsFor(_)
            | Self::MailInvitations(_)
            | Self::CreateResetLink(_)
            | Self::RevokeInvitation(_)
            | Self::RevokeSessions(_)
            | Self::Reload
            | Self::CreateKey(_)
            | Self::ChangeKey { .. }
            | Self::RotateMaster
            | Self::ExportStore(_)
            | Self::NoteFailedExport(_) => false,
        }
    }
}

impl Command {
    /// The command that shows whether this one was done; none where there is nothing to be seen.
    pub fn shown_by(&self) -> Option<&'static str> {
        Some(match self {
            Self::AddUser(_) | Self::ImportLines(_) | Self::DeleteUser(_) => "vestibule user list",
            Self::ChangeUser { .. } => "vestibule user show",
            Self::SendAgain(_) => "vestibule mail list",
            Self::CreateInvitations(_)
            | Self::CreateInvitationsFor(_)
            | Self::MailInvitations(_)
            | Self::RevokeInvitation(_) => "vestibule invite list",
            Self::CreateResetLink(_) => "vestibule audit --event reset-link",
            Self::RevokeSessions(_) => "vestibule session list",
            Self::CreateKey(_) | Self::ChangeKey { .. } => "vestibule key list",
            Self::Reload => "vestibule doctor",
            Self::RotateMaster => "vestibule audit --event master-key-rotate",
            _ => return None,
        })
    }
}

/// What an export is for; the record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportPurpose {
    /// To go elsewhere.
    Export,
    /// To be kept.
    Backup,
}

/// Which accounts are wanted: all that all of this is true of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UserQuery {
    /// The address, a username, the name or a word of it begins with this.
    pub text: Option<String>,
    /// Stands there.
    pub status: Option<AccountStatus>,
    /// Is in this group.
    pub group: Option<String>,
    /// From what another answer named.
    pub after: Option<String>,
    /// How many, at most [`USERS_A_PAGE`].
    pub limit: usize,
}

/// Which events are wanted.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditQuery {
    /// Only those of whom this name means: see [`resolve_subjects`](crate::services::Audit::resolve_subjects).
    pub account: Option<String>,
    /// Only those that this lets through.
    pub filter: AuditFilter,
    /// In which order.
    pub order: AuditOrder,
    /// Those after this one.
    pub after: Option<AuditCursor>,
    /// Whether it begins an export, which is recorded.
    #[serde(default)]
    pub exports: bool,
    /// How many, at most [`AUDIT_EVENTS_A_PAGE`].
    pub limit: usize,
}

/// An account to add.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewUser {
    /// The address.
    pub email: Email,
    /// The username; the local part of the address if none.
    pub username: Option<Username>,
    /// The name.
    pub name: Option<String>,
    /// The groups.
    pub groups: BTreeSet<String>,
    /// The password.
    pub password: GivenPassword,
}

/// Lines of an htpasswd file.
#[derive(Debug, Serialize, Deserialize)]
pub struct HtpasswdLines {
    /// The number of the first of them in the file, from 1.
    pub first: usize,
    /// The lines.
    pub text: String,
}

/// A password that an administrator gives.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GivenPassword {
    /// In the clear; must pass the policy.
    Plain(#[serde(serialize_with = "exposed")] Secret<String>),
    /// A bcrypt hash from elsewhere.
    Hash(String),
}

/// A change of an account.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserChange {
    /// Lets it in that waits for approval, or was declined.
    Approve,
    /// Does not let it in that waits for approval.
    Decline,
    /// Shuts it out that was let in, and ends its sessions.
    Disable,
    /// Lets it in again that was disabled.
    Enable,
    /// Lifts its lock.
    Unlock,
    /// Replaces its groups.
    SetGroups(BTreeSet<String>),
    /// Replaces its password and ends its sessions.
    SetPassword(GivenPassword),
}

/// Invitations to make, all alike.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewInvitations {
    /// The only address that they serve.
    pub email: Option<Email>,
    /// The groups of the accounts that they make.
    pub groups: BTreeSet<String>,
    /// How long they last.
    pub ttl: Duration,
    /// How many; one if they serve an address.
    pub count: u16,
}

/// Invitations to make, each for an address.
#[derive(Debug, Serialize, Deserialize)]
pub struct BoundInvitations {
    /// For whom; each may use one, and nobody else may.
    pub emails: Vec<Email>,
    /// The groups of the accounts that they make.
    pub groups: BTreeSet<String>,
    /// How long they last.
    pub ttl: Duration,
}

/// Invitations to make and to mail.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailedInvitations {
    /// To whom; each may use one, and nobody else may.
    pub emails: Vec<Email>,
    /// The groups of the accounts that they make.
    pub groups: BTreeSet<String>,
    /// How long they last.
    pub ttl: Duration,
    /// The language to write in (BCP 47).
    pub language: Option<String>,
}

/// An access key to make.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewKey {
    /// Whose: an address, username or id.
    pub user: String,
    /// What its owner calls it.
    pub name: String,
    /// How long it lasts, if not until it is revoked.
    pub ttl: Option<Duration>,
    /// What it may be used for.
    pub scope: KeyScope,
}

/// A change of an access key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyChange {
    /// Switches it off.
    Disable,
    /// Switches it on again.
    Enable,
    /// Removes it for ever.
    Revoke,
}

/// Which sessions to end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionSelector {
    /// All of the account with this address, username or id.
    Of(String),
    /// One.
    One {
        /// Its public name.
        id: SessionId,
        /// Whose it must be, if that was said.
        of: Option<String>,
    },
}

/// Who a command of this system user is, in the record.
pub fn by_command_of(uid: u32) -> Actor {
    Actor::operator(format!("command (uid {uid})"))
}

fn exposed<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_crosses_the_socket_and_shows_in_no_debug_output() {
        let change = Command::ChangeUser {
            user: "ann".to_owned(),
            change: UserChange::SetPassword(GivenPassword::Plain(Secret::new("hunter2!".to_owned()))),
        };
        assert!(!format!("{change:?}").contains("hunter2"));

        let wire = serde_json::to_string(&change).unwrap();
        let Ok(Command::ChangeUser {
            change: UserChange::SetPassword(GivenPassword::Plain(password)),
            ..
        }) = serde_json::from_str(&wire)
        else {
            panic!("{wire} is another command");
        };
        assert_eq!(password.expose(), "hunter2!");
    }
}
