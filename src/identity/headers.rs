//! Renders the identity headers for an upstream.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::header_encoding::{put_ascii, put_percent};
use crate::config::{HeaderEncoding, HeaderTemplate, Placeholder, TemplatePiece};
use crate::model::Principal;
use crate::request::acts_for_others;

/// Initial capacity for the values of one request, in bytes.
const USUAL_LENGTH: usize = 192;

/// Header names, each once, with the source of their value.
#[derive(Clone, Debug, Default)]
pub(super) struct IdentityHeaders(Vec<(HeaderName, HeaderSource)>);

#[derive(Clone, Debug)]
enum HeaderSource {
    /// Sent on anonymous requests too, as it identifies the gateway. `None` if the template is empty: no
    /// header.
    Fixed(Option<HeaderValue>),
    /// Rendered for each request.
    Made(HeaderTemplate),
}

/// The input of the templates for one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderContext<'a> {
    pub(super) principal: Option<&'a Principal>,
    /// The host and port for the upstream.
    pub(super) host: &'a HeaderValue,
    pub(super) public_url: &'a str,
}

impl IdentityHeaders {
    /// Adds a header, or replaces the one with this name.
    pub(super) fn add(&mut self, name: HeaderName, template: &HeaderTemplate) {
        let value = HeaderSource::of(template);
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    fn may_hold_credential(&self) -> bool {
        self.0
            .iter()
            .any(|(name, value)| *name == AUTHORIZATION || matches!(value, HeaderSource::Fixed(Some(_))))
    }

    /// Sets the headers. Removes one that describes a user if there is nothing to tell, whatever the client
    /// sent; and what clients ask for in the name of others, where the application gets what may be a credential that is not
    /// theirs: `Authorization`, or any constant.
    pub(super) fn set(&self, headers: &mut HeaderMap, context: HeaderContext<'_>) {
        if self.may_hold_credential() {
            let claims: Vec<HeaderName> = headers
                .keys()
                .filter(|name| acts_for_others(name))
                .cloned()
                .collect();
            for name in claims {
                headers.remove(name);
            }
        }
        let mut buffer = BytesMut::new();
        for (name, value) in &self.0 {
            let value = match value {
                HeaderSource::Fixed(value) => value.clone(),
                HeaderSource::Made(template) => {
                    if buffer.capacity() == 0 {
                        buffer.reserve(USUAL_LENGTH);
                    }
                    render(template, context, &mut buffer)
                }
            };
            match value {
                Some(value) => headers.insert(name.clone(), value),
                None => headers.remove(name),
            };
        }
    }
}

impl HeaderSource {
    fn of(template: &HeaderTemplate) -> Self {
        let mut fixed = BytesMut::new();
        for piece in template.pieces() {
            match piece {
                TemplatePiece::Text(text) => fixed.put_slice(text.expose().as_bytes()),
                TemplatePiece::Placeholder(..) => return Self::Made(template.clone()),
            }
        }
        if fixed.is_empty() {
            return Self::Fixed(None);
        }
        let mut value = HeaderValue::from_maybe_shared(fixed.freeze()).ok();
        if let Some(value) = &mut value {
            value.set_sensitive(true);
        }
        Self::Fixed(value)
    }
}

/// Renders a value; `None` if it describes a user and all its placeholders are empty, or if it is not a valid
/// header value.
fn render(
    template: &HeaderTemplate,
    context: HeaderContext<'_>,
    buffer: &mut BytesMut,
) -> Option<HeaderValue> {
    let (mut tells_of_a_person, mut says_something, mut has_text) = (false, false, false);
    for piece in template.pieces() {
        match piece {
            TemplatePiece::Text(text) => {
                has_text = true;
                buffer.put_slice(text.expose().as_bytes());
            }
            TemplatePiece::Placeholder(placeholder, encoding) => {
                tells_of_a_person |= placeholder.is_of_a_person();
                let before = buffer.len();
                put(*placeholder, *encoding, context, buffer);
                says_something |= placeholder.is_of_a_person() && buffer.len() > before;
            }
        }
    }
    let value = buffer.split().freeze();
    if tells_of_a_person && !says_something {
        return None;
    }
    let mut value = HeaderValue::from_maybe_shared(value).ok()?;
    // The operator's text may be a secret.
    value.set_sensitive(has_text);
    Some(value)
}

fn put(
    placeholder: Placeholder,
    encoding: HeaderEncoding,
    context: HeaderContext<'_>,
    buffer: &mut BytesMut,
) {
    let text = match (placeholder, context.principal) {
        (Placeholder::Host, _) => context.host.as_bytes(),
        (Placeholder::PublicUrl, _) => context.public_url.as_bytes(),
        (_, None) => return,
        (Placeholder::Id, Some(principal)) => return put_shown(principal.account, buffer),
        (Placeholder::Session, Some(principal)) => {
            if let Some(session) = principal.session {
                put_shown(session, buffer);
            }
            return;
        }
        (Placeholder::Groups, Some(principal)) => return put_groups(principal, encoding, buffer),
        (Placeholder::Username, Some(principal)) => principal.username.as_str().as_bytes(),
        (Placeholder::Email, Some(principal)) => principal.email.as_str().as_bytes(),
        (Placeholder::Name, Some(principal)) if encoding == HeaderEncoding::Ascii => {
            let before = buffer.len();
            put_ascii(&principal.name, buffer);
            if !buffer[before..].iter().any(u8::is_ascii_alphanumeric) {
                buffer.truncate(before);
                buffer.put_slice(principal.username.as_str().as_bytes());
            }
            return;
        }
        (Placeholder::Name, Some(principal)) => principal.name.as_bytes(),
        (Placeholder::Method, Some(principal)) => principal.method.as_str().as_bytes(),
    };
    put_encoded(text, encoding, buffer);
}

fn put_encoded(text: &[u8], encoding: HeaderEncoding, buffer: &mut BytesMut) {
    match encoding {
        HeaderEncoding::Percent => put_percent(text, buffer),
        HeaderEncoding::Utf8 | HeaderEncoding::Ascii => buffer.put_slice(text),
    }
}

fn put_shown(shown: impl std::fmt::Display, buffer: &mut BytesMut) {
    // Cannot fail: the buffer grows.
    let _ = write!(buffer, "{shown}");
}

fn put_groups(principal: &Principal, encoding: HeaderEncoding, buffer: &mut BytesMut) {
    for (index, group) in principal.groups.iter().enumerate() {
        if index > 0 {
            buffer.put_u8(b',');
        }
        put_encoded(group.as_bytes(), encoding, buffer);
    }
}
