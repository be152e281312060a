//! Account administration: create, change, delete, end sessions.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::account_edit::{AccountDiff, EditError, edit_and_mail};
use super::account_name::AccountName;
use super::account_settings::MOST_FORMER_USERNAMES;
use super::approval::Approval;
use super::deferred_revocations::{HELD, PATIENCE, or_hold};
use super::input::parse_display_name;
use super::maker_rights::MakerRights;
use super::password_hash::PasswordHash;
use super::pending_revocations::AccountAct;
use super::reserved_usernames::is_reserved;
use super::unsettled_change::UnsettledChange;
use super::{
    AccessKeys, Actor, Audit, DeferredRevocations, Event, Hasher, Kind, Mailer, Origin, PasswordPolicy,
    Sessions, SharedServices,
};
use crate::clock::Clock;
use crate::config::{Config, SignupConfig};
use crate::ids::{AccountId, SessionId};
use crate::model::{
    Account, AccountStatus, Administrators, AuditDetail, DetailKey, Email, LockoutSubject, MailKind,
    Password, Username, is_blank, is_invisible,
};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::{CreateAccount, DeleteAccount, PreconditionError, SessionsToEnd, Store, StoreError};
use crate::text::is_language_tag;

mod change;
mod edit;
mod error;
mod htpasswd;
mod outage;
mod status;
mod version;

pub use change::{AccountChange, ChosenAccount, InitialPassword, NewAccount, NewPassword, PasswordLink};
use edit::{Edit, PendingChange};
pub use error::AccountError;
pub use htpasswd::{HtpasswdDefaults, HtpasswdLine, ImportedLine};
use outage::not_held;
pub(super) use status::StatusChange;
pub use version::{AccountPart, AccountVersion};

/// Accounts that are disabled at once, of several: so few that a store in good health is done with all of them before
/// one of them is held in memory.
const AT_ONCE: usize = 32;

/// The most groups that an account or an invitation may have; bounds the work for each request.
const MOST_GROUPS: usize = 1000;

/// The longest name of a group, in characters.
const LONGEST_GROUP: usize = 256;

/// Creates, changes and deletes accounts for administrators.
#[derive(Debug)]
pub struct Accounts {
    store: Arc<dyn Store>,
    hasher: Arc<Hasher>,
    policy: Arc<PasswordPolicy>,
    sessions: Arc<Sessions>,
    access_keys: Arc<AccessKeys>,
    revocations: Arc<DeferredRevocations>,
    audit: Arc<Audit>,
    pub(super) approval: Approval,
    makers: MakerRights,
    mailer: Arc<Mailer>,
    clock: Clock,
    random: Random,
    signup: SignupConfig,
    administrators: Administrators,
}

impl Accounts {
    pub(super) fn new(
        shared: &SharedServices,
        policy: Arc<PasswordPolicy>,
        approval: Approval,
        config: &Config,
    ) -> Self {
        Self {
            store: shared.store.clone(),
            hasher: shared.hasher.clone(),
            policy,
            sessions: shared.sessions.clone(),
            access_keys: shared.access_keys.clone(),
            revocations: shared.revocations.clone(),
            audit: shared.audit.clone(),
            approval,
            makers: MakerRights::new(shared),
            mailer: shared.mailer.clone(),
            clock: shared.clock.clone(),
            random: shared.random.clone(),
            signup: config.signup.clone(),
            administrators: shared.administrators.clone(),
        }
    }

    /// Creates an account, and mails its owner the link that sets the password if `new` says so. `by` is the
    /// actor in the audit log.
    pub async fn add(&self, new: NewAccount, by: &Actor, origin: &Origin) -> Result<Account, AccountError> {
        let is_mailed = matches!(new.password, InitialPassword::ByLink(PasswordLink::Mailed));
        let account = self.prepare(new).await?;
        let maker = self.makers.maker(by).await?;
        let topic = maker.map_or(MailKind::AccountAdded, MailKind::AccountAddedBy);
        let mail = is_mailed.then(|| self.mailer.mail_by_administrator(&account.email, topic, origin));
        let created = by
            .act_on(&self.store)
            .create_account_and_mail(
                account.clone(),
                None,
                mail.into_iter().collect(),
                account.created_at,
            )
            .await?;
        let account = created_account(account, created)?;
        self.mailer.announce();
        self.note(Kind::AccountAdd, &account, by, origin);
        Ok(account)
    }

