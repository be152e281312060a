//! `vestibule check`: reports errors and warnings of the configuration.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::config_file::ConfigLocation;
use super::output::{exit_after, mention, print_json, print_text};
use crate::app::{self, CheckFinding, CheckReport};
use crate::clock::Clock;
use crate::config::{ChecksConfig, Config, DEFAULT_PATH, Diagnostic, LoadedConfig, TextPosition};

/// Checks the configuration; exit status 0 if a gateway can start with it, else 1.
///
/// With `json`, prints a JSON document on standard output and the summary on standard error.
pub fn run(config: Option<&Path>, json: bool) -> ExitCode {
    let report = report(config);
    let printed = if json {
        mention(report.summary());
        print_json(&report.json())
    } else {
        print_text(&report.text())
    };
    let status = if report.errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    exit_after(printed, status)
}

/// Errors and warnings of a configuration.
struct ConfigReport {
    subject: String,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    accepted: Vec<Diagnostic>,
}

fn report(config: Option<&Path>) -> ConfigReport {
    let location = ConfigLocation::at(config);
    let (subject, file) = match &location {
        ConfigLocation::File(file) => (file.display().to_string(), file.as_path()),
        ConfigLocation::Trial(_) => (
            format!("no {DEFAULT_PATH}, so the demo configuration"),
            Path::new(DEFAULT_PATH),
        ),
    };
    let (loaded, adoption) = location.load_beside_gateway();
    if let Some(adoption) = adoption {
        mention(adoption);
    }
    let (errors, warnings, accepted) = match loaded {
        Ok(LoadedConfig {
            config,
            mut warnings,
            mut accepted,
        }) => {
            let (errors, odd) = try_out(file, &config);
            let (odd, meant) = config.checks.part(odd);
            warnings.extend(odd);
            accepted.extend(meant);
            warnings.extend(unused(file, &config, &accepted));
            (errors, warnings, accepted)
        }
        Err(problems) => (problems.errors, problems.warnings, Vec::new()),
    };
    ConfigReport {
        subject,
        errors,
        warnings,
        accepted,
    }
}

/// What is accepted and warned of no more: it would hide the warning that comes next by that name.
fn unused(file: &Path, config: &Config, accepted: &[Diagnostic]) -> Vec<Diagnostic> {
    let accepts = config.checks.accept.iter().enumerate();
    let is_unused = |key: &String| {
        let alone = ChecksConfig {
            accept: vec![key.clone()],
        };
        alone.part(accepted.to_vec()).1.is_empty()
    };
    accepts
        .filter(|(_, key)| is_unused(key))
        .map(|(index, _)| Diagnostic {
            suggestion: Some("remove it".to_owned()),
            ..Diagnostic::found_later(
                file,
                &format!("checks.accept[{index}]"),
                "accepts nothing: there is no warning about this key".to_owned(),
            )
        })
        .collect()
}

/// Returns what a start would refuse, and what it would warn of, beyond the rules of the configuration
/// itself: certificates, keys, the operator's templates.
pub(super) fn try_out(file: &Path, config: &Config) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let CheckReport { errors, warnings } = app::check(config, &Clock::system());
    let problem = |CheckFinding { key, message, place }: CheckFinding| match place {
        None => Diagnostic::found_later(file, &key, message),
        Some((file, line)) => Diagnostic {
            file: file.display().to_string(),
            position: line.map(|line| TextPosition { line, column: 1 }),
            message: message
                .strip_prefix(&format!("{}: ", file.display()))
                .map_or(message.clone(), str::to_owned),
            key,
            suggestion: None,
        },
    };
    let problems = |found: Vec<CheckFinding>| found.into_iter().map(problem).collect();
    (problems(errors), problems(warnings))
}

impl ConfigReport {
    fn text(&self) -> String {
        let errors = self.errors.iter().map(|problem| format!("error: {problem}\n"));
        let warnings = self
            .warnings
            .iter()
            .map(|problem| format!("warning: {problem}\n"));
        let hint = self
            .warnings
            .iter()
            .map(|warning| &warning.key)
            .find(|key| !key.starts_with("checks."));
        let hint = hint.map(|key| {
            format!("A warning that is meant is accepted by its key: [checks] accept = [{key:?}]\n")
        });
        errors
            .chain(warnings)
            .chain(hint)
            .chain([self.summary()])
            .collect()
    }

    fn summary(&self) -> String {
        let mut warnings = counted(self.warnings.len(), "warning");
        if !self.accepted.is_empty() {
            warnings = format!("{warnings}, {} accepted", self.accepted.len());
        }
        if self.errors.is_empty() {
            format!("ok: {}, {warnings}", self.subject)
        } else {
            format!(
                "failed: {}, {}, {warnings}",
                self.subject,
                counted(self.errors.len(), "error")
            )
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "ok": self.errors.is_empty(),
            "errors": self.errors,
            "warnings": self.warnings,
            "accepted": self.accepted,
        })
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn report_on(text: &str) -> ConfigReport {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vestibule.toml");
        fs::write(&file, text).unwrap();
        report(Some(&file))
    }

    #[test]
    fn pages_of_the_operator_are_read_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("login.html"), "{{").unwrap();
        let report = report_on(&format!("[branding]\nfolder = {:?}\n", folder.path()));
        let text = report.text();
        assert!(text.contains("login.html:1:1: branding.folder: "), "{text}");
    }

    #[test]
    fn errors_come_before_warnings_and_the_count() {
        let report = report_on("[signup]\nmode = \"open\"\n[login]\nusernam = true\n");
        let text = report.text();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("error: ") && lines[0].contains(":4:1: login.usernam: unknown key"),
            "{text}"
        );
        assert!(lines[1].starts_with("warning: "), "{text}");
        assert!(lines.last().unwrap().ends_with("1 error, 2 warnings"), "{text}");
        let json = report.json();
        assert_eq!(json["ok"], false);
        assert_eq!(json["errors"][0]["key"], "login.usernam");
        assert_eq!(json["errors"][0]["line"], 4);
    }

    #[test]
    fn warnings_fail_nothing() {
        let report = report_on("[[route]]\nupstream = \"demo:\"\n[signup]\nmode = \"open\"\n");
        assert!(report.summary().starts_with("ok: ") && report.summary().ends_with("1 warning"));
        assert_eq!(report.json()["ok"], true);
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let report = report(Some(Path::new("/nonexistent/vestibule.toml")));
        assert_eq!(report.errors.len(), 1);
        assert!(report.errors[0].position.is_none());
    }
}
