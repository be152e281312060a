//! Bodies that must be read before it is known who sent them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use super::pace::Pace;
use crate::refusal::{Problem, Refusal};
use crate::upstream::Upload;

/// So many bodies of the largest size are held at one time: whoever sends them may be nobody.
const AT_ONCE: usize = 64;

/// How long a body may take to come in.
const TIME: Duration = Duration::from_mins(1);

/// Room for such bodies.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Bytes of one.
    limit: usize,
    /// Bytes of all.
    left: AtomicUsize,
}

/// A body that was read. Its room is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Read<'b> {
    pub(super) bytes: Bytes,
    _room: Room<'b>,
}

#[derive(Debug)]
struct Room<'b> {
    buffers: &'b Buffers,
    taken: usize,
}

impl Buffers {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            left: AtomicUsize::new(limit.saturating_mul(AT_ONCE)),
        }
    }

    /// Reads all of a body.
    pub(super) async fn read(&self, upload: &mut Upload) -> Result<Read<'_>, Refusal> {
        tokio::time::timeout(TIME, self.collect(upload))
            .await
            .map_err(|_| Refusal::because(Problem::BadRequest, "a signed body took too long to come in"))?
    }

    async fn collect(&self, upload: &mut Upload) -> Result<Read<'_>, Refusal> {
        let too_large = |length: usize| length > self.limit;
        let announced = usize::try_from(upload.size_hint().lower()).unwrap_or(usize::MAX);
        if too_large(announced) {
            return Err(Refusal::new(Problem::TooLarge));
        }
        let mut room = Room {
            buffers: self,
            taken: 0,
        };
        let mut body = BytesMut::new();
        let mut pace = Pace::begin();
        while let Some(data) = pace.next(upload).await? {
            if too_large(body.len() + data.len()) {
                return Err(Refusal::new(Problem::TooLarge));
            }
            room.take(data.len())?;
            body.extend_from_slice(&data);
        }
        Ok(Read {
            bytes: body.freeze(),
            _room: room,
        })
    }
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let order = Ordering::Relaxed;
        let taken = self
            .buffers
            .left
            .fetch_update(order, order, |left| left.checked_sub(bytes));
        if taken.is_err() {
            return Err(Refusal::because(
                Problem::Unavailable,
                "too many signed bodies are being read",
            ));
        }
        self.taken += bytes;
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.buffers.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}
