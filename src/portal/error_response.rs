//! Turns refusals into responses: a redirect to the login page, an error page, or a problem document.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Method, Response};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::form_errors::{ErrorSummary, Errors, FormRefusal};
use super::grpc;
use super::login;
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat, navigates};
use super::return_to::place_of;
use crate::model::Principal;
use crate::refusal::{Hint, Problem, RateLimit, RateSubject, Refusal};
use crate::request::RequestHead;
use crate::route::{BadPath, Page};
use crate::text::fill;

/// The characters that are not encoded in a parameter (RFC 3986, section 2.3).
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
    #[serde(skip_serializing_if = "Errors::is_empty")]
    errors: Errors,
}

#[derive(Serialize)]
struct RefusalView<'a> {
    status: u16,
    slug: &'static str,
    title: &'a str,
    detail: String,
    request_id: String,
    sign_in: bool,
    /// Who is signed in and may not see this, where they may sign in as somebody else.
    signed_in: Option<&'a str>,
    /// Where to go on as somebody else.
    rd: Option<String>,
}

impl PageRenderer {
    /// Any refusal of any stage.
    pub(super) fn refuse(
        &self,
        head: &RequestHead<'_>,
        refusal: &Refusal,
        signed_in: Option<&Principal>,
    ) -> Response<Bytes> {
        let mut response = self.refusal(head, refusal, signed_in);
        if let Some(Hint::RequestRate(limit)) = &refusal.hint {
            set_rate_limit(response.headers_mut(), limit);
        }
        response
    }

    fn refusal(
        &self,
        head: &RequestHead<'_>,
        refusal: &Refusal,
        signed_in: Option<&Principal>,
    ) -> Response<Bytes> {
        let mut request = self.request(head);
        if grpc::is_call(head) {
            return request.refuse_call(refusal);
        }
        request.wants = if navigates(head) {
            ResponseFormat::Html
        } else {
            ResponseFormat::Json
        };
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        if refusal.problem == Problem::NotAuthenticated && reads && !request.wants_json() {
            return match self.login_for(head) {
                Some(login) => request.see_other(&login),
                None => login::in_place(&request, refusal),
            };
        }
        request.refuse_as(refusal, signed_in)
    }

    /// The URL of the login page that leads back to the request; `None` if it would exceed the limit of
    /// request heads.
    fn login_for(&self, head: &RequestHead<'_>) -> Option<String> {
        let base = if self.central_login {
            self.public_url.as_str()
        } else {
            ""
        };
        let path = with_return(
            &format!("{base}{}", Page::Login.path()),
            &place_of(head, self.central_login),
        );
        (path.len() + size_of_headers(head) <= self.request_head).then_some(path)
    }
}

