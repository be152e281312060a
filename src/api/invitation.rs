//! Invitations as JSON.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::csv;
use crate::ids::InvitationId;
use crate::model::{Email, Invitation, InvitationKind};
use crate::services::{InvitationOutcome, InvitationPage, IssuedInvitation, LoadedRows};

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
    /// What to call the owner of the account that it makes.
    pub name: Option<String>,
    /// The language of its mail, if one was asked for.
    pub language: Option<String>,
    /// Whether it is the approval too.
    pub approves: bool,
    /// Whether it was mailed to its address.
    pub mailed: bool,
    /// Who made it, by the name that the audit log has for them.
    pub created_by: Option<String>,
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
            name: invitation.name,
            language: invitation.language,
            approves: invitation.approves,
            mailed: invitation.mailed,
            created_by: invitation.created_by,
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
    /// The cursor of the next page; `None` at the end.
    pub next: Option<InvitationId>,
}

impl InvitationList {
    /// Formats the invitations as CSV: their titles, then a row each. No link is among them.
    pub fn to_csv(&self) -> String {
        let titles = [
            "email",
            "name",
            "groups",
            "language",
            "kind",
            "created_at",
            "created_by",
            "expires_at",
            "mailed",
            "approves",
            "id",
        ];
        let yes = |is: bool| if is { "true" } else { "false" };
        let mut text = csv::row(titles);
        for invitation in &self.invitations {
            let groups: Vec<&str> = invitation.groups.iter().map(String::as_str).collect();
            text.push_str(&csv::row([
                invitation.email.as_ref().map_or("", Email::as_str),
                invitation.name.as_deref().unwrap_or_default(),
                &groups.join(","),
                invitation.language.as_deref().unwrap_or_default(),
                match invitation.kind {
                    InvitationKind::Signup => "signup",
                    InvitationKind::FirstAdministrator => "first-administrator",
                },
                &invitation.created_at.to_string(),
                invitation.created_by.as_deref().unwrap_or_default(),
                &invitation.expires_at.to_string(),
                yes(invitation.mailed),
                yes(invitation.approves),
                &invitation.id.to_string(),
            ]));
        }
        text
    }
}

impl From<InvitationPage> for InvitationList {
    fn from(page: InvitationPage) -> Self {
        Self {
            invitations: page.invitations.into_iter().map(InvitationView::from).collect(),
            unreadable: page.unreadable,
            next: page.next,
        }
    }
}

impl From<LoadedRows<Invitation>> for InvitationList {
    fn from(invitations: LoadedRows<Invitation>) -> Self {
        Self {
            unreadable: invitations.unreadable_names(),
            invitations: invitations.sound.into_iter().map(InvitationView::from).collect(),
            next: None,
        }
    }
}

/// New invitations. Their links are shown only here; mailed ones have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedInvitations {
    /// The link of the first one.
    pub link: Option<String>,
    /// The invitations that were made.
    pub invitations: Vec<InvitationView>,
    /// Where none is to be made: those that would be.
    pub planned: Option<Vec<PlannedInvitation>>,
    /// The live invitations of addresses for which an identical one was asked for: they were not mailed again.
    pub unchanged: Vec<InvitationView>,
    /// The addresses that were passed over, since they have accounts.
    pub skipped: Vec<Email>,
}

/// An invitation that would be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedInvitation {
    /// The only address that it would serve, if it is bound to one.
    pub email: Option<Email>,
    /// What to call the owner of the account that it makes.
    pub name: Option<String>,
    /// The groups of that account.
    pub groups: BTreeSet<String>,
    /// The language of its mail, if one was asked for.
    pub language: Option<String>,
    /// Whether it would take the place of another one for its address.
    pub replaces: bool,
}

impl From<IssuedInvitation> for PlannedInvitation {
    fn from(
        IssuedInvitation {
            invitation, replaces, ..
        }: IssuedInvitation,
    ) -> Self {
        Self {
            email: invitation.email,
            name: invitation.name,
            groups: invitation.groups,
            language: invitation.language,
            replaces,
        }
    }
}

impl CreatedInvitations {
    /// What would be made, with nothing that was.
    pub fn planned(outcome: InvitationOutcome) -> Self {
        let planned = outcome.issued.into_iter().map(PlannedInvitation::from);
        Self {
            planned: Some(planned.collect()),
            ..Self::from(InvitationOutcome {
                issued: Vec::new(),
                unchanged: outcome.unchanged,
                skipped: outcome.skipped,
            })
        }
    }
}

impl From<InvitationOutcome> for CreatedInvitations {
    fn from(outcome: InvitationOutcome) -> Self {
        let view = |issued: IssuedInvitation| InvitationView {
            link: issued.link,
            ..InvitationView::from(issued.invitation)
        };
        let invitations: Vec<InvitationView> = outcome.issued.into_iter().map(view).collect();
        Self {
            link: invitations.first().and_then(|first| first.link.clone()),
            invitations,
            planned: None,
            unchanged: outcome.unchanged.into_iter().map(InvitationView::from).collect(),
            skipped: outcome.skipped,
        }
    }
}
