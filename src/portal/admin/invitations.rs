//! `/.auth/admin/invitations`: who may make an account.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::AREA;
use super::change::groups;
use crate::config::SignupMode;
use crate::ids::InvitationId;
use crate::model::{Email, Invitation, InvitationKind};
use crate::portal::Portal;
use crate::portal::alert::{Alert, Errors};
use crate::portal::forms::Fields;
use crate::portal::login::unavailable;
use crate::portal::member::Member;
use crate::portal::render::Outcome;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::{Accounts, Actor};

pub(super) const PATH: &str = "/.auth/admin/invitations";

/// Invitations that one form makes, at most.
const MOST: u16 = 100;

/// Days that an invitation can last.
const DAYS: &[u64] = &[1, 7, 30];

const ORDER: &[&str] = &["email", "groups", "days", "count"];

/// What the page shows beside the invitations.
#[derive(Serialize)]
pub(in crate::portal) struct InvitationsView {
    pub(in crate::portal) email: String,
    pub(in crate::portal) groups: String,
    pub(in crate::portal) count: String,
    pub(in crate::portal) days: u64,
    pub(in crate::portal) choices: &'static [u64],
    /// Nobody can use an invitation.
    pub(in crate::portal) closed: bool,
    pub(in crate::portal) revoked: bool,
    /// New ones, which are shown once.
    pub(in crate::portal) links: Vec<String>,
    pub(in crate::portal) errors: Errors,
    pub(in crate::portal) alert: Option<Alert>,
}

#[derive(Serialize)]
struct Listed<'a> {
    invitations: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: String,
    email: Option<&'a str>,
    groups: &'a BTreeSet<String>,
    first_administrator: bool,
    created_at: String,
    expires_at: String,
}

#[derive(Serialize)]
struct Page<'a> {
    listed: Listed<'a>,
    form: &'a InvitationsView,
}

#[derive(Serialize)]
struct Links<'a> {
    links: &'a [String],
}

/// A form without mistakes.
struct Wanted {
    email: Option<Email>,
    groups: BTreeSet<String>,
    ttl: Duration,
    count: u16,
}

impl InvitationsView {
    pub(in crate::portal) fn empty(closed: bool) -> Self {
        Self {
            email: String::new(),
            groups: String::new(),
            count: "1".to_owned(),
            days: 7,
            choices: DAYS,
            closed,
            revoked: false,
            links: Vec::new(),
            errors: Errors::new(),
            alert: None,
        }
    }
}

