//! Background maintenance of access keys: expiry, retries of revocations, last uses.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::AccessKeys;
use crate::ids::AccountId;
use crate::model::AccessKeyId;
use crate::services::deferred_revocations::ABANDONED;
use crate::services::dual_time::DualTime;
use crate::services::pending_revocations::{Arrival, KeyRevocation};
use crate::store::{SessionsToEnd, StoreError};

/// How often expired keys are ended, and what the store failed at is tried again.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// Sweeps between two writes of last uses: every half minute.
const SWEEPS_A_WRITE: u32 = 15;

impl AccessKeys {
    /// Writes last uses to the store, and ends expired keys with their streams and sessions, until `stop`.
    pub async fn run_maintenance(&self, stop: CancellationToken) {
        // Each by itself, since the store may not answer the sweeps for long.
        tokio::join!(self.end_expired_regularly(&stop), self.sweep_regularly(&stop));
        self.write_uses().await;
        self.store_revocations().await;
        for (key, shut_out) in self.revocations.all_keys() {
            tracing::error!(
                %key,
                event = shut_out.event.kind.as_str(),
                "an access key was shut out and the store could not be told: it serves again after the next start, \
                 until that is done again (`vestibule key disable`, `vestibule key revoke`)"
            );
        }
    }

    async fn end_expired_regularly(&self, stop: &CancellationToken) {
        let mut ticks = ticks();
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.end_expired();
        }
    }

    async fn sweep_regularly(&self, stop: &CancellationToken) {
        let mut ticks = ticks();
        let mut sweeps = 0;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.sweep().await;
            sweeps += 1;
            if sweeps % SWEEPS_A_WRITE == 0 {
                self.write_uses().await;
            }
        }
    }

    /// Retries in the store the revocations that only memory holds.
    pub(super) async fn store_revocations(&self) {
        for (id, _) in self.revocations.all_keys() {
            let _turn = self.revocations.turn.lock().await;
            if let Err(error) = self.settle(id).await {
                tracing::warn!(%error, key = %id, "an access key is shut out in memory alone; trying again soon");
            }
        }
    }

    /// Tells the store of all by which a key is shut out in memory alone, if it is. The caller has the turn.
    pub(super) async fn settle(&self, id: AccessKeyId) -> Result<(), StoreError> {
        while let Some((arrival, shut_out)) = self.revocations.key(&id) {
            self.settle_revocation(id, arrival, &shut_out).await?;
        }
        Ok(())
    }

    async fn settle_revocation(
        &self,
        id: AccessKeyId,
        arrival: Arrival,
        shut_out: &KeyRevocation,
    ) -> Result<(), StoreError> {
        let told = if shut_out.is_revoked {
            self.store.revoke_access_key(id).await
        } else {
            self.store.set_access_key_disabled(id, true).await
        };
        let changed = match told {
            Err(error) if !error.may_pass() => {
                tracing::error!(%error, key = %id, event = shut_out.event.kind.as_str(), "{ABANDONED}");
                self.revocations.remove_key(&id, arrival);
                return Err(error);
            }
            told => told?,
        };
        tracing::warn!(key = %id, "the store knows now that an access key was shut out");
        self.revocations.remove_key(&id, arrival);
        // One that is gone was revoked, or went with its account.
        if let Some(key) = changed {
            self.audit.note(&shut_out.origin, &shut_out.event);
            self.sessions.forget(SessionsToEnd::AccessKey(key.account, id));
            self.refresh(key.account).await;
        }
        Ok(())
    }

    /// Ends expired keys in memory, with their streams and sessions. Returns the accounts that are to be read again.
    fn end_expired(&self) -> HashSet<AccountId> {
        let now = DualTime::of(&self.clock);
        let mut anew: HashSet<AccountId> = HashSet::new();
        for key in self.live.pin().values() {
            if key.is_over(now) {
                key.end();
                let begun = SessionsToEnd::AccessKey(key.principal().account, key.id());
                self.sessions.end_in_memory(begun);
            } else if key.has_ended() {
                // The clock was ahead for a while: the key has not expired after all.
                anew.insert(key.principal().account);
            }
        }
        anew
    }

    pub(super) async fn sweep(&self) {
        let mut anew = self.end_expired();
        self.store_revocations().await;
        anew.extend(self.unsettled.ids());
        for account in anew {
            self.refresh(account).await;
        }
    }

    pub(super) async fn write_uses(&self) {
        let uses: Vec<_> = self
            .live
            .pin()
            .values()
            .filter_map(|key| Some((key.id(), key.life().unstored().clone()?)))
            .collect();
        if uses.is_empty() {
            return;
        }
        if let Err(error) = self.store.touch_access_keys(uses.clone()).await {
            tracing::warn!(%error, "the last use of access keys could not be stored; trying again soon");
            return;
        }
        let live = self.live.pin();
        for (id, stored) in uses {
            if let Some(key) = live.get(&id) {
                // A use that came meanwhile is still to be stored.
                key.life().unstored().take_if(|unstored| *unstored == stored);
            }
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
