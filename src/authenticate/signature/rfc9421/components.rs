//! Covered components of a message signature, and the signature base (RFC 9421, section 2).

use std::collections::HashSet;

use http::{HeaderName, HeaderValue};
use sfv::{BareItem, InnerList};

use crate::authenticate::signature::{Message, SignatureError};

/// The covered components, each once.
#[derive(Clone, Debug)]
pub(super) struct Components(Vec<Component>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Component {
    Method,
    TargetUri,
    Authority,
    Scheme,
    RequestTarget,
    Path,
    Query,
    Header(HeaderName),
}

impl Components {
    pub(super) fn read(list: &InnerList, message: &Message<'_>) -> Result<Self, SignatureError> {
        let mut components = Vec::with_capacity(list.items.len());
        let mut covered = HashSet::with_capacity(list.items.len());
        for item in &list.items {
            let name = match &item.bare_item {
                BareItem::String(name) if item.params.is_empty() => name.as_str(),
                _ => {
                    return Err(SignatureError::Malformed(
                        "a covered component has parameters, or is not a name",
                    ));
                }
            };
            let component = Component::named(name).ok_or(SignatureError::Malformed(
                "a covered component is none of a request's",
            ))?;
            if let Component::Header(name) = &component
                && *name != http::header::HOST
                && !message.headers.contains_key(name)
            {
                return Err(SignatureError::Missing(name.as_str().into()));
            }
            if !covered.insert(component.clone()) {
                return Err(SignatureError::Malformed("a component is covered twice"));
            }
            components.push(component);
        }
        Ok(Self(components))
    }

    pub(super) fn cover(&self, header: &str) -> bool {
        self.0
            .iter()
            .any(|component| matches!(component, Component::Header(name) if name == header))
    }

    /// Returns the signature base (section 2.5).
    pub(super) fn base(&self, message: &Message<'_>, parameters: &str) -> Vec<u8> {
        let mut base = Vec::with_capacity(512);
        for component in &self.0 {
            base.push(b'"');
            base.extend_from_slice(component.name().as_bytes());
            base.extend_from_slice(b"\": ");
            component.write(message, &mut base);
            base.push(b'\n');
        }
        base.extend_from_slice(b"\"@signature-params\": ");
        base.extend_from_slice(parameters.as_bytes());
        base
    }

    /// Refuses a signature that does not cover the method, the host and the target.
    pub(super) fn require_request(&self, message: &Message<'_>) -> Result<(), SignatureError> {
        let has = |component| self.0.contains(&component);
        let missing = if !has(Component::Method) {
            "@method"
        } else if has(Component::TargetUri) {
            return Ok(());
        } else if !has(Component::Authority) && !has(Component::Header(http::header::HOST)) {
            "@authority"
        } else if has(Component::RequestTarget) {
            return Ok(());
        } else if !has(Component::Path) {
            "@path"
        } else if message.query.is_some() && !has(Component::Query) {
            "@query"
        } else {
            return Ok(());
        };
        Err(SignatureError::NotSigned(missing.into()))
    }
}

impl Component {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "@method" => Self::Method,
            "@target-uri" => Self::TargetUri,
            "@authority" => Self::Authority,
            "@scheme" => Self::Scheme,
            "@request-target" => Self::RequestTarget,
            "@path" => Self::Path,
            "@query" => Self::Query,
            // Header names must be in lower case.
            _ if name.bytes().all(|byte| !byte.is_ascii_uppercase()) => Self::Header(name.parse().ok()?),
            _ => return None,
        })
    }

    fn name(&self) -> &str {
        match self {
            Self::Method => "@method",
            Self::TargetUri => "@target-uri",
            Self::Authority => "@authority",
            Self::Scheme => "@scheme",
            Self::RequestTarget => "@request-target",
            Self::Path => "@path",
            Self::Query => "@query",
            Self::Header(name) => name.as_str(),
        }
    }

    fn write(&self, message: &Message<'_>, base: &mut Vec<u8>) {
        match self {
            Self::Method => base.extend_from_slice(message.method.as_bytes()),
            Self::Scheme => base.extend_from_slice(b"https"),
            Self::TargetUri => {
                base.extend_from_slice(b"https://");
                base.extend_from_slice(message.authority.as_bytes());
                write_target(message, base);
            }
            Self::Authority => {
                // Lower case, without the default port (section 2.2.3).
                let authority = message
                    .authority
                    .strip_suffix(":443")
                    .unwrap_or(message.authority);
                base.extend(authority.bytes().map(|byte| byte.to_ascii_lowercase()));
            }
            Self::RequestTarget => write_target(message, base),
            Self::Path => base.extend_from_slice(message.path.as_bytes()),
            Self::Query => {
                base.push(b'?');
                base.extend_from_slice(message.query.unwrap_or_default().as_bytes());
            }
            Self::Header(name) if *name == http::header::HOST => {
                base.extend_from_slice(message.authority.as_bytes());
            }
            Self::Header(name) => {
                let values = message.headers.get_all(name).iter().map(HeaderValue::as_bytes);
                for (index, value) in values.enumerate() {
                    if index > 0 {
                        base.extend_from_slice(b", ");
                    }
                    base.extend_from_slice(value.trim_ascii());
                }
            }
        }
    }
}

fn write_target(message: &Message<'_>, base: &mut Vec<u8>) {
    base.extend_from_slice(message.path.as_bytes());
    if let Some(query) = message.query {
        base.push(b'?');
        base.extend_from_slice(query.as_bytes());
    }
}
