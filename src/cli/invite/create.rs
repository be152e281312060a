//! `vestibule invite create`: creates invitations.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{addresses, joined, lifetime};
use crate::api::{CreatedInvitations, InvitationView, PlannedInvitation};
use crate::cli::admin_client::{AdminClient, ReasonArg};
use crate::cli::group::mention_unnamed;
use crate::cli::output::{CommandOutput, Failure, mention};
use crate::cli::table::printable;
use crate::config::SignupMode;
use crate::control::Command;
use crate::model::Email;
use crate::services::{Invitee, Invitees, NewInvitations};
use crate::text::Texts;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(in crate::cli) struct Create {
    /// The only e-mail address that can use the invitation.
    #[arg(long)]
    email: Option<String>,
    /// Create an invitation for each address of a CSV file whose first line may name the columns email, name, groups and
    /// language; otherwise the first column has the addresses. "-": standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["email", "count"])]
    csv: Option<PathBuf>,
    /// Mail the invitations instead of printing their links.
    #[arg(long, conflicts_with = "count")]
    send: bool,
    /// Mail those again who have an invitation already.
    #[arg(long, requires = "send")]
    resend: bool,
    /// Skip addresses that have an account; otherwise one of them refuses the command.
    #[arg(long)]
    skip_existing: bool,
    /// Print what would be created, and create nothing.
    #[arg(long)]
    dry_run: bool,
    /// Have accounts wait for approval, where signup.approval asks for it, even though their addresses are invited.
    #[arg(long)]
    needs_approval: bool,
    /// The language of the mails, such as "ko", of those for whom a file names none.
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
        let texts = Texts::load(&client.config().branding.folder);
        let texts = texts.map_err(|error| Failure::failed(error.to_string()))?;
        let people = self.people(&texts)?;
        if let Some(tag) = &self.lang {
            addresses::require_language(tag, &texts)
                .map_err(|fault| Failure::failed(format!("--lang: {fault}")))?;
        }
        if self.send && people.is_empty() {
            return Err(Failure::usage("--send needs --email or --csv"));
        }
        if self.count > 1 && !people.is_empty() {
            return Err(Failure::usage(
                "one address needs only one invitation: leave out --count",
            ));
        }
        let config = client.config();
        if config.signup.mode == SignupMode::Closed && !config.checks.accepts("signup.mode") {
            mention(
                "warning: signup.mode is \"closed\": invitations serve nobody until it is \"invite\" or \"open\"",
            );
        }
        let groups: BTreeSet<String> = self.groups.into_iter().collect();
        let all = people.iter().flat_map(|invitee| &invitee.groups).chain(&groups);
        mention_unnamed(client.config(), &all.cloned().collect());
        let invitations = NewInvitations {
            invitees: match (people.is_empty(), self.send) {
                (true, _) => Invitees::Anyone(self.count),
                (false, false) => Invitees::Only(people),
                (false, true) => Invitees::Mailed(people),
            },
            groups,
            ttl: self.ttl,
            needs_approval: self.needs_approval,
            resend: self.resend,
            skip_existing: self.skip_existing,
        };
        let language = self.lang;
        if self.dry_run {
            let command = Command::PlanInvitations {
                invitations,
                language,
            };
            let planned: CreatedInvitations = client.send(command).await?;
            return CommandOutput::new(&planned, plan(&planned));
        }
        let command = Command::Invite {
            invitations,
            language,
        };
        let created: CreatedInvitations = client.send_with_reason(command, self.reason).await?;
        let lines = if self.send {
            mailed(&created.invitations, client.runs())
        } else {
            links(&created.invitations)
        };
        let lines: Vec<String> = lines.into_iter().chain(left_out(&created)).collect();
        CommandOutput::new(&created, lines.join("\n"))
    }

    fn people(&self, texts: &Texts) -> Result<Vec<Invitee>, Failure> {
        match (&self.email, &self.csv) {
            (Some(text), _) => match text.parse::<Email>() {
                Ok(email) => Ok(vec![email.into()]),
                Err(error) => Err(Failure::failed(format!("{text}: {error}"))),
            },
            (None, Some(file)) => addresses::read(file, texts),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// Who would be invited, a line each.
fn plan(planned: &CreatedInvitations) -> String {
    let line = |invitation: &PlannedInvitation| {
        let mut line = match &invitation.email {
            Some(email) => format!("{email} would be invited"),
            None => "anybody would be invited".to_owned(),
        };
        for (what, value) in [
            ("as", invitation.name.clone()),
            (
                "groups",
                Some(joined(&invitation.groups)).filter(|groups| !groups.is_empty()),
            ),
            ("language", invitation.language.clone()),
        ] {
            if let Some(value) = value {
                let _ = write!(line, ", {what} {value}");
            }
        }
        if invitation.replaces {
            line.push_str(", in place of an earlier invitation");
        }
        printable(&line)
    };
    let lines = planned.planned.iter().flatten().map(line);
    let lines: Vec<String> = lines.chain(left_out(planned)).collect();
    lines.join("\n")
}

/// Who is invited by mail, a line each.
fn mailed(invitations: &[InvitationView], runs: bool) -> Vec<String> {
    let said = if runs {
        "is invited by mail"
    } else {
        "is invited: the mail goes out once the gateway runs"
    };
    let emails = invitations
        .iter()
        .filter_map(|invitation| invitation.email.as_ref());
    emails.map(|email| format!("{email} {said}")).collect()
}

/// Who is not invited, and why, a line each.
fn left_out(created: &CreatedInvitations) -> Vec<String> {
    let unchanged = created
        .unchanged
        .iter()
        .filter_map(|invitation| invitation.email.as_ref());
    let unchanged =
        unchanged.map(|email| format!("{email} is invited already; --resend mails the invitation again"));
    let skipped = created
        .skipped
        .iter()
        .map(|email| format!("{email} has an account"));
    unchanged.chain(skipped).collect()
}

/// A line for each link, behind its address if there are several addresses.
fn links(invitations: &[InvitationView]) -> Vec<String> {
    let first = invitations.first().and_then(|first| first.email.as_ref());
    let are_for_several = invitations.iter().any(|other| other.email.as_ref() != first);
    let line = |invitation: &InvitationView| {
        let link = invitation.link.clone().unwrap_or_default();
        match &invitation.email {
            Some(email) if are_for_several => format!("{email} {link}"),
            _ => link,
        }
    };
    invitations.iter().map(line).collect()
}
