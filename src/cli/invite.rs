//! `vestibule invite …`

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::gateway::{Gateway, Why};
use super::table::{moment, table};
use crate::clock::Clock;
use crate::config::SignupMode;
use crate::control::{Command, InvitationLink, InvitationView, NewInvitations};
use crate::ids::InvitationId;
use crate::model::{Email, InvitationKind};

#[derive(Debug, Subcommand)]
pub(super) enum Invite {
    /// Make invitations and print their links, which are shown only once.
    Create {
        /// The only address that may use it.
        #[arg(long)]
        email: Option<String>,
        /// A group of the new account; may be repeated.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// How long it lasts, such as "12h" or "7d".
        #[arg(long, default_value = "7d", value_parser = lifetime)]
        ttl: Duration,
        /// How many.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
        #[command(flatten)]
        why: Why,
    },
    /// List the invitations that are good for something.
    List,
    /// Revoke an invitation.
    Revoke {
        /// Its id.
        id: String,
        #[command(flatten)]
        why: Why,
    },
}

impl Invite {
    pub(super) async fn run(self, gateway: &Gateway) -> Result<Answer, Failure> {
        match self {
            Self::Create {
                email,
                groups,
                ttl,
                count,
                why,
            } => {
                let email = email
                    .map(|text| {
                        text.parse::<Email>()
                            .map_err(|error| Failure::failed(format!("{text}: {error}")))
                    })
                    .transpose()?;
                if gateway.config().signup.mode == SignupMode::Closed {
                    eprintln!(
                        "warning: signup.mode is \"closed\": invitations serve nobody until it is \"invite\" or \"open\""
                    );
                }
                let new = NewInvitations {
                    email,
                    groups: groups.into_iter().collect(),
                    ttl,
                    count,
                };
                let made: Vec<InvitationLink> =
                    gateway.ask_because(Command::CreateInvitations(new), why).await?;
                let links: Vec<&str> = made.iter().map(|made| made.link.as_str()).collect();
                Answer::new(&document(&made)?, links.join("\n"))
            }
            Self::List => {
                let invitations: Vec<InvitationView> = gateway.ask(Command::ListInvitations).await?;
                Answer::new(&invitations, listed(&invitations))
            }
            Self::Revoke { id, why } => {
                let id: InvitationId = id.parse().map_err(|_| {
                    Failure::failed(format!("{id} is not an id; `vestibule invite list` shows them"))
                })?;
                let revoked: InvitationId = gateway.ask_because(Command::RevokeInvitation(id), why).await?;
                Answer::new(&json!({ "revoked": revoked }), format!("{revoked} is revoked"))
            }
        }
    }
}

/// One invitation is a document of its own; of several, the first link still is where that of one would be.
fn document(made: &[InvitationLink]) -> Result<Value, Failure> {
    let document = match made {
        [one] => serde_json::to_value(one),
        several => serde_json::to_value(several).map(|invitations| {
            let links: Vec<&str> = several.iter().map(|made| made.link.as_str()).collect();
            json!({ "link": links.first(), "links": links, "invitations": invitations })
        }),
    };
    document.map_err(|error| Failure::failed(error.to_string()))
}

fn listed(invitations: &[InvitationView]) -> String {
    if invitations.is_empty() {
        return "There are no invitations.".to_owned();
    }
    let now = Clock::system().now();
    let rows = invitations.iter().map(|invitation| {
        let groups: Vec<&str> = invitation.groups.iter().map(String::as_str).collect();
        [
            invitation.id.to_string(),
            kind(invitation.kind).to_owned(),
            invitation
                .email
                .as_ref()
                .map_or("anybody".to_owned(), Email::to_string),
            groups.join(", "),
            moment(invitation.expires_at, now),
        ]
    });
    table(["ID", "FOR", "EMAIL", "GROUPS", "EXPIRES"], rows)
}

fn kind(kind: InvitationKind) -> &'static str {
    match kind {
        InvitationKind::Signup => "signup",
        InvitationKind::FirstAdministrator => "first administrator",
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("an invitation lasts longer than that".to_owned()),
        Ok(ttl) if ttl > Duration::from_hours(24 * 3660) => Err("at most ten years".to_owned()),
        Ok(ttl) => Ok(ttl),
        Err(error) => Err(format!("not a duration such as \"7d\": {error}")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::random::Random;

    fn made(link: &str) -> InvitationLink {
        InvitationLink {
            link: link.to_owned(),
            invitation: InvitationView {
                id: InvitationId::new(Timestamp::UNIX_EPOCH, &Random::seeded(1)),
                kind: InvitationKind::Signup,
                email: Some("ann@example.com".parse().unwrap()),
                groups: ["ops".to_owned()].into(),
                created_at: Timestamp::UNIX_EPOCH,
                expires_at: Timestamp::UNIX_EPOCH + Duration::from_hours(1),
            },
        }
    }

    #[test]
    fn one_invitation_is_a_document_of_its_own() {
        let document = document(&[made("https://localhost/a")]).unwrap();
        assert_eq!(document["link"], "https://localhost/a");
        assert_eq!(document["email"], "ann@example.com");
        assert_eq!(document["groups"], json!(["ops"]));
        assert_eq!(document["expires_at"], "1970-01-01T01:00:00Z");
        assert!(document["id"].is_string());
    }

    #[test]
    fn several_invitations_are_lists_beside_the_first_link() {
        let document = document(&[made("https://localhost/a"), made("https://localhost/b")]).unwrap();
        assert_eq!(document["link"], "https://localhost/a");
        assert_eq!(
            document["links"],
            json!(["https://localhost/a", "https://localhost/b"])
        );
        assert_eq!(document["invitations"][1]["link"], "https://localhost/b");
    }

    #[test]
    fn an_invitation_lasts_for_a_time_that_makes_sense() {
        assert_eq!(lifetime("7d"), Ok(Duration::from_hours(7 * 24)));
        for text in ["0s", "100years", "7", "-1d", ""] {
            assert!(lifetime(text).is_err(), "{text:?}");
        }
    }
}
