//! A JSON line for every request. It has no query: tokens may be in one.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use http::{Request, StatusCode};
use serde::Serialize;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};

use crate::clock::Clock;
use crate::config::LogConfig;
use crate::request::{Client, RequestId};

/// The log; written by a thread of its own, so that no request waits for a disk.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Writer>>);

#[derive(Debug)]
struct Writer {
    lines: NonBlocking,
    clock: Clock,
    _flushes_on_drop: WorkerGuard,
}

#[derive(Serialize)]
struct Line {
    time: String,
    request_id: String,
    client: String,
    method: String,
    host: String,
    path: String,
    status: u16,
    duration_us: u64,
}

/// A request that is being answered.
pub(super) struct Pending(Option<(Arc<Writer>, Line, std::time::Duration)>);

impl AccessLog {
    /// Opens the file, or standard output.
    pub fn open(config: &LogConfig) -> io::Result<Self> {
        if !config.access {
            return Ok(Self(None));
        }
        let (lines, guard) = if config.access_file.as_os_str().is_empty() {
            tracing_appender::non_blocking(io::stdout())
        } else {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&config.access_file)?;
            tracing_appender::non_blocking(file)
        };
        Ok(Self(Some(Arc::new(Writer {
            lines,
            clock: Clock::system(),
            _flushes_on_drop: guard,
        }))))
    }

    pub(super) fn begin<B>(&self, request: &Request<B>, client: &Client, id: RequestId) -> Pending {
        Pending(self.0.clone().map(|writer| {
            let host = request.headers().get("host").and_then(|host| host.to_str().ok());
            let host = host
                .or_else(|| request.uri().host())
                .unwrap_or_default()
                .to_owned();
            let line = Line {
                time: writer.clock.now().to_string(),
                request_id: id.to_string(),
                client: client.address.to_string(),
                method: request.method().to_string(),
                host,
                path: request.uri().path().to_owned(),
                status: 0,
                duration_us: 0,
            };
            let began = writer.clock.monotonic();
            (writer, line, began)
        }))
    }
}

impl Pending {
    pub(super) fn end(self, status: StatusCode) {
        let Some((writer, mut line, began)) = self.0 else {
            return;
        };
        line.status = status.as_u16();
        line.duration_us =
            u64::try_from(writer.clock.monotonic().saturating_sub(began).as_micros()).unwrap_or(u64::MAX);
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            let _ = io::Write::write_all(&mut writer.lines.clone(), &text);
        }
    }
}
