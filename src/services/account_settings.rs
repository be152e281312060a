//! Account self-service: name, username, address, password, language, sessions, deletion.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::account_edit::{AccountDiff, EditError, edit, edit_and_mail};
use super::change_rate_limiter::ChangeRateLimiter;
use super::dual_time::DualTime;
use super::input::{parse_display_name, parse_email, parse_new_password, parse_username};
use super::reserved_usernames::is_reserved;
use super::unsettled_change::UnsettledChange;
use super::{
    AccessKeys, ActiveSession, Actor, Audit, Busy, DeferredRevocations, Event, FieldError, Hasher, Kind,
    Mailer, Origin, PasswordPolicy, Sessions, SharedServices, SignIn, SignInError, SignUpField,
    TooManyChanges,
};
use crate::clock::Clock;
use crate::config::{Config, SignupConfig};
use crate::ids::{AccountId, SessionId};
use crate::model::{Account, AuditDetail, DetailKey, MailKind, PendingEmail, Username};
use crate::secret::Secret;
use crate::store::{DeleteAccount, PreconditionError, SessionsToEnd, Store, StoreError};

/// How many former usernames an account may have; each stays reserved for it.
pub const MOST_FORMER_USERNAMES: usize = 5;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountSettingsError {
    /// The current password is wrong, or cannot be checked now.
    #[error(transparent)]
    NotProved(SignInError),
    /// The invalid fields of a new password; never empty.
    #[error("{0:?}")]
    Password(Vec<(SignUpField, FieldError)>),
    /// The address is invalid, or the one that the account has.
    #[error("not an address: {0:?}")]
    Email(FieldError),
    /// `login.change_username` is off.
    #[error("usernames cannot be changed")]
    UsernameFixed,
    /// The username is invalid, reserved or taken.
    #[error("not a username: {0:?}")]
    Username(FieldError),
    /// The account has the most former usernames that it may have.
    #[error("the account had as many usernames as one may have")]
    TooManyUsernames,
    /// The display name is invalid.
    #[error("not a name")]
    Name,
    /// The owner changed the account too often.
    #[error(transparent)]
    TooOften(#[from] TooManyChanges),
    /// It is the last active member of the administrators' group.
    #[error("it is the last active member of the administrators' group")]
    LastAdministrator,
    /// The account does not exist.
    #[error("the account is gone")]
    Gone,
    /// The queue of the password hasher is full.
    #[error("too many passwords are being hashed")]
    Busy,
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Busy> for AccountSettingsError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

impl From<EditError> for AccountSettingsError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Gone => Self::Gone,
            EditError::UsernameTaken(_) => Self::Username(FieldError::UsernameTaken),
            // An edit that keeps the address cannot meet another account's, nor does an owner decide about the status
            // or the groups.
            EditError::EmailTaken(_)
            | EditError::Status(_)
            | EditError::Stale(..)
            | EditError::TooManyGroups => Self::Store(StoreError::Unavailable(error.to_string())),
            EditError::TooManyUsernames => Self::TooManyUsernames,
            EditError::LastAdministrator => Self::LastAdministrator,
            EditError::Store(error) => Self::Store(error),
        }
    }
}

/// The form that changes a password.
#[derive(Debug)]
pub struct PasswordForm {
    /// The current password.
    pub current: Secret<String>,
    /// The new password.
    pub password: Secret<String>,
    /// The new password, repeated.
    pub password_confirm: Secret<String>,
}

/// Serves the pages on which users manage their own account.
#[derive(Debug)]
pub struct AccountSettings {
    store: Arc<dyn Store>,
    hasher: Arc<Hasher>,
    policy: Arc<PasswordPolicy>,
    sessions: Arc<Sessions>,
    access_keys: Arc<AccessKeys>,
    revocations: Arc<DeferredRevocations>,
    sign_in: Arc<SignIn>,
    audit: Arc<Audit>,
    mailer: Arc<Mailer>,
    changes: Arc<ChangeRateLimiter>,
    clock: Clock,
    /// `login.change_username`
    may_rename: bool,
    signup: SignupConfig,
    /// Those that routes name: whoever takes one gets what it opens.
    usernames_of_routes: BTreeSet<Username>,
}

