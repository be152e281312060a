//! `vestibule reload`: has the running gateway read its configuration again.

use super::answer::{Answer, Failure};
use super::gateway::{Gateway, Why};
use crate::control::{Command, ReloadReport};

pub(super) async fn run(gateway: &Gateway, why: Why) -> Result<Answer, Failure> {
    let reloaded: ReloadReport = gateway.ask_running_because(Command::Reload, why).await?;
    Answer::new(&reloaded, text(&reloaded))
}

fn text(reloaded: &ReloadReport) -> String {
    let mut lines = vec![if reloaded.changed.is_empty() {
        "Reloaded. The configuration says what it said; certificates and other files are read again."
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
