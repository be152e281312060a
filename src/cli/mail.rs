//! `vestibule mail …`

use clap::Subcommand;

use super::admin_client::{AdminClient, ReasonArg};
use super::output::{CommandOutput, Failure};
use super::table::{moment, table};
use crate::clock::Clock;
use crate::control::{Command, MAILS_A_PAGE, MailView, ResentMails};

#[derive(Debug, Subcommand)]
pub(super) enum Mail {
    /// List the mails that wait to be sent and those that failed for good.
    List,
    /// Have a mail sent again that failed for good, with a new link if it has one.
    SendAgain {
        /// Its id; or an address, for all that failed to it.
        #[arg(value_name = "ID|ADDRESS")]
        mail: String,
        #[command(flatten)]
        reason: ReasonArg,
    },
}

impl Mail {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        match self {
            Self::List => {
                let mails = all(client).await?;
                CommandOutput::new(&mails, listed(&mails))
            }
            Self::SendAgain { mail, reason: why } => {
                let sent: ResentMails = client.send_with_reason(Command::SendAgain(mail), why).await?;
                let count = match sent.again.len() {
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
        }
    }
}

async fn all(client: &AdminClient) -> Result<Vec<MailView>, Failure> {
    let mut mails: Vec<MailView> = Vec::new();
    loop {
        let after = mails.last().map(|mail| mail.id);
        let page: Vec<MailView> = client.send(Command::ListMails(after)).await?;
        let is_last = page.len() < MAILS_A_PAGE;
        mails.extend(page);
        if is_last {
            return Ok(mails);
        }
    }
}

fn listed(mails: &[MailView]) -> String {
    if mails.is_empty() {
        return "No mail waits, and none has failed.".to_owned();
    }
    let now = Clock::system().now();
    let rows = mails.iter().map(|mail| {
        let at = moment(mail.at, now);
        [
            mail.id.to_string(),
            mail.to.to_string(),
            mail.topic.clone(),
            mail.attempts.to_string(),
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
