//! `/.auth/account/activity`: who signed in to my account of late, and who tried to.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, Member};
use crate::model::{AuditEvent, AuditKind, AuditOutcome};
use crate::portal::Portal;
use crate::portal::device::{Device, device};
use crate::portal::login::unavailable;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::services::{AuditFilter, AuditOrder, AuditPage, AuditSubject};

const PATH: &str = "/.auth/account/activity";

/// So many are shown.
const SHOWN: usize = 20;

#[derive(Serialize)]
struct Documents<'a> {
    sign_ins: Vec<Document<'a>>,
}

/// A sign-in or an attempt at one, as the account's owner reads it.
#[derive(Serialize)]
struct Document<'a> {
    time: String,
    event: &'static str,
    success: bool,
    reason: Option<&'a str>,
    /// The access key, where it was one.
    access_key: Option<String>,
    address: Option<String>,
    user_agent: &'a str,
}

#[derive(Serialize)]
struct ActivityView<'a> {
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    document: Document<'a>,
    device: Device,
}

impl Portal {
    pub(super) async fn activity_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let filter = AuditFilter {
            about: vec![AuditSubject::Account(member.principal.account)],
            kinds: vec![AuditKind::SignIn, AuditKind::Proof, AuditKind::Lock],
            ..AuditFilter::default()
        };
        let audit = &self.services.audit;
        match audit.read(filter, AuditOrder::NewestFirst, None, SHOWN).await {
            Ok(page) => self.site.activity(visit, member, &page),
            Err(error) => self.site.refuse_visit(visit, &unavailable(error.to_string())),
        }
    }
}

impl Site {
    pub(in crate::portal) fn activity(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        page: &AuditPage,
    ) -> Response<Bytes> {
        let documents = page.events.iter().map(|(_, event)| Document::of(event));
        if visit.wants == Wants::Json {
            let sign_ins = documents.collect();
            return self.json(visit, StatusCode::OK, &Documents { sign_ins });
        }
        let rows = documents.map(|document| Row {
            device: device(document.user_agent),
            document,
        });
        let view = ActivityView { rows: rows.collect() };
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            StatusCode::OK,
            "account-activity.html",
            &view,
        )
    }
}

impl<'a> Document<'a> {
    fn of(event: &'a AuditEvent) -> Self {
        Self {
            time: event.time.to_string(),
            event: event.event.as_str(),
            success: event.outcome == AuditOutcome::Success,
            reason: event.reason.as_deref(),
            access_key: event.access_key().map(|key| key.to_string()),
            address: event.address.map(|address| address.to_string()),
            user_agent: &event.user_agent,
        }
    }
}
