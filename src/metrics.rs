//! Metrics: plain counters, one atomic addition each, and their Prometheus exposition.
//!
//! The text format is hand-written: `prometheus-client` writes `OpenMetrics`, whose naming rules would rename
//! existing metrics. Worth another look with the first histogram.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::refusal::Problem;

/// A counter or gauge that `/metrics` shows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Subtracts one, for gauges. Each decrement must follow an increment.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets the value, for what is counted elsewhere.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Returns the value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All metrics. Counters start at zero with each start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Responses with a status of 100 to 199.
    pub responses_1xx: Counter,
    /// Responses with a status of 200 to 299.
    pub responses_2xx: Counter,
    /// Responses with a status of 300 to 399.
    pub responses_3xx: Counter,
    /// Responses with a status of 400 to 499.
    pub responses_4xx: Counter,
    /// Responses with a status of 500 and above.
    pub responses_5xx: Counter,
    /// Active sessions.
    pub sessions: Counter,
    /// Successful sign-ins.
    pub sign_ins_succeeded: Counter,
    /// Sign-ins with a wrong name or password, or to an account that may not sign in.
    pub sign_ins_failed: Counter,
    /// Sign-ins refused by a lockout.
    pub sign_ins_locked: Counter,
    /// Sign-ins refused by the address limit.
    pub sign_ins_limited: Counter,
    /// Sign-ins that could not be checked: the hashing queue was full, or the store failed.
    pub sign_ins_unavailable: Counter,
    /// Lockouts that began.
    pub locks: Counter,
    /// Sign-up forms that created an account.
    pub sign_ups_created: Counter,
    /// Sign-up forms with a known address, with the same response as if they had created an account.
    pub sign_ups_known: Counter,
    /// Sign-up forms with errors.
    pub sign_ups_invalid: Counter,
    /// Sign-up forms while sign-up is closed.
    pub sign_ups_closed: Counter,
    /// Sign-up forms refused by the address limit.
    pub sign_ups_limited: Counter,
    /// Sign-up forms that could not be checked: the hashing queue was full, or the store failed.
    pub sign_ups_unavailable: Counter,
    /// Refusals, by their problem.
    pub refusals: Refusals,
    /// Passwords hashed or compared.
    pub hashes: Counter,
    /// Hashes being computed.
    pub hashes_running: Counter,
    /// Hashes waiting for a thread.
    pub hashes_waiting: Counter,
    /// Hashes for which the queue had no room.
    pub hashes_refused: Counter,
    /// Queued mails, at the last count.
    pub mails_waiting: Counter,
    /// 1 if the store lost acknowledged changes, at the last check.
    pub store_changes_lost: Counter,
    /// Open connections, handshakes included.
    pub connections: Counter,
    /// Handshakes that failed or timed out.
    pub handshakes_failed: Counter,
    /// Earliest expiry of the served certificates, in seconds since 1970.
    pub certificate_expiry: Counter,
    /// Requests without a response from the upstream.
    pub upstream_errors: Counter,
    /// Mails sent.
    pub mails_sent: Counter,
    /// Failed attempts to send a mail that will be retried.
    pub mails_postponed: Counter,
    /// Mails that failed permanently.
    pub mails_failed: Counter,
    /// Mails withheld by the quota of an address or a client.
    pub mails_withheld: Counter,
    /// Program messages that could not be written. Shared, because logging starts before the metrics exist.
    pub messages_lost: Arc<Counter>,
    /// Access-log lines dropped because they could not be written or came too fast.
    pub access_lines_lost: Arc<Counter>,
    /// Audit-log lines that could not be written.
    pub audit_lines_lost: Counter,
}

/// A counter for each kind of refusal.
#[derive(Debug, Default)]
pub struct Refusals([Counter; Problem::ALL.len()]);

impl Refusals {
    /// Returns the counter of this kind.
    pub fn of(&self, problem: Problem) -> &Counter {
        &self.0[problem as usize]
    }
}

