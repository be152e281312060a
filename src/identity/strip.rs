//! Strips header names that only the gateway may send.

use std::collections::{BTreeSet, HashSet};

use http::{HeaderMap, HeaderName, header};

use super::connection_header::is_of_the_connection;
use crate::request::{
    acts_for_others, begins_as, chooses_beside_path, fold, is_plain, names_second_resource, overrides_method,
    reads_as,
};

/// Fields that frame, route or authenticate a request, or that policy evaluated with its head; a trailer must
/// not change them (RFC 9110, section 6.5.1).
const NEVER_IN_TRAILERS: [HeaderName; 22] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::IF_MATCH,
    header::ORIGIN,
    header::RANGE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("depth"),
    HeaderName::from_static("destination"),
    HeaderName::from_static("if"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("overwrite"),
    HeaderName::from_static("proxy-connection"),
];

/// How the names begin under which proxies tell who the user is. Applications that are given some of a family may read the
/// others too: Grafana takes a role from `X-WEBAUTH-ROLE`.
/// A name belongs to the longest that fits.
const FAMILIES: [&str; 24] = [
    "cf-access-",
    "impersonate-",
    "iv-",
    "oidc-claim-",
    "remote-",
    "sm-",
    "tailscale-",
    "x-amzn-oidc-",
    "x-appengine-user-",
    "x-auth-",
    "x-auth-couchdb-",
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-consumer-",
    "x-goog-authenticated-user-",
    "x-hasura-",
    "x-ms-client-principal",
    "x-pomerium-",
    "x-proxiedentit",
    "x-proxy-",
    "x-remote-",
    "x-vouch-",
    "x-webauth-",
];

/// The families that say nothing but who the user is: an application may believe one that it was never told to read, where it
/// is told nobody, so they are removed for every application once any is told who the user is.
const USERS: [&str; 10] = [
    "remote-",
    "tailscale-",
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-goog-authenticated-user-",
    "x-pomerium-",
    "x-remote-",
    "x-vouch-",
    "x-webauth-",
];

/// Names of a family that are what clients authenticate with elsewhere: to Swift and Cloudflare. Each is removed only where an
/// application is given itself.
const CREDENTIALS: [&str; 4] = ["x-auth-email", "x-auth-key", "x-auth-token", "x-auth-user"];

/// Returns the family of a name with `-` for every sign.
fn family_of(name: &str) -> Option<&'static str> {
    let families = FAMILIES.into_iter().filter(|family| name.starts_with(family));
    families.max_by_key(|family| family.len())
}

/// Returns the bit of the first letter of a name in lower case; 0 if it begins with another character.
fn letter(name: &str) -> u32 {
    let first = name.bytes().next().filter(u8::is_ascii_lowercase);
    first.map_or(0, |first| 1 << (first - b'a'))
}

/// The header names that any upstream gets from the gateway. Clients may send none of them, in any spelling
/// that a server could fold to one.
#[derive(Debug)]
pub struct Strip {
    /// With `-` for every sign.
    plain: Vec<HeaderName>,
    folded: HashSet<String>,
    /// Those of [`FAMILIES`] to which one of the names belongs, and those of [`USERS`] if there is any.
    families: Vec<&'static str>,
    /// With which letters these begin: a bit each.
    first_letters: u32,
}

impl Strip {
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n HeaderName>) -> Self {
        let folded: BTreeSet<String> = names.map(fold).collect();
        let is_given = |family| folded.iter().any(|name| family_of(name) == Some(family));
        let families: Vec<_> = FAMILIES
            .into_iter()
            .filter(|family| is_given(*family) || USERS.contains(family) && !folded.is_empty())
            .collect();
        Self {
            plain: folded.iter().filter_map(|name| name.parse().ok()).collect(),
            first_letters: families
                .iter()
                .fold(0, |letters, family| letters | letter(family)),
            families,
            folded: folded.into_iter().collect(),
        }
    }

    /// Returns the names, with `-` for every sign.
    pub fn names(&self) -> &[HeaderName] {
        &self.plain
    }

    fn is_of_a_family(&self, name: &HeaderName) -> bool {
        self.first_letters & letter(name.as_str()) != 0
            && self.families.iter().any(|family| begins_as(name, family))
            && !CREDENTIALS.iter().any(|known| reads_as(name, known))
    }

    /// Strips request headers. Costs one look-up per name, and allocates only for names with unusual signs.
    pub fn headers(&self, headers: &mut HeaderMap) {
        for name in &self.plain {
            headers.remove(name);
        }
        let taken: Vec<HeaderName> = headers
            .keys()
            .filter(|name| self.is_of_a_family(name) || !is_plain(name) && self.folded.contains(&fold(name)))
            .cloned()
            .collect();
        for name in taken {
            headers.remove(name);
        }
    }

    /// Whether a field of a forwarded request is the gateway's own.
    pub fn is_own(&self, name: &HeaderName) -> bool {
        *name == header::HOST || self.plain.contains(name) || is_of_the_connection(name)
    }

    /// Whether policy or framing depends on a field that a client sends.
    pub fn is_decisive(&self, name: &HeaderName) -> bool {
        names_second_resource(name)
            || chooses_beside_path(name)
            || overrides_method(name)
            || NEVER_IN_TRAILERS.contains(name)
    }

    /// Strips request trailers, also of fields that may only be in the head.
    pub fn trailers(&self, trailers: &mut HeaderMap) {
        let taken: Vec<HeaderName> = trailers
            .keys()
            .filter(|name| {
                self.folded.contains(&fold(name))
                    || self.is_of_a_family(name)
                    || acts_for_others(name)
                    || is_of_the_connection(name)
                    || names_second_resource(name)
                    || chooses_beside_path(name)
                    || overrides_method(name)
                    || NEVER_IN_TRAILERS
                        .iter()
                        .any(|known| reads_as(name, known.as_str()))
            })
            .cloned()
            .collect();
        for name in taken {
            trailers.remove(name);
        }
    }
}
