//! Who sent a request, as the record will name them.

use std::net::IpAddr;

use http::header::USER_AGENT;

use crate::request::{RequestHead, RequestId};
use crate::services::Origin;

/// Of what a program calls itself so many characters are recorded.
const AGENT_LENGTH: usize = 256;

/// What an [`Origin`] is made of. That one owns its text, and most requests need none.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestOrigin<'h> {
    pub(super) address: IpAddr,
    pub(super) user_agent: &'h str,
    request: RequestId,
}

impl<'h> RequestOrigin<'h> {
    pub(super) fn of(head: &RequestHead<'h>) -> Self {
        let agent = head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Self {
            address: head.client.address,
            user_agent: agent.unwrap_or_default(),
            request: head.id,
        }
    }

    pub(super) fn origin(self) -> Origin {
        Origin {
            address: Some(self.address),
            request: Some(self.request),
            user_agent: self.user_agent.chars().take(AGENT_LENGTH).collect(),
            language: None,
        }
    }
}
