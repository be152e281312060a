//! Quotas of the audit log, by account, by client and for all strangers, and summaries of what exceeds them.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::config::AuditConfig;
use crate::gcra::Gcra;
use crate::ids::AccountId;
use crate::model::{AuditDetail, AuditEvent, AuditKind, AuditOutcome, DetailKey};
use crate::request::Network;

/// The most events of one kind and outcome that an account or a client may record in a burst.
pub(super) const AT_ONCE: usize = 1000;

/// How long events beyond a quota are counted before one event sums them up.
pub(super) const SUMMED_UP_EVERY: Duration = Duration::from_hours(1);

/// How often due summaries and expired shares are looked for.
const LOOKED_EVERY: Duration = Duration::from_mins(1);

/// The most shares in memory: some megabytes.
const REMEMBERED: usize = 32_768;

/// Quotas of the audit log (GCRA).
///
/// Any event that a client can cause at will, refused or not, counts against a quota, so that it does not
/// push out the events of others. Each account and each client has one for every kind and outcome: a burst of
/// an eighth of the log, at most [`AT_ONCE`], and a sixteenth of it in each `audit.keep`; a flood of one kind
/// hides no other. Events without an account share one over all clients: a burst of an eighth and three
/// eighths in each `audit.keep`, so never more than half of the log. Events beyond a quota are counted and
/// summed up in one event an hour.
#[derive(Debug)]
pub(super) struct AuditQuota {
    clock: Clock,
    one: Gcra,
    strangers: Gcra,
    table: Mutex<QuotaTable>,
}

#[derive(Debug, Default)]
struct QuotaTable {
    shares: HashMap<QuotaKey, QuotaShare>,
    /// The keys of `shares`, in the order of eviction.
    order: BTreeSet<(Duration, QuotaKey)>,
    /// Withheld events of evicted shares, still to be summed up.
    forgotten: Vec<(QuotaKey, Box<WithheldEvents>)>,
    looked: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum QuotaHolder {
    Account(AccountId),
    Client(Network),
    Strangers,
    /// Events beyond the backlog of the writer.
    Backlog,
}

/// The key of a share; strangers have one for all events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct QuotaKey {
    holder: QuotaHolder,
    events: Option<(AuditKind, AuditOutcome)>,
}

#[derive(Debug, Default)]
struct QuotaShare {
    /// The theoretical arrival time of the next event (GCRA).
    next: Duration,
    withheld: Option<Box<WithheldEvents>>,
}

/// Events that the audit log does not keep.
#[derive(Debug)]
struct WithheldEvents {
    count: u64,
    since: Timestamp,
    /// When they are summed up.
    due: Duration,
    /// The subject of the last one.
    who: String,
    /// The address of the last one.
    address: Option<IpAddr>,
}

impl AuditQuota {
    pub(super) fn new(config: &AuditConfig, clock: Clock) -> Self {
        let (events, keep) = (config.max_events, config.keep.0);
        Self {
            clock,
            one: Gcra::new((events / 8).min(AT_ONCE), events / 16, keep),
            strangers: Gcra::new(events / 8, events / 8 * 3, keep),
            table: Mutex::default(),
        }
    }

    /// Returns whether the audit log keeps an event; otherwise counts it.
    pub(super) fn admit(&self, event: &AuditEvent) -> bool {
        let Some(address) = event.address else {
            return true;
        };
        let succeeded = event.outcome == AuditOutcome::Success;
        // Each successful act of an administrator is kept.
        if event.by.is_some() && succeeded {
            return true;
        }
        let events = Some((event.event, event.outcome));
        let now = self.clock.monotonic();
        let mut table = self.table();
        let mut admit = |holder: QuotaHolder, allowance: Gcra| {
            let key = match holder {
                QuotaHolder::Strangers => QuotaKey { holder, events: None },
                _ => QuotaKey { holder, events },
            };
            let is_admitted = table.update(key, |share| allowance.admit(&mut share.next, now).is_ok());
            if !is_admitted {
                self.withhold(&mut table, holder, event);
            }
            is_admitted
        };
        let Some(account) = event.account else {
            return admit(QuotaHolder::Strangers, self.strangers)
                && admit(QuotaHolder::Client(address.into()), self.one);
        };
        // Users may share an address: their successes count only against their own accounts.
        let is_proven = succeeded && !is_strangers(event.event);
        (is_proven || admit(QuotaHolder::Client(address.into()), self.one))
            && admit(QuotaHolder::Account(account), self.one)
    }

