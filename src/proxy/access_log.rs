//! The access log: writes one JSON line per request when its response body is complete or dropped.
//!
//! Lines carry the path without its query, because queries may hold tokens.

mod search;

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::header::{HeaderName, REFERER, USER_AGENT};
use http::{HeaderMap, StatusCode, Version};
use jiff::Timestamp;
use serde::Serialize;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};

use crate::clock::Clock;
use crate::config::{AccessField, LogConfig, TlsVersion};
use crate::log_file::{LogFile, Reopening};
use crate::log_line::{LineHead, LogLevel, LogName, LogTime};
use crate::log_writer::LogWriter;
use crate::metrics::{Counter, Metrics};
use crate::request::{ClientAddress, RequestHead, RequestId};

pub use search::find_refusals;
pub(super) use search::find_request;

/// Status of a request that the client aborted before the response. Never sent; nginx logs the same number.
const CLIENT_LEFT: u16 = 499;

/// Characters of what clients write into a line, each.
const LONGEST: usize = 256;

/// Handle to the access log's writer thread. Requests never wait for the disk: when the writer cannot keep
/// up, lines are dropped and counted.
#[derive(Clone, Debug)]
pub(super) struct AccessLog(Arc<EntryWriter>);

#[derive(Debug)]
struct EntryWriter {
    lines: NonBlocking,
    lost: Arc<Counter>,
    /// Lines dropped by the full queue that `lost` already includes.
    unfit: AtomicUsize,
    clock: Clock,
    /// The fields that were asked for.
    optional: Vec<AccessField>,
    /// Flushes the queue on drop.
    _guard: WorkerGuard,
}

/// The part of a line that is known with the response head.
#[derive(Serialize)]
struct AccessLogEntry<'a> {
    #[serde(flatten)]
    head: LineHead<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_version: Option<TlsVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
}

/// How a request came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTransport {
    pub(super) protocol: Version,
    pub(super) tls: Option<TlsVersion>,
}

/// User, route and upstream of a handled request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestOutcome<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) route: Option<&'a str>,
    pub(super) upstream: Option<&'a str>,
}

/// Wall-clock and monotonic time at which a request arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTimer {
    at: Timestamp,
    monotonic: Duration,
}

/// A line that waits for the end of the response body.
#[derive(Debug)]
pub(super) struct PendingEntry {
    log: AccessLog,
    /// A JSON object without its closing brace.
    line: Vec<u8>,
    begun: RequestTimer,
    bytes: u64,
}

impl RequestTimer {
    pub(super) fn now(clock: &Clock) -> Self {
        Self {
            at: clock.now(),
            monotonic: clock.monotonic(),
        }
    }

    pub(super) fn at(self) -> Timestamp {
        self.at
    }
}

impl AccessLog {
    /// Opens `log.access_file`, or standard output if it is empty. `None` if `log.access` is off.
    pub(super) fn open(
        config: &LogConfig,
        clock: Clock,
        metrics: &Metrics,
        reopening: Reopening,
    ) -> io::Result<Option<Self>> {
        if !config.access {
            return Ok(None);
        }
        let lost = metrics.access_lines_lost.clone();
        let (lines, guard) = if config.access_file.as_os_str().is_empty() {
            tracing_appender::non_blocking(LogWriter::new(io::stdout(), lost.clone(), Arc::default()))
        } else {
            let file = LogFile::open(&config.access_file, reopening)?;
            tracing_appender::non_blocking(LogWriter::new(file, lost.clone(), Arc::default()))
        };
        Ok(Some(Self(Arc::new(EntryWriter {
            lines,
            lost,
            unfit: AtomicUsize::new(0),
            clock,
            optional: config.access_fields.clone(),
            _guard: guard,
        }))))
    }

    /// Starts the line of a request whose response head is ready.
    pub(super) fn record(
        &self,
        head: &RequestHead<'_>,
        transport: RequestTransport,
        begun: RequestTimer,
        status: StatusCode,
        handled: RequestOutcome<'_>,
    ) -> Option<PendingEntry> {
        let has = |field| self.0.optional.contains(&field);
        let known = AccessLogEntry {
            head: LineHead {
                user: handled.user,
                ..line_head(begun, &head.id, head.client, status)
            },
            method: head.method.as_str(),
            host: head.host.as_str(),
            path: head.path,
            status: status.as_u16(),
            route: handled.route,
            upstream: handled.upstream,
            protocol: has(AccessField::Protocol)
                .then(|| protocol_name(transport.protocol))
                .flatten(),
            tls_version: transport.tls.filter(|_| has(AccessField::TlsVersion)),
            referer: has(AccessField::Referer).then(|| referer(head.headers)).flatten(),
            user_agent: has(AccessField::UserAgent)
                .then(|| written(head.headers, &USER_AGENT))
                .flatten()
                .map(shortened),
        };
        self.begin(&known, begun)
    }

