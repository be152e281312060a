//! Mail: what a request causes waits in the store, and one task sends it. No request waits for a mail server.

mod content;
mod file_transport;
mod message;
mod probe;
mod templates;
mod throttle;
mod transport;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::Notify;

pub use self::probe::{MailProbe, ProbeError};
pub use self::templates::LETTER;
use self::templates::MailTemplates;
#[cfg(test)]
pub(super) use self::throttle::ANNOUNCED;
use self::throttle::AnnouncementThrottle;
use self::transport::Transport;
use super::Origin;
use super::ip_rate_limiter::{Cost, IpRateLimiter};
use super::link_lifetimes::LinkLifetimes;
use crate::clock::{self, Clock};
use crate::config::{Config, MailUrlError};
use crate::ids::{InvitationId, MailId};
use crate::metrics::Metrics;
use crate::model::{Email, Invitation, Mail, MailKind, MailOrigin, TokenDigest};
use crate::random::Random;
use crate::store::{Store, StoreError};
use crate::text::TextError;
use crate::trust_anchors::TrustAnchorError;
use crate::warning_limit::WarningLimit;

/// How many mails one client may cause in [`WINDOW`] without having signed in (S23): many people may share an address.
const MAILS_A_CLIENT: u32 = 100;

/// How many mails that anybody can cause one address is sent in [`WINDOW`] (S23).
const MAILS_AN_ADDRESS: u32 = 3;

/// The time in which mails are counted.
pub const WINDOW: Duration = Duration::from_hours(1);

/// An address that nobody has (RFC 2606). A mail to it waits like every other, and is dropped when it is due.
pub(super) const NOBODY: &str = "nobody@nobody.invalid";

/// Why there is no mail.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// `mail.url` names no way to send it.
    #[error("mail.url: {0}")]
    Url(#[from] MailUrlError),
    /// A mail server cannot be spoken to as `mail.url` says.
    #[error("mail.url: {0}")]
    Server(String),
    /// `mail.ca` names no authority.
    #[error("mail.ca: {path} {error}", path = .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: TrustAnchorError,
    },
    /// `mail.from` is nobody.
    #[error("mail.from: {0}")]
    From(String),
    /// What is written cannot be read.
    #[error(transparent)]
    Text(#[from] TextError),
    /// How it is written cannot be read.
    #[error("the template of mails: {0}")]
    Template(String),
}

/// The service.
#[derive(Debug)]
pub struct Mailer {
    store: Arc<dyn Store>,
    transport: ArcSwap<Transport>,
    templates: ArcSwap<MailTemplates>,
    clients: IpRateLimiter,
    announcements: AnnouncementThrottle,
    /// Of clients that cause too many.
    warnings: WarningLimit,
    /// Of the links that leave with mails, and of those that administrators hand over.
    pub(super) lifetimes: LinkLifetimes<TokenDigest>,
    /// Of invitations, however often they are mailed.
    pub(super) invitations: LinkLifetimes<InvitationId>,
    clock: Clock,
    random: Random,
    metrics: Arc<Metrics>,
    /// Told when a mail was enqueued.
    news: Notify,
    /// Told when another transport takes the place of the one that sends.
    replaced: Notify,
}

impl Mailer {
    pub(super) fn new(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
    ) -> Result<Self, MailError> {
        Ok(Self {
            store,
            transport: ArcSwap::from_pointee(Transport::new(config)?),
            templates: ArcSwap::from_pointee(MailTemplates::new(config)?),
            clients: IpRateLimiter::allowing(MAILS_A_CLIENT, WINDOW, clock.clone()),
            announcements: AnnouncementThrottle::new(clock.clone()),
            warnings: WarningLimit::default(),
            lifetimes: LinkLifetimes::new(clock.clone()),
            invitations: LinkLifetimes::new(clock.clone()),
            clock,
            random,
            metrics,
            news: Notify::new(),
            replaced: Notify::new(),
        })
    }

