//! Executes commands: each calls the service that the pages call, and returns its result in a form of `api`.

use serde_json::{Value, to_value};

use super::command::{
    AUDIT_EVENTS_A_PAGE, AuditQuery, Command, HtpasswdLines, ImportStep, MAILS_A_PAGE, SessionSelector,
    USERS_A_PAGE,
};
use super::refusal_audit::AuditedCommand;
use super::{Administration, CommandError};
use crate::api::{
    AccessKeyList, AccessKeyView, AccountDetails, AccountList, AccountView, AddedAccount, AuditEventList,
    CreatedAccessKey, CreatedInvitations, EndedSessions, GroupList, ImportReport, InvitationList, LocksView,
    MailList, PlannedAccount, RefusedLine, ResentMails, ResetLink, RotatedMaster, SessionList, SkippedLine,
};
use crate::ids::{AccountId, InvitationId, MailId};
use crate::model::{AccessKeyId, Email, QueuedMail};
use crate::services::{
    AccessKeyChange, AccountError, AccountQuery, Actor, Event, InitialPassword, Kind, MailFilter,
    NewAccessKey, NewAccount, Origin, PasswordLink,
};

impl Administration {
    /// Executes a command. `by` is the actor in the audit log, which also gets refusals. The result is the
    /// one that [`Command`] documents.
    pub async fn execute(&self, command: Command, by: &Actor) -> Result<Value, CommandError> {
        let act = AuditedCommand::of(&command);
        // Boxed: the future is as large as the largest command's.
        let answer = Box::pin(self.answer(command, by)).await;
        if let (Err(CommandError { problem, .. }), Some(act)) = (&answer, act)
            && let Some(problem) = problem
        {
            self.note_refused(act, problem, by).await;
        }
        answer
    }

    async fn answer(&self, command: Command, by: &Actor) -> Result<Value, CommandError> {
        let (services, origin) = (&self.services, &Origin::default());
        Ok(match command {
            Command::AddUser(new) => to_value(self.add_account(new, by).await?)?,
            Command::ImportLines(lines) => to_value(self.import_lines(&lines, by).await)?,
            Command::FindUsers(query) => to_value(self.find_accounts(query).await?)?,
            Command::ListGroups => to_value(GroupList::from(services.admin_queries.groups().await?))?,
            Command::ShowUser(user) => to_value(self.show_account(&user).await?)?,
            Command::ChangeUser { user, change } => {
                let changed = services.accounts.change(&user, change, by, origin).await?;
                to_value(AccountView::from(changed))?
            }
            Command::DeleteUser(user) => {
                let deleted = services.accounts.delete(&user, by, origin).await?;
                to_value(AccountView::from(deleted))?
            }
            Command::CreateResetLink(user) => to_value(self.reset_link(&user, by).await?)?,
            Command::Invite {
                invitations,
                language,
            } => {
                let origin = in_language(language);
                let invited = services.invitations.invite(invitations, by, &origin).await?;
                to_value(CreatedInvitations::from(invited))?
            }
            Command::PlanInvitations {
                invitations,
                language,
            } => {
                let origin = in_language(language);
                let planned = services.invitations.plan(invitations, by, &origin).await?;
                to_value(CreatedInvitations::planned(planned))?
            }
            Command::ListInvitations => {
                let invitations = services.invitations.list().await?;
                to_value(InvitationList::from(invitations))?
            }
            Command::RevokeInvitation(id) => to_value(self.revoke_invitation(id, by).await?)?,
            Command::ListSessions(user) => {
                let account = self.named(user.as_deref()).await?;
                to_value(SessionList::all(&services.sessions.list(account)))?
            }
            Command::RevokeSessions(which) => to_value(self.revoke_sessions(which, by).await?)?,
            Command::CreateKey { user, key } => to_value(self.create_key(&user, key, by).await?)?,
            Command::ListKeys(user) => {
                let account = self.named(user.as_deref()).await?;
                to_value(AccessKeyList::from(services.access_keys.list(account).await?))?
            }
            Command::ChangeKey { key, change } => to_value(self.change_key(key, change, by).await?)?,
            Command::RotateMaster => {
                let master_key = services.access_keys.rotate_master(by).await?;
                to_value(RotatedMaster { master_key })?
            }
            Command::ListMails(after) => {
                let (queries, all) = (&services.admin_queries, MailFilter::default());
                to_value(MailList::from(
                    queries.find_mails(&all, after, MAILS_A_PAGE).await?,
                ))?
            }
            Command::SendAgain(name) => to_value(self.send_again(&name, by).await?)?,
            Command::DropMail(id) => to_value(self.drop_mail(id, by).await?)?,
            Command::ListLocks => to_value(LocksView::from(services.admin_queries.locks().await?))?,
            Command::ReadAudit(query) => to_value(self.read_audit(query, by).await?)?,
            Command::VerifyStore => self.verify_store().await?,
            Command::NoteFailedExport(purpose) => to_value(self.note_failed_export(purpose, by))?,
            // Returns more than a document: see `run`.
            Command::ExportStore(_) => return Err(CommandError::new("an export is no document")),
            // A running gateway handles it before.
            Command::Reload => return Err(CommandError::new("there is no gateway to reload")),
            // Handled by a running gateway, in `app`.
            Command::Explain { .. }
            | Command::ExplainRequest(_)
            | Command::ExplainRefusals { .. }
            | Command::Recall(_)
            | Command::Whereabouts
            | Command::ListUpstreams => {
                return Err(CommandError::new("there is no gateway to ask"));
            }
        })
    }

