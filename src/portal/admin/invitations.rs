//! `/.auth/admin/invitations`: creates, lists, mails and revokes invitations.

mod form;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Serialize;

pub(in crate::portal) use self::form::InvitationsView;
use self::form::ORDER;
use super::{A_PAGE, place, suggested_groups, unknown_action};
use crate::api::{CreatedInvitations, InvitationList};
use crate::config::SignupMode;
use crate::ids::InvitationId;
use crate::portal::form_errors::Errors;
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageError, PageResult, SignedInContext};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::{Problem, Refusal};
use crate::request::parse_decimal;
use crate::route::AdminPage;
use crate::secret::Secret;
use crate::services::{Actor, InvitationError, InvitationFilter, InvitationOutcome, InvitationPage, ShownOn};

/// The most invitations in a downloaded table, the oldest. `vestibule invite list --csv` has no such limit.
const MOST: usize = 10_000;

#[derive(Serialize)]
struct InvitationsDocument<'a> {
    listed: InvitationList,
    form: &'a InvitationsView,
    next: Option<String>,
    /// The URL of the table.
    csv: String,
}

/// Parameters: `q`, `after`; `export` "csv".
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    if cx.parameter("export") == "csv" {
        return export(cx).await;
    }
    let done = cx.parameter("done");
    let mut form = InvitationsView {
        done: match done.as_str() {
            "revoke" => Some("admin.done-revoke"),
            "send" => Some("admin.done-send"),
            "unchanged" => Some("admin.done-unchanged"),
            "gone" => Some("admin.invitation-gone"),
            _ => None,
        },
        ..empty(cx)
    };
    let (found, suggested) = load(cx).await?;
    // Only once nothing can fail any more: they are shown once.
    if done == "create" && cx.head.method == Method::GET && !cx.wants_json() {
        let links = cx
            .services
            .shown_once
            .take(cx.user.session.id(), ShownOn::Invitations);
        form.links = links.iter().map(|link| link.expose().clone()).collect();
        if form.links.is_empty() {
            form.done = Some("admin.links-gone");
        }
    }
    form.suggested = suggested;
    Ok(page(cx, StatusCode::OK, found, &form))
}

/// Fields: `action` "revoke" or "send" with `invitation`; or none or "create", with `email`, `groups` separated by
/// commas, `days`, `count`, `send`, `resend`; `reason`.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    match fields.text("action") {
        "revoke" => return revoke(cx, fields, by).await,
        "send" => return send_again(cx, fields, by).await,
        "" | "create" => {}
        _ => return refused(cx, fields, unknown_action(cx)).await,
    }
    let wanted = match form::read(cx, fields) {
        Ok(wanted) => wanted,
        Err(errors) => return refused(cx, fields, errors).await,
    };
    let outcome = match cx.services.invitations.invite(wanted, by, &cx.origin()).await {
        Ok(outcome) => outcome,
        Err(error) => return refused_for(cx, fields, error).await,
    };
    if cx.wants_json() {
        return Ok(made(cx, outcome));
    }
    // A redirect, so that the page can be loaded again without making more.
    let links: Vec<Secret<String>> = outcome
        .issued
        .iter()
        .filter_map(|issued| issued.link.clone().map(Secret::new))
        .collect();
    let done = match (outcome.issued.is_empty(), links.is_empty()) {
        (true, _) => "unchanged",
        (false, true) => "send",
        (false, false) => "create",
    };
    if !links.is_empty() {
        cx.services
            .shown_once
            .keep(cx.user.session.id(), ShownOn::Invitations, links);
    }
    Ok(cx.see_other(&with_query(AdminPage::Invitations.path(), &[("done", done)])))
}

async fn send_again(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let id = fields.text("invitation").parse::<InvitationId>();
    let id = id.map_err(|_| Problem::NotFound)?;
    let sent = cx.services.invitations.send_again(id, by, &cx.origin()).await;
    match sent {
        Ok(Some(outcome)) if cx.wants_json() => Ok(made(cx, outcome)),
        Ok(None) if cx.wants_json() => Err(Problem::NotFound.into()),
        Ok(sent) => {
            let done = if sent.is_some() { "send" } else { "gone" };
            let parameters = [("q", fields.text("q")), ("done", done)];
            Ok(cx.see_other(&with_query(AdminPage::Invitations.path(), &parameters)))
        }
        Err(error) => refused_for(cx, fields, error).await,
    }
}

