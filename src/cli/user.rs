//! `vestibule user …`

mod find;
mod import;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;

use super::answer::{Answer, Failure};
use super::gateway::{Gateway, Why};
use super::password::PasswordSource;
use super::table::{list, moment, printable, roughly};
use crate::clock::Clock;
use crate::control::{AccountDetails, AccountView, Command, NewUser, ResetLink, UserChange};
use crate::model::{Decision, Email, Standing, Username};

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add an account, verified and approved.
    Add {
        /// The e-mail address.
        email: String,
        /// The username; by default what stands before the @.
        #[arg(long)]
        username: Option<String>,
        /// The name to show.
        #[arg(long)]
        name: Option<String>,
        /// A group; may be repeated.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        #[command(flatten)]
        password: PasswordSource,
        #[command(flatten)]
        why: Why,
    },
    /// List accounts: all, or those that are looked for.
    List(find::List),
    /// Show an account.
    Show(Named),
    /// Let an account in that waits for approval.
    Approve(Changed),
    /// Do not let an account in that waits for approval.
    Decline(Changed),
    /// Shut an account out and end its sessions.
    Disable(Changed),
    /// Let a disabled account in again.
    Enable(Changed),
    /// Lift the lock of an account.
    Unlock(Changed),
    /// Delete an account; its username is never given to another.
    Delete(Changed),
    /// Give an account another password and end its sessions.
    SetPassword {
        #[command(flatten)]
        user: Changed,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Print a link with which an account's owner sets a new password: shown only once, good for an hour.
    ResetLink(Changed),
    /// Replace the groups of an account; without any, it is in none.
    SetGroups {
        #[command(flatten)]
        user: Changed,
        /// The groups.
        #[arg(value_name = "GROUP")]
        groups: Vec<String>,
        /// A group; may be repeated.
        #[arg(long = "group", value_name = "GROUP")]
        more: Vec<String>,
    },
    /// Add the accounts of a file of Apache's htpasswd with bcrypt hashes.
    Import(import::Import),
}

/// An account that exists.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The e-mail address, the username or the id.
    #[arg(value_name = "EMAIL")]
    user: String,
}

/// An account that is to be changed.
#[derive(Debug, clap::Args)]
pub(super) struct Changed {
    #[command(flatten)]
    account: Named,
    #[command(flatten)]
    why: Why,
}

impl User {
    pub(super) async fn run(self, gateway: &Gateway, json: bool) -> Result<Answer, Failure> {
        match self {
            Self::Add {
                email,
                username,
                name,
                groups,
                password,
                why,
            } => {
                let email: Email = email.parse().map_err(|error| refused(&email, error))?;
                let username = username
                    .map(|name| name.parse::<Username>().map_err(|error| refused(&name, error)))
                    .transpose()?;
                let new = NewUser {
                    email,
                    username,
                    name,
                    groups: groups.into_iter().collect(),
                    password: password.read()?,
                };
                let added: AccountView = gateway.ask_because(Command::AddUser(new), why).await?;
                let text = format!("{} is added, username {}", added.email, added.username);
                Answer::new(&added, text)
            }
            Self::List(list) => list.run(gateway).await,
            Self::Show(Named { user }) => {
                let details: AccountDetails = gateway.ask(Command::ShowUser(user)).await?;
                let text = described(&details);
                Answer::new(&details, text)
            }
            Self::Delete(Changed { account, why }) => {
                let command = Command::DeleteUser(account.user);
                let deleted: AccountView = gateway.ask_because(command, why).await?;
                let text = format!("{} is deleted; its username stays taken", deleted.email);
                Answer::new(&deleted, text)
            }
            Self::Approve(user) => change(gateway, user, UserChange::Approve, "is approved").await,
            Self::Decline(user) => change(gateway, user, UserChange::Decline, "is declined").await,
            Self::Disable(user) => {
                let said = "is disabled, its sessions are ended";
                change(gateway, user, UserChange::Disable, said).await
            }
            Self::Enable(user) => change(gateway, user, UserChange::Enable, "is enabled").await,
            Self::Unlock(user) => change(gateway, user, UserChange::Unlock, "is not locked").await,
            Self::SetPassword { user, password } => {
                let said = "has another password, its sessions are ended";
                change(gateway, user, UserChange::SetPassword(password.read()?), said).await
            }
            Self::ResetLink(Changed { account, why }) => {
                let command = Command::CreateResetLink(account.user);
                let made: ResetLink = gateway.ask_because(command, why).await?;
                let link = made.link.clone();
                Answer::new(&made, link)
            }
            Self::SetGroups { user, groups, more } => {
                let groups: BTreeSet<String> = groups.into_iter().chain(more).collect();
                let Changed { account, why } = user;
                let change = UserChange::SetGroups(groups);
                let user = account.user;
                let command = Command::ChangeUser { user, change };
                let changed: AccountView = gateway.ask_because(command, why).await?;
                let said = match changed.groups.len() {
                    0 => "is in no group".to_owned(),
                    _ => format!("is in {}", printable(&joined(&changed.groups))),
                };
                Answer::new(&changed, format!("{} {said}", changed.email))
            }
            Self::Import(import) => import.run(gateway, json).await,
        }
    }
}

async fn change(
    gateway: &Gateway,
    Changed { account, why }: Changed,
    change: UserChange,
    said: &str,
) -> Result<Answer, Failure> {
    let user = account.user;
    let command = Command::ChangeUser { user, change };
    let changed: AccountView = gateway.ask_because(command, why).await?;
    Answer::new(&changed, format!("{} {said}", changed.email))
}

fn described(details: &AccountDetails) -> String {
    let (account, now) = (&details.account, Clock::system().now());
    let locked = details
        .locked_for_seconds
        .map(|seconds| format!("for {}", roughly(Duration::from_secs(seconds))));
    let email = if account.email_verified {
        account.email.to_string()
    } else {
        format!("{} (not verified)", account.email)
    };
    let decision = account
        .decision
        .as_ref()
        .map(|decision| decided(decision, now))
        .unwrap_or_default();
    let before: Vec<&str> = account.former_usernames.iter().map(Username::as_str).collect();
    list([
        ("email", email),
        ("username", account.username.to_string()),
        ("before", before.join(", ")),
        ("name", account.name.clone().unwrap_or_default()),
        ("groups", joined(&account.groups)),
        ("standing", standing(account.standing).to_owned()),
        ("decided", decision),
        ("locked", locked.unwrap_or_else(|| "no".to_owned())),
        ("sessions", details.sessions.to_string()),
        ("created", moment(account.created_at, now)),
        ("password set", moment(account.password_changed_at, now)),
        ("id", account.id.to_string()),
    ])
}

fn decided(decision: &Decision, now: Timestamp) -> String {
    let when = moment(decision.at, now);
    match &decision.reason {
        Some(reason) => printable(&format!("{when} by {}: {reason}", decision.by)),
        None => printable(&format!("{when} by {}", decision.by)),
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::AwaitingApproval => "awaiting approval",
        Standing::Declined => "declined",
        Standing::Disabled => "disabled",
    }
}

fn joined(groups: &BTreeSet<String>) -> String {
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    groups.join(", ")
}

fn refused(value: &str, error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("{value}: {error}"))
}
