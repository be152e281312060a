//! `vestibule mail …`

use clap::Subcommand;

use super::answer::{Answer, Failure};
use super::gateway::{Gateway, Why};
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
        why: Why,
    },
}

impl Mail {
    pub(super) async fn run(self, gateway: &Gateway) -> Result<Answer, Failure> {
        match self {
            Self::List => {
                let mails = all(gateway).await?;
                Answer::new(&mails, listed(&mails))
            }
            Self::SendAgain { mail, why } => {
                let sent: ResentMails = gateway.ask_because(Command::SendAgain(mail), why).await?;
                let count = match sent.again.len() {
                    1 => "1 mail is sent again".to_owned(),
                    several => format!("{several} mails are sent again"),
                };
                let when = if gateway.runs() {
                    ""
                } else {
                    " once the gateway runs"
                };
                Answer::new(&sent, format!("{count}{when}"))
            }
        }
    }
}

async fn all(gateway: &Gateway) -> Result<Vec<MailView>, Failure> {
    let mut mails: Vec<MailView> = Vec::new();
    loop {
        let after = mails.last().map(|mail| mail.id);
        let page: Vec<MailView> = gateway.ask(Command::ListMails(after)).await?;
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
