//! Recent responses of the gateway itself, refusals and pages, in memory, for `vestibule explain`. Forwarded
//! responses are left out: noting them would cost every request, and the access log has them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, StatusCode};
use jiff::Timestamp;

use super::Gateway;
use super::access_log::RequestTimer;
use super::handle::PendingResponse;
use super::response_body::BodySource;
use crate::api::RecentRequest;
use crate::ids::AccountId;
use crate::model::Principal;
use crate::refusal::Problem;
use crate::request::{RequestHead, RequestId};
use crate::route::Page;

/// Most refusals kept; about 2 MiB.
const REFUSALS: usize = 4096;

/// Most other responses kept, in a ring of their own so that neither kind evicts the other.
const OTHERS: usize = 1024;

/// Bytes of a path that are kept.
const PATH: usize = 256;

/// Two bounded rings of recent responses.
#[derive(Debug)]
pub struct RequestHistory {
    refusals: Mutex<Ring>,
    others: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    kept: VecDeque<Box<HistoryEntry>>,
    most: usize,
    /// Every response since then is in the ring.
    since: Timestamp,
}

/// Why a request was refused.
#[derive(Clone, Debug)]
pub(super) struct RefusalReason {
    pub(super) problem: Problem,
    /// For the operator.
    pub(super) cause: Option<Cow<'static, str>>,
}

/// One response. Has no query, because queries may hold tokens.
#[derive(Debug)]
pub(super) struct HistoryEntry {
    id: RequestId,
    at: Timestamp,
    client: IpAddr,
    method: Option<Method>,
    host: Box<str>,
    path: Box<str>,
    user: Option<Arc<Principal>>,
    route: Option<Arc<str>>,
    status: StatusCode,
    refused: Option<RefusalReason>,
}

impl RequestHistory {
    /// Creates an empty history.
    pub fn since(now: Timestamp) -> Self {
        let ring = |most| {
            Mutex::new(Ring {
                kept: VecDeque::new(),
                most,
                since: now,
            })
        };
        Self {
            refusals: ring(REFUSALS),
            others: ring(OTHERS),
        }
    }

    /// Returns the newest entry with this request id.
    pub fn find(&self, id: &str) -> Option<RecentRequest> {
        [&self.refusals, &self.others].into_iter().find_map(|ring| {
            let ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            let mut newest_first = ring.kept.iter().rev();
            newest_first
                .find(|noted| noted.id.as_str() == id)
                .map(|noted| noted.view())
        })
    }

    /// The refusals of an account's requests since `since` that are remembered, the oldest first.
    pub fn refusals_of(&self, account: AccountId, since: Timestamp) -> Vec<RecentRequest> {
        let ring = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = ring.kept.iter().filter(|noted| {
            let user = noted.user.as_ref();
            noted.at >= since && user.is_some_and(|user| user.account == account)
        });
        theirs.map(|noted| noted.view()).collect()
    }

    /// Returns the time since which every refusal is kept.
    pub fn refusals_since(&self) -> Timestamp {
        let ring = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        ring.since
    }

    pub(super) fn note(&self, noted: HistoryEntry) {
        let is_refusal = noted.refused.is_some() || noted.status.is_client_error();
        let ring = if is_refusal { &self.refusals } else { &self.others };
        let noted = Box::new(noted);
        let forgotten = {
            let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.push(noted)
        };
        // Dropped outside the lock.
        drop(forgotten);
    }
}

impl Ring {
    fn push(&mut self, noted: Box<HistoryEntry>) -> Option<Box<HistoryEntry>> {
        let forgotten = (self.kept.len() == self.most)
            .then(|| self.kept.pop_front())
            .flatten();
        if let Some(forgotten) = &forgotten {
            self.since = self.since.max(forgotten.at);
        }
        self.kept.push_back(noted);
        forgotten
    }
}

impl HistoryEntry {
    /// An entry for a head that hyper could not parse.
    pub(super) fn unreadable(id: RequestId, at: Timestamp, client: IpAddr, status: StatusCode) -> Self {
        Self {
            id,
            at,
            client,
            method: None,
            host: "".into(),
            path: "".into(),
            user: None,
            route: None,
            status,
            refused: Some(RefusalReason {
                problem: Problem::BadRequest,
                cause: Some("the head of the request cannot be read, or is too large".into()),
            }),
        }
    }

    fn view(&self) -> RecentRequest {
        let refused = self.refused.as_ref();
        RecentRequest {
            request_id: self.id.to_string(),
            time: self.at,
            client: self.client,
            method: self.method.as_ref().map(Method::to_string),
            host: self.host.to_string(),
            path: self.path.to_string(),
            user: self.user.as_ref().map(|user| user.username.to_string()),
            groups: self.user.iter().flat_map(|user| user.groups.clone()).collect(),
            route: self.route.as_deref().map(str::to_owned),
            status: self.status.as_u16(),
            slug: refused.map(|refused| refused.problem.slug().to_owned()),
            reason: refused.and_then(|refused| refused.cause.as_deref().map(str::to_owned)),
        }
    }
}

impl Gateway {
    /// Adds a response to the history, unless an upstream sent it: the forwarding path has neither lock nor
    /// allocation for it.
    pub(super) fn remember(&self, head: &RequestHead<'_>, begun: RequestTimer, response: &PendingResponse) {
        if matches!(response.response.body(), BodySource::Upstream(_)) || response.tunnel.is_some() {
            return;
        }
        let status = response.response.status();
        let page = Page::at(head.path);
        let is_refused = status.is_client_error() || status.is_server_error();
        // Assets and userinfo requests would evict what users did.
        if !is_refused && matches!(page, Some(Page::Asset | Page::Me)) {
            return;
        }
        let answered = response.response.extensions().get::<Problem>();
        let by_page = answered.map(|&problem| RefusalReason { problem, cause: None });
        self.history.note(HistoryEntry {
            id: head.id,
            at: begun.at(),
            client: head.client.address,
            method: Some(head.method.clone()),
            host: head.host.as_str().into(),
            path: beginning(head.path).into(),
            user: response.user.clone(),
            route: response.route.clone(),
            status,
            refused: response.refused.as_deref().cloned().or(by_page),
        });
    }
}

fn beginning(path: &str) -> &str {
    &path[..path.floor_char_boundary(PATH)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::request::RequestIds;

    #[test]
    fn the_oldest_is_forgotten_and_said_to_be() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let history = RequestHistory::since(start);
        let ids = RequestIds::new(&Random::seeded(1));
        let note = |status, second: u64| {
            let id = ids.next();
            let at = start + std::time::Duration::from_secs(second);
            let mut noted = HistoryEntry::unreadable(id, at, [203, 0, 113, 9].into(), status);
            if !status.is_client_error() {
                noted.refused = None;
            }
            history.note(noted);
            id.to_string()
        };
        let page = note(StatusCode::OK, 0);
        let first = note(StatusCode::BAD_REQUEST, 1);
        assert_eq!(history.find(&first).unwrap().status, 400);
        assert_eq!(history.refusals_since(), start);
        let second = note(StatusCode::BAD_REQUEST, 2);
        for _ in 1..REFUSALS {
            note(StatusCode::BAD_REQUEST, 3);
        }
        assert_eq!(history.find(&first), None);
        assert!(history.find(&second).is_some());
        assert_eq!(
            history.refusals_since(),
            start + std::time::Duration::from_secs(1)
        );
        // Refusals push out no page.
        assert!(history.find(&page).is_some());
        assert_eq!(beginning(&"é".repeat(200)).len(), PATH);
    }
}
