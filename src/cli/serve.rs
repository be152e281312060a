//! `vestibule serve`: runs the gateway.

use std::env;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::runtime;
use tokio_util::sync::CancellationToken;

use super::config_file::{self, ConfigLocation};
use super::logging;
use super::output::{Failure, mention, print_line};
use super::service_manager::{ServiceState, notify};
use super::signals::{Requests, stop_on_signal};
use super::table::roughly;
use crate::app::{Application, ConfigSource, Environment};
use crate::clock::Clock;
use crate::config::{Config, LoadedConfig};
use crate::control::bootstrap::{self, BootstrapLink, LIFETIME, LinkFile};
use crate::descriptors;
use crate::log_line::{LineHead, LogLevel, LogName, LogTime};
use crate::metrics::Counter;
use crate::random::Random;
use crate::store::StoreError;

/// The environment variable that has the link for the first administrator printed where there is no terminal, as in a
/// container whose files are out of reach.
const PRINT_LINKS: &str = "VESTIBULE_PRINT_LINKS";

/// How long blocking work may delay the exit once the gateway has stopped.
const LONGEST_END: Duration = Duration::from_secs(5);

#[derive(Debug, Default, Args)]
pub(super) struct Serve {
    /// Run without a configuration in front of the application at this URL, in place of the demo.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Save the configuration that this runs with to a new file; "-": standard output.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Runs the gateway until a signal stops it.
pub(super) fn run(options: &Serve, config: Option<&Path>) -> Result<(), Failure> {
    let chosen = options.configuration(config)?;
    let LoadedConfig { config, warnings, .. } = chosen.read()?;
    let lost_messages = logging::start(&config.log.level)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(chosen, config, lost_messages));
    // A file system that does not respond is not waited for.
    runtime.shutdown_timeout(LONGEST_END);
    served
}

impl Serve {
    fn configuration(&self, config: Option<&Path>) -> Result<ConfigLocation, Failure> {
        let trying_out = self.to.is_some() || self.save.is_some();
        if trying_out && config.is_some() {
            return Err(Failure::usage(
                "--to and --save run the demo configuration and do not go with --config: name the application in the configuration",
            ));
        }
        if let Some(file) = &self.save {
            config_file::save(self.to.as_deref(), file)?;
        }
        Ok(if trying_out {
            ConfigLocation::Trial(self.to.clone())
        } else {
            ConfigLocation::at(config)
        })
    }
}

async fn serve(location: ConfigLocation, config: Config, lost_messages: Arc<Counter>) -> Result<(), Failure> {
    let stop = stop_on_signal()?;
    // Before the start, so that no signal ends it.
    let requests = Requests::catch()?;
    let is_trial = matches!(location, ConfigLocation::Trial(_));
    let environment = Environment {
        clock: Clock::system(),
        random: Random::system(),
        source: ConfigSource::new(move || location.load()),
        descriptors: descriptors::raise_limit(),
        lost_messages,
    };
    let application = Application::build(config.clone(), environment)
        .await
        .map_err(|error| Failure::failed(error.to_string()))?;
    let offer = offer(&application, &config, &stop).await;
    // A failure here does not keep users with accounts from being served.
    let offer = offer.unwrap_or_else(|error| {
        tracing::error!(%error, "there is no administrator yet, and the link for the first one could not be created: fix the cause and start again");
        None
    });
    announce(&config, is_trial, &application, offer.as_ref());
    notify(ServiceState::Ready);
    let stopped = stop.clone();
    tokio::spawn(async move {
        stopped.cancelled().await;
        notify(ServiceState::Stopping);
    });
    tokio::spawn(requests.obey(application.serving().clone()));
    application
        .run(stop)
        .await
        .map_err(|error| Failure::failed(error.to_string()))
}

/// Creates the link for the first administrator if there is none yet; without a terminal, prints it to standard output
/// or writes it to a file.
async fn offer(
    application: &Application,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Option<BootstrapLink>, OfferError> {
    let services = application.services();
    let offer = bootstrap::offer(&services, &config.admin.group).await?;
    let file = LinkFile::beside(&config.listen.admin_socket);
    match &offer {
        Some(offer) if !io::stderr().is_terminal() && is_printed() => {
            file.remove()
                .map_err(|error| OfferError::File(file.path().to_owned(), error))?;
            print_link(offer).map_err(OfferError::Print)?;
        }
        Some(offer) if !io::stderr().is_terminal() => {
            let written = file.write(&offer.link);
            written.map_err(|error| OfferError::File(file.path().to_owned(), error))?;
            let path = file.path().display();
            tracing::warn!(file = %path, "there is no administrator yet: the link for the first one is in {path}");
            let (accounts, stop) = (services.accounts.clone(), stop.clone());
            tokio::spawn(async move { file.remove_when_spent(&accounts, &stop).await });
        }
        _ => file
            .remove()
            .map_err(|error| OfferError::File(file.path().to_owned(), error))?,
    }
    Ok(offer)
}

fn is_printed() -> bool {
    env::var_os(PRINT_LINKS).is_some_and(|value| value == "1")
}

/// Prints the link as a line of JSON, since the lines of logs go to standard output as well.
fn print_link(offer: &BootstrapLink) -> io::Result<()> {
    #[derive(Serialize)]
    struct LinkLine<'a> {
        #[serde(flatten)]
        head: LineHead<'a>,
        message: String,
        link: &'a str,
    }
    let line = serde_json::to_string(&LinkLine {
        head: LineHead {
            time: LogTime(Clock::system().now()),
            log: LogName::Gateway,
            level: LogLevel::Warn,
            request_id: None,
            client: None,
            user: None,
        },
        message: format!(
            "there is no administrator yet: this link makes the first one, once, within {}",
            roughly(LIFETIME)
        ),
        link: offer.link.expose(),
    })?;
    print_line(&line)
}

/// Why the link could not be created.
#[derive(Debug, thiserror::Error)]
enum OfferError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    File(PathBuf, io::Error),
    #[error("standard output: {0}")]
    Print(io::Error),
}

fn announce(config: &Config, trial: bool, application: &Application, offer: Option<&BootstrapLink>) {
    let url = application.public_url().as_str().trim_end_matches('/');
    if !io::stderr().is_terminal() {
        tracing::info!(address = url, "Vestibule is at {url}");
        return;
    }
    mention(format_args!("\n  Vestibule is at {url}\n"));
    if let Some(offer) = offer {
        mention(format_args!(
            "  Nobody administers it yet. This link makes the first administrator, once, within {}:\n  {}\n",
            roughly(LIFETIME),
            offer.link.expose()
        ));
    }
    if trial {
        mention("  This is a demo: anyone on this machine can sign up.");
        mention("  To go on from here, write the configuration with `vestibule serve --save FILE`.");
    }
    if let Ok(location) = config.store.location() {
        mention(format_args!("  Accounts are kept in {location}."));
    }
    mention("  Ctrl-C stops it.\n");
}
