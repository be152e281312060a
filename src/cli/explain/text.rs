//! Formats an explanation as text.

use std::fmt::Write as _;

use crate::api::{LoggedRequest, RecentRequest, RequestReport};
use crate::app::{ExplainReport, RefusalReport, RefusedRequest};
use crate::cli::audit;
use crate::cli::table::{moment, printable};
use crate::clock::Clock;
use crate::config::Replay;
use crate::model::AccountStatus;
use crate::proxy::{Caller, ExplainedOutcome, Explanation, ResponseSummary, RouteView};
use crate::text::Texts;

/// Labelled lines.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    /// Appends a line; without a name, it continues the one before.
    fn line(&mut self, name: &str, text: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{name:<10}{}", printable(text));
    }

    fn lines(&mut self, name: &str, lines: impl IntoIterator<Item = String>) {
        for (index, text) in lines.into_iter().enumerate() {
            self.line(if index == 0 { name } else { "" }, &text);
        }
    }

    fn done(self) -> String {
        self.0.trim_end().to_owned()
    }
}

pub(super) fn explained(explained: &ExplainReport) -> String {
    let told = &explained.explanation;
    let mut sheet = Sheet::default();
    sheet.line("request", &format!("{} {}{}", told.method, told.host, told.path));
    if let Some(path) = &told.destination {
        sheet.line("to", &format!("{path}, where they may write"));
    }
    sheet.line(
        "of",
        &told
            .caller
            .as_ref()
            .map_or("nobody: nobody is signed in".to_owned(), caller),
    );
    sheet.line(
        "by",
        if explained.live {
            "the gateway that runs"
        } else {
            "the configuration in the file: no gateway runs"
        },
    );
    match (&told.route, &told.page) {
        (Some(route), _) => sheet.lines("route", route_lines(route)),
        (None, Some(page)) => sheet.line("page", page),
        (None, None) => sheet.line("route", "none"),
    }
    let passed_over = told.passed_over.iter().map(|other| {
        let name = place(other.index, other.line);
        format!("{name} {} {}", other.label, other.reason)
    });
    sheet.lines("not", passed_over);
    sheet.lines("decision", decision(told));
    if let Some(forwarded) = &told.forwarded {
        sheet.line("asks", &format!("{} {}", told.method, forwarded.target));
        let headers = forwarded.headers.iter();
        sheet.lines("headers", headers.map(|(name, value)| format!("{name}: {value}")));
        sheet.lines("removed", wrapped(&forwarded.removed));
        sheet.lines("forgeable", wrapped(&forwarded.forgeable));
    }
    sheet.lines("note", told.notes.clone());
    sheet.done()
}

fn caller(caller: &Caller) -> String {
    let groups = if caller.groups.is_empty() {
        "no groups".to_owned()
    } else {
        format!("groups {}", caller.groups.join(", "))
    };
    let mut text = format!("{} ({}), {groups}", caller.email, caller.username);
    if caller.status != AccountStatus::Active {
        let _ = write!(text, ", {}", caller.status.as_str());
    }
    if let Some(slug) = &caller.shut_out {
        let _ = write!(text, "; cannot sign in ({slug}), so the request is nobody's");
    }
    text
}

fn route_lines(route: &RouteView) -> Vec<String> {
    let mut settings = vec![format!("allow {}", route.allow)];
    if let Some(deny) = &route.deny {
        settings.insert(0, format!("deny {deny}"));
    }
    if !route.methods.is_empty() {
        settings.push(format!("methods {}", route.methods.join(", ")));
    }
    let replay = match route.replay {
        Replay::Off => None,
        Replay::Writes => {
            Some("replay \"writes\": a signature of a method that changes something serves once")
        }
        Replay::All => Some("replay \"all\": a signature serves once"),
    };
    let said = [
        replay,
        route
            .unsigned_payload
            .then_some("signed requests may leave their body unsigned"),
        (!route.presigned).then_some("requests that are signed in their query are refused"),
        route.preflight.then_some("preflight: OPTIONS needs no session"),
        route.encoded_slash.then_some("%2f in a path is passed on"),
        route
            .case_sensitive
            .then_some("case_sensitive: letters of another case are other paths"),
        route.backend_ai.then_some("compat \"backend.ai\""),
        route
            .maintenance
            .then_some("maintenance: for administrators alone"),
    ];
    settings.extend(said.into_iter().flatten().map(str::to_owned));
    let mut to = format!("to {}", route.upstream);
    if !route.servers.is_empty() && route.servers != [route.upstream.clone()] {
        let _ = write!(to, ": {}", route.servers.join(", "));
    }
    vec![
        format!("{} {}", place(route.index, route.line), route.label),
        settings.join("; "),
        to,
    ]
}

fn place(index: usize, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("route[{index}] (line {line})"),
        None => format!("route[{index}]"),
    }
}

fn decision(told: &Explanation) -> Vec<String> {
    let mut lines = vec![match told.outcome {
        ExplainedOutcome::Forwarded => "goes to the application".to_owned(),
        ExplainedOutcome::Page => "the gateway answers it itself".to_owned(),
        ExplainedOutcome::Refused => "does not go on".to_owned(),
    }];
    lines.push(told.reason.clone());
    match (&told.to_browser, &told.to_program) {
        (Some(browser), Some(program)) if browser != program => {
            lines.push(format!("a browser gets {}", response(browser)));
            lines.push(format!("a program gets {}", response(program)));
        }
        (_, Some(both)) | (Some(both), None) => lines.push(format!("answered with {}", response(both))),
        (None, None) => {}
    }
    lines
}

