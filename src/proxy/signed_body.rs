//! Bodies that must be read before it is known who sent them.

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
pub(super) struct Buffers {
    /// Bytes of one.
    limit: usize,
    taken: Mutex<Taken>,
}

/// Bytes that are held.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Of those clients alone that hold some.
    each: HashMap<Network, usize>,
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
    client: Network,
    taken: usize,
}

impl Buffers {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: Mutex::default(),
        }
    }

    /// Reads all of a body. One client has its share of the room, and loses what it holds when its body stops.
    pub(super) async fn read(&self, upload: &mut Upload, client: IpAddr) -> Result<Read<'_>, Refusal> {
        tokio::time::timeout(TIME, self.collect(upload, client))
            .await
            .map_err(|_| Refusal::because(Problem::BadRequest, "a signed body took too long to come in"))?
    }

    async fn collect(&self, upload: &mut Upload, client: IpAddr) -> Result<Read<'_>, Refusal> {
        let too_large = |length: usize| length > self.limit;
        let announced = usize::try_from(upload.size_hint().lower()).unwrap_or(usize::MAX);
        if too_large(announced) {
            return Err(Refusal::new(Problem::TooLarge));
        }
        let mut room = Room {
            buffers: self,
            client: client.into(),
            taken: 0,
        };
        let mut body = BytesMut::new();
        let mut pace = Pace::begin_in_room();
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

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let most = |bodies: usize| self.buffers.limit.saturating_mul(bodies);
        let mut taken = self.buffers.taken();
        let own = taken.each.get(&self.client).copied().unwrap_or(0);
        if taken.all.saturating_add(bytes) > most(AT_ONCE) || own.saturating_add(bytes) > most(OF_ONE_CLIENT)
        {
            return Err(Refusal::because(
                Problem::Unavailable,
                "too many signed bodies are being read",
            ));
        }
        taken.all += bytes;
        taken.each.insert(self.client, own + bytes);
        self.taken += bytes;
        Ok(())
    }
}

impl Drop for Room<'_> {
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

    fn room(buffers: &Buffers, last: u8) -> Room<'_> {
        Room {
            buffers,
            client: IpAddr::from([192, 0, 2, last]).into(),
            taken: 0,
        }
    }

    #[test]
    fn one_client_has_an_eighth_of_the_room() {
        let buffers = Buffers::new(LIMIT);
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