    /// Counts an event that exceeds the backlog.
    pub(super) fn overflow(&self, event: &AuditEvent) {
        self.withhold(&mut self.table(), QuotaHolder::Backlog, event);
    }

    /// Returns summaries of the withheld events that are due, or of all.
    pub(super) fn summaries(&self, all: bool) -> Vec<AuditEvent> {
        let now = self.clock.monotonic();
        let mut table = self.table();
        if !all && now < table.looked.saturating_add(LOOKED_EVERY) {
            return Vec::new();
        }
        table.looked = now;
        let mut withheld = std::mem::take(&mut table.forgotten);
        let waiting = table.order.iter().rev();
        let waiting = waiting.take_while(|(rank, _)| *rank == Duration::MAX);
        for (_, key) in waiting.copied().collect::<Vec<_>>() {
            let due = table.update(key, |share| {
                share.withheld.take_if(|withheld| all || withheld.due <= now)
            });
            withheld.extend(due.map(|due| (key, due)));
        }
        while let Some((rank, key)) = table.order.first().copied()
            && rank <= now
        {
            table.order.remove(&(rank, key));
            table.shares.remove(&key);
        }
        drop(table);
        let wall = self.clock.now();
        let summaries = withheld.into_iter();
        summaries
            .map(|(key, withheld)| (*withheld).summary(key, wall))
            .collect()
    }

    fn withhold(&self, table: &mut QuotaTable, holder: QuotaHolder, event: &AuditEvent) {
        let key = QuotaKey {
            holder,
            events: Some((event.event, event.outcome)),
        };
        let (now, wall) = (self.clock.monotonic(), self.clock.now());
        table.update(key, |share| {
            let withheld = share.withheld.get_or_insert_with(|| {
                Box::new(WithheldEvents {
                    count: 0,
                    since: wall,
                    due: now.saturating_add(SUMMED_UP_EVERY),
                    who: String::new(),
                    address: None,
                })
            });
            withheld.count = withheld.count.saturating_add(1);
            withheld.who.clone_from(&event.who);
            withheld.address = event.address;
        });
    }

    fn table(&self) -> MutexGuard<'_, QuotaTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuotaTable {
    /// Updates a share, creating it if it is not in memory.
    fn update<T>(&mut self, key: QuotaKey, change: impl FnOnce(&mut QuotaShare) -> T) -> T {
        let share = self.shares.entry(key).or_default();
        self.order.remove(&(share.rank(), key));
        let changed = change(share);
        self.order.insert((share.rank(), key));
        if self.shares.len() > REMEMBERED
            && let Some((_, lightest)) = self.order.pop_first()
            && let Some(withheld) = self.shares.remove(&lightest).and_then(|share| share.withheld)
        {
            self.forgotten.push((lightest, withheld));
        }
        changed
    }
}

impl QuotaShare {
    /// The order of eviction: the fullest share last, one with withheld events after all others.
    fn rank(&self) -> Duration {
        self.withheld.as_ref().map_or(self.next, |_| Duration::MAX)
    }
}

impl WithheldEvents {
    fn summary(self, key: QuotaKey, time: Timestamp) -> AuditEvent {
        let account = match key.holder {
            QuotaHolder::Account(id) => Some(id),
            QuotaHolder::Client(_) | QuotaHolder::Strangers | QuotaHolder::Backlog => None,
        };
        let (address, who) = match key.holder {
            QuotaHolder::Account(_) => (self.address, self.who),
            QuotaHolder::Client(_) => (self.address, String::new()),
            QuotaHolder::Strangers | QuotaHolder::Backlog => (None, String::new()),
        };
        let mut detail = AuditDetail::default();
        if let Some((kind, _)) = key.events {
            detail = detail.and(DetailKey::Event, kind.as_str());
        }
        AuditEvent {
            time,
            event: AuditKind::Summary,
            outcome: key.events.map_or(AuditOutcome::Success, |(_, outcome)| outcome),
            reason: None,
            who,
            account,
            by: None,
            why: None,
            address,
            request_id: None,
            user_agent: String::new(),
            detail: Some(
                detail
                    .and(DetailKey::Count, &self.count)
                    .and(DetailKey::Since, &self.since)
                    .into(),
            ),
        }
    }
}

/// Returns whether events of this kind are recorded for an account without proof of owning it.
fn is_strangers(kind: AuditKind) -> bool {
    matches!(kind, AuditKind::SignUp | AuditKind::SignUpBegin | AuditKind::Lock)
}