    /// Writes the line of a request whose head hyper could not parse.
    pub(super) fn note_unreadable(
        &self,
        client: &ClientAddress,
        id: RequestId,
        begun: RequestTimer,
        status: StatusCode,
    ) {
        let known = AccessLogEntry {
            head: line_head(begun, &id, client, status),
            method: "",
            host: "",
            path: "",
            status: status.as_u16(),
            route: None,
            upstream: None,
            protocol: None,
            tls_version: None,
            referer: None,
            user_agent: None,
        };
        if let Some(record) = self.begin(&known, begun) {
            record.write();
        }
    }

    fn begin(&self, known: &AccessLogEntry<'_>, begun: RequestTimer) -> Option<PendingEntry> {
        let mut line = Vec::with_capacity(384);
        serde_json::to_writer(&mut line, known).ok()?;
        line.pop();
        Some(PendingEntry {
            log: self.clone(),
            line,
            begun,
            bytes: 0,
        })
    }
}

fn line_head<'a>(
    begun: RequestTimer,
    id: &'a RequestId,
    client: &ClientAddress,
    status: StatusCode,
) -> LineHead<'a> {
    LineHead {
        time: LogTime(begun.at),
        log: LogName::Access,
        level: if status.is_server_error() {
            LogLevel::Error
        } else {
            LogLevel::Info
        },
        request_id: Some(id.as_str()),
        client: Some(client.address),
        user: None,
    }
}

fn protocol_name(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("HTTP/1.0"),
        Version::HTTP_11 => Some("HTTP/1.1"),
        Version::HTTP_2 => Some("HTTP/2"),
        _ => None,
    }
}

fn written<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// The page that led here. A query may have a token in it. Browsers leave out the name and password of a URL, other
/// clients may not.
fn referer(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut referer = written(headers, &REFERER)?;
    let authority = referer.find("//").map(|at| at + 2);
    let end_of_user = authority.and_then(|start| {
        let end = referer[start..]
            .find(['/', '?', '#'])
            .map_or(referer.len(), |end| start + end);
        referer[start..end].rfind('@').map(|at| start + at + 1)
    });
    if let (Some(start), Some(end)) = (authority, end_of_user) {
        referer = format!("{}{}", &referer[..start], &referer[end..]).into();
    }
    if let Some(end) = referer.find(['?', '#']) {
        referer = match referer {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
            Cow::Owned(mut text) => {
                text.truncate(end);
                Cow::Owned(text)
            }
        };
    }
    Some(shortened(referer))
}

fn shortened(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(text[..end].to_owned()),
        None => text,
    }
}

/// Logs status 499 on drop, unless [`answered`](Self::answered) was called: the client closed the connection
/// or reset the stream.
pub(super) struct AbortGuard<'a> {
    log: Option<&'a AccessLog>,
    head: &'a RequestHead<'a>,
    transport: RequestTransport,
    begun: RequestTimer,
}

impl<'a> AbortGuard<'a> {
    pub(super) fn new(
        log: Option<&'a AccessLog>,
        head: &'a RequestHead<'a>,
        transport: RequestTransport,
        begun: RequestTimer,
    ) -> Self {
        Self {
            log,
            head,
            transport,
            begun,
        }
    }

    pub(super) fn answered(mut self) {
        self.log = None;
    }
}

impl Drop for AbortGuard<'_> {
    fn drop(&mut self) {
        let Some(log) = self.log else { return };
        let Ok(status) = StatusCode::from_u16(CLIENT_LEFT) else {
            return;
        };
        if let Some(record) = log.record(
            self.head,
            self.transport,
            self.begun,
            status,
            RequestOutcome::default(),
        ) {
            record.write();
        }
    }
}

impl EntryWriter {
    /// Adds the lines dropped since the last call to `lost`.
    fn count_unfit(&self) {
        let unfit = self.lines.error_counter().dropped_lines();
        let counted = self.unfit.fetch_max(unfit, Ordering::Relaxed);
        if unfit > counted {
            self.lost.add((unfit - counted) as u64);
        }
    }
}

