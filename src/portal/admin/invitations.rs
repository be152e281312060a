//! `/.auth/admin/invitations`: who may make an account.

mod form;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

pub(in crate::portal) use self::form::InvitationsView;
use self::form::{InvitationForm, ORDER};
use super::{AREA, query};
use crate::config::SignupMode;
use crate::ids::InvitationId;
use crate::model::{Email, Invitation, InvitationKind};
use crate::portal::Portal;
use crate::portal::form_errors::Errors;
use crate::portal::forms::Fields;
use crate::portal::login::refusal_of_store;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInUser;
use crate::refusal::{Problem, Refusal};
use crate::services::Actor;

pub(super) const PATH: &str = "/.auth/admin/invitations";

#[derive(Serialize)]
struct InvitationList<'a> {
    invitations: Vec<InvitationRow<'a>>,
}

#[derive(Serialize)]
struct InvitationRow<'a> {
    id: String,
    email: Option<&'a str>,
    groups: &'a BTreeSet<String>,
    first_administrator: bool,
    created_at: String,
    expires_at: String,
}

#[derive(Serialize)]
struct InvitationsDocument<'a> {
    listed: InvitationList<'a>,
    form: &'a InvitationsView,
}

#[derive(Serialize)]
struct LinksDocument<'a> {
    links: &'a [String],
}

#[derive(Serialize)]
struct MailedDocument<'a> {
    mailed: [InvitationRow<'a>; 1],
}

impl Portal {
    pub(super) async fn invitations_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let form = InvitationsView {
            done: match context.parameter("done").as_str() {
                "revoke" => Some("admin.done-revoke"),
                "send" => Some("admin.done-send"),
                _ => None,
            },
            ..self.invitation_form()
        };
        self.show_invitations(context, user, StatusCode::OK, &form).await
    }

    /// `action`: "revoke" with `invitation`, else none or "create", and `email`, `groups` with commas, `days`, `count`,
    /// `send`; `reason`.
    pub(super) async fn change_invitations(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
        by: &Actor,
    ) -> Response<Bytes> {
        match fields.text("action") {
            "revoke" => return self.revoke_invitation(context, fields, by).await,
            "" | "create" => {}
            _ => {
                let errors = self.renderer.unknown_action(context);
                return self.refused_invitation(context, user, fields, errors).await;
            }
        }
        let wanted = match self.renderer.wanted(context, fields) {
            Ok(wanted) => wanted,
            Err(errors) => return self.refused_invitation(context, user, fields, errors).await,
        };
        match self.services.invitations.known(wanted.email.as_slice()).await {
            Ok(known) if known.is_empty() => {}
            Ok(_) => {
                let message = self
                    .renderer
                    .texts
                    .get(context.lang, "admin.invite-known")
                    .to_owned();
                let errors = Errors::from([("email", message)]);
                return self.refused_invitation(context, user, fields, errors).await;
            }
            Err(error) => return self.renderer.refuse_visit(context, &refusal_of_store(&error)),
        }
        match wanted {
            InvitationForm {
                email: Some(email),
                send: true,
                groups,
                ttl,
                ..
            } => self.mail_invitation(context, email, groups, ttl, by).await,
            wanted => self.hand_out(context, user, wanted, by).await,
        }
    }

    /// Makes invitations whose links are shown once.
    async fn hand_out(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        search: InvitationForm,
        by: &Actor,
    ) -> Response<Bytes> {
        let links = match self.invite(&search, context, by).await {
            Ok(links) => links,
            Err(refusal) => return self.renderer.refuse_visit(context, &refusal),
        };
        if context.wants == ResponseFormat::Json {
            return self
                .renderer
                .json(context, StatusCode::CREATED, &LinksDocument { links: &links });
        }
        let form = InvitationsView {
            links,
            ..self.invitation_form()
        };
        self.show_invitations(context, user, StatusCode::OK, &form).await
    }

    /// Makes one that is mailed, in the language of the page; its link is shown nowhere.
    async fn mail_invitation(
        &self,
        context: &RequestContext<'_>,
        email: Email,
        groups: BTreeSet<String>,
        ttl: Duration,
        by: &Actor,
    ) -> Response<Bytes> {
        let invitations = &self.services.invitations;
        match invitations.mail(email, groups, ttl, by, &context.origin()).await {
            Ok(made) if context.wants == ResponseFormat::Json => {
                let mailed = [InvitationRow::of(&made)];
                self.renderer
                    .json(context, StatusCode::CREATED, &MailedDocument { mailed })
            }
            Ok(_) => self
                .renderer
                .see_other(context, &query(PATH, &[("done", "send")])),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of_store(&error)),
        }
    }

    async fn invite(
        &self,
        search: &InvitationForm,
        context: &RequestContext<'_>,
        by: &Actor,
    ) -> Result<Vec<String>, Refusal> {
        let (mut links, origin) = (Vec::new(), context.origin());
        for _ in 0..search.count {
            let invitation = self.services.invitations.create(
                InvitationKind::Signup,
                search.email.clone(),
                search.groups.clone(),
                search.ttl,
                by,
                &origin,
            );
            let made = invitation.await;
            links.push(made.map_err(|error| refusal_of_store(&error))?.0);
        }
        Ok(links)
    }

    async fn revoke_invitation(
        &self,
        context: &RequestContext<'_>,
        fields: &Fields,
        by: &Actor,
    ) -> Response<Bytes> {
        let Ok(id) = fields.text("invitation").parse::<InvitationId>() else {
            return self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::NotFound));
        };
        match self.services.invitations.revoke(id, by, &context.origin()).await {
            Ok(true) if context.wants == ResponseFormat::Json => self.renderer.nothing(context),
            // One that was used in the meantime is as good as revoked, for a browser that shows the list.
            Ok(_) if context.wants == ResponseFormat::Html => self
                .renderer
                .see_other(context, &query(PATH, &[("done", "revoke")])),
            Ok(_) => self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::NotFound)),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of_store(&error)),
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
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
        errors: Errors,
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        if context.wants == ResponseFormat::Json {
            return self.renderer.refuse_fields(context, &refusal, errors);
        }
        let form = InvitationsView {
            email: fields.text("email").to_owned(),
            groups: fields.text("groups").to_owned(),
            count: fields.text("count").to_owned(),
            days: fields.text("days").parse().unwrap_or(7),
            send: fields.is_ticked("send"),
            alert: Some(self.renderer.form_alert(context, &refusal, &errors, ORDER)),
            errors,
            ..self.invitation_form()
        };
        self.show_invitations(context, user, refusal.problem, &form).await
    }

    async fn show_invitations(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        outcome: impl Into<ResponseOutcome>,
        form: &InvitationsView,
    ) -> Response<Bytes> {
        match self.services.invitations.list().await {
            Ok(invitations) => self
                .renderer
                .invitations(context, user, outcome, &invitations, form),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of_store(&error)),
        }
    }
}

impl PageRenderer {
    pub(in crate::portal) fn invitations(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        outcome: impl Into<ResponseOutcome>,
        invitations: &[Invitation],
        form: &InvitationsView,
    ) -> Response<Bytes> {
        let listed = InvitationList {
            invitations: invitations.iter().map(InvitationRow::of).collect(),
        };
        if context.wants == ResponseFormat::Json {
            return self.json(context, outcome.into().status, &listed);
        }
        let page = InvitationsDocument { listed, form };
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            outcome,
            "admin-invitations.html",
            &page,
        )
    }
}

impl<'a> InvitationRow<'a> {
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
