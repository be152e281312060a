//! The authorization stage: decides by policy whether a request may be made, and issues the [`Permit`].

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method};

use crate::authenticate::{Credentials, JudgedPolicy, Lapse, Proof};
use crate::config::{Allow, Condition, PolicyRefusal};
use crate::model::Principal;
use crate::refusal::{Hint, Problem, Refusal};
use crate::request::{ClientAddress, RequestHead, is_origin, is_plain, reads_as};
use crate::route::{Audience, Page, Route};
use crate::services::ActiveSession;

/// Proof that policy admitted a request.
///
/// Only this module can create one. Upstreams and identity headers require it, so no request reaches an
/// upstream without.
#[derive(Debug)]
pub struct Permit {
    credentials: Option<Credentials>,
    /// Whether it extends to routes in maintenance. On public routes it has no credentials that would tell.
    is_administrators: bool,
}

impl Permit {
    /// Returns the principal; `None` on public routes and for anonymous requests.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.credentials
            .as_ref()
            .map(|credentials| &credentials.principal)
    }

    /// Returns the session, if that is the proof.
    pub fn session(&self) -> Option<&Arc<ActiveSession>> {
        self.proof()?.session()
    }

    /// Evaluates policy for another route and method, with the same credentials from the same client.
    pub fn extends_to(
        &self,
        route: &Route,
        method: &Method,
        client: &ClientAddress,
    ) -> Result<(), AccessDenied> {
        let credentials = self.credentials.clone();
        evaluate(route, method, client, false, self.is_administrators, credentials).map(drop)
    }

    /// Makes it depend on further policies, which [`Self::extends_to`] evaluated.
    pub fn depend_on(&mut self, policies: Vec<JudgedPolicy>) {
        if let Some(credentials) = &mut self.credentials {
            credentials.policies.extend(policies);
        }
    }

    /// Returns the credentials; `None` where [`Self::principal`] is.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Whether the credentials are still valid.
    pub fn require_current(&self) -> Result<(), Lapse> {
        self.credentials
            .as_ref()
            .map_or(Ok(()), Credentials::require_current)
    }

    /// Returns the proof; operations that outlast the request end with it.
    pub fn proof(&self) -> Option<&Proof> {
        self.credentials.as_ref()?.proof.as_ref()
    }
}

/// A request that policy does not admit.
#[derive(Debug)]
pub struct AccessDenied {
    /// The refusal.
    pub refusal: Refusal,
    /// The principal, if known, for logs.
    pub principal: Option<Arc<Principal>>,
}

impl AccessDenied {
    fn to(who: Option<Credentials>, refusal: Refusal) -> Self {
        Self {
            refusal,
            principal: who.map(|who| who.principal),
        }
    }
}

/// `Retry-After` of a route in maintenance.
const MAINTENANCE_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Admits a request to a route, or refuses it. `administrators` is the administrators' group, for routes in maintenance.
pub fn permit(
    route: &Route,
    head: &RequestHead<'_>,
    administrators: &str,
    credentials: Option<Credentials>,
) -> Result<Permit, AccessDenied> {
    let is_administrators = credentials
        .as_ref()
        .is_some_and(|who| who.principal.groups.contains(administrators));
    let is_preflight = is_preflight(head);
    evaluate(
        route,
        head.method,
        head.client,
        is_preflight,
        is_administrators,
        credentials,
    )
}