impl<'a> RequestContext<'a> {
    /// Refuses a request for a page, in the format that it asked for.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Response<Bytes> {
        self.refuse_as(refusal, None)
    }

    /// The same, of a request by this principal.
    pub(super) fn refuse_as(&self, refusal: &Refusal, principal: Option<&Principal>) -> Response<Bytes> {
        if self.wants_json() {
            return self.refuse_fields(refusal, Errors::new());
        }
        let problem = refusal.problem;
        // Only a session can be ended here.
        let signed_in = principal.filter(|who| problem == Problem::Forbidden && who.session.is_some());
        let reads = self.head.method == Method::GET;
        let place = || place_of(self.head, self.renderer.central_login);
        let view = RefusalView {
            status: problem.status().as_u16(),
            slug: problem.slug(),
            title: self.title(problem),
            detail: self.detail(refusal),
            request_id: self.head.id.to_string(),
            sign_in: problem == Problem::NotAuthenticated,
            signed_in: signed_in.map(|who| who.email.as_str()),
            rd: signed_in.filter(|_| reads).map(|_| place()),
        };
        let mut response = self.page(problem, "refusal.html", &view);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    /// A problem document with errors of fields.
    pub(super) fn refuse_fields(&self, refusal: &Refusal, errors: Errors) -> Response<Bytes> {
        let document = self.problem_document(refusal, errors);
        let mut response = self.problem(refusal.problem, &document);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    pub(super) fn problem_document(&self, refusal: &Refusal, errors: Errors) -> ProblemDocument<'a> {
        let problem = refusal.problem;
        ProblemDocument {
            r#type: format!(
                "{}{}{}",
                self.renderer.public_url,
                Page::Problem.path(),
                problem.slug()
            ),
            title: self.title(problem),
            status: problem.status().as_u16(),
            detail: self.detail(refusal),
            request_id: self.head.id.to_string(),
            errors,
        }
    }

    /// The summary above a refused form: its invalid fields, or else the refusal.
    pub(super) fn form_alert(
        &self,
        refusal: &Refusal,
        errors: &Errors,
        order: &[&'static str],
    ) -> ErrorSummary {
        if order.iter().any(|field| errors.contains_key(field)) {
            return ErrorSummary::listing(self.text("page.required"), errors, order);
        }
        // The error of an unknown action belongs to no field.
        let whole = errors.values().map(String::as_str).collect::<Vec<_>>().join(" ");
        let text = if whole.is_empty() {
            self.detail(refusal)
        } else {
            whole
        };
        ErrorSummary::about(self.title(refusal.problem), text)
    }

    /// Refuses a form: `page` with the errors, or a problem document for a program.
    pub(super) fn refuse_form(
        &self,
        refused: FormRefusal,
        order: &[&'static str],
        page: impl FnOnce(Problem, Errors, ErrorSummary) -> Response<Bytes>,
    ) -> Response<Bytes> {
        let FormRefusal { refusal, errors } = refused;
        if self.wants_json() {
            return self.refuse_fields(&refusal, errors);
        }
        let alert = self.form_alert(&refusal, &errors, order);
        let mut response = page(refusal.problem, errors, alert);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    pub(super) fn title(&self, problem: Problem) -> &'a str {
        self.explanation(problem, "title")
    }

    /// One of the texts that every problem has.
    pub(super) fn explanation(&self, problem: Problem, part: &str) -> &'a str {
        let key = format!("problem.{}.{part}", problem.slug());
        self.renderer.texts.find(self.lang, &key).unwrap_or_default()
    }

    /// What happened, and when to retry.
    pub(super) fn detail(&self, refusal: &Refusal) -> String {
        let mut detail = match &refusal.hint {
            Some(hint) => self.hint(hint),
            None => self.explanation(refusal.problem, "detail").to_owned(),
        };
        if let Some(wait) = refusal.retry_after {
            detail.push(' ');
            if wait <= SOON {
                detail.push_str(self.text("retry.soon"));
            } else {
                let minutes = whole_seconds(wait).div_ceil(60);
                detail.push_str(&self.renderer.texts.count(self.lang, "retry.minutes", minutes));
            }
        }
        detail
    }

    /// A hint in the client's language.
    fn hint(&self, hint: &Hint) -> String {
        let (key, value) = hint_text(hint);
        let value = value.as_ref().map(|(name, value)| (*name, value.as_str()));
        fill(self.text(key), value.as_slice())
    }
}

/// Estimates the size of the request's headers in a head, with some room for more. In HTTP/2 a field counts
/// 32 bytes more than its length (RFC 9113, section 6.5.2).
fn size_of_headers(head: &RequestHead<'_>) -> usize {
    let fields = head.headers.iter();
    let size = fields.map(|(name, value)| name.as_str().len() + value.len() + 32);
    size.sum::<usize>() + 1024
}

/// The URL of a page that leads on to `place`. A long place is encoded as little as possible.
pub(super) fn with_return(page: &str, place: &str) -> String {
    let kept = if place.len() <= ORDINARY {
        UNRESERVED
    } else {
        VALUE
    };
    format!("{page}?rd={}", utf8_percent_encode(place, kept))
}

/// The longest place that is encoded fully.
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

