//! Sign-in with a password, reauthentication and sign-out.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::account_edit::{EditError, edit_and_mail};
use super::ip_rate_limiter::{Cost, IpRateLimiter};
use super::lockout::{AttemptDecision, Lockout};
use super::sessions::SignInCredential;
use super::sign_in_policy::SignInPolicy;
use super::terms::Terms;
use super::{ActiveSession, Audit, Event, Hasher, Kind, Origin, Sessions};
use crate::ids::AccountId;
use crate::metrics::{Counter, Metrics};
use crate::model::{
    Account, AuditDetail, DetailKey, Email, LockoutSubject, Password, PasswordError, PlainToken, TokenDigest,
    Username,
};
use crate::secret::Secret;
use crate::store::{PreconditionError, SessionsToEnd, Store, StoreError, UpdateAccount};

mod error;

pub use error::SignInError;

/// A successful sign-in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub account: Account,
    /// The token for the cookie.
    pub token: PlainToken,
    /// The session.
    pub session: Arc<ActiveSession>,
}

/// Signs in, reauthenticates and signs out.
#[derive(Debug)]
pub struct SignIn {
    pub(super) store: Arc<dyn Store>,
    pub(super) hasher: Arc<Hasher>,
    pub(super) lockout: Lockout,
    pub(super) addresses: Arc<IpRateLimiter>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) audit: Arc<Audit>,
    /// `login.username`
    pub(super) by_username: bool,
    pub(super) policy: SignInPolicy,
    pub(super) terms: Terms,
    pub(super) metrics: Arc<Metrics>,
}

/// The account that a typed name refers to.
struct LoginTarget {
    account: Option<Account>,
    /// The subject of the lockout; the account's, under whichever of its names (S9).
    subject: LockoutSubject,
    /// The name in the audit log.
    who: String,
}

impl LoginTarget {
    fn event(&self, kind: Kind) -> Event {
        let account = self.account.as_ref().map(|account| account.id);
        Event::success(kind, shortened(&self.who)).account(account)
    }
}

/// A successful password check.
struct VerifiedPassword {
    account: Account,
    password: Password,
    /// The stored hash is not of the current cost and form.
    outdated: bool,
}

impl SignIn {
    /// Signs in. `login` is an e-mail address, or with `login.username` a username. `agrees` accepts the
    /// current terms, which is required if the account accepted others before.
    pub async fn with_password(
        &self,
        login: &str,
        password: &Secret<String>,
        agrees: bool,
        origin: &Origin,
        replaces: Option<TokenDigest>,
    ) -> Result<SignedIn, SignInError> {
        let result = self
            .try_with_password(login, password, agrees, origin, replaces)
            .await;
        self.counter(result.as_ref().err()).increment();
        result
    }

    /// The counter of this outcome.
    pub(super) fn counter(&self, refused: Option<&SignInError>) -> &Counter {
        match refused {
            None => &self.metrics.sign_ins_succeeded,
            Some(SignInError::Locked(_)) => &self.metrics.sign_ins_locked,
            Some(SignInError::RateLimited(_)) => &self.metrics.sign_ins_limited,
            Some(SignInError::Busy | SignInError::Store(_) | SignInError::Unrecorded) => {
                &self.metrics.sign_ins_unavailable
            }
            Some(_) => &self.metrics.sign_ins_failed,
        }
    }

    async fn try_with_password(
        &self,
        login: &str,
        password: &Secret<String>,
        agrees: bool,
        origin: &Origin,
        replaces: Option<TokenDigest>,
    ) -> Result<SignedIn, SignInError> {
        if let Err(wait) = self.addresses.check(origin.address) {
            let (event, error) = (
                Event::success(Kind::SignIn, shortened(login)),
                SignInError::RateLimited(wait),
            );
            return Err(self.refuse(event, origin, error).await);
        }
        let named = self.resolve(login).await?;
        let (account, token, session) = match self.evaluate(&named, password, agrees, origin, replaces).await
        {
            Ok(signed_in) => signed_in,
            Err(error) => return Err(self.refuse(named.event(Kind::SignIn), origin, error).await),
        };
        let event = named
            .event(Kind::SignIn)
            .detail(AuditDetail::of(DetailKey::Session, &session.id()));
        if self.audit.record(origin, &event).await.is_err() {
            self.sessions.end(SessionsToEnd::Token(session.digest())).await?;
            return Err(SignInError::Unrecorded);
        }
        Ok(SignedIn {
            account,
            token,
            session,
        })
    }

