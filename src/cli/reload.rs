//! `vestibule reload`: makes the running gateway reload its configuration.

use std::path::Path;

use tokio::runtime;

use super::admin_client::{AdminClient, ReasonArg};
use super::config_file::ConfigLocation;
use super::logging;
use super::output::{CommandOutput, Failure, mention};
use crate::api::ReloadReport;
use crate::config::{ConfigErrors, LoadedConfig};
use crate::control::{Command, SocketClient};

/// Asks the running gateway, of a file that cannot be run too: it refuses that itself, and the refusal is in its log and
/// in the audit log.
pub(super) fn run(config: Option<&Path>, reason: ReasonArg) -> Result<CommandOutput, Failure> {
    let location = ConfigLocation::of_a_gateway(config)?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let (loaded, adoption) = location.load_beside_gateway();
    let config = match loaded {
        Err(ConfigErrors {
            readable: Some(readable),
            ..
        }) if runtime.block_on(SocketClient::of(&readable).is_running()) => *readable,
        Err(problems) => return Err(problems.into()),
        Ok(LoadedConfig { config, .. }) => {
            if let Some(adoption) = adoption {
                mention(adoption);
            }
            config
        }
    };
    logging::start("warn")?;
    runtime.block_on(async {
        let reloaded: ReloadReport = AdminClient::new(config)
            .send_to_running_with_reason(Command::Reload, reason)
            .await?;
        CommandOutput::new(&reloaded, text(&reloaded))
    })
}

fn text(reloaded: &ReloadReport) -> String {
    let mut lines = vec![if reloaded.changed.is_empty() {
        "Reloaded. The configuration has not changed; certificates and other files have been read again."
            .to_owned()
    } else {
        format!("Reloaded. Changed: {}.", reloaded.changed.join(", "))
    }];
    if !reloaded.needs_restart.is_empty() {
        lines.push(format!(
            "Applied by a restart only: {}.",
            reloaded.needs_restart.join(", ")
        ));
    }
    lines.extend(
        reloaded
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    lines.join("\n")
}
