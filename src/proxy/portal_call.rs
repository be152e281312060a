//! Calls the portal for the gateway's own pages, after reading the form.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use http_body::Body as _;

use super::Gateway;
use super::handle::PendingResponse;
use super::response_body::BodySource;
use crate::authenticate::Credentials;
use crate::authorize::{self, AccessDenied, Permit};
use crate::portal::Visitor;
use crate::refusal::{Problem, Refusal};
use crate::request::RequestHead;
use crate::route::{Audience, Page};
use crate::upstream::Upload;

/// How long a form may take.
const FORM_TIME: Duration = Duration::from_secs(30);

impl Gateway {
    /// Handles a request to a page; reads the form of a POST first, within limits.
    pub(super) async fn page(
        &self,
        page: Page,
        head: &RequestHead<'_>,
        mut upload: Upload,
        permit: &Permit,
    ) -> Result<PendingResponse, Refusal> {
        let is_form = *head.method == Method::POST;
        let leaves_unread = !is_form && !upload.is_end_stream();
        let form = if is_form {
            let room = place_room(page, head, self.request_head);
            let limit = self.form_body.saturating_add(room);
            let read = self
                .forms
                .read_within(limit, FORM_TIME, &mut upload, head.client.address)
                .await?;
            let body = &read.bytes;
            if room > 0 && body.len() - place_length(body).min(room) > self.form_body {
                return Err(Refusal::new(Problem::TooLarge));
            }
            Some(read)
        } else {
            None
        };
        // A form may arrive long after its head, so session and policy are checked again, with the current
        // configuration (S76).
        let gateway = if is_form { self.newest() } else { self };
        let renewed = if is_form {
            gateway.renew(page, head, permit)?
        } else {
            None
        };
        let permit = renewed.as_ref().unwrap_or(permit);
        let body = form.as_ref().map_or_else(Bytes::new, |read| read.bytes.clone());
        let response = gateway.portal.respond(page, head, visitor(permit), body).await;
        let mut pending = PendingResponse::from(response.map(BodySource::own));
        pending.leaves_unread = leaves_unread;
        Ok(pending)
    }
}

impl Gateway {
    /// Issues the permit of a session's request again: the session may have ended since, or its account left
    /// a group. `None` if there is no session.
    fn renew(&self, page: Page, head: &RequestHead<'_>, permit: &Permit) -> Result<Option<Permit>, Refusal> {
        let Some(session) = permit.session() else {
            return Ok(None);
        };
        let credentials = (!session.has_ended()).then(|| Credentials {
            principal: session.principal(),
            proof: permit.proof().cloned(),
            policies: Vec::new(),
        });
        match authorize::permit_page(page, &self.administrators, credentials) {
            Ok(permit) => Ok(Some(permit)),
            Err(AccessDenied { refusal, .. }) => {
                if page.audience() == Audience::Administrators {
                    self.portal
                        .note_denied(head, &session.principal(), refusal.problem);
                }
                Err(refusal)
            }
        }
    }
}

/// Returns the portal's view of who a permit was issued for.
pub(super) fn visitor(permit: &Permit) -> Visitor<'_> {
    Visitor {
        principal: permit.principal().map(Arc::as_ref),
        session: permit.session().map(Arc::as_ref),
    }
}

/// Returns the size of the largest form, in bytes.
pub(super) fn most(form_body: usize, request_head: usize) -> usize {
    form_body.saturating_add(place_most(request_head))
}

fn place_most(request_head: usize) -> usize {
    request_head.saturating_mul(3)
}

/// Returns the bytes that a form may have beyond `limits.form_body`: its `rd` field repeats a target that
/// came in a request head, and percent-encoding may triple it.
fn place_room(page: Page, head: &RequestHead<'_>, request_head: usize) -> usize {
    let leads_back = matches!(page, Page::Login | Page::LoginIam | Page::Logout);
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if leads_back && kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded")) {
        place_most(request_head)
    } else {
        0
    }
}

/// Returns the length of the field `rd` of a form.
fn place_length(form: &[u8]) -> usize {
    let mut fields = form.split(|byte| *byte == b'&');
    fields
        .find(|field| field.starts_with(b"rd="))
        .map_or(0, <[u8]>::len)
}
