//! Semantic checks of a configuration: errors and warnings beyond syntax and types.
//!
//! One file per topic. Each check reports the key in the file that it is about.

mod access;
mod branding;
mod certificates;
mod compat;
mod conditions;
mod headers;
mod limits;
mod listen;
mod places;
mod private_files;
mod routes;
mod strip_prefix;
mod upstreams;

pub(super) use listen::NOT_AN_ADDRESS;
pub use places::resolve_links;

use super::Config;
use super::diagnostic::Diagnostic;
use super::load::KeyError;
use super::toml_document::{KeyPath, TomlDocument};

/// Checks a configuration; returns errors and warnings. `faults` are the keys that could not be parsed.
pub(super) fn validate(
    config: &Config,
    document: &TomlDocument<'_>,
    faults: &[KeyError],
    file: &str,
) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let mut findings = Findings {
        document,
        faults,
        file,
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    listen::validate(config, &mut findings);
    certificates::validate(config, &mut findings);
    private_files::validate(config, &mut findings);
    places::validate(config, &mut findings);
    access::validate(config, &mut findings);
    limits::validate(config, &mut findings);
    branding::validate(config, &mut findings);
    headers::validate(config, &mut findings);
    upstreams::validate(config, &mut findings);
    routes::validate(config, &mut findings);
    conditions::validate(config, &mut findings);
    compat::validate(config, &mut findings);
    strip_prefix::validate(config, &mut findings);
    (findings.errors, findings.warnings)
}

/// Collects findings.
struct Findings<'d, 't> {
    document: &'d TomlDocument<'t>,
    faults: &'d [KeyError],
    file: &'d str,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Findings<'_, '_> {
    fn error(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.error_suggesting(path, message, None);
    }

    fn error_suggesting(&mut self, path: &KeyPath, message: impl Into<String>, suggestion: Option<String>) {
        let problem = self.problem(path, message.into(), suggestion);
        self.errors.extend(problem);
    }

    /// `ends` is the key by which the warning ends, and `remedy` what to do with it. A warning about what is not written
    /// stands where that key's section does.
    fn warn(&mut self, path: &KeyPath, message: impl Into<String>, ends: &str, remedy: &str) {
        let problem = self.problem(path, message.into(), Some(remedy.to_owned()));
        let section = self.document.as_written(&KeyPath::parse(ends));
        self.warnings.extend(problem.map(|problem| Diagnostic {
            position: if self.document.has(&self.document.as_written(path)) {
                problem.position
            } else {
                Some(self.document.position(&section))
            },
            ..problem
        }));
    }

    /// Returns no diagnostic about a key that could not be parsed, since its value is only the default.
    fn problem(&self, path: &KeyPath, message: String, suggestion: Option<String>) -> Option<Diagnostic> {
        let path = self.document.as_written(path);
        if self.faults.iter().any(|fault| fault.path.touches(&path)) {
            return None;
        }
        Some(Diagnostic {
            file: self.file.to_owned(),
            position: Some(self.document.position(&path)),
            key: path.to_string(),
            message,
            suggestion,
        })
    }
}
