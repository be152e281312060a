//! What mails are written with: texts, template, brand and the base of links.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;
use url::Url;

use super::MailError;
use super::message::html;
use crate::colour::Colour;
use crate::config::Config;
use crate::model::{Account, MailOrigin};
use crate::regular_file;
use crate::text::{Lang, Texts, fill};

/// The file name of the mail template, also of an operator's own in `branding.folder`.
pub const LETTER: &str = "letter.html";

/// The built-in template of mails.
pub const LETTER_TEMPLATE: &str = include_str!("letter.html");

/// The configured texts and template; replaced on reload.
#[derive(Debug)]
pub(super) struct MailTemplates {
    texts: Arc<Texts>,
    pub(super) templates: Environment<'static>,
    /// `branding.name`
    pub(super) brand: String,
    /// `branding.contact`
    pub(super) contact: String,
    public_url: Url,
    /// `login.reset`
    pub(super) reset: bool,
    /// `signup.verify_email`
    pub(super) verify: bool,
    /// `login.iam`
    pub(super) iam: bool,
    pub(super) paint: Theme,
}

/// Colours derived from the operator's accent.
#[derive(Debug, Serialize)]
pub(super) struct Theme {
    accent: String,
    on_accent: String,
    link: String,
    link_dark: String,
}

impl MailTemplates {
    pub(super) fn new(config: &Config) -> Result<Self, MailError> {
        let folder = &config.branding.folder;
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        templates
            .add_template_owned(LETTER, template(folder)?)
            .map_err(|error| wrong(&error))?;
        let mut stationery = Self {
            texts: Arc::new(Texts::load(folder)?),
            templates,
            brand: config.branding.name.clone(),
            contact: config.branding.contact.trim().to_owned(),
            public_url: config.public_url.clone(),
            reset: config.login.reset,
            verify: config.signup.verify_email,
            iam: config.login.iam,
            paint: Theme::of(&config.branding.accent),
        };
        stationery.try_template()?;
        Ok(stationery)
    }

    /// Renders mails with all optional parts and with none, in every language, and fails on undefined
    /// variables. In real mails these render as empty text, which is better than no mail.
    fn try_template(&mut self) -> Result<(), MailError> {
        self.templates
            .set_undefined_behavior(UndefinedBehavior::SemiStrict);
        let link = || context! { label => "", url => "" };
        for (links, notes) in [(vec![link(), link()], vec!["", ""]), (Vec::new(), Vec::new())] {
            let letter =
                context! { subject => "", greeting => "", lead => "", signature => "", links, notes };
            for lang in self.texts.languages() {
                html(self, lang, &letter).map_err(|error| wrong(&error))?;
            }
        }
        self.templates.set_undefined_behavior(UndefinedBehavior::Lenient);
        Ok(())
    }

    /// Chooses a mail's language: the account's, else that of the request that caused the mail, else the
    /// default.
    pub(super) fn language(&self, account: Option<&Account>, asked_in: Option<&str>) -> Lang {
        let known = account.and_then(|account| account.language.as_deref());
        [known, asked_in]
            .into_iter()
            .flatten()
            .find_map(|tag| self.texts.language(tag))
            .unwrap_or_default()
    }

    pub(super) fn tag(&self, lang: Lang) -> &str {
        self.texts.tag(lang)
    }

    /// Fills in a text. `{brand}` is available in all of them.
    pub(super) fn text(&self, lang: Lang, key: &str, values: &[(&str, &str)]) -> String {
        let mut all = vec![("brand", self.brand.as_str())];
        all.extend(values);
        fill(self.texts.get(lang, key), &all)
    }

    /// The text that says how long a link works.
    pub(super) fn lasts(&self, lang: Lang, hours: u64) -> String {
        if hours < 48 {
            self.texts.count(lang, "mail.lasts-hours", hours)
        } else {
            self.texts.count(lang, "mail.lasts-days", hours / 24)
        }
    }

    /// The text that says who caused the mail, when and from where.
    pub(super) fn cause(&self, lang: Lang, cause: &MailOrigin, is_done: bool, invites: bool) -> String {
        let when = self.texts.moment(lang, cause.at);
        let key = if is_done { "mail.cause-done" } else { "mail.cause" };
        match cause.address {
            Some(address) if !cause.by_administrator => {
                let address = address.to_canonical().to_string();
                self.text(lang, key, &[("when", &when), ("where", &address)])
            }
            _ if invites => self.text(lang, "mail.cause-invited", &[("when", &when)]),
            _ => self.text(lang, "mail.cause-administrator", &[("when", &when)]),
        }
    }

    /// The absolute URL of a path on `public_url`, never on the request's host (S22).
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }

    /// The domain of the `Message-ID`.
    pub(super) fn host(&self) -> &str {
        self.public_url.host_str().unwrap_or("localhost")
    }
}

/// Reads the operator's template, or returns the built-in one.
fn template(folder: &Path) -> Result<String, MailError> {
    let built_in = || LETTER_TEMPLATE.to_owned();
    if folder.as_os_str().is_empty() {
        return Ok(built_in());
    }
    let own = folder.join(LETTER);
    match regular_file::read_to_string(&own) {
        Ok(own) => Ok(own),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(built_in()),
        Err(error) => Err(MailError::Template {
            message: format!("{} cannot be read: {error}", own.display()),
            line: None,
        }),
    }
}

fn wrong(error: &minijinja::Error) -> MailError {
    MailError::Template {
        message: error.to_string(),
        line: error.line(),
    }
}

impl Theme {
    fn of(accent: &str) -> Self {
        let accent = Colour::parse(accent).unwrap_or(Colour::BUILT_IN);
        Self {
            accent: accent.to_string(),
            on_accent: accent.text().to_string(),
            link: accent.on_light().to_string(),
            link_dark: accent.on_dark().to_string(),
        }
    }
}
