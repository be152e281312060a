//! Invitations.

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
    /// The link to hand out, where it was made just now and not mailed.
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

/// Invitations.
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

/// Invitations that were made just now. Their links are shown here and nowhere else; those that are mailed have none here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedInvitations {
    /// The first link, which of one invitation is all that is needed.
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
