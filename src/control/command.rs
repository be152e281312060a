//! What can be asked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{InvitationId, MailId, SessionId};
use crate::model::{AccessKeyId, AuditCursor};
use crate::services::{
    AccessKeyChange, AccountChange, AccountFilter, Actor, AuditFilter, AuditOrder, HtpasswdDefaults,
    NewAccessKey, NewAccount, NewInvitations,
};

/// How many accounts [`Command::FindUsers`] answers at one time.
pub const USERS_A_PAGE: usize = 1000;

/// How many mails [`Command::ListMails`] answers at one time.
pub(super) const MAILS_A_PAGE: usize = 1000;

/// How many events [`Command::ReadAudit`] answers at one time.
pub const AUDIT_EVENTS_A_PAGE: usize = 1000;

/// One thing that an administrator asks.
///
/// Serialised onto the administrator's socket only: passwords are in it in the clear.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Adds an account, verified and approved. Answers an [`AccountView`](crate::api::AccountView).
    AddUser(NewAccount),
    /// Adds the accounts of some lines of an htpasswd file, or says what it would add. Answers an [`ImportReport`](crate::api::ImportReport).
    ImportLines(HtpasswdLines),
    /// Accounts among many, or all. Answers an [`AccountList`](crate::api::AccountList).
    FindUsers(AccountQuery),
    /// The groups, with their members counted and the routes that name them. Answers a
    /// [`GroupList`](crate::api::GroupList).
    ListGroups,
    /// Up to 1000 mails that wait or failed for good, in the order they were enqueued, from the one after this.
    /// Answers a [`MailList`](crate::api::MailList).
    ListMails(Option<MailId>),
    /// Has a mail sent again that failed for good, by its id, or all of those to an address. Answers
    /// [`ResentMails`](crate::api::ResentMails).
    SendAgain(String),
    /// The locks that are in force. Answers [`LocksView`](crate::api::LocksView).
    ListLocks,
    /// The account with this address, username or id. Answers [`AccountDetails`](crate::api::AccountDetails).
    ShowUser(String),
    /// Changes an account. Answers an [`AccountView`](crate::api::AccountView).
    ChangeUser {
        /// Its address, username or id.
        user: String,
        /// The change.
        change: AccountChange,
    },
    /// Deletes the account with this address, username or id. Answers an [`AccountView`](crate::api::AccountView).
    DeleteUser(String),
    /// Makes invitations. Answers [`CreatedInvitations`](crate::api::CreatedInvitations).
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
    /// Makes a link that sets a new password, whatever `login.reset` says. Answers a [`ResetLink`](crate::api::ResetLink).
    CreateResetLink(String),
    /// Invitations that are good for something, oldest first. Answers an [`InvitationList`](crate::api::InvitationList).
    ListInvitations,
    /// Revokes an invitation. Answers its id.
    RevokeInvitation(InvitationId),
    /// Sessions of an account, or all, newest first. Answers a [`SessionList`](crate::api::SessionList).
    ListSessions(Option<String>),
    /// Ends sessions. Answers [`EndedSessions`](crate::api::EndedSessions).
    RevokeSessions(SessionSelector),
    /// Reads the configuration again. Answers [`ReloadReport`](crate::api::ReloadReport).
    Reload,
    /// Makes an access key. Answers a [`CreatedAccessKey`](crate::api::CreatedAccessKey).
    CreateKey {
        /// Whose: an address, username or id.
        user: String,
        /// The key.
        key: NewAccessKey,
    },
    /// Access keys of an account, or all, in the order they were made. Answers an [`AccessKeyList`](crate::api::AccessKeyList).
    ListKeys(Option<String>),
    /// Changes an access key. Answers the [`AccessKeyView`](crate::api::AccessKeyView) that it then has, or had.
    ChangeKey {
        /// Its public half.
        key: AccessKeyId,
        /// The change.
        change: AccessKeyChange,
    },
    /// Seals the key of all access keys' secrets with another master key. Answers a
    /// [`RotatedMaster`](crate::api::RotatedMaster).
    RotateMaster,
    /// Reads the audit log. Answers an [`AuditEventList`](crate::api::AuditEventList).
    ReadAudit(AuditQuery),
    /// Says where the gateway listens. Answers a [`ServerInfo`](crate::api::ServerInfo).
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
    /// Says what an account was refused since a moment. Answers a `RefusalReport`.
    ExplainRefusals {
        /// Its address, username or id.
        user: String,
        /// The moment.
        since: Timestamp,
    },
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
            | Self::Explain { .. }
            | Self::ExplainRequest(_)
            | Self::ExplainRefusals { .. }
            | Self::Recall(_)
            | Self::VerifyStore => true,
            Self::AddUser(_)
            | Self::SendAgain(_)
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
    /// The command that shows whether this one was done; none where there is nothing to be seen.
    pub fn shown_by(&self) -> Option<&'static str> {
        Some(match self {
            Self::AddUser(_) | Self::ImportLines(_) | Self::DeleteUser(_) => "vestibule user list",
            Self::ChangeUser { .. } => "vestibule user show",
            Self::SendAgain(_) => "vestibule mail list",
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

/// What an export is for; the record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportPurpose {
    /// To go elsewhere.
    Export,
    /// To be kept.
    Backup,
}

/// Which accounts are wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountQuery {
    /// Only those that this lets through.
    pub filter: AccountFilter,
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

/// Lines of an htpasswd file.
#[derive(Debug, Serialize, Deserialize)]
pub struct HtpasswdLines {
    /// The number of the first of them in the file, from 1.
    pub first: usize,
    /// The lines.
    pub text: String,
    /// What their accounts have besides.
    pub defaults: HtpasswdDefaults,
    /// Whether a line whose address has an account is passed over; otherwise it is refused.
    pub skip_existing: bool,
    /// What is done with them.
    pub step: ImportStep,
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
