//! `vestibule user …`: manages accounts.

mod import;
mod list;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;

use super::admin_client::{AdminClient, ReasonArg};
use super::confirm::{Confirmation, ask};
use super::group::mention_unnamed;
use super::output::{CommandOutput, Failure};
use super::password::PasswordSource;
use super::table::{list, moment, printable, roughly};
use crate::api::{AccountDetails, AccountView, AddedAccount, ResetLink};
use crate::clock::Clock;
use crate::control::Command;
use crate::model::{Decision, Email, Username};
use crate::services::{AccountChange, InitialPassword, NewAccount, PasswordLink};

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add an account, already verified and approved.
    Add {
        /// The e-mail address.
        email: String,
        /// The username [default: the first part of the address]
        #[arg(long)]
        username: Option<String>,
        /// The display name.
        #[arg(long)]
        name: Option<String>,
        /// A group; may be repeated.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        #[command(flatten)]
        password: PasswordSource,
        /// Set no password, and print a link that sets one; it is shown only once and works for one hour.
        #[arg(long, conflicts_with_all = ["password_stdin", "password_hash"])]
        link: bool,
        /// Set no password, and mail the owner a link that sets one; it works for one hour.
        #[arg(long, conflicts_with_all = ["password_stdin", "password_hash", "link"])]
        send_link: bool,
        #[command(flatten)]
        reason: ReasonArg,
    },
    /// List accounts: all, or those that match.
    List(list::List),
    /// Show an account.
    Show(AccountArg),
    /// Approve an account that waits for approval or was declined.
    Approve(AccountChangeArgs),
    /// Decline an account that waits for approval.
    Decline(AccountChangeArgs),
    /// Disable an account and end its sessions.
    Disable(AccountChangeArgs),
    /// Enable a disabled account.
    Enable(AccountChangeArgs),
    /// Unlock an account that is locked after failed attempts.
    Unlock(AccountChangeArgs),
    /// Delete an account; its username is never given to another account. Asks on a terminal.
    Delete {
        #[command(flatten)]
        user: AccountChangeArgs,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Set a new password for an account and end its sessions.
    SetPassword {
        #[command(flatten)]
        user: AccountChangeArgs,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Print a link that lets the account's owner set a new password; it is shown only once and works for one hour.
    ResetLink(AccountChangeArgs),
    /// Add an account to groups and remove it from groups, or replace all its groups; without groups, remove it from all.
    SetGroups {
        #[command(flatten)]
        user: AccountChangeArgs,
        /// The new groups, in place of those that it has.
        #[arg(value_name = "GROUP", conflicts_with_all = ["add", "remove"])]
        groups: Vec<String>,
        /// One of the new groups; may be repeated.
        #[arg(long = "group", value_name = "GROUP", conflicts_with_all = ["add", "remove"])]
        more: Vec<String>,
        /// Add it to this group and keep the others; may be repeated.
        #[arg(long, value_name = "GROUP")]
        add: Vec<String>,
        /// Remove it from this group and keep the others; may be repeated.
        #[arg(long, value_name = "GROUP")]
        remove: Vec<String>,
    },
    /// Set or, with "", remove an account's display name.
    SetName {
        #[command(flatten)]
        user: AccountChangeArgs,
        /// The name.
        name: String,
    },
    /// Change an account's e-mail address; the new one counts as verified, and the former one is told by mail.
    SetEmail {
        #[command(flatten)]
        user: AccountChangeArgs,
        /// The new address.
        new: String,
    },
    /// Import accounts from an Apache htpasswd file with bcrypt hashes.
    Import(import::UserImport),
}

/// An account that exists.
#[derive(Debug, clap::Args)]
pub(super) struct AccountArg {
    /// The e-mail address, the username or the id.
    #[arg(value_name = "EMAIL")]
    user: String,
}

/// An account that is to be changed.
#[derive(Debug, clap::Args)]
pub(super) struct AccountChangeArgs {
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    reason: ReasonArg,
}

impl User {
    pub(super) async fn run(self, client: &AdminClient, json: bool) -> Result<CommandOutput, Failure> {
        match self {
            Self::Add {
                email,
                username,
                name,
                groups,
                password,
                link,
                send_link,
                reason: why,
            } => {
                let username = username
                    .map(|name| name.parse::<Username>().map_err(|error| invalid(&name, error)))
                    .transpose()?;
                let new = NewAccount {
                    email: email.parse().map_err(|error| invalid(&email, error))?,
                    username,
                    name,
                    groups: groups.into_iter().collect(),
                    password: match (link, send_link) {
                        (true, _) => InitialPassword::ByLink(PasswordLink::HandedOver),
                        (_, true) => InitialPassword::ByLink(PasswordLink::Mailed),
                        _ => InitialPassword::Set(password.read()?),
                    },
                };
                add(client, new, send_link, why).await
            }
            Self::List(list) => list.run(client, json).await,
            Self::Show(AccountArg { user }) => {
                let details: AccountDetails = client.send(Command::ShowUser(user)).await?;
                let text = described(&details);
                CommandOutput::new(&details, text)
            }
            Self::Delete { user, confirmation } => delete(client, user, confirmation).await,
            Self::Approve(user) => change(client, user, AccountChange::Approve, "is approved").await,
            Self::Decline(user) => change(client, user, AccountChange::Decline, "is declined").await,
            Self::Disable(user) => {
                let said = "is disabled, and its sessions have ended";
                change(client, user, AccountChange::Disable, said).await
            }
            Self::Enable(user) => change(client, user, AccountChange::Enable, "is enabled").await,
            Self::Unlock(user) => change(client, user, AccountChange::Unlock, "is not locked").await,
            Self::SetPassword { user, password } => {
                let said = "has a new password, and its sessions have ended";
                change(client, user, AccountChange::SetPassword(password.read()?), said).await
            }
            Self::ResetLink(AccountChangeArgs { account, reason: why }) => {
                let command = Command::CreateResetLink(account.user);
                let made: ResetLink = client.send_with_reason(command, why).await?;
                let link = made.link.clone();
                CommandOutput::new(&made, link)
            }
            Self::SetGroups {
                user,
                groups,
                more,
                add,
                remove,
            } => {
                let change = if add.is_empty() && remove.is_empty() {
                    AccountChange::SetGroups(groups.into_iter().chain(more).collect())
                } else {
                    edit_of_groups(add, remove)?
                };
                if let AccountChange::SetGroups(given) | AccountChange::EditGroups { add: given, .. } =
                    &change
                {
                    mention_unnamed(client.config(), given);
                }
                let AccountChangeArgs { account, reason: why } = user;
                let user = account.user;
                let command = Command::ChangeUser { user, change };
                let changed: AccountView = client.send_with_reason(command, why).await?;
                let said = match changed.groups.len() {
                    0 => "is in no group".to_owned(),
                    _ => format!("is in {}", printable(&joined(&changed.groups))),
                };
                CommandOutput::new(&changed, format!("{} {said}", changed.email))
            }
            Self::SetName { user, name } => {
                let said = if name.trim().is_empty() {
                    "has no name"
                } else {
                    "has the name"
                };
                change(client, user, AccountChange::SetName(name), said).await
            }
            Self::SetEmail { user, new } => {
                let email: Email = new.parse().map_err(|error| invalid(&new, error))?;
                change(client, user, AccountChange::SetEmail(email), "is the address now").await
            }
            Self::Import(import) => import.run(client, json).await,
        }
    }
}

async fn add(
    client: &AdminClient,
    new: NewAccount,
    is_mailed: bool,
    why: ReasonArg,
) -> Result<CommandOutput, Failure> {
    mention_unnamed(client.config(), &new.groups);
    let added: AddedAccount = client.send_with_reason(Command::AddUser(new), why).await?;
    let account = &added.account;
    let mut text = format!("{} is added, username {}", account.email, account.username);
    if let Some(link) = &added.link {
        text = format!("{text}; this link sets the password:\n{link}");
    } else if is_mailed {
        text.push_str("; the link that sets the password is mailed");
    }
    CommandOutput::new(&added, text)
}

fn edit_of_groups(add: Vec<String>, remove: Vec<String>) -> Result<AccountChange, Failure> {
    if let Some(both) = add.iter().find(|group| remove.contains(group)) {
        return Err(Failure::usage(format!("{both} is both added and removed")));
    }
    Ok(AccountChange::EditGroups {
        add: add.into_iter().collect(),
        remove: remove.into_iter().collect(),
    })
}

async fn delete(
    client: &AdminClient,
    AccountChangeArgs { account, reason: why }: AccountChangeArgs,
    confirmation: Confirmation,
) -> Result<CommandOutput, Failure> {
    let user = account.user;
    if confirmation.must_ask("the deletion of an account")? {
        let shown = client.send(Command::ShowUser(user.clone())).await;
        let details: AccountDetails = shown
            .map_err(|failure| failure.after("nothing was deleted; with --yes it is not shown first"))?;
        let (account, count) = (&details.account, details.session_count);
        ask(&printable(&format!(
            "Delete {} (username {}, {count} session{})? This cannot be undone, and the username stays taken.",
            account.email,
            account.username,
            if count == 1 { "" } else { "s" },
        )))?;
    }
    let deleted: AccountView = client.send_with_reason(Command::DeleteUser(user), why).await?;
    let text = format!("{} is deleted; its username stays taken", deleted.email);
    CommandOutput::new(&deleted, text)
}

async fn change(
    client: &AdminClient,
    AccountChangeArgs { account, reason: why }: AccountChangeArgs,
    change: AccountChange,
    said: &str,
) -> Result<CommandOutput, Failure> {
    let user = account.user;
    let command = Command::ChangeUser { user, change };
    let changed: AccountView = client.send_with_reason(command, why).await?;
    CommandOutput::new(&changed, format!("{} {said}", changed.email))
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
        ("status", account.status.as_str().to_owned()),
        ("decided", decision),
        ("locked", locked.unwrap_or_else(|| "no".to_owned())),
        ("sessions", details.session_count.to_string()),
        ("last sign-in", seen(account.last_sign_in_at, now)),
        ("created", moment(account.created_at, now)),
        ("password set", moment(account.password_changed_at, now)),
        ("id", account.id.to_string()),
    ])
}

fn seen(last_sign_in_at: Option<Timestamp>, now: Timestamp) -> String {
    last_sign_in_at.map_or("never".to_owned(), |at| moment(at, now))
}

fn decided(decision: &Decision, now: Timestamp) -> String {
    let when = moment(decision.at, now);
    match &decision.reason {
        Some(reason) => printable(&format!("{when} by {}: {reason}", decision.by)),
        None => printable(&format!("{when} by {}", decision.by)),
    }
}

fn joined(groups: &BTreeSet<String>) -> String {
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    groups.join(", ")
}

fn invalid(value: &str, error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("{value}: {error}"))
}
