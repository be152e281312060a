//! Executing commands whose outcome is a link: mailed, or handed over.

use super::Administration;
use super::CommandError;
use super::command::MailedInvitations;
use super::execute::{require_group_names, views};
use super::reply::{InvitationView, ResetLink};
use crate::services::{Actor, Origin};

impl Administration {
    pub(super) async fn mail_invitations(
        &self,
        new: MailedInvitations,
        by: &Actor,
    ) -> Result<Vec<InvitationView>, CommandError> {
        require_group_names(&new.groups)?;
        // The gateway's own machine, in the language that was asked for.
        let origin = Origin {
            language: new.language,
            ..Origin::default()
        };
        let mut made = Vec::with_capacity(new.emails.len());
        for email in new.emails {
            let groups = new.groups.clone();
            let invitations = &self.services.invitations;
            made.push(invitations.mail(email, groups, new.ttl, by, &origin).await?);
        }
        Ok(views(made))
    }

    pub(super) async fn reset_link(&self, user: &str, by: &Actor) -> Result<ResetLink, CommandError> {
        let account = self.services.accounts.find(user).await?;
        let links = &self.services.mailed_links;
        let (link, expires_at) = links.reset_link(&account, by, &Origin::default()).await?;
        Ok(ResetLink {
            link: link.expose().to_owned(),
            email: account.email,
            expires_at,
        })
    }
}
