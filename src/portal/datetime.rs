//! Moments, for people and for programs that read the page.

use jiff::Timestamp;
use minijinja::{HtmlEscape, Value};

use super::renderer::PageRenderer;
use crate::text::Lang;

impl PageRenderer {
    /// `when(moment)` of the templates: an RFC 3339 timestamp as a `time` element in the reader's words.
    pub(super) fn dater(&self, lang: Lang) -> Value {
        let texts = self.texts.clone();
        Value::from_function(move |at: &str| match at.parse::<Timestamp>() {
            Ok(moment) => Value::from_safe_string(format!(
                "<time datetime=\"{}\">{}</time>",
                moment.strftime("%FT%TZ"),
                HtmlEscape(&texts.moment(lang, moment))
            )),
            Err(_) => Value::from(at),
        })
    }
}
