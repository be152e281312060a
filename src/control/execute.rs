//! Executing commands.

use serde_json::{Value, to_value};

use super::command::{
    AUDIT_EVENTS_A_PAGE, AuditQuery, Command, GivenPassword, HtpasswdLines, NewUser, SessionSelector,
    USERS_A_PAGE, UserChange,
};
use super::refusal_audit::AuditedCommand;
use super::responses::{
    AccountDetails, AccountView, EndedSessions, ImportReport, InvitationView, RefusedLine, SessionView,
};
use super::{Administration, CommandError};
use crate::ids::{InvitationId, SessionId};
use crate::model::{AuditDetail, DetailKey, LockoutSubject};
use crate::services::{AccountChange, AccountError, Actor, Event, Kind, NewAccount, NewPassword, Origin};
use crate::store::{AuditPage, SessionsToEnd};

impl Administration {
    /// Does what is asked, by whom and why is for the record, which has what is refused too. The answer is what [`Command`]
    /// says.
    pub async fn execute(&self, command: Command, by: &Actor) -> Result<Value, CommandError> {
        let act = AuditedCommand::of(&command);
        let answer = self.answer(command, by).await;
        if let (Err(CommandError { problem, .. }), Some(act)) = (&answer, act)
            && let Some(problem) = problem
        {
            self.note_refused(act, problem, by).await;
        }
        answer
    }

    async fn answer(&self, command: Command, by: &Actor) -> Result<Value, CommandError> {
        Ok(match command {
            Command::AddUser(new) => to_value(self.add_user(new, by).await?)?,
            Command::ImportLines(lines) => to_value(self.import_lines(&lines, by).await)?,
            Command::ListUsers(after) => {
                let accounts = self.services.accounts.list(after, USERS_A_PAGE).await?;
                to_value(views::<_, AccountView>(accounts))?
            }
            Command::FindUsers(query) => to_value(self.find_users(query).await?)?,
            Command::ListMails(after) => to_value(self.mails(after).await?)?,
            Command::SendAgain(name) => to_value(self.send_again(&name, by).await?)?,
            Command::ListLocks => to_value(self.locks().await?)?,
            Command::ShowUser(user) => to_value(self.show_user(&user).await?)?,
            Command::ChangeUser { user, change } => {
                let accounts = &self.services.accounts;
                let changed = accounts
                    .change(&user, change.into(), by, &Origin::default())
                    .await?;
                to_value(AccountView::from(changed))?
            }
            Command::DeleteUser(user) => {
                let accounts = &self.services.accounts;
                let deleted = accounts.delete(&user, by, &Origin::default()).await?;
                to_value(AccountView::from(deleted))?
            }
            Command::CreateInvitations(new) => to_value(self.create_invitations(new, by).await?)?,
            Command::CreateInvitationsFor(new) => to_value(self.create_invitations_for(new, by).await?)?,
            Command::MailInvitations(new) => to_value(self.mail_invitations(new, by).await?)?,
            Command::CreateResetLink(user) => to_value(self.reset_link(&user, by).await?)?,
            Command::ListInvitations => {
                let invitations = self.services.invitations.list().await?;
                to_value(views::<_, InvitationView>(invitations))?
            }
            Command::RevokeInvitation(id) => to_value(self.revoke_invitation(id, by).await?)?,
            Command::ListSessions(user) => to_value(self.sessions_of(user.as_deref()).await?)?,
            Command::RevokeSessions(which) => to_value(self.revoke_sessions(which, by).await?)?,
            // A gateway that runs does not get here.
            Command::Reload => return Err(CommandError::new("there is no gateway to reload")),
            // The stages explain it, and whoever puts them together.
            Command::Explain { .. }
            | Command::ExplainRequest(_)
            | Command::Recall(_)
            | Command::Whereabouts => {
                return Err(CommandError::new("there is no gateway to ask"));
            }
            // Answered with more than a document: see `give`.
            Command::ExportStore(_) => return Err(CommandError::new("an export is no document")),
            Command::NoteFailedExport(purpose) => to_value(self.note_failed_export(purpose, by))?,
            Command::CreateKey(new) => to_value(self.create_key(new, by).await?)?,
            Command::ListKeys(user) => to_value(self.keys_of(user.as_deref()).await?)?,
            Command::ChangeKey { key, change } => to_value(self.change_key(key, change, by).await?)?,
            Command::RotateMaster => to_value(self.rotate_master(by).await?)?,
            Command::VerifyStore => self.verify_store().await?,
            Command::ReadAudit(query) => to_value(self.read_audit(query, by).await?)?,
        })
    }

    async fn add_user(&self, new: NewUser, by: &Actor) -> Result<AccountView, AccountError> {
        let added = self
            .services
            .accounts
            .add(new.into(), by, &Origin::default())
            .await?;
        Ok(added.into())
    }

    async fn import_lines(&self, lines: &HtpasswdLines, by: &Actor) -> ImportReport {
        let mut report = ImportReport {
            added: Vec::new(),
            refused: Vec::new(),
        };
        let (accounts, origin) = (&self.services.accounts, Origin::default());
        for line in accounts
            .import_htpasswd(&lines.text, lines.first, by, &origin)
            .await
        {
            match line.result {
                Ok(added) => report.added.push(added.into()),
                Err(error) => {
                    let error = CommandError::from(error);
                    if let Some(problem) = error.problem {
                        let act = AuditedCommand::on(Kind::AccountAdd, &line.name);
                        self.note_refused(act, problem, by).await;
                    }
                    report.refused.push(RefusedLine {
                        line: line.number,
                        name: line.name,
                        reason: error.message,
                    });
                }
            }
        }
        report
    }

