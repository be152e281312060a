//! Audits refused commands.

use super::Administration;
use super::command::{Command, SessionSelector};
use crate::model::{AuditDetail, DetailKey, Email};
use crate::services::{Actor, Event, Kind, Origin};

/// The act of a command, as it is audited.
pub(super) struct AuditedCommand {
    kind: Kind,
    /// The object, as the command names it; may be empty.
    who: String,
    detail: Option<String>,
}

impl AuditedCommand {
    /// Returns the act of a command; `None` if it only reads or is audited elsewhere.
    pub(super) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::AddUser(new) => Self::on(Kind::AccountAdd, new.email.as_str()),
            Command::ChangeUser { user, change } => Self::on(change.kind(), user),
            Command::DeleteUser(user) => Self::on(Kind::AccountDelete, user),
            Command::Invite { invitations, .. } => {
                Self::on(Kind::InvitationCreate, &listed(invitations.invitees.emails()))
            }
            Command::CreateResetLink(user) => Self::on(Kind::ResetLink, user),
            Command::RevokeInvitation(id) => {
                Self::on(Kind::InvitationRevoke, "").with(AuditDetail::of(DetailKey::Invitation, id))
            }
            Command::SendAgain(name) => Self::on(Kind::MailAgain, name),
            Command::DropMail(id) => Self::on(Kind::MailDrop, "").with(AuditDetail::of(DetailKey::Mail, id)),
            Command::RevokeSessions(SessionSelector::Of(user)) => {
                Self::on(Kind::SessionEnd, user).with(AuditDetail::bare(DetailKey::All))
            }
            Command::RevokeSessions(SessionSelector::One { id, of }) => {
                let who = of.as_deref().unwrap_or_default();
                Self::on(Kind::SessionEnd, who).with(AuditDetail::of(DetailKey::Session, id))
            }
            Command::CreateKey { user, .. } => Self::on(Kind::AccessKeyCreate, user),
            Command::ChangeKey { key, change } => {
                Self::on(change.kind(), "").with(AuditDetail::of(DetailKey::AccessKey, key))
            }
            Command::RotateMaster => Self::on(Kind::MasterKeyRotate, ""),
            // Each line of an import is audited as an act.
            Command::ImportLines(_)
            | Command::FindUsers(_)
            | Command::ListGroups
            | Command::ListMails(_)
            | Command::ListLocks
            | Command::ShowUser(_)
            | Command::PlanInvitations { .. }
            | Command::ListInvitations
            | Command::ListSessions(_)
            | Command::Reload
            | Command::ListKeys(_)
            | Command::ReadAudit(_)
            | Command::Whereabouts
            | Command::ListUpstreams
            | Command::Explain { .. }
            | Command::ExplainRequest(_)
            | Command::ExplainRefusals { .. }
            | Command::Recall(_)
            | Command::VerifyStore
            | Command::ExportStore(_)
            | Command::NoteFailedExport(_) => return None,
        })
    }

    /// An act on an account, by any of its names.
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
    /// Audits a refused act; `problem` is a slug. Acts that were executed are audited where they are.
    ///
    /// Does nothing in a store without accounts: no account is concerned, and an import takes only a store
    /// without rows.
    pub(super) async fn note_refused(&self, act: AuditedCommand, problem: &'static str, by: &Actor) {
        if matches!(self.services.accounts.list(None, 1).await, Ok(accounts) if accounts.is_empty()) {
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

fn listed<'e>(emails: impl Iterator<Item = &'e Email>) -> String {
    let names: Vec<&str> = emails.map(Email::as_str).collect();
    names.join(", ")
}
