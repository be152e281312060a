//! `/.auth/admin/invitations`: creates, lists and revokes invitations.

mod form;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

pub(in crate::portal) use self::form::InvitationsView;
use self::form::ORDER;
use super::{group_names, place, unknown_action};
use crate::api::{CreatedInvitations, InvitationList};
use crate::config::SignupMode;
use crate::ids::InvitationId;
use crate::model::Invitation;
use crate::portal::form_errors::Errors;
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::{Problem, Refusal};
use crate::request::parse_decimal;
use crate::route::AdminPage;
use crate::services::{Actor, InvitationError, Invitees, LoadedRows};

#[derive(Serialize)]
struct InvitationsDocument<'a> {
    listed: InvitationList,
    form: &'a InvitationsView,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let form = InvitationsView {
        done: match cx.parameter("done").as_str() {
            "revoke" => Some("admin.done-revoke"),
            "send" => Some("admin.done-send"),
            _ => None,
        },
        ..empty(cx)
    };
    show(cx, StatusCode::OK, form).await
}

/// Fields: `action` "revoke" with `invitation`; or none or "create", with `email`, `groups` separated by
/// commas, `days`, `count`, `send`; `reason`.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    match fields.text("action") {
        "revoke" => return revoke(cx, fields, by).await,
        "" | "create" => {}
        _ => return refused(cx, fields, unknown_action(cx)).await,
    }
    let wanted = match form::read(cx, fields) {
        Ok(wanted) => wanted,
        Err(errors) => return refused(cx, fields, errors).await,
    };
    let mails = matches!(wanted.invitees, Invitees::Mailed(_));
    let outcome = match cx.services.invitations.invite(wanted, by, &cx.origin()).await {
        Ok(outcome) => outcome,
        Err(InvitationError::Store(error)) => return Err(error.into()),
        Err(InvitationError::Known(_)) => {
            return refused(cx, fields, cx.field_error("email", "admin.invite-known")).await;
        }
        // The form asks for neither a name nor a language.
        Err(InvitationError::Groups(_) | InvitationError::Name(..) | InvitationError::Language(_)) => {
            return refused(cx, fields, cx.field_error("groups", "admin.group-refused")).await;
        }
    };
    if cx.wants_json() {
        return Ok(cx.json(StatusCode::CREATED, &CreatedInvitations::from(outcome)));
    }
    if mails {
        let to = with_query(AdminPage::Invitations.path(), &[("done", "send")]);
        return Ok(cx.see_other(&to));
    }
    // The links are shown once.
    let form = InvitationsView {
        links: outcome
            .issued
            .into_iter()
            .filter_map(|issued| issued.link)
            .collect(),
        ..empty(cx)
    };
    show(cx, StatusCode::OK, form).await
}

async fn revoke(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let id = fields.text("invitation").parse::<InvitationId>();
    let id = id.map_err(|_| Problem::NotFound)?;
    let invitations = &cx.services.invitations;
    let was_there = invitations.revoke(id, by, &cx.origin()).await?;
    // In a browser, which shows the list, an invitation used meanwhile is as good as revoked.
    if !was_there && cx.wants_json() {
        return Err(Problem::NotFound.into());
    }
    let to = with_query(AdminPage::Invitations.path(), &[("done", "revoke")]);
    Ok(cx.nothing_or_see_other(&to))
}

/// The form without errors.
fn empty(cx: &SignedInContext<'_>) -> InvitationsView {
    InvitationsView {
        can_send: cx.services.mailer.reaches_people(),
        ..InvitationsView::empty(cx.services.sign_up.mode() == SignupMode::Closed)
    }
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
    show(cx, refusal.problem, form).await
}

async fn show(
    cx: &SignedInContext<'_>,
    outcome: impl Into<ResponseOutcome>,
    form: InvitationsView,
) -> PageResult {
    let invitations = cx.services.invitations.list().await?;
    let form = &InvitationsView {
        suggested: group_names(cx).await?,
        ..form
    };
    Ok(page(cx, outcome, invitations, form))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    invitations: LoadedRows<Invitation>,
    form: &InvitationsView,
) -> Response<Bytes> {
    let listed = InvitationList::from(invitations);
    if cx.wants_json() {
        return cx.json(outcome.into().status, &listed);
    }
    let place = place(AdminPage::Invitations);
    let document = InvitationsDocument { listed, form };
    cx.page_with_nav(place, outcome, "admin-invitations.html", &document)
}
