//! Invitations as JSON.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::InvitationId;
use crate::model::{Email, Invitation, InvitationKind};
use crate::services::{IssuedInvitation, LoadedRows};

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationView {
    /// Its id.
    pub id: InvitationId,
    /// Whether it is for sign-up or for the first administrator.
    pub kind: InvitationKind,
    /// The only address that may use it, if it is bound to one.
    pub email: Option<Email>,
    /// The groups of the account that signs up with it.
    pub groups: BTreeSet<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The link, only of a new invitation that was not mailed.
    pub link: Option<String>,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            kind: invitation.kind,
            email: invitation.email,
            groups: invitation.groups,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            link: None,
        }
    }
}

/// A list of invitations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationList {
    /// The invitations, the oldest first.
    pub invitations: Vec<InvitationView>,
    /// Which could not be read, and why: they stand in no other's way.
    pub unreadable: Vec<String>,
}

impl From<LoadedRows<Invitation>> for InvitationList {
    fn from(invitations: LoadedRows<Invitation>) -> Self {
        Self {
            unreadable: invitations.unreadable_names(),
            invitations: invitations.sound.into_iter().map(InvitationView::from).collect(),
        }
    }
}

/// New invitations. Their links are shown only here; mailed ones have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedInvitations {
    /// The link of the first one.
    pub link: Option<String>,
    /// The invitations.
    pub invitations: Vec<InvitationView>,
}

impl From<Vec<IssuedInvitation>> for CreatedInvitations {
    fn from(issued: Vec<IssuedInvitation>) -> Self {
        let view = |IssuedInvitation { invitation, link }| InvitationView {
            link,
            ..InvitationView::from(invitation)
        };
        let invitations: Vec<InvitationView> = issued.into_iter().map(view).collect();
        Self {
            link: invitations.first().and_then(|first| first.link.clone()),
            invitations,
        }
    }
}
