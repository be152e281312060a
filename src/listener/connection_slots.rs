//! Slots for open connections, and which connection is evicted when all slots are taken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::request::Network;

/// A client with one in so many slots has a large share: its busy connections may be evicted too.
const SHARE: usize = 16;

/// Least idle time before eviction; a connection idle for less may be handshaking or about to send a request.
const GRACE: Duration = Duration::from_secs(3);

/// Whether a connection is busy or idle, and since when. Shared by the listener and the proxy.
#[derive(Debug)]
pub struct Activity {
    state: Mutex<ActivityState>,
    place: Weak<OwnedSemaphorePermit>,
}

/// Keeps the slot of a connection that has become a tunnel.
#[derive(Debug)]
pub struct TunnelSlot(#[expect(dead_code, reason = "held until it is dropped")] Arc<OwnedSemaphorePermit>);

#[derive(Clone, Copy, Debug)]
struct ActivityState {
    under_way: usize,
    /// When it last changed between idle and busy.
    since: Instant,
}

/// All connections that hold a slot.
#[derive(Debug, Default)]
pub(super) struct ConnectionSlots(Mutex<SlotTable>);

#[derive(Debug, Default)]
struct SlotTable {
    next: u64,
    each: HashMap<u64, SlotEntry>,
}

#[derive(Debug)]
struct SlotEntry {
    /// `None` for a trusted proxy, which stands for many clients.
    client: Option<Network>,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

/// A connection's entry; removed on drop.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    occupants: Arc<ConnectionSlots>,
    number: u64,
    pub(super) activity: Arc<Activity>,
    /// Cancelled when the connection must close for another one.
    pub(super) evicted: CancellationToken,
}

impl Default for Activity {
    /// The activity of a connection without a slot.
    fn default() -> Self {
        Self::of(Weak::new())
    }
}

impl Activity {
    fn of(place: Weak<OwnedSemaphorePermit>) -> Self {
        let state = ActivityState {
            under_way: 0,
            since: Instant::now(),
        };
        Self {
            state: Mutex::new(state),
            place,
        }
    }

    /// Keeps the connection's slot for a tunnel.
    pub fn keep_slot(&self) -> Option<TunnelSlot> {
        self.place.upgrade().map(TunnelSlot)
    }

    /// Restarts the idle time, after the handshake.
    pub(super) fn opened(&self) {
        self.state().since = Instant::now();
    }

    /// Counts a request that begins.
    pub fn begin(&self) {
        self.count(|under_way| under_way + 1);
    }

    /// Counts a request that has ended.
    pub fn end(&self) {
        self.count(|under_way| under_way.saturating_sub(1));
    }

    fn count(&self, count: impl Fn(usize) -> usize) {
        let mut state = self.state();
        let before = state.under_way;
        state.under_way = count(before);
        if (before == 0) != (state.under_way == 0) {
            state.since = Instant::now();
        }
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlots {
    pub(super) fn enter(
        self: &Arc<Self>,
        client: Option<Network>,
        place: Weak<OwnedSemaphorePermit>,
    ) -> ConnectionSlot {
        let (activity, evicted) = (Arc::new(Activity::of(place)), CancellationToken::new());
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        let entry = SlotEntry {
            client,
            activity: activity.clone(),
            evicted: evicted.clone(),
        };
        table.each.insert(number, entry);
        drop(table);
        ConnectionSlot {
            occupants: self.clone(),
            number,
            activity,
            evicted,
        }
    }

    /// Evicts a connection to make room for one of this client: of the client with the most slots, the one
    /// that is idle longest, if for three seconds or more. If none is idle, the longest busy connection of
    /// another client with a sixteenth of the slots or more, again of the one with the most.
    ///
    /// Returns whether the new connection may wait for a slot, in which time it blocks others: not if its own
    /// client has that many slots and most of them are busy.
    pub(super) fn make_room(&self, client: Option<Network>, places: usize) -> bool {
        let mut table = self.table();
        let mut held: HashMap<Option<Network>, usize> = HashMap::new();
        for entry in table.each.values() {
            *held.entry(entry.client).or_default() += 1;
        }
        let connections = table
            .each
            .iter()
            .map(|(number, entry)| (*number, entry.client, *entry.activity.state()));
        let (idle, busy): (Vec<_>, Vec<_>) = connections.partition(|(.., state)| state.under_way == 0);
        let of = |owner: &Option<Network>| held.get(owner).copied().unwrap_or(0);
        let has_many = |owner: &Option<Network>| owner.is_some() && SHARE * of(owner) >= places;
        let at_work = busy.iter().filter(|(_, owner, _)| *owner == client).count();
        let is_in_the_way = places > SHARE && has_many(&client) && 2 * at_work > of(&client);
        // Connections behind a proxy belong to many clients, so each ranks as one.
        let rank = |owner: &Option<Network>| usize::MAX - if owner.is_some() { of(owner) } else { 1 };
        let by_rank = |(number, owner, state): &(u64, Option<Network>, ActivityState)| {
            (rank(owner), state.since, *number)
        };
        let idle = idle
            .into_iter()
            .filter(|(.., state)| state.since.elapsed() >= GRACE);
        let busy = busy
            .into_iter()
            .filter(|(_, owner, _)| *owner != client && has_many(owner));
        let chosen = idle.min_by_key(by_rank).or_else(|| busy.min_by_key(by_rank));
        if let Some((number, ..)) = chosen
            && let Some(entry) = table.each.remove(&number)
        {
            entry.evicted.cancel();
            return true;
        }
        !is_in_the_way
    }

    fn table(&self) -> MutexGuard<'_, SlotTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.occupants.table().each.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// That of a number; 0 is a trusted proxy.
    fn client(number: u8) -> Option<Network> {
        (number > 0).then(|| IpAddr::from([192, 0, 2, number]).into())
    }

    async fn enter(occupants: &Arc<ConnectionSlots>, clients: &[u8]) -> Vec<ConnectionSlot> {
        let mut entered = Vec::new();
        for number in clients {
            entered.push(occupants.enter(client(*number), Weak::new()));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        entered
    }

    fn evicted(entered: &[ConnectionSlot]) -> Vec<usize> {
        let evicted = entered.iter().enumerate();
        let evicted = evicted.filter(|(_, occupant)| occupant.evicted.is_cancelled());
        evicted.map(|(index, _)| index).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_most_loses_what_is_idle_longest() {
        let occupants = Arc::default();
        let entered = enter(&occupants, &[1, 2, 2, 1, 2, 0, 0, 0, 0]).await;
        entered[1].activity.begin();
        for gone in [&[2][..], &[0, 2], &[0, 2, 4], &[0, 2, 3, 4]] {
            occupants.make_room(client(3), 10);
            assert_eq!(evicted(&entered), gone);
        }
        assert!(!entered[1].evicted.is_cancelled(), "it is at work");
        drop(entered);
        assert!(occupants.table().each.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_many_at_work_may_not_wait_where_others_do() {
        let occupants = Arc::default();
        let entered = enter(&occupants, &[1, 1, 1, 2]).await;
        for occupant in &entered {
            occupant.activity.begin();
        }
        assert!(!occupants.make_room(client(1), 40));
        assert!(occupants.make_room(client(2), 40));
        assert!(occupants.make_room(client(0), 60));
        assert_eq!(evicted(&entered), [0]);
        entered[1].activity.end();
        assert!(occupants.make_room(client(1), 20), "one of its own is idle soon");
        assert_eq!(evicted(&entered), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_at_work_is_closed_only_of_a_client_with_many_places() {
        let occupants = Arc::default();
        let entered = enter(&occupants, &[2, 1, 1, 0, 0]).await;
        for occupant in &entered {
            occupant.activity.begin();
        }
        occupants.make_room(client(3), 33);
        assert_eq!(evicted(&entered), [] as [usize; 0], "nobody has many");
        occupants.make_room(client(1), 32);
        assert_eq!(evicted(&entered), [] as [usize; 0], "its own");
        occupants.make_room(client(3), 32);
        assert_eq!(evicted(&entered), [1]);
        entered[4].activity.end();
        occupants.make_room(client(1), 32);
        assert_eq!(evicted(&entered), [1], "it became idle just now");
        tokio::time::advance(GRACE).await;
        occupants.make_room(client(1), 32);
        assert_eq!(evicted(&entered), [1, 4]);
    }
}
