//! E-mail tokens: the links in mails that verify an address or reset a password.

use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use super::approval::Approval;
use super::input::parse_email;
use super::mail::NOBODY;
use super::maker_rights::MakerRights;
use super::unsettled_change::UnsettledChange;
use super::{
    AccessKeys, Audit, Busy, DeferredRevocations, Event, FieldError, Hasher, Kind, Mailer, Origin,
    PasswordPolicy, Sessions, SharedServices, SignUpField, SignUpNext,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::model::{
    Account, AuditDetail, DetailKey, Email, EmailToken, Mail, MailKind, PlainToken, Purpose, TokenDigest,
    Username,
};
use crate::random::Random;
use crate::store::{ConsumeToken, Store, StoreError, TokenEffect};

mod password_reset;

/// Why a link was refused.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The token is used, expired, superseded or unknown.
    #[error("the link is void")]
    Void,
    /// `login.reset` is off.
    #[error("reset is switched off")]
    ResetDisabled,
    /// `signup.verify_email` is off.
    #[error("addresses need not be proven")]
    NothingToProve,
    /// Another account has the address meanwhile.
    #[error("another account has the address")]
    EmailTaken,
    /// The invalid fields of the form; never empty.
    #[error("{0:?}")]
    Invalid(Vec<(SignUpField, FieldError)>),
    /// The queue of the password hasher is full.
    #[error("too many passwords are being hashed")]
    Busy,
    /// The event could not be recorded where the audit log is required.
    #[error("the event could not be recorded")]
    Unrecorded,
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Busy> for LinkError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

/// What a link verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The address.
    pub email: Email,
    /// Whether the account moves to this address.
    pub moves: bool,
}

/// Sends and redeems the links in mails.
#[derive(Debug)]
pub struct EmailTokens {
    store: Arc<dyn Store>,
    hasher: Arc<Hasher>,
    policy: Arc<PasswordPolicy>,
    sessions: Arc<Sessions>,
    access_keys: Arc<AccessKeys>,
    revocations: Arc<DeferredRevocations>,
    mailer: Arc<Mailer>,
    approval: Approval,
    audit: Arc<Audit>,
    clock: Clock,
    random: Random,
    public_url: Url,
    /// `login.reset`
    reset: bool,
    /// `signup.verify_email`
    verify: bool,
    /// `login.username`
    by_username: bool,
    makers: MakerRights,
}

