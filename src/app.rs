//! The composition root: the administrator's socket over the services.

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::Clock;
use crate::config::Config;
use crate::control::socket::{AdministratorSocket, BindError};
use crate::control::{Administration, OpenError};
use crate::random::Random;

/// What the application takes from the machine.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
}

/// The gateway.
#[derive(Debug)]
pub struct Application {
    public_url: Url,
    administration: Administration,
    socket: AdministratorSocket,
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The administrator's socket cannot be made.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Application {
    /// Opens everything.
    pub async fn build(config: Config, environment: Environment) -> Result<Self, BuildError> {
        let socket = AdministratorSocket::bind(&config.listen.admin_socket)?;
        let administration = Administration::open(&config, environment.clock, environment.random).await?;
        Ok(Self {
            public_url: config.public_url,
            administration,
            socket,
        })
    }

    /// Where people reach it.
    pub fn public_url(&self) -> &Url {
        &self.public_url
    }

    /// What commands are executed on.
    pub fn administration(&self) -> &Administration {
        &self.administration
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), std::io::Error> {
        let administration = self.administration;
        let execute = move |command, by: String| {
            let administration = administration.clone();
            async move { administration.execute(command, &by).await }
        };
        self.socket.serve(execute, stop).await;
        Ok(())
    }
}
