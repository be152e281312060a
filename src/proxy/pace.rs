//! How fast a body must come that the gateway itself reads into memory.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use crate::refusal::{Problem, Refusal};
use crate::upstream::BodyError;

/// What any body may take.
const ALLOWED: Duration = Duration::from_secs(10);

/// Bytes a second of one that takes longer: a form of 60 kB has its ten seconds.
const RATE: u64 = 6_000;

/// Reads a body piece by piece, and refuses one that trickles in: it may take ten seconds, or as long as what came of it
/// takes at the minimum rate.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    came: u64,
}

impl Pace {
    /// Time counts from now.
    pub(super) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            came: 0,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next<B>(&mut self, body: &mut B) -> Result<Option<Bytes>, Refusal>
    where
        B: Body<Data = Bytes, Error = BodyError> + Unpin,
    {
        loop {
            let earned = Duration::from_secs(self.came / RATE);
            let frame = timeout_at(self.begun + ALLOWED.max(earned), body.frame())
                .await
                .map_err(|_| Refusal::because(Problem::BadRequest, "the body comes in too slowly"))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| Refusal::because(Problem::BadRequest, error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.came = self.came.saturating_add(data.len() as u64);
                return Ok(Some(data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{Stream, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// So many bytes each time, with a pause before each.
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

    /// How long it takes to read all, or until it is refused.
    async fn read(mut body: impl Body<Data = Bytes, Error = BodyError> + Unpin) -> (bool, u64) {
        let (begun, mut pace) = (Instant::now(), Pace::begin());
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
        assert_eq!(read(trickle(1, second, 60_000)).await, (false, 10));
        assert_eq!(read(trickle(5_900, second, 60)).await, (false, 10));
        assert_eq!(read(trickle(1, Duration::from_hours(1), 1)).await, (false, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_keeps_the_rate_may_take_its_time() {
        assert_eq!(read(trickle(6_600, Duration::from_secs(1), 60)).await, (true, 61));
        assert_eq!(read(trickle(1, Duration::from_secs(3), 2)).await, (true, 9));
    }
}
