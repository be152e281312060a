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
    /// What to call the owner of the account that it makes.
    pub name: Option<String>,
    /// The language of its mail, if one was asked for (BCP 47).
    pub language: Option<String>,
    /// Whether it is the approval too: an administrator chose the address.
    pub approves: bool,
    /// Whether it was mailed to its address.
    pub mailed: bool,
    /// Its creator, by the name in the audit log.
    pub created_by: Option<String>,
}

impl Invitation {
    /// An unbound invitation without groups.
    pub fn new(
        id: InvitationId,
        digest: TokenDigest,
        kind: InvitationKind,
        created_at: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            id,
            digest,
            kind,
            email: None,
            groups: BTreeSet::new(),
            created_at,
            expires_at,
            name: None,
            language: None,
            approves: false,
            mailed: false,
            created_by: None,
        }
    }

    /// Whether both are for one address and make equal accounts; their links, times and languages may differ.
    pub fn offers_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.email == other.email
            && self.groups == other.groups
            && self.name == other.name
            && self.approves == other.approves
    }
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
