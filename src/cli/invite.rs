//! `vestibule invite …`: creates, lists and revokes invitations.

mod addresses;
mod create;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::admin_client::{AdminClient, ReasonArg};
use super::output::{CommandOutput, Failure, mention_unreadable};
use super::table::{moment, table};
use crate::api::{InvitationList, InvitationView};
use crate::clock::Clock;
use crate::control::Command;
use crate::ids::InvitationId;
use crate::model::{Email, InvitationKind};
use crate::services::LONGEST_INVITATION;

#[derive(Debug, Subcommand)]
pub(super) enum Invite {
    /// Create invitations and print their links, which are shown only once.
    Create(create::Create),
    /// List the invitations that can still be used.
    List {
        /// Print CSV.
        #[arg(long)]
        csv: bool,
    },
    /// Revoke an invitation.
    Revoke {
        /// The id of the invitation.
        id: String,
        #[command(flatten)]
        reason: ReasonArg,
    },
}

impl Invite {
    pub(super) async fn run(self, client: &AdminClient, json: bool) -> Result<CommandOutput, Failure> {
        match self {
            Self::Create(create) => create.run(client).await,
            Self::List { csv } => {
                if csv && json {
                    return Err(Failure::usage("a list is either --csv or --json"));
                }
                let list: InvitationList = client.send(Command::ListInvitations).await?;
                mention_unreadable(&list.unreadable);
                if csv {
                    // What prints it adds the last line break.
                    let table = list.to_csv();
                    return CommandOutput::new(&list, table.trim_end_matches('\n').to_owned());
                }
                CommandOutput::new(&list, listed(&list.invitations))
            }
            Self::Revoke { id, reason: why } => {
                let id: InvitationId = id.parse().map_err(|_| {
                    Failure::failed(format!("{id} is not an id; `vestibule invite list` shows them"))
                })?;
                let revoked: InvitationId = client
                    .send_with_reason(Command::RevokeInvitation(id), why)
                    .await?;
                CommandOutput::new(&json!({ "revoked": revoked }), format!("{revoked} is revoked"))
            }
        }
    }
}

fn listed(invitations: &[InvitationView]) -> String {
    if invitations.is_empty() {
        return "There are no invitations.".to_owned();
    }
    let now = Clock::system().now();
    let rows = invitations.iter().map(|invitation| {
        [
            invitation.id.to_string(),
            kind(invitation.kind).to_owned(),
            invitation
                .email
                .as_ref()
                .map_or("anybody".to_owned(), Email::to_string),
            joined(&invitation.groups),
            moment(invitation.expires_at, now),
        ]
    });
    table(["ID", "FOR", "EMAIL", "GROUPS", "EXPIRES"], rows)
}

fn joined(groups: &BTreeSet<String>) -> String {
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    groups.join(", ")
}

fn kind(kind: InvitationKind) -> &'static str {
    match kind {
        InvitationKind::Signup => "signup",
        InvitationKind::FirstAdministrator => "first administrator",
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("an invitation must be valid for longer than that".to_owned()),
        Ok(ttl) if ttl > LONGEST_INVITATION => Err("at most ten years".to_owned()),
        Ok(ttl) => Ok(ttl),
        Err(error) => Err(format!("not a duration such as \"7d\": {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_lasts_for_a_time_that_makes_sense() {
        assert_eq!(lifetime("7d"), Ok(Duration::from_hours(7 * 24)));
        for text in ["0s", "100years", "7", "-1d", ""] {
            assert!(lifetime(text).is_err(), "{text:?}");
        }
    }
}
