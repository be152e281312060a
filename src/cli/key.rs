//! `vestibule key …`: manages access keys and the master key.

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::admin_client::{AdminClient, ReasonArg};
use super::confirm::Confirmation;
use super::output::{CommandOutput, Failure, mention, mention_unreadable};
use super::table::{list, moment, table};
use crate::api::{AccessKeyList, AccessKeyView, CreatedAccessKey, RotatedMaster};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Command;
use crate::model::{AccessKeyId, KeyScope};
use crate::services::{AccessKeyChange, NewAccessKey};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Create an access key and print its secret, which is shown only once.
    Create {
        /// The owner, by e-mail address, username or id.
        email: String,
        /// A name to recognise it by.
        #[arg(long, default_value = "")]
        name: String,
        /// How long it is valid, such as "90d" [default: until it is revoked]
        #[arg(long, value_parser = lifetime)]
        ttl: Option<Duration>,
        /// Limit the key to this route, by host and path as in the configuration; may be repeated.
        #[arg(long = "route", value_name = "HOST/PATH")]
        routes: Vec<String>,
        /// Limit the key to this method; may be repeated.
        #[arg(long = "method", value_name = "METHOD")]
        methods: Vec<String>,
        #[command(flatten)]
        reason: ReasonArg,
    },
    /// List access keys, oldest first.
    List {
        /// Only keys of this account.
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// Disable an access key.
    Disable {
        /// The access key.
        access_key: String,
        #[command(flatten)]
        reason: ReasonArg,
    },
    /// Enable a disabled access key.
    Enable {
        /// The access key.
        access_key: String,
        #[command(flatten)]
        reason: ReasonArg,
    },
    /// Revoke an access key permanently. Asks on a terminal.
    Revoke {
        /// The access key.
        access_key: String,
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        reason: ReasonArg,
    },
    /// Replace the master key: encrypt the store's data key with a new one.
    RotateMaster(ReasonArg),
}

impl Key {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        match self {
            Self::Create {
                email,
                name,
                ttl,
                routes,
                methods,
                reason: why,
            } => {
                let scope = scope(client.config(), routes, methods)?;
                let config = client.config();
                if !config.login.iam && !config.checks.accepts("login.iam") {
                    mention("warning: login.iam is off: access keys are not accepted until it is on");
                }
                let command = Command::CreateKey {
                    user: email,
                    key: NewAccessKey { name, ttl, scope },
                };
                let made: CreatedAccessKey = client.send_with_reason(command, why).await?;
                let text = list([
                    ("access key", made.key.access_key.to_string()),
                    ("secret key", made.secret_key.clone()),
                ]);
                CommandOutput::new(&made, format!("{text}\nThe secret key is not shown again."))
            }
            Self::List { user } => {
                let list: AccessKeyList = client.send(Command::ListKeys(user)).await?;
                mention_unreadable(&list.unreadable);
                CommandOutput::new(&list, listed(&list.access_keys))
            }
            Self::Disable {
                access_key,
                reason: why,
            } => change(client, &access_key, AccessKeyChange::Disable, why, "disabled").await,
            Self::Enable {
                access_key,
                reason: why,
            } => change(client, &access_key, AccessKeyChange::Enable, why, "enabled").await,
            Self::Revoke {
                access_key,
                confirmation,
                reason: why,
            } => {
                let key = parse(&access_key)?;
                confirmation.ask_on_terminal(&format!(
                    "Revoke {key}? This cannot be undone; `vestibule key disable` can."
                ))?;
                let change = AccessKeyChange::Revoke;
                let command = Command::ChangeKey { key, change };
                let revoked: AccessKeyView = client.send_with_reason(command, why).await?;
                let revoked = revoked.access_key;
                CommandOutput::new(&json!({ "revoked": revoked }), format!("{revoked} is revoked"))
            }
            Self::RotateMaster(why) => {
                let command = Command::RotateMaster;
                let rotated: RotatedMaster = client.send_with_reason(command, why).await?;
                let text = format!(
                    "The store is now sealed by the master key {}. Keep a copy of store.master_key.",
                    rotated.master_key
                );
                CommandOutput::new(&rotated, text)
            }
        }
    }
}

