//! Sign-up: creates accounts for visitors and holders of invitations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::approval::Approval;
use super::input::{parse_email, parse_new_password, parse_username};
use super::ip_rate_limiter::{Cost, IpRateLimiter};
use super::mail::NOBODY;
use super::maker_rights::MakerRights;
use super::reserved_usernames::is_reserved;
use super::terms::Terms;
use super::{Audit, Busy, Event, FieldError, Hasher, Kind, Mailer, Origin, PasswordPolicy, SignUpField};
use crate::clock::Clock;
use crate::config::{SignupConfig, SignupMode};
use crate::ids::{AccountId, InvitationId};
use crate::metrics::{Counter, Metrics};
use crate::model::{
    Account, AccountStatus, AuditDetail, Decision, DetailKey, Email, Invitation, InvitationKind, MailKind,
    Password, PlainToken, Username,
};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::{CreateAccount, Store, StoreError};

/// A submitted sign-up form.
#[derive(Debug)]
pub struct SignUpForm {
    /// The address.
    pub email: String,
    /// The username.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
    /// The password, repeated.
    pub password_confirm: Secret<String>,
    /// The token of an invitation.
    pub invitation: Option<String>,
    /// Whether the terms were accepted.
    pub agree: bool,
}

/// What a new account has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUpNext {
    /// Sign in.
    Login,
    /// Open the mailed link.
    Verify,
    /// Wait for an administrator.
    Approval,
}

impl SignUpNext {
    /// Returns the next step: the owner verifies the address first, then an administrator decides.
    pub(super) fn of(account: &Account, verify_email: bool) -> Self {
        if verify_email && !account.email_verified {
            Self::Verify
        } else if account.status == AccountStatus::AwaitingApproval {
            Self::Approval
        } else {
            Self::Login
        }
    }
}

/// Why no account was created.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// `signup.mode` is "closed".
    #[error("signup is closed")]
    Closed,
    /// The invalid fields; never empty.
    #[error("{0:?}")]
    Invalid(Vec<(SignUpField, FieldError)>),
    /// Too many attempts from this address. Holds the time to wait.
    #[error("too many from one address")]
    RateLimited(Duration),
    /// The queue of the password hasher is full.
    #[error("too many passwords are being hashed")]
    Busy,
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event could not be recorded where the audit log is required.
    #[error("the event could not be recorded")]
    Unrecorded,
}

impl SignUpError {
    /// The reason in the audit log.
    fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "signup-closed",
            Self::Invalid(_) => "invalid-input",
            Self::RateLimited(_) => "rate-limited",
            Self::Busy | Self::Store(_) | Self::Unrecorded => "unavailable",
        }
    }

    fn counter<'m>(&self, metrics: &'m Metrics) -> &'m Counter {
        match self {
            Self::Closed => &metrics.sign_ups_closed,
            Self::Invalid(_) => &metrics.sign_ups_invalid,
            Self::RateLimited(_) => &metrics.sign_ups_limited,
            Self::Busy | Self::Store(_) | Self::Unrecorded => &metrics.sign_ups_unavailable,
        }
    }

    fn is_void_invitation(&self) -> bool {
        let void = (SignUpField::Invitation, FieldError::InvitationVoid);
        matches!(self, Self::Invalid(errors) if errors.contains(&void))
    }
}

impl From<Busy> for SignUpError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

/// Creates accounts from sign-up forms.
#[derive(Debug)]
pub struct SignUp {
    pub(super) store: Arc<dyn Store>,
    pub(super) hasher: Arc<Hasher>,
    pub(super) policy: Arc<PasswordPolicy>,
    pub(super) addresses: Arc<IpRateLimiter>,
    pub(super) audit: Arc<Audit>,
    pub(super) approval: Approval,
    pub(super) terms: Terms,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) mailer: Arc<Mailer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) config: SignupConfig,
    /// Those that routes name: whoever takes one gets what it opens.
    pub(super) usernames_of_routes: BTreeSet<Username>,
    pub(super) makers: MakerRights,
}

/// The result of a valid form.
enum SignUpResult {
    /// A new account, and the invitation that was used.
    New(Box<Account>, Option<InvitationId>),
    /// No account: the address has one, whose owner is told by mail.
    Known(Email),
}

/// A valid form.
struct ValidSignUp {
    email: Email,
    username: Username,
    password: Password,
}

impl SignUp {
    /// Creates an account. If addresses are verified, an address that has an account gets an equal result
    /// (S18).
    pub async fn sign_up(&self, form: SignUpForm, origin: &Origin) -> Result<SignUpNext, SignUpError> {
        let made = self.try_sign_up(form, origin).await;
        let counter = match &made {
            Ok(SignUpResult::New(..)) => &self.metrics.sign_ups_created,
            Ok(SignUpResult::Known(_)) => &self.metrics.sign_ups_known,
            Err(error) => error.counter(&self.metrics),
        };
        counter.increment();
        made.map(|made| match made {
            SignUpResult::New(account, _) => SignUpNext::of(&account, self.config.verify_email),
            SignUpResult::Known(_) => SignUpNext::Verify,
        })
    }

