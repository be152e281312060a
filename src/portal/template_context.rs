//! What every template gets: texts, times, and the frame of the layout.

use jiff::Timestamp;
use minijinja::value::{Kwargs, Serde, Value, ValueKind};
use minijinja::{HtmlEscape, context};

use super::renderer::PageRenderer;
use crate::text::{Lang, fill};

impl PageRenderer {
    /// The context of all templates. `query` is the request's, `failed` whether the page is an error.
    pub(super) fn context(&self, lang: Lang, query: Option<&str>, failed: bool) -> Value {
        let say = |key| self.texts.get(lang, key);
        context! {
            t => self.translator(lang),
            when => self.dater(lang),
            page => self.frame(lang, query, failed),
            words => context! {
                show => say("password.show"),
                hide => say("password.hide"),
                show_label => say("password.show-label"),
                hide_label => say("password.hide-label"),
            },
        }
    }

    /// What the layout needs.
    fn frame(&self, lang: Lang, query: Option<&str>, failed: bool) -> Value {
        let languages: Vec<_> = self
            .texts
            .languages()
            .map(|other| {
                let tag = self.texts.tag(other);
                context! {
                    tag => tag,
                    name => self.texts.get(other, "language.name"),
                    href => with_language(query, tag),
                    current => other == lang,
                }
            })
            .collect();
        context! {
            lang => self.texts.tag(lang),
            failed => failed,
            brand => self.brand.name.as_str(),
            contact => self.brand.contact.as_str(),
            contact_href => self.brand.contact_href.as_deref(),
            links => Value::from(Serde(&self.brand.links)),
            logo => self.assets.logo.as_deref(),
            icon => self.assets.icon.as_str(),
            style => self.assets.style.as_str(),
            script => self.assets.script.as_str(),
            languages => languages,
        }
    }

    /// The templates' `t("key", name=value)`. Escapes values, unless a template has made them.
    pub(super) fn translator(&self, lang: Lang) -> Value {
        let texts = self.texts.clone();
        Value::from_function(
            move |key: &str, values: Kwargs| -> Result<Value, minijinja::Error> {
                let mut escaped = Vec::new();
                for name in values.args() {
                    let value: Value = values.get(name)?;
                    let text = value.to_string();
                    let safe = value.is_safe() || value.kind() == ValueKind::Number;
                    escaped.push((name, if safe { text } else { HtmlEscape(&text).to_string() }));
                }
                let pairs: Vec<_> = escaped
                    .iter()
                    .map(|(name, text)| (*name, text.as_str()))
                    .collect();
                let sentence = HtmlEscape(texts.get(lang, key)).to_string();
                Ok(Value::from_safe_string(fill(&sentence, &pairs)))
            },
        )
    }

    /// The templates' `when(moment)`: an RFC 3339 timestamp as a `time` element in the client's language, to the minute
    /// or, with `seconds=true`, to the second.
    pub(super) fn dater(&self, lang: Lang) -> Value {
        let texts = self.texts.clone();
        Value::from_function(
            move |at: &str, options: Kwargs| -> Result<Value, minijinja::Error> {
                let seconds = options.get::<Option<bool>>("seconds")?.unwrap_or(false);
                let Ok(moment) = at.parse::<Timestamp>() else {
                    return Ok(Value::from(at));
                };
                let (mark, text) = if seconds {
                    (" data-seconds", texts.precise_moment(lang, moment))
                } else {
                    ("", texts.moment(lang, moment))
                };
                Ok(Value::from_safe_string(format!(
                    "<time datetime=\"{}\"{mark}>{}</time>",
                    moment.strftime("%FT%TZ"),
                    HtmlEscape(&text)
                )))
            },
        )
    }
}

/// A link to this page in another language; other parameters stay byte for byte.
fn with_language(query: Option<&str>, tag: &str) -> String {
    let mut link = "?".to_owned();
    let is_other = |pair: &&str| {
        let read = form_urlencoded::parse(pair.as_bytes()).next();
        read.is_some_and(|(name, _)| name != "lang")
    };
    for pair in query.unwrap_or_default().split('&').filter(is_other) {
        link.push_str(pair);
        link.push('&');
    }
    link + "lang=" + tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_switch_keeps_the_other_parameters() {
        assert_eq!(with_language(None, "ko"), "?lang=ko");
        assert_eq!(
            with_language(Some("rd=%2Fa%3Fb&lang=en"), "ko"),
            "?rd=%2Fa%3Fb&lang=ko"
        );
        assert_eq!(
            with_language(Some("lang=en&&a=b&lang&l%61ng=en"), "ko"),
            "?a=b&lang=ko"
        );
    }
}
