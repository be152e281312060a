//! `vestibule explain`: runs the stages on a hypothetical request and reports what would happen, and why.

mod reason;
mod report;
mod request;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, HOST, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, Version};
use jiff::Timestamp;

use super::Gateway;
use super::admit::{Rejection, auth_requirements};
use super::forward::{Hop, answer_of, for_application};
use super::second_resource::SecondResources;
use crate::authenticate::Credentials;
use crate::authorize::Permit;
use crate::identity::OF_THE_CONNECTION;
use crate::ids::SessionId;
use crate::model::{Principal, SignInMethod};
use crate::portal::Visitor;
use crate::refusal::{Problem, Refusal};
use crate::request::{ClientAddress, RequestHead, RequestId, X_REQUEST_ID, is_plain};
use crate::route::{Audience, Page, Route, RouteMatch, RouteTarget, StaticAnswer, Unroutable};
use crate::services::SignInError;
use request::ClientKind;

pub use report::{
    Caller, ExplainedOutcome, Explanation, ForwardedRequest, ResponseSummary, RouteView, ShadowedRouteView,
};
pub use request::{ExplainError, ExplainRequest};

/// Stands for the client's address where it is not given.
const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The value of every forged header in the probe.
const FORGED: HeaderValue = HeaderValue::from_static("sent-by-the-client");

/// Which headers below `X-Forwarded-` the probe forges; the gateway removes all of them.
const FORWARDED: [&str; 5] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
];

/// Signs in place of `-` that the probe tries; some servers fold signs to one.
const SIGNS: [&str; 4] = ["-", "_", ".", "~"];

impl Gateway {
    /// Returns the base of `public_url`: `https://host:port`.
    pub fn public_base(&self) -> &str {
        self.routes.public_base()
    }

    /// Explains what would happen to a request at this moment.
    pub async fn explain(&self, question: &ExplainRequest) -> Result<Explanation, ExplainError> {
        let client = ClientAddress {
            address: question.client.unwrap_or(SOMEWHERE),
            through_trusted_proxy: false,
            is_known: question.client.is_some(),
        };
        let id = RequestId::parse(b"explain").unwrap_or_else(|| self.ids.next());
        let (browser, program) = (
            question.headers(ClientKind::Browser),
            question.headers(ClientKind::Program),
        );
        let head = |headers| RequestHead {
            method: &question.method,
            host: &question.host,
            scheme: "https",
            authority: &question.authority,
            path: question.target.path(),
            query: question.target.query(),
            headers,
            client: &client,
            id,
        };
        let mut report = Explanation {
            method: question.method.to_string(),
            host: question.host.to_string(),
            path: question.target.path().to_owned(),
            destination: None,
            caller: None,
            route: None,
            page: None,
            passed_over: Vec::new(),
            outcome: ExplainedOutcome::Refused,
            reason: String::new(),
            to_browser: None,
            to_program: None,
            forwarded: None,
            notes: question.notes(),
        };
        let principal = self.caller(question, &mut report).await?;
        let program = head(&program);
        match self.evaluate(&program, principal.as_ref(), &mut report) {
            Ok((RouteMatch::Route(route), ..)) if route.target() == RouteTarget::Answer => {
                report.outcome = ExplainedOutcome::Page;
                report.to_program = answer_of(route, &program).map(|answer| answer.response.into());
            }
            Ok((RouteMatch::Route(route), permit, second)) => {
                report.notes.extend(
                    self.listed_below(&program, route, &permit)
                        .into_iter()
                        .map(|below| {
                            format!("the answer may list what lies below, and {below} is for others")
                        }),
                );
                match self.forwarding(&program, question, route, &permit, &second) {
                    Ok(forwarded) => {
                        report.outcome = ExplainedOutcome::Forwarded;
                        report.forwarded = Some(forwarded);
                    }
                    Err(refusal) => {
                        report.to_program =
                            Some(self.refuse(&program, &refusal, None, false).response.into());
                    }
                }
            }
            Ok((RouteMatch::Page(page), permit, _)) => {
                report.outcome = ExplainedOutcome::Page;
                report.to_program = self.response_of(page, &program, &permit).await;
                report.to_browser = self.response_of(page, &head(&browser), &permit).await;
            }
            Err(stopped) => {
                report.to_program = Some(self.reject(&program, stopped, false).response.into());
                let browser = head(&browser);
                if let Err(stopped) = self.evaluate(&browser, principal.as_ref(), &mut report) {
                    report.to_browser = Some(self.reject(&browser, stopped, false).response.into());
                }
            }
        }
        Ok(report)
    }

