//! Accounts, as an administrator handles them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::account_edit::{AccountDiff, EditError, edit_and_mail};
use super::account_name::AccountName;
use super::account_settings::MOST_FORMER_USERNAMES;
use super::approval::Approval;
use super::input::{is_reserved, parse_display_name};
use super::password_hash::PasswordHash;
use super::pending_revocations::AccountAct;
use super::{
    AccessKeys, Actor, Audit, DeferredRevocations, Event, Hasher, Kind, Mailer, Origin, PasswordPolicy,
    Sessions, SharedServices,
};
use crate::clock::Clock;
use crate::config::{Config, SignupConfig};
use crate::ids::{AccountId, SessionId};
use crate::model::{
    Account, AuditDetail, DetailKey, Email, LockoutSubject, Mail, MailKind, Password, Username, is_blank,
    turns_text,
};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::{CreateAccount, DeleteAccount, SessionsToEnd, Store, StoreError};
use crate::text::is_language_tag;

mod error;
mod htpasswd;
mod outage;
mod status;
mod version;

pub use error::AccountError;
pub use htpasswd::{HtpasswdLine, ImportedLine};
pub(super) use status::StatusChange;
pub use version::{AccountPart, AccountVersion};

/// Groups that an account, or an invitation, may name: far more than anybody is in, and few enough to go through.
const MOST_GROUPS: usize = 1000;

/// The longest name of a group, in characters.
const LONGEST_GROUP: usize = 256;

/// An account to add: verified and approved.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewAccount {
    /// The address.
    pub email: Email,
    /// The username; the local part of the address if none.
    pub username: Option<Username>,
    /// The name.
    pub name: Option<String>,
    /// The groups.
    pub groups: BTreeSet<String>,
    /// The password.
    pub password: NewPassword,
}

/// Where a new password comes from.
///
/// Serialised onto the administrator's socket only, where it is in the clear.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewPassword {
    /// In the clear; must pass the policy.
    Plain(#[serde(serialize_with = "expose")] Secret<String>),
    /// A bcrypt hash from elsewhere (`$2a$`, `$2b$`, `$2y$`), kept as it is.
    Hash(String),
}

/// A change of an account.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountChange {
    /// Approves an account that is pending or was declined.
    Approve,
    /// Declines an account that is pending.
    Decline,
    /// Disables an active account, and ends its sessions.
    Disable,
    /// Enables a disabled account.
    Enable,
    /// Lifts its lock.
    Unlock,
    /// Replaces its groups.
    SetGroups(BTreeSet<String>),
    /// Replaces its password and ends its sessions.
    SetPassword(NewPassword),
}

fn expose<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl AccountChange {
    /// The event that records it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Approve => Kind::Approve,
            Self::Decline => Kind::Decline,
            Self::Disable => Kind::Disable,
            Self::Enable => Kind::Enable,
            Self::Unlock => Kind::Unlock,
            Self::SetGroups(_) => Kind::GroupsChange,
            Self::SetPassword(_) => Kind::PasswordChange,
        }
    }
}

