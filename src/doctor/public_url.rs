//! Checks `public_url`, as the recipient of a mailed link reaches it.

use std::io;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::{DoctorContext, Finding, LIMIT, http, tls};
use crate::route::Page;

const CHECK: &str = "public_url";

/// Checks that the host resolves, speaks TLS and is this gateway, which alone knows the id of the request.
pub(super) async fn reach(context: &DoctorContext<'_>) -> Vec<Finding> {
    let Some(running) = &context.running else {
        return vec![Finding::skipped(CHECK, "no gateway runs that could be reached")];
    };
    let Some((host, port)) = host_and_port(&running.public_url) else {
        return vec![Finding::problem(CHECK, "it has no host", "see public_url")];
    };
    let looked_up = timeout(LIMIT, lookup_host((host.trim_matches(['[', ']']), port)));
    let found = looked_up
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut));
    let addresses: Vec<_> = match found.flatten() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let text = format!("{host} has no address: {error}");
            let advice =
                "enter the host into the DNS, and see whether this machine uses the same DNS as its users";
            return vec![Finding::problem(CHECK, text, advice)];
        }
    };
    let mut last = format!("{host} has no address");
    for address in addresses {
        match tls::shake(address, &host, false).await {
            Ok(shaken) => return at(context, shaken, &host, port).await,
            Err(error) => last = format!("{host} is at {address}, where nobody can be reached: {error}"),
        }
    }
    let advice = "see that the DNS names this machine, that the port is forwarded to a listen.https address, and that no \
                  firewall is between; a router may not lead this machine to itself, though it leads others here";
    vec![Finding::problem(CHECK, last, advice)]
}

async fn at(context: &DoctorContext<'_>, shaken: tls::Handshake, host: &str, port: u16) -> Vec<Finding> {
    let place = format!("{host}:{port}");
    // The check of the listeners reports this certificate too: only problems are reported here.
    let mut findings = context.trust.verify(CHECK, &shaken, context.clock.now(), &place);
    findings.retain(|finding| finding.verdict == super::Verdict::Problem);
    let authority = if port == 443 {
        host.to_owned()
    } else {
        place.clone()
    };
    let path = Page::Login.path();
    let answered = http::get(shaken.stream, &authority, path, &[("accept", "text/html")]).await;
    let id = match &answered {
        Ok(answer) => http::header(answer, "x-request-id"),
        Err(error) => {
            let advice = "another program may answer there";
            findings.push(Finding::problem(CHECK, format!("{place}{path}: {error}"), advice));
            return findings;
        }
    };
    let is_ours = match id {
        Some(id) => match context.recall(id).await {
            Ok(recalled) => recalled.is_some(),
            Err(error) => {
                let unknown =
                    format!("whether https://{authority}{path} reaches this gateway is not known: {error}");
                findings.push(Finding::skipped(CHECK, unknown));
                return findings;
            }
        },
        None => false,
    };
    findings.push(if is_ours {
        Finding::ok(CHECK, format!("https://{authority}{path} reaches this gateway"))
    } else {
        Finding::problem(
            CHECK,
            format!("https://{authority}{path} is answered by another server than this gateway"),
            "see where the DNS and the port forwarding lead",
        )
    });
    findings
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let url: url::Url = url.parse().ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}
