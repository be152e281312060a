//! `vestibule audit`: prints the audit log.

use std::io;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use ipnet::IpNet;
use jiff::Timestamp;

use super::admin_client::AdminClient;
use super::output::{CommandOutput, Failure, mention_unreadable, print_line};
use super::table::printable;
use crate::api::{AuditEventList, AuditEventView};
use crate::clock::Clock;
use crate::control::{AUDIT_EVENTS_A_PAGE, AuditQuery, Command};
use crate::model::{AuditCursor, AuditEvent, AuditKind, AuditOutcome, terminal_json};
use crate::services::{AuditFilter, AuditOrder};

/// How often new events are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Keep printing new events as they happen; with --json, a document each.
    #[arg(long)]
    follow: bool,
    /// Only events since this time, such as "2026-01-31T12:00:00Z", or since this long ago, such as "24h".
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only events before this time.
    #[arg(long, value_name = "WHEN", value_parser = moment, conflicts_with = "follow")]
    until: Option<Timestamp>,
    /// Only events about or by this account; former addresses and usernames work too.
    #[arg(long, value_name = "EMAIL")]
    account: Option<String>,
    /// Only events of this kind, such as "sign-in"; may be repeated.
    #[arg(long = "event", value_name = "EVENT", value_parser = kind_parser())]
    kinds: Vec<AuditKind>,
    /// Only events of the request with this X-Request-Id.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Only events of clients with this address, or in this network, such as "192.0.2.0/24".
    #[arg(long, value_name = "ADDRESS", value_parser = network)]
    client: Option<IpNet>,
    /// Only failures.
    #[arg(long)]
    failures: bool,
    /// Only the newest events, at most this many [default: 100, or all with --since]
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Export as JSON Lines: one JSON document per line.
    #[arg(long)]
    lines: bool,
}

impl Audit {
    /// Prints events itself when it follows or exports, and else returns them.
    pub(super) async fn run(
        self,
        client: &AdminClient,
        json: bool,
    ) -> Result<Option<CommandOutput>, Failure> {
        if self.follow {
            return self.keep_showing(client, json || self.lines).await;
        }
        if self.lines {
            self.export(client).await?;
            return Ok(None);
        }
        let found = self.newest(client).await?;
        let lines: Vec<String> = found.events.iter().map(|shown| line(&shown.event)).collect();
        let text = if lines.is_empty() {
            "There are no such events.".to_owned()
        } else {
            lines.join("\n")
        };
        CommandOutput::new(&found, text).map(Some)
    }

    /// Prints new events until the gateway or standard output fails.
    async fn keep_showing(&self, client: &AdminClient, json: bool) -> Result<Option<CommandOutput>, Failure> {
        let mut last = None;
        let mut shown = self.newest(client).await?.events;
        loop {
            for event in &shown {
                show(event, json)?;
                last = last.max(Some(event.cursor));
            }
            let query = self.query(AuditOrder::OldestFirst, last);
            let page: AuditEventList = client.send_to_running(Command::ReadAudit(query)).await?;
            mention_unreadable(&page.unreadable);
            last = page.next.or(last);
            if page.events.is_empty() && page.next.is_none() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            shown = page.events;
        }
    }

