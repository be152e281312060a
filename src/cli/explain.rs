//! `vestibule explain`: explains what happens, or happened, to a request.

mod text;

use std::convert::Infallible;
use std::net::IpAddr;

use clap::Args;
use jiff::Timestamp;

use super::admin_client::AdminClient;
use super::audit;
use super::output::{CommandOutput, Failure};
use crate::api::RequestReport;
use crate::app::{ExplainReport, RefusalReport};
use crate::control::Command;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The URL of a request, or a path at `public_url`.
    #[arg(long, required_unless_present_any = ["request", "since"])]
    url: Option<String>,
    /// The method of the request, in upper or lower case.
    #[arg(long, default_value = "GET", value_parser = method)]
    method: String,
    /// The account that is signed in, by e-mail address, username or id [default: anonymous]
    #[arg(long = "as", value_name = "EMAIL")]
    user: Option<String>,
    /// The `Destination` of a COPY or MOVE: a URL or a path.
    #[arg(long, value_name = "URL")]
    destination: Option<String>,
    /// The client's address, for routes whose `allow` or `deny` names networks.
    #[arg(long, value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// List what the account of `--as` was refused since this time, such as "2026-01-31T12:00:00Z", or since this long ago,
    /// such as "1h".
    #[arg(
        long, value_name = "WHEN", value_parser = audit::moment, requires = "user",
        conflicts_with_all = ["url", "method", "destination", "client", "request"]
    )]
    since: Option<Timestamp>,
    /// Explain the past request with this X-Request-Id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["url", "method", "user", "destination", "client"])]
    request: Option<String>,
}

/// Methods are told apart by case (RFC 9110, section 9.1), and nobody who types `get` means another than GET.
#[expect(clippy::unnecessary_wraps, reason = "what clap takes for a parser")]
fn method(typed: &str) -> Result<String, Infallible> {
    Ok(typed.to_ascii_uppercase())
}

impl Explain {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        if let Some(id) = self.request {
            let recalled: RequestReport = client.send(Command::ExplainRequest(id)).await?;
            return CommandOutput::new(&recalled, text::recalled(&recalled));
        }
        if let (Some(user), Some(since)) = (&self.user, self.since) {
            let user = user.clone();
            let refusals: RefusalReport = client.send(Command::ExplainRefusals { user, since }).await?;
            return CommandOutput::new(&refusals, text::refusals(&refusals));
        }
        let url = self
            .url
            .ok_or_else(|| Failure::usage("name a request: --url URL or --request ID"))?;
        let explain = Command::Explain {
            method: self.method,
            url,
            user: self.user,
            destination: self.destination,
            client: self.client,
        };
        let explained: ExplainReport = client.send(explain).await?;
        CommandOutput::new(&explained, text::explained(&explained))
    }
}
