//! `/.auth/account/activity`: the account's recent sign-ins and attempts.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::place;
use crate::model::{AuditEvent, AuditKind, AuditOutcome};
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::signed_in::SignedInRequest;
use crate::portal::user_agent::{Device, device};
use crate::route::AccountPage;
use crate::services::{AuditFilter, AuditOrder, AuditPage, AuditSubject};

/// The most events that are shown.
const SHOWN: usize = 20;

#[derive(Serialize)]
struct SignInDocuments<'a> {
    sign_ins: Vec<SignInDocument<'a>>,
}

/// A sign-in, or an attempt at one.
#[derive(Serialize)]
struct SignInDocument<'a> {
    time: String,
    event: &'static str,
    success: bool,
    reason: Option<&'a str>,
    /// The access key, if one was used.
    access_key: Option<String>,
    address: Option<String>,
    user_agent: Option<&'a str>,
}

#[derive(Serialize)]
struct ActivityView<'a> {
    rows: Vec<ActivityRow<'a>>,
}

#[derive(Serialize)]
struct ActivityRow<'a> {
    #[serde(flatten)]
    document: SignInDocument<'a>,
    device: Device,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let filter = AuditFilter {
        about: vec![AuditSubject::Account(cx.user.principal.account)],
        kinds: vec![AuditKind::SignIn, AuditKind::Proof, AuditKind::Lock],
        ..AuditFilter::default()
    };
    let audit = &cx.services.audit;
    let events = audit.read(filter, AuditOrder::NewestFirst, None, SHOWN).await?;
    Ok(page(cx, &events))
}

pub(in crate::portal) fn page(cx: &SignedInRequest<'_>, found: &AuditPage) -> Response<Bytes> {
    let documents = found.events.iter().map(|(_, event)| SignInDocument::of(event));
    if cx.wants_json() {
        let sign_ins = documents.collect();
        return cx.json(StatusCode::OK, &SignInDocuments { sign_ins });
    }
    let rows = documents.map(|document| ActivityRow {
        device: device(document.user_agent.unwrap_or_default()),
        document,
    });
    let view = ActivityView { rows: rows.collect() };
    cx.page_with_nav(
        place(AccountPage::Activity),
        StatusCode::OK,
        "account-activity.html",
        &view,
    )
}

impl<'a> SignInDocument<'a> {
    fn of(event: &'a AuditEvent) -> Self {
        Self {
            time: event.time.to_string(),
            event: event.event.as_str(),
            success: event.outcome == AuditOutcome::Success,
            reason: event.reason.as_deref(),
            access_key: event.access_key().map(|key| key.to_string()),
            address: event.address.map(|address| address.to_string()),
            user_agent: Some(event.user_agent.as_str()).filter(|name| !name.is_empty()),
        }
    }
}
