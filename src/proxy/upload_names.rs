//! What uploads name beside their target (S75): the parts of which tus makes one, in `Upload-Concat`, and the member of a
//! collection that `Slug` asks for (RFC 5023, section 9.7).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::iter;

use http::{HeaderName, Method};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::second_resource::{SecondResourceError, SecondResourcePolicy, only};
use super::source_readings::SourceReading;
use crate::request::{is_plain, reads_as};
use crate::route::{RouteMatch, Unroutable};

const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
const SLUG: HeaderName = HeaderName::from_static("slug");

/// What a path has percent-encoded, and what begins a query or a fragment.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl SecondResourcePolicy<'_> {
    /// Judges the parts that an upload is made of, as they are read, and the member that a POST asks for.
    pub(super) fn require_upload_names(&self) -> Result<(), SecondResourceError> {
        if let Some(parts) = self.named_by(&UPLOAD_CONCAT, "Upload-Concat")? {
            self.require_parts(parts)?;
        }
        if let Some(slug) = self.named_by(&SLUG, "Slug")?
            && self.gateway.may_mean(self.head, self.own, self.permit, "POST")
        {
            self.require_member(slug)?;
        }
        Ok(())
    }

    /// The value of a header that is there at most once, in its one spelling.
    fn named_by(&self, known: &HeaderName, shown: &'static str) -> Result<Option<&str>, SecondResourceError> {
        let headers = self.head.headers;
        let mut names = headers.keys().filter(|name| reads_as(name, known.as_str()));
        if names.any(|name| !is_plain(name)) {
            return Err(SecondResourceError::Unreadable(shown));
        }
        only(headers, known, shown)
    }

    /// Judges `final;` and URLs. Some servers look for a part below the request's own path, by the last segment alone.
    fn require_parts(&self, value: &str) -> Result<(), SecondResourceError> {
        const HEADER: &str = "Upload-Concat";
        if value == "partial" {
            return Ok(());
        }
        let urls = value.strip_prefix("final;");
        let urls = urls.ok_or(SecondResourceError::Unreadable(HEADER))?;
        let base = self.target.trim_end_matches('/');
        let urls: BTreeSet<&str> = urls.split_ascii_whitespace().collect();
        for url in urls {
            let last = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let readings = [(url.to_owned(), false), (format!("{base}/{last}"), true)];
            let readings = readings.map(|(text, is_lenient)| SourceReading { text, is_lenient });
            for reading in &readings {
                self.require_part(reading, HEADER)?;
            }
        }
        Ok(())
    }

    /// Judges a part as it is read; where no route takes GET, by the method of the request, as what may be sent may be
    /// joined.
    fn require_part(&self, reading: &SourceReading, header: &'static str) -> Result<(), SecondResourceError> {
        let Some((_, path)) = self.meant(reading, &Method::GET, header)? else {
            return Ok(());
        };
        let method = match self.find(&path, &Method::GET) {
            Err(Unroutable::MethodNotAllowed(_)) => self.head.method,
            _ => &Method::GET,
        };
        self.require_second(&path, method, header).map(drop)
    }

    /// Judges the places in the collection, and from the root on, that the name of a member can mean, decoded as the
    /// standard has it. Servers make of it what they like: most replace all that is not plain, some take it as it is.
    fn require_member(&self, slug: &str) -> Result<(), SecondResourceError> {
        const HEADER: &str = "Slug";
        let slug = percent_decode_str(slug).decode_utf8().ok();
        // An encoded word of mail (RFC 2047), which some libraries decode in every header.
        let slug = slug.filter(|slug| !slug.contains("=?"));
        let slug = slug.ok_or(SecondResourceError::Unreadable(HEADER))?;
        // As a quoted string, which it is not, it is read too: up to the next quote.
        let unquoted = slug.strip_prefix('"').and_then(|slug| slug.split('"').next());
        for name in iter::once(slug.as_ref()).chain(unquoted) {
            self.require_member_of_name(name, HEADER)?;
        }
        Ok(())
    }

    fn require_member_of_name(&self, slug: &str, header: &'static str) -> Result<(), SecondResourceError> {
        if slug.is_empty() {
            return Ok(());
        }
        let mut text = self.target.trim_end_matches('/').to_owned();
        let separator = if slug.starts_with('/') { "" } else { "/" };
        let _ = write!(text, "{separator}{}", utf8_percent_encode(slug, NOT_IN_PATH));
        let in_collection = SourceReading {
            text,
            is_lenient: true,
        };
        let from_root = slug.starts_with('/').then(|| SourceReading {
            text: utf8_percent_encode(slug, NOT_IN_PATH).to_string(),
            is_lenient: true,
        });
        for reading in [in_collection].into_iter().chain(from_root) {
            for method in [self.head.method, &Method::PUT] {
                let Some((_, path)) = self.meant(&reading, method, header)? else {
                    continue;
                };
                match self.find(&path, method) {
                    // What the request's own route takes was judged with the request, and what no route takes by this
                    // method is written by POST to the collection alone.
                    Ok(RouteMatch::Route(route)) if std::ptr::eq(route, self.own) => {}
                    Err(Unroutable::MethodNotAllowed(_)) => {}
                    _ => self.require_second(&path, method, header).map(drop)?,
                }
            }
        }
        Ok(())
    }
}
