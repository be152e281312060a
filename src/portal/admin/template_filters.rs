//! The texts for what the administrators' pages show by its name.

use minijinja::Environment;
use minijinja::value::Value;

use crate::model::{AuditDetail, DetailKey, legible};

/// Reasons that have a text of their own.
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

/// Adds filters that turn a name into the key of its text.
pub(in crate::portal) fn register(templates: &mut Environment<'_>) {
    templates.add_filter("reason", reason);
    templates.add_filter("facts", facts);
    templates.add_filter("uid", uid);
    templates.add_filter("legible", shown);
}

/// The facts of an event's detail, each with the key of its text; none where it is a text of another kind.
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

/// What somebody else chose, with what is not seen of it.
fn shown(text: &str) -> String {
    legible(text).into_owned()
}

/// The system user whose command did something; none if it was somebody on a page.
fn uid(by: &str) -> Option<String> {
    let uid = by.strip_prefix("command (uid ")?.strip_suffix(')')?;
    uid.parse::<u32>().ok().map(|uid| uid.to_string())
}

fn fact_text(fact: DetailKey) -> String {
    format!("fact.{}", fact.as_str().replace(' ', "-"))
}

/// Why something was refused: a problem's slug, or one of the log's own.
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
