//! Invitations: single-use links that let their receiver sign up.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Email, TokenDigest};
use crate::ids::InvitationId;

/// Permission to create one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The public id, for lists and for revoking.
    pub id: InvitationId,
    /// The digest of the token.
    pub digest: TokenDigest,
    /// What it permits.
    pub kind: InvitationKind,
    /// The only address that may use it; `None`: any.
    pub email: Option<Email>,
    /// The groups of the created account.
    pub groups: BTreeSet<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires, exclusive.
    pub expires_at: Timestamp,
}

/// What an invitation permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvitationKind {
    /// One signup, under the rules of `[signup]`.
    Signup,
    /// The first administrator: without verification or approval, whatever `[signup]` says.
    FirstAdministrator,
}
