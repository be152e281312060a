//! `/.auth/admin/audit`: searches and exports the audit log.

use bytes::Bytes;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Response, StatusCode};
use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::{A_PAGE, none_of, place};
use crate::api::AuditEventList;
use crate::model::{AuditDetail, AuditKind, AuditOutcome, DetailKey};
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::page_context::{PageResult, SignedInContext, unavailable};
use crate::portal::request_context::RequestContext;
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::signed_in::SignedInRequest;
use crate::route::AdminPage;
use crate::services::{AuditFilter, AuditOrder, AuditPage, Event, Kind};

/// The fields of the form, in their order.
const ORDER: &[&str] = &["who", "event", "outcome", "from", "until", "request", "client"];

const OUTCOMES: &[&str] = &["success", "failure"];

/// The most events in an exported file, the newest: some megabytes. `vestibule audit --lines` has no such
/// limit.
const MOST: usize = 10_000;

/// Events in one read.
const TOGETHER: usize = 1_000;

/// The search, as typed.
#[derive(Default, Serialize)]
pub(in crate::portal) struct AuditSearch {
    /// The subject or actor: an address, a username or an id.
    pub(in crate::portal) who: String,
    /// Like `who`; links from an account's page use it.
    pub(in crate::portal) account: String,
    pub(in crate::portal) event: String,
    pub(in crate::portal) outcome: String,
    pub(in crate::portal) from: String,
    pub(in crate::portal) until: String,
    /// The id of a request.
    pub(in crate::portal) request: String,
    /// An address, or a network.
    pub(in crate::portal) client: String,
}

#[derive(Serialize)]
struct AuditView<'a> {
    wanted: &'a AuditSearch,
    /// The bounds as fields for times have them, in UTC.
    from: String,
    until: String,
    kinds: &'static [AuditKind],
    found: AuditEventList,
    next: Option<String>,
    /// The URL of the export.
    lines: String,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// Parameters: `who`, `account`, `event`, `outcome`, `from`, `until`, `request`, `client`, `after`; `export` "lines".
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let text = |name: &str| cx.parameter(name).trim().to_owned();
    let search = AuditSearch {
        who: text("who"),
        account: text("account"),
        event: text("event"),
        outcome: text("outcome"),
        from: text("from"),
        until: text("until"),
        request: text("request"),
        client: text("client"),
    };
    let mut filter = match filter(cx, &search) {
        Ok(filter) => filter,
        Err(errors) => return Ok(refused(cx, &search, errors)),
    };
    let audit = &cx.services.audit;
    if let Some(name) = search.name() {
        filter.about = audit.resolve_subjects(name).await?;
    }
    if text("export") == "lines" {
        return export(cx, search.name(), filter).await;
    }
    let after = cx.cursor("after")?;
    let found = audit.read(filter, AuditOrder::NewestFirst, after, A_PAGE).await?;
    Ok(page(cx, &search, found))
}

