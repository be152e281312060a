//! Operations on invitations.

use async_trait::async_trait;

use super::{LoadedRows, StoreError};
use crate::ids::InvitationId;
use crate::model::{Invitation, Mail, TokenDigest};

/// Invitations: a part of [`Store`](super::Store).
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

    /// Like [`create_invitations`](Self::create_invitations), in place of the unused invitation with the id `earlier`. `None`
    /// if there is no such invitation any more: nothing is kept then.
    async fn replace_invitation(
        &self,
        earlier: InvitationId,
        invitation: Invitation,
        mails: Vec<Mail>,
    ) -> Result<Option<Vec<Invitation>>, StoreError>;

    /// The unused invitation with this token, expired or not.
    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError>;

    /// The unused invitation with this id, expired or not.
    async fn invitation_by_id(&self, id: InvitationId) -> Result<Option<Invitation>, StoreError>;

    /// Up to `limit` unused invitations in the order of their ids, which is that of their creation, starting after
    /// `after`.
    async fn invitations_after(
        &self,
        after: Option<InvitationId>,
        limit: usize,
    ) -> Result<InvitationBatch, StoreError>;

    /// All unused invitations, oldest first.
    async fn invitations(&self) -> Result<LoadedRows<Invitation>, StoreError>;

    /// Removes an invitation. Returns whether there was one.
    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError>;
}

/// Invitations that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvitationBatch {
    /// The invitations, in the order of their ids.
    pub invitations: Vec<Invitation>,
    /// Which of the batch cannot be read, and why: they stand in no other's way (S49).
    pub unreadable: Vec<(InvitationId, String)>,
    /// After what there may be more; none at the end.
    pub next: Option<InvitationId>,
}
