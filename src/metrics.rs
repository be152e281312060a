//! What the gateway counts about itself: plain counters, one atomic addition each.
//!
//! The text is written by hand, a line a counter: `prometheus-client` writes `OpenMetrics`, whose rules for names would
//! change those that are there. Worth another look with the first histogram.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::refusal::Problem;

/// A number that other stages move and `/metrics` shows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
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
    /// Forms that made an account.
    pub sign_ups_created: Counter,
    /// Forms with an address that has an account, answered as if they had made one.
    pub sign_ups_known: Counter,
    /// Forms with mistakes.
    pub sign_ups_invalid: Counter,
    /// Forms where nobody may sign up.
    pub sign_ups_closed: Counter,
    /// Forms that the limit of an address refused.
    pub sign_ups_limited: Counter,
    /// Forms that could not be judged: no place in the hashing queue, or the store failed.
    pub sign_ups_unavailable: Counter,
    /// Answers that refuse, by their kind.
    pub refusals: Refusals,
    /// Passwords that were hashed or compared.
    pub hashes: Counter,
    /// Hashes that are being computed now.
    pub hashes_running: Counter,
    /// Hashes that wait for a thread.
    pub hashes_waiting: Counter,
    /// Hashes for which there was no place in the queue.
    pub hashes_refused: Counter,
    /// Mails that wait to be sent, as they were counted last.
    pub mails_waiting: Counter,
    /// 1 if the store lost changes that were promised, as it was looked at last.
    pub store_changes_lost: Counter,
    /// Connections that are open now, handshakes included.
    pub connections: Counter,
    /// Handshakes that failed or took too long.
    pub handshakes_failed: Counter,
    /// When the served certificate that ends first ends, in seconds since 1970.
    pub certificate_expiry: Counter,
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
    /// Messages of the program that could not be written. Counted from before there is anything else to count.
    pub messages_lost: Arc<Counter>,
    /// Lines of the access log that could not be written, or came faster than they were.
    pub access_lines_lost: Arc<Counter>,
    /// Lines of the audit log that could not be written.
    pub audit_lines_lost: Counter,
}

/// A counter for each kind of refusal.
#[derive(Debug, Default)]
pub struct Refusals([Counter; Problem::ALL.len()]);

impl Refusals {
    /// The one of this kind.
    pub fn of(&self, problem: Problem) -> &Counter {
        &self.0[problem as usize]
    }
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
        let mut text = String::with_capacity(8192);
        // Writing into a string does not fail.
        let _ = self.write(&mut text, started, uptime);
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

    /// Counters of several outcomes: their name, what they count, by what they differ, and each.
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

    /// The others: their name, kind, what they count, and their value.
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
