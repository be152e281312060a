//! Checks the upstreams, and compares their clocks.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DoctorContext, Finding, LIMIT, http};
use crate::config::UpstreamUrl;
use crate::route::Routes;
use crate::upstream::{Reachability, Upstreams};

const CHECK: &str = "upstream";
const CLOCK: &str = "clock";

/// Seconds that two clocks may differ: signed requests are valid for five minutes.
const SKEW: u64 = 60;

/// Checks that every server accepts connections, by the gateway's own code, TLS included. Sends no request,
/// but for one over plain HTTP to read the time.
pub(super) async fn reach(context: &DoctorContext<'_>) -> Vec<Finding> {
    let made = context
        .config
        .public_host()
        .and_then(|host| Routes::new(context.config, host).ok());
    let Some(routes) = made else {
        return Vec::new();
    };
    let upstreams = match Upstreams::new(context.config, &routes, &Arc::default()) {
        Ok(upstreams) => upstreams,
        Err(error) => return vec![Finding::problem(CHECK, error.to_string(), "see [upstream]")],
    };
    let reached = upstreams.reach(LIMIT).await;
    let mut findings: Vec<_> = reached.iter().map(finding).collect();
    let answering = reached.iter().filter(|reached| reached.result.is_ok());
    // Only the first server that tells the time is asked.
    for server in answering.filter_map(|reached| reached.server.parse::<UpstreamUrl>().ok()) {
        if let Some(theirs) = their_time(&server).await {
            findings.push(compare_clocks(&server, theirs, context.clock.now()));
            break;
        }
    }
    findings
}

fn finding(reached: &Reachability) -> Finding {
    let Reachability {
        upstream,
        server,
        result,
    } = reached;
    let name = if upstream == server {
        server.clone()
    } else {
        format!("{upstream}: {server}")
    };
    match result {
        Ok(()) => Finding::ok(CHECK, format!("{name} takes connections")),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Finding::problem(
            CHECK,
            format!("{name}: {error}"),
            "its certificate must be for the host in the URL, and of an authority that the system trusts or \
             upstream.NAME.ca names",
        ),
        Err(error) => Finding::problem(
            CHECK,
            format!("{name}: {error}"),
            "start it, or correct the URL in the configuration",
        ),
    }
}

/// The time in a server's `Date` header.
async fn their_time(server: &UpstreamUrl) -> Option<Timestamp> {
    let UpstreamUrl::Http(endpoint) = server else {
        return None;
    };
    let host = endpoint.host.as_str().trim_matches(['[', ']']);
    let connecting = timeout(LIMIT, TcpStream::connect((host, endpoint.port)));
    let stream = connecting.await.ok()?.ok()?;
    let answer = http::get(stream, &endpoint.to_string(), "/", &[]).await.ok()?;
    // "GMT" is what HTTP says, and an obsolete name of UTC in RFC 2822.
    rfc2822::DateTimeParser::new()
        .parse_timestamp(http::header(&answer, "date")?)
        .ok()
}

fn compare_clocks(server: &UpstreamUrl, theirs: Timestamp, ours: Timestamp) -> Finding {
    let apart = theirs.duration_since(ours).unsigned_abs().as_secs();
    if apart <= SKEW {
        return Finding::ok(CLOCK, format!("agrees with that of {server}"));
    }
    let text =
        format!("{apart} s apart from that of {server}: signed requests and certificates depend on it");
    Finding::warning(
        CLOCK,
        text,
        "see on which of the two machines the time is synchronised (NTP)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn clocks_may_differ_by_a_minute() {
        let server: UpstreamUrl = "http://127.0.0.1:1".parse().unwrap();
        let ours: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let verdict = |date: &str| {
            let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date).unwrap();
            compare_clocks(&server, theirs, ours).verdict
        };
        assert_eq!(verdict("Fri, 02 Jan 2026 03:05:05 GMT"), Verdict::Ok);
        assert_eq!(verdict("Fri, 02 Jan 2026 03:03:05 GMT"), Verdict::Ok);
        assert_eq!(verdict("Fri, 02 Jan 2026 03:05:06 GMT"), Verdict::Warning);
        assert_eq!(verdict("Thu, 01 Jan 2026 03:04:05 GMT"), Verdict::Warning);
    }
}
