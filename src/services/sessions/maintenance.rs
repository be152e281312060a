//! Background maintenance of sessions: expiry, last uses, and what the store did not answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{ActiveSession, Sessions, by_owner};
use crate::store::{SessionsToEnd, StoreError};

/// How often expired sessions are ended: their streams must end within 5 s (S28).
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// Sweeps between two writes of last uses: every half minute.
const SWEEPS_A_WRITE: u32 = 15;

/// Accounts that are read again at once.
const AT_ONCE: usize = 4;

impl Sessions {
    /// Writes last uses to the store, and ends expired sessions, until `stop`.
    pub async fn run_maintenance(&self, stop: CancellationToken) {
        // Each by itself, since the store may not answer the others for long.
        let settling = async {
            let mut ticks = ticks();
            let settle = async {
                loop {
                    ticks.tick().await;
                    self.settle_accounts().await;
                }
            };
            stop.run_until_cancelled(settle).await;
        };
        tokio::join!(
            settling,
            self.end_expired_regularly(&stop),
            self.sweep_regularly(&stop)
        );
        self.write_uses().await;
        self.sweep().await;
        let now = self.moment();
        let live = self.live.pin();
        let untold: Vec<_> = live.values().filter(|live| live.is_over(now)).cloned().collect();
        for (account, (email, sessions)) in by_owner(&untold) {
            tracing::error!(
                %account,
                email,
                sessions,
                "sessions were ended and the store could not be told: they live again at the next start, until they \
                 are ended again (`vestibule session revoke`)"
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
                self.sweep_store().await;
            }
        }
    }

    /// Ends expired sessions in memory, with their streams, and returns them. They stay in the map until the store has
    /// removed them.
    fn end_expired(&self) -> Vec<Arc<ActiveSession>> {
        let now = self.moment();
        let live = self.live.pin();
        let over: Vec<_> = live.values().filter(|live| live.is_over(now)).cloned().collect();
        for session in &over {
            session.end();
        }
        over
    }

    /// Ends expired sessions and removes them.
    pub(super) async fn sweep(&self) {
        for session in &self.end_expired() {
            let which = SessionsToEnd::Token(session.digest());
            match self.store.end_sessions(which).await {
                Ok(_) => self.remove(session),
                // A corrupt row does not keep the others.
                Err(StoreError::Corrupt(error)) => {
                    tracing::warn!(error, session = %session.id(), "a session that is over could not be removed");
                }
                Err(error) => {
                    tracing::warn!(%error, "sessions that are over could not be removed; trying again soon");
                    return;
                }
            }
        }
    }

    pub(super) async fn write_uses(&self) {
        let uses: Vec<_> = self
            .live
            .pin()
            .values()
            .filter_map(|live| live.unstored_use())
            .collect();
        if !uses.is_empty()
            && let Err(error) = self.store.touch_sessions(uses).await
        {
            tracing::warn!(%error, "the last use of sessions could not be stored");
        }
    }

    pub(super) async fn sweep_store(&self) {
        let now = self.settled.read();
        if let Err(error) = self.store.sweep(now, self.limits.oldest(now)).await {
            tracing::warn!(%error, "what expired could not be removed from the store");
        }
    }

    /// Refreshes the accounts that the store could not read before.
    pub(super) async fn settle_accounts(&self) {
        let unsettled = futures_util::stream::iter(self.unsettled.ids());
        // One that is still being changed is waited for, and delays few others.
        let settle = |id| async move {
            if let Err(error) = self.try_refresh(id).await {
                tracing::debug!(%error, account = %id, "an account could not be read yet");
            }
        };
        unsettled.for_each_concurrent(AT_ONCE, settle).await;
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
