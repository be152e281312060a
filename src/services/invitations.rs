//! Invitations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{AccountError, Accounts, Actor, Audit, Event, Kind, Mailer, Origin, SharedServices};
use crate::clock::Clock;
use crate::config::Config;
use crate::ids::InvitationId;
use crate::model::{AuditDetail, DetailKey, Email, Invitation, InvitationKind, MailKind, PlainToken};
use crate::random::Random;
use crate::route::Page;
use crate::store::{Store, StoreError};

/// Invitations to sign up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewInvitations {
    /// Whom they serve.
    pub invitees: Invitees,
    /// The groups of the accounts that they make.
    pub groups: BTreeSet<String>,
    /// How long they last.
    pub ttl: Duration,
}

/// Whom invitations serve.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invitees {
    /// Whoever has the link of one of so many.
    Anyone(u16),
    /// These addresses, each by an invitation of its own.
    Only(Vec<Email>),
    /// The same; each is mailed there, and its link shown nowhere.
    Mailed(Vec<Email>),
}

impl Invitees {
    /// The addresses, if they serve any in particular.
    pub fn emails(&self) -> &[Email] {
        match self {
            Self::Anyone(_) => &[],
            Self::Only(emails) | Self::Mailed(emails) => emails,
        }
    }
}

/// An invitation that was made just now, with its link unless that was mailed.
#[derive(Clone, Debug)]
pub struct IssuedInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// The link.
    pub link: Option<String>,
}

/// Why nobody was invited.
#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    /// These have an account already: what was asked for is not what was meant.
    #[error("{} already: nobody is invited", have_accounts(.0))]
    Known(Vec<Email>),
    /// Groups that no account can be in.
    #[error(transparent)]
    Groups(#[from] AccountError),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn have_accounts(emails: &[Email]) -> String {
    let names: Vec<&str> = emails.iter().map(Email::as_str).collect();
    let have = if names.len() == 1 { "has" } else { "have" };
    format!("{} {have} an account", names.join(", "))
}

/// The service.
#[derive(Debug)]
pub struct Invitations {
    store: Arc<dyn Store>,
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

    /// Makes invitations to sign up, and mails them in the language of `origin` where that is asked for. Makes none if one of the addresses has
    /// an account, and so no use for it.
    pub async fn invite(
        &self,
        new: NewInvitations,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Vec<IssuedInvitation>, InvitationError> {
        let NewInvitations {
            invitees,
            groups,
            ttl,
        } = new;
        let groups = Accounts::group_names(&groups)?;
        let known = self.known(invitees.emails()).await?;
        if !known.is_empty() {
            return Err(InvitationError::Known(known));
        }
        let mails = matches!(invitees, Invitees::Mailed(_));
        let receivers = match invitees {
            Invitees::Anyone(count) => vec![None; count.into()],
            Invitees::Only(emails) | Invitees::Mailed(emails) => emails.into_iter().map(Some).collect(),
        };
        let mut issued = Vec::with_capacity(receivers.len());
        for email in receivers {
            let created = self.create(InvitationKind::Signup, email, groups.clone(), ttl, by, origin);
            let (link, invitation) = created.await?;
            if mails {
                self.mail(&invitation, origin).await?;
            }
            let link = Some(link).filter(|_| !mails);
            issued.push(IssuedInvitation { invitation, link });
        }
        Ok(issued)
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
        let store = by.act_on(&self.store);
        self.mailer.invitations.begin(invitation.id, ttl);
        store.create_invitation(invitation.clone()).await?;
        self.note(event, &invitation, by, origin);
        let base = self.public_url.as_str().trim_end_matches('/');
        Ok((
            format!("{base}{}?invitation={}", Page::SignUp.path(), token.expose()),
            invitation,
        ))
    }

    /// Those of the addresses that have an account.
    async fn known(&self, emails: &[Email]) -> Result<Vec<Email>, StoreError> {
        let mut known = Vec::new();
        for email in emails {
            if self.store.account_by_email(email).await?.is_some() {
                known.push(email.clone());
            }
        }
        Ok(known)
    }

    /// Mails an invitation to its address; the token of its link is replaced when the mail goes out.
    async fn mail(&self, invitation: &Invitation, origin: &Origin) -> Result<(), StoreError> {
        let Some(email) = &invitation.email else {
            return Ok(());
        };
        let topic = MailKind::Invitation(invitation.id);
        let mail = self.mailer.mail_by_administrator(email, topic, origin);
        self.mailer.enqueue(vec![mail]).await
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
        let revoked = by.act_on(&self.store).revoke_invitation(id).await?;
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
