//! Invitations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::{Actor, Audit, Event, Kept, Kind, Mailer, Origin, SharedServices};
use crate::clock::Clock;
use crate::config::Config;
use crate::ids::InvitationId;
use crate::model::{AuditDetail, DetailKey, Email, Invitation, InvitationKind, MailKind, PlainToken};
use crate::random::Random;
use crate::store::StoreError;

/// The service.
#[derive(Debug)]
pub struct Invitations {
    store: Kept,
    audit: Arc<Audit>,
    clock: Clock,
    random: Random,
    mailer: Arc<Mailer>,
    public_url: Url,
    /// `admin.group`
    administrators: String,
}

impl Invitations {
    pub(super) fn new(shared: &SharedServices, config: &Config) -> Self {
        Self {
            store: shared.store.clone(),
            audit: shared.audit.clone(),
            clock: shared.clock.clone(),
            random: shared.random.clone(),
            mailer: shared.mailer.clone(),
            public_url: config.public_url.clone(),
            administrators: config.admin.group.clone(),
        }
    }

    /// Makes an invitation. Its link is returned here and nowhere else.
    ///
    /// One for the first administrator always has the administrators' group, whatever `groups` says.
    pub async fn create(
        &self,
        kind: InvitationKind,
        email: Option<Email>,
        mut groups: BTreeSet<String>,
        ttl: Duration,
        by: &Actor,
        origin: &Origin,
    ) -> Result<(String, Invitation), StoreError> {
        let event = match kind {
            InvitationKind::Signup => Kind::InvitationCreate,
            InvitationKind::FirstAdministrator => {
                groups.insert(self.administrators.clone());
                Kind::FirstAdministratorLink
            }
        };
        let (token, now) = (PlainToken::new(&self.random), self.clock.now());
        let invitation = Invitation {
            id: InvitationId::new(now, &self.random),
            digest: token.digest(),
            kind,
            email,
            groups,
            created_at: now,
            expires_at: now.checked_add(ttl).unwrap_or(Timestamp::MAX),
        };
        let store = self.store.on_behalf_of(by);
        self.mailer.invitations.begin(invitation.id, ttl);
        store.create_invitation(invitation.clone()).await?;
        self.note(event, &invitation, by, origin);
        let base = self.public_url.as_str().trim_end_matches('/');
        Ok((
            format!("{base}/.auth/signup?invitation={}", token.expose()),
            invitation,
        ))
    }

    /// Those of the addresses that have an account, and so no use for an invitation.
    pub async fn known(&self, emails: &[Email]) -> Result<Vec<Email>, StoreError> {
        let mut known = Vec::new();
        for email in emails {
            if self.store.account_by_email(email).await?.is_some() {
                known.push(email.clone());
            }
        }
        Ok(known)
    }

    /// Makes an invitation for an address and mails it there. Its link is in the mail and nowhere else.
    pub async fn mail(
        &self,
        email: Email,
        groups: BTreeSet<String>,
        ttl: Duration,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Invitation, StoreError> {
        let kind = InvitationKind::Signup;
        let created = self.create(kind, Some(email.clone()), groups, ttl, by, origin);
        let (_, invitation) = created.await?;
        // The token of the link that was just made is replaced when the mail goes out.
        let mail = self
            .mailer
            .mail_by_administrator(&email, MailKind::Invitation(invitation.id), origin);
        self.mailer.enqueue(vec![mail]).await?;
        Ok(invitation)
    }

    /// Those that are good for something, oldest first.
    pub async fn list(&self) -> Result<Vec<Invitation>, StoreError> {
        let mut invitations = self.store.invitations().await?;
        invitations.retain(|invitation| self.mailer.now_for(invitation).is_some());
        let is_first = |invitation: &Invitation| invitation.kind == InvitationKind::FirstAdministrator;
        if invitations.iter().any(is_first)
            && self.store.group_has_active_members(&self.administrators).await?
        {
            invitations.retain(|invitation| !is_first(invitation));
        }
        Ok(invitations)
    }

    /// Whether an invitation serves nobody any more though its time is not over: the first administrator's, once there is one.
    pub async fn is_spent(&self, invitation: &Invitation) -> Result<bool, StoreError> {
        Ok(invitation.kind == InvitationKind::FirstAdministrator
            && self.store.group_has_active_members(&self.administrators).await?)
    }

    /// Revokes one. Whether there was one.
    pub async fn revoke(&self, id: InvitationId, by: &Actor, origin: &Origin) -> Result<bool, StoreError> {
        let known = self.store.invitations().await?;
        let Some(invitation) = known.into_iter().find(|known| known.id == id) else {
            return Ok(false);
        };
        let revoked = self.store.on_behalf_of(by).revoke_invitation(id).await?;
        if revoked {
            self.note(Kind::InvitationRevoke, &invitation, by, origin);
        }
        Ok(revoked)
    }

    /// What it gives and until when; to whom, if that is said.
    fn note(&self, kind: Kind, invitation: &Invitation, by: &Actor, origin: &Origin) {
        let who = invitation.email.as_ref().map_or("", Email::as_str);
        let detail = AuditDetail::of(DetailKey::Invitation, &invitation.id)
            .and_groups(&invitation.groups)
            .and(DetailKey::Until, &invitation.expires_at);
        self.audit
            .note(origin, &Event::success(kind, who).by(by).detail(detail));
    }
}
