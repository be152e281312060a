//! What a mail is written with: texts, the operator's name, where links lead.

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

/// The template of mails, by the name under which an operator's own is in `branding.folder`.
pub const LETTER: &str = "letter.html";

/// Made from a configuration, and anew when that is read again.
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

/// The colours that the operator's accent decides.
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
            .map_err(|error| MailError::Template(error.to_string()))?;
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

    /// Writes letters that have all that a letter may have, and nothing of it. What is misspelt would be empty, and
    /// nobody would know why; once a real one is written, that is better than no mail.
    fn try_template(&mut self) -> Result<(), MailError> {
        self.templates
            .set_undefined_behavior(UndefinedBehavior::SemiStrict);
        let link = || context! { label => "", url => "" };
        for (links, notes) in [(vec![link(), link()], vec!["", ""]), (Vec::new(), Vec::new())] {
            let letter =
                context! { subject => "", greeting => "", lead => "", signature => "", links, notes };
            for lang in self.texts.languages() {
                html(self, lang, &letter).map_err(|error| MailError::Template(error.to_string()))?;
            }
        }
        self.templates.set_undefined_behavior(UndefinedBehavior::Lenient);
        Ok(())
    }

    /// The language that somebody reads: their account's, else the one of the page that caused the mail.
    pub(super) fn language(&self, account: Option<&Account>, asked_in: Option<&str>) -> Lang {
        let known = account.and_then(|account| account.language.as_deref());
        [known, asked_in]
            .into_iter()
            .flatten()
            .find_map(|tag| self.texts.language(tag))
            .unwrap_or_default()
    }

    /// The language's tag.
    pub(super) fn tag(&self, lang: Lang) -> &str {
        self.texts.tag(lang)
    }

    /// A sentence. `{brand}` is known to all of them.
    pub(super) fn text(&self, lang: Lang, key: &str, values: &[(&str, &str)]) -> String {
        let mut all = vec![("brand", self.brand.as_str())];
        all.extend(values);
        fill(self.texts.get(lang, key), &all)
    }

    /// How long a link works.
    pub(super) fn lasts(&self, lang: Lang, hours: u64) -> String {
        if hours < 48 {
            self.texts.count(lang, "mail.lasts-hours", hours)
        } else {
            self.texts.count(lang, "mail.lasts-days", hours / 24)
        }
    }

    /// Who did it, when and from where; or asked for it; or invites.
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

    /// An address of the gateway's own (S22).
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }

    /// What stands at the right of the `@` in the name of a mail.
    pub(super) fn host(&self) -> &str {
        self.public_url.host_str().unwrap_or("localhost")
    }
}

/// The operator's template, or the built-in one.
fn template(folder: &Path) -> Result<String, MailError> {
    let built_in = || include_str!("letter.html").to_owned();
    if folder.as_os_str().is_empty() {
        return Ok(built_in());
    }
    let own = folder.join(LETTER);
    match regular_file::read_to_string(&own) {
        Ok(own) => Ok(own),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(built_in()),
        Err(error) => Err(MailError::Template(format!(
            "{} cannot be read: {error}",
            own.display()
        ))),
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
