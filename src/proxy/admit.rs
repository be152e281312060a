//! Whether a request passes, and to what: route, authenticate, authorize.

use std::sync::Arc;

use http::{HeaderValue, Method};
use http_body::Body as _;

use super::Gateway;
use super::body_buffer::BufferedBody;
use super::second_resource::SecondResources;
use crate::authenticate::{
    AuthRequirements, Authenticated, AuthnOutcome, Credentials, SessionTouch, SignedRequest,
};
use crate::authorize::{self, AccessDenied, Permit};
use crate::config::Allow;
use crate::model::Principal;
use crate::refusal::{Hint, Problem, Refusal};
use crate::request::{Host, RequestHead};
use crate::route::{AccountPage, AdminPage, Audience, BackendAiPage, Page, RouteMatch, SERVED, Unroutable};
use crate::upstream::Upload;

/// A request that passes.
pub(super) struct Admitted<'r> {
    pub(super) to: RouteMatch<'r>,
    pub(super) permit: Permit,
    /// What it names beside its target, judged too.
    pub(super) second: SecondResources,
    /// What is known of the signature, if the request has one.
    pub(super) signed: Option<Box<SignedRequest>>,
    /// The body, if that had to be read.
    pub(super) read: Option<BufferedBody<'r>>,
    /// The answer removes the session's cookie.
    pub(super) clears_cookie: bool,
}

/// A request that does not.
pub(super) struct Rejection {
    pub(super) answer: RejectionKind,
    pub(super) clears_cookie: bool,
    /// Its route, if it has one: for the record, as is who asked.
    pub(super) route: Option<Arc<str>>,
    pub(super) user: Option<Arc<Principal>>,
}

/// What is answered instead.
pub(super) enum RejectionKind {
    /// A refusal, and the value of `Allow` where methods are the reason.
    Refused(Box<Refusal>, Option<HeaderValue>),
    /// The methods of a page, or of the gateway.
    Options(HeaderValue),
    /// Another URL.
    Redirect(String),
}

impl Gateway {
    /// Each stage once, in this order, no way back.
    pub(super) async fn admit<'r>(
        &'r self,
        head: &RequestHead<'_>,
        body: &mut Upload,
        sni: Option<&Host>,
    ) -> Result<Admitted<'r>, Rejection> {
        require_directed(head, sni)?;
        let to = self.routes.find(head)?;
        let identified = self.identify(head, body, to).await;
        let (identified, read) = identified.map_err(|refusal| Rejection::from(refusal).at(to))?;
        let admitted = self
            .permit(head, to, identified.credentials)
            .and_then(|permit| Ok((self.admit_second(head, to, &permit)?, permit)));
        match admitted {
            Ok((second, permit)) => Ok(Admitted {
                to,
                permit,
                second,
                signed: identified.signed,
                read,
                clears_cookie: identified.clears_cookie,
            }),
            Err(stopped) => {
                self.note_denied(head, to, stopped.user.as_deref());
                Err(Rejection {
                    clears_cookie: identified.clears_cookie,
                    ..stopped
                })
            }
        }
    }

    /// Records that somebody who is signed in may not see a page of the administrators.
    fn note_denied(&self, head: &RequestHead<'_>, to: RouteMatch<'_>, who: Option<&Principal>) {
        if let (RouteMatch::Page(page), Some(who)) = (to, who)
            && page.audience() == Audience::Administrators
        {
            self.portal.note_denied(head, who, Problem::Forbidden);
        }
    }

    /// What policy says, once it is known what a request is for and who makes it.
    pub(super) fn permit(
        &self,
        head: &RequestHead<'_>,
        to: RouteMatch<'_>,
        credentials: Option<Credentials>,
    ) -> Result<Permit, Rejection> {
        let permit = match to {
            RouteMatch::Page(page) => authorize::permit_page(page, &self.administrators, credentials),
            RouteMatch::Route(route) => authorize::permit(route, head.method, credentials),
        };
        permit.map_err(|AccessDenied { refusal, principal }| Rejection {
            user: principal,
            ..Rejection::from(refusal).at(to)
        })
    }

    /// What policy says of the resources that a request names beside its target, once it admits the request.
    pub(super) fn admit_second(
        &self,
        head: &RequestHead<'_>,
        to: RouteMatch<'_>,
        permit: &Permit,
    ) -> Result<SecondResources, Rejection> {
        let second = self.second_resources(head, to, permit);
        second.map_err(|refusal| Rejection {
            user: permit.principal().cloned(),
            ..Rejection::from(refusal).at(to)
        })
    }

    async fn identify(
        &self,
        head: &RequestHead<'_>,
        body: &mut Upload,
        to: RouteMatch<'_>,
    ) -> Result<(Authenticated, Option<BufferedBody<'_>>), Refusal> {
        let Some(terms) = auth_requirements(to, !body.is_end_stream()) else {
            return Ok((Authenticated::default(), None));
        };
        let terms = AuthRequirements {
            by_memory: shuts_out(head.method, to),
            ..terms
        };
        match self.authenticator.identify(head, terms).await? {
            AuthnOutcome::Known(identified) => Ok((identified, None)),
            AuthnOutcome::NeedsBody(pending) => {
                let read = self.signed_bodies.read(body, head.client.address).await?;
                let identified = self.authenticator.decide(pending, &read.bytes)?;
                Ok((identified, Some(read)))
            }
        }
    }
}