    /// Checks the password of the session's account and marks the session as reauthenticated. Failures count
    /// like those of a sign-in (S9).
    pub async fn reauthenticate(
        &self,
        session: &ActiveSession,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<Account, SignInError> {
        let account = self.store.account(session.account()).await?;
        let account = account.ok_or(SignInError::InvalidCredentials)?;
        let named = LoginTarget {
            subject: LockoutSubject::Account(account.id),
            who: account.email.to_string(),
            account: Some(account),
        };
        let proved = match self.addresses.check(origin.address) {
            Ok(()) => self.verify(&named, password, origin).await,
            Err(wait) => Err(SignInError::RateLimited(wait)),
        };
        let admitted = proved.and_then(|proved| {
            self.policy.check(&proved.account)?;
            Ok(proved.account)
        });
        let account = match admitted {
            Ok(account) => account,
            Err(error) => return Err(self.refuse(named.event(Kind::Proof), origin, error).await),
        };
        self.audit
            .record(origin, &named.event(Kind::Proof))
            .await
            .map_err(|_| SignInError::Unrecorded)?;
        self.sessions.mark_reauthenticated(session, &account).await?;
        Ok(account)
    }

    /// Ends the session.
    pub async fn sign_out(&self, session: &ActiveSession, origin: &Origin) -> Result<(), SignInError> {
        self.sessions.end(SessionsToEnd::Token(session.digest())).await?;
        let event = Event::success(Kind::SignOut, session.principal().email.as_str())
            .account(session.account())
            .detail(AuditDetail::of(DetailKey::Session, &session.id()));
        self.audit
            .record(origin, &event)
            .await
            .map_err(|_| SignInError::Unrecorded)
    }

    /// Audits a refusal. Only a wrong name or password counts against the address.
    async fn refuse(&self, event: Event, origin: &Origin, error: SignInError) -> SignInError {
        if matches!(error, SignInError::InvalidCredentials) {
            self.addresses.failed(origin.address, Cost::Hash);
        }
        let event = event.failed_because(error.reason());
        match self.audit.record(origin, &event).await {
            Ok(()) => error,
            Err(_) => SignInError::Unrecorded,
        }
    }

    async fn resolve(&self, login: &str) -> Result<LoginTarget, StoreError> {
        let typed: String = login.trim_matches(' ').nfc().collect();
        let (account, key) = if let Ok(email) = typed.parse::<Email>() {
            (self.store.account_by_email(&email).await?, email.key().to_owned())
        } else {
            let account = match typed.parse::<Username>() {
                Ok(username) if self.by_username => self.store.account_by_username(&username).await?,
                _ => None,
            };
            (account, typed.to_lowercase().nfc().collect())
        };
        Ok(match account {
            Some(account) => LoginTarget {
                subject: LockoutSubject::Account(account.id),
                who: account.email.to_string(),
                account: Some(account),
            },
            None => LoginTarget {
                subject: LockoutSubject::unknown(&key),
                who: typed,
                account: None,
            },
        })
    }

    async fn evaluate(
        &self,
        named: &LoginTarget,
        typed: &Secret<String>,
        agrees: bool,
        origin: &Origin,
        replaces: Option<TokenDigest>,
    ) -> Result<(Account, PlainToken, Arc<ActiveSession>), SignInError> {
        let proved = self.verify(named, typed, origin).await?;
        self.policy.check(&proved.account)?;
        let account = self.agree(proved.account, agrees, origin).await?;
        if proved.outdated {
            self.upgrade(&account, proved.password).await;
        }
        let with = SignInCredential::Password;
        self.begin(&account, with, origin, replaces).await
    }

    /// Checks a password. Known and unknown names take equal work: one permit, one counted attempt, one hash
    /// (S5); only a password over the limit is refused at once. The permit comes before the count, so that a
    /// full queue counts nothing; an attempt that waits for others of its name holds none.
    async fn verify(
        &self,
        named: &LoginTarget,
        typed: &Secret<String>,
        origin: &Origin,
    ) -> Result<VerifiedPassword, SignInError> {
        let password = match Password::parse(typed) {
            Ok(password) => Some(password),
            Err(PasswordError::TooLong) => return Err(SignInError::InvalidCredentials),
            Err(PasswordError::Empty | PasswordError::ControlCharacter) => None,
        };
        // With a permit, the attempt counts as a failure of its address until it is decided (S78).
        let place = || {
            let undecided = self.addresses.begin(origin.address);
            let undecided = undecided.map_err(SignInError::RateLimited)?;
            Ok::<_, SignInError>((self.hasher.try_acquire()?, undecided))
        };
        let (attempt, (place, _undecided)) = match self.lockout.admit(named.subject, place).await? {
            AttemptDecision::Evaluate(attempt, place) => (attempt, place),
            AttemptDecision::Locked(wait) => return Err(SignInError::Locked(wait)),
        };
        let outdated = if let Some(password) = &password {
            let hash = named
                .account
                .as_ref()
                .map(|account| account.password_hash.clone());
            let verdict = place.verify(password.clone(), hash).await;
            verdict.matches.then_some(verdict.outdated)
        } else {
            place.spend().await;
            None
        };
        let (Some(account), Some(password), Some(outdated)) = (&named.account, password, outdated) else {
            if attempt.is_last() {
                self.metrics.locks.increment();
                self.audit.note(origin, &named.event(Kind::Lock));
            }
            return Err(SignInError::InvalidCredentials);
        };
        attempt.clear().await?;
        Ok(VerifiedPassword {
            account: account.clone(),
            password,
            outdated,
        })
    }

    /// Stores a hash of the current cost and form (S4). On failure, the next sign-in does.
    async fn upgrade(&self, account: &Account, password: Password) {
        let Ok(place) = self.hasher.try_acquire() else {
            return;
        };
        let Ok(password_hash) = place.hash(password).await else {
            return;
        };
        let changed = Account {
            password_hash,
            ..account.clone()
        };
        match self.store.update_account(account, changed).await {
            Ok(UpdateAccount::Updated) => {
                tracing::info!(account = %account.id, "a password hash was upgraded");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a password hash could not be upgraded"),
        }
    }

    /// Starts a session for the proven owner of an account, replacing the one of the sign-in request.
    pub(super) async fn begin(
        &self,
        account: &Account,
        with: SignInCredential<'_>,
        origin: &Origin,
        replaces: Option<TokenDigest>,
    ) -> Result<(Account, PlainToken, Arc<ActiveSession>), SignInError> {
        let former = replaces.and_then(|digest| self.sessions.peek(&digest));
        let address = origin.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let begun = self
            .sessions
            .begin(account, with, address, origin.short_user_agent(), replaces)
            .await?;
        let Some((token, session)) = begun else {
            self.confirm(account).await?;
            let changed = "the account was shut out and let in again while it signed in";
            return Err(StoreError::Unavailable(changed.to_owned()).into());
        };
        if let Some(former) = former {
            self.note_replaced(&former, &session, origin);
        }
        let confirmed = async {
            let account = self.confirm(account).await?;
            // The account may have changed since it was read, and the session must not start with the old
            // one.
            self.sessions.try_refresh(account.id).await?;
            Ok(account)
        };
        match confirmed.await {
            Ok(account) => Ok((account, token, session)),
            Err(error) => {
                self.sessions.end(SessionsToEnd::Token(session.digest())).await?;
                Err(error)
            }
        }
    }

    /// Audits the end of the replaced session, whose user may be another.
    fn note_replaced(&self, former: &ActiveSession, by: &ActiveSession, origin: &Origin) {
        let detail = AuditDetail::of(DetailKey::Session, &former.id()).and(DetailKey::ReplacedBy, &by.id());
        let event = Event::success(Kind::SessionEnd, former.principal().email.as_str());
        let event = event.account(former.account()).detail(detail);
        self.audit.note(origin, &event);
    }

    /// Reads the account again once the session exists. A revocation or a change of password during hashing
    /// either ended this session with the account's others, or is seen here.
    async fn confirm(&self, read: &Account) -> Result<Account, SignInError> {
        let current = self.store.account(read.id).await?;
        let current = current
            .filter(|current| current.password_changed_at == read.password_changed_at)
            .ok_or(SignInError::InvalidCredentials)?;
        self.policy.check(&current)?;
        Ok(current)
    }

    /// Returns whether the proven owner of an account may sign in without accepting new terms.
    pub fn admits(&self, account: &Account) -> Result<(), SignInError> {
        self.policy.check(account)?;
        if self.terms.are_outstanding(account) {
            return Err(SignInError::MustAgree);
        }
        Ok(())
    }

    /// Returns the account of an accepted key, if it may sign in.
    pub(super) async fn account(&self, id: AccountId) -> Result<Account, SignInError> {
        let account = self.store.account(id).await?;
        let account = account.ok_or(SignInError::InvalidCredentials)?;
        self.policy.check(&account)?;
        Ok(account)
    }

    /// Ends a session that was started and cannot be kept.
    pub(super) async fn end(&self, which: SessionsToEnd) -> Result<(), StoreError> {
        self.sessions.end(which).await.map(drop)
    }

    /// Stores that the proven owner of `account` accepts the current terms, if that is required. Refuses an
    /// account whose password changed since.
    pub(super) async fn agree(
        &self,
        account: Account,
        agrees: bool,
        origin: &Origin,
    ) -> Result<Account, SignInError> {
        if !self.terms.are_outstanding(&account) {
            return Ok(account);
        }
        let Some(agreement) = self.terms.agreement().filter(|_| agrees) else {
            return Err(SignInError::MustAgree);
        };
        let event = Event::about(Kind::Agree, &account)
            .detail(AuditDetail::of(DetailKey::Version, &agreement.version));
        let proved = account.password_changed_at;
        let edited = edit_and_mail(&self.store, account.id, move |account| {
            // The returned account must still be the one whose password was checked (S77).
            if account.password_changed_at != proved {
                return Err(StoreError::from(PreconditionError::PasswordChanged).into());
            }
            account.agreements.push(agreement.clone());
            Ok(Vec::new())
        });
        let edited = edited.await.map_err(|error| match error {
            EditError::Gone | EditError::Store(StoreError::Precondition(_)) => {
                SignInError::InvalidCredentials
            }
            EditError::Store(error) => SignInError::Store(error),
            error => SignInError::Store(StoreError::Unavailable(error.to_string())),
        })?;
        self.audit.note(origin, &event);
        Ok(edited.after)
    }
}

/// Cuts a typed name, which may have any length.
fn shortened(who: &str) -> String {
    who.chars().take(Email::MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests;
