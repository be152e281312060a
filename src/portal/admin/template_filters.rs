//! The texts for what the administrators' pages show by its name.

use minijinja::Environment;
use minijinja::value::Value;

use crate::model::{AuditDetail, DetailKey, legible};

/// Adds filters that turn a name into the key of its text.
pub(in crate::portal) fn register(templates: &mut Environment<'_>) {
    templates.add_filter("event", event);
    templates.add_filter("topic", topic);
    templates.add_filter("reason", reason);
    templates.add_filter("facts", facts);
    templates.add_filter("uid", uid);
    templates.add_filter("legible", shown);
}

fn event(name: &str) -> &'static str {
    match name {
        "sign-in" => "event.sign-in",
        "signed-request" => "event.signed-request",
        "agree" => "event.agree",
        "proof" => "event.proof",
        "sign-out" => "event.sign-out",
        "sign-up" => "event.sign-up",
        "sign-up-begin" => "event.sign-up-begin",
        "lock" => "event.lock",
        "unlock" => "event.unlock",
        "session-end" => "event.session-end",
        "account-add" => "event.account-add",
        "account-delete" => "event.account-delete",
        "approve" => "event.approve",
        "decline" => "event.decline",
        "disable" => "event.disable",
        "enable" => "event.enable",
        "password-change" => "event.password-change",
        "verify-request" => "event.verify-request",
        "reset-request" => "event.reset-request",
        "password-reset" => "event.password-reset",
        "email-verify" => "event.email-verify",
        "email-change-request" => "event.email-change-request",
        "email-change-cancel" => "event.email-change-cancel",
        "email-change" => "event.email-change",
        "mail-again" => "event.mail-again",
        "reload" => "event.reload",
        "name-change" => "event.name-change",
        "username-change" => "event.username-change",
        "groups-change" => "event.groups-change",
        "language-change" => "event.language-change",
        "reset-link" => "event.reset-link",
        "invitation-create" => "event.invitation-create",
        "invitation-revoke" => "event.invitation-revoke",
        "first-administrator-link" => "event.first-administrator-link",
        "access-key-create" => "event.access-key-create",
        "access-key-disable" => "event.access-key-disable",
        "access-key-enable" => "event.access-key-enable",
        "access-key-revoke" => "event.access-key-revoke",
        "master-key-rotate" => "event.master-key-rotate",
        "store-export" => "event.store-export",
        "store-backup" => "event.store-backup",
        "store-import" => "event.store-import",
        "audit-export" => "event.audit-export",
        "admin-denied" => "event.admin-denied",
        "summary" => "event.summary",
        _ => "event.other",
    }
}

fn topic(name: &str) -> &'static str {
    match name {
        "verify-email" => "topic.verify-email",
        "already-registered" => "topic.already-registered",
        "reset" => "topic.reset",
        "change-email" => "topic.change-email",
        "email-changed" => "topic.email-changed",
        "username-changed" => "topic.username-changed",
        "password-changed" => "topic.password-changed",
        "password-reset" => "topic.password-reset",
        "access-key-created" => "topic.access-key-created",
        "awaiting-approval" => "topic.awaiting-approval",
        "approved" => "topic.approved",
        "declined" => "topic.declined",
        _ => "topic.invitation",
    }
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

fn fact_text(fact: DetailKey) -> &'static str {
    match fact {
        DetailKey::Session => "fact.session",
        DetailKey::ReplacedBy => "fact.replaced-by",
        DetailKey::Page => "fact.page",
        DetailKey::AccessKey => "fact.access-key",
        DetailKey::Username => "fact.username",
        DetailKey::OldName => "fact.old-name",
        DetailKey::NewName => "fact.new-name",
        DetailKey::Groups => "fact.groups",
        DetailKey::Invitation => "fact.invitation",
        DetailKey::Until => "fact.until",
        DetailKey::Since => "fact.since",
        DetailKey::Event => "fact.event",
        DetailKey::Count => "fact.count",
        DetailKey::Version => "fact.version",
        DetailKey::From => "fact.from",
        DetailKey::To => "fact.to",
        DetailKey::Language => "fact.language",
        DetailKey::Mail => "fact.mail",
        DetailKey::Changed => "fact.changed",
        DetailKey::AllOthers => "fact.all-others",
        DetailKey::All => "fact.all",
        DetailKey::Begins => "fact.begins",
    }
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

/// Why something was refused: a problem's slug, or one of the log's own.
fn reason(name: Option<&str>) -> &'static str {
    match name {
        Some("invalid-credentials") => "reason.invalid-credentials",
        Some("not-verified") => "reason.not-verified",
        Some("not-approved") => "reason.not-approved",
        Some("account-disabled") => "reason.account-disabled",
        Some("must-agree") => "reason.must-agree",
        Some("locked") => "reason.locked",
        Some("rate-limited") => "reason.rate-limited",
        Some("unavailable") => "reason.unavailable",
        Some("signup-closed") => "reason.signup-closed",
        Some("invalid-input") => "reason.invalid-input",
        Some("invalid-token") => "reason.invalid-token",
        Some("email-taken") => "reason.email-taken",
        Some("signature-invalid") => "reason.signature-invalid",
        Some("clock-skew") => "reason.clock-skew",
        Some("replayed") => "reason.replayed",
        Some("not-found") => "reason.not-found",
        Some("not-authenticated") => "reason.not-authenticated",
        Some("forbidden") => "reason.forbidden",
        Some("bad-request") => "reason.bad-request",
        Some("too-large") => "reason.too-large",
        Some("invalid-configuration") => "reason.invalid-configuration",
        Some("not-written") => "reason.not-written",
        _ => "reason.other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AuditKind, MailKind};

    #[test]
    fn every_event_has_a_text() {
        for kind in AuditKind::ALL {
            assert_ne!(event(kind.as_str()), "event.other", "{kind:?}");
        }
    }

    #[test]
    fn every_reason_has_a_text() {
        for name in [
            "invalid-credentials",
            "not-verified",
            "not-approved",
            "must-agree",
            "account-disabled",
            "locked",
            "rate-limited",
            "unavailable",
            "signup-closed",
            "invalid-input",
            "invalid-token",
            "email-taken",
            "signature-invalid",
            "clock-skew",
            "replayed",
            "not-found",
            "not-authenticated",
            "forbidden",
            "not-written",
        ] {
            assert_ne!(reason(Some(name)), "reason.other", "{name}");
        }
    }

    #[test]
    fn every_kind_of_mail_has_a_text_and_is_found_by_its_name() {
        for name in MailKind::NAMES {
            assert_eq!(topic(name), format!("topic.{name}"));
        }
    }
}
