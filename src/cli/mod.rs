//! The command line: parses it and runs the subcommand. One file a group of subcommands.

mod admin_client;
mod audit;
pub mod check;
mod config_file;
mod confirm;
mod doctor;
mod explain;
mod gateway_lines;
mod group;
mod invite;
mod key;
mod lock;
mod logging;
mod mail;
mod output;
mod pages;
mod password;
mod progress;
mod reload;
pub mod schema;
mod serve;
mod service_manager;
mod session;
mod signals;
mod standard_stream;
mod store;
mod table;
pub mod trust;
mod upstreams;
mod user;

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::fs::Mode;
use serde_json::json;
use tokio::runtime;

use crate::config::Config;
use admin_client::AdminClient;
use config_file::ConfigLocation;
use output::{CommandOutput, Failure};

/// An authentication gateway for web applications: TLS, sign-up, sign-in and identity headers in one binary.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version, disable_help_subcommand = true)]
struct Cli {
    /// The configuration file [default: the first that exists of `VESTIBULE_CONFIG`, config/vestibule.toml and
    /// /etc/vestibule/vestibule.toml, else a demo configuration]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document on standard output, and messages on standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default command).
    Serve(serve::Serve),
    /// Check the configuration and report every mistake in it.
    Check,
    /// Print the JSON Schema of the configuration.
    Schema {
        /// Print the annotated reference of every key as TOML instead.
        #[arg(long)]
        reference: bool,
    },
    /// Put the local authority into the system's trust store.
    Trust {
        /// Remove it again.
        #[arg(long)]
        remove: bool,
    },
    /// Explain what happens to a request, or what happened to a past one: its route, the policy's decision and why, and
    /// the headers that the application gets.
    Explain(explain::Explain),
    /// Check the installation from outside: listeners, certificates, applications, mail, files.
    Doctor(doctor::Doctor),
    /// Export the texts and templates of pages.
    #[command(subcommand)]
    Pages(pages::Pages),
    /// Manage accounts.
    #[command(subcommand)]
    User(user::User),
    /// List groups.
    #[command(subcommand)]
    Group(group::Group),
    /// Manage invitations.
    #[command(subcommand)]
    Invite(invite::Invite),
    /// Manage access keys, and the master key.
    #[command(subcommand)]
    Key(key::Key),
    /// List and end sessions.
    #[command(subcommand)]
    Session(session::Session),
    /// List and resend mails that are waiting or have failed.
    #[command(subcommand)]
    Mail(mail::Mail),
    /// List locks after too many failed attempts.
    #[command(subcommand)]
    Lock(lock::Lock),
    /// Search the audit log: sign-ins, refusals, and acts of administrators.
    Audit(audit::Audit),
    /// Back up, verify, move or repair the store.
    #[command(subcommand)]
    Store(store::Store),
    /// List the applications behind the running gateway, and which of their servers are up.
    Upstreams,
    /// Reload the configuration and certificates of the running gateway, as SIGHUP does.
    Reload(admin_client::ReasonArg),
}

/// Runs the command line. The exit status is 0 on success, 1 on refusal or failure, 2 on a wrong command
/// line.
pub fn run() -> ExitCode {
    // First of all: until a gateway catches these signals, they would end it.
    signals::block();
    // Files that it creates are readable by their owner only (S54).
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let arguments: Vec<OsString> = env::args_os().collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli.run(),
        Err(error) => misunderstood(&error, arguments.iter().any(|argument| argument == "--json")),
    }
}

impl Cli {
    fn run(self) -> ExitCode {
        let (config, json) = (self.config.as_deref(), self.json);
        if !matches!(self.command, None | Some(Command::Serve(_))) {
            signals::unblock();
        }
        let done = match self.command {
            None => serve::run(&serve::Serve::default(), config).map(|()| None),
            Some(Command::Serve(options)) => serve::run(&options, config).map(|()| None),
            Some(Command::Check) => return check::run(config, json),
            Some(Command::Doctor(doctor)) => return doctor.run(config, json),
            Some(Command::Schema { reference }) => return schema::run(reference),
            Some(Command::Trust { remove }) => {
                return trust::run(
                    &Config::certs_in(&ConfigLocation::at(config).base()),
                    remove,
                    json,
                );
            }
            Some(Command::Pages(pages)) => pages.run().map(Some),
            // Needs no gateway, and is used where there is none.
            Some(Command::Store(store::Store::Verify { file: Some(file) })) => {
                store::verify_file(&file, json).map(Some)
            }
            Some(Command::Explain(command)) => ask(config, async |gateway| command.run(gateway).await),
            Some(Command::User(command)) => ask(config, async |gateway| command.run(gateway, json).await),
            Some(Command::Group(command)) => ask(config, async |gateway| command.run(gateway).await),
            Some(Command::Invite(command)) => ask(config, async |gateway| command.run(gateway, json).await),
            Some(Command::Key(command)) => ask(config, async |gateway| command.run(gateway).await),
            Some(Command::Session(command)) => ask(config, async |gateway| command.run(gateway).await),
            Some(Command::Mail(command)) => ask(config, async |gateway| command.run(gateway).await),
            Some(Command::Lock(command)) => ask(config, async |gateway| command.run(gateway).await),
            Some(Command::Audit(command)) => ask(config, async |gateway| command.run(gateway, json).await),
            Some(Command::Store(command)) => ask(config, async |gateway| command.run(gateway, json).await),
            Some(Command::Upstreams) => ask(config, async |gateway| upstreams::run(gateway).await),
            Some(Command::Reload(why)) => reload::run(config, why).map(Some),
        };
        match done {
            Ok(None) => ExitCode::SUCCESS,
            Ok(Some(answer)) => answer.print(json),
            Err(failure) => failure.print(json),
        }
    }
}

/// Runs a command of the admin client.
fn ask<T: Into<Option<CommandOutput>>>(
    config: Option<&Path>,
    command: impl AsyncFnOnce(&AdminClient) -> Result<T, Failure>,
) -> Result<Option<CommandOutput>, Failure> {
    let loaded = ConfigLocation::of_a_gateway(config)?.read_beside_gateway()?;
    logging::start("warn")?;
    let client = AdminClient::new(loaded.config);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(command(&client)).map(Into::into)
}

/// Prints help, or the error of a wrong command line.
fn misunderstood(error: &clap::Error, json: bool) -> ExitCode {
    if !error.use_stderr() {
        return output::exit_after(error.print(), ExitCode::SUCCESS);
    }
    let printed = error.print();
    if json {
        let document = json!({ "error": in_one_line(error) });
        return output::exit_after(
            printed.and_then(|()| output::print_json(&document)),
            ExitCode::from(output::USAGE),
        );
    }
    output::exit_after(printed, ExitCode::from(output::USAGE))
}

/// The error without usage and hints.
fn in_one_line(error: &clap::Error) -> String {
    let said = error.render().to_string();
    let lines = said.lines().map(str::trim);
    let wrong =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let wrong: Vec<&str> = wrong.filter(|line| !line.is_empty()).collect();
    let line = wrong.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests;
