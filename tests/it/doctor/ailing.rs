//! Problems that a running gateway cannot have: an impostor responds on the admin socket.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::Response;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use vestibule::config::Config;
use vestibule::control::socket::AdministratorSocket;
use vestibule::control::{Command, CommandError};
use vestibule::doctor::{Finding, Verdict, run};
use vestibule::services::Actor;

use crate::harness::{Application, Running, route, soon};

/// A folder with a fake gateway.
struct Impostor {
    folder: TempDir,
    stop: CancellationToken,
}

impl Impostor {
    fn new(https: SocketAddr, http: SocketAddr, ops: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = AdministratorSocket::bind(&folder.path().join("admin.sock")).unwrap();
        let stop = CancellationToken::new();
        let execute = move |command, _: Actor| async move {
            match command {
                Command::Whereabouts => Ok(json!({
                    "version": "0.0.1", "public_url": format!("https://localhost:{}", https.port()),
                    "https": [https], "http": [http], "ops": ops, "changed": null,
                })),
                Command::Explain { .. } => Ok(json!({ "forwarded": { "forgeable": ["remote_user"] } })),
                Command::Recall(_) => Ok(json!({ "client": "192.0.2.77" })),
                _ => Err(CommandError::new("the store is away")),
            }
        };
        tokio::spawn(socket.serve(execute, stop.clone()));
        Self { folder, stop }
    }

    async fn examine(&self, say: impl FnOnce(&mut Config)) -> Vec<Finding> {
        examine_at(self.folder.path().join("admin.sock"), say).await
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn examine_at(socket: PathBuf, say: impl FnOnce(&mut Config)) -> Vec<Finding> {
    let mut config = Config {
        route: vec![route("/", "public", "demo:")],
        ..Config::default()
    };
    config.listen.admin_socket = socket;
    say(&mut config);
    soon(run(&config, None, |_, _| {})).await.1
}

#[track_caller]
fn says(findings: &[Finding], check: &str, verdict: Verdict, part: &str) {
    let mut of_check = findings.iter().filter(|finding| finding.check == check);
    assert!(
        of_check.any(|finding| finding.verdict == verdict && finding.text.contains(part)),
        "{check} {part}: {findings:#?}"
    );
}

#[tokio::test]
async fn what_does_not_answer_as_it_should_is_a_problem() {
    let closed = SocketAddr::from(([127, 0, 0, 1], 9));
    let app = Application::answering(|_| {
        let mut response = Response::new("nobody".into());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        response
    })
    .await;
    let impostor = Impostor::new(closed, app.address, app.address);
    let found = impostor.examine(|_| {}).await;
    says(&found, "gateway", Verdict::Warning, "version 0.0.1 runs");
    says(&found, "gateway", Verdict::Warning, "cannot be read any more");
    says(&found, "listen.https", Verdict::Problem, "Connection refused");
    says(&found, "listen.http", Verdict::Problem, "redirects nowhere");
    says(&found, "listen.ops", Verdict::Warning, "503");
    says(&found, "public_url", Verdict::Problem, "nobody can be reached");
    says(&found, "identity", Verdict::Problem, "remote_user at localhost/");
    says(&found, "store", Verdict::Problem, "the store is away");

    let impostor = Impostor::new(closed, closed, closed);
    let found = impostor.examine(|_| {}).await;
    says(&found, "listen.http", Verdict::Problem, "Connection refused");
    says(&found, "listen.ops", Verdict::Problem, "Connection refused");
}

#[tokio::test]
async fn a_false_address_that_is_believed_and_an_old_version_that_is_spoken_are_problems() {
    let gateway = Running::before("public", "demo:").await;
    let impostor = Impostor::new(gateway.address, gateway.address, gateway.address);
    let found = impostor
        .examine(|config| {
            config.tls.min_version = vestibule::config::TlsVersion::Tls13;
            config.tls.certificates = vec![vestibule::config::CertificateConfig::default()];
        })
        .await;
    says(&found, "listen.https", Verdict::Problem, "speaks TLS 1.2");
    says(&found, "trusted_proxies", Verdict::Problem, "is believed");
    says(
        &found,
        "certificate",
        Verdict::Problem,
        "no authority that this system trusts",
    );
    let found = impostor
        .examine(|config| config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
        .await;
    says(&found, "trusted_proxies", Verdict::Ok, "as configured");
}

#[tokio::test]
async fn tls_to_an_application_is_verified_as_the_gateway_does() {
    let gateway = Running::before("public", "demo:").await;
    let url = format!("https://localhost:{}", gateway.address.port());
    let examine = |ca: Option<PathBuf>| {
        let socket = gateway.file("nobody.sock");
        let url = url.clone();
        examine_at(socket, move |config| {
            let mut secure = crate::harness::upstream(&[&url]);
            secure.ca = ca;
            config.upstream = [("secure".to_owned(), secure)].into();
            config.route = vec![route("/", "public", "secure")];
            config.listen.https = Vec::new();
            config.listen.ops = String::new();
        })
    };
    says(
        &examine(None).await,
        "upstream",
        Verdict::Problem,
        "UnknownIssuer",
    );
    let found = examine(Some(gateway.file("authority.pem"))).await;
    says(&found, "upstream", Verdict::Ok, "secure: https://localhost:");
}
