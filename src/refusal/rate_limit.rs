//! A rate of requests that is used up.

use std::time::Duration;

use crate::config::RequestRate;

/// A rate of requests that is used up, and when there is room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Whose requests are counted.
    pub subject: RateSubject,
    /// How many are allowed.
    pub rate: RequestRate,
    /// The time until the next one is.
    pub wait: Duration,
}

/// Whose requests a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateSubject {
    /// Those of a client's address.
    Address,
    /// Those of an account.
    User,
}

impl RateSubject {
    /// Returns its name as a policy in `RateLimit` fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
        }
    }
}
