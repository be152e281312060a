//! Minimum rate for request bodies that the gateway reads into memory.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use crate::refusal::{Problem, Refusal};
use crate::upstream::BodyError;

/// Time that every body may take.
const ALLOWED: Duration = Duration::from_secs(10);

/// Minimum rate after that, in bytes per second; a form of 60 kB earns the first ten seconds.
const RATE: u64 = 6_000;

/// Time within which a body must make progress.
const STALLED: Duration = Duration::from_secs(5);

/// Bytes that count as progress.
const STEP: u64 = 6_000;

/// Reads a body frame by frame and fails if it is too slow: it may take ten seconds, or longer as long as its
/// average stays above the minimum rate, and must never stall.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    came: u64,
    /// When progress was last counted, and the bytes received by then.
    step: (Instant, u64),
}

impl Pace {
    /// Starts the clock. A body holds buffer space while it arrives, so it is refused as soon as it makes no
    /// progress for five seconds, however much of it has arrived.
    pub(super) fn begin() -> Self {
        let begun = Instant::now();
        Self {
            begun,
            came: 0,
            step: (begun, 0),
        }
    }

    fn deadline(&self) -> Instant {
        let earned = Duration::from_secs(self.came / RATE);
        (self.begun + ALLOWED.max(earned)).min(self.step.0 + STALLED)
    }

    fn count(&mut self, bytes: usize) {
        self.came = self.came.saturating_add(bytes as u64);
        if self.came - self.step.1 >= STEP {
            self.step = (Instant::now(), self.came);
        }
    }

    /// Returns the next piece of content; `None` at the end.
    pub(super) async fn next<B>(&mut self, body: &mut B) -> Result<Option<Bytes>, Refusal>
    where
        B: Body<Data = Bytes, Error = BodyError> + Unpin,
    {
        loop {
            let frame = timeout_at(self.deadline(), body.frame())
                .await
                .map_err(|_| Refusal::because(Problem::BadRequest, "the body comes in too slowly"))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| Refusal::because(Problem::BadRequest, error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.count(data.len());
                return Ok(Some(data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{Stream, StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// Returns pieces of this size, with a pause before each.
    fn trickle(
        bytes: usize,
        pause: Duration,
        times: usize,
    ) -> impl Body<Data = Bytes, Error = BodyError> + Unpin {
        StreamBody::new(Box::pin(pieces(bytes, pause, times)))
    }

    fn pieces(
        bytes: usize,
        pause: Duration,
        times: usize,
    ) -> impl Stream<Item = Result<Frame<Bytes>, BodyError>> {
        stream::unfold(0, move |sent| async move {
            tokio::time::sleep(pause).await;
            let frame = Frame::data(Bytes::from(vec![b'x'; bytes]));
            (sent < times).then(|| (Ok(frame), sent + 1))
        })
    }

    /// Returns how long it takes to read all, or until the refusal.
    async fn read(mut body: impl Body<Data = Bytes, Error = BodyError> + Unpin) -> (bool, u64) {
        let mut pace = Pace::begin();
        let begun = Instant::now();
        let is_whole = loop {
            match pace.next(&mut body).await {
                Ok(Some(_)) => {}
                Ok(None) => break true,
                Err(refusal) => {
                    assert_eq!(refusal.problem, Problem::BadRequest);
                    break false;
                }
            }
        };
        (is_whole, begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn s48_a_body_that_trickles_in_is_refused_after_ten_seconds() {
        let second = Duration::from_secs(1);
        assert_eq!(read(trickle(5_900, second, 60)).await, (false, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_not_held_by_a_body_that_stops_or_trickles() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        assert_eq!(read(trickle(1, hour, 1)).await, (false, 5));
        assert_eq!(read(trickle(1, second, 60_000)).await, (false, 5));
        assert_eq!(read(trickle(6_600, second, 60)).await, (true, 61));
        // A mebibyte that came at once earns no time to stall.
        let all = pieces(1 << 20, Duration::ZERO, 1).take(1);
        let stopped = StreamBody::new(Box::pin(all.chain(pieces(1, hour, 1))));
        assert_eq!(read(stopped).await, (false, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_keeps_the_rate_may_take_its_time() {
        assert_eq!(read(trickle(6_600, Duration::from_secs(1), 60)).await, (true, 61));
        assert_eq!(read(trickle(1, Duration::from_secs(1), 3)).await, (true, 4));
    }
}
