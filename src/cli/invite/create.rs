//! `vestibule invite create`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{addresses, lifetime};
use crate::cli::admin_client::{AdminClient, ReasonArg};
use crate::cli::output::{CommandOutput, Failure, mention};
use crate::config::SignupMode;
use crate::control::{
    BoundInvitations, Command, InvitationLink, InvitationView, MailedInvitations, NewInvitations,
};
use crate::model::Email;

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The only address that may use it.
    #[arg(long)]
    email: Option<String>,
    /// A file with addresses in its first column (CSV), "-": standard input: an invitation for each.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["email", "count"])]
    csv: Option<PathBuf>,
    /// Mail them instead of printing their links.
    #[arg(long, conflicts_with = "count")]
    send: bool,
    /// The language of the mails, such as "ko".
    #[arg(long, value_name = "TAG", requires = "send")]
    lang: Option<String>,
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
    reason: ReasonArg,
}

impl Create {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        let emails = self.emails()?;
        if self.send && emails.is_empty() {
            return Err(Failure::usage("--send needs --email or --csv"));
        }
        if self.count > 1 && !emails.is_empty() {
            return Err(Failure::usage(
                "an address needs one invitation: leave out --count",
            ));
        }
        if client.config().signup.mode == SignupMode::Closed {
            mention(
                "warning: signup.mode is \"closed\": invitations serve nobody until it is \"invite\" or \"open\"",
            );
        }
        if self.send {
            return self.mail(emails, client).await;
        }
        let (groups, ttl) = (self.groups.into_iter().collect(), self.ttl);
        let command = if emails.is_empty() {
            Command::CreateInvitations(NewInvitations {
                email: None,
                groups,
                ttl,
                count: self.count,
            })
        } else {
            Command::CreateInvitationsFor(BoundInvitations { emails, groups, ttl })
        };
        let made: Vec<InvitationLink> = client.send_with_reason(command, self.reason).await?;
        CommandOutput::new(&document(&made)?, listed(&made))
    }

    async fn mail(self, emails: Vec<Email>, client: &AdminClient) -> Result<CommandOutput, Failure> {
        let new = MailedInvitations {
            emails,
            groups: self.groups.into_iter().collect(),
            ttl: self.ttl,
            language: self.lang,
        };
        let command = Command::MailInvitations(new);
        let made: Vec<InvitationView> = client.send_with_reason(command, self.reason).await?;
        let said = if client.runs() {
            "is invited by mail"
        } else {
            "is invited: the mail goes out once the gateway runs"
        };
        let lines: Vec<String> = made
            .iter()
            .filter_map(|invitation| invitation.email.as_ref())
            .map(|email| format!("{email} {said}"))
            .collect();
        CommandOutput::new(&json!({ "mailed": made }), lines.join("\n"))
    }

    fn emails(&self) -> Result<Vec<Email>, Failure> {
        match (&self.email, &self.csv) {
            (Some(text), _) => text
                .parse()
                .map(|email| vec![email])
                .map_err(|error| Failure::failed(format!("{text}: {error}"))),
            (None, Some(file)) => addresses::read(file),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// A link a line, behind its address if there are several addresses.
fn listed(made: &[InvitationLink]) -> String {
    let first = made.first().and_then(|made| made.invitation.email.as_ref());
    let are_for_several = made.iter().any(|made| made.invitation.email.as_ref() != first);
    let lines: Vec<String> = made
        .iter()
        .map(|made| match &made.invitation.email {
            Some(email) if are_for_several => format!("{email} {}", made.link),
            _ => made.link.clone(),
        })
        .collect();
    lines.join("\n")
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ids::InvitationId;
    use crate::model::InvitationKind;
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
}
