//! `vestibule explain`

mod text;

use clap::Args;

use super::answer::{Answer, Failure};
use super::gateway::Gateway;
use crate::app::{Explained, Recalled};
use crate::control::Command;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The URL of a request, or a path at `public_url`.
    #[arg(long, required_unless_present = "request")]
    url: Option<String>,
    /// Its method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// Who is signed in: an address, a username or an id; nobody if it is not given.
    #[arg(long = "as", value_name = "EMAIL")]
    user: Option<String>,
    /// What became of the request with this X-Request-Id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["url", "method", "user"])]
    request: Option<String>,
}

impl Explain {
    pub(super) async fn run(self, gateway: &Gateway) -> Result<Answer, Failure> {
        if let Some(id) = self.request {
            let recalled: Recalled = gateway.ask(Command::ExplainRequest(id)).await?;
            return Answer::new(&recalled, text::recalled(&recalled));
        }
        let url = self
            .url
            .ok_or_else(|| Failure::usage("which request? --url URL, or --request ID"))?;
        let explain = Command::Explain {
            method: self.method,
            url,
            user: self.user,
        };
        let explained: Explained = gateway.ask(explain).await?;
        Answer::new(&explained, text::explained(&explained))
    }
}
