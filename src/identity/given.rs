//! The headers that an application is given.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::{Piece, Placeholder, Template};
use crate::model::Principal;

/// Room for the values of one request in one allocation: names and addresses are short.
const USUAL_LENGTH: usize = 192;

/// Names and values, in no particular order; each name once.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(Vec<(HeaderName, Value)>);

#[derive(Clone, Debug)]
enum Value {
    /// Always the same, for a request of nobody too: it tells that the gateway sent the request. Empty: no header.
    Fixed(Option<HeaderValue>),
    /// Made for each request.
    Made(Template),
}

impl Given {
    /// Adds a header, or replaces the one with this name.
    pub(super) fn add(&mut self, name: HeaderName, template: &Template) {
        let value = Value::of(template);
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Sets the headers. One that tells of a person, and has nothing to tell, is not sent.
    pub(super) fn set(&self, headers: &mut HeaderMap, principal: Option<&Principal>) {
        let mut buffer = BytesMut::new();
        for (name, value) in &self.0 {
            let value = match (value, principal) {
                (Value::Fixed(value), _) => value.clone(),
                (Value::Made(_), None) => None,
                (Value::Made(template), Some(principal)) => {
                    if buffer.capacity() == 0 {
                        buffer.reserve(USUAL_LENGTH);
                    }
                    render(template, principal, &mut buffer)
                }
            };
            if let Some(value) = value {
                headers.insert(name.clone(), value);
            }
        }
    }
}

impl Value {
    fn of(template: &Template) -> Self {
        let mut fixed = BytesMut::new();
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => fixed.put_slice(text.expose().as_bytes()),
                Piece::Placeholder(_) => return Self::Made(template.clone()),
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

/// The value for somebody; `None` if every placeholder in it is empty, or if it cannot stand in a header.
fn render(template: &Template, principal: &Principal, buffer: &mut BytesMut) -> Option<HeaderValue> {
    let (mut says_something, mut has_text) = (false, false);
    for piece in template.pieces() {
        match piece {
            Piece::Text(text) => {
                has_text = true;
                buffer.put_slice(text.expose().as_bytes());
            }
            Piece::Placeholder(placeholder) => {
                let before = buffer.len();
                put(*placeholder, principal, buffer);
                says_something |= buffer.len() > before;
            }
        }
    }
    let value = buffer.split().freeze();
    let mut value = says_something.then(|| HeaderValue::from_maybe_shared(value).ok())??;
    // What the operator wrote around it may be a secret.
    value.set_sensitive(has_text);
    Some(value)
}

fn put(placeholder: Placeholder, principal: &Principal, buffer: &mut BytesMut) {
    let text = match placeholder {
        Placeholder::Id => return put_shown(principal.account, buffer),
        Placeholder::Session => return principal.session.into_iter().for_each(|id| put_shown(id, buffer)),
        Placeholder::Groups => return put_groups(principal, buffer),
        Placeholder::Username => principal.username.as_str(),
        Placeholder::Email => principal.email.as_str(),
        Placeholder::Name => &principal.name,
        Placeholder::Method => principal.method.as_str(),
    };
    buffer.put_slice(text.as_bytes());
}

fn put_shown(shown: impl std::fmt::Display, buffer: &mut BytesMut) {
    // Writing into a buffer that grows does not fail.
    let _ = write!(buffer, "{shown}");
}

fn put_groups(principal: &Principal, buffer: &mut BytesMut) {
    for (index, group) in principal.groups.iter().enumerate() {
        if index > 0 {
            buffer.put_u8(b',');
        }
        buffer.put_slice(group.as_bytes());
    }
}
