//! Builds responses: pages, JSON, redirects, with the headers of all of them.

use bytes::Bytes;
use http::header::{
    CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use super::security_headers;
use crate::refusal::Problem;
use crate::text::Lang;

/// The outcome of a request: a status, or a problem with its status.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseOutcome {
    pub(super) status: StatusCode,
    problem: Option<Problem>,
}

impl From<StatusCode> for ResponseOutcome {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            problem: None,
        }
    }
}

impl From<Problem> for ResponseOutcome {
    fn from(problem: Problem) -> Self {
        Self {
            status: problem.status(),
            problem: Some(problem),
        }
    }
}

impl RequestContext<'_> {
    /// Renders a page from a template, which gets `view` under this name.
    pub(super) fn page(
        &self,
        outcome: impl Into<ResponseOutcome>,
        template: &str,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        self.framed_page(outcome, template, Value::UNDEFINED, view)
    }

    /// Like [`Self::page`], with `nav`, the navigation of pages for signed-in users.
    pub(super) fn framed_page(
        &self,
        outcome: impl Into<ResponseOutcome>,
        template: &str,
        nav: Value,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        let outcome = outcome.into();
        let failed = outcome.status.is_client_error() || outcome.status.is_server_error();
        let known = self.renderer.context(self.lang, self.head.query, failed);
        let templates = &self.renderer.templates;
        let html = templates.get_template(template).and_then(|template| {
            template.render(context! { nav, view => Value::from(Serde(view)), ..known })
        });
        let (outcome, kind, body) = match html {
            Ok(html) => (outcome, "text/html; charset=utf-8", html),
            Err(error) => {
                tracing::error!(template, %error, "a page cannot be rendered");
                let text = self.text("problem.unavailable.detail").to_owned();
                (Problem::Unavailable.into(), "text/plain; charset=utf-8", text)
            }
        };
        let mut response = self.respond(outcome, kind, body);
        response.headers_mut().insert(
            CONTENT_SECURITY_POLICY,
            self.renderer.content_security_policy.clone(),
        );
        if self.chosen {
            self.renderer.remember_language(&mut response, self.lang);
        }
        response
    }

    /// A JSON document.
    pub(super) fn json(&self, status: StatusCode, document: &impl Serialize) -> Response<Bytes> {
        self.document(status.into(), "application/json", document)
    }

    /// The result of a form: JSON for a program, a redirect to `to` for a browser.
    pub(super) fn json_or_see_other(
        &self,
        status: StatusCode,
        document: &impl Serialize,
        to: &str,
    ) -> Response<Bytes> {
        match self.wants {
            ResponseFormat::Json => self.json(status, document),
            ResponseFormat::Html => self.see_other(to),
        }
    }

    /// Like [`Self::json_or_see_other`], with 204 for a program.
    pub(super) fn nothing_or_see_other(&self, to: &str) -> Response<Bytes> {
        match self.wants {
            ResponseFormat::Json => self.nothing(),
            ResponseFormat::Html => self.see_other(to),
        }
    }

    /// JSON lines.
    pub(super) fn lines(&self, lines: String) -> Response<Bytes> {
        self.respond(StatusCode::OK.into(), "application/jsonl", lines)
    }

    /// Comma-separated values (RFC 4180).
    pub(super) fn csv(&self, rows: String) -> Response<Bytes> {
        self.respond(StatusCode::OK.into(), "text/csv; charset=utf-8", rows)
    }

    /// A problem document (RFC 9457).
    pub(super) fn problem(&self, problem: Problem, document: &impl Serialize) -> Response<Bytes> {
        self.document(problem.into(), "application/problem+json", document)
    }

    /// 303 (RFC 9110, section 15.4.4).
    pub(super) fn see_other(&self, to: &str) -> Response<Bytes> {
        let mut response = self.respond(StatusCode::SEE_OTHER.into(), "", String::new());
        let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
        response.headers_mut().insert(LOCATION, to);
        response
    }

    /// 204.
    pub(super) fn nothing(&self) -> Response<Bytes> {
        self.respond(StatusCode::NO_CONTENT.into(), "", String::new())
    }

    fn document(
        &self,
        outcome: ResponseOutcome,
        kind: &'static str,
        document: &impl Serialize,
    ) -> Response<Bytes> {
        match serde_json::to_string(document) {
            Ok(body) => self.respond(outcome, kind, body),
            Err(error) => {
                tracing::error!(%error, "a document cannot be written");
                self.respond(Problem::Unavailable.into(), "", String::new())
            }
        }
    }

    fn respond(&self, outcome: ResponseOutcome, kind: &'static str, body: String) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = outcome.status;
        // The caller counts refusals by problem.
        if let Some(problem) = outcome.problem {
            response.extensions_mut().insert(problem);
        }
        let headers = response.headers_mut();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Ok(language) = HeaderValue::from_str(self.tag) {
                headers.insert(CONTENT_LANGUAGE, language);
            }
        }
        security_headers::set(headers, self.head);
        if outcome.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                self.renderer.challenges.header_for(self.head.headers),
            );
        }
        response
    }
}

impl PageRenderer {
    /// Sets the cookie that keeps the language.
    pub(super) fn remember_language(&self, response: &mut Response<Bytes>, lang: Lang) {
        let cookie = self.cookies.set_language(self.texts.tag(lang));
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Appends the parameters that are not empty to a path.
pub(super) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        pairs.append_pair(name, value);
    }
    match pairs.finish() {
        pairs if pairs.is_empty() => path.to_owned(),
        pairs => format!("{path}?{pairs}"),
    }
}
