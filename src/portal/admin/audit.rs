//! `/.auth/admin/audit`: what happened.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::{A_PAGE, AREA, query};
use crate::ids::AccountId;
use crate::model::{AuditEvent, AuditKind, AuditOutcome};
use crate::portal::Portal;
use crate::portal::login::unavailable;
use crate::portal::member::Member;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::services::{AuditFilter, AuditOrder, AuditPage, AuditSubject};

const PATH: &str = "/.auth/admin/audit";

/// What is looked for, as it was asked.
#[derive(Default, Serialize)]
pub(in crate::portal) struct Wanted {
    /// An address or a name: about whom, or by whom.
    pub(in crate::portal) who: String,
    /// The id of an account.
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
        if text("export") == "lines" {
            return self.audit_lines(visit, &wanted).await;
        }
        let after = text("after").parse().ok();
        let audit = &self.services.audit;
        match audit
            .read(wanted.filter(), AuditOrder::NewestFirst, after, A_PAGE)
            .await
        {
            Ok(page) => self.site.audit(visit, member, &wanted, &page),
            Err(error) => self.site.refuse_visit(visit, &unavailable(error.to_string())),
        }
    }
}

impl Wanted {
    /// What cannot be understood is not asked for.
    pub(super) fn filter(&self) -> AuditFilter {
        let named = Some(&self.who).filter(|who| !who.is_empty());
        AuditFilter {
            about: match self.account.parse::<AccountId>() {
                Ok(account) => Some(AuditSubject::Account(account)),
                Err(_) => named.map(|who| AuditSubject::name(who)),
            },
            kinds: self.event.parse::<AuditKind>().into_iter().collect(),
            outcome: match self.outcome.as_str() {
                "success" => Some(AuditOutcome::Success),
                "failure" => Some(AuditOutcome::Failure),
                _ => None,
            },
            from: moment(&self.from, false),
            until: moment(&self.until, true),
            request: None,
        }
    }
}

impl Site {
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
        };
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            StatusCode::OK,
            "admin-audit.html",
            &view,
        )
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