/// Whether a request is a CORS preflight, which has no body (Fetch, section 4.8). An application takes one for none
/// whose fields are empty, false in its language, or replaced by others whose names it folds to theirs: its own
/// handler would run.
fn is_preflight(head: &RequestHead<'_>) -> bool {
    let only = |name: HeaderName| {
        let mut values = head.headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    let names_method = |value: &HeaderValue| {
        let method = value.as_bytes();
        method.first().is_some_and(u8::is_ascii_alphabetic) && Method::from_bytes(method).is_ok()
    };
    let is_copy = |name: &HeaderName| {
        !is_plain(name)
            && ["origin", "access-control-request-method"]
                .iter()
                .any(|known| reads_as(name, known))
    };
    let length = head.headers.get(CONTENT_LENGTH);
    *head.method == Method::OPTIONS
        && !head.headers.keys().any(is_copy)
        && only(ORIGIN).is_some_and(is_origin)
        && only(ACCESS_CONTROL_REQUEST_METHOD).is_some_and(names_method)
        && !head.headers.contains_key(TRANSFER_ENCODING)
        && length.is_none_or(|length| length == "0")
}

fn evaluate(
    route: &Route,
    method: &Method,
    client: &ClientAddress,
    is_preflight: bool,
    is_administrators: bool,
    mut credentials: Option<Credentials>,
) -> Result<Permit, AccessDenied> {
    if route.is_in_maintenance() && !is_administrators {
        let refusal = Refusal::new(Problem::Unavailable).hinting(Hint::Maintenance);
        return Err(AccessDenied::to(
            credentials,
            refusal.retry_after(MAINTENANCE_RETRY_AFTER),
        ));
    }
    // Public routes forward no identity.
    credentials.take_if(|_| *route.allow() == Allow::Public);
    let known = credentials.as_ref().map(|credentials| &*credentials.principal);
    let cause = match route.policy().refusal(known, client.known()) {
        None => None,
        // Browsers send preflight requests without cookies.
        Some(PolicyRefusal::Anonymous) if route.preflight() && is_preflight => None,
        Some(PolicyRefusal::Anonymous) => {
            return Err(AccessDenied::to(None, Refusal::new(Problem::NotAuthenticated)));
        }
        Some(PolicyRefusal::Denied) => Some("the route's `deny` holds"),
        Some(PolicyRefusal::Unmet(Condition::Networks)) => Some("the route is for clients in other networks"),
        Some(PolicyRefusal::Unmet(Condition::Groups)) => Some("the route is for other groups"),
        Some(PolicyRefusal::Unmet(Condition::Users)) => Some("the route is for other users"),
    };
    if let Some(cause) = cause {
        let refusal = Refusal::because(Problem::Forbidden, cause);
        return Err(AccessDenied::to(credentials, refusal));
    }
    if let Some(credentials) = &mut credentials {
        credentials
            .policies
            .extend(JudgedPolicy::of(route.policy(), client));
    }
    let proof = credentials.as_ref().and_then(|who| who.proof.as_ref());
    if matches!(proof, Some(Proof::PresignedUrl(_))) && !route.presigned() {
        let cause = "presigned requests are not accepted there";
        return Err(AccessDenied::to(
            credentials,
            Refusal::because(Problem::Forbidden, cause),
        ));
    }
    if let Some(key) = proof.and_then(Proof::key) {
        // HEAD is allowed where GET is.
        let reads = *method == Method::HEAD && key.may_use(route.label(), Method::GET.as_str());
        if !reads && !key.may_use(route.label(), method.as_str()) {
            let cause = "the access key is for other routes or methods";
            return Err(AccessDenied::to(
                credentials,
                Refusal::because(Problem::Forbidden, cause),
            ));
        }
    }
    Ok(Permit {
        credentials,
        is_administrators,
    })
}

/// Admits a request to one of the gateway's pages, or refuses it. `administrators` is the administrators'
/// group.
pub fn permit_page(
    page: Page,
    administrators: &str,
    credentials: Option<Credentials>,
) -> Result<Permit, AccessDenied> {
    let problem = match (page.audience(), &credentials) {
        (Audience::SignedIn | Audience::Administrators, None) => Some(Problem::NotAuthenticated),
        (Audience::Administrators, Some(who)) if !who.principal.groups.contains(administrators) => {
            Some(Problem::Forbidden)
        }
        _ => None,
    };
    match problem {
        None => Ok(Permit {
            credentials,
            is_administrators: false,
        }),
        Some(problem) => Err(AccessDenied::to(credentials, Refusal::new(problem))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::config::{Conditions, Config, RouteConfig};
    use crate::ids::AccountId;
    use crate::model::SignInMethod;
    use crate::random::Random;
    use crate::request::{ClientAddress, RequestIds};
    use crate::route::{RouteMatch, Routes};

    fn somebody(groups: &[&str]) -> Credentials {
        Credentials {
            principal: Arc::new(Principal {
                account: AccountId::from_bytes([0; 16]),
                username: "ann".parse().unwrap(),
                former_usernames: Vec::new(),
                email: "ann@example.com".parse().unwrap(),
                email_verified: true,
                name: "Ann".to_owned(),
                groups: groups
                    .iter()
                    .map(|&group| group.to_owned())
                    .collect::<BTreeSet<_>>(),
                method: SignInMethod::Password,
                session: None,
                expires_at: jiff::Timestamp::UNIX_EPOCH,
            }),
            proof: None,
            policies: Vec::new(),
        }
    }

    /// Who is let in as whom, or why not.
    fn judge(
        allow: Allow,
        method: &Method,
        preflight: bool,
        who: Option<Credentials>,
    ) -> Result<bool, Problem> {
        judge_with(allow, method, preflight, who, &HeaderMap::new())
    }

    fn judge_with(
        allow: Allow,
        method: &Method,
        preflight: bool,
        who: Option<Credentials>,
        headers: &HeaderMap,
    ) -> Result<bool, Problem> {
        let config = Config {
            route: vec![RouteConfig {
                allow,
                preflight,
                upstream: "demo:".to_owned(),
                ..RouteConfig::default()
            }],
            ..Config::default()
        };
        let routes = Routes::new(&config, config.public_host().unwrap()).unwrap();
        let head = RequestHead {
            method,
            host: routes.public_host(),
            scheme: "https",
            authority: "localhost",
            path: "/",
            query: None,
            headers,
            client: &ClientAddress {
                address: [127, 0, 0, 1].into(),
                through_trusted_proxy: false,
                is_known: true,
            },
            id: RequestIds::new(&Random::seeded(1)).next(),
        };
        let RouteMatch::Route(route) = routes.find(&head).unwrap() else {
            panic!("not a page")
        };
        permit(route, &head, "admins", who)
            .map(|permit| permit.principal().is_some())
            .map_err(|denied| denied.refusal.problem)
    }

    #[test]
    fn the_policies() {
        let ops = || Conditions::of_groups(["ops", "dev"]).into();
        let get = |allow, who| judge(allow, &Method::GET, false, who);
        assert_eq!(get(Allow::Public, None), Ok(false));
        assert_eq!(get(Allow::Public, Some(somebody(&["ops"]))), Ok(false));
        assert_eq!(get(Allow::Optional, None), Ok(false));
        assert_eq!(get(Allow::Optional, Some(somebody(&[]))), Ok(true));
        assert_eq!(get(Allow::Authenticated, None), Err(Problem::NotAuthenticated));
        assert_eq!(get(Allow::Authenticated, Some(somebody(&[]))), Ok(true));
        assert_eq!(get(ops(), None), Err(Problem::NotAuthenticated));
        assert_eq!(
            get(ops(), Some(somebody(&["op", "ops2"]))),
            Err(Problem::Forbidden)
        );
        assert_eq!(get(ops(), Some(somebody(&["x", "dev"]))), Ok(true));
        assert_eq!(
            get(Conditions::of_groups([""; 0]).into(), Some(somebody(&["x"]))),
            Err(Problem::Forbidden)
        );
    }

    #[test]
    fn own_pages_have_a_policy_too() {
        let judge = |path, who| {
            permit_page(Page::at(path).unwrap(), "admins", who)
                .map(|permit| permit.principal().is_some())
                .map_err(|denied| denied.refusal.problem)
        };
        let (nobody, member, administrator) =
            (|| None, || Some(somebody(&["x"])), || Some(somebody(&["admins"])));
        assert_eq!(judge("/.auth/login", nobody()), Ok(false));
        assert_eq!(judge("/.auth/login", member()), Ok(true));
        for path in ["/.auth/account", "/.auth/account/delete"] {
            assert_eq!(judge(path, nobody()), Err(Problem::NotAuthenticated), "{path}");
            assert_eq!(judge(path, member()), Ok(true), "{path}");
        }
        assert_eq!(judge("/.auth/admin", nobody()), Err(Problem::NotAuthenticated));
        assert_eq!(judge("/.auth/admin", member()), Err(Problem::Forbidden));
        assert_eq!(judge("/.auth/admin", administrator()), Ok(true));
    }

    #[test]
    fn a_preflight_passes_without_a_session_where_the_route_says_so() {
        let ask = |method: &str, preflight, sent: &[(&'static str, &'static str)]| {
            let sent = sent
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let method = method.parse().unwrap();
            judge_with(Allow::Authenticated, &method, preflight, None, &sent.collect())
        };
        let origin = ("origin", "https://app.example.com");
        let asks = ("access-control-request-method", "PUT");
        assert_eq!(ask("OPTIONS", true, &[origin, asks]), Ok(false));
        assert_eq!(
            ask("OPTIONS", true, &[origin, asks, ("content-length", "0")]),
            Ok(false)
        );
        for (method, preflight, sent) in [
            ("OPTIONS", false, &[origin, asks][..]),
            ("OPTIONS", true, &[]),
            ("OPTIONS", true, &[origin]),
            ("OPTIONS", true, &[asks]),
            ("OPTIONS", true, &[origin, asks, ("content-length", "4")]),
            ("OPTIONS", true, &[origin, asks, ("transfer-encoding", "chunked")]),
            ("options", true, &[origin, asks]),
            ("GET", true, &[origin, asks]),
        ] {
            let refused = Err(Problem::NotAuthenticated);
            assert_eq!(ask(method, preflight, sent), refused, "{method} {sent:?}");
        }
    }
}