async fn change(
    client: &AdminClient,
    access_key: &str,
    change: AccessKeyChange,
    reason: ReasonArg,
    done: &str,
) -> Result<CommandOutput, Failure> {
    let key = parse(access_key)?;
    let command = Command::ChangeKey { key, change };
    let changed: AccessKeyView = client.send_with_reason(command, reason).await?;
    let text = format!("{} is {done}", changed.access_key);
    CommandOutput::new(&changed, text)
}

fn parse(access_key: &str) -> Result<AccessKeyId, Failure> {
    access_key
        .parse()
        .map_err(|error| Failure::failed(format!("{access_key}: {error}; `vestibule key list` shows them")))
}

/// Builds the scope of a key. Refuses unknown routes, since such a key would silently be useless.
fn scope(config: &Config, routes: Vec<String>, methods: Vec<String>) -> Result<KeyScope, Failure> {
    let public = config.public_host();
    let known: Vec<String> = public
        .iter()
        .flat_map(|public| config.route.iter().filter_map(|route| route.label(public).ok()))
        .collect();
    if let Some(unknown) = routes.iter().find(|route| !known.contains(route)) {
        return Err(Failure::failed(format!(
            "there is no route {unknown}; the routes are {}",
            known.join(", ")
        )));
    }
    let is_method = |method: &String| !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
    if let Some(wrong) = methods.iter().find(|method| !is_method(method)) {
        return Err(Failure::failed(format!(
            "{wrong} is not a method; they are in upper case, such as GET"
        )));
    }
    Ok(KeyScope {
        routes: routes.into_iter().collect(),
        methods: methods.into_iter().collect(),
    })
}

fn listed(keys: &[AccessKeyView]) -> String {
    if keys.is_empty() {
        return "There are no access keys.".to_owned();
    }
    let now = Clock::system().now();
    let rows = keys.iter().map(|key| {
        [
            key.access_key.to_string(),
            key.email.clone(),
            key.name.clone(),
            state(key).to_owned(),
            key.expires_at.map_or("never".to_owned(), |end| moment(end, now)),
            key.last_use
                .as_ref()
                .map_or("never".to_owned(), |last| moment(last.at, now)),
        ]
    });
    table(
        ["ACCESS KEY", "EMAIL", "NAME", "STATE", "EXPIRES", "LAST USED"],
        rows,
    )
}

fn state(key: &AccessKeyView) -> &'static str {
    match (key.live, key.disabled) {
        (true, _) => "active",
        (false, true) => "disabled",
        // Expired, or its owner may not sign in.
        (false, false) => "inactive",
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("an access key must be valid for longer than that".to_owned()),
        Ok(ttl) => Ok(ttl),
        Err(error) => Err(format!("not a duration such as \"90d\": {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RouteConfig;

    #[test]
    fn a_key_is_limited_to_routes_that_are_there() {
        let config = Config {
            route: vec![RouteConfig {
                path: "/api/".to_owned(),
                ..RouteConfig::default()
            }],
            ..Config::default()
        };
        let ask = |route: &str, method: &str| scope(&config, vec![route.to_owned()], vec![method.to_owned()]);
        let scope = ask("localhost/api", "GET").unwrap();
        assert!(scope.covers("localhost/api", "GET"));
        assert!(ask("localhost/apy", "GET").is_err());
        assert!(ask("localhost/api", "get").is_err());
    }

    #[test]
    fn a_key_lasts_for_a_time_that_makes_sense() {
        assert_eq!(lifetime("90d"), Ok(Duration::from_hours(90 * 24)));
        assert!(lifetime("0s").is_err() && lifetime("soon").is_err());
    }
}