/// The service.
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
    mailer: Arc<Mailer>,
    clock: Clock,
    random: Random,
    signup: SignupConfig,
    public_url: Url,
    /// `admin.group`
    administrators: String,
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
            mailer: shared.mailer.clone(),
            clock: shared.clock.clone(),
            random: shared.random.clone(),
            signup: config.signup.clone(),
            public_url: config.public_url.clone(),
            administrators: config.admin.group.clone(),
        }
    }

    /// Adds an account. `by` names who does it, for the record.
    pub async fn add(&self, new: NewAccount, by: &Actor, origin: &Origin) -> Result<Account, AccountError> {
        let account = self.prepare(new).await?;
        let created = by
            .act_on(&self.store)
            .create_account(account.clone(), None, account.created_at)
            .await?;
        let account = made(account, created)?;
        self.note(Kind::AccountAdd, &account, by, origin);
        Ok(account)
    }

    /// Adds accounts in one step of the store, each of them or not. What became of each, in their order.
    pub(super) async fn add_all(
        &self,
        wanted: Vec<Result<NewAccount, AccountError>>,
        by: &Actor,
        origin: &Origin,
    ) -> Vec<Result<Account, AccountError>> {
        let mut prepared = Vec::with_capacity(wanted.len());
        for new in wanted {
            prepared.push(match new {
                Ok(new) => self.prepare(new).await,
                Err(error) => Err(error),
            });
        }
        let accounts = prepared.iter().flatten().cloned().collect();
        let mut created = match by.act_on(&self.store).create_accounts(accounts).await {
            Ok(created) => Ok(created.into_iter()),
            Err(error) => Err(error),
        };
        let mut results = Vec::with_capacity(prepared.len());
        for account in prepared {
            let result = account.and_then(|account| match &mut created {
                Ok(created) => made(account, created.next().unwrap_or(CreateAccount::InvitationVoid)),
                Err(error) => Err(error.clone().into()),
            });
            if let Ok(account) = &result {
                self.note(Kind::AccountAdd, account, by, origin);
            }
            results.push(result);
        }
        // More wait than the audit log has room for, unless they are written now.
        self.audit.flush().await;
        results
    }

    /// The account as it will be kept.
    async fn prepare(&self, new: NewAccount) -> Result<Account, AccountError> {
        let username = match new.username {
            Some(username) => username,
            None => {
                default_username(&new.email).ok_or_else(|| AccountError::NoUsername(new.email.clone()))?
            }
        };
        if is_reserved(&self.signup, &username) {
            return Err(AccountError::UsernameReserved(username.to_string()));
        }
        let groups = Self::group_names(&new.groups)?;
        let name = parse_display_name(new.name.as_deref().unwrap_or_default())?;
        let password_hash = self.hash(new.password, &new.email, &username).await?;
        let now = self.clock.now();
        let id = AccountId::new(now, &self.random);
        Ok(Account {
            email_verified: true,
            name,
            groups,
            ..Account::new(id, username, new.email, password_hash, now)
        })
    }

    /// The account with this address, username or id.
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

    /// Up to `limit` accounts in the order they were made, from the one after `after`.
    pub async fn list(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, AccountError> {
        Ok(self.store.accounts(after, limit).await?)
    }

    /// Changes an account as it is, whatever else is changed at that moment. What its status leaves nothing to decide about is refused;
    /// a decision that already holds changes nothing, is mailed to nobody and is not recorded.
    pub async fn change(
        &self,
        name: &str,
        change: AccountChange,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Account, AccountError> {
        self.change_version(name, None, change, by, origin).await
    }

    /// The same, for whoever decided by a version of the account: a change that depends on what was seen is refused if that is something
    /// else by now ([`AccountError::Stale`]).
    pub async fn change_version(
        &self,
        name: &str,
        seen: Option<AccountVersion>,
        change: AccountChange,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Account, AccountError> {
        let account = match self.find(name).await {
            Err(AccountError::Store(error)) if matches!(change, AccountChange::Disable) => {
                let act = AccountAct::Disable(self.approval.decision(by));
                return Err(self.shut_out_named(name, act, error, by, origin).await);
            }
            found => found?,
        };
        let (kind, depends_on) = (change.kind(), change.depends_on());
        let edit = match change {
            AccountChange::Unlock => {
                let store = by.act_on(&self.store);
                store.clear_attempts(LockoutSubject::Account(account.id)).await?;
                self.note(kind, &account, by, origin);
                return Ok(account);
            }
            AccountChange::Approve => Edit::Status(StatusChange::Approve),
            AccountChange::Decline => Edit::Status(StatusChange::Decline),
            AccountChange::Disable => Edit::Status(StatusChange::Disable),
            AccountChange::Enable => Edit::Status(StatusChange::Enable),
            AccountChange::SetGroups(groups) => Edit::Groups(Self::group_names(&groups)?),
            AccountChange::SetPassword(password) => {
                let hash = self.hash(password, &account.email, &account.username).await?;
                Edit::Password(hash, self.clock.now())
            }
        };
        let decides = matches!(edit, Edit::Status(_));
        let disables = matches!(edit, Edit::Status(StatusChange::Disable));
        let keeps_sessions = edit.keeps_sessions();
        let act = PendingChange {
            edit,
            seen: seen.map(|seen| (seen, depends_on)),
            approval: self.approval.clone(),
            mailer: self.mailer.clone(),
            by: by.clone(),
            origin: origin.clone(),
        };
        let turn = self.revocations.pending.turn.lock().await;
        let edited = match self.edit(account.clone(), act, by).await {
            Err(AccountError::Store(error)) if disables => {
                let act = AccountAct::Disable(self.approval.decision(by));
                return Err(self.hold((&account).into(), act, error, by, origin).await);
            }
            edited => edited?,
        };
        let AccountDiff {
            before,
            after: changed,
        } = edited;
        if decides {
            self.revocations.pending.remove_disabled(changed.id);
        }
        drop(turn);
        let held = decides && changed.status == before.status;
        self.mailer.announce();
        self.access_keys.refresh(changed.id).await;
        let ended = if keeps_sessions {
            self.sessions.refresh(&changed).await;
            Ok(0)
        } else {
            let all = SessionsToEnd::Account(changed.id, None);
            self.sessions.end(all).await
        };
        // It is done, though the store may have to be told again of the sessions.
        if !held {
            self.note(kind, &changed, by, origin);
        }
        ended?;
        Ok(changed)
    }

    /// Deletes an account; its username stays taken.
    pub async fn delete(&self, name: &str, by: &Actor, origin: &Origin) -> Result<Account, AccountError> {
        let account = match self.find(name).await {
            Err(AccountError::Store(error)) => {
                let act = AccountAct::Delete(None);
                return Err(self.shut_out_named(name, act, error, by, origin).await);
            }
            found => found?,
        };
        let store = by.act_on(&self.store);
        match store.delete_account(account.id, &self.administrators).await {
            Ok(DeleteAccount::Deleted) => {}
            Ok(DeleteAccount::Absent) => return Err(AccountError::NotFound(name.to_owned())),
            Ok(DeleteAccount::LastMember) => return Err(AccountError::LastAdministrator),
            Err(error) => {
                let act = AccountAct::Delete(None);
                return Err(self.hold((&account).into(), act, error, by, origin).await);
            }
        }
        self.access_keys.refresh(account.id).await;
        let all = SessionsToEnd::Account(account.id, None);
        let ended = self.sessions.end(all).await;
        self.note(Kind::AccountDelete, &account, by, origin);
        ended?;
        Ok(account)
    }

    /// Ends all sessions of an account. How many there were.
    ///
    /// Sessions are ended before that is recorded: an audit log that cannot be written keeps nobody signed in. Where the log is
    /// required, what could not be recorded is an error all the same ([`AccountError::Unrecorded`], S52).
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

    /// Ends one session, if it is of the account `of`, where one is named, and records it as [`Self::end_sessions`] does. How many
    /// there were: one, or none if it is over or another account's.
    pub async fn end_session(
        &self,
        session: SessionId,
        of: Option<AccountId>,
        by: &Actor,
        origin: &Origin,
    ) -> Result<usize, AccountError> {
        let mut listed = self.sessions.list(of).into_iter();
        let Some(info) = listed.find(|info| info.session.id == session) else {
            return Ok(0);
        };
        let ended = self.sessions.end_by(by, SessionsToEnd::Id(session)).await?;
        let event = Event::success(Kind::SessionEnd, info.email)
            .account(info.session.account)
            .detail(AuditDetail::of(DetailKey::Session, &session));
        self.audit.record(origin, &event.by(by)).await?;
        Ok(ended)
    }

    /// The groups that are meant, for accounts and for the invitations that make them: at most `MOST_GROUPS`, and without
    /// blanks around a name, which no route could ask for.
    pub fn group_names(given: &BTreeSet<String>) -> Result<BTreeSet<String>, AccountError> {
        if given.len() > MOST_GROUPS {
            return Err(AccountError::TooManyGroups);
        }
        let named = |group: &String| {
            let name = group.trim();
            if is_blank(name)
                || name.chars().count() > LONGEST_GROUP
                || name.contains(|c: char| c == ',' || c.is_control() || turns_text(c))
            {
                return Err(AccountError::GroupName(group.clone()));
            }
            Ok(name.to_owned())
        };
        given.iter().map(named).collect()
    }

    /// Refuses an account from a file that no other way in could have made.
    pub fn require_possible(account: &Account, signup: &SignupConfig) -> Result<(), AccountError> {
        if is_reserved(signup, &account.username) {
            return Err(AccountError::UsernameReserved(account.username.to_string()));
        }
        if Self::group_names(&account.groups)? != account.groups
            || parse_display_name(account.name.as_deref().unwrap_or_default())? != account.name
        {
            return Err(AccountError::Untrimmed);
        }
        if account.former_usernames.len() > MOST_FORMER_USERNAMES {
            return Err(AccountError::FormerUsernames);
        }
        if PasswordHash::parse(&account.password_hash).is_none() {
            return Err(AccountError::NotAHash);
        }
        if account
            .language
            .as_deref()
            .is_some_and(|tag| !is_language_tag(tag))
        {
            return Err(AccountError::Language);
        }
        Ok(())
    }

    /// Whether anybody is in the administrators' group who may sign in.
    pub async fn has_administrator(&self) -> Result<bool, StoreError> {
        self.store.group_has_active_members(&self.administrators).await
    }

    async fn edit(
        &self,
        account: Account,
        act: PendingChange,
        by: &Actor,
    ) -> Result<AccountDiff, AccountError> {
        let email = account.email;
        let store = by.act_on(&self.store);
        let changed = edit_and_mail(&store, &self.administrators, account.id, move |account| {
            act.apply(account)
        });
        changed.await.map_err(|error| match error {
            EditError::Gone => AccountError::NotFound(email.to_string()),
            EditError::Status(status) => AccountError::Status(email, status),
            EditError::Stale(parts, account) => AccountError::Stale(parts, account),
            EditError::EmailTaken(email) => AccountError::EmailTaken(email),
            EditError::UsernameTaken(username) => AccountError::UsernameTaken(username.to_string()),
            EditError::LastAdministrator => AccountError::LastAdministrator,
            // No administrator names anybody anew.
            EditError::TooManyUsernames => AccountError::FormerUsernames,
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
                Ok(self.hasher.place()?.hash(password).await?)
            }
        }
    }

    fn note(&self, kind: Kind, account: &Account, by: &Actor, origin: &Origin) {
        let mut event = Event::about(kind, account).by(by);
        let username = AuditDetail::of(DetailKey::Username, &account.username);
        match kind {
            Kind::AccountAdd => event = event.detail(username.and_groups(&account.groups)),
            Kind::AccountDelete => event = event.detail(username),
            Kind::GroupsChange => event = event.detail(AuditDetail::groups(&account.groups)),
            _ => {}
        }
        self.audit.note(origin, &event);
    }
}

/// The account, if it was made.
fn made(account: Account, created: CreateAccount) -> Result<Account, AccountError> {
    match created {
        CreateAccount::Created => Ok(account),
        CreateAccount::EmailTaken => Err(AccountError::EmailTaken(account.email)),
        // Without an invitation none can be void.
        CreateAccount::UsernameTaken | CreateAccount::InvitationVoid => {
            Err(AccountError::UsernameTaken(account.username.to_string()))
        }
    }
}

/// What a change does to the record.
enum Edit {
    Status(StatusChange),
    Groups(BTreeSet<String>),
    Password(String, Timestamp),
}

impl Edit {
    fn keeps_sessions(&self) -> bool {
        match self {
            Self::Status(ruling) => ruling.lets_in(),
            Self::Groups(_) => true,
            Self::Password(..) => false,
        }
    }
}

/// A change on its way into the store, with all that it takes to apply it there.
struct PendingChange {
    edit: Edit,
    /// The version that it was decided by, and what of that has to be as it was.
    seen: Option<(AccountVersion, &'static [AccountPart])>,
    approval: Approval,
    mailer: Arc<Mailer>,
    by: Actor,
    origin: Origin,
}

impl PendingChange {
    /// What already holds is left as it is, whatever was seen.
    fn apply(&self, account: &mut Account) -> Result<Vec<Mail>, EditError> {
        let before = account.clone();
        let mails = self.change(account);
        if let Some((seen, depends_on)) = &self.seen
            && !(mails.is_ok() && *account == before)
        {
            let parts = seen.differs(&before, depends_on);
            if !parts.is_empty() {
                return Err(EditError::Stale(parts, Box::new(before)));
            }
        }
        mails
    }

    fn change(&self, account: &mut Account) -> Result<Vec<Mail>, EditError> {
        match &self.edit {
            Edit::Status(ruling) => {
                return self.approval.decide(*ruling, account, &self.by, &self.origin);
            }
            Edit::Groups(groups) => account.groups.clone_from(groups),
            Edit::Password(hash, at) => {
                account.password_hash.clone_from(hash);
                account.password_changed_at = *at;
                // An address that nobody proved where it must be is nobody's.
                if !self.approval.awaits_proof(account) {
                    return Ok(vec![self.mailer.mail_by_administrator(
                        &account.email,
                        MailKind::PasswordChanged,
                        &self.origin,
                    )]);
                }
            }
        }
        Ok(Vec::new())
    }
}

/// The local part with `-` for every character that a username cannot have.
fn default_username(email: &Email) -> Option<Username> {
    let name: String = email
        .local()
        .to_lowercase()
        .chars()
        .map(|c| {
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

#[cfg(test)]
mod tests;
