//! Checks the installation from outside, as clients, upstreams and mail servers meet it.
//!
//! One file a subject. A check reports what it found, with advice where that is not well. No finding contains
//! a secret, and no check takes longer than a few times three seconds.

mod clock;
mod disk;
mod dns;
mod file_permissions;
mod forwarding;
mod http;
mod listeners;
mod mail;
mod public_url;
mod store;
mod tls;
mod upstreams;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde_json::Value;

use crate::api::ServerInfo;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{ClientError, Command, CommandError, SocketClient};
use crate::model::Email;

/// The time limit for each peer.
const LIMIT: Duration = Duration::from_secs(3);

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked: a word.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do.
    pub advice: Option<String>,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It could not be checked.
    Skipped,
    /// It works, but is probably not meant so, or will not last.
    Warning,
    /// It does not work, or is not secure.
    Problem,
}

impl Finding {
    /// Something that is as it should be.
    pub fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            text: text.into(),
            advice: None,
        }
    }

    /// Something that could not be looked at.
    pub fn skipped(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Skipped,
            ..Self::ok(check, text)
        }
    }

    /// Something that works, for now.
    pub fn warning(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            advice: Some(advice.into()),
            ..Self::ok(check, text)
        }
    }

    /// Something that does not work, or is not safe.
    pub fn problem(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Problem,
            ..Self::warning(check, text, advice)
        }
    }
}

/// What checks need.
#[derive(Debug)]
struct DoctorContext<'c> {
    config: &'c Config,
    client: SocketClient,
    /// The running gateway's addresses, if one runs.
    running: Option<ServerInfo>,
    trust: tls::MachineTrust,
    clock: Clock,
}

impl<'c> DoctorContext<'c> {
    /// Finds the running gateway; the findings tell of it.
    async fn of(config: &'c Config) -> (Self, Vec<Finding>) {
        let client = SocketClient::of(config);
        let (running, findings) = gateway(&client).await;
        let context = Self {
            config,
            client,
            running,
            trust: tls::MachineTrust::of(config),
            clock: Clock::system(),
        };
        (context, findings)
    }
}

type Check<'p> = Pin<Box<dyn Future<Output = Vec<Finding>> + Send + 'p>>;

/// Runs all checks concurrently. With `mail`, sends a test mail; `progress` gets the number of finished
/// checks and of all. Returns whether a gateway runs, and the findings in the order of the checks.
pub async fn run(
    config: &Config,
    mail: Option<&Email>,
    progress: impl FnMut(usize, usize),
) -> (bool, Vec<Finding>) {
    let (context, mut findings) = DoctorContext::of(config).await;
    let checks: Vec<Check<'_>> = vec![
        Box::pin(listeners::https(&context)),
        Box::pin(listeners::plain(&context)),
        Box::pin(listeners::from_proxies(&context)),
        Box::pin(listeners::ops(&context)),
        Box::pin(public_url::reach(&context)),
        Box::pin(dns::hosts(&context)),
        Box::pin(forwarding::proxies(&context)),
        Box::pin(forwarding::identity(&context)),
        Box::pin(upstreams::reach(&context)),
        Box::pin(store::answers(&context)),
        Box::pin(async { disk::room(&context) }),
        Box::pin(async { file_permissions::files(&context) }),
        Box::pin(mail::leaves(&context, mail)),
    ];
    findings.extend(complete(checks, progress).await);
    (context.running.is_some(), findings)
}

/// Looks at the gateway that runs, of whose file no more can be read than `config`: at what it says itself, and what it
/// answers.
pub async fn run_beside_broken_file(config: &Config, progress: impl FnMut(usize, usize)) -> Vec<Finding> {
    let (context, mut findings) = DoctorContext::of(config).await;
    if context.running.is_none() {
        return findings;
    }
    let checks: Vec<Check<'_>> = vec![
        Box::pin(listeners::https(&context)),
        Box::pin(listeners::plain(&context)),
        Box::pin(listeners::from_proxies(&context)),
        Box::pin(listeners::ops(&context)),
        Box::pin(public_url::reach(&context)),
        Box::pin(store::answers(&context)),
    ];
    findings.extend(complete(checks, progress).await);
    findings
}

/// Does all at once. The findings are in the order of the checks.
async fn complete(checks: Vec<Check<'_>>, mut progress: impl FnMut(usize, usize)) -> Vec<Finding> {
    let count = checks.len();
    let mut under_way: FuturesUnordered<_> = checks
        .into_iter()
        .enumerate()
        .map(|(place, check)| async move { (place, check.await) })
        .collect();
    let mut done = Vec::with_capacity(count);
    progress(0, count);
    while let Some(found) = under_way.next().await {
        done.push(found);
        progress(done.len(), count);
    }
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().flat_map(|(_, found)| found).collect()
}

/// Finds the running gateway.
async fn gateway(client: &SocketClient) -> (Option<ServerInfo>, Vec<Finding>) {
    const CHECK: &str = "gateway";
    let answered = match tokio::time::timeout(LIMIT, client.send(&Command::Whereabouts)).await {
        Ok(Ok(Ok(value))) => serde_json::from_value::<ServerInfo>(value).map_err(|error| error.to_string()),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(ClientError::NotRunning(_))) => {
            let text = "none runs: what needs one is not looked at";
            return (None, vec![Finding::ok(CHECK, text)]);
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it does not answer within {LIMIT:?}")),
    };
    let running = match answered {
        Ok(running) => running,
        Err(error) => {
            let advice = "see that it was started with this configuration and this program, by this user";
            return (None, vec![Finding::problem(CHECK, error, advice)]);
        }
    };
    let mut findings = vec![Finding::ok(
        CHECK,
        format!("runs, version {}, {}", running.version, running.public_url),
    )];
    if running.version != env!("CARGO_PKG_VERSION") {
        let text = format!(
            "version {} runs, this program is {}",
            running.version,
            env!("CARGO_PKG_VERSION")
        );
        findings.push(Finding::warning(CHECK, text, "restart it"));
    }
    match running.changed.as_deref() {
        Some([]) => {}
        Some(changed) => findings.push(Finding::warning(
            CHECK,
            format!("the file says otherwise than what runs in {}", changed.join(", ")),
            "run `vestibule reload`, which says what needs a restart",
        )),
        None => findings.push(Finding::warning(
            CHECK,
            "what it was started with cannot be read any more",
            "run `vestibule check`: a restart would fail",
        )),
    }
    (Some(running), findings)
}

impl DoctorContext<'_> {
    /// Sends a command to the running gateway.
    async fn ask(&self, command: Command) -> Result<Value, String> {
        let asked = tokio::time::timeout(LIMIT, self.client.send(&command)).await;
        let answered = asked.map_err(|_| format!("the gateway does not answer within {LIMIT:?}"))?;
        answered
            .map_err(|error| error.to_string())?
            .map_err(|error: CommandError| error.to_string())
    }

    /// Looks a request up in the running gateway's memory, which shows that it is the one that served it.
    async fn recall(&self, id: &str) -> Result<Option<Value>, String> {
        let recalled = self.ask(Command::Recall(id.to_owned())).await?;
        Ok(Some(recalled).filter(|recalled| !recalled.is_null()))
    }
}
