//! `/.auth/admin/invitations`: who may make an account.

mod form;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

pub(in crate::portal) use self::form::InvitationsView;
use self::form::{ORDER, Wanted};
use super::{AREA, query};
use crate::config::SignupMode;
use crate::ids::InvitationId;
use crate::model::{Email, Invitation, InvitationKind};
use crate::portal::Portal;
use crate::portal::alert::Errors;
use crate::portal::forms::Fields;
use crate::portal::login::refusal_of_store;
use crate::portal::member::Member;
use crate::portal::render::Outcome;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::Actor;

pub(super) const PATH: &str = "/.auth/admin/invitations";

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

#[derive(Serialize)]
struct Mailed<'a> {
    mailed: [Row<'a>; 1],
}

impl Portal {
    pub(super) async fn invitations_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let form = InvitationsView {
            done: match visit.parameter("done").as_str() {
                "revoke" => Some("admin.done-revoke"),
                "send" => Some("admin.done-send"),
                _ => None,
            },
            ..self.invitation_form()
        };
        self.show_invitations(visit, member, StatusCode::OK, &form).await
    }

    /// `action`: "revoke" with `invitation`, else none or "create", and `email`, `groups` with commas, `days`, `count`,
    /// `send`; `reason`.
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
        let wanted = match self.site.wanted(visit, fields) {
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
            Err(error) => return self.site.refuse_visit(visit, &refusal_of_store(&error)),
        }
        match wanted {
            Wanted {
                email: Some(email),
                send: true,
                groups,
                ttl,
                ..
            } => self.mail_invitation(visit, email, groups, ttl, by).await,
            wanted => self.hand_out(visit, member, wanted, by).await,
        }
    }

    /// Makes invitations whose links are shown once.
    async fn hand_out(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        wanted: Wanted,
        by: &Actor,
    ) -> Response<Bytes> {
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

    /// Makes one that is mailed, in the language of the page; its link is shown nowhere.
    async fn mail_invitation(
        &self,
        visit: &Visit<'_>,
        email: Email,
        groups: BTreeSet<String>,
        ttl: Duration,
        by: &Actor,
    ) -> Response<Bytes> {
        let invitations = &self.services.invitations;
        match invitations.mail(email, groups, ttl, by, &visit.origin()).await {
            Ok(made) if visit.wants == Wants::Json => {
                let mailed = [Row::of(&made)];
                self.site.json(visit, StatusCode::CREATED, &Mailed { mailed })
            }
            Ok(_) => self.site.see_other(visit, &query(PATH, &[("done", "send")])),
            Err(error) => self.site.refuse_visit(visit, &refusal_of_store(&error)),
        }
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
            links.push(made.map_err(|error| refusal_of_store(&error))?.0);
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
                self.site.see_other(visit, &query(PATH, &[("done", "revoke")]))
            }
            Ok(_) => self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound)),
            Err(error) => self.site.refuse_visit(visit, &refusal_of_store(&error)),
        }
    }

    fn invitation_form(&self) -> InvitationsView {
        InvitationsView {
            can_send: self.services.mailer.reaches_people(),
            ..InvitationsView::empty(self.services.sign_up.mode() == SignupMode::Closed)
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
            send: fields.is_ticked("send"),
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
            Err(error) => self.site.refuse_visit(visit, &refusal_of_store(&error)),
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
