//! Operations on the audit log: appending, filtered reading, pruning.

use std::net::IpAddr;

use async_trait::async_trait;
use ipnet::{AddrParseError, IpNet};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::ids::AccountId;
use crate::model::{AuditCursor, AuditDetail, AuditEvent, AuditKind, AuditOutcome, DetailKey};

/// The audit log: a part of [`Store`](super::Store).
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Appends events in this order. Beyond `at_most` stored events, removes the oldest.
    async fn append_audit(&self, events: Vec<AuditEvent>, at_most: usize) -> Result<(), StoreError>;

    /// Up to `limit` events that match the filter, starting after `after` in this order, or at the first.
    ///
    /// A call examines a bounded number of events: a page may be short, or empty, and still have a next one.
    async fn read_audit(
        &self,
        filter: AuditFilter,
        order: AuditOrder,
        after: Option<AuditCursor>,
        limit: usize,
    ) -> Result<AuditPage, StoreError>;

    /// Removes the events before this time. Returns how many.
    async fn prune_audit(&self, before: Timestamp) -> Result<usize, StoreError>;
}

/// A filter for events; all given fields must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFilter {
    /// Subjects or actors, of which one must match; any if empty.
    pub about: Vec<AuditSubject>,
    /// Kinds, of which one must match; any if empty.
    pub kinds: Vec<AuditKind>,
    /// The outcome.
    pub outcome: Option<AuditOutcome>,
    /// The earliest time, inclusive.
    pub from: Option<Timestamp>,
    /// The latest time, exclusive.
    pub until: Option<Timestamp>,
    /// The id of the request.
    #[serde(default)]
    pub request: Option<String>,
    /// The client's address, or the network that it is in.
    #[serde(default)]
    pub client: Option<IpNet>,
}

impl AuditFilter {
    /// Parses an address, or a network. An IPv4 address that is written as an IPv6 one is the former, as it is logged.
    pub fn parse_client(text: &str) -> Result<IpNet, AddrParseError> {
        let address = text
            .parse::<IpAddr>()
            .map(|address| address.to_canonical().into());
        address.or_else(|_| text.parse())
    }

    /// The subjects whose index has all matching events; empty if the whole log must be read. A request is a
    /// subject too.
    pub(super) fn subjects(&self) -> Vec<AuditSubject> {
        match &self.request {
            Some(id) if self.about.is_empty() => vec![AuditSubject::Request(id.clone())],
            _ => self.about.clone(),
        }
    }

    /// Returns whether an event matches.
    pub fn passes(&self, event: &AuditEvent) -> bool {
        (self.about.is_empty() || self.about.iter().any(|about| about.is_of(event)))
            && (self.kinds.is_empty() || self.kinds.contains(&event.event))
            && self.outcome.is_none_or(|outcome| outcome == event.outcome)
            && self.from.is_none_or(|from| event.time >= from)
            && self.until.is_none_or(|until| event.time < until)
            && (self.request.is_none() || self.request == event.request_id)
            && self
                .client
                .is_none_or(|network| event.address.is_some_and(|address| network.contains(&address)))
    }
}

/// A subject by which events are indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditSubject {
    /// An account, whatever it was called at the time.
    Account(AccountId),
    /// An address, a username, a name as it was typed, or an actor; in lower case.
    Name(String),
    /// The id of a request.
    Request(String),
}

impl AuditSubject {
    /// Makes the subject of a name, in any case.
    pub fn name(name: &str) -> Self {
        Self::Name(name.trim().to_lowercase())
    }

    /// All subjects of an event, without duplicates.
    pub fn of(event: &AuditEvent) -> Vec<Self> {
        let mut subjects = Self::called(event);
        subjects.extend(event.by.as_deref().map(Self::name));
        subjects.extend(event.account.map(Self::Account));
        subjects.extend(event.request_id.clone().map(Self::Request));
        let mut once = Vec::with_capacity(subjects.len());
        for subject in subjects {
            if !once.contains(&subject) {
                once.push(subject);
            }
        }
        once
    }

    /// The names of the event's account: its address, and the username or addresses that the event gives it
    /// or takes from it.
    pub fn called(event: &AuditEvent) -> Vec<Self> {
        let mut names = vec![Self::name(&event.who)];
        let detail = match event.event {
            AuditKind::SignUp
            | AuditKind::AccountAdd
            | AuditKind::UsernameChange
            | AuditKind::EmailChange
            | AuditKind::AccountDelete => event.detail.as_deref().and_then(AuditDetail::read),
            _ => None,
        };
        if let Some(detail) = detail {
            names.extend(detail.get(DetailKey::Username).map(Self::name));
            let change = detail
                .get(DetailKey::From)
                .and_then(|change| change.split_once(" to "));
            names.extend(
                change
                    .into_iter()
                    .flat_map(|(before, now)| [before, now])
                    .map(Self::name),
            );
        }
        names
    }

    fn is_of(&self, event: &AuditEvent) -> bool {
        Self::of(event).contains(self)
    }
}

/// The order in which events are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOrder {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The events with their positions.
    pub events: Vec<(AuditCursor, AuditEvent)>,
    /// Which cannot be read, and why: they stand in no other's way (S49).
    #[serde(default)]
    pub unreadable: Vec<String>,
    /// The position after which there may be more; `None` at the end.
    pub next: Option<AuditCursor>,
}

impl AuditPage {
    /// Whether it has so many events, those that cannot be read included.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.events.len() + self.unreadable.len() >= limit
    }
}