/// Exports events as a file of JSON lines, the oldest first, like the command. `who` is the name that is
/// searched for. Where the audit log is required, an export that cannot be audited fails.
async fn export(cx: &SignedInContext<'_>, who: Option<&str>, filter: AuditFilter) -> PageResult {
    let (audit, mut lines, mut after) = (&cx.services.audit, Vec::new(), None);
    loop {
        let limit = TOGETHER.min(MOST - lines.len());
        let read = audit.read(filter.clone(), AuditOrder::NewestFirst, after, limit);
        let page = AuditEventList::from(read.await?);
        for event in &page.events {
            let line = serde_json::to_string(event).map_err(|error| unavailable(error.to_string()))?;
            lines.push(line + "\n");
        }
        after = page.next;
        if after.is_none() || lines.len() >= MOST {
            break;
        }
    }
    lines.reverse();
    let by = cx.services.administrator(cx.user.session);
    let event = Event::success(Kind::AuditExport, who.unwrap_or_default())
        .by(&by)
        .detail(AuditDetail::of(DetailKey::Count, &lines.len()));
    audit.record(&cx.origin(), &event).await?;
    let mut response = cx.lines(lines.concat());
    let saved = HeaderValue::from_static("attachment; filename=\"audit.jsonl\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, saved);
    Ok(response)
}

impl AuditSearch {
    fn name(&self) -> Option<&str> {
        [self.account.as_str(), self.who.as_str()]
            .into_iter()
            .find(|name| !name.is_empty())
    }

    /// The page's URL with the search and one more parameter.
    fn query(&self, name: &str, value: &str) -> String {
        let parameters = [
            ("who", &*self.who),
            ("account", &*self.account),
            ("event", &*self.event),
            ("outcome", &*self.outcome),
            ("from", &*self.from),
            ("until", &*self.until),
            ("request", &*self.request),
            ("client", &*self.client),
            (name, value),
        ];
        with_query(AdminPage::Audit.path(), &parameters)
    }
}

/// Parses the search but for its subject; refuses what it cannot parse, rather than ignoring it.
fn filter(cx: &RequestContext<'_>, search: &AuditSearch) -> Result<AuditFilter, Errors> {
    let mut errors = Errors::new();
    if !search.who.is_empty() && !search.account.is_empty() {
        errors.extend(cx.field_error("who", "admin.who-or-account"));
    }
    let asked = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let kind = asked(&search.event)
        .map(|event| event.parse::<AuditKind>())
        .transpose();
    if kind.is_err() {
        let known: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
        errors.insert("event", none_of(cx, &known));
    }
    let outcome = match search.outcome.as_str() {
        "" => None,
        "success" => Some(AuditOutcome::Success),
        "failure" => Some(AuditOutcome::Failure),
        _ => {
            errors.insert("outcome", none_of(cx, OUTCOMES));
            None
        }
    };
    let from = asked(&search.from).map(|from| moment(&from, false).ok_or("from"));
    let until = asked(&search.until).map(|until| moment(&until, true).ok_or("until"));
    let (from, until) = (from.transpose(), until.transpose());
    for field in [&from, &until].into_iter().filter_map(|read| read.err()) {
        errors.extend(cx.field_error(field, "admin.no-moment"));
    }
    let client = asked(&search.client)
        .map(|client| AuditFilter::parse_client(&client))
        .transpose();
    if client.is_err() {
        errors.extend(cx.field_error("client", "admin.no-address"));
    }
    match (kind, from, until, client) {
        (Ok(kind), Ok(from), Ok(until), Ok(client)) if errors.is_empty() => Ok(AuditFilter {
            about: Vec::new(),
            kinds: kind.into_iter().collect(),
            outcome,
            from,
            until,
            request: asked(&search.request),
            client,
        }),
        _ => Err(errors),
    }
}

fn refused(cx: &SignedInRequest<'_>, search: &AuditSearch, errors: Errors) -> Response<Bytes> {
    cx.refuse_form(errors.into(), ORDER, |problem, errors, alert| {
        let view = AuditView {
            errors,
            alert: Some(alert),
            ..AuditView::empty(search)
        };
        show(cx, problem, &view)
    })
}

fn show(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &AuditView<'_>,
) -> Response<Bytes> {
    cx.page_with_nav(place(AdminPage::Audit), outcome, "admin-audit.html", view)
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    search: &AuditSearch,
    found: AuditPage,
) -> Response<Bytes> {
    let found = AuditEventList::from(found);
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &found);
    }
    let view = AuditView {
        next: found.next.map(|next| search.query("after", &next.to_string())),
        lines: search.query("export", "lines"),
        found,
        ..AuditView::empty(search)
    };
    show(cx, StatusCode::OK, &view)
}

impl<'a> AuditView<'a> {
    /// The view without results.
    fn empty(search: &'a AuditSearch) -> Self {
        Self {
            wanted: search,
            from: field(moment(&search.from, false)),
            until: field(moment(&search.until, true)),
            kinds: AuditKind::ALL,
            found: AuditEventList::default(),
            next: None,
            lines: String::new(),
            errors: Errors::new(),
            alert: None,
        }
    }
}

/// Parses a time, which is in UTC unless it says otherwise, or a day in UTC, whose start or `end` it returns.
fn moment(typed: &str, end: bool) -> Option<Timestamp> {
    if let Ok(moment) = typed.parse() {
        return Some(moment);
    }
    let at = if typed.contains(['T', ' ']) {
        typed.parse::<DateTime>().ok()?
    } else {
        let day: Date = typed.parse().ok()?;
        let day = if end { day.checked_add(1.day()).ok()? } else { day };
        day.at(0, 0, 0, 0)
    };
    format!("{at}Z").parse().ok()
}

/// Formats a bound for a field of times; empty if there is none.
fn field(moment: Option<Timestamp>) -> String {
    moment.map_or_else(String::new, |at| at.strftime("%FT%T").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_whole() {
        let at = |typed, end| moment(typed, end).map(|at| at.to_string());
        assert_eq!(at("2026-01-31", false).as_deref(), Some("2026-01-31T00:00:00Z"));
        assert_eq!(at("2026-01-31", true).as_deref(), Some("2026-02-01T00:00:00Z"));
        assert_eq!(
            at("2026-01-31T12:00:00Z", true).as_deref(),
            Some("2026-01-31T12:00:00Z")
        );
        for (typed, read) in [
            ("2026-01-31T12:30", "2026-01-31T12:30:00Z"),
            ("2026-01-31T12:30:05", "2026-01-31T12:30:05Z"),
            ("2026-01-31 12:30:05", "2026-01-31T12:30:05Z"),
            ("2026-01-31T12:30+09:00", "2026-01-31T03:30:00Z"),
        ] {
            assert_eq!(at(typed, true).as_deref(), Some(read), "{typed}");
        }
        assert_eq!(at("", false), None);
        assert_eq!(at("soon", false), None);
    }
}
