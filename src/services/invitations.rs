//! Invitations to sign up: create, mail, list, revoke.

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
use crate::store::{LoadedRows, Store, StoreError};

/// A request for invitations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewInvitations {
    /// The recipients.
    pub invitees: Invitees,
    /// The groups of the accounts that sign up with them.
    pub groups: BTreeSet<String>,
    /// Their lifetime.
    pub ttl: Duration,
}

/// The recipients of invitations.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invitees {
    /// That many invitations, each for any holder of its link.
    Anyone(u16),
    /// An invitation for each of these addresses.
    Only(Vec<Email>),
    /// An invitation mailed to each of these addresses; its link is not shown.
    Mailed(Vec<Email>),
}

impl Invitees {
    /// Returns the addresses; none for [`Self::Anyone`].
    pub fn emails(&self) -> &[Email] {
        match self {
            Self::Anyone(_) => &[],
            Self::Only(emails) | Self::Mailed(emails) => emails,
        }
    }
}

/// A new invitation, with its link unless it was mailed.
#[derive(Clone, Debug)]
pub struct IssuedInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// The link; `None` if it was mailed.
    pub link: Option<String>,
}

/// Why no invitation was created.
#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    /// These addresses have an account.
    #[error("{} already: nobody is invited", have_accounts(.0))]
    Known(Vec<Email>),
    /// Groups that an account cannot have.
    #[error(transparent)]
    Groups(#[from] AccountError),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn have_accounts(emails: &[Email]) -> String {
    let names: Vec<&str> = emails.iter().map(Email::as_str).collect();
    let have = if names.len() == 1 { "has" } else { "have" };
    format!("{} {have} an account", names.join(", "))
}

/// Creates, lists and revokes invitations.
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

    /// Creates invitations, and mails those for [`Invitees::Mailed`] in the language of `origin`. Creates
    /// none if an address has an account.
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

    /// Creates an invitation and returns its link, which is shown nowhere else.
    ///
    /// A first administrator's invitation always has the administrators' group, whatever `groups` says.
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

    /// Returns those of the addresses that have an account.
    async fn known(&self, emails: &[Email]) -> Result<Vec<Email>, StoreError> {
        let mut known = Vec::new();
        for email in emails {
            if self.store.account_by_email(email).await?.is_some() {
                known.push(email.clone());
            }
        }
        Ok(known)
    }

    /// Enqueues the mail of an invitation; its link gets a new token at delivery.
    async fn mail(&self, invitation: &Invitation, origin: &Origin) -> Result<(), StoreError> {
        let Some(email) = &invitation.email else {
            return Ok(());
        };
        let topic = MailKind::Invitation(invitation.id);
        let mail = self.mailer.mail_by_administrator(email, topic, origin);
        self.mailer.enqueue(vec![mail]).await
    }

    /// Those that are good for something, oldest first, and those that cannot be read.
    pub async fn list(&self) -> Result<LoadedRows<Invitation>, StoreError> {
        let mut loaded = self.store.invitations().await?;
        let invitations = &mut loaded.sound;
        invitations.retain(|invitation| self.mailer.now_for(invitation).is_some());
        let is_first = |invitation: &Invitation| invitation.kind == InvitationKind::FirstAdministrator;
        if invitations.iter().any(is_first)
            && self.store.group_has_active_members(&self.administrators).await?
        {
            invitations.retain(|invitation| !is_first(invitation));
        }
        Ok(loaded)
    }

    /// Returns whether an invitation is void before it expires: a first administrator's, once there is an
    /// administrator.
    pub async fn is_spent(&self, invitation: &Invitation) -> Result<bool, StoreError> {
        Ok(invitation.kind == InvitationKind::FirstAdministrator
            && self.store.group_has_active_members(&self.administrators).await?)
    }

    /// Revokes an invitation and returns whether it existed.
    pub async fn revoke(&self, id: InvitationId, by: &Actor, origin: &Origin) -> Result<bool, StoreError> {
        let known = self.store.invitations().await?;
        let Some(invitation) = known.sound.into_iter().find(|known| known.id == id) else {
            return Ok(false);
        };
        let revoked = by.act_on(&self.store).revoke_invitation(id).await?;
        if revoked {
            self.note(Kind::InvitationRevoke, &invitation, by, origin);
        }
        Ok(revoked)
    }

    /// Audits an act on an invitation, with its groups and its expiry.
    fn note(&self, kind: Kind, invitation: &Invitation, by: &Actor, origin: &Origin) {
        let who = invitation.email.as_ref().map_or("", Email::as_str);
        let detail = AuditDetail::of(DetailKey::Invitation, &invitation.id)
            .and_groups(&invitation.groups)
            .and(DetailKey::Until, &invitation.expires_at);
        self.audit
            .note(origin, &Event::success(kind, who).by(by).detail(detail));
    }
}
