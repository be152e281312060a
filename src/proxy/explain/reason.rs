//! The reasons of an explanation, as English sentences.

use super::report::ShadowedRouteView;
use super::request::ExplainRequest;
use crate::config::{Allow, Conditions, HostPattern, PolicyRefusal};
use crate::model::Principal;
use crate::proxy::Gateway;
use crate::request::{ClientAddress, RequestHead};
use crate::route::{Audience, Page, Route, RouteMatch, ShadowReason, Unroutable};

impl ExplainRequest {
    /// Returns notes that hold whatever the outcome is.
    pub(super) fn notes(&self) -> Vec<String> {
        let fragment = "what follows the # stays in the browser, and is left out here";
        let plain = "a plain http request is redirected to https, and explained here as it comes back";
        [(self.has_fragment, fragment), (self.is_plain, plain)]
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, note)| note.to_owned())
            .collect()
    }
}

impl Gateway {
    /// Returns why policy admits or refuses a request to `to`.
    pub(super) fn why(
        &self,
        to: RouteMatch<'_>,
        admits: bool,
        who: Option<&Principal>,
        client: &ClientAddress,
    ) -> String {
        match to {
            RouteMatch::Page(page) => self.why_page(page, admits, who),
            RouteMatch::Route(route)
                if route.is_in_maintenance()
                    && !who.is_some_and(|who| who.groups.contains(&self.administrators)) =>
            {
                format!(
                    "the route is in maintenance, and then for the administrators' group {} alone",
                    self.administrators
                )
            }
            RouteMatch::Route(route) => why_route(route, admits, who, client),
        }
    }

    fn why_page(&self, page: Page, admits: bool, who: Option<&Principal>) -> String {
        let group = &self.administrators;
        match (page.audience(), admits, who) {
            (Audience::Everybody, ..) => "a page of the gateway's own, for everybody".to_owned(),
            (_, false, None) => "the page is for whoever is signed in, and nobody is".to_owned(),
            (Audience::SignedIn, ..) => "a page of the gateway's own, for whoever is signed in".to_owned(),
            (Audience::Administrators, true, _) => {
                format!("a page of the gateway's own, for the administrators' group {group}")
            }
            (Audience::Administrators, false, Some(who)) => format!(
                "the page is for the administrators' group {group}, and {} is in {}",
                who.username,
                groups_of(who)
            ),
        }
    }

    /// Returns why no route takes a request.
    pub(super) fn why_unroutable(&self, reason: &Unroutable) -> String {
        match reason {
            Unroutable::UnknownHost => {
                let hosts = self.routes.host_patterns().iter();
                let hosts: Vec<String> = hosts.map(HostPattern::to_string).collect();
                format!("no route has this host; configured are {}", hosts.join(", "))
            }
            Unroutable::NotFound => "no route of this host, and no page, has this path".to_owned(),
            Unroutable::MethodNotAllowed(_) => {
                "the path has a route or a page, but none for this method; a shorter path's route never \
                 stands in"
                    .to_owned()
            }
            Unroutable::Redirect(url) => format!("it belongs to {url}"),
            reason => reason.to_string(),
        }
    }

    /// Returns the other routes that match; none if a page does, because pages go before routes.
    pub(super) fn passed_over(
        &self,
        head: &RequestHead<'_>,
        matched: Option<&RouteMatch<'_>>,
    ) -> Vec<ShadowedRouteView> {
        if matches!(matched, Some(RouteMatch::Page(_))) {
            return Vec::new();
        }
        let rivals = self.routes.rivals(head).into_iter();
        rivals
            .map(|rival| ShadowedRouteView {
                index: rival.route.place().index,
                line: rival.route.place().line,
                label: rival.route.label().to_string(),
                reason: match rival.lost {
                    ShadowReason::Method => format!("is for {}", rival.route.methods().names().join(", ")),
                    ShadowReason::Path => "has a shorter path".to_owned(),
                    ShadowReason::Host => "names the host less exactly".to_owned(),
                },
            })
            .collect()
    }
}

fn why_route(route: &Route, admits: bool, who: Option<&Principal>, client: &ClientAddress) -> String {
    let refusal = route.policy().refusal(who, client.known());
    if let (Some(deny), Some(PolicyRefusal::Denied)) = (&route.policy().deny, refusal) {
        return format!("the route turns away {}", described(deny, who, client));
    }
    match (route.allow(), admits, who) {
        (Allow::Public, ..) => {
            "the route is public: nobody is asked who they are, and the application is not told".to_owned()
        }
        (Allow::Optional, _, Some(who)) => {
            format!(
                "the route lets everybody in, and tells the application that it is {}",
                who.username
            )
        }
        (Allow::Optional, _, None) => {
            "the route lets everybody in; nobody is signed in, so the application is told of nobody"
                .to_owned()
        }
        (Allow::Authenticated | Allow::Conditions(_), true, None) => {
            "a browser asks for permission (OPTIONS) without a session, which `preflight` allows".to_owned()
        }
        (Allow::Authenticated, true, Some(who)) => {
            format!("the route is for whoever is signed in, and {} is", who.username)
        }
        (Allow::Authenticated, false, _) => "the route is for whoever is signed in, and nobody is".to_owned(),
        (Allow::Conditions(conditions), _, who) => {
            let failing = match refusal {
                Some(PolicyRefusal::Unmet(condition)) if conditions.count() > 1 => {
                    format!("; `{}` does not hold", condition.key())
                }
                _ => String::new(),
            };
            format!("the route is for {}{failing}", described(conditions, who, client))
        }
    }
}

/// What conditions ask for, and what the request has of it.
fn described(conditions: &Conditions, who: Option<&Principal>, client: &ClientAddress) -> String {
    let Conditions {
        groups,
        users,
        networks,
    } = conditions;
    let mut asked = Vec::new();
    let mut found = Vec::new();
    if conditions.ask_who() && who.is_none() {
        found.push("nobody is signed in".to_owned());
    }
    if let Some(groups) = groups {
        asked.push(named(groups));
        found.extend(who.map(|who| format!("{} is in {}", who.username, groups_of(who))));
    }
    if let Some(users) = users {
        asked.push(format!("the users {}", listed(users)));
        found.extend(who.map(|who| {
            let state = if who.email_verified {
                "verified"
            } else {
                "not verified"
            };
            format!("{} is {} ({state})", who.username, who.email)
        }));
    }
    if let Some(networks) = networks {
        asked.push(format!("clients in {}", listed(networks)));
        found.push(match client.known() {
            Some(address) => format!("the client is at {address}"),
            None => "the client's address is not known".to_owned(),
        });
    }
    format!("{}, and {}", asked.join(" and "), found.join(", "))
}

fn listed(entries: &[impl ToString]) -> String {
    let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
    entries.join(", ")
}

fn named(groups: &[String]) -> String {
    match groups {
        [] => "no group at all".to_owned(),
        [group] => format!("the group {group}"),
        groups => format!("the groups {}", groups.join(", ")),
    }
}

fn groups_of(who: &Principal) -> String {
    if who.groups.is_empty() {
        return "no group".to_owned();
    }
    let groups: Vec<&str> = who.groups.iter().map(String::as_str).collect();
    groups.join(", ")
}
