//! The commands of the admin socket, with their parameters.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{InvitationId, MailId, SessionId};
use crate::model::{AccessKeyId, AuditCursor};
use crate::services::{
    AccessKeyChange, AccountChange, AccountQuery, Actor, AuditFilter, AuditOrder, HtpasswdDefaults,
    NewAccessKey, NewAccount, NewInvitations,
};

/// The most accounts in a response to [`Command::FindUsers`].
pub const USERS_A_PAGE: usize = 1000;

/// The most mails in a response to [`Command::ListMails`].
pub(super) const MAILS_A_PAGE: usize = 1000;

/// The most events in a response to [`Command::ReadAudit`].
pub const AUDIT_EVENTS_A_PAGE: usize = 1000;

/// A command of an administrator.
///
/// Serialised only for the admin socket: contains passwords in the clear.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Adds an account, verified and approved. Returns an [`AddedAccount`](crate::api::AddedAccount).
    AddUser(NewAccount),
    /// Adds the accounts of some lines of an htpasswd file. Returns an
    /// [`ImportReport`](crate::api::ImportReport).
    ImportLines(HtpasswdLines),
    /// Searches accounts. Returns an [`AccountList`](crate::api::AccountList).
    FindUsers(AccountQuery),
    /// The groups, with their members counted and the routes that name them. Answers a
    /// [`GroupList`](crate::api::GroupList).
    ListGroups,
    /// Lists up to 1000 queued or failed mails in the order of the queue, after this one. Returns a
    /// [`MailList`](crate::api::MailList).
    ListMails(Option<MailId>),
    /// Sends a failed or waiting mail now, by its id, or all failed mails to an address. Returns
    /// [`ResentMails`](crate::api::ResentMails).
    SendAgain(String),
    /// Removes a waiting or failed mail. Returns its id.
    DropMail(MailId),
    /// Lists the locks in force. Returns [`LocksView`](crate::api::LocksView).
    ListLocks,
    /// Shows the account with this address, username or id. Returns
    /// [`AccountDetails`](crate::api::AccountDetails).
    ShowUser(String),
    /// Changes an account. Returns an [`AccountView`](crate::api::AccountView).
    ChangeUser {
        /// The account's address, username or id.
        user: String,
        /// The change.
        change: AccountChange,
    },
    /// Deletes the account with this address, username or id. Returns an
    /// [`AccountView`](crate::api::AccountView).
    DeleteUser(String),
    /// Creates invitations. Returns [`CreatedInvitations`](crate::api::CreatedInvitations).
    Invite {
        /// The invitations.
        invitations: NewInvitations,
        /// The language of their mails (BCP 47).
        language: Option<String>,
    },
    /// Says which invitations would be made, and makes none. Answers [`CreatedInvitations`](crate::api::CreatedInvitations).
    PlanInvitations {
        /// The invitations.
        invitations: NewInvitations,
        /// The language of their mails (BCP 47).
        language: Option<String>,
    },
    /// Creates a reset link, whatever `login.reset` is. Returns a [`ResetLink`](crate::api::ResetLink).
    CreateResetLink(String),
    /// Lists the valid invitations, oldest first. Returns an [`InvitationList`](crate::api::InvitationList).
    ListInvitations,
    /// Revokes an invitation. Returns its id.
    RevokeInvitation(InvitationId),
    /// Lists the sessions of an account, or all, newest first. Returns a
    /// [`SessionList`](crate::api::SessionList).
    ListSessions(Option<String>),
    /// Ends sessions. Returns [`EndedSessions`](crate::api::EndedSessions).
    RevokeSessions(SessionSelector),
    /// Reloads the configuration. Returns a [`ReloadReport`](crate::api::ReloadReport).
    Reload,
    /// Creates an access key. Returns a [`CreatedAccessKey`](crate::api::CreatedAccessKey).
    CreateKey {
        /// The owner's address, username or id.
        user: String,
        /// The key.
        key: NewAccessKey,
    },
    /// Lists the access keys of an account, or all, in the order of creation. Returns an
    /// [`AccessKeyList`](crate::api::AccessKeyList).
    ListKeys(Option<String>),
    /// Changes an access key. Returns its [`AccessKeyView`](crate::api::AccessKeyView), for a revoked key the
    /// last one.
    ChangeKey {
        /// Its public id.
        key: AccessKeyId,
        /// The change.
        change: AccessKeyChange,
    },
    /// Encrypts the data key with another master key. Returns a [`RotatedMaster`](crate::api::RotatedMaster).
    RotateMaster,
    /// Reads the audit log. Returns an [`AuditEventList`](crate::api::AuditEventList).
    ReadAudit(AuditQuery),
    /// Returns where the gateway listens, as [`ServerInfo`](crate::api::ServerInfo).
    Whereabouts,
    /// Lists the upstreams and the state of their servers. Returns an [`UpstreamList`](crate::api::UpstreamList).
    ListUpstreams,
    /// Explains what would happen to a request. Returns an `ExplainReport`.
    Explain {
        /// Its method.
        method: String,
        /// Its URL, or a path at `public_url`.
        url: String,
        /// The address, username or id of the account that sends it; `None`: anonymous.
        user: Option<String>,
        /// Its `Destination`: a URL, or a path at the same host.
        #[serde(default)]
        destination: Option<String>,
        /// The client's address; `None`: not known.
        #[serde(default)]
        client: Option<IpAddr>,
    },
    /// Explains what happened to the request with this id. Returns a `RequestReport`.
    ExplainRequest(String),
    /// Says what an account was refused since a moment. Answers a `RefusalReport`.
    ExplainRefusals {
        /// Its address, username or id.
        user: String,
        /// The moment.
        since: Timestamp,
    },
    /// Looks the request with this id up in memory only. Returns a `RecentRequest` or null.
    Recall(String),
    /// Verifies the store. Returns a [`Verification`](crate::store::Verification) without faults; with
    /// faults, an error.
    VerifyStore,
    /// Exports the store. Streams lines, then returns a [`Summary`](crate::store::Summary).
    ExportStore(ExportPurpose),
    /// Audits that an export came to nothing. Returns null.
    NoteFailedExport(ExportPurpose),
}

