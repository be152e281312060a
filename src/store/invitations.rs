//! Invitations.

use async_trait::async_trait;

use super::{LoadedRows, StoreError};
use crate::ids::InvitationId;
use crate::model::{Invitation, TokenDigest};

/// Invitations: a part of every [`Store`](super::Store).
#[async_trait]
pub trait InvitationStore: Send + Sync + 'static {
    /// Keeps an invitation.
    async fn create_invitation(&self, invitation: Invitation) -> Result<(), StoreError>;

    /// The invitation with this token, spent ones excepted, expired ones not.
    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError>;

    /// All invitations that are not used up, oldest first.
    async fn invitations(&self) -> Result<LoadedRows<Invitation>, StoreError>;

    /// Removes an invitation. Whether there was one.
    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError>;
}