    /// Looks up the account and returns its principal; `None` if no account is named or it may not sign in.
    async fn caller(
        &self,
        question: &ExplainRequest,
        report: &mut Explanation,
    ) -> Result<Option<Arc<Principal>>, ExplainError> {
        let Some(name) = &question.caller else {
            return Ok(None);
        };
        let account = self.services.accounts.find(name).await?;
        let shut_out = match self.services.sign_in.admits(&account) {
            Ok(()) => None,
            Err(SignInError::MustAgree) => {
                report
                    .notes
                    .push("they must agree to the terms when they next sign in".to_owned());
                None
            }
            Err(error) => Some(error.reason().to_owned()),
        };
        if let Ok(Some(left)) = self.services.admin_queries.locked_for(&account).await {
            report.notes.push(format!(
                "the account is locked for another {} s: no sign-in with a password until then; sessions go on",
                left.as_secs().max(1)
            ));
        }
        // Session id and expiry are placeholders: there is no session.
        let session = SessionId::from_bytes([0; 16]);
        let principal = Principal::of(&account, SignInMethod::Password, Some(session), Timestamp::MAX);
        let may_sign_in = shut_out.is_none();
        report.caller = Some(Caller {
            email: account.email.to_string(),
            username: account.username.to_string(),
            groups: account.groups.into_iter().collect(),
            status: account.status,
            shut_out,
        });
        Ok(may_sign_in.then(|| Arc::new(principal)))
    }

    /// Routes, authenticates and authorizes, in the order of [`Gateway::admit`].
    fn evaluate(
        &self,
        head: &RequestHead<'_>,
        principal: Option<&Arc<Principal>>,
        report: &mut Explanation,
    ) -> Result<(RouteMatch<'_>, Permit, SecondResources), Rejection> {
        let found = self.routes.find(head);
        report.passed_over = self.passed_over(head, found.as_ref().ok());
        let to = found.map_err(|reason: Unroutable| {
            report.reason = self.why_unroutable(&reason);
            Rejection::from(reason)
        })?;
        match to {
            RouteMatch::Page(_) => report.page = Some(head.path.to_owned()),
            RouteMatch::Route(route) => report.route = Some(self.view(route)),
        }
        // Targets that do not authenticate see an anonymous request.
        let principal = principal
            .filter(|_| auth_requirements(to, false).is_some())
            .cloned();
        let credentials = principal.clone().map(|principal| Credentials {
            principal,
            proof: None,
            policies: Vec::new(),
        });
        let permit = self.permit(head, to, credentials);
        report.reason = self.why(to, permit.is_ok(), principal.as_deref(), head.client);
        let permit = permit?;
        let second = self.admit_second(head, to, &permit).inspect_err(|stopped| {
            if let Some(cause) = stopped.cause() {
                cause.clone_into(&mut report.reason);
            }
        })?;
        report.destination = second.destination().map(str::to_owned);
        Ok((to, permit, second))
    }

    fn view(&self, route: &Route) -> RouteView {
        let (upstream, servers) = match route.target() {
            RouteTarget::Demo => ("demo:".to_owned(), Vec::new()),
            RouteTarget::Answer => match route.answer() {
                Some(StaticAnswer::Redirect(url)) => {
                    (String::from_utf8_lossy(url.as_bytes()).into_owned(), Vec::new())
                }
                _ => ("a text".to_owned(), Vec::new()),
            },
            RouteTarget::Upstream(id) => self
                .upstreams
                .of(id)
                .map(|upstream| (upstream.name().to_owned(), upstream.servers()))
                .unwrap_or_default(),
        };
        RouteView::of(route, upstream, servers)
    }

