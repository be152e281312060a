//! Invitations to sign up: create, mail, list, revoke.

mod pages;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::input::parse_display_name;
use super::maker_rights::MakerRights;
use super::{
    AccountError, Accounts, Actor, Audit, DisplayNameError, Event, Kind, Mailer, Origin, SharedServices,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::ids::InvitationId;
use crate::model::{
    Administrators, AuditDetail, DetailKey, Email, Invitation, InvitationKind, Mail, MailKind, Maker,
    PlainToken,
};
use crate::random::Random;
use crate::route::Page;
use crate::store::{LoadedRows, Store, StoreError};
use crate::text::is_language_tag;

pub use pages::{InvitationFilter, InvitationPage};

/// The longest lifetime of an invitation: ten years.
pub const LONGEST_INVITATION: Duration = Duration::from_hours(24 * 3660);

/// A request for invitations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewInvitations {
    /// The recipients.
    pub invitees: Invitees,
    /// The groups of the accounts that sign up with them.
    pub groups: BTreeSet<String>,
    /// Their lifetime.
    pub ttl: Duration,
    /// Whether the account still needs approval, where `signup.approval` asks for it; otherwise an invitation to an address
    /// approves its account.
    pub needs_approval: bool,
    /// Whether an address with an identical live invitation is mailed again.
    pub resend: bool,
    /// Whether addresses that have accounts are skipped; otherwise one of them refuses all.
    pub skip_existing: bool,
}

impl Default for NewInvitations {
    /// One for anyone, good for a week.
    fn default() -> Self {
        Self {
            invitees: Invitees::Anyone(1),
            groups: BTreeSet::new(),
            ttl: Duration::from_hours(24 * 7),
            needs_approval: false,
            resend: false,
            skip_existing: false,
        }
    }
}

/// The recipients of invitations.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invitees {
    /// That many invitations, each for any holder of its link.
    Anyone(u16),
    /// These addresses, each by an invitation of its own.
    Only(Vec<Invitee>),
    /// The same; each is mailed there, and its link shown nowhere.
    Mailed(Vec<Invitee>),
}

/// A recipient of an invitation to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitee {
    /// The address.
    pub email: Email,
    /// What to call them.
    pub name: Option<String>,
    /// The groups of their account, besides those of all.
    pub groups: BTreeSet<String>,
    /// The language of their mail (BCP 47); otherwise that of the request.
    pub language: Option<String>,
}

impl From<Email> for Invitee {
    fn from(email: Email) -> Self {
        Self {
            email,
            name: None,
            groups: BTreeSet::new(),
            language: None,
        }
    }
}

impl Invitees {
    fn list(&self) -> &[Invitee] {
        match self {
            Self::Anyone(_) => &[],
            Self::Only(invitees) | Self::Mailed(invitees) => invitees,
        }
    }

    /// The addresses, if they serve any in particular.
    pub fn emails(&self) -> impl Iterator<Item = &Email> {
        self.list().iter().map(|invitee| &invitee.email)
    }
}

/// What became of [`NewInvitations`], or would.
#[derive(Clone, Debug, Default)]
pub struct InvitationOutcome {
    /// The invitations that were made.
    pub issued: Vec<IssuedInvitation>,
    /// The live invitations of addresses for which an identical one was asked for: they are not mailed again.
    pub unchanged: Vec<Invitation>,
    /// The addresses that were passed over, since they have accounts.
    pub skipped: Vec<Email>,
}

/// An invitation that was made just now, or would be.
#[derive(Clone, Debug)]
pub struct IssuedInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// The link; `None` if it was mailed.
    pub link: Option<String>,
    /// Whether it takes the place of another one for its address.
    pub replaces: bool,
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
    /// An invalid display name.
    #[error("{0}: {1}")]
    Name(Email, DisplayNameError),
    /// An invalid language tag.
    #[error("{0}: its language is no language tag such as \"ko\"")]
    Language(Email),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no gateway can have made an imported invitation.
