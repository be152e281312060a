//! `vestibule store …`

use clap::Subcommand;

use super::answer::{Answer, Failure};
use super::gateway::Gateway;
use crate::control::Command;
use crate::store::Verification;

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Read everything and check that it is sound.
    Verify,
}

impl Store {
    pub(super) async fn run(self, gateway: &Gateway) -> Result<Answer, Failure> {
        match self {
            Self::Verify => {
                let found: Verification = gateway.ask(Command::VerifyStore).await?;
                let text = format!(
                    "The store is sound. Accounts: {}, sessions: {}, invitations: {}, access keys: {}.",
                    found.accounts, found.sessions, found.invitations, found.access_keys
                );
                Answer::new(&found, text)
            }
        }
    }
}
