//! `/.auth/admin/audit`: what happened.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::{A_PAGE, AREA, query};
use crate::model::{AuditEvent, AuditKind, AuditOutcome};
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::login::unavailable;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInUser;
use crate::refusal::{Problem, Refusal};
use crate::services::{AuditFilter, AuditOrder, AuditPage};
use crate::text::fill;

pub(super) const PATH: &str = "/.auth/admin/audit";

/// The fields of the form, in their order.
const ORDER: &[&str] = &["who", "event", "outcome", "from", "until"];

const OUTCOMES: &[&str] = &["success", "failure"];

/// What is looked for, as it was asked.
#[derive(Default, Serialize)]
pub(in crate::portal) struct AuditSearch {
    /// An address, a username or an id: about whom, or by whom.
    pub(in crate::portal) who: String,
    /// The same in the link of an account's page.
    pub(in crate::portal) account: String,
    pub(in crate::portal) event: String,
    pub(in crate::portal) outcome: String,
    pub(in crate::portal) from: String,
    pub(in crate::portal) until: String,
}

#[derive(Serialize)]
struct FoundEvents<'a> {
    events: Vec<&'a AuditEvent>,
    next: Option<String>,
}

#[derive(Serialize)]
struct AuditView<'a> {
    wanted: &'a AuditSearch,
    kinds: &'static [AuditKind],
    found: FoundEvents<'a>,
    next: Option<String>,
    /// Where the same is a file.
    lines: String,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

impl Portal {
    /// `who`, `account`, `event`, `outcome`, `from`, `until`, `after`; `export`: "lines"
    pub(super) async fn audit_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let text = |name: &str| context.parameter(name).trim().to_owned();
        let search = AuditSearch {
            who: text("who"),
            account: text("account"),
            event: text("event"),
            outcome: text("outcome"),
            from: text("from"),
            until: text("until"),
        };
        let mut filter = match self.renderer.filter(context, &search) {
            Ok(filter) => filter,
            Err(errors) => return self.renderer.refuse_audit(context, user, &search, errors),
        };
        let audit = &self.services.audit;
        if let Some(name) = search.name() {
            match audit.resolve_subjects(name).await {
                Ok(whom) => filter.about = whom,
                Err(error) => {
                    return self
                        .renderer
                        .refuse_visit(context, &unavailable(error.to_string()));
                }
            }
        }
        if text("export") == "lines" {
            return self.audit_lines(context, user, search.name(), filter).await;
        }
        let after = Some(text("after")).filter(|after| !after.is_empty());
        let Ok(after) = after.map(|after| after.parse()).transpose() else {
            let refusal = Refusal::because(Problem::InvalidInput, "`after` names no place of the log");
            return self.renderer.refuse_visit(context, &refusal);
        };
        match audit.read(filter, AuditOrder::NewestFirst, after, A_PAGE).await {
            Ok(page) => self.renderer.audit(context, user, &search, &page),
            Err(error) => self
                .renderer
                .refuse_visit(context, &unavailable(error.to_string())),
        }
    }
}

impl AuditSearch {
    fn name(&self) -> Option<&str> {
        [self.account.as_str(), self.who.as_str()]
            .into_iter()
            .find(|name| !name.is_empty())
    }
}

impl PageRenderer {
    /// What is looked for but for whom, or what cannot be understood of it: nothing is left out silently.
    fn filter(&self, context: &RequestContext<'_>, search: &AuditSearch) -> Result<AuditFilter, Errors> {
        let mut errors = Errors::new();
        let text = |key: &'static str| self.texts.get(context.lang, key);
        if !search.who.is_empty() && !search.account.is_empty() {
            errors.insert("who", text("admin.who-or-account").to_owned());
        }
        let asked = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
        let kind = asked(&search.event)
            .map(|event| event.parse::<AuditKind>())
            .transpose();
        if kind.is_err() {
            let known: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
            errors.insert("event", self.none_of(context, &known));
        }
        let outcome = match search.outcome.as_str() {
            "" => None,
            "success" => Some(AuditOutcome::Success),
            "failure" => Some(AuditOutcome::Failure),
            _ => {
                errors.insert("outcome", self.none_of(context, OUTCOMES));
                None
            }
        };
        let from = asked(&search.from).map(|from| moment(&from, false).ok_or("from"));
        let until = asked(&search.until).map(|until| moment(&until, true).ok_or("until"));
        let (from, until) = (from.transpose(), until.transpose());
        for field in [&from, &until].into_iter().filter_map(|read| read.err()) {
            errors.insert(field, text("admin.no-moment").to_owned());
        }
        match (kind, from, until) {
            (Ok(kind), Ok(from), Ok(until)) if errors.is_empty() => Ok(AuditFilter {
                about: Vec::new(),
                kinds: kind.into_iter().collect(),
                outcome,
                from,
                until,
                request: None,
            }),
            _ => Err(errors),
        }
    }

    /// What is said of a filter's value that is none of those; a page has them in a list.
    pub(super) fn none_of(&self, context: &RequestContext<'_>, known: &[&str]) -> String {
        if context.wants == ResponseFormat::Html {
            return self.texts.get(context.lang, "admin.not-in-list").to_owned();
        }
        let text = self.texts.get(context.lang, "admin.none-of");
        fill(text, &[("known", &known.join(", "))])
    }

    pub(in crate::portal) fn refuse_audit(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        search: &AuditSearch,
        errors: Errors,
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        self.refuse_form(context, &refusal, errors, ORDER, |errors, alert| {
            let view = AuditView {
                wanted: search,
                kinds: AuditKind::ALL,
                found: FoundEvents {
                    events: Vec::new(),
                    next: None,
                },
                next: None,
                lines: String::new(),
                errors,
                alert: Some(alert),
            };
            self.audit_view(context, user, refusal.problem, &view)
        })
    }

    fn audit_view(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        outcome: impl Into<ResponseOutcome>,
        view: &AuditView<'_>,
    ) -> Response<Bytes> {
        self.member_page(context, user, AREA.at(PATH), outcome, "admin-audit.html", view)
    }

    pub(in crate::portal) fn audit(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        search: &AuditSearch,
        page: &AuditPage,
    ) -> Response<Bytes> {
        let found = FoundEvents {
            events: page.events.iter().map(|(_, event)| event).collect(),
            next: page.next.map(|next| next.to_string()),
        };
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::OK, &found);
        }
        let with = |name: &str, value: &str| {
            let parameters = [
                ("who", &*search.who),
                ("account", &*search.account),
                ("event", &*search.event),
                ("outcome", &*search.outcome),
                ("from", &*search.from),
                ("until", &*search.until),
                (name, value),
            ];
            query(PATH, &parameters)
        };
        let (next, lines) = (
            found.next.as_deref().map(|next| with("after", next)),
            with("export", "lines"),
        );
        let view = AuditView {
            wanted: search,
            kinds: AuditKind::ALL,
            found,
            next,
            lines,
            errors: Errors::new(),
            alert: None,
        };
        self.audit_view(context, user, StatusCode::OK, &view)
    }
}

/// A moment, or a day in UTC: its beginning, or its end.
fn moment(typed: &str, end: bool) -> Option<Timestamp> {
    if let Ok(moment) = typed.parse() {
        return Some(moment);
    }
    let day: Date = typed.parse().ok()?;
    let day = if end { day.checked_add(1.day()).ok()? } else { day };
    format!("{day}T00:00:00Z").parse().ok()
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
        assert_eq!(at("", false), None);
        assert_eq!(at("soon", false), None);
    }
}
