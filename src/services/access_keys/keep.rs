//! What is done about access keys from time to time.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::AccessKeys;
use crate::ids::AccountId;

/// How often keys whose time is over are ended, and changes that the store could not tell of are looked at again.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// After how many sweeps uses are written back: every half minute.
const SWEEPS_A_WRITE: u32 = 15;

impl AccessKeys {
    /// Writes back when keys were used, and ends what goes on with keys whose time is over, until `stop`.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweeps = 0;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.sweep().await;
            sweeps += 1;
            if sweeps % SWEEPS_A_WRITE == 0 {
                self.write_uses().await;
            }
        }
        self.write_uses().await;
    }

    pub(super) async fn sweep(&self) {
        let now = self.clock.now();
        for key in self.live.pin().values().filter(|key| key.is_over(now)) {
            key.end();
        }
        let unsettled: Vec<AccountId> = self.unsettled().iter().copied().collect();
        for account in unsettled {
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
                // A later use is still to be stored.
                key.life().unstored().take_if(|unstored| *unstored == stored);
            }
        }
    }
}
