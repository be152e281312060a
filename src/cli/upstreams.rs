//! `vestibule upstreams`: lists upstreams and the state of their servers.

use super::admin_client::AdminClient;
use super::output::{CommandOutput, Failure};
use super::table::table;
use crate::api::{UpstreamList, UpstreamView};
use crate::control::Command;
use crate::upstream::ServerState;

pub(super) async fn run(client: &AdminClient) -> Result<CommandOutput, Failure> {
    let list: UpstreamList = client.send(Command::ListUpstreams).await?;
    CommandOutput::new(&list, listed(&list.upstreams))
}

fn listed(upstreams: &[UpstreamView]) -> String {
    if upstreams.is_empty() {
        return "No route leads to an application.".to_owned();
    }
    let rows = upstreams.iter().flat_map(|upstream| {
        upstream.servers.iter().map(|server| {
            [
                upstream.name.clone(),
                server.url.clone(),
                state(server.state).to_owned(),
                server.weight.to_string(),
                server.active_request_count.to_string(),
            ]
        })
    });
    table(["UPSTREAM", "SERVER", "STATE", "WEIGHT", "REQUESTS"], rows)
}

fn state(state: ServerState) -> &'static str {
    match state {
        ServerState::Up => "up",
        ServerState::Starting => "starting slowly",
        ServerState::Suspect => "left out: it did not answer",
        ServerState::Down => "down: its check fails",
    }
}
