//! Checks the operator's templates before they are served, by rendering every page in every state.
//!
//! The pages' data are in `template_check/samples.snap.json`, which a test writes from the pages themselves.

use std::path::{Path, PathBuf};

use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, context};
use serde::Deserialize;

use super::renderer::PageRenderer;
use super::{PortalError, templates};
use crate::config::Config;
use crate::regular_file;
use crate::services::Mailer;
use crate::text::{Lang, Texts};

const SAMPLES: &str = include_str!("template_check/samples.snap.json");

/// A page in one of its states.
#[derive(Deserialize)]
struct Sample {
    state: String,
    template: String,
    failed: bool,
    nav: Option<serde_json::Value>,
    view: serde_json::Value,
}

/// What looks odd in a template of the operator's.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateWarning {
    /// The file.
    pub file: PathBuf,
    /// The first line of that kind, from 1, if it is on one.
    pub line: Option<usize>,
    /// A sentence.
    pub message: String,
}

/// Makes every page and mail with the operator's templates, if there are any. What looks odd.
pub(super) fn run(renderer: &PageRenderer, config: &Config) -> Result<Vec<TemplateWarning>, PortalError> {
    let folder = &config.branding.folder;
    if folder.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    renderer.make_all().map_err(|fault| {
        let message = format!(
            "no page can be served with the templates of {}: {}",
            folder.display(),
            fault.message
        );
        // What a template of the operator's lacks may be missed by a built-in one.
        match fault
            .template
            .map(|name| folder.join(name))
            .filter(|file| file.exists())
        {
            Some(file) => PortalError::OwnTemplate {
                file,
                line: fault.line,
                message,
            },
            None => PortalError::Template(message),
        }
    })?;
    Mailer::check(config)?;
    let mut odd = incomplete_languages(&renderer.texts, folder);
    odd.extend(blocked(folder));
    Ok(odd)
}

/// Warns of the operator's languages that lack sentences.
fn incomplete_languages(texts: &Texts, folder: &Path) -> Vec<TemplateWarning> {
    let warning = |tag: &str, missing: usize, consequence: &str| TemplateWarning {
        file: folder.join(format!("{tag}.toml")),
        line: None,
        message: format!("{tag}.toml lacks {missing} sentences, {consequence}"),
    };
    let withheld = texts
        .withheld()
        .iter()
        .map(|(tag, missing)| warning(tag, *missing, "more than a tenth: the language is not offered"));
    let gaps = texts
        .gaps()
        .map(|(tag, missing)| warning(tag, missing, "which are shown in English"));
    withheld.chain(gaps).collect()
}

/// Why a page cannot be made.
struct PageFault {
    /// The template that is at fault.
    template: Option<String>,
    line: Option<usize>,
    message: String,
}

impl PageRenderer {
    fn make_all(&self) -> Result<(), PageFault> {
        let mut templates = self.templates.clone();
        // A misspelt name would otherwise render as nothing.
        templates.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        let samples: Vec<Sample> = serde_json::from_str(SAMPLES).map_err(|error| PageFault {
            template: None,
            line: None,
            message: error.to_string(),
        })?;
        for Sample {
            state,
            template,
            failed,
            nav,
            view,
        } in samples
        {
            let nav = nav.map_or(Value::UNDEFINED, |nav| Value::from(Serde(&nav)));
            let view = Value::from(Serde(&view));
            // A template may branch by language.
            for lang in self.texts.languages() {
                let known = self.context(lang, None, failed);
                let page = templates.get_template(&template).and_then(|template| {
                    let t = self.strict_translator(lang);
                    template.render(context! { t, nav => nav.clone(), view => view.clone(), ..known })
                });
                page.map_err(|error| fault(&state, &templates, &error))?;
            }
        }
        Ok(())
    }

    /// The templates' `t`, which here fails for an unknown text or a missing value.
    fn strict_translator(&self, lang: Lang) -> Value {
        let (texts, translator) = (self.texts.clone(), self.translator(lang));
        Value::from_function(move |state: &mut State<'_, '_>, key: &str, values: Kwargs| {
            let refused = |fault: String| Err(Error::new(ErrorKind::InvalidOperation, fault));
            if texts.find(lang, key).is_none() {
                let nearest = texts.nearest(key).unwrap_or_default();
                return refused(format!("t() knows no text {key}; did you mean {nearest}?"));
            }
            if let Some(missing) = texts
                .placeholders(lang, key)
                .into_iter()
                .find(|name| !values.has(name))
            {
                return refused(format!("t(\"{key}\") needs {missing}=…"));
            }
            translator.call(state, &[Value::from(key), Value::from(values)])
        })
    }
}

/// The error at its origin rather than at the templates that include it, with the line of source.
fn fault(state: &str, templates: &Environment<'_>, error: &Error) -> PageFault {
    let mut deepest = error;
    while let Some(inner) = std::error::Error::source(deepest).and_then(|inner| inner.downcast_ref()) {
        deepest = inner;
    }
    let template = deepest.name().and_then(|name| templates.get_template(name).ok());
    let line = template.zip(deepest.line()).and_then(|(template, line)| {
        let line = template.source().lines().nth(line.saturating_sub(1))?;
        Some(line.trim().to_owned())
    });
    let said = line.map_or_else(|| deepest.to_string(), |line| format!("{deepest}: {line}"));
    PageFault {
        template: deepest.name().map(str::to_owned),
        line: deepest.line(),
        message: format!("the page {state}: {said}"),
    }
}