impl PendingEntry {
    /// Adds bytes of response content that were sent.
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Completes the line with size and duration, and queues it.
    pub(super) fn write(mut self) {
        let writer = &self.log.0;
        let took = writer.clock.monotonic().saturating_sub(self.begun.monotonic);
        // Neither write fails: the first goes to memory, the second drops lines that do not fit.
        let _ = writeln!(
            self.line,
            ",\"bytes\":{},\"duration_us\":{}}}",
            self.bytes,
            took.as_micros()
        );
        let _ = writer.lines.clone().write_all(&self.line);
        writer.count_unfit();
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::random::Random;
    use crate::request::{ClientAddress, RequestIds};

    const BROWSER: RequestTransport = RequestTransport {
        protocol: Version::HTTP_2,
        tls: Some(TlsVersion::Tls13),
    };

    /// The text of a log after a request with these headers.
    fn logged(access_fields: Vec<AccessField>, headers: &HeaderMap, status: StatusCode) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        let (clock, hand) = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        let config = LogConfig {
            access_file: file.clone(),
            access_fields,
            ..LogConfig::default()
        };
        let log = AccessLog::open(&config, clock.clone(), &Metrics::default(), Reopening::default())
            .unwrap()
            .unwrap();
        let head = RequestHead {
            method: &Method::GET,
            host: &"localhost".parse().unwrap(),
            scheme: "https",
            authority: "localhost:8443",
            path: "/a\"b\u{7f}\n{}",
            query: Some("token=secret"),
            headers,
            client: &ClientAddress {
                address: [203, 0, 113, 9].into(),
                through_trusted_proxy: false,
                is_known: true,
            },
            id: RequestIds::new(&Random::seeded(1)).next(),
        };
        let begun = RequestTimer::now(&clock);
        let handled = RequestOutcome {
            user: Some("ann"),
            route: Some("localhost/"),
            upstream: None,
        };
        let mut record = log.record(&head, BROWSER, begun, status, handled).unwrap();
        record.count(5);
        record.count(6);
        hand.advance(Duration::from_millis(3));
        record.write();
        drop(log);
        std::fs::read_to_string(file).unwrap()
    }

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            REFERER,
            "https://a.example/b?token=secret#secret".parse().unwrap(),
        );
        headers.insert(USER_AGENT, "Mozilla/5.0 \"x\"".parse().unwrap());
        headers
    }

    #[test]
    fn a_line_tells_all_but_the_query_and_cannot_be_forged() {
        let text = logged(Vec::new(), &headers(), StatusCode::OK);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.contains("secret"));
        let id = RequestIds::new(&Random::seeded(1)).next();
        let head = "{\"time\":\"2026-01-02T03:04:05.000000Z\",\"log\":\"access\",\"level\":\"info\",\"request_id\":\"";
        assert!(text.starts_with(head), "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            line,
            serde_json::json!({
                "time": "2026-01-02T03:04:05.000000Z",
                "log": "access",
                "level": "info",
                "request_id": id.as_str(),
                "client": "203.0.113.9",
                "user": "ann",
                "method": "GET",
                "host": "localhost",
                "path": "/a\"b\u{7f}\n{}",
                "status": 200,
                "route": "localhost/",
                "bytes": 11,
                "duration_us": 3000,
            })
        );
    }

    #[test]
    fn a_line_has_more_fields_where_they_are_asked_for() {
        let all = || {
            vec![
                AccessField::UserAgent,
                AccessField::Referer,
                AccessField::Protocol,
                AccessField::TlsVersion,
            ]
        };
        let text = logged(all(), &headers(), StatusCode::BAD_GATEWAY);
        assert!(!text.contains("secret"), "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (name, value) in [
            ("user_agent", "Mozilla/5.0 \"x\""),
            ("referer", "https://a.example/b"),
            ("protocol", "HTTP/2"),
            ("tls_version", "1.3"),
            ("level", "error"),
        ] {
            assert_eq!(line[name], value, "{name}: {text}");
        }
        let mut long = HeaderMap::new();
        long.insert(USER_AGENT, "x".repeat(1000).parse().unwrap());
        let text = logged(all(), &long, StatusCode::OK);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["user_agent"].as_str().unwrap().len(), LONGEST);
        assert!(line.get("referer").is_none());
    }
}