#[derive(Debug, thiserror::Error)]
pub enum ImpossibleInvitation {
    /// Groups, a name or a language that none has.
    #[error(transparent)]
    Texts(#[from] AccountError),
    /// A lifetime that none has.
    #[error("an invitation is valid for ten years at most")]
    Lifetime,
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
    makers: MakerRights,
    administrators: Administrators,
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
            makers: MakerRights::new(shared),
            administrators: shared.administrators.clone(),
        }
    }

    /// Refuses an imported invitation that no other operation could have made.
    pub fn require_possible(invitation: &Invitation) -> Result<(), ImpossibleInvitation> {
        let (name, language) = (invitation.name.as_deref(), invitation.language.as_deref());
        Accounts::require_possible_texts(&invitation.groups, name, language)?;
        let lifetime = invitation.expires_at.duration_since(invitation.created_at);
        if lifetime.is_positive() && lifetime.unsigned_abs() > LONGEST_INVITATION {
            return Err(ImpossibleInvitation::Lifetime);
        }
        Ok(())
    }

    /// Creates invitations, and mails those for [`Invitees::Mailed`] in the language of `origin`. Creates
    /// none if an address has an account.
    pub async fn invite(
        &self,
        new: NewInvitations,
        by: &Actor,
        origin: &Origin,
    ) -> Result<InvitationOutcome, InvitationError> {
        let outcome = self.plan(new, by, origin).await?;
        self.issue(&outcome, None, by, origin).await?;
        Ok(outcome)
    }

    /// Stores and mails planned invitations. With `earlier`, one in place of that, and false if that is gone.
    async fn issue(
        &self,
        outcome: &InvitationOutcome,
        earlier: Option<InvitationId>,
        by: &Actor,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let invitations: Vec<Invitation> = outcome
            .issued
            .iter()
            .map(|issued| issued.invitation.clone())
            .collect();
        let mut mails = Vec::new();
        for invitation in &invitations {
            let ttl = invitation.expires_at.duration_since(invitation.created_at);
            self.mailer.invitations.begin(invitation.id, ttl.unsigned_abs());
            mails.extend(self.mail(invitation, origin));
        }
        let store = by.act_on(&self.store);
        let replaced = match (earlier, invitations.as_slice()) {
            (Some(earlier), [invitation]) => {
                store
                    .replace_invitation(earlier, invitation.clone(), mails)
                    .await?
            }
            _ => Some(store.create_invitations(invitations.clone(), mails).await?),
        };
        let Some(replaced) = replaced else {
            return Ok(false);
        };
        for earlier in &replaced {
            let new = invitations.iter().find(|new| new.email == earlier.email);
            self.note_replaced(earlier, new, by, origin);
        }
        for invitation in &invitations {
            self.note(Kind::InvitationCreate, invitation, by, origin);
        }
        self.mailer.announce();
        Ok(true)
    }

    /// The outcome that [`invite`](Self::invite) would have now. Stores and mails nothing; the links are void.
    pub async fn plan(
        &self,
        new: NewInvitations,
        by: &Actor,
        origin: &Origin,
    ) -> Result<InvitationOutcome, InvitationError> {
        let groups = Accounts::parse_group_names(&new.groups)?;
        let known = self.known(new.invitees.emails()).await?;
        if !known.is_empty() && !new.skip_existing {
            return Err(InvitationError::Known(known));
        }
        let mails = matches!(new.invitees, Invitees::Mailed(_));
        let live = if new.invitees.list().is_empty() {
            Vec::new()
        } else {
            self.list().await?.sound
        };
        let maker = self.makers.maker(by).await?;
        let draft = || self.draft(InvitationKind::Signup, groups.clone(), new.ttl, by, maker);
        let mut outcome = InvitationOutcome::default();
        if let Invitees::Anyone(count) = new.invitees {
            for _ in 0..count {
                let (link, invitation) = draft();
                outcome.issued.push(IssuedInvitation {
                    invitation,
                    link: Some(link),
                    replaces: false,
                });
            }
        }
        for invitee in new.invitees.list() {
            if known.contains(&invitee.email) {
                outcome.skipped.push(invitee.email.clone());
                continue;
            }
            let (link, invitation) = draft();
            let invitation = Invitation {
                approves: !new.needs_approval,
                mailed: mails,
                ..bound(invitation, invitee, origin)?
            };
            let mut earlier = live
                .iter()
                .filter(|live| live.email == invitation.email && live.kind == invitation.kind);
            let replaces = earlier.clone().next().is_some();
            if mails
                && !new.resend
                && let Some(same) = earlier.find(|live| live.mailed && live.offers_the_same(&invitation))
            {
                outcome.unchanged.push(same.clone());
                continue;
            }
            outcome.issued.push(IssuedInvitation {
                invitation,
                link: Some(link).filter(|_| !mails),
                replaces,
            });
        }
        Ok(outcome)
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
                groups.insert(self.administrators.group());
                Kind::FirstAdministratorLink
            }
        };
        let maker = self.makers.maker(by).await?;
        let (link, invitation) = self.draft(kind, groups, ttl, by, maker);
        let invitation = Invitation { email, ..invitation };
        let store = by.act_on(&self.store);
        self.mailer.invitations.begin(invitation.id, ttl);
        store.create_invitation(invitation.clone()).await?;
        self.note(event, &invitation, by, origin);
        Ok((link, invitation))
    }

    /// An invitation that is not kept yet, and its link.
    fn draft(
        &self,
        kind: InvitationKind,
        groups: BTreeSet<String>,
        ttl: Duration,
        by: &Actor,
        maker: Option<Maker>,
    ) -> (String, Invitation) {
        let (token, now) = (PlainToken::new(&self.random), self.clock.now());
        let expires_at = now.checked_add(ttl).unwrap_or(Timestamp::MAX);
        let id = InvitationId::new(now, &self.random);
        let invitation = Invitation {
            groups,
            created_by: by.name().map(str::to_owned),
            maker,
            ..Invitation::new(id, token.digest(), kind, now, expires_at)
        };
        let base = self.public_url.as_str().trim_end_matches('/');
        let link = format!("{base}{}?invitation={}", Page::SignUp.path(), token.expose());
        (link, invitation)
    }

    /// Returns those of the addresses that have an account.
    async fn known(&self, emails: impl Iterator<Item = &Email>) -> Result<Vec<Email>, StoreError> {
        let mut known = Vec::new();
        for email in emails {
            if self.store.account_by_email(email).await?.is_some() {
                known.push(email.clone());
            }
        }
        Ok(known)
    }

    /// The mail with an invitation to its address, if it is mailed; the token of its link is replaced when the mail goes out.
    fn mail(&self, invitation: &Invitation, origin: &Origin) -> Option<Mail> {
        let email = invitation.email.as_ref().filter(|_| invitation.mailed)?;
        let topic = MailKind::Invitation(invitation.id);
        let mail = self.mailer.mail_by_administrator(email, topic, origin);
        let language = invitation.language.clone().or(mail.language.clone());
        Some(Mail { language, ..mail })
    }

    /// Those that are good for something, oldest first, and those that cannot be read.
    pub async fn list(&self) -> Result<LoadedRows<Invitation>, StoreError> {
        let mut loaded = self.store.invitations().await?;
        let invitations = &mut loaded.sound;
        invitations.retain(|invitation| self.mailer.now_for(invitation).is_some());
        let is_first = |invitation: &Invitation| invitation.kind == InvitationKind::FirstAdministrator;
        if invitations.iter().any(is_first)
            && self
                .store
                .group_has_active_members(&self.administrators.group())
                .await?
        {
            invitations.retain(|invitation| !is_first(invitation));
        }
        self.makers.retain(invitations).await?;
        Ok(loaded)
    }

    /// Returns whether an invitation is void before it expires: a first administrator's, once there is an
    /// administrator, and one whose maker has lost the right to it.
    pub async fn is_spent(&self, invitation: &Invitation) -> Result<bool, StoreError> {
        if let Some(right) = self.makers.of_invitation(invitation) {
            return Ok(!self.makers.holds(&right).await?);
        }
        Ok(invitation.kind == InvitationKind::FirstAdministrator
            && self
                .store
                .group_has_active_members(&self.administrators.group())
                .await?)
    }

    /// Mails an invitation again, as one that takes its place: with another link, and good for as long again. `None` if it
    /// is gone or expired, or bound to no address.
    pub async fn send_again(
        &self,
        id: InvitationId,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Option<InvitationOutcome>, InvitationError> {
        let invitation = self.mailer.invitation(id).await?;
        let Some(invitation) = invitation.filter(|invitation| {
            invitation.kind == InvitationKind::Signup && self.mailer.now_for(invitation).is_some()
        }) else {
            return Ok(None);
        };
        let Some(email) = invitation.email else {
            return Ok(None);
        };
        let ttl = invitation.expires_at.duration_since(invitation.created_at);
        let again = NewInvitations {
            invitees: Invitees::Mailed(vec![Invitee {
                email,
                name: invitation.name,
                groups: invitation.groups,
                language: invitation.language,
            }]),
            ttl: ttl.unsigned_abs(),
            needs_approval: !invitation.approves,
            resend: true,
            ..NewInvitations::default()
        };
        let outcome = self.plan(again, by, origin).await?;
        let is_sent = self.issue(&outcome, Some(id), by, origin).await?;
        Ok(is_sent.then_some(outcome))
    }

    /// Revokes an invitation and returns whether it existed.
    pub async fn revoke(&self, id: InvitationId, by: &Actor, origin: &Origin) -> Result<bool, StoreError> {
        let Some(invitation) = self.mailer.invitation(id).await? else {
            return Ok(false);
        };
        let revoked = by.act_on(&self.store).revoke_invitation(id).await?;
        if revoked {
            self.note(Kind::InvitationRevoke, &invitation, by, origin);
        }
        Ok(revoked)
    }

    fn note_replaced(&self, earlier: &Invitation, new: Option<&Invitation>, by: &Actor, origin: &Origin) {
        let who = earlier.email.as_ref().map_or("", Email::as_str);
        let mut detail = AuditDetail::of(DetailKey::Invitation, &earlier.id);
        if let Some(new) = new {
            detail = detail.and(DetailKey::ReplacedBy, &new.id);
        }
        let event = Event::success(Kind::InvitationRevoke, who).by(by).detail(detail);
        self.audit.note(origin, &event);
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

/// Binds an invitation to an invitee.
fn bound(invitation: Invitation, invitee: &Invitee, origin: &Origin) -> Result<Invitation, InvitationError> {
    let Invitee {
        email,
        name,
        groups,
        language,
    } = invitee;
    let name = parse_display_name(name.as_deref().unwrap_or_default());
    let name = name.map_err(|error| InvitationError::Name(email.clone(), error))?;
    let language = language.clone().or_else(|| origin.language.clone());
    if language.as_deref().is_some_and(|tag| !is_language_tag(tag)) {
        return Err(InvitationError::Language(email.clone()));
    }
    let groups = invitation.groups.iter().chain(groups).cloned().collect();
    Ok(Invitation {
        email: Some(email.clone()),
        name,
        groups: Accounts::parse_group_names(&groups)?,
        language,
        ..invitation
    })
}