/// Whether a template in lower case has something.
type Test = fn(&str) -> bool;

/// Warns of what browsers ignore because of the content security policy.
fn blocked(folder: &Path) -> Vec<TemplateWarning> {
    let mut warnings = Vec::new();
    for name in templates::names() {
        let Ok(source) = regular_file::read_to_string(&folder.join(name)) else {
            continue;
        };
        let source = source.to_ascii_lowercase();
        let kinds: [(Test, &str); 4] = [
            (has_script, "a script"),
            (|source| source.contains("<style"), "a style sheet"),
            (|source| source.contains(" style="), "a style attribute"),
            (has_handler, "a script in an attribute such as onclick"),
        ];
        for (is_in, what) in kinds {
            if is_in(&source) {
                let line = source.lines().position(is_in);
                warnings.push(TemplateWarning {
                    file: folder.join(name),
                    line: line.map(|index| index + 1),
                    message: format!(
                        "{name} has {what} of its own, which browsers do not follow: the content security policy forbids it"
                    ),
                });
            }
        }
    }
    warnings
}

/// Whether there is a script that is not a file. `source` is in lower case.
fn has_script(source: &str) -> bool {
    source.split("<script").skip(1).any(|rest| {
        let tag = rest.split('>').next().unwrap_or_default();
        !tag.contains("src=")
    })
}

/// Returns whether a tag has an attribute `on…=`. `source` must be in lower case.
fn has_handler(source: &str) -> bool {
    source.split('<').skip(1).any(|rest| {
        let attributes = attributes(rest).replace(" =", "=");
        attributes.split_ascii_whitespace().any(|word| {
            let name = word.strip_prefix("on").and_then(|rest| rest.split_once('='));
            name.is_some_and(|(event, _)| !event.is_empty() && event.bytes().all(|b| b.is_ascii_lowercase()))
        })
    })
}

/// The attributes of a tag without quoted values.
fn attributes(tag: &str) -> String {
    let mut quote = None;
    let mut attributes = String::new();
    for c in tag.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                attributes.push(' ');
            }
            None if c == '>' => break,
            None => attributes.push(c),
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn try_with(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, source) in files {
            fs::write(folder.path().join(name), source).unwrap();
        }
        let mut config = Config::default();
        config.branding.folder = folder.path().to_owned();
        PageRenderer::new(&config, Vec::new())
            .and_then(|site| run(&site, &config))
            .map(|warnings| warnings.into_iter().map(|warning| warning.message).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_built_in_templates_pass() {
        assert_eq!(try_with(&[]), Ok(Vec::new()));
    }

    #[test]
    fn what_would_fail_or_be_empty_when_it_is_served_is_refused_with_its_line() {
        for (name, source, faults) in [
            (
                "login.html",
                "<p>\n{{ view.logn }}",
                &["the page login: ", "(in login.html:2)", "{{ view.logn }}"][..],
            ),
            (
                "login.html",
                "{{ frobnicate() }}",
                &["the page login: ", "login.html:1"],
            ),
            (
                "login.html",
                "{{ t(\"login.titel\") }}",
                &["did you mean login.title?"],
            ),
            (
                "login.html",
                "{{ t(\"field.password-short\") }}",
                &["needs count=…"],
            ),
            ("parts.html", "", &["field", "login.html:"]),
            (
                "layout.html",
                "{{ page.brnd }}",
                &["the page login: ", "layout.html:1"],
            ),
            (
                "account-sessions.html",
                "{% for session in view.sessions %}{{ session.adress }}{% endfor %}",
                &["the page account-sessions: ", "account-sessions.html:1"],
            ),
            ("letter.html", "{{ letter.subjct }}", &["the template of mails: "]),
            (
                "login.html",
                "{% if page.lang == \"ko\" %}{{ view.logn }}{% endif %}",
                &["the page login: "],
            ),
            (
                "letter.html",
                "{% if lang == \"ko\" %}{{ nothing }}{% endif %}",
                &["the template of mails: "],
            ),
            ("letter.html", "{% for %}", &["the template of mails: "]),
        ] {
            let error = try_with(&[(name, source)]).unwrap_err();
            for fault in faults {
                assert!(error.contains(fault), "{name} {source}: {error}");
            }
        }
    }

    #[test]
    fn what_browsers_do_not_follow_is_named() {
        let warnings = try_with(&[
            ("problem.html", "<script src=\"/a.js\"></script><p>"),
            ("demo.html", "<SCRIPT>alert(1)</script><p style=\"color:red\">"),
        ])
        .unwrap();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("demo.html has a script"), "{warnings:?}");
        assert!(warnings[1].starts_with("demo.html has a style attribute"));
    }

    #[test]
    fn a_script_in_an_attribute_is_named_and_what_only_looks_like_one_is_not() {
        for (source, is_one) in [
            ("<button onclick=\"go()\">", true),
            ("<a title=\">\" OnClick = 'go()'>", true),
            ("<body class=\"a\"onload=go()>", true),
            ("<p>onclick=\"go()\"</p>", false),
            (
                "<input value=\"onsale=1\" data-on=\"x\" placeholder='on time='>",
                false,
            ),
            ("<a href=\"/?a=b&onsale=1\">on = off</a>", false),
        ] {
            let warnings = try_with(&[("demo.html", source)]).unwrap();
            let named = warnings
                .iter()
                .any(|warning| warning.contains("attribute such as onclick"));
            assert_eq!(named, is_one, "{source}: {warnings:?}");
        }
    }
}
