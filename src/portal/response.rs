//! Answers: a page, a JSON document, a redirect, each with the headers that every one of them needs (S25, S32).

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION,
    REFERRER_POLICY, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::renderer::PageRenderer;
use super::request_context::RequestContext;
use crate::refusal::Problem;
use crate::route::Page;
use crate::text::Lang;

/// How a request ends: with a status, or refused, which has one too.
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

impl PageRenderer {
    /// A page from a template. `view` is what the template knows as `view`.
    pub(super) fn page(
        &self,
        context: &RequestContext<'_>,
        outcome: impl Into<ResponseOutcome>,
        template: &str,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        self.framed_page(context, outcome, template, Value::UNDEFINED, view)
    }

    /// The same with `nav`, the links of the pages for those who are signed in.
    pub(super) fn framed_page(
        &self,
        context: &RequestContext<'_>,
        outcome: impl Into<ResponseOutcome>,
        template: &str,
        nav: Value,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        let outcome = outcome.into();
        let failed = outcome.status.is_client_error() || outcome.status.is_server_error();
        let known = self.context(context.lang, context.head.query, failed);
        let rendered = self.templates.get_template(template).and_then(|template| {
            template.render(context! { nav, view => Value::from(Serde(view)), ..known })
        });
        let (outcome, kind, body) = match rendered {
            Ok(html) => (outcome, "text/html; charset=utf-8", html),
            Err(error) => {
                tracing::error!(template, %error, "a page cannot be rendered");
                let text = self
                    .texts
                    .get(context.lang, "problem.unavailable.detail")
                    .to_owned();
                (Problem::Unavailable.into(), "text/plain; charset=utf-8", text)
            }
        };
        let mut response = self.respond(context, outcome, kind, body);
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, self.content_security_policy.clone());
        if context.chosen {
            self.remember_language(&mut response, context.lang);
        }
        response
    }

    /// Has the browser ask for pages in this language from now on.
    pub(super) fn remember_language(&self, response: &mut Response<Bytes>, lang: Lang) {
        let cookie = format!(
            "{}={}; Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax",
            self.language_cookie,
            self.texts.tag(lang)
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }

    /// A JSON document.
    pub(super) fn json(
        &self,
        context: &RequestContext<'_>,
        status: StatusCode,
        document: &impl Serialize,
    ) -> Response<Bytes> {
        self.document(context, status.into(), "application/json", document)
    }

    /// JSON documents, one a line.
    pub(super) fn lines(&self, context: &RequestContext<'_>, lines: String) -> Response<Bytes> {
        self.respond(context, StatusCode::OK.into(), "application/jsonl", lines)
    }

    /// A problem document (RFC 9457).
    pub(super) fn problem(
        &self,
        context: &RequestContext<'_>,
        problem: Problem,
        document: &impl Serialize,
    ) -> Response<Bytes> {
        self.document(context, problem.into(), "application/problem+json", document)
    }

    /// 303 (RFC 9110, section 15.4.4).
    pub(super) fn see_other(&self, context: &RequestContext<'_>, to: &str) -> Response<Bytes> {
        let mut response = self.respond(context, StatusCode::SEE_OTHER.into(), "", String::new());
        let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
        response.headers_mut().insert(LOCATION, to);
        response
    }

    /// 204.
    pub(super) fn nothing(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        self.respond(context, StatusCode::NO_CONTENT.into(), "", String::new())
    }

    fn document(
        &self,
        context: &RequestContext<'_>,
        outcome: ResponseOutcome,
        kind: &'static str,
        document: &impl Serialize,
    ) -> Response<Bytes> {
        match serde_json::to_string(document) {
            Ok(body) => self.respond(context, outcome, kind, body),
            Err(error) => {
                tracing::error!(%error, "a document cannot be written");
                self.respond(context, Problem::Unavailable.into(), "", String::new())
            }
        }
    }

    fn respond(
        &self,
        context: &RequestContext<'_>,
        outcome: ResponseOutcome,
        kind: &'static str,
        body: String,
    ) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = outcome.status;
        // Whoever sends it counts refusals by their kind.
        if let Some(problem) = outcome.problem {
            response.extensions_mut().insert(problem);
        }
        let headers = response.headers_mut();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Ok(language) = HeaderValue::from_str(self.texts.tag(context.lang)) {
                headers.insert(CONTENT_LANGUAGE, language);
            }
        }
        for (name, value) in [
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (VARY, "Accept, Accept-Language, Cookie"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
            (
                HeaderName::from_static("permissions-policy"),
                "camera=(), geolocation=(), microphone=()",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let carries_token = Page::at(context.head.path).is_some_and(Page::carries_token)
            || context
                .head
                .query
                .is_some_and(|query| query.contains("invitation"));
        let referrer = if carries_token {
            "no-referrer"
        } else {
            "same-origin"
        };
        headers.insert(REFERRER_POLICY, HeaderValue::from_static(referrer));
        if outcome.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                http::header::WWW_AUTHENTICATE,
                self.challenges.header_for(context.head.headers),
            );
        }
        response
    }
}
