//! The templates of the pages: the built-in ones, overridden by the operator's.

use std::fs;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment};

use super::PortalError;
use super::admin::template_filters;
use crate::regular_file;
use crate::services::LETTER;

const BUILT_IN: &[(&str, &str)] = &[
    ("layout.html", include_str!("templates/layout.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("login.html", include_str!("templates/login.html")),
    ("login-iam.html", include_str!("templates/login-iam.html")),
    ("signed-in.html", include_str!("templates/signed-in.html")),
    ("logout.html", include_str!("templates/logout.html")),
    ("signup.html", include_str!("templates/signup.html")),
    ("signup-done.html", include_str!("templates/signup-done.html")),
    ("verify.html", include_str!("templates/verify.html")),
    ("forgot.html", include_str!("templates/forgot.html")),
    ("forgot-done.html", include_str!("templates/forgot-done.html")),
    ("reset.html", include_str!("templates/reset.html")),
    ("link-void.html", include_str!("templates/link-void.html")),
    ("refusal.html", include_str!("templates/refusal.html")),
    ("problem.html", include_str!("templates/problem.html")),
    ("problems.html", include_str!("templates/problems.html")),
    ("demo.html", include_str!("templates/demo.html")),
    ("member.html", include_str!("templates/member.html")),
    ("proof.html", include_str!("templates/proof.html")),
    (
        "admin-account-add.html",
        include_str!("templates/admin-account-add.html"),
    ),
    ("admin-groups.html", include_str!("templates/admin-groups.html")),
    (
        "account-profile.html",
        include_str!("templates/account-profile.html"),
    ),
    ("account-email.html", include_str!("templates/account-email.html")),
    (
        "account-username.html",
        include_str!("templates/account-username.html"),
    ),
    (
        "account-password.html",
        include_str!("templates/account-password.html"),
    ),
    (
        "account-sessions.html",
        include_str!("templates/account-sessions.html"),
    ),
    ("account-keys.html", include_str!("templates/account-keys.html")),
    (
        "account-activity.html",
        include_str!("templates/account-activity.html"),
    ),
    (
        "account-language.html",
        include_str!("templates/account-language.html"),
    ),
    (
        "account-delete.html",
        include_str!("templates/account-delete.html"),
    ),
    (
        "account-deleted.html",
        include_str!("templates/account-deleted.html"),
    ),
    (
        "admin-overview.html",
        include_str!("templates/admin-overview.html"),
    ),
    (
        "admin-sessions.html",
        include_str!("templates/admin-sessions.html"),
    ),
    (
        "admin-accounts.html",
        include_str!("templates/admin-accounts.html"),
    ),
    ("admin-account.html", include_str!("templates/admin-account.html")),
    (
        "admin-invitations.html",
        include_str!("templates/admin-invitations.html"),
    ),
    ("admin-audit.html", include_str!("templates/admin-audit.html")),
    ("admin-request.html", include_str!("templates/admin-request.html")),
    ("admin-locks.html", include_str!("templates/admin-locks.html")),
    ("admin-mails.html", include_str!("templates/admin-mails.html")),
];

/// Loads all templates; `<name>.html` in the operator's folder overrides the built-in one.
pub(super) fn load(folder: &Path) -> Result<Environment<'static>, PortalError> {
    let mut templates = environment()?;
    for (name, source) in BUILT_IN {
        templates
            .add_template(name, source)
            .map_err(|error| PortalError::Template(error.to_string()))?;
    }
    if !folder.as_os_str().is_empty() {
        replace(&mut templates, folder)?;
    }
    Ok(templates)
}

/// The built-in templates of pages, for an operator to start from: names and sources.
pub fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILT_IN.iter().copied()
}

/// The names of the pages' templates.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|&(name, _)| name)
}

fn environment() -> Result<Environment<'static>, PortalError> {
    let mut templates = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(|error| PortalError::Template(error.to_string()))?;
    templates.set_syntax(syntax);
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    template_filters::register(&mut templates);
    Ok(templates)
}

fn replace(templates: &mut Environment<'static>, folder: &Path) -> Result<(), PortalError> {
    let unreadable = |path: &Path, error: std::io::Error| {
        PortalError::Template(format!("{} cannot be read: {error}", path.display()))
    };
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_none_or(|end| end != "html") {
            continue;
        }
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name == LETTER {
            continue;
        }
        let Some((name, _)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = names().chain([LETTER]).collect();
            return Err(PortalError::Template(format!(
                "{} takes the place of no template; there are {}",
                path.display(),
                known.join(", ")
            )));
        };
        let source = regular_file::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        templates
            .add_template_owned(*name, source)
            .map_err(|error| PortalError::OwnTemplate {
                line: error.line(),
                message: format!("{}: {error}", path.display()),
                file: path,
            })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(name: &str, source: &str) -> Result<Environment<'static>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), source).unwrap();
        load(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_operators_template_takes_the_place_of_the_built_in_one() {
        let templates = load_with("problem.html", "<p>{{ 6 * 7 }}</p>").unwrap();
        let page = templates
            .get_template("problem.html")
            .unwrap()
            .render(())
            .unwrap();
        assert_eq!(page, "<p>42</p>");
        load_with("notes.txt", "not a template").unwrap();
    }

    #[test]
    fn one_that_would_never_be_used_or_cannot_be_parsed_is_refused() {
        let error = load_with("logn.html", "").unwrap_err();
        assert!(
            error.contains("logn.html takes the place of no template; there are layout.html, "),
            "{error}"
        );
        let error = load_with("login.html", "{% if %}").unwrap_err();
        assert!(
            error.contains("login.html: ") && error.contains("login.html:1"),
            "{error}"
        );
    }
}
