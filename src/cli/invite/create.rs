//! `vestibule invite create`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{addresses, lifetime};
use crate::api::{CreatedInvitations, InvitationView};
use crate::cli::admin_client::{AdminClient, ReasonArg};
use crate::cli::group::mention_unnamed;
use crate::cli::output::{CommandOutput, Failure, mention};
use crate::config::SignupMode;
use crate::control::Command;
use crate::model::Email;
use crate::services::{Invitees, NewInvitations};

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The only e-mail address that can use the invitation.
    #[arg(long)]
    email: Option<String>,
    /// Create an invitation for each address in the first column of a CSV file; "-": standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["email", "count"])]
    csv: Option<PathBuf>,
    /// Mail the invitations instead of printing their links.
    #[arg(long, conflicts_with = "count")]
    send: bool,
    /// The language of the mails, such as "ko".
    #[arg(long, value_name = "TAG", requires = "send")]
    lang: Option<String>,
    /// A group for the new account; may be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// How long an invitation is valid, such as "12h" or "7d".
    #[arg(long, default_value = "7d", value_parser = lifetime)]
    ttl: Duration,
    /// How many invitations to create.
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
                "one address needs only one invitation: leave out --count",
            ));
        }
        if client.config().signup.mode == SignupMode::Closed {
            mention(
                "warning: signup.mode is \"closed\": invitations serve nobody until it is \"invite\" or \"open\"",
            );
        }
        let invitees = match (emails.is_empty(), self.send) {
            (true, _) => Invitees::Anyone(self.count),
            (false, false) => Invitees::Only(emails),
            (false, true) => Invitees::Mailed(emails),
        };
        let groups: BTreeSet<String> = self.groups.into_iter().collect();
        mention_unnamed(client.config(), &groups);
        let invitations = NewInvitations {
            invitees,
            groups,
            ttl: self.ttl,
        };
        let language = self.lang;
        let command = Command::Invite {
            invitations,
            language,
        };
        let created: CreatedInvitations = client.send_with_reason(command, self.reason).await?;
        let text = if self.send {
            mailed(&created.invitations, client.runs())
        } else {
            links(&created.invitations)
        };
        CommandOutput::new(&created, text)
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

/// Who is invited by mail, a line each.
fn mailed(invitations: &[InvitationView], runs: bool) -> String {
    let said = if runs {
        "is invited by mail"
    } else {
        "is invited: the mail goes out once the gateway runs"
    };
    let emails = invitations
        .iter()
        .filter_map(|invitation| invitation.email.as_ref());
    let lines: Vec<String> = emails.map(|email| format!("{email} {said}")).collect();
    lines.join("\n")
}

/// A link a line, behind its address if there are several addresses.
fn links(invitations: &[InvitationView]) -> String {
    let first = invitations.first().and_then(|first| first.email.as_ref());
    let are_for_several = invitations.iter().any(|other| other.email.as_ref() != first);
    let line = |invitation: &InvitationView| {
        let link = invitation.link.clone().unwrap_or_default();
        match &invitation.email {
            Some(email) if are_for_several => format!("{email} {link}"),
            _ => link,
        }
    };
    let lines: Vec<String> = invitations.iter().map(line).collect();
    lines.join("\n")
}