    async fn try_sign_up(&self, form: SignUpForm, origin: &Origin) -> Result<SignUpResult, SignUpError> {
        let undecided = self.addresses.begin(origin.address);
        let result = match &undecided {
            Ok(_) => self.create(&form, origin).await,
            Err(wait) => Err(SignUpError::RateLimited(*wait)),
        };
        match &result {
            Ok(SignUpResult::New(account, invitation)) => {
                let event = about(Kind::SignUp, account, *invitation);
                self.audit.note(origin, &event);
            }
            Ok(SignUpResult::Known(email)) => {
                let event = Event::failure(Kind::SignUp, email.as_str(), "email-taken");
                self.audit.note(origin, &event);
            }
            // The audit log has reported it already.
            Err(SignUpError::Unrecorded) => {}
            Err(error) => {
                if error.is_void_invitation() {
                    self.addresses.failed(origin.address, Cost::Lookup);
                }
                let who: String = form.email.chars().take(Email::MAX_LENGTH).collect();
                let event = Event::failure(Kind::SignUp, who, error.reason());
                self.audit
                    .record(origin, &event)
                    .await
                    .map_err(|_| SignUpError::Unrecorded)?;
            }
        }
        result
    }

    /// Returns the invitation of a link if it is valid; does not consume it.
    pub async fn invitation(&self, token: &str) -> Result<Option<Invitation>, StoreError> {
        let Some(token) = PlainToken::parse(token) else {
            return Ok(None);
        };
        let invitation = self.store.invitation(token.digest()).await?;
        let timely = invitation.filter(|invitation| self.mailer.now_for(invitation).is_some());
        match timely
            .as_ref()
            .and_then(|invitation| self.makers.of_invitation(invitation))
        {
            Some(right) if !self.makers.holds(&right).await? => Ok(None),
            _ => Ok(timely),
        }
    }

    /// The mode of sign-up.
    pub fn mode(&self) -> SignupMode {
        self.config.mode
    }

    async fn create(&self, form: &SignUpForm, origin: &Origin) -> Result<SignUpResult, SignUpError> {
        let token = form.invitation.as_deref().filter(|token| !token.is_empty());
        let invitation = match token {
            Some(token) => self.invitation(token).await?,
            None => None,
        };
        let first_administrator = invitation
            .as_ref()
            .is_some_and(|invitation| invitation.kind == InvitationKind::FirstAdministrator);
        if self.config.mode == SignupMode::Closed && !first_administrator {
            return Err(SignUpError::Closed);
        }
        let must_have = token.is_some() || self.config.mode == SignupMode::Invite;
        let bound = invitation
            .as_ref()
            .and_then(|invitation| invitation.email.as_ref());
        let serves = bound.is_none_or(|bound| parse_email(&form.email).map_or(true, |email| email == *bound));
        if !serves || (must_have && invitation.is_none()) {
            // Before any lookup: without an invitation, nothing about addresses and usernames is disclosed.
            return Err(void_invitation());
        }
        // The holder of the first administrator's link gets plain errors and needs no verification.
        let hides_addresses = self.config.verify_email && !first_administrator;
        let valid = self.validate(form, hides_addresses).await?;
        if hides_addresses && let Some(holder) = self.store.account_by_email(&valid.email).await? {
            self.announce(origin, &holder, None).await?;
            self.notify_holder(&holder, valid.password, origin).await?;
            return Ok(SignUpResult::Known(valid.email));
        }

        let password_hash = self.hasher.try_acquire()?.hash(valid.password.clone()).await?;
        let now = self.clock.now();
        let id = AccountId::new(now, &self.random);
        // Whoever chose the address that this is bound to let its owner in then.
        let approving = invitation.as_ref().filter(|invitation| invitation.approves);
        let is_invited_by_address = approving.is_some();
        let decision = approving.and_then(|invitation| {
            Some(Decision {
                by: invitation.created_by.clone()?,
                at: invitation.created_at,
                reason: None,
            })
        });
        let account = Account {
            email_verified: first_administrator,
            groups: invitation
                .as_ref()
                .map_or_else(BTreeSet::new, |invitation| invitation.groups.clone()),
            status: if self.config.approval && !first_administrator && !is_invited_by_address {
                AccountStatus::AwaitingApproval
            } else {
                AccountStatus::Active
            },
            decision: decision.filter(|_| self.config.approval),
            name: invitation.as_ref().and_then(|invitation| invitation.name.clone()),
            agreements: self.terms.agreement().into_iter().collect(),
            language: origin.language.clone(),
            ..Account::new(id, valid.username, valid.email, password_hash, now)
        };
        // One that expired meanwhile is void in the store.
        let used_at = invitation.as_ref().map_or(now, |invitation| {
            self.mailer.now_for(invitation).unwrap_or(invitation.expires_at)
        });
        let right = invitation
            .as_ref()
            .and_then(|invitation| self.makers.of_invitation(invitation));
        let (id, used) = invitation
            .map(|invitation| (invitation.id, invitation.digest))
            .unzip();
        self.announce(origin, &account, id).await?;
        let mut mails = self.approval.requests(&account, origin).await?;
        if hides_addresses {
            let verification = self
                .mailer
                .mail_for_anybody(&account.email, MailKind::VerifyEmail, origin);
            mails.extend(verification);
        }
        let store = self.makers.store(right).await?;
        let created = store.create_account_and_mail(account.clone(), used, mails, used_at);
        let created = match created.await {
            Err(StoreError::Precondition(_)) => CreateAccount::InvitationVoid,
            created => created?,
        };
        let error = match created {
            CreateAccount::Created => {
                self.mailer.announce();
                return Ok(SignUpResult::New(Box::new(account), id));
            }
            CreateAccount::EmailTaken if hides_addresses => {
                if let Some(holder) = self.store.account_by_email(&account.email).await? {
                    self.notify_holder(&holder, valid.password, origin).await?;
                }
                return Ok(SignUpResult::Known(account.email));
            }
            CreateAccount::EmailTaken => (SignUpField::Email, FieldError::EmailTaken),
            CreateAccount::UsernameTaken => (SignUpField::Username, FieldError::UsernameTaken),
            CreateAccount::InvitationVoid => return Err(void_invitation()),
        };
        Err(SignUpError::Invalid(vec![error]))
    }

