//! What a mail is written with: texts, the operator's name, where links lead.

use std::sync::Arc;

use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use url::Url;

use super::MailError;
use crate::colour::Colour;
use crate::config::Config;
use crate::model::{Account, Cause};
use crate::text::{Lang, Texts, fill};

/// The template's name; its end is what minijinja escapes by.
pub(super) const TEMPLATE: &str = "letter.html";

/// Made from a configuration, and anew when that is read again.
#[derive(Debug)]
pub(super) struct Stationery {
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
    pub(super) paint: Paint,
}

/// The colours that the operator's accent decides.
#[derive(Debug, Serialize)]
pub(super) struct Paint {
    accent: String,
    on_accent: String,
    link: String,
    link_dark: String,
}

impl Stationery {
    pub(super) fn new(config: &Config) -> Result<Self, MailError> {
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        templates
            .add_template(TEMPLATE, include_str!("letter.html"))
            .map_err(|error| MailError::Template(error.to_string()))?;
        Ok(Self {
            texts: Arc::new(Texts::load(&config.branding.folder)?),
            templates,
            brand: config.branding.name.clone(),
            contact: config.branding.contact.trim().to_owned(),
            public_url: config.public_url.clone(),
            reset: config.login.reset,
            verify: config.signup.verify_email,
            paint: Paint::of(&config.branding.accent),
        })
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
    pub(super) fn say(&self, lang: Lang, key: &str, values: &[(&str, &str)]) -> String {
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
    pub(super) fn cause(&self, lang: Lang, cause: &Cause, is_done: bool, invites: bool) -> String {
        let when = self.texts.moment(lang, cause.at);
        let key = if is_done { "mail.cause-done" } else { "mail.cause" };
        match cause.address {
            Some(address) if !cause.by_administrator => {
                let address = address.to_canonical().to_string();
                self.say(lang, key, &[("when", &when), ("where", &address)])
            }
            _ if invites => self.say(lang, "mail.cause-invited", &[("when", &when)]),
            _ => self.say(lang, "mail.cause-administrator", &[("when", &when)]),
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

impl Paint {
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