/// What identifies somebody here; `None` where nobody is asked who they are.
pub(super) fn auth_requirements(to: RouteMatch<'_>, has_body: bool) -> Option<AuthRequirements> {
    let terms = AuthRequirements {
        usage: SessionTouch::Refresh,
        takes_keys: true,
        presigned: true,
        unsigned_payload: false,
        has_body,
        by_memory: false,
    };
    match to {
        RouteMatch::Route(route) if *route.allow() == Allow::Public => None,
        RouteMatch::Route(route) => Some(AuthRequirements {
            presigned: route.presigned(),
            unsigned_payload: route.unsigned_payload(),
            ..terms
        }),
        RouteMatch::Page(Page::Me) => Some(AuthRequirements {
            usage: SessionTouch::ReadOnly,
            ..terms
        }),
        // An account is changed by whoever signed in to it, never with a key alone.
        RouteMatch::Page(page) if page.audience() == Audience::Everybody => Some(AuthRequirements {
            usage: SessionTouch::ReadOnly,
            takes_keys: false,
            ..terms
        }),
        RouteMatch::Page(_) => Some(AuthRequirements {
            takes_keys: false,
            ..terms
        }),
    }
}

/// Whether it may shut somebody out, which holds though the store does not answer. All else that such a form may ask for
/// the store refuses by itself.
fn shuts_out(method: &Method, to: RouteMatch<'_>) -> bool {
    let RouteMatch::Page(page) = to else {
        return false;
    };
    let has_such_a_form = matches!(
        page,
        Page::Logout
            | Page::SessionForm(BackendAiPage::Logout)
            | Page::Account(AccountPage::Sessions | AccountPage::Keys)
            | Page::Admin(AdminPage::Account)
    );
    *method == Method::POST && has_such_a_form
}

/// A connection that was opened for another host has been checked against another certificate (RFC 9110, 15.5.20).
fn require_directed(head: &RequestHead<'_>, sni: Option<&Host>) -> Result<(), Refusal> {
    match sni {
        Some(sni) if sni != head.host => Err(Refusal::new(Problem::Misdirected)),
        _ => Ok(()),
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        RejectionKind::Refused(refusal.into(), None).into()
    }
}

impl Rejection {
    /// What the operator reads of a refusal.
    pub(super) fn cause(&self) -> Option<&str> {
        match &self.answer {
            RejectionKind::Refused(refusal, _) => refusal.cause.as_deref(),
            RejectionKind::Options(_) | RejectionKind::Redirect(_) => None,
        }
    }

    fn at(self, to: RouteMatch<'_>) -> Self {
        let route = match to {
            RouteMatch::Route(route) => Some(route.label().clone()),
            RouteMatch::Page(_) => None,
        };
        Self { route, ..self }
    }
}

impl From<RejectionKind> for Rejection {
    fn from(answer: RejectionKind) -> Self {
        Self {
            answer,
            clears_cookie: false,
            route: None,
            user: None,
        }
    }
}

impl From<Unroutable> for Rejection {
    fn from(reason: Unroutable) -> Self {
        let refused = |problem, allow| RejectionKind::Refused(Refusal::new(problem).into(), allow);
        match reason {
            Unroutable::BadPath(path) => {
                let refusal = Refusal::because(Problem::BadRequest, path.to_string());
                return refusal.hinting(Hint::Path(path)).into();
            }
            Unroutable::NeverServed => refused(Problem::MethodNotAllowed, Some(SERVED)),
            Unroutable::UnknownHost | Unroutable::NotFound => refused(Problem::NotFound, None),
            Unroutable::MethodNotAllowed(allow) => refused(Problem::MethodNotAllowed, Some(allow)),
            Unroutable::Options(allow) => RejectionKind::Options(allow),
            Unroutable::Redirect(url) => RejectionKind::Redirect(url),
        }
        .into()
    }
}
