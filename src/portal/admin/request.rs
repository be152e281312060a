//! `/.auth/admin/request?id=`: what happened to a past request, as `vestibule explain --request` tells it.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::place;
use crate::api::RequestReport;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::Problem;
use crate::route::AdminPage;

#[derive(Serialize)]
struct RequestPageView<'a> {
    id: &'a str,
    report: Option<&'a RequestReport>,
    /// What the kind of refusal means, for operators.
    meaning: Option<&'a str>,
    /// How long it took, in milliseconds.
    took: Option<String>,
    /// Whether nothing is known of it.
    unknown: bool,
}

/// Parameters: `id`; without one, the page asks for it.
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let id = cx.parameter("id").trim().to_owned();
    if id.is_empty() && !cx.wants_json() {
        return Ok(page(cx, &id, None));
    }
    let report = cx.requests.find(&id).await?;
    if report.is_empty() && cx.wants_json() {
        return Err(Problem::NotFound.into());
    }
    Ok(page(cx, &id, Some(&report)))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    id: &str,
    report: Option<&RequestReport>,
) -> Response<Bytes> {
    if let Some(report) = report.filter(|_| cx.wants_json()) {
        return cx.json(StatusCode::OK, report);
    }
    let unknown = report.is_some_and(RequestReport::is_empty);
    let report = report.filter(|_| !unknown);
    let slug = report.and_then(|report| report.recent.as_ref()?.slug.as_deref());
    let key = slug.map(|slug| format!("problem.{slug}.operator"));
    let texts = &cx.renderer.texts;
    let took = report.and_then(|report| report.logged.as_ref()?.duration_us);
    let view = RequestPageView {
        id,
        report,
        meaning: key.and_then(|key| texts.find(cx.lang, &key)),
        took: took.map(|took| format!("{}.{:03}", took / 1000, took % 1000)),
        unknown,
    };
    let outcome: ResponseOutcome = if unknown {
        Problem::NotFound.into()
    } else {
        StatusCode::OK.into()
    };
    cx.page_with_nav(place(AdminPage::Request), outcome, "admin-request.html", &view)
}
