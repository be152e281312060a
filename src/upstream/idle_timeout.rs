//! A time-out for the lack of progress.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Times how long an operation stays pending. Starts no timer until the first pending poll.
#[derive(Debug)]
pub struct IdleTimeout {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl IdleTimeout {
    /// Creates a time-out of `limit` without progress.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: None,
            is_waiting: false,
        }
    }

    /// Reports progress.
    pub fn progressed(&mut self) {
        self.is_waiting = false;
    }

    /// Reports a pending poll; ready once there was no progress for the whole limit.
    pub fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = Instant::now() + self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !self.is_waiting {
            self.is_waiting = true;
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts() {
        let mut idle = IdleTimeout::new(Duration::from_secs(10));
        let start = Instant::now();
        for _ in 0..3 {
            let limit = tokio::time::timeout(
                Duration::from_secs(9),
                poll_fn(|context| idle.poll_waiting(context)),
            );
            assert!(limit.await.is_err());
            idle.progressed();
        }
        poll_fn(|context| idle.poll_waiting(context)).await;
        assert_eq!(start.elapsed().as_secs(), 37);
    }
}