/// New invitations as JSON.
fn made(cx: &SignedInContext<'_>, outcome: InvitationOutcome) -> Response<Bytes> {
    let status = if outcome.issued.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    cx.json(status, &CreatedInvitations::from(outcome))
}

/// Downloads the invitations that match `q`.
async fn export(cx: &SignedInContext<'_>) -> PageResult {
    let filter = filter(cx);
    let (mut all, mut after) = (InvitationPage::default(), None);
    loop {
        let limit = MOST - all.invitations.len();
        let page = cx.services.invitations.find(&filter, after, limit).await?;
        all.invitations.extend(page.invitations);
        after = page.next;
        if after.is_none() {
            break;
        }
        if all.invitations.len() >= MOST {
            let why =
                format!("a file has at most {MOST} invitations; `vestibule invite list --csv` writes all");
            return Err(Refusal::because(Problem::InvalidInput, why).into());
        }
    }
    let table = InvitationList::from(all).to_csv();
    Ok(cx.csv("attachment; filename=\"invitations.csv\"", table))
}

fn filter(cx: &SignedInContext<'_>) -> InvitationFilter {
    InvitationFilter {
        text: cx.parameter("q").trim().to_owned(),
    }
}

async fn revoke(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let id = fields.text("invitation").parse::<InvitationId>();
    let id = id.map_err(|_| Problem::NotFound)?;
    let invitations = &cx.services.invitations;
    let was_there = invitations.revoke(id, by, &cx.origin()).await?;
    if !was_there && cx.wants_json() {
        return Err(Problem::NotFound.into());
    }
    let done = if was_there { "revoke" } else { "gone" };
    let parameters = [("q", fields.text("q")), ("done", done)];
    let to = with_query(AdminPage::Invitations.path(), &parameters);
    Ok(cx.nothing_or_see_other(&to))
}

/// The form without errors.
fn empty(cx: &SignedInContext<'_>) -> InvitationsView {
    InvitationsView {
        can_send: cx.services.mailer.reaches_people(),
        q: filter(cx).text,
        ..InvitationsView::empty(cx.services.sign_up.mode() == SignupMode::Closed)
    }
}

async fn refused_for(cx: &SignedInContext<'_>, fields: &Fields, error: InvitationError) -> PageResult {
    let (field, text) = match error {
        InvitationError::Store(error) => return Err(error.into()),
        InvitationError::Known(_) => ("email", "admin.invite-known"),
        // The form asks for neither a name nor a language.
        InvitationError::Groups(_) | InvitationError::Name(..) | InvitationError::Language(_) => {
            ("groups", "admin.group-refused")
        }
    };
    refused(cx, fields, cx.field_error(field, text)).await
}

async fn refused(cx: &SignedInContext<'_>, fields: &Fields, errors: Errors) -> PageResult {
    let refusal = Refusal::new(Problem::InvalidInput);
    if cx.wants_json() {
        return Ok(cx.refuse_fields(&refusal, errors));
    }
    let form = InvitationsView {
        email: fields.text("email").to_owned(),
        groups: fields.text("groups").to_owned(),
        count: fields.text("count").to_owned(),
        days: parse_decimal(fields.text("days")).unwrap_or(7),
        send: fields.is_ticked("send"),
        alert: Some(cx.form_alert(&refusal, &errors, ORDER)),
        errors,
        ..empty(cx)
    };
    let (found, suggested) = load(cx).await?;
    Ok(page(
        cx,
        refusal.problem,
        found,
        &InvitationsView { suggested, ..form },
    ))
}

/// Loads the page of invitations that the request names, and the groups that are suggested.
async fn load(cx: &SignedInContext<'_>) -> Result<(InvitationPage, Vec<String>), PageError> {
    let after = cx.cursor("after")?;
    let found = cx.services.invitations.find(&filter(cx), after, A_PAGE).await?;
    Ok((found, suggested_groups(cx).await?))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    found: InvitationPage,
    form: &InvitationsView,
) -> Response<Bytes> {
    let listed = InvitationList::from(found);
    if cx.wants_json() {
        return cx.json(outcome.into().status, &listed);
    }
    let link = |name: &str, value: &str| {
        with_query(AdminPage::Invitations.path(), &[("q", &*form.q), (name, value)])
    };
    let document = InvitationsDocument {
        next: listed.next.map(|next| link("after", &next.to_string())),
        csv: link("export", "csv"),
        listed,
        form,
    };
    let place = place(AdminPage::Invitations);
    cx.page_with_nav(place, outcome, "admin-invitations.html", &document)
}
