//! Every host of the routes, in the DNS.

use std::io;

use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::{DoctorContext, Finding, LIMIT};
use crate::config::HostPattern;

const CHECK: &str = "dns";

/// The host of each route has an address; that of `public_url` is looked up with its own check.
pub(super) async fn hosts(context: &DoctorContext<'_>) -> Vec<Finding> {
    let Some(public) = context.config.public_host() else {
        return Vec::new();
    };
    let mut patterns: Vec<(HostPattern, Option<usize>)> = Vec::new();
    for route in &context.config.route {
        let Ok(pattern) = route.host_pattern(&public) else {
            continue;
        };
        let is_looked_up = match &pattern {
            HostPattern::Exact(host) => *host != public && !host.is_loopback(),
            HostPattern::Below(domain) => !domain.is_loopback(),
        };
        if is_looked_up && !patterns.iter().any(|(known, _)| *known == pattern) {
            patterns.push((pattern, route.line.0));
        }
    }
    let looked_up = join_all(patterns.iter().map(|(pattern, line)| async move {
        let host = match pattern {
            HostPattern::Exact(host) => host.to_string(),
            HostPattern::Below(domain) => format!("any.{domain}"),
        };
        let found = timeout(LIMIT, lookup_host((host.trim_matches(['[', ']']), 443))).await;
        let found = found
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
            .flatten();
        let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let text = |error: io::Error| format!("{host}{line} has no address: {error}");
        match (pattern, found) {
            (_, Ok(_)) => None,
            (HostPattern::Exact(_), Err(error)) => Some(Finding::problem(
                CHECK,
                text(error),
                "enter the host into the DNS, and see whether this machine uses the same DNS as its users",
            )),
            (HostPattern::Below(_), Err(error)) => Some(Finding::warning(
                CHECK,
                text(error),
                "enter a wildcard into the DNS, or each host below the domain that is in use",
            )),
        }
    }));
    let findings: Vec<_> = looked_up.await.into_iter().flatten().collect();
    if findings.is_empty() && !patterns.is_empty() {
        let text = format!("all hosts of the routes have an address: {}", patterns.len());
        return vec![Finding::ok(CHECK, text)];
    }
    findings
}
