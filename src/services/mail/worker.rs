//! The worker that sends queued mails, one at a time.
//!
//! A mail is leased, gets its token, is claimed, sent and completed. If the worker dies in between, the lease
//! ends and the mail is sent again. A failure of the mail server pauses all mails; a failure of one mail
//! delays that one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::content::{MailContent, MailContext};
use super::templates::MailTemplates;
use super::transport::{MailConnection, SendError, Transport};
use super::{MAILS_AN_ADDRESS, Mailer, WINDOW};
use crate::ids::{AccountId, MailId};
use crate::model::{
    AccessKey, Account, AccountStatus, Email, EmailToken, Mail, MailKind, Maker, PlainToken, Purpose,
    QueuedMail,
};
use crate::store::{ClaimMail, ClaimToken, MailAllowance, MailClaim, MailOutcome, Precondition, StoreError};

/// The lease of a mail that is being sent; must be longer than [`SEND_TIME`].
const LEASE: Duration = Duration::from_mins(2);

/// How long sending a mail may take in all.
const SEND_TIME: Duration = Duration::from_secs(90);

/// How long sending may go on after the gateway was told to stop.
const LAST_TIME: Duration = Duration::from_secs(5);

/// How often the queue is polled, for mails that are due again or were enqueued without a notification.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The interval of counts of waiting mails, and the highest count.
const COUNT_EVERY: Duration = Duration::from_secs(2);
const COUNTED: usize = 100_000;

/// The first and the longest pause while the mail server is down.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// The first and the longest delay of a mail that the mail server refuses for now.
const DELAYS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));

/// The age at which a mail that is still refused is given up (RFC 5321, section 4.5.4.1).
const GIVE_UP: Duration = Duration::from_hours(5 * 24);

/// The result of one step of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryStep {
    /// Nothing is due.
    Idle,
    /// A mail was sent, refused or given up; the transport works.
    Sent,
    /// A mail was dropped before the transport was used.
    Settled,
    /// Nothing can be sent now.
    TransportDown,
}

/// The back-off state; lost at a restart.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// The last pause; `None` while the transport works.
    pause: Option<Duration>,
    /// How often the server refused each mail. The store's count of attempts includes outages, so it does not
    /// serve here.
    refusals: HashMap<MailId, u32>,
}

struct Draft {
    content: MailContent,
    claim: MailClaim,
}

impl Mailer {
    /// Sends queued mails until `stop`.
    pub async fn deliver(&self, stop: CancellationToken) {
        tokio::join!(self.send_all(stop.clone()), self.count_periodically(stop));
    }

