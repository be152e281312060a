//! The name of a request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::random::Random;

/// Names one request, in its answer's `X-Request-Id` and in every line of the record about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    run: u64,
    count: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:08x}", self.run, self.count)
    }
}

/// Hands out request ids: a random part for this run of the program and a count, which costs one atomic
/// addition where a random id would cost a system call.
#[derive(Clone, Debug)]
pub struct RequestIds {
    run: u64,
    next: Arc<AtomicU64>,
}

impl RequestIds {
    /// A new run.
    pub fn new(random: &Random) -> Self {
        Self {
            run: u64::from_be_bytes(random.bytes()),
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        RequestId {
            run: self.run,
            count: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}
