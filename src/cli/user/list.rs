//! `vestibule user list`: lists accounts.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::{joined, seen};
use crate::api::AccountList;
use crate::cli::admin_client::AdminClient;
use crate::cli::output::{CommandOutput, Failure, mention_unreadable};
use crate::cli::table::{moment, table};
use crate::clock::Clock;
use crate::control::{Command, USERS_A_PAGE};
use crate::model::AccountStatus;
use crate::services::{AccountFilter, AccountOrder, AccountQuery};

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
    /// Only accounts whose owner has not signed in for this long, such as "90d", and that are at least as old.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    inactive: Option<Duration>,
    /// The order: email, name, created or last-sign-in, with a - before it for the reverse [default: created, or with
    /// --search what begins with the text]
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true)]
    sort: Option<AccountOrder>,
    /// Print comma-separated values (RFC 4180), with a header. What a spreadsheet would run as a formula begins with "'".
    #[arg(long)]
    csv: bool,
    /// List at most this many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Continue after the `next` of a previous list, which `--json` prints.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
}

impl List {
    pub(super) async fn run(self, client: &AdminClient, json: bool) -> Result<CommandOutput, Failure> {
        if self.csv && json {
            return Err(Failure::usage("a list is either --csv or --json"));
        }
        let now = Clock::system().now();
        let list = self.find(client, now).await?;
        let accounts = &list.accounts;
        mention_unreadable(&list.unreadable);
        if self.csv {
            // What prints it adds the last line break.
            let csv = list.to_csv();
            return CommandOutput::new(&list, csv.trim_end_matches('\n').to_owned());
        }
        let rows = accounts.iter().map(|account| {
            [
                account.email.to_string(),
                account.username.to_string(),
                account.status.as_str().to_owned(),
                joined(&account.groups),
                seen(account.last_sign_in_at, now),
                moment(account.created_at, now),
            ]
        });
        let text = if !accounts.is_empty() {
            table(
                ["EMAIL", "USERNAME", "STATUS", "GROUPS", "LAST SIGN-IN", "CREATED"],
                rows,
            )
        } else if self.search.is_some()
            || self.group.is_some()
            || self.status.is_some()
            || self.inactive.is_some()
        {
            "No account matches.".to_owned()
        } else if self.waiting {
            "No account waits for approval.".to_owned()
        } else {
            "There are no accounts.".to_owned()
        };
        CommandOutput::new(&list, text)
    }

    /// Collects pages; one may be short, or empty, and still have a next one.
    async fn find(&self, client: &AdminClient, now: Timestamp) -> Result<AccountList, Failure> {
        let most = self.limit.map_or(usize::MAX, |limit| limit as usize);
        let waiting = self.waiting.then_some(AccountStatus::AwaitingApproval);
        let inactive_since = self
            .inactive
            .map(|time| now.checked_sub(time).unwrap_or(Timestamp::MIN));
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
                    inactive_since,
                },
                order: self.sort,
                after: list.next,
                before: None,
                limit: USERS_A_PAGE.min(most - list.accounts.len()),
            };
            let page: AccountList = client.send(Command::FindUsers(query)).await?;
            list.accounts.extend(page.accounts);
            list.unreadable.extend(page.unreadable);
            list.total_count = list.total_count.or(page.total_count);
            list.next = page.next;
            if list.next.is_none() || list.accounts.len() >= most {
                return Ok(list);
            }
        }
    }
}
