//! Executing commands whose outcome is a link: mailed, or handed over.

use super::Administration;
use super::CommandError;
use super::command::{BoundInvitations, MailedInvitations, NewInvitations};
use super::execute::views;
use super::responses::{InvitationLink, InvitationView, ResetLink};
use crate::model::{Email, InvitationKind};
use crate::services::{Accounts, Actor, Origin};

impl Administration {
    pub(super) async fn create_invitations(
        &self,
        new: NewInvitations,
        by: &Actor,
    ) -> Result<Vec<InvitationLink>, CommandError> {
        if let Some(email) = &new.email {
            if new.count != 1 {
                return Err(CommandError::new(format!("{email} needs one invitation")));
            }
            self.require_strangers(std::slice::from_ref(email)).await?;
        }
        let receivers = vec![new.email; new.count.into()];
        let alike = BoundInvitations {
            emails: Vec::new(),
            groups: new.groups,
            ttl: new.ttl,
        };
        self.invite(receivers, &alike, by).await
    }

    pub(super) async fn create_invitations_for(
        &self,
        mut new: BoundInvitations,
        by: &Actor,
    ) -> Result<Vec<InvitationLink>, CommandError> {
        self.require_strangers(&new.emails).await?;
        let receivers = new.emails.drain(..).map(Some).collect();
        self.invite(receivers, &new, by).await
    }

    async fn invite(
        &self,
        receivers: Vec<Option<Email>>,
        alike: &BoundInvitations,
        by: &Actor,
    ) -> Result<Vec<InvitationLink>, CommandError> {
        let (groups, kind) = (Accounts::group_names(&alike.groups)?, InvitationKind::Signup);
        let (invitations, origin) = (&self.services.invitations, Origin::default());
        let mut made = Vec::with_capacity(receivers.len());
        for email in receivers {
            let created = invitations.create(kind, email, groups.clone(), alike.ttl, by, &origin);
            let (link, invitation) = created.await?;
            made.push(InvitationLink {
                link,
                invitation: invitation.into(),
            });
        }
        Ok(made)
    }

    pub(super) async fn mail_invitations(
        &self,
        new: MailedInvitations,
        by: &Actor,
    ) -> Result<Vec<InvitationView>, CommandError> {
        let groups = Accounts::group_names(&new.groups)?;
        self.require_strangers(&new.emails).await?;
        // The gateway's own machine, in the language that was asked for.
        let origin = Origin {
            language: new.language,
            ..Origin::default()
        };
        let mut made = Vec::with_capacity(new.emails.len());
        for email in new.emails {
            let (invitations, groups) = (&self.services.invitations, groups.clone());
            made.push(invitations.mail(email, groups, new.ttl, by, &origin).await?);
        }
        Ok(views(made))
    }

    /// Nobody is invited if one of them has an account: what was asked for is not what was meant.
    async fn require_strangers(&self, emails: &[Email]) -> Result<(), CommandError> {
        let known = self.services.invitations.known(emails).await?;
        if known.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = known.iter().map(Email::as_str).collect();
        let have = if names.len() == 1 { "has" } else { "have" };
        Err(CommandError::new(format!(
            "{} {have} an account already: nobody is invited",
            names.join(", ")
        )))
    }

    pub(super) async fn reset_link(&self, user: &str, by: &Actor) -> Result<ResetLink, CommandError> {
        let account = self.services.accounts.find(user).await?;
        let links = &self.services.email_tokens;
        let (link, expires_at) = links.reset_link(&account, by, &Origin::default()).await?;
        Ok(ResetLink {
            link: link.expose().to_owned(),
            email: account.email,
            expires_at,
        })
    }
}