fn response(answered: &ResponseSummary) -> String {
    let mut text = answered.status.to_string();
    if let Some(slug) = &answered.slug {
        let _ = write!(text, " {slug}");
    }
    if let Some(location) = &answered.location {
        let _ = write!(text, " to {location}");
    }
    if let Some(allow) = &answered.allow {
        let _ = write!(text, " (Allow: {allow})");
    }
    text
}

/// Joins names into lines of the width of a terminal.
fn wrapped(names: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + name.len() < 68 => {
                line.push_str(", ");
                line.push_str(name);
            }
            _ => lines.push(name.clone()),
        }
    }
    lines
}

pub(super) fn recalled(recalled: &RequestReport) -> String {
    let mut sheet = Sheet::default();
    match (&recalled.recent, &recalled.logged) {
        (Some(recent), _) => recent_lines(&mut sheet, recent),
        (None, Some(logged)) => logged_lines(&mut sheet, logged),
        (None, None) => {}
    }
    if let Some(logged) = &recalled.logged {
        if let Some(upstream) = &logged.upstream {
            sheet.line("server", upstream);
        }
        if let (Some(bytes), Some(took)) = (logged.bytes, logged.duration_us) {
            sheet.line(
                "sent",
                &format!("{bytes} bytes in {}.{:03} ms", took / 1000, took % 1000),
            );
        }
    }
    sheet.lines("not seen", recalled.log_error.clone());
    sheet.lines("recorded", recalled.events.iter().map(audit::line));
    sheet.done()
}

/// What an account was refused, a line each.
pub(super) fn refusals(report: &RefusalReport) -> String {
    let mut lines: Vec<String> = report.requests.iter().map(refusal).collect();
    lines.extend(report.events.iter().map(audit::line));
    if lines.is_empty() {
        lines.push(format!("{} was refused nothing.", report.email));
    }
    lines.extend(report.log_error.clone());
    match report.remembered_since {
        None => lines.push("No gateway runs that could remember more.".to_owned()),
        Some(then) if then > report.since => {
            lines.push(format!("The running gateway remembers requests since {then:.0}."));
        }
        Some(_) => {}
    }
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    lines.join("\n")
}

fn refusal(refused: &RefusedRequest) -> String {
    let request = &refused.request;
    let [method, host, path] =
        [&request.method, &request.host, &request.path].map(|part| part.as_deref().unwrap_or_default());
    let mut line = format!(
        "{} {method} {host}{path}  {}",
        request.time.strftime("%Y-%m-%d %H:%M:%SZ"),
        request.status
    );
    let refused_by = request
        .upstream
        .as_ref()
        .map(|server| format!("by the application at {server}"));
    for part in [&refused.slug, &refused_by, &refused.reason]
        .into_iter()
        .flatten()
    {
        let _ = write!(line, " {part}");
    }
    let _ = write!(line, "  from {}  request {}", request.client, request.request_id);
    line
}

fn recent_lines(sheet: &mut Sheet, recent: &RecentRequest) {
    sheet.line("at", &moment(recent.time, Clock::system().now()));
    sheet.line("from", &recent.client.to_string());
    match &recent.method {
        Some(method) => sheet.line("request", &format!("{method} {}{}", recent.host, recent.path)),
        None => sheet.line("request", "none that could be read"),
    }
    let groups = if recent.groups.is_empty() {
        String::new()
    } else {
        format!(", groups {}", recent.groups.join(", "))
    };
    let user = recent.user.as_ref();
    sheet.line(
        "of",
        &user.map_or("nobody".to_owned(), |user| format!("{user}{groups}")),
    );
    sheet.line("route", recent.route.as_deref().unwrap_or("none"));
    let slug = recent.slug.as_deref().unwrap_or_default();
    sheet.line("answer", format!("{} {slug}", recent.status).trim_end());
    sheet.lines("because", recent.reason.clone());
    sheet.lines("meaning", meaning(slug));
}

/// What a kind of refusal means, for operators.
fn meaning(slug: &str) -> Option<String> {
    let texts = Texts::built_in().ok()?;
    let text = texts.find(texts.language("en")?, &format!("problem.{slug}.operator"))?;
    Some(text.to_owned())
}

fn logged_lines(sheet: &mut Sheet, logged: &LoggedRequest) {
    sheet.line("at", &moment(logged.time, Clock::system().now()));
    sheet.line("from", &logged.client.to_string());
    let said = [&logged.method, &logged.host, &logged.path].map(|part| part.as_deref().unwrap_or_default());
    match said {
        ["", ..] => sheet.line("request", "none that could be read"),
        [method, host, path] => sheet.line("request", &format!("{method} {host}{path}")),
    }
    sheet.line("of", logged.user.as_deref().unwrap_or("nobody"));
    sheet.line("route", logged.route.as_deref().unwrap_or("none"));
    sheet.line("answer", &logged.status.to_string());
}