    /// Sets the metrics of waiting mails and of lost changes. If counting fails, the last count stays.
    async fn count_periodically(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Ok(count) = self.store.count_waiting_mails(COUNTED).await {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                self.metrics.mails_waiting.set(count);
            }
            let lost = self.store.lost_changes().is_some();
            self.metrics.store_changes_lost.set(lost.into());
            stop.run_until_cancelled(tokio::time::sleep(COUNT_EVERY)).await;
        }
    }

    async fn send_all(&self, stop: CancellationToken) {
        let mut memory = Backoff::default();
        while !stop.is_cancelled() {
            let transport = self.transport.load_full();
            match transport.open() {
                Ok(way) => self.send_by(&transport, &way, &mut memory, &stop).await,
                Err(error) => {
                    tracing::error!(%error, "mails cannot be sent; they wait for a reload");
                    stop.run_until_cancelled(self.replaced.notified()).await;
                }
            }
        }
    }

    /// Sends until `stop`, or until the transport is replaced.
    async fn send_by(
        &self,
        transport: &Arc<Transport>,
        way: &MailConnection,
        memory: &mut Backoff,
        stop: &CancellationToken,
    ) {
        while !stop.is_cancelled() && Arc::ptr_eq(transport, &self.transport.load()) {
            let wait = match self.step(way, memory, stop).await {
                Ok(DeliveryStep::Sent | DeliveryStep::Settled) => continue,
                Ok(DeliveryStep::Idle) => {
                    let look = tokio::time::timeout(LOOK_EVERY, self.news.notified());
                    stop.run_until_cancelled(look).await;
                    continue;
                }
                Ok(DeliveryStep::TransportDown) => memory.lengthen_pause(),
                Err(error) => {
                    tracing::warn!(%error, "mails cannot be read from the store; trying again soon");
                    memory.lengthen_pause()
                }
            };
            let pause = async {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.replaced.notified() => {}
                    () = self.urged.notified() => {}
                }
            };
            stop.run_until_cancelled(pause).await;
        }
    }

    /// Sends the mail that has been due longest.
    pub(super) async fn step(
        &self,
        way: &MailConnection,
        memory: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<DeliveryStep, StoreError> {
        let Some(QueuedMail { mail, .. }) = self.take_due().await? else {
            return Ok(DeliveryStep::Idle);
        };
        let delivered = self.deliver_mail(mail, way, memory, stop).await;
        *self.in_delivery.lock().await = None;
        delivered
    }

    async fn take_due(&self) -> Result<Option<QueuedMail>, StoreError> {
        let mut in_delivery = self.in_delivery.lock().await;
        let taken = self.store.take_due_mail(self.clock.now(), LEASE).await?;
        *in_delivery = taken.as_ref().map(|queued| queued.mail.id);
        Ok(taken)
    }

    async fn deliver_mail(
        &self,
        mail: Mail,
        way: &MailConnection,
        memory: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<DeliveryStep, StoreError> {
        let stationery = self.templates.load_full();
        let Some(draft) = self.draft(&stationery, &mail).await? else {
            self.complete(&mail, MailOutcome::Done, memory).await?;
            return Ok(DeliveryStep::Settled);
        };
        match self
            .store
            .claim_mail(mail.id, draft.claim, self.clock.now())
            .await?
        {
            ClaimMail::Claimed => {}
            withheld @ (ClaimMail::OverAllowance | ClaimMail::Superseded | ClaimMail::Gone) => {
                if withheld == ClaimMail::OverAllowance {
                    self.metrics.mails_withheld.increment();
                    tracing::info!(mail = %mail.id, "an address was sent as many mails as it may be: this one is not");
                }
                self.complete(&mail, MailOutcome::Done, memory).await?;
                return Ok(DeliveryStep::Settled);
            }
        }
        let sent = self.send(way, &stationery, &draft.content, mail.id, stop).await;
        self.conclude(&mail, sent, memory).await
    }

    async fn send(
        &self,
        way: &MailConnection,
        templates: &MailTemplates,
        content: &MailContent,
        id: MailId,
        stop: &CancellationToken,
    ) -> Result<(), SendError> {
        let now = self.clock.now();
        let message = content
            .message(templates, &self.transport.load().from, id, now)
            .map_err(SendError::Permanent)?;
        let told_to_stop = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_TIME).await;
        };
        tokio::select! {
            sent = way.send(content, message, id, now) => sent,
            () = tokio::time::sleep(SEND_TIME) => Err(SendError::TransportDown("the mail server takes too long".to_owned())),
            () = told_to_stop => Err(SendError::TransportDown("the gateway stopped".to_owned())),
        }
    }

    async fn conclude(
        &self,
        mail: &Mail,
        sent: Result<(), SendError>,
        memory: &mut Backoff,
    ) -> Result<DeliveryStep, StoreError> {
        let now = self.clock.now();
        if !matches!(sent, Err(SendError::TransportDown(_))) && memory.pause.take().is_some() {
            tracing::info!("mails are sent again");
        }
        let (step, outcome) = match sent {
            Ok(()) => {
                self.metrics.mails_sent.increment();
                (DeliveryStep::Sent, MailOutcome::Done)
            }
            Err(SendError::TransportDown(reason)) => {
                if memory.pause.is_none() {
                    tracing::error!(reason, "mails cannot be sent; they wait");
                }
                self.metrics.mails_postponed.increment();
                (
                    DeliveryStep::TransportDown,
                    MailOutcome::Postponed { until: now, reason },
                )
            }
            Err(SendError::Transient(reason)) if age(mail, now) < GIVE_UP => {
                let delay = memory.back_off(mail.id);
                tracing::warn!(mail = %mail.id, to = %mail.to, reason, ?delay, "a mail was not taken; it waits");
                self.metrics.mails_postponed.increment();
                let until = now.checked_add(delay).unwrap_or(Timestamp::MAX);
                (DeliveryStep::Sent, MailOutcome::Postponed { until, reason })
            }
            Err(SendError::Transient(reason) | SendError::Permanent(reason)) => {
                tracing::error!(mail = %mail.id, to = %mail.to, reason, "a mail failed for good");
                self.metrics.mails_failed.increment();
                (DeliveryStep::Sent, MailOutcome::Failed { at: now, reason })
            }
        };
        self.complete(mail, outcome, memory).await?;
        Ok(step)
    }

    async fn complete(
        &self,
        mail: &Mail,
        outcome: MailOutcome,
        memory: &mut Backoff,
    ) -> Result<(), StoreError> {
        if !matches!(outcome, MailOutcome::Postponed { .. }) {
            memory.refusals.remove(&mail.id);
        }
        self.store.complete_mail(mail.id, outcome).await.map(drop)
    }

    /// Writes the mail, with a new token if it needs one; `None` if the mail is obsolete.
    async fn draft(&self, templates: &MailTemplates, mail: &Mail) -> Result<Option<Draft>, StoreError> {
        let receiver = self.store.account_by_email(&mail.to).await?;
        Ok(match mail.topic {
            MailKind::VerifyEmail => receiver
                .filter(|account| !account.email_verified)
                .map(|account| self.with_token(templates, mail, account, Purpose::VerifyEmail)),
            MailKind::AlreadyRegistered => receiver.map(|account| {
                // A stranger may have made the unverified account: a reset link lets the owner of the address
                // take it over.
                let claims = templates.verify && templates.reset && !account.email_verified;
                if claims {
                    self.with_token(templates, mail, account, Purpose::Reset)
                } else {
                    account_draft(templates, mail, account)
                }
            }),
            MailKind::Reset => receiver
                .filter(|_| templates.reset)
                .map(|account| self.with_token(templates, mail, account, Purpose::Reset)),
            MailKind::ChangeEmail(id) => {
                // The address has an account meanwhile, so no other can move to it; its owner is told, as at
                // a sign-up.
                match (self.store.account(id).await?, receiver) {
                    (None, _) => None,
                    (Some(_), Some(receiver)) => {
                        (receiver.id != id).then(|| account_draft(templates, mail, receiver))
                    }
                    (Some(account), None) => {
                        Some(self.with_token(templates, mail, account, Purpose::ChangeEmail))
                    }
                }
            }
            MailKind::EmailChanged(ref moved_to) => {
                let account = self.store.account_by_email(moved_to).await?;
                let context = MailContext {
                    account,
                    ..MailContext::default()
                };
                Some(Draft::new(templates, mail, &context, mail.to.clone()))
            }
            MailKind::UsernameChanged(_) | MailKind::AccessKeyCreated(_) => {
                Some(plain(templates, mail, receiver))
            }
            MailKind::PasswordChanged | MailKind::PasswordReset => {
                let access_keys = match &receiver {
                    Some(account) if templates.iam => self.keys_that_go_on(account.id).await?,
                    _ => Vec::new(),
                };
                let context = MailContext {
                    account: receiver,
                    access_keys,
                    ..MailContext::default()
                };
                Some(plain_about(templates, mail, &context))
            }
            MailKind::Approved | MailKind::Declined => {
                receiver.map(|account| plain(templates, mail, Some(account)))
            }
            MailKind::AwaitingApproval(applicant) => {
                let applicant = self.store.account(applicant).await?;
                let waits = |account: &Account| account.status == AccountStatus::AwaitingApproval;
                applicant.filter(waits).map(|applicant| {
                    let context = MailContext {
                        account: receiver,
                        applicant: Some(applicant),
                        ..MailContext::default()
                    };
                    Draft::new(templates, mail, &context, mail.to.clone())
                })
            }
            MailKind::AccountAdded => self.added(templates, mail, receiver, None),
            MailKind::AccountAddedBy(maker) => {
                let right = self.makers.of_added_account(maker);
                let holds = self.holds(&right).await?;
                self.added(templates, mail, receiver.filter(|_| holds), Some(maker))
            }
            MailKind::Invitation(id) => {
                let mut invitation = self.invitation(id).await?;
                if let Some(right) = invitation.as_ref().and_then(|one| self.makers.of_invitation(one))
                    && !self.holds(&right).await?
                {
                    invitation = None;
                }
                invitation
                    .and_then(|invitation| Some((self.now_for(&invitation)?, invitation)))
                    .map(|(now, invitation)| {
                        let left = invitation.expires_at.duration_since(now).as_secs();
                        let token = PlainToken::new(&self.random);
                        let stamped = ClaimToken::Invitation(id, token.digest());
                        let context = MailContext {
                            lasts: u64::try_from(left).unwrap_or(0).div_ceil(3600),
                            token: Some(token),
                            ..MailContext::default()
                        };
                        let mut draft = Draft::new(templates, mail, &context, mail.to.clone());
                        draft.claim.token = Some(stamped);
                        draft
                    })
            }
        })
    }

    /// Whether the right of a maker holds. One who is shut out in memory alone has it here; the link asks again.
    async fn holds(&self, right: &Precondition) -> Result<bool, StoreError> {
        match self.store.account(right.account).await {
            Err(StoreError::Corrupt(_)) => Ok(false),
            maker => Ok(right.permits(maker?.as_ref())),
        }
    }

    /// The link for the first password of an added account.
    fn added(
        &self,
        templates: &MailTemplates,
        mail: &Mail,
        receiver: Option<Account>,
        maker: Option<Maker>,
    ) -> Option<Draft> {
        // Once a password is set, the link would only change it.
        let receiver = receiver.filter(|account| account.password_changed_at <= mail.cause.at);
        receiver.map(|account| {
            let mut draft = self.with_token(templates, mail, account, Purpose::ResetByAdministrator);
            draft.claim.allowance = None;
            if let Some(ClaimToken::Account(token)) = &mut draft.claim.token {
                token.maker = maker;
            }
            draft
        })
    }

    /// The account's valid access keys, which a new password does not affect.
    async fn keys_that_go_on(&self, account: AccountId) -> Result<Vec<AccessKey>, StoreError> {
        let keys = match self.store.access_keys(Some(account)).await {
            // A key that cannot be read does not serve, and keeps no notice back.
            Err(StoreError::Corrupt(_)) => {
                let mut loaded = self.store.load_access_keys().await?;
                loaded.sound.retain(|key| key.account == account);
                loaded.sound
            }
            keys => keys?,
        };
        let (mut keys, now) = (keys, self.clock.now());
        keys.retain(|key| !key.disabled && !key.is_expired(now));
        Ok(keys)
    }

    fn with_token(
        &self,
        templates: &MailTemplates,
        mail: &Mail,
        account: Account,
        purpose: Purpose,
    ) -> Draft {
        let (token, now) = (PlainToken::new(&self.random), self.clock.now());
        let to = match purpose {
            Purpose::ChangeEmail => mail.to.clone(),
            _ => account.email.clone(),
        };
        let lifetime = purpose.lifetime();
        self.lifetimes.begin(token.digest(), lifetime);
        let kept = EmailToken {
            digest: token.digest(),
            purpose,
            account: account.id,
            email: to.clone(),
            mail: Some(mail.id),
            maker: None,
            expires_at: now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
        };
        let context = MailContext {
            account: Some(account),
            token: Some(token),
            lasts: lifetime.as_secs() / 3600,
            ..MailContext::default()
        };
        let mut draft = Draft::new(templates, mail, &context, to);
        draft.claim.token = Some(ClaimToken::Account(kept));
        // Counts for a change of address too: its sender has signed in, but the receiver may be a stranger.
        draft.claim.allowance = Some(allowance(&mail.to));
        draft
    }
}