impl Command {
    /// Returns whether it changes nothing. An export counts as a change, since it is audited.
    pub fn only_reads(&self) -> bool {
        match self {
            Self::ImportLines(lines) => matches!(lines.step, ImportStep::DryRun),
            Self::FindUsers(_)
            | Self::ListGroups
            | Self::ListMails(_)
            | Self::ListLocks
            | Self::ShowUser(_)
            | Self::PlanInvitations { .. }
            | Self::ListInvitations
            | Self::ListSessions(_)
            | Self::ListKeys(_)
            | Self::ReadAudit(_)
            | Self::Whereabouts
            | Self::ListUpstreams
            | Self::Explain { .. }
            | Self::ExplainRequest(_)
            | Self::ExplainRefusals { .. }
            | Self::Recall(_)
            | Self::VerifyStore => true,
            Self::AddUser(_)
            | Self::SendAgain(_)
            | Self::DropMail(_)
            | Self::ChangeUser { .. }
            | Self::DeleteUser(_)
            | Self::Invite { .. }
            | Self::CreateResetLink(_)
            | Self::RevokeInvitation(_)
            | Self::RevokeSessions(_)
            | Self::Reload
            | Self::CreateKey { .. }
            | Self::ChangeKey { .. }
            | Self::RotateMaster
            | Self::ExportStore(_)
            | Self::NoteFailedExport(_) => false,
        }
    }
}

impl Command {
    /// Returns the command that shows whether this one was executed; `None` if nothing shows it.
    pub fn shown_by(&self) -> Option<&'static str> {
        Some(match self {
            Self::AddUser(_) | Self::ImportLines(_) | Self::DeleteUser(_) => "vestibule user list",
            Self::ChangeUser { .. } => "vestibule user show",
            Self::SendAgain(_) | Self::DropMail(_) => "vestibule mail list",
            Self::Invite { .. } | Self::RevokeInvitation(_) => "vestibule invite list",
            Self::CreateResetLink(_) => "vestibule audit --event reset-link",
            Self::RevokeSessions(_) => "vestibule session list",
            Self::CreateKey { .. } | Self::ChangeKey { .. } => "vestibule key list",
            Self::Reload => "vestibule doctor",
            Self::RotateMaster => "vestibule audit --event master-key-rotate",
            _ => return None,
        })
    }
}

/// The purpose of an export, for the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportPurpose {
    /// To be imported elsewhere.
    Export,
    /// To be kept as a backup.
    Backup,
}

/// Parameters of [`Command::ReadAudit`].
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditQuery {
    /// Only events of the subjects of this name: see
    /// [`resolve_subjects`](crate::services::Audit::resolve_subjects).
    pub account: Option<String>,
    /// Only those that this lets through.
    pub filter: AuditFilter,
    /// In which order.
    pub order: AuditOrder,
    /// Only events after this one.
    pub after: Option<AuditCursor>,
    /// Whether this read begins an export, which is audited.
    #[serde(default)]
    pub exports: bool,
    /// The most events, at most [`AUDIT_EVENTS_A_PAGE`].
    pub limit: usize,
}

/// A part of an htpasswd file.
#[derive(Debug, Serialize, Deserialize)]
pub struct HtpasswdLines {
    /// The number of its first line in the file, from 1.
    pub first: usize,
    /// The lines.
    pub text: String,
    /// What their accounts have besides.
    pub defaults: HtpasswdDefaults,
    /// Whether a line whose address has an account is passed over; otherwise it is refused.
    pub skip_existing: bool,
    /// What is done with them.
    pub step: ImportStep,
    /// Whether the report lists the accounts; otherwise it counts them.
    pub lists: bool,
}

/// What is done with the lines of an htpasswd file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportStep {
    /// Reports what would become of them. Changes and records nothing.
    DryRun,
    /// Reports what would become of them, before they are added, and records refusals in the audit log.
    Check,
    /// They are added.
    Add,
}

/// The sessions to end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionSelector {
    /// All of the account with this address, username or id.
    Of(String),
    /// A single one.
    One {
        /// Its public id.
        id: SessionId,
        /// The account that must own it, if one is given.
        of: Option<String>,
    },
}

/// Returns the actor for commands of this system user.
pub fn by_command_of(uid: u32) -> Actor {
    Actor::operator(format!("command (uid {uid})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::services::NewPassword;

    #[test]
    fn a_password_crosses_the_socket_and_shows_in_no_debug_output() {
        let change = Command::ChangeUser {
            user: "ann".to_owned(),
            change: AccountChange::SetPassword(NewPassword::Plain(Secret::new("hunter2!".to_owned()))),
        };
        assert!(!format!("{change:?}").contains("hunter2"));

        let wire = serde_json::to_string(&change).unwrap();
        let Ok(Command::ChangeUser {
            change: AccountChange::SetPassword(NewPassword::Plain(password)),
            ..
        }) = serde_json::from_str(&wire)
        else {
            panic!("{wire} is another command");
        };
        assert_eq!(password.expose(), "hunter2!");
    }
}
