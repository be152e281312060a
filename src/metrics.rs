//! What the gateway counts about itself: plain counters, one atomic addition each.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that other stages move and `/metrics` shows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less; for what comes and goes. Never below zero, as long as each decrement follows an increment.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Exactly this many; for what is counted elsewhere.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// How many.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted. Counts begin at zero with each start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Answers with a status of 100 to 199.
    pub responses_1xx: Counter,
    /// Answers with a status of 200 to 299.
    pub responses_2xx: Counter,
    /// Answers with a status of 300 to 399.
    pub responses_3xx: Counter,
    /// Answers with a status of 400 to 499.
    pub responses_4xx: Counter,
    /// Answers with a status of 500 and above.
    pub responses_5xx: Counter,
    /// Sessions that are live now.
    pub sessions: Counter,
    /// Sign-ins that succeeded.
    pub sign_ins_succeeded: Counter,
    /// Sign-ins with a wrong name or password, or of an account that may not sign in.
    pub sign_ins_failed: Counter,
    /// Sign-ins that a lock refused.
    pub sign_ins_locked: Counter,
    /// Sign-ins that the limit of an address refused.
    pub sign_ins_limited: Counter,
    /// Sign-ins that could not be judged: no place in the hashing queue, or the store failed.
    pub sign_ins_unavailable: Counter,
    /// Locks that began.
    pub locks: Counter,
    /// Connections that are open now, handshakes included.
    pub connections: Counter,
    /// Handshakes that failed or took too long.
    pub handshakes_failed: Counter,
    /// Requests that an application did not answer.
    pub upstream_errors: Counter,
    /// Mails that left.
    pub mails_sent: Counter,
    /// Attempts to send a mail that is tried again later.
    pub mails_postponed: Counter,
    /// Mails that failed for good.
    pub mails_failed: Counter,
    /// Mails beyond what an address may be sent, or a client may cause.
    pub mails_withheld: Counter,
}

impl Metrics {
    /// Counts an answer under the class of its status.
    pub fn responded(&self, status: u16) {
        let class = match status {
            ..200 => &self.responses_1xx,
            200..300 => &self.responses_2xx,
            300..400 => &self.responses_3xx,
            400..500 => &self.responses_4xx,
            500.. => &self.responses_5xx,
        };
        class.increment();
    }

    /// Everything in the text format of Prometheus, version 0.0.4. `started` is the time since 1970 at which the
    /// process began to serve, `uptime` the time since then.
    pub fn exposition(&self, started: Duration, uptime: Duration) -> String {
        let mut text = String::with_capacity(4096);
        // Writing into a string does not fail.
        let _ = self.write(&mut text, started, uptime);
        text
    }

    fn write(&self, text: &mut String, started: Duration, uptime: Duration) -> fmt::Result {
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, &dyn fmt::Display)]| {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
            samples
                .iter()
                .try_for_each(|(labels, value)| writeln!(text, "{name}{labels} {value}"))
        };
        family(
            "process_start_time_seconds",
            "gauge",
            "When the process began to serve, in seconds since 1970.",
            &[("", &started.as_secs_f64())],
        )?;
        family(
            "vestibule_uptime_seconds",
            "gauge",
            "How long the process has been serving.",
            &[("", &uptime.as_secs_f64())],
        )?;
        family(
            "vestibule_responses_total",
            "counter",
            "Answers to requests, by class of status.",
            &[
                ("{class=\"1xx\"}", &self.responses_1xx.value()),
                ("{class=\"2xx\"}", &self.responses_2xx.value()),
                ("{class=\"3xx\"}", &self.responses_3xx.value()),
                ("{class=\"4xx\"}", &self.responses_4xx.value()),
                ("{class=\"5xx\"}", &self.responses_5xx.value()),
            ],
        )?;
        family(
            "vestibule_sign_ins_total",
            "counter",
            "Attempts to sign in, by outcome.",
            &[
                ("{outcome=\"succeeded\"}", &self.sign_ins_succeeded.value()),
                ("{outcome=\"failed\"}", &self.sign_ins_failed.value()),
                ("{outcome=\"locked\"}", &self.sign_ins_locked.value()),
                ("{outcome=\"limited\"}", &self.sign_ins_limited.value()),
                ("{outcome=\"unavailable\"}", &self.sign_ins_unavailable.value()),
            ],
        )?;
        family(
            "vestibule_mails_total",
            "counter",
            "Mails, by what became of them; one that is tried again counts as postponed each time.",
            &[
                ("{outcome=\"sent\"}", &self.mails_sent.value()),
                ("{outcome=\"postponed\"}", &self.mails_postponed.value()),
                ("{outcome=\"failed\"}", &self.mails_failed.value()),
                ("{outcome=\"withheld\"}", &self.mails_withheld.value()),
            ],
        )?;
        for (name, kind, help, counter) in [
            ("vestibule_sessions", "gauge", "Live sessions.", &self.sessions),
            (
                "vestibule_locks_total",
                "counter",
                "Locks that began.",
                &self.locks,
            ),
            (
                "vestibule_connections",
                "gauge",
                "Open connections.",
                &self.connections,
            ),
            (
                "vestibule_handshakes_failed_total",
                "counter",
                "Handshakes that failed or took too long.",
                &self.handshakes_failed,
            ),
            (
                "vestibule_upstream_errors_total",
                "counter",
                "Requests that an application did not answer.",
                &self.upstream_errors,
            ),
        ] {
            family(name, kind, help, &[("", &counter.value())])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_under_its_class() {
        let metrics = Metrics::default();
        for status in [101, 200, 204, 303, 404, 429, 503] {
            metrics.responded(status);
        }
        let text = metrics.exposition(Duration::from_secs(100), Duration::from_millis(2500));
        for line in [
            "process_start_time_seconds 100",
            "vestibule_uptime_seconds 2.5",
            "vestibule_responses_total{class=\"1xx\"} 1",
            "vestibule_responses_total{class=\"2xx\"} 2",
            "vestibule_responses_total{class=\"4xx\"} 2",
            "# TYPE vestibule_connections gauge",
            "vestibule_connections 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line}\n{text}");
        }
    }
}
