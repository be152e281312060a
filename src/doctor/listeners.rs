//! Checks the listeners at their addresses.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;

use super::{DoctorContext, Finding, LIMIT, http, tls};
use crate::config::{PlainAddress, TlsVersion};

const HTTPS: &str = "listen.https";
const HTTP: &str = "listen.http";
const PLAIN: &str = "listen.plain";
const OPS: &str = "listen.ops";

/// What a proxy says that was asked over HTTPS.
const AS_A_PROXY: &[(&str, &str)] = &[("x-forwarded-proto", "https")];

/// Checks every HTTPS address with every configured host.
pub(super) async fn https(context: &DoctorContext<'_>) -> Vec<Finding> {
    let Some(running) = &context.running else {
        return free(HTTPS, &context.config.listen.https).await;
    };
    let mut findings = Vec::new();
    for &address in &running.https {
        findings.extend(one(context, address).await);
    }
    findings
}

async fn one(context: &DoctorContext<'_>, address: SocketAddr) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hosts = hosts(context);
    let mut version = "";
    for host in &hosts {
        match tls::shake(address, host, false).await {
            Ok(shaken) => {
                let place = format!("{address} for {host}");
                version = shaken.version;
                findings.extend(
                    context
                        .trust
                        .verify("certificate", &shaken, context.clock.now(), &place),
                );
            }
            Err(error) => {
                let text = format!("{address} for {host}: {error}");
                let advice = "see the gateway's log, and whether a firewall is before this address";
                findings.push(Finding::problem(HTTPS, text, advice));
                return findings;
            }
        }
    }
    if context.config.tls.min_version == TlsVersion::Tls13
        && let Some(host) = hosts.first()
        && tls::shake(address, host, true).await.is_ok()
    {
        let text = format!("{address} speaks TLS 1.2, and tls.min_version is 1.3");
        findings.push(Finding::problem(HTTPS, text, "run `vestibule reload`"));
    }
    if findings.is_empty() {
        let names = hosts.join(", ");
        findings.push(Finding::ok(
            "certificate",
            format!("{address}: trusted here, for {names}"),
        ));
    }
    findings.insert(0, Finding::ok(HTTPS, format!("{address} answers with {version}")));
    findings
}

/// The configured hosts, that of `public_url` first; for a wildcard, one below it.
pub(super) fn hosts(context: &DoctorContext<'_>) -> Vec<String> {
    match &context.running {
        Some(running) if !running.hosts.is_empty() => running.hosts.clone(),
        _ => context.config.hosts(),
    }
}

/// Checks without a running gateway that its addresses are free.
async fn free(check: &'static str, addresses: &[SocketAddr]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in addresses {
        findings.push(match TcpListener::bind(address).await {
            Ok(_) => Finding::skipped(check, format!("{address} is free for the gateway")),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::problem(
                check,
                format!("{address} is taken by another program"),
                "end that program, or choose another address",
            ),
            Err(error) => Finding::problem(
                check,
                format!("{address} cannot be listened on: {error}"),
                "a port below 1024 needs CAP_NET_BIND_SERVICE; an address must be one of this machine's",
            ),
        });
    }
    findings
}

/// Checks that every plain HTTP address redirects.
pub(super) async fn plain(context: &DoctorContext<'_>) -> Vec<Finding> {
    let Some(running) = &context.running else {
        return free(HTTP, &context.config.listen.http).await;
    };
    let host = hosts(context).into_iter().next().unwrap_or_default();
    let mut findings = Vec::new();
    for &address in &running.http {
        let answered = match connect(address).await {
            Ok(stream) => http::get(stream, &host, "/", &[]).await,
            Err(error) => Err(error),
        };
        findings.push(match answered {
            Ok(answer) => match http::header(&answer, "location") {
                Some(to) if answer.status().is_redirection() && to.starts_with("https://") => {
                    Finding::ok(HTTP, format!("{address} redirects to {to}"))
                }
                _ => Finding::problem(
                    HTTP,
                    format!("{address} answers with {} and redirects nowhere", answer.status()),
                    "another program may answer there",
                ),
            },
            Err(error) => Finding::problem(
                HTTP,
                format!("{address}: {error}"),
                "see the gateway's log, and whether a firewall is before this address",
            ),
        });
    }
    findings
}

/// Every address of proxies that ended TLS answers.
pub(super) async fn from_proxies(context: &DoctorContext<'_>) -> Vec<Finding> {
    let Some(running) = &context.running else {
        let configured: Vec<_> = context.config.listen.plain_tcp().collect();
        return free(PLAIN, &configured).await;
    };
    let host = hosts(context).into_iter().next().unwrap_or_default();
    let mut findings = Vec::new();
    for place in &running.plain {
        let answered = match place.parse() {
            Ok(PlainAddress::Tcp(address)) => match connect(address).await {
                Ok(stream) => http::get(stream, &host, "/", AS_A_PROXY).await,
                Err(error) => Err(error),
            },
            Ok(PlainAddress::Unix(path)) => match timeout(LIMIT, UnixStream::connect(path)).await {
                Ok(Ok(stream)) => http::get(stream, &host, "/", AS_A_PROXY).await,
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
            Err(error) => Err(io::Error::other(error)),
        };
        findings.push(match answered {
            Ok(answer) if answer.status() == 403 && http::header(&answer, "content-type").is_some_and(|it| it.starts_with("text/plain")) => {
                Finding::ok(PLAIN, format!("{place} serves listen.trusted_proxies alone, and this machine is none of them"))
            }
            Ok(answer) => Finding::ok(PLAIN, format!("{place} answers a proxy with {}", answer.status())),
            Err(error) => Finding::problem(
                PLAIN,
                format!("{place}: {error}"),
                "see the gateway's log, and whether its socket was removed or a firewall is before this address",
            ),
        });
    }
    findings
}

/// Checks that the ops listener responds.
pub(super) async fn ops(context: &DoctorContext<'_>) -> Vec<Finding> {
    let Some(running) = &context.running else {
        let configured = context.config.listen.ops_address().ok().flatten();
        return free(OPS, configured.as_slice()).await;
    };
    let Some(address) = running.ops else {
        return Vec::new();
    };
    let answered = match connect(address).await {
        Ok(stream) => http::get(stream, &address.to_string(), "/readyz", &[]).await,
        Err(error) => Err(error),
    };
    vec![match answered {
        Ok(answer) if answer.status() == 200 => Finding::ok(OPS, format!("{address} says that it is ready")),
        Ok(answer) => Finding::warning(
            OPS,
            format!("{address} says {}: it starts or stops", answer.status()),
            "ask again in a moment",
        ),
        Err(error) => Finding::problem(OPS, format!("{address}: {error}"), "see the gateway's log"),
    }]
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connecting = timeout(LIMIT, TcpStream::connect(tls::reachable(address)));
    connecting
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
