//! Operations on invitations.

use async_trait::async_trait;

use super::{LoadedRows, StoreError};
use crate::ids::InvitationId;
use crate::model::{Invitation, TokenDigest};

/// Invitations: a part of [`Store`](super::Store).
#[async_trait]
pub trait InvitationStore: Send + Sync + 'static {
    /// Stores an invitation.
    async fn create_invitation(&self, invitation: Invitation) -> Result<(), StoreError>;

    /// The unused invitation with this token, expired or not.
    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError>;

    /// All unused invitations, oldest first.
    async fn invitations(&self) -> Result<LoadedRows<Invitation>, StoreError>;

    /// Removes an invitation. Returns whether there was one.
    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError>;
}
