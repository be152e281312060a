//! `/.auth/admin/audit`: what happened.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::{A_PAGE, AREA, query};
use crate::model::{AuditEvent, AuditKind, AuditOutcome};
use crate::portal::Portal;
use crate::portal::alert::{Alert, Errors};
use crate::portal::login::unavailable;
use crate::portal::member::Member;
use crate::portal::render::Outcome;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::{AuditFilter, AuditOrder, AuditPage};
use crate::text::fill;

pub(super) const PATH: &str = "/.auth/admin/audit";

/// The fields of the form, in their order.
const ORDER: &[&str] = &["who", "event", "outcome", "from", "until"];

const OUTCOMES: &[&str] = &["success", "failure"];

/// What is looked for, as it was asked.
#[derive(Default, Serialize)]
pub(in crate::portal) struct Wanted {
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
struct Found<'a> {
    events: Vec<&'a AuditEvent>,
    next: Option<String>,
}

#[derive(Serialize)]
struct AuditView<'a> {
    wanted: &'a Wanted,
    kinds: &'static [AuditKind],
    found: Found<'a>,
    next: Option<String>,
    /// Where the same is a file.
    lines: String,
    errors: Errors,
    alert: Option<Alert>,
}

impl Portal {
    /// `who`, `account`, `event`, `outcome`, `from`, `until`, `after`; `export`: "lines"
    pub(super) async fn audit_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let text = |name: &str| visit.parameter(name).trim().to_owned();
        let wanted = Wanted {
            who: text("who"),
            account: text("account"),
            event: text("event"),
            outcome: text("outcome"),
            from: text("from"),
            until: text("until"),
        };
        let mut filter = match self.site.filter(visit, &wanted) {
            Ok(filter) => filter,
            Err(errors) => return self.site.refuse_audit(visit, member, &wanted, errors),
        };
        let audit = &self.services.audit;
        if let Some(name) = wanted.name() {
            match audit.whom(name).await {
                Ok(whom) => filter.about = whom,
                Err(error) => return self.site.refuse_visit(visit, &unavailable(error.to_string())),
            }
        }
        if text("export") == "lines" {
            return self.audit_lines(visit, member, wanted.name(), filter).await;
        }
        let after = Some(text("after")).filter(|after| !after.is_empty());
        let Ok(after) = after.map(|after| after.parse()).transpose() else {
            let refusal = Refusal::because(Problem::InvalidInput, "`after` names no place of the log");
            return self.site.refuse_visit(visit, &refusal);
        };
        match audit.read(filter, AuditOrder::NewestFirst, after, A_PAGE).await {
            Ok(page) => self.site.audit(visit, member, &wanted, &page),
            Err(error) => self.site.refuse_visit(visit, &unavailable(error.to_string())),
        }
    }
}

impl Wanted {
    fn name(&self) -> Option<&str> {
        [self.account.as_str(), self.who.as_str()]
            .into_iter()
            .find(|name| !name.is_empty())
    }
}

impl Site {
    /// What is looked for but for whom, or what cannot be understood of it: nothing is left out silently.
    fn filter(&self, visit: &Visit<'_>, wanted: &Wanted) -> Result<AuditFilter, Errors> {
        let mut errors = Errors::new();
        let text = |key: &'static str| self.texts.get(visit.lang, key);
        if !wanted.who.is_empty() && !wanted.account.is_empty() {
            errors.insert("who", text("admin.who-or-account").to_owned());
        }
        let asked = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
        let kind = asked(&wanted.event)
            .map(|event| event.parse::<AuditKind>())
            .transpose();
        if kind.is_err() {
            let known: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
            errors.insert("event", self.none_of(visit, &known));
        }
        let outcome = match wanted.outcome.as_str() {
            "" => None,
            "success" => Some(AuditOutcome::Success),
            "failure" => Some(AuditOutcome::Failure),
            _ => {
                errors.insert("outcome", self.none_of(visit, OUTCOMES));
                None
            }
        };
        let from = asked(&wanted.from).map(|from| moment(&from, false).ok_or("from"));
        let until = asked(&wanted.until).map(|until| moment(&until, true).ok_or("until"));
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
    pub(super) fn none_of(&self, visit: &Visit<'_>, known: &[&str]) -> String {
        if visit.wants == Wants::Html {
            return self.texts.get(visit.lang, "admin.not-in-list").to_owned();
        }
        let text = self.texts.get(visit.lang, "admin.none-of");
        fill(text, &[("known", &known.join(", "))])
    }

    pub(in crate::portal) fn refuse_audit(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        wanted: &Wanted,
        errors: Errors,
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        self.refuse_form(visit, &refusal, errors, ORDER, |errors, alert| {
            let view = AuditView {
                wanted,
                kinds: AuditKind::ALL,
                found: Found {
                    events: Vec::new(),
                    next: None,
                },
                next: None,
                lines: String::new(),
                errors,
                alert: Some(alert),
            };
            self.audit_view(visit, member, refusal.problem, &view)
        })
    }

    fn audit_view(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        outcome: impl Into<Outcome>,
        view: &AuditView<'_>,
    ) -> Response<Bytes> {
        self.member_page(visit, member, AREA.at(PATH), outcome, "admin-audit.html", view)
    }

    pub(in crate::portal) fn audit(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        wanted: &Wanted,
        page: &AuditPage,
    ) -> Response<Bytes> {
        let found = Found {
            events: page.events.iter().map(|(_, event)| event).collect(),
            next: page.next.map(|next| next.to_string()),
        };
        if visit.wants == Wants::Json {
            return self.json(visit, StatusCode::OK, &found);
        }
        let with = |name: &str, value: &str| {
            let parameters = [
                ("who", &*wanted.who),
                ("account", &*wanted.account),
                ("event", &*wanted.event),
                ("outcome", &*wanted.outcome),
                ("from", &*wanted.from),
                ("until", &*wanted.until),
                (name, value),
            ];
            query(PATH, &parameters)
        };
        let (next, lines) = (
            found.next.as_deref().map(|next| with("after", next)),
            with("export", "lines"),
        );
        let view = AuditView {
            wanted,
            kinds: AuditKind::ALL,
            found,
            next,
            lines,
            errors: Errors::new(),
            alert: None,
        };
        self.audit_view(visit, member, StatusCode::OK, &view)
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