impl AccountSettings {
    pub(super) fn new(
        shared: &SharedServices,
        policy: Arc<PasswordPolicy>,
        sign_in: Arc<SignIn>,
        config: &Config,
    ) -> Self {
        Self {
            store: shared.store.clone(),
            hasher: shared.hasher.clone(),
            policy,
            sessions: shared.sessions.clone(),
            access_keys: shared.access_keys.clone(),
            revocations: shared.revocations.clone(),
            sign_in,
            audit: shared.audit.clone(),
            mailer: shared.mailer.clone(),
            changes: shared.changes.clone(),
            clock: shared.clock.clone(),
            may_rename: config.login.change_username,
            signup: config.signup.clone(),
            usernames_of_routes: config.usernames_of_routes(),
        }
    }

    /// Returns the account.
    pub async fn find(&self, id: AccountId) -> Result<Account, AccountSettingsError> {
        self.store.account(id).await?.ok_or(AccountSettingsError::Gone)
    }

    /// Changes the display name; empty removes it. Idempotent: an equal name changes nothing.
    pub async fn change_name(
        &self,
        session: &ActiveSession,
        name: &str,
        origin: &Origin,
    ) -> Result<Account, AccountSettingsError> {
        let name = parse_display_name(name).map_err(|_| AccountSettingsError::Name)?;
        let account = self.find(session.account()).await?;
        if account.name == name {
            return Ok(account);
        }
        let before = account.clone();
        self.changes.admit(account.id)?;
        let store = Actor::owner(session, None).act_on(&self.store);
        let edited = edit_and_mail(&store, account.id, move |account| {
            account.name.clone_from(&name);
            Ok(Vec::new())
        });
        let (AccountDiff { after: account, .. }, change) = self.edit_and_follow(account, edited).await?;
        self.follow(&account, change).await;
        let event = Event::about(Kind::NameChange, &account).detail(AuditDetail::names(&before, &account));
        self.audit.note(origin, &event);
        Ok(account)
    }

    /// Changes the language of pages and mails. Idempotent: an equal tag changes nothing.
    pub async fn change_language(
        &self,
        session: &ActiveSession,
        tag: &str,
        origin: &Origin,
    ) -> Result<Account, AccountSettingsError> {
        let account = self.find(session.account()).await?;
        if account.language.as_deref() == Some(tag) {
            return Ok(account);
        }
        let language = tag.to_owned();
        let changed = self.edit(session, move |account| account.language = Some(language.clone()));
        let account = changed.await?;
        let event = Event::about(Kind::LanguageChange, &account);
        let event = event.detail(AuditDetail::of(DetailKey::Language, tag));
        self.audit.note(origin, &event);
        Ok(account)
    }

