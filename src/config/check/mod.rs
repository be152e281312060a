//! What a configuration says that cannot be, or was hardly meant.
//!
//! One file a matter; each looks at what was read and says where in the file its objection belongs.

mod access;
mod addresses;
mod branding;
mod certificates;
mod compat;
mod headers;
mod private_files;
mod routes;
mod timing;
mod upstreams;

pub(super) use addresses::NOT_AN_ADDRESS;

use super::Config;
use super::document::{Document, KeyPath};
use super::load::Fault;
use super::problem::Problem;

/// Errors and warnings about what was read. `faults` are what could not be.
pub(super) fn judge(
    config: &Config,
    document: &Document<'_>,
    faults: &[Fault],
    file: &str,
) -> (Vec<Problem>, Vec<Problem>) {
    let mut findings = Findings {
        document,
        faults,
        file,
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    addresses::judge(config, &mut findings);
    certificates::judge(config, &mut findings);
    private_files::judge(config, &mut findings);
    access::judge(config, &mut findings);
    timing::judge(config, &mut findings);
    branding::judge(&config.branding, &mut findings);
    headers::judge(config, &mut findings);
    upstreams::judge(config, &mut findings);
    routes::judge(config, &mut findings);
    compat::judge(config, &mut findings);
    (findings.errors, findings.warnings)
}

/// What was found so far.
struct Findings<'d, 't> {
    document: &'d Document<'t>,
    faults: &'d [Fault],
    file: &'d str,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings<'_, '_> {
    fn error(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.error_suggesting(path, message, None);
    }

    fn error_suggesting(&mut self, path: &KeyPath, message: impl Into<String>, suggestion: Option<String>) {
        let problem = self.problem(path, message.into(), suggestion);
        self.errors.extend(problem);
    }

    fn warn(&mut self, path: &KeyPath, message: impl Into<String>) {
        let problem = self.problem(path, message.into(), None);
        self.warnings.extend(problem);
    }

    /// None where something could not be read: what is concluded from its absence would be wrong.
    fn problem(&self, path: &KeyPath, message: String, suggestion: Option<String>) -> Option<Problem> {
        let path = self.document.as_written(path);
        if self.faults.iter().any(|fault| fault.path.touches(&path)) {
            return None;
        }
        Some(Problem {
            file: self.file.to_owned(),
            position: Some(self.document.position(&path)),
            key: path.to_string(),
            message,
            suggestion,
        })
    }
}
