//! `vestibule reload`: makes the running gateway reload its configuration.

use super::admin_client::{AdminClient, ReasonArg};
use super::output::{CommandOutput, Failure};
use crate::api::ReloadReport;
use crate::control::Command;

pub(super) async fn run(client: &AdminClient, reason: ReasonArg) -> Result<CommandOutput, Failure> {
    let reloaded: ReloadReport = client
        .send_to_running_with_reason(Command::Reload, reason)
        .await?;
    CommandOutput::new(&reloaded, text(&reloaded))
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
