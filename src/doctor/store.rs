//! Checks that the store responds, or opens.

use super::{DoctorContext, Finding};
use crate::api::{AuditEventList, AuditEventView};
use crate::control::{Administration, AuditQuery, Command, is_made};
use crate::random::Random;
use crate::services::{AuditFilter, AuditOrder};

const CHECK: &str = "store";

/// Asks the running gateway; without one, opens the store if it exists.
pub(super) async fn answers(context: &DoctorContext<'_>) -> Vec<Finding> {
    if let Some(running) = &context.running {
        let mut findings = ask_running(context).await;
        findings.extend(running.lost_changes.clone().map(lost));
        return findings;
    }
    let Ok(location) = context.config.store.location() else {
        return Vec::new();
    };
    match is_made(&location).await {
        Ok(true) => {}
        Ok(false) => {
            let text = format!("{location} is not there yet: it is made at first start");
            return vec![Finding::skipped(CHECK, text)];
        }
        Err(error) => {
            let advice = "see store.url, and that the database's server runs and lets this role in";
            return vec![Finding::problem(CHECK, format!("{location}: {error}"), advice)];
        }
    }
    let mut config = context.config.clone();
    config.audit.file = crate::services::Audit::STANDARD_ERROR.into();
    let clock = context.clock.clone();
    // In a task of its own: it reads the whole store, while other checks measure time.
    let opening = tokio::spawn(async move {
        Administration::open(&config, clock, Random::system())
            .await
            .map(|opened| opened.lost_changes())
    });
    let opened = opening.await.map_err(|error| error.to_string());
    match opened.and_then(|opened| opened.map_err(|error| error.to_string())) {
        Ok(None) => vec![Finding::ok(CHECK, format!("{location} opens"))],
        Ok(Some(changes)) => vec![lost(changes)],
        Err(error) => vec![Finding::problem(
            CHECK,
            error,
            "see that no other process has it open; `vestibule store verify` says what is wrong in it",
        )],
    }
}

fn lost(changes: String) -> Finding {
    Finding::problem(
        CHECK,
        changes,
        "see \"A damaged store\" in the manual, docs/manual/backup.md",
    )
}

async fn ask_running(context: &DoctorContext<'_>) -> Vec<Finding> {
    let newest = AuditQuery {
        account: None,
        filter: AuditFilter::default(),
        order: AuditOrder::NewestFirst,
        after: None,
        exports: false,
        limit: 1,
    };
    let page = context.ask(Command::ReadAudit(newest)).await;
    let page = page
        .and_then(|page| serde_json::from_value::<AuditEventList>(page).map_err(|error| error.to_string()));
    let page = match page {
        Ok(page) => page,
        Err(error) => {
            let advice = "the gateway's log says more; `vestibule store verify` reads all of it";
            return vec![Finding::problem(CHECK, error, advice)];
        }
    };
    let mut findings = vec![Finding::ok(CHECK, "the gateway reads it")];
    if let Some(AuditEventView { event, .. }) = page.events.first()
        && event.time > context.clock.now() + super::LIMIT
    {
        findings.push(Finding::problem(
            "clock",
            format!(
                "the newest event of the audit log is of {}: the clock has gone back since",
                event.time
            ),
            "have the time synchronised (NTP)",
        ));
    }
    findings
}
