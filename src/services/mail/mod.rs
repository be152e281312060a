//! Mail: requests enqueue mails in the store, and one task sends them, so that no request waits for a mail
//! server.

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
use tokio::sync::{Mutex, MutexGuard, Notify};

pub use self::probe::{MailProbe, ProbeError};
use self::templates::MailTemplates;
pub use self::templates::{LETTER, LETTER_TEMPLATE};
#[cfg(test)]
pub(super) use self::throttle::ANNOUNCED;
use self::throttle::AnnouncementThrottle;
use self::transport::Transport;
use super::Origin;
use super::ip_rate_limiter::{Cost, IpRateLimiter};
use super::link_lifetimes::LinkLifetimes;
use super::maker_rights::MakerRule;
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

/// Mails that one client may cause in [`WINDOW`] without signing in (S23). Many people may share an address.
const MAILS_A_CLIENT: u32 = 100;

/// Mails to one address in [`WINDOW`] that requests without a sign-in can cause (S23).
const MAILS_AN_ADDRESS: u32 = 3;

/// The window in which mails are counted.
pub const WINDOW: Duration = Duration::from_hours(1);

/// An address that does not exist (RFC 2606). A mail to it is enqueued like any other, and dropped when it is
/// due.
pub(super) const NOBODY: &str = "nobody@nobody.invalid";

/// Why mails cannot be sent or written as configured.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// `mail.url` is no valid URL of a transport.
    #[error("mail.url: {0}")]
    Url(#[from] MailUrlError),
    /// The mail client cannot be set up for the server in `mail.url`.
    #[error("mail.url: {0}")]
    Server(String),
    /// `mail.ca` has no valid certificate authority.
    #[error("mail.ca: {path} {error}", path = .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: TrustAnchorError,
    },
    /// `mail.from` is no valid sender.
    #[error("mail.from: {0}")]
    From(String),
    /// The texts cannot be read.
    #[error(transparent)]
    Text(#[from] TextError),
    /// How it is written cannot be read.
    #[error("the template of mails: {message}")]
    Template {
        /// What is wrong.
        message: String,
        /// The line of the template, from 1.
        line: Option<usize>,
    },
}

/// The mail service: enqueues mails, limits them, and sends them.
#[derive(Debug)]
pub struct Mailer {
    store: Arc<dyn Store>,
    makers: MakerRule,
    transport: ArcSwap<Transport>,
    templates: ArcSwap<MailTemplates>,
    clients: IpRateLimiter,
    announcements: AnnouncementThrottle,
    /// Limits warnings of clients that cause too many mails.
    warnings: WarningLimit,
    /// The lifetimes of links that were mailed or handed over, by the monotonic clock.
    pub(super) lifetimes: LinkLifetimes<TokenDigest>,
    /// The lifetimes of invitations, however often they are mailed.
    pub(super) invitations: LinkLifetimes<InvitationId>,
    clock: Clock,
    random: Random,
    metrics: Arc<Metrics>,
    /// Notified when mails were enqueued.
    news: Notify,
    /// Notified when an administrator wants a mail sent now: it ends a pause.
    urged: Notify,
    /// The mail that the worker has leased. Locked while it takes one, so that an administrator never sends
    /// or drops a mail that is on its way.
    pub(super) in_delivery: Mutex<Option<MailId>>,
    /// Notified when the transport was replaced.
    replaced: Notify,
}

impl Mailer {
    pub(super) fn new(
        config: &Config,
        store: Arc<dyn Store>,
        makers: MakerRule,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
    ) -> Result<Self, MailError> {
        Ok(Self {
            store,
            makers,
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
            urged: Notify::new(),
            in_delivery: Mutex::default(),
            replaced: Notify::new(),
        })
    }

    /// Checks that the operator's template and texts render.
    pub fn check(config: &Config) -> Result<(), MailError> {
        MailTemplates::new(config).map(drop)
    }

    /// Checks that the transport can be set up. Connects to no server.
    pub fn check_transport(config: &Config) -> Result<(), MailError> {
        Transport::new(config).map(drop)
    }

    /// Applies a reloaded configuration to transport and templates. If one of them fails, it stays as it was.
    pub(super) fn reload(&self, config: &Config) {
        match Transport::new(config) {
            Ok(transport) => {
                self.transport.store(Arc::new(transport));
                self.replaced.notify_one();
            }
            // The configuration was checked before, so this is a change of a file since.
            Err(error) => tracing::error!(%error, "mails are sent as before"),
        }
        match MailTemplates::new(config) {
            Ok(stationery) => self.templates.store(Arc::new(stationery)),
            // As above.
            Err(error) => tracing::error!(%error, "mails are written as before"),
        }
    }

    /// Returns whether mails go to a mail server; if not, they go to a folder for trying out.
    pub fn reaches_people(&self) -> bool {
        self.transport.load().has_server()
    }

    /// Returns the current time as it counts for an invitation; `None` if that has expired. The monotonic
    /// clock measures invitations of this process; the wall clock older ones, unless they were made in the
    /// future, by a clock that was ahead.
    pub(super) fn now_for(&self, invitation: &Invitation) -> Option<Timestamp> {
        let own = self.invitations.now_for(&invitation.id, invitation.expires_at);
        let now = own.unwrap_or_else(|| self.clock.now());
        let is_believed = own.is_some() || !clock::is_ahead(invitation.created_at, now);
        (is_believed && now < invitation.expires_at).then_some(now)
    }

    /// Returns the unused invitation with this id. One that cannot be read is void, and stands in no mail's way (S49).
    pub(super) async fn invitation(&self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        match self.store.invitation_by_id(id).await {
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(%error, "an invitation cannot be read: it serves nobody");
                Ok(None)
            }
            read => read,
        }
    }

    /// Makes a mail to enqueue, caused by `origin`.
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

    /// As [`mail`](Self::mail), caused by an administrator.
    pub(super) fn mail_by_administrator(&self, to: &Email, topic: MailKind, origin: &Origin) -> Mail {
        let mut mail = self.mail(to, topic, origin);
        mail.cause.by_administrator = true;
        mail
    }

    /// As [`mail`](Self::mail), for a request that needs no sign-in; `None` if the client has caused too many
    /// (S23).
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

    /// Returns whether administrators may be told of another account that waits, and counts that.
    pub(super) fn may_announce(&self) -> bool {
        let may = self.announcements.admit();
        if !may {
            tracing::warn!("many accounts wait for approval: administrators are not told of each");
            self.metrics.mails_withheld.increment();
        }
        may
    }

    /// Enqueues mails, due at once.
    pub(super) async fn enqueue(&self, mails: Vec<Mail>) -> Result<(), StoreError> {
        if mails.is_empty() {
            return Ok(());
        }
        self.store.enqueue_mails(mails).await?;
        self.announce();
        Ok(())
    }

    /// Wakes the worker, for mails that were enqueued in the transaction of the change that they report.
    pub(super) fn announce(&self) {
        self.news.notify_one();
    }

    /// Wakes the worker, also from a pause after the mail server could not be reached.
    pub(super) fn urge(&self) {
        self.news.notify_one();
        self.urged.notify_one();
    }

    /// Keeps the worker from taking this mail until the guard is dropped; `None` if it is being sent.
    pub(super) async fn hold_back(&self, id: MailId) -> Option<MutexGuard<'_, Option<MailId>>> {
        let in_delivery = self.in_delivery.lock().await;
        (*in_delivery != Some(id)).then_some(in_delivery)
    }
}

#[cfg(test)]
mod tests;
