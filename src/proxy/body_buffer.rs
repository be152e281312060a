//! Bounded buffers for request bodies that the gateway reads whole: signed bodies, before they are verified,
//! and forms.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use super::pace::Pace;
use crate::refusal::{Problem, Refusal};
use crate::request::Network;
use crate::upstream::Upload;

/// How many bodies of the largest size fit at one time. The senders may not be authenticated yet.
const AT_ONCE: usize = 64;

/// Share of one client network.
const OF_ONE_CLIENT: usize = AT_ONCE / 8;

/// How long a body may take.
const TIME: Duration = Duration::from_mins(1);

/// A byte budget for buffered bodies, shared by all requests and divided by client network.
#[derive(Debug)]
pub(super) struct BodyBufferPool {
    /// The largest body, in bytes.
    limit: usize,
    /// What the bodies are, in the cause of a refusal.
    kind: &'static str,
    taken: Mutex<BufferUsage>,
}

/// Bytes in use.
#[derive(Debug, Default)]
struct BufferUsage {
    all: usize,
    /// By client network; has no entry for networks that hold nothing.
    each: HashMap<Network, usize>,
}

/// A body in memory. Dropping it returns its bytes to the pool.
#[derive(Debug)]
pub(super) struct BufferedBody<'b> {
    pub(super) bytes: Bytes,
    _room: Reservation<'b>,
}

#[derive(Debug)]
struct Reservation<'b> {
    buffers: &'b BodyBufferPool,
    client: Network,
    taken: usize,
}

impl BodyBufferPool {
    pub(super) fn new(limit: usize, kind: &'static str) -> Self {
        Self {
            limit,
            kind,
            taken: Mutex::default(),
        }
    }

    /// Reads a whole body within the pool's limit and one minute. Fails if the client's share or the pool is
    /// used up, or if the body is too slow (see [`Pace`]).
    pub(super) async fn read(
        &self,
        upload: &mut Upload,
        client: IpAddr,
    ) -> Result<BufferedBody<'_>, Refusal> {
        self.read_within(self.limit, TIME, upload, client).await
    }

    /// [`Self::read`] with another limit, in bytes, and another time.
    pub(super) async fn read_within(
        &self,
        limit: usize,
        time: Duration,
        upload: &mut Upload,
        client: IpAddr,
    ) -> Result<BufferedBody<'_>, Refusal> {
        let too_slow = |_| {
            let cause = format!("the time for {} is over before one came in", self.kind);
            Refusal::because(Problem::BadRequest, cause)
        };
        let collecting = self.collect(limit, upload, client);
        tokio::time::timeout(time, collecting).await.map_err(too_slow)?
    }

    async fn collect(
        &self,
        limit: usize,
        upload: &mut Upload,
        client: IpAddr,
    ) -> Result<BufferedBody<'_>, Refusal> {
        let too_large = |length: usize| length > limit;
        let announced = usize::try_from(upload.size_hint().lower()).unwrap_or(usize::MAX);
        if too_large(announced) {
            return Err(Refusal::new(Problem::TooLarge));
        }
        let mut room = Reservation {
            buffers: self,
            client: client.into(),
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
        Ok(BufferedBody {
            bytes: body.freeze(),
            _room: room,
        })
    }

    fn taken(&self) -> MutexGuard<'_, BufferUsage> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let most = |bodies: usize| self.buffers.limit.saturating_mul(bodies);
        let mut taken = self.buffers.taken();
        let own = taken.each.get(&self.client).copied().unwrap_or(0);
        if taken.all.saturating_add(bytes) > most(AT_ONCE) || own.saturating_add(bytes) > most(OF_ONE_CLIENT)
        {
            return Err(Refusal::because(
                Problem::Unavailable,
                format!("too many {} are being read", self.buffers.kind),
            ));
        }
        taken.all += bytes;
        taken.each.insert(self.client, own + bytes);
        self.taken += bytes;
        Ok(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut taken = self.buffers.taken();
        taken.all -= self.taken;
        if let Some(own) = taken.each.get_mut(&self.client) {
            *own -= self.taken;
            if *own == 0 {
                taken.each.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1000;

    fn room(buffers: &BodyBufferPool, last: u8) -> Reservation<'_> {
        Reservation {
            buffers,
            client: IpAddr::from([192, 0, 2, last]).into(),
            taken: 0,
        }
    }

    #[test]
    fn one_client_has_an_eighth_of_the_room() {
        let buffers = BodyBufferPool::new(LIMIT, "bodies");
        let mut held = Vec::new();
        for client in 1..=8 {
            for _ in 0..OF_ONE_CLIENT {
                let mut room = room(&buffers, client);
                for _ in 0..4 {
                    room.take(LIMIT / 4).unwrap();
                }
                held.push(room);
            }
            assert!(room(&buffers, client).take(1).is_err(), "client {client}");
        }
        assert!(room(&buffers, 9).take(1).is_err(), "all is taken");
        held.pop();
        room(&buffers, 9).take(LIMIT).unwrap();
        drop(held);
        let taken = buffers.taken();
        assert_eq!((taken.all, taken.each.len()), (0, 0));
    }
}
