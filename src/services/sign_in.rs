//! Signing in with a name and a password.

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::ip_rate_limiter::{Cost, IpRateLimiter};
use super::lockout::{AttemptDecision, Lockout};
use super::sessions::SignInCredential;
use super::sign_in_policy::SignInPolicy;
use super::terms::Terms;
use super::{ActiveSession, Audit, Event, Hasher, Kind, Origin, Sessions};
use crate::metrics::{Counter, Metrics};
use crate::model::{
    Account, AuditDetail, DetailKey, Email, LockoutSubject, Password, PasswordError, PlainToken, TokenDigest,
    Username,
};
use crate::secret::Secret;
use crate::store::{SessionsToEnd, Store, StoreError, UpdateAccount};

mod accept_terms;
mod error;
mod start_session;

pub use error::SignInError;

/// Somebody signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub account: Account,
    /// What goes into the cookie.
    pub token: PlainToken,
    /// The session.
    pub session: Arc<ActiveSession>,
}

/// The service.
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
    /// `admin.group`
    pub(super) guarded: String,
    pub(super) metrics: Arc<Metrics>,
}

/// Whom a typed name means.
struct LoginTarget {
    account: Option<Account>,
    /// Whose failures are counted, however they are named (S9).
    subject: LockoutSubject,
    /// For the record.
    who: String,
}

impl LoginTarget {
    fn event(&self, kind: Kind) -> Event {
        let account = self.account.as_ref().map(|account| account.id);
        Event::success(kind, shortened(&self.who)).account(account)
    }
}

/// Somebody knows the password of an account.
struct VerifiedPassword {
    account: Account,
    password: Password,
    /// The hash that is kept of it is not of today's cost and form.
    outdated: bool,
}

impl SignIn {
    /// Signs in. `login` is an e-mail address, or a username where `login.username`. `agrees`: to the terms as they are
    /// now, which is asked of whoever agreed to others.
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

    /// Where a sign-in is counted.
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

    /// Whether whoever uses a session knows its account's password. Counts like a sign-in (S9), and is noted
    /// with the session.
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

    /// Signs out.
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

    /// Counts and records a refusal. Only a wrong name or password counts against the address.
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

    /// Known and unknown names, good and impossible passwords all take this way: one place, one counted attempt, one
    /// hash (S5). The place comes before the count, so that a full queue counts nothing; an attempt that waits for
    /// others of its name has none.
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
        // Whatever has a place may fail, and so takes the room of a failure of its address until it is decided (S78).
        let place = || {
            let undecided = self.addresses.begin(origin.address);
            let undecided = undecided.map_err(SignInError::RateLimited)?;
            Ok::<_, SignInError>((self.hasher.place()?, undecided))
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

    /// Stores a hash of today's cost and form (S4). If it cannot be done now, the next sign-in will.
    async fn upgrade(&self, account: &Account, password: Password) {
        let Ok(place) = self.hasher.place() else { return };
        let Ok(password_hash) = place.hash(password).await else {
            return;
        };
        let changed = Account {
            password_hash,
            ..account.clone()
        };
        match self.store.update_account(account, changed, &self.guarded).await {
            Ok(UpdateAccount::Updated) => {
                tracing::info!(account = %account.id, "a password hash was upgraded");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a password hash could not be upgraded"),
        }
    }
}

/// What was typed may be of any length.
fn shortened(who: &str) -> String {
    who.chars().take(Email::MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests;
