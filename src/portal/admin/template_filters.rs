//! Template filters of the administrators' pages: texts for events and reasons.

use minijinja::Environment;
use minijinja::value::Value;

use crate::model::{AuditDetail, DetailKey, legible};
use crate::portal::response::with_query;
use crate::route::AdminPage;

/// The keys of the texts for reasons.
const REASONS: &[&str] = &[
    "reason.invalid-credentials",
    "reason.not-verified",
    "reason.not-approved",
    "reason.account-disabled",
    "reason.must-agree",
    "reason.locked",
    "reason.rate-limited",
    "reason.unavailable",
    "reason.signup-closed",
    "reason.invalid-input",
    "reason.invalid-token",
    "reason.email-taken",
    "reason.signature-invalid",
    "reason.clock-skew",
    "reason.replayed",
    "reason.not-found",
    "reason.not-authenticated",
    "reason.forbidden",
    "reason.bad-request",
    "reason.too-large",
    "reason.invalid-configuration",
    "reason.not-written",
];

/// Adds the filters.
pub(in crate::portal) fn register(templates: &mut Environment<'_>) {
    templates.add_filter("reason", reason);
    templates.add_filter("facts", facts);
    templates.add_filter("uid", uid);
    templates.add_filter("legible", shown);
    templates.add_filter("events_of", events_of);
    templates.add_filter("request_page", request_page);
    templates.add_filter("account_page", account_page);
}

/// The facts of an event's detail, each with the key of its text; empty if the detail is free text.
fn facts(detail: &str) -> Vec<Value> {
    let Some(detail) = AuditDetail::read(detail) else {
        return Vec::new();
    };
    let fact = |(fact, value): (DetailKey, &str)| {
        let value = match fact {
            DetailKey::Groups | DetailKey::Changed => value.replace(',', ", "),
            DetailKey::From => value.replacen(" to ", " → ", 1),
            _ => value.to_owned(),
        };
        let value = legible(&value).into_owned();
        let is_moment = matches!(fact, DetailKey::Until | DetailKey::Since);
        minijinja::context! { text => fact_text(fact), value, is_moment }
    };
    detail.facts().map(fact).collect()
}

/// Makes invisible characters in input of other users visible.
fn shown(text: &str) -> String {
    legible(text).into_owned()
}

/// The URL of the events that this filter finds by a value.
fn events_of(value: &str, filter: &str) -> Value {
    link(AdminPage::Audit, filter, value)
}

/// The URL of the page about a request.
fn request_page(id: &str) -> Value {
    link(AdminPage::Request, "id", id)
}

/// The URL of the page of the account with this name.
fn account_page(name: &str) -> Value {
    link(AdminPage::Account, "id", name)
}

/// A URL with one parameter, whose value is percent-encoded: it has nothing to escape.
fn link(page: AdminPage, name: &str, value: &str) -> Value {
    Value::from_safe_string(with_query(page.path(), &[(name, value)]))
}

/// The system user whose command did it; `None` if the actor is no command.
fn uid(by: &str) -> Option<String> {
    let uid = by.strip_prefix("command (uid ")?.strip_suffix(')')?;
    uid.parse::<u32>().ok().map(|uid| uid.to_string())
}

fn fact_text(fact: DetailKey) -> String {
    format!("fact.{}", fact.as_str().replace(' ', "-"))
}

/// The key of the text for a reason: a problem's slug, or one of the audit log's own.
fn reason(name: Option<&str>) -> &'static str {
    let known = REASONS.iter().find(|key| key.strip_prefix("reason.") == name);
    known.copied().unwrap_or("reason.other")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AuditKind, MailKind};
    use crate::text::Texts;

    #[test]
    fn every_event_fact_reason_and_kind_of_mail_has_a_text() {
        let texts = Texts::built_in().unwrap();
        let lang = texts.languages().next().unwrap();
        let events = AuditKind::ALL
            .iter()
            .map(|kind| format!("event.{}", kind.as_str()));
        let facts = DetailKey::ALL.iter().map(|key| fact_text(*key));
        let mails = MailKind::NAMES.iter().map(|name| format!("topic.{name}"));
        for key in events.chain(facts).chain(mails) {
            assert!(texts.find(lang, &key).is_some(), "{key}");
        }
        for key in REASONS {
            assert_eq!(reason(key.strip_prefix("reason.")), *key);
            assert!(texts.find(lang, key).is_some(), "{key}");
        }
        assert_eq!(reason(Some("nonsense")), reason(None));
    }
}
