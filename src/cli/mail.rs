//! `vestibule mail …`: lists queued mails, sends them now and drops them.

use clap::Subcommand;
use serde_json::json;

use super::admin_client::{AdminClient, ReasonArg};
use super::output::{CommandOutput, Failure, mention_unreadable};
use super::table::{moment, table};
use crate::api::{MailList, MailView, ResentMails};
use crate::clock::Clock;
use crate::control::Command;
use crate::ids::MailId;

#[derive(Debug, Subcommand)]
pub(super) enum Mail {
    /// List mails that are waiting to be sent or have failed permanently.
    List,
    /// Resend a failed mail, with a new link if it contains one, or send a waiting one now.
    SendAgain {
        /// The id of the mail, or an address: all failed mails to it.
        #[arg(value_name = "ID|ADDRESS")]
        mail: String,
        #[command(flatten)]
        reason: ReasonArg,
    },
    /// Drop a waiting or failed mail: it is not sent.
    Drop {
        /// The id of the mail.
        id: String,
        #[command(flatten)]
        reason: ReasonArg,
    },
}

impl Mail {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        match self {
            Self::List => {
                let list = all(client).await?;
                mention_unreadable(&list.unreadable);
                CommandOutput::new(&list, listed(&list.mails))
            }
            Self::SendAgain { mail, reason: why } => {
                let sent: ResentMails = client.send_with_reason(Command::SendAgain(mail), why).await?;
                let count = match sent.again_count {
                    1 => "1 mail is sent again".to_owned(),
                    several => format!("{several} mails are sent again"),
                };
                let when = if client.runs() {
                    ""
                } else {
                    " once the gateway runs"
                };
                CommandOutput::new(&sent, format!("{count}{when}"))
            }
            Self::Drop { id, reason: why } => {
                let id: MailId = id.parse().map_err(|_| {
                    Failure::failed(format!("{id} is not an id; `vestibule mail list` shows them"))
                })?;
                let dropped: MailId = client.send_with_reason(Command::DropMail(id), why).await?;
                CommandOutput::new(&json!({ "dropped": dropped }), format!("{dropped} is dropped"))
            }
        }
    }
}

async fn all(client: &AdminClient) -> Result<MailList, Failure> {
    let mut list: MailList = client.send(Command::ListMails(None)).await?;
    while let Some(after) = list.next {
        let page: MailList = client.send(Command::ListMails(Some(after))).await?;
        list.mails.extend(page.mails);
        list.unreadable.extend(page.unreadable);
        list.next = page.next;
    }
    Ok(list)
}

fn listed(mails: &[MailView]) -> String {
    if mails.is_empty() {
        return "No mail is waiting or has failed.".to_owned();
    }
    let now = Clock::system().now();
    let rows = mails.iter().map(|mail| {
        let at = moment(mail.at, now);
        [
            mail.id.to_string(),
            mail.to.to_string(),
            mail.topic.clone(),
            mail.attempt_count.to_string(),
            if mail.failed {
                "never: it failed for good".to_owned()
            } else {
                at
            },
            mail.reason.clone().unwrap_or_default(),
        ]
    });
    table(["ID", "TO", "TOPIC", "ATTEMPTS", "NEXT TRY", "REASON"], rows)
}
