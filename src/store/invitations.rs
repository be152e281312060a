//! Invitations.

use async_trait::async_trait;

use super::StoreError;
use crate::ids::InvitationId;
use crate::model::{Invitation, Mail, TokenDigest};

/// Invitations: a part of every [`Store`](super::Store).
#[async_trait]
pub trait InvitationStore: Send + Sync + 'static {
    /// Keeps an invitation, as [`create_invitations`](Self::create_invitations) does.
    async fn create_invitation(&self, invitation: Invitation) -> Result<(), StoreError> {
        let replaced = self.create_invitations(vec![invitation], Vec::new()).await;
        replaced.map(drop)
    }

    /// Keeps invitations, no two of them for one address, each in place of those of its kind for that address; `mails` wait
    /// from then on. Returns the replaced ones.
    async fn create_invitations(
        &self,
        invitations: Vec<Invitation>,
        mails: Vec<Mail>,
    ) -> Result<Vec<Invitation>, StoreError>;

    /// The invitation with this token, spent ones excepted, expired ones not.
    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError>;

    /// All invitations that are not used up, oldest first.
    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError>;

    /// Removes an invitation. Whether there was one.
    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError>;
}