impl EmailTokens {
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
            mailer: shared.mailer.clone(),
            approval,
            audit: shared.audit.clone(),
            clock: shared.clock.clone(),
            random: shared.random.clone(),
            public_url: config.public_url.clone(),
            reset: config.login.reset,
            verify: config.signup.verify_email,
            by_username: config.login.username,
            makers: MakerRights::new(shared),
        }
    }

    /// Enqueues another verification mail. `login` is the address, or a username with `login.username`.
    pub async fn send_again(&self, login: &str, origin: &Origin) -> Result<(), LinkError> {
        if !self.verify {
            return Err(LinkError::NothingToProve);
        }
        let (typed, email) = match parse(login) {
            Ok(email) => (email.to_string(), email),
            Err(error) => {
                let username = match login.trim().parse::<Username>() {
                    Ok(username) if self.by_username => username,
                    _ => return Err(error),
                };
                let named = self.store.account_by_username(&username).await?;
                // An unknown name also costs one event and one mail (S18).
                let email = named.map_or_else(|| parse(NOBODY), |account| Ok(account.email))?;
                (username.to_string(), email)
            }
        };
        self.record(origin, &Event::success(Kind::VerifyRequest, typed))
            .await?;
        self.ask(&email, MailKind::VerifyEmail, origin).await
    }

    /// Returns what a valid link would verify; does not consume it (S20).
    pub async fn confirmation(&self, token: &str) -> Result<Confirmation, LinkError> {
        let (_, good) = self.confirming(token).await?;
        Ok(good.into())
    }

    /// Consumes the link: verifies an address, or moves an account to one.
    pub async fn confirm(
        &self,
        token: &str,
        origin: &Origin,
    ) -> Result<(Confirmation, SignUpNext), LinkError> {
        let confirmed = self.try_confirm(token, origin).await;
        self.note_void(Kind::EmailVerify, token, &confirmed, origin).await;
        confirmed
    }

    async fn try_confirm(
        &self,
        token: &str,
        origin: &Origin,
    ) -> Result<(Confirmation, SignUpNext), LinkError> {
        let (digest, good) = self.confirming(token).await?;
        self.revocations.settle_if_pending(good.account).await?;
        let account = self.store.account(good.account).await?.ok_or(LinkError::Void)?;
        let (kind, effect, mails) = if good.purpose == Purpose::ChangeEmail {
            let topic = MailKind::EmailChanged(good.email.clone());
            let told = self.mailer.mail(&account.email, topic, origin);
            (Kind::EmailChange, TokenEffect::ChangeEmail, vec![told])
        } else {
            let asked = self.asks_for_approval(&account, origin).await?;
            (Kind::EmailVerify, TokenEffect::VerifyEmail, asked)
        };
        self.announce(origin, kind, &good).await?;
        let consumed = self
            .store
            .consume_token(digest, effect, mails, self.now_for(&good));
        let (after, change) = self.consume(kind, account.clone(), consumed, origin).await?;
        self.sessions.refresh(&after).await;
        self.access_keys.refresh(after.id).await;
        change.finish();
        self.mailer.announce();
        let mut event = Event::about(kind, &after);
        if kind == Kind::EmailChange {
            let change = format!("{} to {}", account.email, after.email);
            event = event.detail(AuditDetail::of(DetailKey::From, &change));
        }
        self.audit.note(origin, &event);
        let next = SignUpNext::of(&after, self.verify);
        Ok((good.into(), next))
    }

    /// Uses a link. The returned change is to be finished once memory follows; `wanted` is the account as it will be. Where
    /// the outcome is not known, an event of this kind says so.
    async fn consume(
        &self,
        kind: Kind,
        wanted: Account,
        consumed: impl Future<Output = Result<ConsumeToken, StoreError>>,
        origin: &Origin,
    ) -> Result<(Account, UnsettledChange<'_>), LinkError> {
        let event = Event::about(kind, &wanted);
        let change = UnsettledChange::begin(&self.sessions, &self.access_keys, wanted);
        match consumed.await.map(consumed_by) {
            Ok(Ok(after)) => Ok((after, change)),
            Ok(Err(refused)) => {
                change.finish();
                Err(refused)
            }
            // Nothing was made: the link's maker has lost the right.
            Err(StoreError::Precondition(_)) => {
                change.finish();
                Err(LinkError::Void)
            }
            Err(error) => {
                change.fail(&error);
                if error.is_outcome_unknown() {
                    self.audit.note(origin, &event.failed_because("unavailable"));
                }
                Err(error.into())
            }
        }
    }

    async fn ask(&self, email: &Email, topic: MailKind, origin: &Origin) -> Result<(), LinkError> {
        let mail = self.mailer.mail_for_anybody(email, topic, origin);
        self.mailer.enqueue(mail.into_iter().collect()).await?;
        Ok(())
    }

    async fn confirming(&self, token: &str) -> Result<(TokenDigest, EmailToken), LinkError> {
        let (digest, good) = self.valid_token(token).await?;
        match good.purpose {
            Purpose::VerifyEmail | Purpose::ChangeEmail => Ok((digest, good)),
            Purpose::Reset | Purpose::ResetByAdministrator => Err(LinkError::Void),
        }
    }

    /// Returns the mails that ask for approval once the address of `account` is verified; none if it is
    /// already.
    async fn asks_for_approval(&self, account: &Account, origin: &Origin) -> Result<Vec<Mail>, StoreError> {
        if account.email_verified {
            return Ok(Vec::new());
        }
        let proven = Account {
            email_verified: true,
            ..account.clone()
        };
        self.approval.requests(&proven, origin).await
    }

    /// Returns a token that is stored and not expired.
    async fn valid_token(&self, token: &str) -> Result<(TokenDigest, EmailToken), LinkError> {
        let digest = PlainToken::parse(token).ok_or(LinkError::Void)?.digest();
        let kept = self.store.token(digest).await?;
        kept.filter(|kept| kept.is_timely(self.now_for(kept)))
            .map(|kept| (digest, kept))
            .ok_or(LinkError::Void)
    }

    /// The current time for a link: by its monotonic lifetime if this process issued it, else by the wall
    /// clock.
    fn now_for(&self, token: &EmailToken) -> Timestamp {
        let own = self.mailer.lifetimes.now_for(&token.digest, token.expires_at);
        own.unwrap_or_else(|| self.clock.now())
    }

    /// Audits a void link; whose it was is known as long as the store has it.
    async fn note_void<T>(&self, kind: Kind, token: &str, outcome: &Result<T, LinkError>, origin: &Origin) {
        let reason = match outcome {
            Err(LinkError::Void) => "invalid-token",
            Err(LinkError::EmailTaken) => "email-taken",
            _ => return,
        };
        let kept = match PlainToken::parse(token) {
            Some(token) => self.store.token(token.digest()).await.ok().flatten(),
            None => None,
        };
        let event = match kept {
            Some(kept) => Event::failure(kind, kept.email.as_str(), reason).account(kept.account),
            None => Event::failure(kind, "", reason),
        };
        self.audit.note(origin, &event);
    }

    async fn record(&self, origin: &Origin, event: &Event) -> Result<(), LinkError> {
        self.audit
            .record(origin, event)
            .await
            .map_err(|_| LinkError::Unrecorded)
    }

    async fn announce(&self, origin: &Origin, kind: Kind, token: &EmailToken) -> Result<(), LinkError> {
        let event = Event::success(kind, token.email.as_str())
            .account(token.account)
            .detail(AuditDetail::bare(DetailKey::Begins));
        self.audit
            .announce(origin, &event)
            .await
            .map_err(|_| LinkError::Unrecorded)
    }
}

impl From<EmailToken> for Confirmation {
    fn from(token: EmailToken) -> Self {
        Self {
            moves: token.purpose == Purpose::ChangeEmail,
            email: token.email,
        }
    }
}

/// Turns the store's result into the changed account or an error.
fn consumed_by(outcome: ConsumeToken) -> Result<Account, LinkError> {
    match outcome {
        ConsumeToken::Consumed { after, .. } => Ok(*after),
        ConsumeToken::Void => Err(LinkError::Void),
        ConsumeToken::EmailTaken => Err(LinkError::EmailTaken),
    }
}

fn parse(typed: &str) -> Result<Email, LinkError> {
    parse_email(typed).map_err(|error| LinkError::Invalid(vec![(SignUpField::Email, error)]))
}

#[cfg(test)]
mod tests;
