//! `vestibule session …`: lists and ends sessions.

use clap::Subcommand;

use super::admin_client::{AdminClient, ReasonArg};
use super::output::{CommandOutput, Failure};
use super::table::{moment, table};
use crate::api::{EndedSessions, SessionList, SessionView};
use crate::clock::Clock;
use crate::control::{Command, SessionSelector};
use crate::ids::SessionId;

#[derive(Debug, Subcommand)]
pub(super) enum Session {
    /// List sessions, newest first.
    List {
        /// Only sessions of this account.
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// End a session, or all of an account.
    Revoke {
        /// End all sessions of this account; with an id, only that session, if it belongs to the account.
        #[arg(long, value_name = "EMAIL", required_unless_present = "id")]
        user: Option<String>,
        /// The id of the session.
        id: Option<String>,
        #[command(flatten)]
        reason: ReasonArg,
    },
}

impl Session {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        match self {
            Self::List { user } => {
                let list: SessionList = client.send(Command::ListSessions(user)).await?;
                CommandOutput::new(&list, listed(&list.sessions))
            }
            Self::Revoke {
                user,
                id,
                reason: why,
            } => {
                let which = which(user, id)?;
                let ended: EndedSessions = client
                    .send_with_reason(Command::RevokeSessions(which), why)
                    .await?;
                let text = match ended.ended_count {
                    0 => "There were no sessions to end.".to_owned(),
                    1 => "1 session is ended.".to_owned(),
                    several => format!("{several} sessions are ended."),
                };
                CommandOutput::new(&ended, text)
            }
        }
    }
}

fn which(user: Option<String>, id: Option<String>) -> Result<SessionSelector, Failure> {
    let Some(id) = id else {
        return user
            .map(SessionSelector::Of)
            .ok_or_else(|| Failure::usage("name the sessions to end: --user EMAIL or an id"));
    };
    let id: SessionId = id
        .parse()
        .map_err(|_| Failure::failed(format!("{id} is not an id; `vestibule session list` shows them")))?;
    Ok(SessionSelector::One { id, of: user })
}

fn listed(sessions: &[SessionView]) -> String {
    if sessions.is_empty() {
        return "There are no sessions.".to_owned();
    }
    let now = Clock::system().now();
    let rows = sessions.iter().map(|session| {
        [
            session.id.to_string(),
            session.email.clone(),
            signed_in_with(session),
            session.address.to_string(),
            moment(session.created_at, now),
            moment(session.last_seen_at, now),
            moment(session.expires_at, now),
        ]
    });
    table(
        [
            "ID",
            "EMAIL",
            "WITH",
            "ADDRESS",
            "SIGNED IN",
            "LAST SEEN",
            "EXPIRES",
        ],
        rows,
    )
}

/// The access key, if one started the session, which ends with it; else the method.
fn signed_in_with(session: &SessionView) -> String {
    let key = session.access_key.map(|key| key.to_string());
    key.unwrap_or_else(|| session.method.as_str().to_owned())
}