/// A server of an application, as the metrics show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerGauges {
    /// The upstream.
    pub upstream: String,
    /// The server's URL.
    pub server: String,
    /// Whether it gets its share of requests.
    pub is_up: bool,
    /// Requests under way.
    pub active_requests: usize,
}

impl Metrics {
    /// Counts a response in the class of its status.
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

    /// Renders all metrics in the Prometheus text format, version 0.0.4. `started` is when the process began
    /// to serve, since 1970; `uptime` the time since then; `servers` are those of all applications.
    pub fn exposition(&self, started: Duration, uptime: Duration, servers: &[ServerGauges]) -> String {
        let mut text = String::with_capacity(8192);
        // Cannot fail: it writes to a string.
        let _ = self
            .write(&mut text, started, uptime)
            .and_then(|()| write_servers(&mut text, servers));
        text
    }

    fn write(&self, text: &mut String, started: Duration, uptime: Duration) -> fmt::Result {
        for (name, help, time) in [
            (
                "process_start_time_seconds",
                "When the process began to serve, in seconds since 1970.",
                started,
            ),
            (
                "vestibule_uptime_seconds",
                "How long the process has been serving.",
                uptime,
            ),
        ] {
            describe(text, name, "gauge", help)?;
            writeln!(text, "{name} {}", time.as_secs_f64())?;
        }
        for (name, help, label, counters) in self.by_label() {
            describe(text, name, "counter", help)?;
            for (value, counter) in counters {
                writeln!(text, "{name}{{{label}=\"{value}\"}} {}", counter.value())?;
            }
        }
        for (name, kind, help, counter) in self.single() {
            describe(text, name, kind, help)?;
            writeln!(text, "{name} {}", counter.value())?;
        }
        Ok(())
    }

