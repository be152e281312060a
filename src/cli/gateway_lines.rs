//! What the program says of itself, as lines of JSON that begin as those of the other logs do.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;
use crate::log_line::{LineHead, LogLevel, LogName, LogTime};

/// Writes an event as one line of JSON.
#[derive(Debug)]
pub(super) struct GatewayLines(pub(super) Clock);

#[derive(Serialize)]
struct GatewayLine<'a> {
    #[serde(flatten)]
    head: LineHead<'a, &'a str>,
    target: &'a str,
    #[serde(flatten)]
    fields: Rest<'a>,
}

/// Fields in the order in which the code names them.
#[derive(Debug, Default)]
struct EventFields(Vec<(&'static str, Value)>);

/// All of them but those of the line's head.
struct Rest<'a>(&'a EventFields);

impl<S, N> FormatEvent<S, N> for GatewayLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        let about = event.metadata();
        let line = GatewayLine {
            head: LineHead {
                time: LogTime(self.0.now()),
                log: LogName::Gateway,
                level: level(*about.level()),
                request_id: fields.text("request_id"),
                client: fields.text("client"),
                user: fields.text("user"),
            },
            target: about.target(),
            fields: Rest(&fields),
        };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

impl EventFields {
    /// What a field of the line's head is, if the event has it.
    fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(named, _)| *named == name)?;
        value.as_str()
    }

    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        // What another library's records say of where they come from.
        if !field.name().starts_with("log.") {
            self.0.push((field.name(), value.into()));
        }
    }
}

impl Visit for EventFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

impl Serialize for Rest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const HEAD: [&str; 3] = ["request_id", "client", "user"];
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.0.0 {
            if !(HEAD.contains(name) && value.is_string()) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}