/// Waits up to this are not given in minutes.
const SOON: Duration = Duration::from_secs(20);

/// Seconds, rounded up, so that a retry does not come too early.
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

/// Says which limit is used up, and when it is not (draft-ietf-httpapi-ratelimit-headers, sections 3 and 4).
fn set_rate_limit(headers: &mut HeaderMap, limit: &RateLimit) {
    let (name, rate) = (limit.subject.name(), limit.rate);
    let policy = format!("\"{name}\";q={};w={}", rate.count, rate.period.as_secs());
    let left = format!("\"{name}\";r=0;t={}", whole_seconds(limit.wait).max(1));
    for (field, value) in [("ratelimit-policy", policy), ("ratelimit", left)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(field, value);
        }
    }
}

/// The key of a hint's text, and its placeholder with the value.
fn hint_text(hint: &Hint) -> (&'static str, Option<(&'static str, String)>) {
    let seconds = |seconds: &u64| Some(("seconds", seconds.to_string()));
    let named = |header: &str| Some(("header", header.to_owned()));
    match hint {
        Hint::SecretKey => ("hint.secret-key", None),
        Hint::ClockBehind(by) => ("hint.clock-behind", seconds(by)),
        Hint::ClockAhead(by) => ("hint.clock-ahead", seconds(by)),
        Hint::Expired(ago) => ("hint.expired", seconds(ago)),
        Hint::NotSigned(part) => ("hint.not-signed", Some(("part", part.to_string()))),
        Hint::Missing(part) => ("hint.missing", Some(("part", part.to_string()))),
        Hint::Unreadable(reason) => ("hint.unreadable", Some(("reason", (*reason).to_owned()))),
        Hint::Path(reason) => (path_hint_text(reason), None),
        Hint::Insecure => ("hint.insecure", None),
        Hint::ReferenceUnreadable(header) => ("hint.reference-unreadable", named(header)),
        Hint::ReferenceElsewhere(header) => ("hint.reference-elsewhere", named(header)),
        Hint::ReferenceForbidden(header) => ("hint.reference-forbidden", named(header)),
        Hint::BelowForbidden => ("hint.below-forbidden", None),
        Hint::SignatureVersion2 => ("hint.signature-too-old", None),
        Hint::Presigned => ("hint.presigned", None),
        Hint::BodyNotSigned => ("hint.body-not-signed", None),
        Hint::BodyDiffers => ("hint.body-differs", None),
        Hint::ChallengeStale => ("hint.challenge-stale", None),
        Hint::EmailTaken => ("hint.email-taken", None),
        Hint::PasswordFirst => ("hint.password-first", None),
        Hint::ChangedOften => ("hint.changed-often", None),
        Hint::KeyLimited => ("hint.key-limited", None),
        Hint::Maintenance => ("hint.maintenance", None),
        Hint::RequestRate(limit) => match limit.subject {
            RateSubject::Address => ("hint.address-rate", None),
            RateSubject::User => ("hint.user-rate", None),
        },
    }
}

/// The key of the text for a refused path.
fn path_hint_text(reason: &BadPath) -> &'static str {
    match reason {
        BadPath::NotAPath => "hint.path-none",
        BadPath::DotSegment => "hint.path-dots",
        BadPath::Backslash => "hint.path-backslash",
        BadPath::Nul => "hint.path-nul",
        BadPath::Control => "hint.path-control",
        BadPath::Escape => "hint.path-escape",
        BadPath::Fragment => "hint.path-fragment",
        BadPath::EncodedSlash => "hint.path-encoded-slash",
        BadPath::Overlong => "hint.path-overlong",
        BadPath::VirtualHost => "hint.path-virtual-host",
        BadPath::HostAfterPrefix => "hint.path-host-after-prefix",
        BadPath::TooDeep => "hint.path-too-deep",
        BadPath::TooAmbiguous => "hint.path-too-ambiguous",
        BadPath::Ambiguous(_) => "hint.path-ambiguous",
    }
}
