//! bcrypt on a bounded pool.

use crate::model::Password;

/// The hashing queue is full: nothing was counted, try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// The pool.
#[derive(Debug)]
pub struct Hasher {}

/// A place in the queue, taken before an attempt is recorded.
#[derive(Debug)]
pub struct Place {}

/// What a comparison said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The password is the one that was hashed.
    pub matches: bool,
    /// The hash has a lower cost, or another form, than new ones get.
    pub outdated: bool,
}

impl Hasher {
    /// A pool of `threads` threads and a queue of `queue` places that hashes at `cost`.
    pub fn new(_cost: u32, _threads: usize, _queue: usize) -> Self {
        todo!()
    }

    /// A place in the queue.
    pub fn place(&self) -> Result<Place, Busy> {
        todo!()
    }

    /// How many hashes were computed since the start.
    pub fn hashes(&self) -> u64 {
        todo!()
    }
}

impl Place {
    /// The hash of a new password, in the contract's stored form.
    pub async fn hash(self, _password: Password) -> String {
        todo!()
    }

    /// Compares; without a hash against a dummy of the same cost, which never matches.
    pub async fn verify(self, _password: Password, _hash: Option<String>) -> Verdict {
        todo!()
    }
}
