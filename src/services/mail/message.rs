//! Converts the content to a MIME message: text and HTML (RFC 2046, section 5.1.4).

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::content::MailContent;
use super::templates::{LETTER, MailTemplates};
use crate::ids::MailId;
use crate::text::Lang;

/// The header `Auto-Submitted`, which keeps machines from replying (RFC 3834, section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Sends ASCII text unencoded, so that links in a mail's file can be followed: lettre would break lines at 76
/// characters, where 998 are allowed (RFC 5322, section 2.1.1).
fn plain(text: &str) -> SinglePart {
    let builder = SinglePart::builder().header(ContentType::TEXT_PLAIN);
    let is_plain = |line: &str| line.len() <= 998 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if text.lines().all(is_plain) {
        let lines = text.replace('\n', "\r\n").into_bytes();
        builder.body(Body::dangerous_pre_encoded(
            lines,
            ContentTransferEncoding::SevenBit,
        ))
    } else {
        builder.body(text.to_owned())
    }
}

impl MailContent {
    /// Builds the message; the error says why it cannot be one.
    pub(super) fn message(
        &self,
        templates: &MailTemplates,
        from: &Mailbox,
        id: MailId,
        now: Timestamp,
    ) -> Result<Message, String> {
        let to = self
            .to
            .deliverable()
            .parse()
            .map_err(|error| format!("{error}"))?;
        let html = html(templates, self.lang, self).map_err(|error| error.to_string())?;
        let parts = MultiPart::alternative()
            .singlepart(plain(&self.text()))
            .singlepart(SinglePart::html(html));
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(&self.subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(format!("<{id}@{}>", templates.host())))
            .header(AutoSubmitted)
            .multipart(parts)
            .map_err(|error| error.to_string())
    }

    /// The plain-text part. Each link is on a line of its own.
    pub(super) fn text(&self) -> String {
        let links = self
            .links
            .iter()
            .map(|link| format!("{}:\n{}", link.label, link.url));
        let paragraphs: Vec<String> = [self.greeting.clone(), self.lead.clone()]
            .into_iter()
            .chain(links)
            .chain(self.notes.iter().cloned())
            .collect();
        format!("{}\n\n-- \n{}\n", paragraphs.join("\n\n"), self.signature)
    }
}

/// Renders the HTML part.
pub(super) fn html(
    templates: &MailTemplates,
    lang: Lang,
    letter: &impl Serialize,
) -> Result<String, minijinja::Error> {
    let template = templates.templates.get_template(LETTER)?;
    template.render(context! {
        lang => templates.tag(lang),
        brand => templates.brand.as_str(),
        home => templates.url(""),
        paint => Value::from(Serde(&templates.paint)),
        letter => Value::from(Serde(letter)),
    })
}
