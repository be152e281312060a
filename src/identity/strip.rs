//! What only the gateway may say.

use std::collections::{BTreeSet, HashSet};

use http::{HeaderMap, HeaderName, header};

/// Headers about the connection that the gateway sets itself (S42), beside everything below `X-Forwarded-`.
const OF_THE_CONNECTION: [&str; 6] = [
    "forwarded",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
    "x-original-uri",
];

/// Headers that frame, route or authenticate a request, which a trailer must not change (RFC 9110, section 6.5.1).
const NEVER_IN_TRAILERS: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The names that any application is given by the gateway: a client says none of them, in any spelling that an
/// application could take for one. Servers that hand headers on as variables see `-`, `_` and `.` alike.
#[derive(Debug)]
pub struct Strip {
    /// Spelled with `-`.
    plain: Vec<HeaderName>,
    folded: HashSet<String>,
}

impl Strip {
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n HeaderName>) -> Self {
        let folded: BTreeSet<String> = names.map(fold).collect();
        Self {
            plain: folded.iter().filter_map(|name| name.parse().ok()).collect(),
            folded: folded.into_iter().collect(),
        }
    }

    /// The names, spelled with `-`.
    pub fn names(&self) -> &[HeaderName] {
        &self.plain
    }

    /// Removes them from a request's headers. Costs a look-up a name, and allocates only where one is spelled oddly.
    pub fn headers(&self, headers: &mut HeaderMap) {
        for name in &self.plain {
            headers.remove(name);
        }
        let is_odd = |name: &&HeaderName| memchr::memchr2(b'_', b'.', name.as_str().as_bytes()).is_some();
        let taken: Vec<HeaderName> = headers
            .keys()
            .filter(is_odd)
            .filter(|name| {
                let name = fold(name);
                self.folded.contains(&name) || is_of_the_connection(&name)
            })
            .cloned()
            .collect();
        for name in taken {
            headers.remove(name);
        }
    }

    /// Removes them from a request's trailers, and whatever else must not come so late.
    pub fn trailers(&self, trailers: &mut HeaderMap) {
        let taken: Vec<HeaderName> = trailers
            .keys()
            .filter(|name| {
                let folded = fold(name);
                self.folded.contains(&folded)
                    || is_of_the_connection(&folded)
                    || NEVER_IN_TRAILERS.contains(name)
            })
            .cloned()
            .collect();
        for name in taken {
            trailers.remove(name);
        }
    }
}

/// One spelling for all that applications may take for each other. Names are lower-case already.
fn fold(name: &HeaderName) -> String {
    name.as_str().replace(['_', '.'], "-")
}

fn is_of_the_connection(folded: &str) -> bool {
    folded.starts_with("x-forwarded-") || OF_THE_CONNECTION.contains(&folded)
}
