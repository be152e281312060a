//! Refusals as HTTP: a redirect to the login page or a page for a browser, a problem document for a program.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, Response};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::form_errors::{ErrorSummary, Errors};
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat, navigates};
use super::return_to::place_of;
use crate::refusal::{Problem, Refusal};
use crate::request::RequestHead;

/// What stays as it is in a parameter (RFC 3986, section 2.3).
pub(super) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A problem document (RFC 9457).
#[derive(Debug, Serialize)]
pub(super) struct ProblemDocument<'a> {
    pub(super) r#type: String,
    pub(super) title: &'a str,
    status: u16,
    detail: String,
    request_id: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct RefusalView<'a> {
    status: u16,
    slug: &'static str,
    title: &'a str,
    detail: String,
    request_id: String,
    sign_in: bool,
}

impl PageRenderer {
    /// Any refusal of any stage.
    pub(super) fn refuse(&self, head: &RequestHead<'_>, refusal: &Refusal) -> Response<Bytes> {
        let mut visit = self.visit(head);
        visit.wants = if navigates(head) {
            ResponseFormat::Html
        } else {
            ResponseFormat::Json
        };
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        if refusal.problem == Problem::NotAuthenticated && reads && visit.wants == ResponseFormat::Html {
            return match self.login_for(head) {
                Some(login) => self.see_other(&visit, &login),
                None => self.login_in_place(&visit, refusal),
            };
        }
        self.refuse_visit(&visit, refusal)
    }

    /// The same for one of the own pages, which answers in the form that it was asked for.
    pub(super) fn refuse_visit(&self, context: &RequestContext<'_>, refusal: &Refusal) -> Response<Bytes> {
        let mut response = match context.wants {
            ResponseFormat::Json => return self.refuse_fields(context, refusal, BTreeMap::new()),
            ResponseFormat::Html => {
                let problem = refusal.problem;
                let view = RefusalView {
                    status: problem.status().as_u16(),
                    slug: problem.slug(),
                    title: self.title(context, problem),
                    detail: self.detail(context, refusal),
                    request_id: context.head.id.to_string(),
                    sign_in: problem == Problem::NotAuthenticated,
                };
                self.page(context, problem, "refusal.html", &view)
            }
        };
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    /// A problem document that names fields.
    pub(super) fn refuse_fields(
        &self,
        context: &RequestContext<'_>,
        refusal: &Refusal,
        errors: BTreeMap<&'static str, String>,
    ) -> Response<Bytes> {
        let document = self.problem_document(context, refusal, errors);
        let mut response = self.problem(context, refusal.problem, &document);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    pub(super) fn problem_document(
        &self,
        context: &RequestContext<'_>,
        refusal: &Refusal,
        errors: Errors,
    ) -> ProblemDocument<'_> {
        let problem = refusal.problem;
        ProblemDocument {
            r#type: format!("{}/.auth/problems/{}", self.public_url, problem.slug()),
            title: self.title(context, problem),
            status: problem.status().as_u16(),
            detail: self.detail(context, refusal),
            request_id: context.head.id.to_string(),
            errors,
        }
    }

    /// What stands above a form that is refused: the fields that are wrong, or else what is wrong with the whole.
    pub(super) fn form_alert(
        &self,
        context: &RequestContext<'_>,
        refusal: &Refusal,
        errors: &Errors,
        order: &[&'static str],
    ) -> ErrorSummary {
        if order.iter().any(|field| errors.contains_key(field)) {
            return ErrorSummary::listing(self.texts.get(context.lang, "page.required"), errors, order);
        }
        // An action that nobody does is in no field of the form.
        let whole = errors.values().map(String::as_str).collect::<Vec<_>>().join(" ");
        let text = if whole.is_empty() {
            self.detail(context, refusal)
        } else {
            whole
        };
        ErrorSummary::about(self.title(context, refusal.problem), text)
    }

    /// A form that is refused: `page` with what is wrong, or the problem alone where a program asked.
    pub(super) fn refuse_form(
        &self,
        context: &RequestContext<'_>,
        refusal: &Refusal,
        errors: Errors,
        order: &[&'static str],
        page: impl FnOnce(Errors, ErrorSummary) -> Response<Bytes>,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            return self.refuse_fields(context, refusal, errors);
        }
        let alert = self.form_alert(context, refusal, &errors, order);
        let mut response = page(errors, alert);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    pub(super) fn title(&self, context: &RequestContext<'_>, problem: Problem) -> &str {
        self.explanation(context, problem, "title")
    }

    /// One of the three texts that every kind of problem has.
    pub(super) fn explanation(&self, context: &RequestContext<'_>, problem: Problem, part: &str) -> &str {
        let key = format!("problem.{}.{part}", problem.slug());
        self.texts.find(context.lang, &key).unwrap_or_default()
    }

    /// What happened, and when to try again.
    pub(super) fn detail(&self, context: &RequestContext<'_>, refusal: &Refusal) -> String {
        let mut detail = match &refusal.hint {
            Some(hint) => self.hint(context, hint),
            None => self.explanation(context, refusal.problem, "detail").to_owned(),
        };
        if let Some(wait) = refusal.retry_after {
            detail.push(' ');
            if wait <= SOON {
                detail.push_str(self.texts.get(context.lang, "retry.soon"));
            } else {
                let minutes = whole_seconds(wait).div_ceil(60);
                detail.push_str(&self.texts.count(context.lang, "retry.minutes", minutes));
            }
        }
        detail
    }

    /// The login page that leads back to the request; `None` where a request for it would have no room for that.
    fn login_for(&self, head: &RequestHead<'_>) -> Option<String> {
        let base = if self.central_login {
            self.public_url.as_str()
        } else {
            ""
        };
        let path = with_return(
            &format!("{base}/.auth/login"),
            &place_of(head, self.central_login),
        );
        (path.len() + size_of_headers(head) <= self.request_head).then_some(path)
    }
}

/// The room that a request's headers take in its head, and what a browser might put beside them: in HTTP/2 each field
/// counts 32 bytes more than it has (RFC 9113, section 6.5.2).
fn size_of_headers(head: &RequestHead<'_>) -> usize {
    let fields = head.headers.iter();
    let size = fields.map(|(name, value)| name.as_str().len() + value.len() + 32);
    size.sum::<usize>() + 1024
}

/// A page that leads on to a place. A long place is not made longer than it must be.
pub(super) fn with_return(page: &str, place: &str) -> String {
    let kept = if place.len() <= ORDINARY {
        UNRESERVED
    } else {
        VALUE
    };
    format!("{page}?rd={}", utf8_percent_encode(place, kept))
}

/// The longest place that is encoded whole.
const ORDINARY: usize = 2048;

/// What must be encoded in a parameter (WHATWG URL, section 1.3 and `application/x-www-form-urlencoded`).
const VALUE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'\\');

/// Below this nobody counts minutes.
const SOON: Duration = Duration::from_secs(20);

/// Seconds rounded up: whoever waits so long does not come too early.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

pub(super) fn set_retry_after(response: &mut Response<Bytes>, wait: Option<Duration>) {
    if let Some(wait) = wait {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait).max(1)));
    }
}
