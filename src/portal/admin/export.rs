//! `/.auth/admin/audit?export=lines`: the events that are looked for as a file, a JSON document a line.

use bytes::Bytes;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Response};

use crate::model::{AuditDetail, Fact};
use crate::portal::Portal;
use crate::portal::login::unavailable;
use crate::portal::member::Member;
use crate::portal::visit::Visit;
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
        visit: &Visit<'_>,
        member: Member<'_>,
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
                Err(error) => return self.site.refuse_visit(visit, &unavailable(error.to_string())),
            };
            for (_, event) in &page.events {
                match serde_json::to_string(event) {
                    Ok(line) => lines.push(line + "\n"),
                    Err(error) => return self.site.refuse_visit(visit, &unavailable(error.to_string())),
                }
            }
            after = page.next;
            if after.is_none() || lines.len() >= MOST {
                break;
            }
        }
        lines.reverse();
        let by = Actor::administrator(member.session, &self.site.administrators);
        let event = Event::success(Kind::AuditExport, who.unwrap_or_default())
            .by(&by)
            .detail(AuditDetail::of(Fact::Count, &lines.len()));
        if let Err(error) = self.services.audit.record(&visit.origin(), &event).await {
            return self.site.refuse_visit(visit, &unavailable(error.to_string()));
        }
        let mut response = self.site.lines(visit, lines.concat());
        let saved = HeaderValue::from_static("attachment; filename=\"audit.jsonl\"");
        response.headers_mut().insert(CONTENT_DISPOSITION, saved);
        response
    }
}
