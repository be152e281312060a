//! Admits or rejects a request: route, authenticate, authorize, and the policy of second resources.

use std::sync::Arc;

use http::{HeaderValue, Method};
use http_body::Body as _;

use super::Gateway;
use super::body_buffer::BufferedBody;
use super::forward::require_length;
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

/// A request that policy admits.
pub(super) struct Admitted<'r> {
    pub(super) to: RouteMatch<'r>,
    pub(super) permit: Permit,
    /// The resources that its headers name beside the target; policy admits these too.
    pub(super) second: SecondResources,
    /// The verified signature, if the request has one.
    pub(super) signed: Option<Box<SignedRequest>>,
    /// The body, if verifying the signature needed all of it.
    pub(super) read: Option<BufferedBody<'r>>,
    /// Whether the response deletes the session cookie.
    pub(super) clears_cookie: bool,
}

/// A request that is not forwarded and reaches no page.
pub(super) struct Rejection {
    pub(super) answer: RejectionKind,
    pub(super) clears_cookie: bool,
    /// Route and user, if known, for the access log and the history.
    pub(super) route: Option<Arc<str>>,
    pub(super) user: Option<Arc<Principal>>,
}

/// The response of a rejected request.
pub(super) enum RejectionKind {
    /// A refusal, with the value of `Allow` if the method is the reason.
    Refused(Box<Refusal>, Option<HeaderValue>),
    /// 204 with the methods of a page or of the gateway (`Allow`).
    Options(HeaderValue),
    /// A redirect to this URL.
    Redirect(String),
}

impl Gateway {
    /// Runs each stage once, in this order: route, authenticate, authorize, second resources.
    pub(super) async fn admit<'r>(
        &'r self,
        head: &RequestHead<'_>,
        body: &mut Upload,
        sni: Option<&Host>,
    ) -> Result<Admitted<'r>, Rejection> {
        require_directed(head, sni)?;
        let to = self.routes.find(head)?;
        if let RouteMatch::Route(route) = to {
            let admitted = self.request_rates.admit_address(route, head.client);
            admitted.map_err(|refusal| Rejection::from(refusal).at(to))?;
        }
        let identified = self.identify(head, body, to).await;
        let (identified, read) = identified.map_err(|refusal| Rejection::from(refusal).at(to))?;
        let admitted = self
            .permit(head, to, identified.credentials)
            .and_then(|permit| Ok((self.admit_second(head, to, &permit)?, permit)))
            .and_then(|(second, permit)| {
                self.admit_user(to, &permit)?;
                Ok((second, permit))
            });
        match admitted {
            Ok((mut second, mut permit)) => {
                permit.depend_on(second.take_policies());
                Ok(Admitted {
                    to,
                    permit,
                    second,
                    signed: identified.signed,
                    read,
                    clears_cookie: identified.clears_cookie,
                })
            }
            Err(stopped) => {
                self.note_denied(head, to, stopped.user.as_deref());
                Err(Rejection {
                    clears_cookie: identified.clears_cookie,
                    ..stopped
                })
            }
        }
    }

    /// Writes an audit event when a signed-in user is denied an administrators' page.
    fn note_denied(&self, head: &RequestHead<'_>, to: RouteMatch<'_>, who: Option<&Principal>) {
        if let (RouteMatch::Page(page), Some(who)) = (to, who)
            && page.audience() == Audience::Administrators
        {
            self.portal.note_denied(head, who, Problem::Forbidden);
        }
    }

    /// Returns the permit that policy issues for a target and the authenticated credentials.
    pub(super) fn permit(
        &self,
        head: &RequestHead<'_>,
        to: RouteMatch<'_>,
        credentials: Option<Credentials>,
    ) -> Result<Permit, Rejection> {
        let permit = match to {
            RouteMatch::Page(page) => authorize::permit_page(page, &self.administrators, credentials),
            RouteMatch::Route(route) => authorize::permit(route, head, &self.administrators, credentials),
        };
        permit.map_err(|AccessDenied { refusal, principal }| Rejection {
            user: principal,
            ..Rejection::from(refusal).at(to)
        })
    }

    /// Evaluates policy for the resources that a request names beside its target (S75).
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

    /// Counts a request for its account, where requests have a rate.
    fn admit_user(&self, to: RouteMatch<'_>, permit: &Permit) -> Result<(), Rejection> {
        let RouteMatch::Route(route) = to else {
            return Ok(());
        };
        let principal = permit.principal();
        let admitted = self.request_rates.admit_user(route, principal.map(Arc::as_ref));
        admitted.map_err(|refusal| Rejection {
            user: principal.cloned(),
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
                if let RouteMatch::Route(route) = to {
                    require_length(self.body_limits(route), body.size_hint().lower())?;
                }
                let read = self.signed_bodies.read(body, head.client.address).await?;
                let identified = self.authenticator.decide(pending, &read.bytes)?;
                Ok((identified, Some(read)))
            }
        }
    }
}

/// Returns which credentials a target accepts; `None` if it does not authenticate.
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
        // What applications take for credentials is nothing to the gateway; a session tells administrators in maintenance.
        RouteMatch::Route(route) if *route.allow() == Allow::Public => {
            route.is_in_maintenance().then_some(AuthRequirements {
                takes_keys: false,
                ..terms
            })
        }
        RouteMatch::Route(route) => Some(AuthRequirements {
            presigned: route.presigned(),
            unsigned_payload: route.unsigned_payload(),
            ..terms
        }),
        RouteMatch::Page(Page::Me) => Some(AuthRequirements {
            usage: SessionTouch::ReadOnly,
            ..terms
        }),
        // Account pages take no access key: an account is changed only by its owner's session.
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

/// Whether the request may revoke access (sign out, disable, delete), which must work while the store is
/// down. Such forms may ask for more than that; the store refuses the rest itself.
fn shuts_out(method: &Method, to: RouteMatch<'_>) -> bool {
    let RouteMatch::Page(page) = to else {
        return false;
    };
    let has_such_a_form = matches!(
        page,
        Page::Logout
            | Page::SessionForm(BackendAiPage::Logout)
            | Page::Account(AccountPage::Sessions | AccountPage::Keys)
            | Page::Admin(AdminPage::Account | AdminPage::Accounts)
    );
    *method == Method::POST && has_such_a_form
}

/// Refuses a host other than the one in SNI: the client verified another certificate (421, RFC 9110, section
/// 15.5.20).
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
    /// Returns the refusal's cause, for the operator.
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
