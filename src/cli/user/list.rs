//! `vestibule user list`

use clap::Args;

use super::{joined, status};
use crate::cli::admin_client::AdminClient;
use crate::cli::output::{CommandOutput, Failure, mention};
use crate::cli::table::{moment, table};
use crate::clock::Clock;
use crate::control::{AccountView, Command, FoundUsers, USERS_A_PAGE, UserQuery};
use crate::model::AccountStatus;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only those that wait for approval.
    #[arg(long, conflicts_with = "standing")]
    waiting: bool,
    /// Only those whose address, username or name, or a word of it, begins with this.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those in this group.
    #[arg(long)]
    group: Option<String>,
    /// Only those that stand there: active, awaiting-approval, declined or disabled.
    #[arg(long, value_parser = read_standing)]
    standing: Option<AccountStatus>,
    /// No more than so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl List {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        let accounts = self.find(client).await?;
        let now = Clock::system().now();
        let rows = accounts.iter().map(|account| {
            [
                account.email.to_string(),
                account.username.to_string(),
                status(account.standing).to_owned(),
                joined(&account.groups),
                moment(account.created_at, now),
            ]
        });
        let text = if !accounts.is_empty() {
            table(["EMAIL", "USERNAME", "STANDING", "GROUPS", "CREATED"], rows)
        } else if self.search.is_some() || self.group.is_some() || self.standing.is_some() {
            "There are no such accounts.".to_owned()
        } else if self.waiting {
            "Nobody waits for approval.".to_owned()
        } else {
            "There are no accounts.".to_owned()
        };
        CommandOutput::new(&accounts, text)
    }

    /// A page may be short, or empty, and still have a next one.
    async fn find(&self, client: &AdminClient) -> Result<Vec<AccountView>, Failure> {
        let most = self.limit.map_or(usize::MAX, |limit| limit as usize);
        let waiting = self.waiting.then_some(AccountStatus::AwaitingApproval);
        let mut accounts: Vec<AccountView> = Vec::new();
        let mut after = None;
        loop {
            let query = UserQuery {
                text: self.search.clone(),
                standing: self.standing.or(waiting),
                group: self.group.clone(),
                after,
                limit: USERS_A_PAGE.min(most - accounts.len()),
            };
            let page: FoundUsers = client.send(Command::FindUsers(query)).await?;
            accounts.extend(page.users);
            for which in page.unreadable {
                mention(format_args!("cannot be read: {which}"));
            }
            after = page.next;
            if after.is_none() || accounts.len() >= most {
                return Ok(accounts);
            }
        }
    }
}

fn read_standing(name: &str) -> Result<AccountStatus, &'static str> {
    match name {
        "active" => Ok(AccountStatus::Active),
        "awaiting-approval" => Ok(AccountStatus::AwaitingApproval),
        "declined" => Ok(AccountStatus::Declined),
        "disabled" => Ok(AccountStatus::Disabled),
        _ => Err("active, awaiting-approval, declined or disabled"),
    }
}
