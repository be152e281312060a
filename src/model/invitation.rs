//! Invitations: single-use links that let their receiver sign up.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Email, Maker, TokenDigest};
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
    /// The administrator who created it. The invitation is valid as long as they are one.
    pub maker: Option<Maker>,
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
            maker: None,
        }
    }

    /// Whether both are for one address and make equal accounts, and this one rests on no other right than `other`, which
    /// somebody else may lose. Their links, times and languages may differ.
    pub fn offers_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.email == other.email
            && self.groups == other.groups
            && self.name == other.name
            && self.approves == other.approves
            && (self.maker.is_none() || self.maker == other.maker)
    }
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
