//! Lists of invitations by pages, for administrators.

use super::Invitations;
use crate::ids::InvitationId;
use crate::model::{Invitation, InvitationKind};
use crate::store::StoreError;

/// Invitations read at a time, and the most reads, to fill a page.
const BATCH: usize = 500;
const BATCHES: usize = 10;

/// A filter of invitations.
#[derive(Clone, Debug, Default)]
pub struct InvitationFilter {
    /// A part of the address, the name, a group or the creator, in any case; empty for all.
    pub text: String,
}

impl InvitationFilter {
    /// Returns whether an invitation matches.
    pub fn passes(&self, invitation: &Invitation) -> bool {
        let text = self.text.trim().to_lowercase();
        let email = invitation.email.as_ref();
        let has = |value: &str| value.to_lowercase().contains(&text);
        text.is_empty()
            || email.is_some_and(|email| has(email.key()) || has(&email.deliverable()))
            || invitation.name.as_deref().is_some_and(has)
            || invitation.created_by.as_deref().is_some_and(has)
            || invitation.groups.iter().any(|group| has(group))
    }
}

/// A page of invitations.
#[derive(Clone, Debug, Default)]
pub struct InvitationPage {
    /// In the order of their creation.
    pub invitations: Vec<Invitation>,
    /// Which cannot be read, and why, whatever the filter.
    pub unreadable: Vec<String>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<InvitationId>,
}

impl Invitations {
    /// Returns up to `limit` invitations that match and can be used, after `after`.
    ///
    /// The work of a call is bounded: a page may be short, or empty, and still have a next one.
    pub async fn find(
        &self,
        filter: &InvitationFilter,
        after: Option<InvitationId>,
        limit: usize,
    ) -> Result<InvitationPage, StoreError> {
        let mut found = InvitationPage {
            next: after,
            ..InvitationPage::default()
        };
        for _ in 0..BATCHES {
            let mut batch = self.store.invitations_after(found.next, BATCH).await?;
            self.makers.retain(&mut batch.invitations).await?;
            let mut unreadable = batch.unreadable.into_iter().peekable();
            for invitation in batch.invitations {
                if found.invitations.len() == limit {
                    return Ok(found);
                }
                found.next = Some(invitation.id);
                while let Some((_, why)) = unreadable.next_if(|(id, _)| *id < invitation.id) {
                    found.unreadable.push(why);
                }
                if filter.passes(&invitation) && self.can_be_used(&invitation).await? {
                    found.invitations.push(invitation);
                }
            }
            found.unreadable.extend(unreadable.map(|(_, why)| why));
            found.next = batch.next;
            if found.next.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn can_be_used(&self, invitation: &Invitation) -> Result<bool, StoreError> {
        Ok(self.mailer.now_for(invitation).is_some()
            && !(invitation.kind == InvitationKind::FirstAdministrator && self.is_spent(invitation).await?))
    }
}