impl Draft {
    fn new(templates: &MailTemplates, mail: &Mail, context: &MailContext, to: Email) -> Self {
        Self {
            content: MailContent::write(templates, mail, context, to),
            claim: MailClaim {
                token: None,
                allowance: None,
            },
        }
    }
}

impl Backoff {
    fn lengthen_pause(&mut self) -> Duration {
        let (first, longest) = PAUSES;
        let pause = self.pause.map_or(first, |last| (last * 2).min(longest));
        self.pause = Some(pause);
        pause
    }

    /// Counts a refusal. Returns how long the mail is delayed.
    fn back_off(&mut self, id: MailId) -> Duration {
        let (first, longest) = DELAYS;
        let before = self.refusals.entry(id).or_default();
        let delay = first.saturating_mul(1 << (*before).min(16)).min(longest);
        *before += 1;
        delay
    }
}

/// A notice to the owner of an address of a request that was made with it; counts against the address's
/// allowance.
fn account_draft(templates: &MailTemplates, mail: &Mail, account: Account) -> Draft {
    let mut draft = plain(templates, mail, Some(account));
    draft.claim.allowance = Some(allowance(&mail.to));
    draft
}

fn plain(templates: &MailTemplates, mail: &Mail, account: Option<Account>) -> Draft {
    let context = MailContext {
        account,
        ..MailContext::default()
    };
    plain_about(templates, mail, &context)
}

fn plain_about(templates: &MailTemplates, mail: &Mail, context: &MailContext) -> Draft {
    let to = context
        .account
        .as_ref()
        .map_or(&mail.to, |account| &account.email);
    Draft::new(templates, mail, context, to.clone())
}

fn allowance(address: &Email) -> MailAllowance {
    MailAllowance {
        address: address.clone(),
        mails: MAILS_AN_ADDRESS,
        window: WINDOW,
    }
}

fn age(mail: &Mail, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(mail.cause.at)).unwrap_or_default()
}
