//! `vestibule user list`

use clap::Args;

use super::joined;
use crate::api::AccountList;
use crate::cli::admin_client::AdminClient;
use crate::cli::output::{CommandOutput, Failure, mention};
use crate::cli::table::{moment, table};
use crate::clock::Clock;
use crate::control::{AccountQuery, Command, USERS_A_PAGE};
use crate::model::AccountStatus;
use crate::services::AccountFilter;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only accounts that wait for approval.
    #[arg(long, conflicts_with = "status")]
    waiting: bool,
    /// Only accounts whose e-mail address, username, name, or a word of the name, begins with this.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only accounts in this group.
    #[arg(long)]
    group: Option<String>,
    /// Only accounts with this status: awaiting-approval, active, disabled or declined.
    #[arg(long)]
    status: Option<AccountStatus>,
    /// List at most this many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Continue after the `next` of a previous list, which `--json` prints.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
}

impl List {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        let list = self.find(client).await?;
        let accounts = &list.accounts;
        for which in &list.unreadable {
            mention(format_args!("cannot be read: {which}"));
        }
        let now = Clock::system().now();
        let rows = accounts.iter().map(|account| {
            [
                account.email.to_string(),
                account.username.to_string(),
                account.status.as_str().to_owned(),
                joined(&account.groups),
                moment(account.created_at, now),
            ]
        });
        let text = if !accounts.is_empty() {
            table(["EMAIL", "USERNAME", "STATUS", "GROUPS", "CREATED"], rows)
        } else if self.search.is_some() || self.group.is_some() || self.status.is_some() {
            "No account matches.".to_owned()
        } else if self.waiting {
            "No account waits for approval.".to_owned()
        } else {
            "There are no accounts.".to_owned()
        };
        CommandOutput::new(&list, text)
    }

    /// A page may be short, or empty, and still have a next one.
    async fn find(&self, client: &AdminClient) -> Result<AccountList, Failure> {
        let most = self.limit.map_or(usize::MAX, |limit| limit as usize);
        let waiting = self.waiting.then_some(AccountStatus::AwaitingApproval);
        let mut list = AccountList {
            next: self.after.clone(),
            ..AccountList::default()
        };
        loop {
            let query = AccountQuery {
                filter: AccountFilter {
                    text: self.search.clone(),
                    status: self.status.or(waiting),
                    group: self.group.clone(),
                },
                after: list.next,
                limit: USERS_A_PAGE.min(most - list.accounts.len()),
            };
            let page: AccountList = client.send(Command::FindUsers(query)).await?;
            list.accounts.extend(page.accounts);
            list.unreadable.extend(page.unreadable);
            list.next = page.next;
            if list.next.is_none() || list.accounts.len() >= most {
                return Ok(list);
            }
        }
    }
}
