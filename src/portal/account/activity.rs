//! `/.auth/account/activity`: who signed in to my account of late, and who tried to.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, SignedInUser};
use crate::model::{AuditEvent, AuditKind, AuditOutcome};
use crate::portal::Portal;
use crate::portal::login::unavailable;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::user_agent::{Device, device};
use crate::services::{AuditFilter, AuditOrder, AuditPage, AuditSubject};

const PATH: &str = "/.auth/account/activity";

/// So many are shown.
const SHOWN: usize = 20;

#[derive(Serialize)]
struct SignInDocuments<'a> {
    sign_ins: Vec<SignInDocument<'a>>,
}

/// A sign-in or an attempt at one, as the account's owner reads it.
#[derive(Serialize)]
struct SignInDocument<'a> {
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
    rows: Vec<ActivityRow<'a>>,
}

#[derive(Serialize)]
struct ActivityRow<'a> {
    #[serde(flatten)]
    document: SignInDocument<'a>,
    device: Device,
}

impl Portal {
    pub(super) async fn activity_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let filter = AuditFilter {
            about: vec![AuditSubject::Account(user.principal.account)],
            kinds: vec![AuditKind::SignIn, AuditKind::Proof, AuditKind::Lock],
            ..AuditFilter::default()
        };
        let audit = &self.services.audit;
        match audit.read(filter, AuditOrder::NewestFirst, None, SHOWN).await {
            Ok(page) => self.renderer.activity(context, user, &page),
            Err(error) => self
                .renderer
                .refuse_visit(context, &unavailable(error.to_string())),
        }
    }
}

impl PageRenderer {
    pub(in crate::portal) fn activity(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        page: &AuditPage,
    ) -> Response<Bytes> {
        let documents = page.events.iter().map(|(_, event)| SignInDocument::of(event));
        if context.wants == ResponseFormat::Json {
            let sign_ins = documents.collect();
            return self.json(context, StatusCode::OK, &SignInDocuments { sign_ins });
        }
        let rows = documents.map(|document| ActivityRow {
            device: device(document.user_agent),
            document,
        });
        let view = ActivityView { rows: rows.collect() };
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            StatusCode::OK,
            "account-activity.html",
            &view,
        )
    }
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
            user_agent: &event.user_agent,
        }
    }
}