    /// Prints all events, the oldest first, a page at a time.
    async fn export(&self, client: &AdminClient) -> Result<(), Failure> {
        if self.limit().is_some() {
            for event in &self.newest(client).await?.events {
                show(event, true)?;
            }
            return Ok(());
        }
        let mut after = None;
        loop {
            let page = self.page(client, AuditOrder::OldestFirst, after).await?;
            for event in &page.events {
                show(event, true)?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Returns the newest events, at most `limit`, the oldest of them first.
    async fn newest(&self, client: &AdminClient) -> Result<AuditEventList, Failure> {
        let limit = self.limit().unwrap_or(usize::MAX);
        let (mut found, mut after) = (AuditEventList::default(), None);
        while found.events.len() < limit {
            let page = self.page(client, AuditOrder::NewestFirst, after).await?;
            found.events.extend(page.events);
            found.unreadable.extend(page.unreadable);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.events.truncate(limit);
        found.events.reverse();
        Ok(found)
    }

    fn limit(&self) -> Option<usize> {
        self.limit.or(self.since.is_none().then_some(100))
    }

    async fn page(
        &self,
        client: &AdminClient,
        order: AuditOrder,
        after: Option<AuditCursor>,
    ) -> Result<AuditEventList, Failure> {
        let page: AuditEventList = client.send(Command::ReadAudit(self.query(order, after))).await?;
        mention_unreadable(&page.unreadable);
        Ok(page)
    }

    fn query(&self, order: AuditOrder, after: Option<AuditCursor>) -> AuditQuery {
        AuditQuery {
            account: self.account.clone(),
            filter: AuditFilter {
                about: Vec::new(),
                kinds: self.kinds.clone(),
                outcome: self.failures.then_some(AuditOutcome::Failure),
                from: self.since,
                until: self.until,
                request: self.request.clone(),
                client: self.client,
            },
            order,
            after,
            exports: self.lines && !self.follow && after.is_none(),
            limit: AUDIT_EVENTS_A_PAGE,
        }
    }
}

fn show(event: &AuditEventView, json: bool) -> io::Result<()> {
    if json {
        print_line(&terminal_json(&serde_json::to_string(event)?))
    } else {
        print_line(&line(&event.event))
    }
}

/// Formats an event as a line of text.
pub(super) fn line(event: &AuditEvent) -> String {
    let mut line = format!(
        "{} {} {}",
        event.time.strftime("%Y-%m-%d %H:%M:%SZ"),
        event.event.as_str(),
        event.who
    );
    let address = event.address.map(|address| address.to_string());
    let refused = event.outcome == AuditOutcome::Failure;
    for (label, value) in [
        ("refused: ", event.reason.as_deref().filter(|_| refused)),
        ("by ", event.by.as_deref()),
        ("because ", event.why.as_deref()),
        ("from ", address.as_deref()),
        ("", event.detail.as_deref()),
        ("request ", event.request_id.as_deref()),
    ] {
        for part in value.into_iter().flat_map(|value| ["  ", label, value]) {
            line.push_str(part);
        }
    }
    printable(&line)
}

/// Accepts the name of an event; the error lists the valid ones.
fn kind_parser() -> impl TypedValueParser<Value = AuditKind> {
    let names = AuditKind::ALL.iter().map(|kind| kind.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<AuditKind>())
}

/// Parses an address, or a network.
fn network(text: &str) -> Result<IpNet, String> {
    AuditFilter::parse_client(text).map_err(|_| {
        "neither an address such as \"192.0.2.7\" nor a network such as \"192.0.2.0/24\"".to_owned()
    })
}

/// Parses a time, or how long ago it was.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let wrong =
        || "neither a moment such as \"2026-01-31T12:00:00Z\" nor a duration such as \"24h\"".to_owned();
    let ago = humantime::parse_duration(text).map_err(|_| wrong())?;
    Clock::system().now().checked_sub(ago).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_that_moves_no_cursor() {
        let event = AuditEvent {
            time: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            event: AuditKind::Disable,
            outcome: AuditOutcome::Failure,
            reason: Some("last-administrator".to_owned()),
            who: "a\nb\u{202e}\u{feff}".to_owned(),
            account: None,
            by: Some("root@example.com".to_owned()),
            why: Some("left".to_owned()),
            address: Some([192, 0, 2, 1].into()),
            request_id: None,
            user_agent: String::new(),
            detail: None,
        };
        assert_eq!(
            line(&event),
            "2026-01-02 03:04:05Z disable a\u{fffd}b\\u{202e}\\u{feff}  refused: last-administrator  by root@example.com  because left  \
             from 192.0.2.1"
        );
    }

    #[test]
    fn a_moment_is_said_in_two_ways() {
        assert_eq!(
            moment("2026-01-31T12:00:00Z"),
            Ok("2026-01-31T12:00:00Z".parse().unwrap())
        );
        assert!(moment("24h").unwrap() < Clock::system().now());
        assert!(moment("yesterday").is_err());
    }
}
