//! Rate limit for warnings that clients can cause at any rate.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Warnings of one kind that are logged within [`WINDOW`].
const LOGGED: u32 = 20;

const WINDOW: Duration = Duration::from_secs(10);

/// Limits the warnings of one kind, so that a flood of failures does not fill the disk.
#[derive(Debug, Default)]
pub struct WarningLimit(Mutex<WindowState>);

#[derive(Debug, Default)]
struct WindowState {
    /// Start of the current window.
    since: Option<Instant>,
    logged: u32,
    unlogged: u64,
}

impl WarningLimit {
    /// Returns whether to log a warning: `Some` with the number of suppressed ones since the last.
    pub fn admit(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state
            .since
            .is_none_or(|since| now.duration_since(since) >= WINDOW)
        {
            (state.since, state.logged) = (Some(now), 0);
        }
        if state.logged == LOGGED {
            state.unlogged += 1;
            return None;
        }
        state.logged += 1;
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_and_told_with_the_next() {
        let limit = WarningLimit::default();
        for _ in 0..LOGGED {
            assert_eq!(limit.admit(), Some(0));
        }
        for _ in 0..1000 {
            assert_eq!(limit.admit(), None);
        }
        tokio::time::advance(WINDOW).await;
        assert_eq!(limit.admit(), Some(1000));
        assert_eq!(limit.admit(), Some(0));
    }
}
