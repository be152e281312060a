//! Checks that clients cannot forge their address or the identity headers.

use serde_json::Value;

use super::{DoctorContext, Finding, http, listeners, tls};
use crate::api::AccountList;
use crate::control::Command;
use crate::model::AccountStatus;
use crate::route::Page;
use crate::services::{AccountFilter, AccountQuery};

const PROXIES: &str = "trusted_proxies";
const IDENTITY: &str = "identity";

/// An address for documentation (RFC 5737).
const SOMEBODY_ELSE: &str = "192.0.2.77";

/// Checks whether the gateway believes this machine when it claims another address.
pub(super) async fn proxies(context: &DoctorContext<'_>) -> Vec<Finding> {
    let networks = &context.config.listen.trusted_proxies;
    if let Some(all) = networks.iter().find(|network| network.prefix_len() == 0) {
        let text = format!("{all} is everybody: whoever asks may say from where");
        let advice = "name the proxies that stand before this gateway, and nobody else";
        return vec![Finding::problem(PROXIES, text, advice)];
    }
    let address = context.running.as_ref().and_then(|running| running.https.first());
    let (Some(&address), Some(host)) = (address, listeners::hosts(context).into_iter().next()) else {
        return vec![Finding::skipped(
            PROXIES,
            "no gateway runs that could be told a false address",
        )];
    };
    let Ok(shaken) = tls::shake(address, &host, false).await else {
        return vec![Finding::skipped(PROXIES, "the gateway cannot be reached")];
    };
    let believed = async {
        let claims = [
            ("x-forwarded-for", SOMEBODY_ELSE),
            ("forwarded", "for=192.0.2.77"),
        ];
        let answer = http::get(shaken.stream, &host, Page::Login.path(), &claims)
            .await
            .ok()?;
        let recent = context
            .recall(http::header(&answer, "x-request-id")?)
            .await
            .ok()??;
        recent
            .get("client")
            .and_then(Value::as_str)
            .map(|client| client == SOMEBODY_ELSE)
    };
    let here = tls::reachable(address).ip();
    let is_trusted = networks.iter().any(|network| network.contains(&here));
    vec![match believed.await {
        Some(false) => Finding::ok(PROXIES, "what a client says of its address is not believed"),
        Some(true) if is_trusted => Finding::ok(
            PROXIES,
            "programs of this machine are believed when they name another address, as configured",
        ),
        Some(true) => Finding::problem(
            PROXIES,
            "a client that names another address is believed",
            "see listen.trusted_proxies",
        ),
        None => Finding::skipped(PROXIES, "the gateway does not tell from where it was asked"),
    }]
}

/// Checks that no identity header can be forged: asks the gateway to explain a request with forged ones.
pub(super) async fn identity(context: &DoctorContext<'_>) -> Vec<Finding> {
    if context.running.is_none() {
        return vec![Finding::skipped(
            IDENTITY,
            "no gateway runs that could be told a false name",
        )];
    }
    let member = active_account(context).await;
    let mut looked_at = 0;
    let mut forgeable = Vec::new();
    let Some(public) = context.config.public_host() else {
        return Vec::new();
    };
    for route in &context.config.route {
        let Ok(label) = route.label(&public) else {
            continue;
        };
        let url = format!("https://{}", label.replacen("*.", "any.", 1));
        let method = route.methods.first().cloned().unwrap_or_else(|| "GET".to_owned());
        for user in [None, member.clone()] {
            let explain = Command::Explain {
                method: method.clone(),
                url: url.clone(),
                user,
                destination: None,
                client: None,
            };
            let Ok(told) = context.ask(explain).await else {
                continue;
            };
            if let Some(names) = told.pointer("/forwarded/forgeable").and_then(Value::as_array) {
                looked_at += 1;
                forgeable.extend(
                    names
                        .iter()
                        .filter_map(Value::as_str)
                        .map(|name| format!("{name} at {label}")),
                );
            }
        }
    }
    vec![match (looked_at, forgeable.as_slice()) {
        (0, _) => Finding::skipped(
            IDENTITY,
            "nobody can be let in to look: no public route and no account",
        ),
        (_, []) => Finding::ok(
            IDENTITY,
            "a client's headers with the gateway's names do not arrive",
        ),
        (_, names) => Finding::problem(
            IDENTITY,
            format!("a client can send {}", names.join(", ")),
            "do not let anybody in; this is a fault of the program",
        ),
    }]
}

/// Returns the id of an active account, for routes that require one.
async fn active_account(context: &DoctorContext<'_>) -> Option<String> {
    let active = AccountQuery {
        filter: AccountFilter {
            status: Some(AccountStatus::Active),
            ..AccountFilter::default()
        },
        limit: 1,
        ..AccountQuery::default()
    };
    let found = context.ask(Command::FindUsers(active)).await.ok()?;
    let found: AccountList = serde_json::from_value(found).ok()?;
    found.accounts.first().map(|account| account.id.to_string())
}