    /// Returns the request as the application would receive it, for a request without a body.
    fn forwarding(
        &self,
        head: &RequestHead<'_>,
        question: &ExplainRequest,
        route: &Route,
        permit: &Permit,
        second: &SecondResources,
    ) -> Result<ForwardedRequest, Refusal> {
        let outgoing = |head: &RequestHead<'_>| {
            let hop = Hop {
                peer: head.client.address,
                port: self.public_port,
            };
            let mut headers = self.request_headers(head, Version::HTTP_11, hop, route, permit, None)?;
            self.tell_host(&mut headers, route);
            second.write(&mut headers, self.url_schemes.of(route.target()));
            Ok::<_, Refusal>(headers)
        };
        let added = outgoing(head)?;
        let mut headers: Vec<_> = added
            .iter()
            .filter(|(name, value)| {
                **name == HOST || !head.headers.get_all(*name).iter().any(|sent| sent == *value)
            })
            .map(|(name, value)| (name.to_string(), shown(name, value)))
            .collect();
        headers.sort();
        let (forged, probes) = self.forged(head.headers);
        let arrived = outgoing(&RequestHead {
            headers: &forged,
            ..*head
        })?;
        let (forgeable, removed): (Vec<_>, Vec<_>) = probes
            .into_iter()
            .partition(|name| arrived.get_all(name).iter().any(|value| *value == FORGED));
        let names = |names: Vec<HeaderName>, odd: bool| {
            let names = names.iter().filter(|name| odd || is_plain(name));
            names.map(HeaderName::to_string).collect()
        };
        let bare = self.authenticator.target(&question.target, None);
        let target = bare.unwrap_or_else(|| question.target.clone());
        Ok(ForwardedRequest {
            target: for_application(route, target)?.to_string(),
            headers,
            removed: names(removed, false),
            forgeable: names(forgeable, true),
        })
    }

    /// Returns headers in which a client forges every reserved name, in every spelling, and these names.
    fn forged(&self, honest: &HeaderMap) -> (HeaderMap, Vec<HeaderName>) {
        let own = self.identity.strip().names().iter().map(HeaderName::as_str);
        let mut names: Vec<HeaderName> = own
            .chain(OF_THE_CONNECTION)
            .chain(FORWARDED)
            .flat_map(|name| SIGNS.map(|sign| name.replace('-', sign)))
            .filter_map(|name| name.parse().ok())
            .collect();
        names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        names.dedup();
        let mut headers = honest.clone();
        for name in &names {
            headers.append(name.clone(), FORGED);
        }
        (headers, names)
    }

    /// Returns what one of the gateway's pages responds to a safe request; `None` if the page needs a session
    /// or a token.
    async fn response_of(
        &self,
        page: Page,
        head: &RequestHead<'_>,
        permit: &Permit,
    ) -> Option<ResponseSummary> {
        let looks = head.method.is_safe() && page.audience() == Audience::Everybody && !page.carries_token();
        if !looks {
            return None;
        }
        let visitor = Visitor {
            principal: permit.principal().map(Arc::as_ref),
            session: None,
        };
        Some(
            self.portal
                .respond(page, head, visitor, Bytes::new())
                .await
                .into(),
        )
    }
}

/// Masks secrets, and describes values that only a real request has.
fn shown(name: &HeaderName, value: &HeaderValue) -> String {
    if value.is_sensitive() {
        return "(not shown: it may be a secret)".to_owned();
    }
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    if *name == X_REQUEST_ID {
        return "(the request's id)".to_owned();
    }
    if text == SOMEWHERE.to_string() {
        return "(the client's address)".to_owned();
    }
    text.replace(&SessionId::from_bytes([0; 16]).to_string(), "(the session's id)")
}

impl<B> From<Response<B>> for ResponseSummary {
    fn from(response: Response<B>) -> Self {
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            status: response.status().as_u16(),
            slug: response
                .extensions()
                .get::<Problem>()
                .map(|problem| problem.slug().to_owned()),
            location: text(LOCATION),
            allow: text(ALLOW),
        }
    }
}
