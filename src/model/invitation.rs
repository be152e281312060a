//! An invitation.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Email, TokenDigest};
use crate::ids::InvitationId;

/// Leave to make one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its public name, for lists and for revoking.
    pub id: InvitationId,
    /// What the store knows of its token.
    pub digest: TokenDigest,
    /// What it is good for.
    pub kind: InvitationKind,
    /// The only address that it serves, if it is bound to one.
    pub email: Option<Email>,
    /// The groups of the account that it makes.
    pub groups: BTreeSet<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment it serves nobody.
    pub expires_at: Timestamp,
}

/// What an invitation is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvitationKind {
    /// One signup, under the rules of `[signup]`.
    Signup,
    /// The first administrator: whatever `[signup]` says, without verification or approval.
    FirstAdministrator,
}