    /// Mails the link that moves the account to `email`. If that address has an account, the result does not
    /// differ and its owner is told: which addresses are registered is not disclosed. For the account's own,
    /// unverified address, the link verifies it.
    pub async fn change_email(
        &self,
        session: &ActiveSession,
        email: &str,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<(), AccountSettingsError> {
        let email = parse_email(email).map_err(AccountSettingsError::Email)?;
        let (account, owner) = self.reauthenticate(session, password, origin).await?;
        let is_own = account.email.key() == email.key();
        let topic = match is_own {
            true if account.email_verified => {
                return Err(AccountSettingsError::Email(FieldError::EmailUnchanged));
            }
            true => MailKind::VerifyEmail,
            false => MailKind::ChangeEmail(account.id),
        };
        self.changes.admit(account.id)?;
        let store = owner.act_on(&self.store);
        match self.mailer.mail_for_anybody(&email, topic, origin) {
            Some(mail) if is_own => store.enqueue_mails(vec![mail]).await?,
            Some(mail) => {
                let edited = edit_and_mail(&store, account.id, move |account| {
                    account.pending_email = Some(PendingEmail {
                        email: mail.to.clone(),
                        since: mail.cause.at,
                        mail: mail.id,
                    });
                    Ok(vec![mail.clone()])
                });
                edited.await?;
            }
            None => {}
        }
        self.mailer.announce();
        let event = Event::about(Kind::EmailChangeRequest, &account);
        self.audit
            .note(origin, &event.detail(AuditDetail::of(DetailKey::To, &email)));
        Ok(())
    }

    /// Cancels a pending change of address, which voids its link, also in a queued mail. Takes no password,
    /// since nothing is gained by it.
    pub async fn cancel_email_change(
        &self,
        session: &ActiveSession,
        origin: &Origin,
    ) -> Result<Account, AccountSettingsError> {
        let store = Actor::owner(session, None).act_on(&self.store);
        let edited = edit_and_mail(&store, session.account(), |account| {
            account.pending_email = None;
            Ok(Vec::new())
        });
        let AccountDiff { before, after } = edited.await?;
        if let Some(pending) = before.pending_email {
            let event = Event::about(Kind::EmailChangeCancel, &after);
            let event = event.detail(AuditDetail::of(DetailKey::To, &pending.email));
            self.audit.note(origin, &event);
        }
        Ok(after)
    }

    /// Changes the username and mails the owner. The former username stays reserved for this account (S53),
    /// which may take it again.
    pub async fn change_username(
        &self,
        session: &ActiveSession,
        username: &str,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<Account, AccountSettingsError> {
        use AccountSettingsError::{TooManyUsernames, Username};
        let renamed = self.rename(session, username, password, origin).await;
        if let Err(Username(FieldError::UsernameTaken) | TooManyUsernames) = &renamed {
            self.note_refused(Kind::UsernameChange, session, origin);
        }
        renamed
    }

    async fn rename(
        &self,
        session: &ActiveSession,
        username: &str,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<Account, AccountSettingsError> {
        if !self.may_rename {
            return Err(AccountSettingsError::UsernameFixed);
        }
        let username = parse_username(username).map_err(AccountSettingsError::Username)?;
        let (account, owner) = self.reauthenticate(session, password, origin).await?;
        if account.username == username {
            return Ok(account);
        }
        if is_reserved(&self.signup, &username) || self.usernames_of_routes.contains(&username) {
            return Err(AccountSettingsError::Username(FieldError::UsernameTaken));
        }
        self.changes.admit(account.id)?;
        let store = owner.act_on(&self.store);
        let (mailer, cause) = (self.mailer.clone(), origin.clone());
        let edited = edit_and_mail(&store, account.id, move |account| {
            // Counted inside the transaction, so that concurrent changes cannot exceed the limit (S78).
            let former = &account.former_usernames;
            if former.len() >= MOST_FORMER_USERNAMES && !former.contains(&username) {
                return Err(EditError::TooManyUsernames);
            }
            account.username.clone_from(&username);
            let topic = MailKind::UsernameChanged(username.clone());
            Ok(vec![mailer.mail(&account.email, topic, &cause)])
        });
        let (diff, change) = self.edit_and_follow(account, edited).await?;
        let AccountDiff {
            before,
            after: account,
        } = diff;
        self.follow(&account, change).await;
        self.mailer.announce();
        let event = Event::about(Kind::UsernameChange, &account);
        let change = format!("{} to {}", before.username, account.username);
        let event = event.detail(AuditDetail::of(DetailKey::From, &change));
        self.audit.note(origin, &event);
        Ok(account)
    }

    /// Changes the password and ends the other sessions in one transaction. A password that breaks a rule is
    /// not hashed.
    pub async fn change_password(
        &self,
        session: &ActiveSession,
        form: &PasswordForm,
        origin: &Origin,
    ) -> Result<Account, AccountSettingsError> {
        let account = self.find(session.account()).await?;
        let password = parse_new_password(
            &self.policy,
            &form.password,
            &form.password_confirm,
            Some(&account.email),
            Some(&account.username),
        )
        .map_err(AccountSettingsError::Password)?;
        let (account, owner) = self.reauthenticate(session, &form.current, origin).await?;
        let hash = self.hasher.try_acquire()?.hash(password).await?;
        let now = DualTime::of(&self.clock);
        let store = owner.act_on(&self.store);
        let (mailer, cause) = (self.mailer.clone(), origin.clone());
        session.may_set_password(now.wall());
        let edited = edit_and_mail(&store, account.id, move |account| {
            account.password_hash.clone_from(&hash);
            account.password_changed_at = now.wall();
            Ok(vec![mailer.mail(
                &account.email,
                MailKind::PasswordChanged,
                &cause,
            )])
        });
        let wanted = Account {
            password_changed_at: now.wall(),
            ..account
        };
        let (AccountDiff { after: account, .. }, change) = self.edit_and_follow(wanted, edited).await?;
        self.mailer.announce();
        session.mark_proved(now);
        // The store ended them with the change; memory follows.
        let ended = self.sessions.end(others(session)).await;
        change.finish();
        ended?;
        self.note(Kind::PasswordChange, &account, origin);
        Ok(account)
    }

    /// Ends one of the account's sessions and returns whether it existed.
    pub async fn end_session(
        &self,
        session: &ActiveSession,
        ending: SessionId,
        origin: &Origin,
    ) -> Result<bool, AccountSettingsError> {
        let own = self.sessions.list(Some(session.account()));
        let Some(info) = own.into_iter().find(|info| info.session.id == ending) else {
            return Ok(false);
        };
        let owner = Actor::owner(session, None);
        let ended = self.sessions.end_by(&owner, SessionsToEnd::Id(ending)).await?;
        let event = Event::success(Kind::SessionEnd, info.email)
            .account(session.account())
            .detail(AuditDetail::of(DetailKey::Session, &ending));
        self.audit.note(origin, &event);
        Ok(ended > 0)
    }

    /// Ends the account's other sessions and returns their number. With none, nothing is audited.
    pub async fn end_other_sessions(
        &self,
        session: &ActiveSession,
        origin: &Origin,
    ) -> Result<usize, AccountSettingsError> {
        let owner = Actor::owner(session, None);
        let ended = self.sessions.end_by(&owner, others(session)).await?;
        if ended > 0 {
            let event = Event::success(Kind::SessionEnd, session.principal().email.as_str())
                .account(session.account())
                .detail(AuditDetail::bare(DetailKey::AllOthers));
            self.audit.note(origin, &event);
        }
        Ok(ended)
    }

    /// Deletes the account; its username stays reserved (S53).
    pub async fn delete(
        &self,
        session: &ActiveSession,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<(), AccountSettingsError> {
        let (account, owner) = self.reauthenticate(session, password, origin).await?;
        let id = account.id;
        let proved = Some(account.password_changed_at);
        let deleted = self
            .revocations
            .delete(&self.store, &account, proved, &owner, origin);
        match deleted.await? {
            DeleteAccount::Deleted => {}
            DeleteAccount::Absent => return Err(AccountSettingsError::Gone),
            DeleteAccount::LastMember => {
                self.note_refused(Kind::AccountDelete, session, origin);
                return Err(AccountSettingsError::LastAdministrator);
            }
            DeleteAccount::PasswordChanged => {
                return Err(StoreError::from(PreconditionError::PasswordChanged).into());
            }
        }
        self.sessions.end(SessionsToEnd::Account(id, None)).await?;
        let event = Event::about(Kind::AccountDelete, &account);
        let event = event.detail(AuditDetail::of(DetailKey::Username, &account.username));
        self.audit.note(origin, &event);
        Ok(())
    }

    /// Checks the password. Returns the account as of then, and its owner as an actor whose acts are void
    /// once the password changes.
    async fn reauthenticate(
        &self,
        session: &ActiveSession,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<(Account, Actor), AccountSettingsError> {
        let proved = self.sign_in.reauthenticate(session, password, origin).await;
        let account = proved.map_err(AccountSettingsError::NotProved)?;
        let owner = Actor::owner(session, Some(account.password_changed_at));
        Ok((account, owner))
    }

    /// Edits an account whose sessions and keys follow: the returned change is to be finished once they do. `wanted`
    /// is the account as it will be.
    async fn edit_and_follow(
        &self,
        wanted: Account,
        edited: impl Future<Output = Result<AccountDiff, EditError>>,
    ) -> Result<(AccountDiff, UnsettledChange<'_>), EditError> {
        let change = UnsettledChange::begin(&self.sessions, &self.access_keys, wanted);
        match edited.await {
            Ok(edited) => Ok((edited, change)),
            Err(error) => {
                match &error {
                    EditError::Store(error) => change.fail(error),
                    _ => change.finish(),
                }
                Err(error)
            }
        }
    }

    /// Brings memory up to an account that was changed.
    async fn follow(&self, account: &Account, change: UnsettledChange<'_>) {
        self.sessions.refresh(account).await;
        self.access_keys.refresh(account.id).await;
        change.finish();
    }

    /// Edits the account without a password, within the owner's rate limit.
    async fn edit(
        &self,
        session: &ActiveSession,
        change: impl Fn(&mut Account) + Send + Sync + 'static,
    ) -> Result<Account, AccountSettingsError> {
        self.changes.admit(session.account())?;
        let store = Actor::owner(session, None).act_on(&self.store);
        Ok(edit(&store, session.account(), change).await?)
    }

    /// Audits a change that was refused.
    fn note_refused(&self, kind: Kind, session: &ActiveSession, origin: &Origin) {
        let email = session.principal().email.to_string();
        let event = Event::failure(kind, email, "invalid-input").account(session.account());
        self.audit.note(origin, &event);
    }

    fn note(&self, kind: Kind, account: &Account, origin: &Origin) {
        self.audit.note(origin, &Event::about(kind, account));
    }
}

/// Selects all sessions of the account but this one.
fn others(session: &ActiveSession) -> SessionsToEnd {
    SessionsToEnd::Account(session.account(), Some(session.digest()))
}

#[cfg(test)]
mod tests;