    /// Validates all fields before anything is hashed. Uniqueness is decided when the account is created.
    async fn validate(&self, form: &SignUpForm, hides_addresses: bool) -> Result<ValidSignUp, SignUpError> {
        let mut errors = Vec::new();
        let email = parse_email(&form.email)
            .map_err(|error| errors.push((SignUpField::Email, error)))
            .ok();
        let username = parse_username(&form.username)
            .map_err(|error| errors.push((SignUpField::Username, error)))
            .ok();

        if let Some(email) = &email
            && !hides_addresses
            && self.store.account_by_email(email).await?.is_some()
        {
            errors.push((SignUpField::Email, FieldError::EmailTaken));
        }
        if let Some(username) = &username
            && (is_reserved(&self.config, username)
                || self.usernames_of_routes.contains(username)
                || self.store.account_by_username(username).await?.is_some())
        {
            errors.push((SignUpField::Username, FieldError::UsernameTaken));
        }
        let password = parse_new_password(
            &self.policy,
            &form.password,
            &form.password_confirm,
            email.as_ref(),
            username.as_ref(),
        )
        .map_err(|wrong| errors.extend(wrong))
        .ok();
        if self.terms.exist() && !form.agree {
            errors.push((SignUpField::Agree, FieldError::MustAgree));
        }
        match (email, username, password) {
            (Some(email), Some(username), Some(password)) if errors.is_empty() => Ok(ValidSignUp {
                email,
                username,
                password,
            }),
            _ => Err(SignUpError::Invalid(errors)),
        }
    }

    /// Writes the audit event before creating the account, because usernames are never reused and creation
    /// cannot be rolled back.
    async fn announce(
        &self,
        origin: &Origin,
        account: &Account,
        invitation: Option<InvitationId>,
    ) -> Result<(), SignUpError> {
        self.audit
            .announce(origin, &about(Kind::SignUpBegin, account, invitation))
            .await
            .map_err(|_| SignUpError::Unrecorded)
    }

    /// Handles a sign-up with an address that has an account, if addresses are verified: equal result and
    /// equal work as for a new account, one hash and one write (S18), also when the client's quota of mails
    /// is used up. The mail tells the account's owner.
    async fn notify_holder(
        &self,
        holder: &Account,
        password: Password,
        origin: &Origin,
    ) -> Result<(), SignUpError> {
        let known = Some(holder.password_hash.clone());
        let verdict = self.hasher.try_acquire()?.verify(password, known).await;
        let topic = match (holder.email_verified, verdict.matches) {
            (false, true) => MailKind::VerifyEmail,
            (true, _) | (false, false) => MailKind::AlreadyRegistered,
        };
        let mail = self.mailer.mail_for_anybody(&holder.email, topic, origin);
        let mail = match (mail, NOBODY.parse()) {
            (None, Ok(nobody)) => Some(self.mailer.mail(&nobody, MailKind::VerifyEmail, origin)),
            (mail, _) => mail,
        };
        self.mailer.enqueue(mail.into_iter().collect()).await?;
        Ok(())
    }
}

fn void_invitation() -> SignUpError {
    SignUpError::Invalid(vec![(SignUpField::Invitation, FieldError::InvitationVoid)])
}

fn about(kind: Kind, account: &Account, invitation: Option<InvitationId>) -> Event {
    let mut detail = AuditDetail::of(DetailKey::Username, &account.username);
    if let Some(invitation) = invitation {
        detail = detail
            .and_groups(&account.groups)
            .and(DetailKey::Invitation, &invitation);
    }
    Event::about(kind, account).detail(detail)
}

#[cfg(test)]
mod tests;