impl Portal {
    pub(super) async fn invitations_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let form = InvitationsView {
            revoked: visit.parameter("done") == "revoke",
            ..self.invitation_form()
        };
        self.show_invitations(visit, member, StatusCode::OK, &form).await
    }

    /// `action`: "revoke" with `invitation`, else none or "create", and `email`, `groups` with commas, `days`, `count`; `reason`.
    pub(super) async fn change_invitations(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        fields: &Fields,
        by: &Actor,
    ) -> Response<Bytes> {
        match fields.text("action") {
            "revoke" => return self.revoke_invitation(visit, fields, by).await,
            "" | "create" => {}
            _ => {
                let errors = self.site.unknown_action(visit);
                return self.refused_invitation(visit, member, fields, errors).await;
            }
        }
        let wanted = match self.wanted(visit, fields) {
            Ok(wanted) => wanted,
            Err(errors) => return self.refused_invitation(visit, member, fields, errors).await,
        };
        match self.services.invitations.known(wanted.email.as_slice()).await {
            Ok(known) if known.is_empty() => {}
            Ok(_) => {
                let message = self.site.texts.get(visit.lang, "admin.invite-known").to_owned();
                let errors = Errors::from([("email", message)]);
                return self.refused_invitation(visit, member, fields, errors).await;
            }
            Err(error) => return self.site.refuse_visit(visit, &unavailable(error.to_string())),
        }
        let links = match self.invite(&wanted, visit, by).await {
            Ok(links) => links,
            Err(refusal) => return self.site.refuse_visit(visit, &refusal),
        };
        if visit.wants == Wants::Json {
            return self
                .site
                .json(visit, StatusCode::CREATED, &Links { links: &links });
        }
        let form = InvitationsView {
            links,
            ..self.invitation_form()
        };
        self.show_invitations(visit, member, StatusCode::OK, &form).await
    }

    async fn invite(&self, wanted: &Wanted, visit: &Visit<'_>, by: &Actor) -> Result<Vec<String>, Refusal> {
        let (mut links, origin) = (Vec::new(), visit.origin());
        for _ in 0..wanted.count {
            let invitation = self.services.invitations.create(
                InvitationKind::Signup,
                wanted.email.clone(),
                wanted.groups.clone(),
                wanted.ttl,
                by,
                &origin,
            );
            let made = invitation.await;
            links.push(made.map_err(|error| unavailable(error.to_string()))?.0);
        }
        Ok(links)
    }

    async fn revoke_invitation(&self, visit: &Visit<'_>, fields: &Fields, by: &Actor) -> Response<Bytes> {
        let Ok(id) = fields.text("invitation").parse::<InvitationId>() else {
            return self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound));
        };
        match self.services.invitations.revoke(id, by, &visit.origin()).await {
            Ok(true) if visit.wants == Wants::Json => self.site.nothing(visit),
            // One that was used in the meantime is as good as revoked, for a browser that shows the list.
            Ok(_) if visit.wants == Wants::Html => {
                self.site.see_other(visit, "/.auth/admin/invitations?done=revoke")
            }
            Ok(_) => self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound)),
            Err(error) => self.site.refuse_visit(visit, &unavailable(error.to_string())),
        }
    }

    fn invitation_form(&self) -> InvitationsView {
        InvitationsView::empty(self.services.sign_up.mode() == SignupMode::Closed)
    }

    fn wanted(&self, visit: &Visit<'_>, fields: &Fields) -> Result<Wanted, Errors> {
        let (mut errors, typed) = (Errors::new(), |name: &str| fields.text(name).trim().to_owned());
        let mut refuse = |field, text| {
            errors.insert(field, self.site.texts.get(visit.lang, text).to_owned());
        };
        let email = Some(typed("email")).filter(|email| !email.is_empty());
        let email = email
            .map(|email| email.parse::<Email>())
            .transpose()
            .unwrap_or_else(|_| {
                refuse("email", "field.email-malformed");
                None
            });
        let groups = Accounts::group_names(&groups(&typed("groups"))).unwrap_or_else(|_| {
            refuse("groups", "admin.group-refused");
            BTreeSet::new()
        });
        let days = or(typed("days"), "7").parse::<u64>();
        let days = days.ok().filter(|days| (1..=3660).contains(days));
        if days.is_none() {
            refuse("days", "admin.days-refused");
        }
        let count = or(typed("count"), "1").parse::<u16>();
        let count = count.ok().filter(|count| (1..=MOST).contains(count));
        if count.is_none() {
            refuse("count", "admin.count-refused");
        } else if email.is_some() && count != Some(1) {
            refuse("count", "admin.count-for-one");
        }
        match (days, count) {
            (Some(days), Some(count)) if errors.is_empty() => Ok(Wanted {
                email,
                groups,
                ttl: Duration::from_hours(24 * days),
                count,
            }),
            _ => Err(errors),
        }
    }

    async fn refused_invitation(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        fields: &Fields,
        errors: Errors,
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        if visit.wants == Wants::Json {
            return self.site.refuse_fields(visit, &refusal, errors);
        }
        let form = InvitationsView {
            email: fields.text("email").to_owned(),
            groups: fields.text("groups").to_owned(),
            count: fields.text("count").to_owned(),
            days: fields.text("days").parse().unwrap_or(7),
            alert: Some(self.site.form_alert(visit, &refusal, &errors, ORDER)),
            errors,
            ..self.invitation_form()
        };
        self.show_invitations(visit, member, refusal.problem, &form).await
    }

    async fn show_invitations(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        outcome: impl Into<Outcome>,
        form: &InvitationsView,
    ) -> Response<Bytes> {
        match self.services.invitations.list().await {
            Ok(invitations) => self.site.invitations(visit, member, outcome, &invitations, form),
            Err(error) => self.site.refuse_visit(visit, &unavailable(error.to_string())),
        }
    }
}

impl Site {
    pub(in crate::portal) fn invitations(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        outcome: impl Into<Outcome>,
        invitations: &[Invitation],
        form: &InvitationsView,
    ) -> Response<Bytes> {
        let listed = Listed {
            invitations: invitations.iter().map(Row::of).collect(),
        };
        if visit.wants == Wants::Json {
            return self.json(visit, outcome.into().status, &listed);
        }
        let page = Page { listed, form };
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            outcome,
            "admin-invitations.html",
            &page,
        )
    }
}

impl<'a> Row<'a> {
    fn of(invitation: &'a Invitation) -> Self {
        Self {
            id: invitation.id.to_string(),
            email: invitation.email.as_ref().map(Email::as_str),
            groups: &invitation.groups,
            first_administrator: invitation.kind == InvitationKind::FirstAdministrator,
            created_at: invitation.created_at.to_string(),
            expires_at: invitation.expires_at.to_string(),
        }
    }
}

fn or(typed: String, default: &str) -> String {
    if typed.is_empty() {
        default.to_owned()
    } else {
        typed
    }
}
