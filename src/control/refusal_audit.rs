//! What is recorded of a command that was refused.

use super::Administration;
use super::command::{Command, KeyChange, SessionSelector, UserChange};
use crate::model::{AuditDetail, DetailKey, Email};
use crate::services::{Actor, Event, Kind, Origin};

/// An act that a command asks for, as the record has it.
pub(super) struct AuditedCommand {
    kind: Kind,
    /// On whom, as the command names them; may be empty.
    who: String,
    detail: Option<String>,
}

impl AuditedCommand {
    /// What a command asks for; `None` if it only looks, or is recorded elsewhere.
    pub(super) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::AddUser(new) => Self::on(Kind::AccountAdd, new.email.as_str()),
            Command::ChangeUser { user, change } => Self::on(kind_of(change), user),
            Command::DeleteUser(user) => Self::on(Kind::AccountDelete, user),
            Command::CreateInvitations(new) => {
                let email = new.email.as_ref().map_or("", Email::as_str);
                Self::on(Kind::InvitationCreate, email)
            }
            Command::CreateInvitationsFor(new) => Self::on(Kind::InvitationCreate, &listed(&new.emails)),
            Command::MailInvitations(new) => Self::on(Kind::InvitationCreate, &listed(&new.emails)),
            Command::CreateResetLink(user) => Self::on(Kind::ResetLink, user),
            Command::RevokeInvitation(id) => {
                Self::on(Kind::InvitationRevoke, "").with(AuditDetail::of(DetailKey::Invitation, id))
            }
            Command::SendAgain(name) => Self::on(Kind::MailAgain, name),
            Command::RevokeSessions(SessionSelector::Of(user)) => {
                Self::on(Kind::SessionEnd, user).with(AuditDetail::bare(DetailKey::All))
            }
            Command::RevokeSessions(SessionSelector::One { id, of }) => {
                let who = of.as_deref().unwrap_or_default();
                Self::on(Kind::SessionEnd, who).with(AuditDetail::of(DetailKey::Session, id))
            }
            Command::CreateKey(new) => Self::on(Kind::AccessKeyCreate, &new.user),
            Command::ChangeKey { key, change } => {
                let kind = match change {
                    KeyChange::Disable => Kind::AccessKeyDisable,
                    KeyChange::Enable => Kind::AccessKeyEnable,
                    KeyChange::Revoke => Kind::AccessKeyRevoke,
                };
                Self::on(kind, "").with(AuditDetail::of(DetailKey::AccessKey, key))
            }
            Command::RotateMaster => Self::on(Kind::MasterKeyRotate, ""),
            // Of lines of a file each is an act.
            Command::ImportLines(_)
            | Command::ListUsers(_)
            | Command::FindUsers(_)
            | Command::ListMails(_)
            | Command::ListLocks
            | Command::ShowUser(_)
            | Command::ListInvitations
            | Command::ListSessions(_)
            | Command::Reload
            | Command::ListKeys(_)
            | Command::ReadAudit(_)
            | Command::Whereabouts
            | Command::Explain { .. }
            | Command::ExplainRequest(_)
            | Command::Recall(_)
            | Command::VerifyStore
            | Command::ExportStore(_)
            | Command::NoteFailedExport(_) => return None,
        })
    }

    /// An act on an account, named in any way.
    pub(super) fn on(kind: Kind, who: &str) -> Self {
        Self {
            kind,
            who: who.trim().chars().take(Email::MAX_LENGTH).collect(),
            detail: None,
        }
    }

    fn with(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}

impl Administration {
    /// Records an act that was refused, for the reason with this slug; one that was done is recorded where it is done.
    ///
    /// In a store without accounts there is nobody to whom it could matter, and an import takes the place of one in which
    /// nothing was kept.
    pub(super) async fn note_refused(&self, act: AuditedCommand, problem: &'static str, by: &Actor) {
        if matches!(self.store.accounts(None, 1).await, Ok(accounts) if accounts.is_empty()) {
            return;
        }
        let event = match self.services.accounts.find(&act.who).await {
            Ok(account) => Event::about(act.kind, &account),
            Err(_) => Event::success(act.kind, act.who),
        };
        let event = Event {
            detail: act.detail,
            ..event.failed_because(problem).by(by)
        };
        self.services.audit.note(&Origin::default(), &event);
    }
}

fn kind_of(change: &UserChange) -> Kind {
    match change {
        UserChange::Approve => Kind::Approve,
        UserChange::Decline => Kind::Decline,
        UserChange::Disable => Kind::Disable,
        UserChange::Enable => Kind::Enable,
        UserChange::Unlock => Kind::Unlock,
        UserChange::SetGroups(_) => Kind::GroupsChange,
        UserChange::SetPassword(_) => Kind::PasswordChange,
    }
}

fn listed(emails: &[Email]) -> String {
    let names: Vec<&str> = emails.iter().map(Email::as_str).collect();
    names.join(", ")
}
