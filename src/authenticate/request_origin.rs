//! Where a request came from, for the audit log.

use std::net::IpAddr;

use crate::request::{RequestHead, RequestId};
use crate::services::Origin;

/// A borrowed [`Origin`], because most requests do not need an owned one.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestOrigin<'h> {
    pub(super) address: IpAddr,
    pub(super) user_agent: &'h str,
    request: RequestId,
}

impl<'h> RequestOrigin<'h> {
    pub(super) fn of(head: &RequestHead<'h>) -> Self {
        Self {
            address: head.client.address,
            user_agent: head.user_agent(),
            request: head.id,
        }
    }

    pub(super) fn origin(self) -> Origin {
        Origin::of_request(self.request, self.address, self.user_agent, None)
    }
}
