//! `vestibule lock …`: lists locks.

use clap::Subcommand;

use super::admin_client::AdminClient;
use super::output::{CommandOutput, Failure, mention_unreadable};
use super::table::table;
use crate::api::LocksView;
use crate::control::Command;

#[derive(Debug, Subcommand)]
pub(super) enum Lock {
    /// List the accounts and access keys that are locked now; `user unlock` unlocks an account.
    List,
}

impl Lock {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        let Self::List = self;
        let locks: LocksView = client.send(Command::ListLocks).await?;
        mention_unreadable(&locks.unreadable);
        CommandOutput::new(&locks, listed(&locks))
    }
}

fn listed(locks: &LocksView) -> String {
    let accounts = locks
        .accounts
        .iter()
        .map(|lock| (lock.email.to_string(), "account", lock.locked_for_seconds));
    let keys = locks
        .access_keys
        .iter()
        .map(|lock| (lock.access_key.to_string(), "access key", lock.locked_for_seconds));
    let rows: Vec<[String; 3]> = accounts
        .chain(keys)
        .map(|(name, kind, seconds)| [name, kind.to_owned(), minutes(seconds)])
        .collect();
    let text = if rows.is_empty() {
        "No account and no access key is locked.".to_owned()
    } else {
        table(["NAME", "KIND", "LEFT"], rows)
    };
    match locks.unknown_name_count {
        0 => text,
        1 => format!("{text}\n1 name is locked that belongs to nobody."),
        several => format!("{text}\n{several} names are locked that belong to nobody."),
    }
}

fn minutes(seconds: u64) -> String {
    match seconds.div_ceil(60) {
        1 => "1 minute".to_owned(),
        several => format!("{several} minutes"),
    }
}
