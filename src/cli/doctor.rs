//! `vestibule doctor`: checks the installation from outside.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tokio::runtime;

use super::check::try_out;
use super::config_file::{Adoption, ConfigLocation};
use super::logging;
use super::output::{Failure, exit_after, print_json, print_text};
use super::table::printable;
use crate::config::{DEFAULT_PATH, Diagnostic, LoadedConfig};
use crate::control::SocketClient;
use crate::doctor::{Finding, Verdict, run, run_beside_broken_file};
use crate::model::Email;

const CHECK: &str = "configuration";

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Also send a test mail to this address.
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<Email>,
}

impl Doctor {
    /// Runs all checks and prints the findings; exit status 0 without problems, else 1.
    pub(super) fn run(&self, config: Option<&Path>, json: bool) -> ExitCode {
        match self.look(config) {
            Ok(report) => report.print(json),
            Err(failure) => failure.print(json),
        }
    }

    fn look(&self, path: Option<&Path>) -> Result<DoctorReport, Failure> {
        logging::start("error")?;
        let location = ConfigLocation::of_a_gateway(path)?;
        let (name, file) = match &location {
            ConfigLocation::File(file) => (file.display().to_string(), file.as_path()),
            ConfigLocation::Trial(_) => ("the demo configuration".to_owned(), Path::new(DEFAULT_PATH)),
        };
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let (mut elsewhere, mut readable) = (Vec::new(), None);
        let (loaded, adoption) = location.load_beside_gateway();
        let (config, errors, warnings) = match loaded {
            Ok(LoadedConfig {
                config, mut warnings, ..
            }) => {
                let (errors, odd) = try_out(file, &config);
                warnings.extend(config.checks.part(odd).0);
                (Some(config), errors, warnings)
            }
            Err(problems) => match problems.elsewhere {
                // The running gateway may have the variables that this shell lacks.
                Some(config) if runtime.block_on(SocketClient::of(&config).is_running()) => {
                    elsewhere = problems.errors;
                    (Some(*config), Vec::new(), problems.warnings)
                }
                _ => {
                    readable = problems.readable;
                    (None, problems.errors, problems.warnings)
                }
            },
        };
        let mut findings: Vec<_> = errors.iter().map(wrong).chain(warnings.iter().map(odd)).collect();
        if errors.is_empty() && elsewhere.is_empty() {
            findings.insert(0, Finding::ok(CHECK, format!("{name} can be run")));
        }
        findings.extend(elsewhere.iter().map(lacking));
        findings.extend(adoption.map(|adoption| match &adoption {
            Adoption::Done { absent, .. } if absent.is_empty() => Finding::ok(CHECK, adoption.to_string()),
            Adoption::Done { .. } => Finding::warning(
                CHECK,
                adoption.to_string(),
                "a restart of the gateway would fail: give the service the variable",
            ),
            Adoption::Refused { .. } => Finding::skipped(CHECK, adoption.to_string()),
        }));
        let mut running = false;
        // What runs was started with an earlier version of the file, which may still say where its socket is.
        let beside = readable.filter(|config| runtime.block_on(SocketClient::of(config).is_running()));
        if let Some(readable) = &beside {
            running = true;
            findings.push(Finding::skipped(
                CHECK,
                "of the gateway that runs is looked at what it says itself, the rest once the configuration can be run",
            ));
            findings.extend(runtime.block_on(run_beside_broken_file(readable, progress)));
        } else if config.is_none() {
            findings.push(Finding::skipped(
                CHECK,
                "the rest is looked at once the configuration can be run",
            ));
        }
        if let Some(config) = config {
            let (is_running, found) = runtime.block_on(run(&config, self.mail.as_ref(), progress));
            running = is_running;
            findings.extend(found);
        }
        Ok(DoctorReport { running, findings })
    }
}

/// Shows progress on a terminal, on a line that is erased at the end.
fn progress(done: usize, count: usize) {
    let mut stderr = io::stderr();
    if !stderr.is_terminal() {
        return;
    }
    let _ = if done < count {
        write!(stderr, "\r  looked at {done} of {count} …")
    } else {
        write!(stderr, "\r{:40}\r", "")
    };
    let _ = stderr.flush();
}

fn wrong(problem: &Diagnostic) -> Finding {
    Finding::problem(
        CHECK,
        problem.to_string(),
        "correct it; `vestibule check` shows it again",
    )
}

/// A variable that a running gateway may have in its environment.
fn lacking(problem: &Diagnostic) -> Finding {
    Finding::skipped(
        CHECK,
        format!("{problem}: what needs the variable is not looked at"),
    )
}

fn odd(problem: &Diagnostic) -> Finding {
    Finding::warning(CHECK, problem.to_string(), "see whether that is meant")
}

/// The findings.
struct DoctorReport {
    running: bool,
    findings: Vec<Finding>,
}

impl DoctorReport {
    fn print(&self, json: bool) -> ExitCode {
        let printed = if json {
            print_json(&json!({
                "ok": self.count(Verdict::Problem) == 0,
                "running": self.running,
                "findings": self.findings,
            }))
        } else {
            print_text(&self.text())
        };
        let status = if self.count(Verdict::Problem) == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
        exit_after(printed, status)
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        for Finding {
            check,
            verdict,
            text,
            advice,
        } in &self.findings
        {
            let verdict = match verdict {
                Verdict::Ok => "ok",
                Verdict::Skipped => "-",
                Verdict::Warning => "warning",
                Verdict::Problem => "PROBLEM",
            };
            lines.push(format!("{verdict:<8} {check:<15} {}", printable(text)));
            lines.extend(
                advice
                    .as_ref()
                    .map(|advice| format!("{:24} {}", "", printable(advice))),
            );
        }
        let counted = |count, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        lines.push(format!(
            "{}, {}",
            counted(self.count(Verdict::Problem), "problem"),
            counted(self.count(Verdict::Warning), "warning")
        ));
        lines.join("\n")
    }
}
