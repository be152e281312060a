//! Answers: a page, a JSON document, a redirect, each with the headers that every one of them needs (S25, S32).

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION,
    REFERRER_POLICY, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use minijinja::value::{Kwargs, Serde, Value, ValueKind};
use minijinja::{HtmlEscape, context};
use serde::Serialize;

use super::site::Site;
use super::visit::Visit;
use crate::refusal::Problem;
use crate::route::Page;
use crate::text::{Lang, fill};

/// How a request ends: with a status, or refused, which has one too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    problem: Option<Problem>,
}

impl From<StatusCode> for Outcome {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            problem: None,
        }
    }
}

impl From<Problem> for Outcome {
    fn from(problem: Problem) -> Self {
        Self {
            status: problem.status(),
            problem: Some(problem),
        }
    }
}

impl Site {
    /// A page from a template. `view` is what the template knows as `view`.
    pub(super) fn page(
        &self,
        visit: &Visit<'_>,
        outcome: impl Into<Outcome>,
        template: &str,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        self.framed_page(visit, outcome, template, Value::UNDEFINED, view)
    }

    /// The same with `nav`, the links of the pages for those who are signed in.
    pub(super) fn framed_page(
        &self,
        visit: &Visit<'_>,
        outcome: impl Into<Outcome>,
        template: &str,
        nav: Value,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        let outcome = outcome.into();
        let say = |key| self.texts.get(visit.lang, key);
        let rendered = self.templates.get_template(template).and_then(|template| {
            template.render(context! {
                t => self.translator(visit.lang),
                when => self.dater(visit.lang),
                page => self.frame(visit, outcome.status),
                words => context! {
                    show => say("password.show"),
                    hide => say("password.hide"),
                    show_label => say("password.show-label"),
                    hide_label => say("password.hide-label"),
                },
                nav => nav,
                view => Value::from(Serde(view)),
            })
        });
        let (outcome, kind, body) = match rendered {
            Ok(html) => (outcome, "text/html; charset=utf-8", html),
            Err(error) => {
                tracing::error!(template, %error, "a page cannot be rendered");
                let text = say("problem.unavailable.detail").to_owned();
                (Problem::Unavailable.into(), "text/plain; charset=utf-8", text)
            }
        };
        let mut response = self.answer(visit, outcome, kind, body);
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, self.content_security_policy.clone());
        if visit.chosen {
            self.remember_language(&mut response, visit.lang);
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
        visit: &Visit<'_>,
        status: StatusCode,
        document: &impl Serialize,
    ) -> Response<Bytes> {
        self.document(visit, status.into(), "application/json", document)
    }

    /// JSON documents, one a line.
    pub(super) fn lines(&self, visit: &Visit<'_>, lines: String) -> Response<Bytes> {
        self.answer(visit, StatusCode::OK.into(), "application/jsonl", lines)
    }

    /// A problem document (RFC 9457).
    pub(super) fn problem(
        &self,
        visit: &Visit<'_>,
        problem: Problem,
        document: &impl Serialize,
    ) -> Response<Bytes> {
        self.document(visit, problem.into(), "application/problem+json", document)
    }

    /// 303 (RFC 9110, section 15.4.4).
    pub(super) fn see_other(&self, visit: &Visit<'_>, to: &str) -> Response<Bytes> {
        let mut response = self.answer(visit, StatusCode::SEE_OTHER.into(), "", String::new());
        let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
        response.headers_mut().insert(LOCATION, to);
        response
    }

    /// 204.
    pub(super) fn nothing(&self, visit: &Visit<'_>) -> Response<Bytes> {
        self.answer(visit, StatusCode::NO_CONTENT.into(), "", String::new())
    }

    fn document(
        &self,
        visit: &Visit<'_>,
        outcome: Outcome,
        kind: &'static str,
        document: &impl Serialize,
    ) -> Response<Bytes> {
        match serde_json::to_string(document) {
            Ok(body) => self.answer(visit, outcome, kind, body),
            Err(error) => {
                tracing::error!(%error, "a document cannot be written");
                self.answer(visit, Problem::Unavailable.into(), "", String::new())
            }
        }
    }

    fn answer(
        &self,
        visit: &Visit<'_>,
        outcome: Outcome,
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
            if let Ok(language) = HeaderValue::from_str(self.texts.tag(visit.lang)) {
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
        let carries_token = Page::at(visit.head.path).is_some_and(Page::carries_token)
            || visit.head.query.is_some_and(|query| query.contains("invitation"));
        let referrer = if carries_token {
            "no-referrer"
        } else {
            "same-origin"
        };
        headers.insert(REFERRER_POLICY, HeaderValue::from_static(referrer));
        if outcome.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                http::header::WWW_AUTHENTICATE,
                self.challenges.answer(visit.head.headers),
            );
        }
        response
    }

    /// What the layout needs.
    fn frame(&self, visit: &Visit<'_>, status: StatusCode) -> Value {
        let languages: Vec<_> = self
            .texts
            .languages()
            .map(|lang| {
                let tag = self.texts.tag(lang);
                context! {
                    tag => tag,
                    name => self.texts.get(lang, "language.name"),
                    href => with_language(visit.head.query, tag),
                    current => lang == visit.lang,
                }
            })
            .collect();
        context! {
            lang => self.texts.tag(visit.lang),
            failed => status.is_client_error() || status.is_server_error(),
            brand => self.brand.name.as_str(),
            contact => self.brand.contact.as_str(),
            contact_href => self.brand.contact_href.as_deref(),
            links => Value::from(Serde(&self.brand.links)),
            logo => self.assets.logo.as_deref(),
            icon => self.assets.icon.as_str(),
            style => self.assets.style.as_str(),
            script => self.assets.script.as_str(),
            languages => languages,
        }
    }

    /// `t("key", name=value)` of the templates. Values are escaped unless the template made them itself.
    fn translator(&self, lang: Lang) -> Value {
        let texts = self.texts.clone();
        Value::from_function(
            move |key: &str, values: Kwargs| -> Result<Value, minijinja::Error> {
                let mut escaped = Vec::new();
                for name in values.args() {
                    let value: Value = values.get(name)?;
                    let text = value.to_string();
                    let safe = value.is_safe() || value.kind() == ValueKind::Number;
                    escaped.push((name, if safe { text } else { HtmlEscape(&text).to_string() }));
                }
                let pairs: Vec<_> = escaped
                    .iter()
                    .map(|(name, text)| (*name, text.as_str()))
                    .collect();
                let sentence = HtmlEscape(texts.get(lang, key)).to_string();
                Ok(Value::from_safe_string(fill(&sentence, &pairs)))
            },
        )
    }
}

/// A link to the same page in another language; the other parameters stay.
fn with_language(query: Option<&str>, tag: &str) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name != "lang" {
            pairs.append_pair(&name, &value);
        }
    }
    pairs.append_pair("lang", tag);
    format!("?{}", pairs.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_switch_keeps_the_other_parameters() {
        assert_eq!(with_language(None, "ko"), "?lang=ko");
        assert_eq!(
            with_language(Some("rd=%2Fa%3Fb&lang=en"), "ko"),
            "?rd=%2Fa%3Fb&lang=ko"
        );
    }
}