    /// Creates accounts in one transaction, each independently of the others. Returns a result for each, in
    /// their order.
    pub(super) async fn add_all(
        &self,
        wanted: Vec<Result<NewAccount, AccountError>>,
        by: &Actor,
        origin: &Origin,
    ) -> Vec<Result<Account, AccountError>> {
        let prepared = self.prepare_all(wanted).await;
        let accounts = prepared.iter().flatten().cloned().collect();
        let created = by.act_on(&self.store).create_accounts(accounts).await;
        let results = zip_created(prepared, created);
        for account in results.iter().flatten() {
            self.note(Kind::AccountAdd, account, by, origin);
        }
        // A batch may exceed the backlog of the audit log, unless it is written now.
        self.audit.flush().await;
        results
    }

    /// What [`add_all`](Self::add_all) would come to now. Nothing is added.
    pub(super) async fn preview_all(
        &self,
        wanted: Vec<Result<NewAccount, AccountError>>,
    ) -> Vec<Result<Account, AccountError>> {
        let prepared = self.prepare_all(wanted).await;
        let accounts = prepared.iter().flatten().cloned().collect();
        zip_created(prepared, self.store.preview_accounts(accounts).await)
    }

    async fn prepare_all(
        &self,
        wanted: Vec<Result<NewAccount, AccountError>>,
    ) -> Vec<Result<Account, AccountError>> {
        let mut prepared = Vec::with_capacity(wanted.len());
        for new in wanted {
            prepared.push(match new {
                Ok(new) => self.prepare(new).await,
                Err(error) => Err(error),
            });
        }
        prepared
    }

    /// Validates the request and hashes the password.
    async fn prepare(&self, new: NewAccount) -> Result<Account, AccountError> {
        let username = new
            .effective_username()
            .ok_or_else(|| AccountError::NoUsername(new.email.clone()))?;
        if is_reserved(&self.signup, &username) {
            return Err(AccountError::UsernameReserved(username.to_string()));
        }
        let groups = Self::parse_group_names(&new.groups)?;
        let name = parse_display_name(new.name.as_deref().unwrap_or_default())?;
        let password_hash = match new.password {
            InitialPassword::Set(password) => self.hash(password, &new.email, &username).await?,
            InitialPassword::ByLink(_) => self.unusable_password_hash().await?,
        };
        let now = self.clock.now();
        let id = AccountId::new(now, &self.random);
        Ok(Account {
            email_verified: true,
            name,
            groups,
            ..Account::new(id, username, new.email, password_hash, now)
        })
    }

    /// Returns the account with this address, username or id.
    pub async fn find(&self, name: &str) -> Result<Account, AccountError> {
        let account = if let Ok(email) = name.parse::<Email>() {
            self.store.account_by_email(&email).await?
        } else {
            let by_id = match name.parse::<AccountId>() {
                Ok(id) => self.store.account(id).await?,
                Err(_) => None,
            };
            match (by_id, name.parse::<Username>()) {
                (None, Ok(username)) => self.store.account_by_username(&username).await?,
                (by_id, _) => by_id,
            }
        };
        account.ok_or_else(|| AccountError::NotFound(name.to_owned()))
    }

