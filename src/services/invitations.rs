//! Invitations.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Origin;
use crate::ids::InvitationId;
use crate::model::{Email, Invitation, InvitationKind};
use crate::store::StoreError;

/// The service.
#[derive(Debug)]
pub struct Invitations {}

impl Invitations {
    /// Makes an invitation. Its link is returned here and nowhere else.
    pub async fn create(
        &self,
        _kind: InvitationKind,
        _email: Option<Email>,
        _groups: BTreeSet<String>,
        _ttl: Duration,
        _by: &str,
        _origin: &Origin,
    ) -> Result<(String, Invitation), StoreError> {
        todo!()
    }

    /// Those that are good for something, oldest first.
    pub async fn list(&self) -> Result<Vec<Invitation>, StoreError> {
        todo!()
    }

    /// Revokes one. Whether there was one.
    pub async fn revoke(&self, _id: InvitationId, _by: &str, _origin: &Origin) -> Result<bool, StoreError> {
        todo!()
    }
}
