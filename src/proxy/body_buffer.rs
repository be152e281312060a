//! Bodies that the gateway reads into memory: those that must be read before it is known who sent them, and forms.

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

/// So many bodies of the largest size are held at one time: whoever sends them may be nobody.
const AT_ONCE: usize = 64;

/// As many of them may be one client's.
const OF_ONE_CLIENT: usize = AT_ONCE / 8;

/// How long a body may take to come in.
const TIME: Duration = Duration::from_mins(1);

/// Room for such bodies.
#[derive(Debug)]
pub(super) struct BodyBufferPool {
    /// Bytes of the largest.
    limit: usize,
    /// What they are, for the record.
    kind: &'static str,
    taken: Mutex<BufferUsage>,
}

/// Bytes that are held.
#[derive(Debug, Default)]
struct BufferUsage {
    all: usize,
    /// Of those clients alone that hold some.
    each: HashMap<Network, usize>,
}

/// A body that was read. Its room is free again when it is dropped.
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

    /// Reads all of a body. One client has its share of the room, and loses what it holds when its body stops.
    pub(super) async fn read(
        &self,
        upload: &mut Upload,
        client: IpAddr,
    ) -> Result<BufferedBody<'_>, Refusal> {
        self.read_within(self.limit, TIME, upload, client).await
    }

    /// The same, of one that may be of so many bytes and take so long.
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
