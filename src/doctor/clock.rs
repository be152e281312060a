//! Compares this machine's clock with that of an upstream.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::upstreams::ask;
use super::{DoctorContext, Finding, http};
use crate::config::UpstreamUrl;

const CLOCK: &str = "clock";

/// Seconds that two clocks may differ: signed requests are valid for five minutes.
const SKEW: u64 = 60;

/// Asks the servers in turn, until one tells the time.
pub(super) async fn check(
    context: &DoctorContext<'_>,
    servers: impl Iterator<Item = UpstreamUrl>,
) -> Option<Finding> {
    for server in servers {
        if let Some(theirs) = their_time(&server).await {
            return Some(compare_clocks(&server, theirs, context.clock.now()));
        }
    }
    None
}

/// The time in a server's `Date` header.
async fn their_time(server: &UpstreamUrl) -> Option<Timestamp> {
    let UpstreamUrl::Http(endpoint) = server else {
        return None;
    };
    let answer = ask(endpoint).await?;
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
