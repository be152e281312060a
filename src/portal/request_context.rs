//! The context of a request: language and format of the response.

use std::str::FromStr;

use http::header::{ACCEPT, ACCEPT_LANGUAGE, COOKIE, UPGRADE};
use http::{HeaderMap, Method};

use super::forms;
use super::renderer::PageRenderer;
use super::return_to::ReturnTo;
use crate::refusal::{Problem, Refusal};
use crate::request::RequestHead;
use crate::services::Origin;
use crate::text::{Lang, quality};

/// The media type of a page; none that is looked for is shorter.
const HTML: &str = "text/html";

/// A request, with the language and format of its response. Its methods make responses.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestContext<'a> {
    pub(super) renderer: &'a PageRenderer,
    pub(super) head: &'a RequestHead<'a>,
    pub(super) lang: Lang,
    /// The tag of `lang`.
    pub(super) tag: &'a str,
    /// Whether this request chose the language, which the response then makes the browser keep.
    pub(super) chosen: bool,
    pub(super) wants: ResponseFormat,
}

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseFormat {
    Html,
    Json,
}

impl<'a> RequestContext<'a> {
    pub(super) fn new(renderer: &'a PageRenderer, head: &'a RequestHead<'a>) -> Self {
        let texts = &renderer.texts;
        let chosen = parameter(head.query, "lang").and_then(|tag| texts.language(&tag));
        let lang = chosen
            .or_else(|| texts.language(cookie(head.headers, renderer.cookies.language_name())?))
            .or_else(|| {
                let header = head.headers.get(ACCEPT_LANGUAGE)?;
                texts.accepted(header.to_str().ok()?)
            });
        Self {
            renderer,
            head,
            tag: texts.tag(lang.unwrap_or_default()),
            lang: lang.unwrap_or_default(),
            chosen: chosen.is_some(),
            wants: wants(head.headers),
        }
    }

    pub(super) fn wants_json(&self) -> bool {
        self.wants == ResponseFormat::Json
    }

    /// A text in the client's language.
    pub(super) fn text(&self, key: &'a str) -> &'a str {
        self.renderer.texts.get(self.lang, key)
    }

    /// A parameter of the query; empty if it is missing.
    pub(super) fn parameter(&self, name: &str) -> String {
        parameter(self.head.query, name).unwrap_or_default()
    }

    /// Reads a parameter that names where a page of a list begins; `None` if it is empty or missing. One that is
    /// malformed is refused: a program would get the first page again and again.
    pub(super) fn cursor<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let given = self.parameter(name);
        let given = given.trim();
        let cursor = (!given.is_empty()).then(|| given.parse::<T>()).transpose();
        cursor.map_err(|_| {
            Refusal::because(
                Problem::InvalidInput,
                format!("`{name}` names no place in the list"),
            )
        })
    }

    /// Validates `rd`.
    pub(super) fn return_to(&self, rd: &str) -> ReturnTo {
        ReturnTo::parse(rd, &self.renderer.hosts, self.head.authority)
    }

    /// The path and query of the request.
    pub(super) fn place(&self) -> String {
        let path = self.head.path;
        self.head
            .query
            .map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    pub(super) fn is_post(&self) -> bool {
        self.head.method == Method::POST
    }

    /// The origin for the audit log.
    pub(super) fn origin(&self) -> Origin {
        let head = self.head;
        Origin::of_request(head.id, head.client.address, head.user_agent(), Some(self.tag))
    }
}

/// Returns whether a browser navigates, rather than a program: decides the format of a refusal. A WebSocket
/// handshake comes from a script, whatever it accepts, and follows no redirect.
pub(super) fn navigates(head: &RequestHead<'_>) -> bool {
    if head.headers.contains_key(UPGRADE) {
        return false;
    }
    let reads = head.method == Method::GET || head.method == Method::HEAD;
    let mode = head
        .headers
        .get("sec-fetch-mode")
        .map(http::HeaderValue::as_bytes);
    (reads && mode == Some(b"navigate"))
        || (names_html(head.headers) && wants(head.headers) == ResponseFormat::Html)
}

fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    form_urlencoded::parse(query?.as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// JSON if `Accept` prefers it, or if the body was JSON and `Accept` does not name a page's type.
fn wants(headers: &HeaderMap) -> ResponseFormat {
    let (mut html, mut json) = (None, None);
    for (kind, quality) in accepted(headers) {
        let is_one_of = |kinds: [&str; 2]| kinds.iter().any(|known| kind.eq_ignore_ascii_case(known));
        if is_one_of([HTML, "application/xhtml+xml"]) {
            html = html.max(Some(quality));
        } else if is_one_of(["application/json", "application/problem+json"]) {
            json = json.max(Some(quality));
        }
    }
    let (html, json) = (html.filter(|q| *q > 0), json.filter(|q| *q > 0));
    if json > html || (forms::is_json(headers) && html.is_none()) {
        ResponseFormat::Json
    } else {
        ResponseFormat::Html
    }
}

pub(super) fn names_html(headers: &HeaderMap) -> bool {
    accepted(headers).any(|(kind, quality)| kind.eq_ignore_ascii_case(HTML) && quality > 0)
}

/// The accepted media types with their quality, except for those too short to be looked for.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = (&str, u16)> {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .filter(|member| member.len() >= HTML.len())
        .map(quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |&(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_answer_has_the_form_that_is_preferred() {
        let (html, json) = (ResponseFormat::Html, ResponseFormat::Json);
        for (pairs, form) in [
            ([].as_slice(), html),
            (&[("accept", "*/*")], html),
            (&[("accept", "application/json")], json),
            (&[("accept", "application/problem+json, */*;q=0.1")], json),
            (&[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")], html),
            (&[("accept", "text/html;q=0.5, application/json")], json),
            (&[("accept", "application/json;q=0")], html),
            (&[("content-type", "application/json"), ("accept", "*/*")], json),
            (&[("content-type", "application/json")], json),
            (
                &[("content-type", "application/json"), ("accept", "text/html")],
                html,
            ),
        ] {
            assert_eq!(wants(&headers(pairs)), form, "{pairs:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let lang = |sent| cookie(&headers(&[("cookie", sent)]), "lang").map(str::to_owned);
        assert_eq!(lang("a=b; lang=ko").as_deref(), Some("ko"));
        assert_eq!(lang("xlang=ko"), None);
    }
}