    /// Metrics with a label: name, help, label, and the counter of each value.
    #[expect(clippy::type_complexity, reason = "a table that is read in one place")]
    fn by_label(
        &self,
    ) -> [(
        &'static str,
        &'static str,
        &'static str,
        Vec<(&'static str, &Counter)>,
    ); 6] {
        let refusals = Problem::ALL.iter();
        let refusals = refusals.map(|&problem| (problem.slug(), self.refusals.of(problem)));
        [
            (
                "vestibule_responses_total",
                "Answers to requests, by class of status.",
                "class",
                vec![
                    ("1xx", &self.responses_1xx),
                    ("2xx", &self.responses_2xx),
                    ("3xx", &self.responses_3xx),
                    ("4xx", &self.responses_4xx),
                    ("5xx", &self.responses_5xx),
                ],
            ),
            (
                "vestibule_refusals_total",
                "Answers that refuse, by the slug of their problem.",
                "problem",
                refusals.collect(),
            ),
            (
                "vestibule_sign_ins_total",
                "Attempts to sign in, by outcome.",
                "outcome",
                vec![
                    ("succeeded", &self.sign_ins_succeeded),
                    ("failed", &self.sign_ins_failed),
                    ("locked", &self.sign_ins_locked),
                    ("limited", &self.sign_ins_limited),
                    ("unavailable", &self.sign_ins_unavailable),
                ],
            ),
            (
                "vestibule_sign_ups_total",
                "Forms to sign up, by outcome.",
                "outcome",
                vec![
                    ("created", &self.sign_ups_created),
                    ("known", &self.sign_ups_known),
                    ("invalid", &self.sign_ups_invalid),
                    ("closed", &self.sign_ups_closed),
                    ("limited", &self.sign_ups_limited),
                    ("unavailable", &self.sign_ups_unavailable),
                ],
            ),
            (
                "vestibule_mails_total",
                "Mails, by what became of them; one that is tried again counts as postponed each time.",
                "outcome",
                vec![
                    ("sent", &self.mails_sent),
                    ("postponed", &self.mails_postponed),
                    ("failed", &self.mails_failed),
                    ("withheld", &self.mails_withheld),
                ],
            ),
            (
                "vestibule_log_lines_lost_total",
                "Log lines that could not be written.",
                "log",
                vec![
                    ("messages", &self.messages_lost),
                    ("access", &self.access_lines_lost),
                    ("audit", &self.audit_lines_lost),
                ],
            ),
        ]
    }

    /// Metrics without a label: name, kind, help, counter.
    fn single(&self) -> [(&'static str, &'static str, &'static str, &Counter); 12] {
        let (counter, gauge) = ("counter", "gauge");
        [
            ("vestibule_sessions", gauge, "Live sessions.", &self.sessions),
            ("vestibule_locks_total", counter, "Locks that began.", &self.locks),
            (
                "vestibule_password_hashes_total",
                counter,
                "Passwords that were hashed or compared.",
                &self.hashes,
            ),
            (
                "vestibule_password_hashes_running",
                gauge,
                "Passwords that are being hashed.",
                &self.hashes_running,
            ),
            (
                "vestibule_password_hashes_waiting",
                gauge,
                "Passwords that wait to be hashed.",
                &self.hashes_waiting,
            ),
            (
                "vestibule_password_hashes_refused_total",
                counter,
                "Passwords for which the queue had no place.",
                &self.hashes_refused,
            ),
            (
                "vestibule_mails_waiting",
                gauge,
                "Mails that wait to be sent, as they were counted two seconds ago at most.",
                &self.mails_waiting,
            ),
            (
                "vestibule_store_changes_lost",
                gauge,
                "1 if the store lost changes that were promised: see the log, or `vestibule store verify`.",
                &self.store_changes_lost,
            ),
            (
                "vestibule_certificate_expiry_timestamp_seconds",
                gauge,
                "When the served certificate that ends first ends, in seconds since 1970.",
                &self.certificate_expiry,
            ),
            (
                "vestibule_connections",
                gauge,
                "Open connections.",
                &self.connections,
            ),
            (
                "vestibule_handshakes_failed_total",
                counter,
                "Handshakes that failed or took too long.",
                &self.handshakes_failed,
            ),
            (
                "vestibule_upstream_errors_total",
                counter,
                "Requests that an application did not answer.",
                &self.upstream_errors,
            ),
        ]
    }
}

fn write_servers(text: &mut String, servers: &[ServerGauges]) -> fmt::Result {
    type Gauge = fn(&ServerGauges) -> usize;
    let gauges: [(&str, &str, Gauge); 2] = [
        (
            "vestibule_upstream_server_up",
            "1 if a server of an application gets its share of requests.",
            |server| usize::from(server.is_up),
        ),
        (
            "vestibule_upstream_server_active_requests",
            "Requests that are under way at a server of an application.",
            |server| server.active_requests,
        ),
    ];
    for (name, help, gauge) in gauges {
        describe(text, name, "gauge", help)?;
        for server in servers {
            let (upstream, url) = (label(&server.upstream), label(&server.server));
            writeln!(
                text,
                "{name}{{upstream=\"{upstream}\",server=\"{url}\"}} {}",
                gauge(server)
            )?;
        }
    }
    Ok(())
}

/// Escapes the value of a label, as the text format asks for.
fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn describe(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
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
        let servers = [ServerGauges {
            upstream: "a\"b".to_owned(),
            server: "http://127.0.0.1:3000".to_owned(),
            is_up: true,
            active_requests: 3,
        }];
        let text = metrics.exposition(Duration::from_secs(100), Duration::from_millis(2500), &servers);
        for line in [
            "process_start_time_seconds 100",
            "vestibule_uptime_seconds 2.5",
            "vestibule_responses_total{class=\"1xx\"} 1",
            "vestibule_responses_total{class=\"2xx\"} 2",
            "vestibule_responses_total{class=\"4xx\"} 2",
            "# TYPE vestibule_connections gauge",
            "vestibule_connections 0",
            "vestibule_upstream_server_up{upstream=\"a\\\"b\",server=\"http://127.0.0.1:3000\"} 1",
            "vestibule_upstream_server_active_requests{upstream=\"a\\\"b\",server=\"http://127.0.0.1:3000\"} 3",
        ] {
            assert!(text.lines().any(|written| written == line), "{line}\n{text}");
        }
    }
}