    async fn show_user(&self, user: &str) -> Result<AccountDetails, CommandError> {
        let account = self.services.accounts.find(user).await?;
        let locked = self
            .store
            .locked_for(LockoutSubject::Account(account.id), self.lockout)
            .await?;
        Ok(AccountDetails {
            locked_for_seconds: locked.map(|left| left.as_secs().max(1)),
            sessions: self.services.sessions.list(Some(account.id)).len(),
            account: account.into(),
        })
    }

    async fn revoke_invitation(&self, id: InvitationId, by: &Actor) -> Result<InvitationId, CommandError> {
        let invitations = &self.services.invitations;
        if invitations.revoke(id, by, &Origin::default()).await? {
            return Ok(id);
        }
        Err(CommandError::not_found(format!(
            "there is no invitation {id}; `vestibule invite list` shows those that are not used up"
        )))
    }

    async fn sessions_of(&self, user: Option<&str>) -> Result<Vec<SessionView>, CommandError> {
        let account = match user {
            Some(user) => Some(self.services.accounts.find(user).await?.id),
            None => None,
        };
        Ok(views(self.services.sessions.list(account)))
    }

    async fn revoke_sessions(
        &self,
        which: SessionSelector,
        by: &Actor,
    ) -> Result<EndedSessions, CommandError> {
        let (which, event, detail) = match which {
            SessionSelector::Of(user) => {
                let (all, event) = self.services.accounts.sessions_to_end(&user).await?;
                (all, event, AuditDetail::bare(DetailKey::All))
            }
            SessionSelector::One { id, of } => {
                let of_account = match of.as_deref() {
                    Some(user) => self.services.accounts.sessions_to_end(user).await?.1.account,
                    None => None,
                };
                let mut candidates = self.services.sessions.list(of_account).into_iter();
                let Some(info) = candidates.find(|info| info.session.id == id) else {
                    return Err(no_session(id, of.as_deref()));
                };
                let event = Event::success(Kind::SessionEnd, info.email).account(info.session.account);
                (
                    SessionsToEnd::Id(id),
                    event,
                    AuditDetail::of(DetailKey::Session, &id),
                )
            }
        };
        let ended = self.services.sessions.end(which).await?;
        let event = event.by(by).detail(detail);
        match self.services.audit.record(&Origin::default(), &event).await {
            Ok(()) => Ok(EndedSessions { ended }),
            Err(error) => Err(CommandError::after_the_act(format!(
                "the sessions are ended, but {error}"
            ))),
        }
    }

    async fn read_audit(&self, query: AuditQuery, by: &Actor) -> Result<AuditPage, CommandError> {
        let AuditQuery {
            account,
            mut filter,
            order,
            after,
            exports,
            limit,
        } = query;
        let audit = &self.services.audit;
        if let Some(name) = &account {
            filter.about = audit.resolve_subjects(name).await?;
        }
        let limit = limit.min(AUDIT_EVENTS_A_PAGE);
        let page = audit.read(filter, order, after, limit).await?;
        if exports {
            let event = Event::success(Kind::AuditExport, account.unwrap_or_default()).by(by);
            let recorded = audit.record(&Origin::default(), &event).await;
            recorded.map_err(|error| CommandError::new(format!("nothing is exported: {error}")))?;
        }
        Ok(page)
    }

    async fn verify_store(&self) -> Result<Value, CommandError> {
        let verification = self.store.verify().await?;
        match verification.fault_count {
            0 => Ok(to_value(verification)?),
            faults => Err(CommandError::new(format!(
                "the store has {faults} fault(s), of which {} are told; restore it from a backup",
                verification.faults.len()
            ))
            .with_details(&verification)),
        }
    }
}

impl From<NewUser> for NewAccount {
    fn from(new: NewUser) -> Self {
        Self {
            email: new.email,
            username: new.username,
            name: new.name,
            groups: new.groups,
            password: new.password.into(),
        }
    }
}

impl From<GivenPassword> for NewPassword {
    fn from(given: GivenPassword) -> Self {
        match given {
            GivenPassword::Plain(password) => Self::Plain(password),
            GivenPassword::Hash(hash) => Self::Hash(hash),
        }
    }
}

impl From<UserChange> for AccountChange {
    fn from(change: UserChange) -> Self {
        match change {
            UserChange::Approve => Self::Approve,
            UserChange::Decline => Self::Decline,
            UserChange::Disable => Self::Disable,
            UserChange::Enable => Self::Enable,
            UserChange::Unlock => Self::Unlock,
            UserChange::SetGroups(groups) => Self::SetGroups(groups),
            UserChange::SetPassword(password) => Self::SetPassword(password.into()),
        }
    }
}

pub(super) fn views<T, V: From<T>>(items: Vec<T>) -> Vec<V> {
    items.into_iter().map(V::from).collect()
}

fn no_session(id: SessionId, of: Option<&str>) -> CommandError {
    let of = of.map(|user| format!(" of {user}")).unwrap_or_default();
    CommandError::not_found(format!(
        "there is no session {id}{of}; `vestibule session list` shows all"
    ))
}