    async fn import_lines(&self, lines: &HtpasswdLines, by: &Actor) -> ImportReport {
        let HtpasswdLines {
            first,
            text,
            defaults,
            skip_existing,
            step,
            lists,
        } = lines;
        let (accounts, origin) = (&self.services.accounts, Origin::default());
        let (results, mut planned) = match step {
            ImportStep::DryRun | ImportStep::Check => (
                accounts.preview_htpasswd(text, *first, defaults).await,
                Some(Vec::new()),
            ),
            ImportStep::Add => {
                let imported = accounts.import_htpasswd(text, *first, defaults, by, &origin);
                (imported.await, None)
            }
        };
        let mut report = ImportReport::default();
        for line in results {
            match (line.result, &mut planned) {
                (Ok(_), _) if !lists => report.unlisted_count += 1,
                (Ok(account), Some(planned)) => planned.push(PlannedAccount {
                    line: line.number,
                    email: account.email,
                    username: account.username,
                    groups: account.groups,
                }),
                (Ok(added), None) => report.added.push(added.into()),
                (Err(AccountError::EmailTaken(email)), _) if *skip_existing => {
                    let line = line.number;
                    report.skipped.push(SkippedLine { line, email });
                }
                (Err(error), _) => {
                    let error = CommandError::of_import(error);
                    if let Some(problem) = error.problem.filter(|_| *step != ImportStep::DryRun) {
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
        ImportReport { planned, ..report }
    }

    async fn add_account(&self, new: NewAccount, by: &Actor) -> Result<AddedAccount, CommandError> {
        let origin = Origin::default();
        let is_handed_over = matches!(new.password, InitialPassword::ByLink(PasswordLink::HandedOver));
        let account = self.services.accounts.add(new, by, &origin).await?;
        let (link, link_expires_at) = if is_handed_over {
            let links = &self.services.email_tokens;
            let (link, expires_at) = links.reset_link(&account, by, &origin).await?;
            (Some(link.expose().to_owned()), Some(expires_at))
        } else {
            (None, None)
        };
        Ok(AddedAccount {
            account: account.into(),
            link,
            link_expires_at,
        })
    }

    async fn find_accounts(&self, query: AccountQuery) -> Result<AccountList, CommandError> {
        let query = AccountQuery {
            limit: query.limit.min(USERS_A_PAGE),
            ..query
        };
        Ok(self.services.admin_queries.find_accounts(query).await?.into())
    }

    async fn show_account(&self, user: &str) -> Result<AccountDetails, CommandError> {
        let account = self.services.accounts.find(user).await?;
        let locked = self.services.admin_queries.locked_for(&account).await?;
        let sessions = self.services.sessions.list(Some(account.id));
        let newest = SessionList::page(&sessions, None, None);
        let keys = self.services.access_keys.list(Some(account.id)).await?;
        Ok(AccountDetails::new(
            account,
            locked,
            &sessions,
            newest,
            keys.into(),
        ))
    }

    async fn reset_link(&self, user: &str, by: &Actor) -> Result<ResetLink, CommandError> {
        let account = self.services.accounts.find(user).await?;
        let links = &self.services.email_tokens;
        let (link, expires_at) = links.reset_link(&account, by, &Origin::default()).await?;
        Ok(ResetLink {
            link: link.expose().to_owned(),
            email: account.email,
            expires_at,
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

    async fn revoke_sessions(
        &self,
        which: SessionSelector,
        by: &Actor,
    ) -> Result<EndedSessions, CommandError> {
        let (accounts, origin) = (&self.services.accounts, Origin::default());
        let ended_count = match which {
            SessionSelector::Of(user) => {
                let account = accounts.locate(&user).await?;
                accounts.end_sessions(&account, by, &origin).await?
            }
            SessionSelector::One { id, of } => {
                let owner = match of.as_deref() {
                    Some(user) => Some(accounts.locate(user).await?.id),
                    None => None,
                };
                match accounts.end_session(id, owner, by, &origin).await? {
                    0 => {
                        let of = of.map(|user| format!(" of {user}")).unwrap_or_default();
                        return Err(CommandError::not_found(format!(
                            "there is no session {id}{of}; `vestibule session list` shows all"
                        )));
                    }
                    ended => ended,
                }
            }
        };
        Ok(EndedSessions { ended_count })
    }

    async fn create_key(
        &self,
        user: &str,
        new: NewAccessKey,
        by: &Actor,
    ) -> Result<CreatedAccessKey, CommandError> {
        let owner = self.services.accounts.find(user).await?;
        let keys = &self.services.access_keys;
        let (key, secret) = keys.create(&owner, new, by, &Origin::default()).await?;
        Ok(CreatedAccessKey::new(keys.info(key).await, &secret))
    }

    async fn change_key(
        &self,
        id: AccessKeyId,
        change: AccessKeyChange,
        by: &Actor,
    ) -> Result<AccessKeyView, CommandError> {
        let keys = &self.services.access_keys;
        let changed = keys.change(id, None, change, by, &Origin::default()).await?;
        Ok(keys.info(changed).await.into())
    }

    async fn send_again(&self, name: &str, by: &Actor) -> Result<ResentMails, CommandError> {
        let (failed, origin) = (&self.services.failed_mails, Origin::default());
        let again_count = match (name.parse::<MailId>(), name.parse::<Email>()) {
            (Ok(id), _) => failed.send_now(id, by, &origin).await?.into(),
            (_, Ok(email)) => {
                let is_to = |queued: &QueuedMail| queued.mail.to.key() == email.key();
                failed.send_all_again(is_to, by, &origin).await?
            }
            (Err(_), Err(_)) => 0,
        };
        if again_count == 0 {
            let none = if name.parse::<Email>().is_ok() {
                format!("no mail to {name} failed for good; one that waits is sent by its id")
            } else {
                format!("no mail {name} waits or failed for good")
            };
            return Err(CommandError::not_found(format!(
                "{none}: `vestibule mail list` shows those that do, by id and address"
            )));
        }
        Ok(ResentMails { again_count })
    }

    async fn drop_mail(&self, id: MailId, by: &Actor) -> Result<MailId, CommandError> {
        let (mails, origin) = (&self.services.failed_mails, Origin::default());
        if mails.drop_mail(id, by, &origin).await? {
            return Ok(id);
        }
        Err(CommandError::not_found(format!(
            "no mail {id} waits or failed for good: `vestibule mail list` shows those that do"
        )))
    }

    async fn read_audit(&self, query: AuditQuery, by: &Actor) -> Result<AuditEventList, CommandError> {
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
        Ok(page.into())
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

    /// Returns the id of the account with this address, username or id, if one is given.
    async fn named(&self, user: Option<&str>) -> Result<Option<AccountId>, AccountError> {
        match user {
            Some(user) => Ok(Some(self.services.accounts.find(user).await?.id)),
            None => Ok(None),
        }
    }
}

/// The gateway's own machine, in the language that was asked for.
fn in_language(language: Option<String>) -> Origin {
    Origin {
        language,
        ..Origin::default()
    }
}
