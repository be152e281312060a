//! `/.auth/admin/audit?export=lines`: the events that are looked for as a file, a JSON document a line.

use bytes::Bytes;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Response};

use crate::model::{AuditDetail, DetailKey};
use crate::portal::Portal;
use crate::portal::login::unavailable;
use crate::portal::request_context::RequestContext;
use crate::portal::signed_in::SignedInUser;
use crate::services::{Actor, AuditFilter, AuditOrder, Event, Kind};

/// Events in one file, the newest: some megabytes. `vestibule audit --lines` has no such bound.
const MOST: usize = 10_000;

/// Events that are read together.
const TOGETHER: usize = 1_000;

impl Portal {
    /// The oldest first, as the command has them; `who`: the name that is looked for. Where the record is required,
    /// nothing leaves that is not recorded.
    pub(super) async fn audit_lines(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        who: Option<&str>,
        filter: AuditFilter,
    ) -> Response<Bytes> {
        let (mut lines, mut after) = (Vec::new(), None);
        loop {
            let limit = TOGETHER.min(MOST - lines.len());
            let audit = &self.services.audit;
            let read = audit.read(filter.clone(), AuditOrder::NewestFirst, after, limit);
            let page = match read.await {
                Ok(page) => page,
                Err(error) => {
                    return self
                        .renderer
                        .refuse_visit(context, &unavailable(error.to_string()));
                }
            };
            for (_, event) in &page.events {
                match serde_json::to_string(event) {
                    Ok(line) => lines.push(line + "\n"),
                    Err(error) => {
                        return self
                            .renderer
                            .refuse_visit(context, &unavailable(error.to_string()));
                    }
                }
            }
            after = page.next;
            if after.is_none() || lines.len() >= MOST {
                break;
            }
        }
        lines.reverse();
        let by = Actor::administrator(user.session, &self.renderer.administrators);
        let event = Event::success(Kind::AuditExport, who.unwrap_or_default())
            .by(&by)
            .detail(AuditDetail::of(DetailKey::Count, &lines.len()));
        if let Err(error) = self.services.audit.record(&context.origin(), &event).await {
            return self
                .renderer
                .refuse_visit(context, &unavailable(error.to_string()));
        }
        let mut response = self.renderer.lines(context, lines.concat());
        let saved = HeaderValue::from_static("attachment; filename=\"audit.jsonl\"");
        response.headers_mut().insert(CONTENT_DISPOSITION, saved);
        response
    }
}