    /// Returns up to `limit` accounts in the order of creation, after `after`.
    pub async fn list(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, AccountError> {
        Ok(self.store.accounts(after, limit).await?)
    }

    /// Changes an account, safely against concurrent changes. Returns [`AccountError::Status`] for an invalid
    /// transition. Idempotent: repeating the current status sends no mail and writes no audit event.
    pub async fn change(
        &self,
        name: &str,
        change: AccountChange,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Account, AccountError> {
        self.change_version(name, None, change, by, origin).await
    }

    /// Like [`Self::change`], for a decision made from the version `seen`: a change that depends on a part
    /// that differs by now is refused ([`AccountError::Stale`]).
    pub async fn change_version(
        &self,
        name: &str,
        seen: Option<AccountVersion>,
        change: AccountChange,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Account, AccountError> {
        let deadline = Instant::now() + PATIENCE;
        let account = if matches!(change, AccountChange::Disable) {
            match self.find_to_shut_out(name, deadline).await {
                Err(AccountError::Store(error)) => {
                    let act = AccountAct::Disable(self.approval.decision(by));
                    return Err(self.shut_out_named(name, act, error, by, origin));
                }
                found => found?,
            }
        } else {
            self.find(name).await?
        };
        let (kind, depends_on) = (change.kind(), change.depends_on());
        let Some(edit) = self.edit_of(change, &account).await? else {
            let store = by.act_on(&self.store);
            store.clear_attempts(LockoutSubject::Account(account.id)).await?;
            self.note(kind, &account, by, origin);
            return Ok(account);
        };
        let decides = matches!(edit, Edit::Status(_));
        let edits_groups = matches!(edit, Edit::Membership { .. });
        let renames = matches!(edit, Edit::Name(_) | Edit::Email(_));
        let keeps_sessions = edit.keeps_sessions();
        let act = PendingChange {
            edit,
            seen: seen.map(|seen| (seen, depends_on)),
            approval: self.approval.clone(),
            mailer: self.mailer.clone(),
            by: by.clone(),
            origin: origin.clone(),
        };
        // As the account will be if the change is made.
        let mut wanted = account.clone();
        let can_be = act.change(&mut wanted).is_ok();
        // Only one that may sign in can be shut out. What was read may be outdated by a change whose outcome is
        // not known yet.
        let may_hold = act.disables() && (can_be || self.sessions.is_unsettled(account.id));
        let hold = || may_hold.then(|| self.hold_by_now(&account, by, origin)).flatten();
        let turn = match timeout_at(deadline, self.revocations.pending.turn.lock()).await {
            Ok(turn) => turn,
            Err(_) => match hold() {
                Some((_, error)) => return Err(error.into()),
                None => self.revocations.pending.turn.lock().await,
            },
        };
        let edited = Box::pin(self.edit_settled(account.clone(), act, wanted, by));
        let (edited, revocation) = or_hold(edited, deadline, hold).await;
        let edited = match edited {
            Err(AccountError::Store(error)) if !error.is_refusal() => {
                return Err(match revocation {
                    Some(_) => error.with_note(HELD).into(),
                    None if may_hold => {
                        let act = AccountAct::Disable(self.approval.decision(by));
                        self.hold((&account).into(), act, error, by, origin)
                    }
                    None => error.into(),
                });
            }
            edited => edited,
        };
        // The store has it, or has refused it.
        if let Some((revocation, _)) = revocation {
            self.revocations.release(revocation);
            if edited.is_err() {
                self.access_keys.refresh(account.id).await;
            }
        }
        let (edited, change) = edited?;
        let AccountDiff {
            before,
            after: changed,
        } = edited;
        drop(turn);
        let is_unchanged = (decides && changed.status == before.status)
            || (edits_groups && changed.groups == before.groups)
            || (renames && changed == before);
        self.mailer.announce();
        if changed.status != AccountStatus::Active {
            self.access_keys.suspend(changed.id);
        }
        let ended = if keeps_sessions {
            self.sessions.refresh(&changed).await;
            Ok(0)
        } else {
            let all = SessionsToEnd::Account(changed.id, None);
            self.sessions.end(all).await
        };
        self.access_keys.refresh(changed.id).await;
        change.finish();
        // It is stored even if ending the sessions has to be retried: audited before the error is returned.
        if !is_unchanged {
            self.note_change(kind, &before, &changed, by, origin);
        }
        ended?;
        Ok(changed)
    }

    /// Changes several accounts, each as [`Self::change_version`] would, whatever becomes of the others: one after
    /// another, except that disabling one does not wait for a store that is slow with another. Returns a result for
    /// each, in their order.
    pub async fn change_all(
        &self,
        chosen: &[ChosenAccount],
        change: impl Fn() -> AccountChange,
        by: &Actor,
        origin: &Origin,
    ) -> Vec<Result<Account, AccountError>> {
        let is_disabling = matches!(change(), AccountChange::Disable);
        let slots = Semaphore::new(if is_disabling { AT_ONCE } else { 1 });
        let changes = chosen.iter().map(|ChosenAccount { name, seen }| {
            let (slots, change) = (&slots, change());
            async move {
                let _slot = slots.acquire().await;
                self.change_version(name, seen.clone(), change, by, origin).await
            }
        });
        join_all(changes).await
    }

    /// Deletes an account; its username stays reserved.
    pub async fn delete(&self, name: &str, by: &Actor, origin: &Origin) -> Result<Account, AccountError> {
        let deadline = Instant::now() + PATIENCE;
        let account = match self.find_to_shut_out(name, deadline).await {
            Err(AccountError::Store(error)) => {
                let act = AccountAct::Delete(None);
                return Err(self.shut_out_named(name, act, error, by, origin));
            }
            found => found?,
        };
        let deleted = self.revocations.delete(&self.store, &account, None, by, origin);
        match deleted.await? {
            DeleteAccount::Deleted => {}
            DeleteAccount::Absent => return Err(AccountError::NotFound(name.to_owned())),
            DeleteAccount::LastMember => return Err(AccountError::LastAdministrator),
            // None was asked for.
            DeleteAccount::PasswordChanged => {
                return Err(StoreError::from(PreconditionError::PasswordChanged).into());
            }
        }
        let all = SessionsToEnd::Account(account.id, None);
        let ended = self.sessions.end(all).await;
        self.note(Kind::AccountDelete, &account, by, origin);
        ended?;
        Ok(account)
    }

    /// Ends all sessions of an account and returns their number.
    ///
    /// Sessions end before the event is recorded, so that an audit log that cannot be written keeps no
    /// session alive. Where the audit log is required, a failure to record is an error all the same
    /// ([`AccountError::Unrecorded`], S52).
    pub async fn end_sessions(
        &self,
        of: &AccountName,
        by: &Actor,
        origin: &Origin,
    ) -> Result<usize, AccountError> {
        let all = SessionsToEnd::Account(of.id, None);
        let ended = self.sessions.end_by(by, all).await?;
        let event = Event::success(Kind::SessionEnd, of.email.as_str())
            .account(of.id)
            .detail(AuditDetail::bare(DetailKey::All));
        self.audit.record(origin, &event.by(by)).await?;
        Ok(ended)
    }

    /// Ends one session, with `of` only if that account owns it, and audits it like [`Self::end_sessions`].
    /// Returns their number: 0 or 1.
    pub async fn end_session(
        &self,
        session: SessionId,
        of: Option<AccountId>,
        by: &Actor,
        origin: &Origin,
    ) -> Result<usize, AccountError> {
        let info = self.sessions.info(session);
        let Some(info) = info.filter(|info| of.is_none_or(|owner| owner == info.session.account)) else {
            return Ok(0);
        };
        let ended = self.sessions.end_by(by, SessionsToEnd::Id(session)).await?;
        let event = Event::success(Kind::SessionEnd, info.email)
            .account(info.session.account)
            .detail(AuditDetail::of(DetailKey::Session, &session));
        self.audit.record(origin, &event.by(by)).await?;
        Ok(ended)
    }

    /// Validates and trims group names of accounts and invitations: at most `MOST_GROUPS`, none with
    /// surrounding blanks, which no route could name, or with characters that are not seen.
    pub fn parse_group_names(given: &BTreeSet<String>) -> Result<BTreeSet<String>, AccountError> {
        if given.len() > MOST_GROUPS {
            return Err(AccountError::TooManyGroups);
        }
        let named = |group: &String| {
            let name = group.trim();
            if is_blank(name)
                || name.chars().count() > LONGEST_GROUP
                || name.contains(|c: char| c == ',' || c.is_control() || is_invisible(c))
            {
                return Err(AccountError::GroupName(group.clone()));
            }
            Ok(name.to_owned())
        };
        given.iter().map(named).collect()
    }

    /// Refuses an imported account that no other operation could have made.
    pub fn require_possible(account: &Account, signup: &SignupConfig) -> Result<(), AccountError> {
        if is_reserved(signup, &account.username) {
            return Err(AccountError::UsernameReserved(account.username.to_string()));
        }
        Self::require_possible_texts(
            &account.groups,
            account.name.as_deref(),
            account.language.as_deref(),
        )?;
        if account.former_usernames.len() > MOST_FORMER_USERNAMES {
            return Err(AccountError::FormerUsernames);
        }
        if PasswordHash::parse(&account.password_hash).is_none() {
            return Err(AccountError::NotAHash);
        }
        Ok(())
    }

    /// Refuses what no account and no invitation is given.
    pub(super) fn require_possible_texts(
        groups: &BTreeSet<String>,
        name: Option<&str>,
        language: Option<&str>,
    ) -> Result<(), AccountError> {
        if Self::parse_group_names(groups)? != *groups
            || parse_display_name(name.unwrap_or_default())?.as_deref() != name
        {
            return Err(AccountError::Untrimmed);
        }
        Self::require_language(language)
    }

    /// Refuses a text that is not a language tag (BCP 47).
    pub fn require_language(language: Option<&str>) -> Result<(), AccountError> {
        match language {
            Some(tag) if !is_language_tag(tag) => Err(AccountError::Language),
            _ => Ok(()),
        }
    }

    /// Returns whether the administrators' group has an active member.
    pub async fn has_administrator(&self) -> Result<bool, StoreError> {
        self.store
            .group_has_active_members(&self.administrators.group())
            .await
    }

    /// Returns the edit that a change is; `None` for one that leaves the stored account as it is.
    async fn edit_of(&self, change: AccountChange, account: &Account) -> Result<Option<Edit>, AccountError> {
        Ok(Some(match change {
            AccountChange::Unlock => return Ok(None),
            AccountChange::Approve => Edit::Status(StatusChange::Approve),
            AccountChange::Decline => Edit::Status(StatusChange::Decline),
            AccountChange::Disable => Edit::Status(StatusChange::Disable),
            AccountChange::Enable => Edit::Status(StatusChange::Enable),
            AccountChange::SetGroups(groups) => Edit::Groups(Self::parse_group_names(&groups)?),
            AccountChange::EditGroups { add, remove } => Edit::Membership {
                add: Self::parse_group_names(&add)?,
                remove: Self::parse_group_names(&remove)?,
            },
            AccountChange::SetName(name) => Edit::Name(parse_display_name(&name)?),
            AccountChange::SetEmail(email) => Edit::Email(email),
            AccountChange::SetPassword(password) => {
                let hash = self.hash(password, &account.email, &account.username).await?;
                Edit::Password(hash, self.clock.now())
            }
        }))
    }

    /// Edits the account once the store was told of what memory holds of it. The returned change is to be finished
    /// when memory follows; `wanted` is the account as it will be. The caller has the turn.
    async fn edit_settled(
        &self,
        account: Account,
        act: PendingChange,
        wanted: Account,
        by: &Actor,
    ) -> Result<(AccountDiff, UnsettledChange<'_>), AccountError> {
        if let Err(error) = self.revocations.settle(account.id).await {
            return Err(if act.disables() {
                error.into()
            } else {
                not_held(error)
            });
        }
        let change = UnsettledChange::begin(&self.sessions, &self.access_keys, wanted);
        match self.edit(account, act, by).await {
            Ok(edited) => Ok((edited, change)),
            Err(error) => {
                match &error {
                    AccountError::Store(error) => change.fail(error),
                    _ => change.finish(),
                }
                Err(error)
            }
        }
    }

    async fn edit(
        &self,
        account: Account,
        act: PendingChange,
        by: &Actor,
    ) -> Result<AccountDiff, AccountError> {
        let email = account.email;
        let store = by.act_on(&self.store);
        let changed = edit_and_mail(&store, account.id, move |account| act.apply(account));
        changed.await.map_err(|error| match error {
            EditError::Gone => AccountError::NotFound(email.to_string()),
            EditError::Status(status) => AccountError::Status(email, status),
            EditError::Stale(parts, account) => AccountError::Stale(parts, account),
            EditError::EmailTaken(email) => AccountError::EmailTaken(email),
            EditError::UsernameTaken(username) => AccountError::UsernameTaken(username.to_string()),
            EditError::LastAdministrator => AccountError::LastAdministrator,
            // Administrators do not change usernames.
            EditError::TooManyUsernames => AccountError::FormerUsernames,
            EditError::TooManyGroups => AccountError::TooManyGroups,
            EditError::Store(error) => AccountError::Store(error),
        })
    }

    async fn hash(
        &self,
        password: NewPassword,
        email: &Email,
        username: &Username,
    ) -> Result<String, AccountError> {
        match password {
            NewPassword::Hash(hash) if PasswordHash::parse(&hash).is_some() => Ok(hash),
            NewPassword::Hash(_) => Err(AccountError::NotAHash),
            NewPassword::Plain(typed) => {
                let password = Password::parse(&typed)?;
                let broken = self.policy.validate(&password, Some(email), Some(username));
                if !broken.is_empty() {
                    return Err(AccountError::Password(broken));
                }
                Ok(self.hasher.try_acquire()?.hash(password).await?)
            }
        }
    }

    /// Hashes a random password that is kept nowhere.
    async fn unusable_password_hash(&self) -> Result<String, AccountError> {
        let random = URL_SAFE_NO_PAD.encode(self.random.bytes::<32>());
        let password = Password::parse(&Secret::new(random))?;
        Ok(self.hasher.try_acquire()?.hash(password).await?)
    }

    fn note(&self, kind: Kind, account: &Account, by: &Actor, origin: &Origin) {
        self.note_change(kind, account, account, by, origin);
    }

    fn note_change(&self, kind: Kind, before: &Account, account: &Account, by: &Actor, origin: &Origin) {
        let mut event = Event::about(kind, account).by(by);
        let username = AuditDetail::of(DetailKey::Username, &account.username);
        match kind {
            Kind::AccountAdd => event = event.detail(username.and_groups(&account.groups)),
            Kind::AccountDelete => event = event.detail(username),
            Kind::GroupsChange => event = event.detail(AuditDetail::groups(&account.groups)),
            Kind::NameChange => event = event.detail(AuditDetail::names(before, account)),
            Kind::EmailChange => {
                let change = format!("{} to {}", before.email, account.email);
                event = event.detail(AuditDetail::of(DetailKey::From, &change));
            }
            _ => {}
        }
        self.audit.note(origin, &event);
    }
}

/// Joins accounts with the store's results, which it has for those alone that could be prepared.
fn zip_created(
    prepared: Vec<Result<Account, AccountError>>,
    created: Result<Vec<CreateAccount>, StoreError>,
) -> Vec<Result<Account, AccountError>> {
    let mut created = created.map(Vec::into_iter);
    let missing = || StoreError::Unavailable("it told of fewer accounts than it was given".to_owned());
    let result = |account: Result<Account, AccountError>| {
        let account = account?;
        match &mut created {
            Ok(created) => created_account(account, created.next().ok_or_else(missing)?),
            Err(error) => Err(error.clone().into()),
        }
    };
    prepared.into_iter().map(result).collect()
}

/// Turns the store's result into the account or an error.
fn created_account(account: Account, created: CreateAccount) -> Result<Account, AccountError> {
    match created {
        CreateAccount::Created => Ok(account),
        CreateAccount::EmailTaken => Err(AccountError::EmailTaken(account.email)),
        // Without an invitation, none can be void.
        CreateAccount::UsernameTaken | CreateAccount::InvitationVoid => {
            Err(AccountError::UsernameTaken(account.username.to_string()))
        }
    }
}

#[cfg(test)]
mod tests;