    /// Whether mails can be written with the operator's template and texts.
    pub fn check(config: &Config) -> Result<(), MailError> {
        MailTemplates::new(config).map(drop)
    }

    /// Whether mails can be sent as the configuration says. No server is asked.
    pub fn check_transport(config: &Config) -> Result<(), MailError> {
        Transport::new(config).map(drop)
    }

    /// Writes and sends as another configuration says from now on, with the secrets of this moment.
    pub(super) fn reload(&self, config: &Config) {
        match Transport::new(config) {
            Ok(transport) => {
                self.transport.store(Arc::new(transport));
                self.replaced.notify_one();
            }
            // It was checked a moment ago.
            Err(error) => tracing::error!(%error, "mails are sent as before"),
        }
        match MailTemplates::new(config) {
            Ok(stationery) => self.templates.store(Arc::new(stationery)),
            // It was checked a moment ago.
            Err(error) => tracing::error!(%error, "mails are written as before"),
        }
    }

    /// Whether mails go to a mail server: into a folder they are written for whoever tries the gateway out.
    pub fn reaches_people(&self) -> bool {
        self.transport.load().has_server()
    }

    /// The moment that it is now for an invitation that serves, whatever the clock was set to; `None` if it is over. One
    /// of before a restart goes by the clock.
    pub(super) fn now_for(&self, invitation: &Invitation) -> Option<Timestamp> {
        let own = self.invitations.now_for(&invitation.id, invitation.expires_at);
        let now = own.unwrap_or_else(|| self.clock.now());
        let is_believed = own.is_some() || !clock::is_ahead(invitation.created_at, now);
        (is_believed && now < invitation.expires_at).then_some(now)
    }

    /// A mail to enqueue, which `origin` brought about.
    pub(super) fn mail(&self, to: &Email, topic: MailKind, origin: &Origin) -> Mail {
        let now = self.clock.now();
        Mail {
            id: MailId::new(now, &self.random),
            to: to.clone(),
            topic,
            language: origin.language.clone(),
            cause: MailOrigin {
                at: now,
                address: origin.address,
                by_administrator: origin.address.is_none(),
            },
        }
    }

    /// The same, where an administrator did it.
    pub(super) fn mail_by_administrator(&self, to: &Email, topic: MailKind, origin: &Origin) -> Mail {
        let mut mail = self.mail(to, topic, origin);
        mail.cause.by_administrator = true;
        mail
    }

    /// The same, if the client has not caused too many (S23): for what nobody has to sign in for.
    pub(super) fn mail_for_anybody(&self, to: &Email, topic: MailKind, origin: &Origin) -> Option<Mail> {
        let begun = self.clients.begin(origin.address);
        if begun.is_err() {
            if let Some(unlogged) = self.warnings.admit() {
                tracing::warn!(client = ?origin.address, unlogged, "a client caused too many mails: none is sent");
            }
            self.metrics.mails_withheld.increment();
            return None;
        }
        self.clients.failed(origin.address, Cost::Lookup);
        Some(self.mail(to, topic, origin))
    }

    /// Whether administrators may be told of one more account that waits; the announcement then counts.
    pub(super) fn may_announce(&self) -> bool {
        let may = self.announcements.admit();
        if !may {
            tracing::warn!("many accounts wait for approval: administrators are not told of each");
            self.metrics.mails_withheld.increment();
        }
        may
    }

    /// Lets mails wait, due at once.
    pub(super) async fn enqueue(&self, mails: Vec<Mail>) -> Result<(), StoreError> {
        if mails.is_empty() {
            return Ok(());
        }
        self.store.enqueue_mails(mails).await?;
        self.announce();
        Ok(())
    }

    /// Says that mails were enqueued together with what they tell of.
    pub(super) fn announce(&self) {
        self.news.notify_one();
    }
}

#[cfg(test)]
mod tests;
