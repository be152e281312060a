//! Somebody who is signed in, and the frame of the pages that are for those: the ways from one to the other.

use bytes::Bytes;
use http::{Response, StatusCode};
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::Visitor;
use super::site::Site;
use super::visit::Visit;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::services::LiveSession;

/// Somebody who is signed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) principal: &'a Principal,
    pub(super) session: Option<&'a LiveSession>,
}

/// Where a page stands among the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The pages that it is one of: path and text of each.
    pub(super) area: &'static [(&'static str, &'static str)],
    /// Its path.
    pub(super) path: &'static str,
    /// The text above the links.
    pub(super) title: &'static str,
}

#[derive(Serialize)]
struct Nav<'a> {
    title: &'static str,
    who: &'a str,
    items: Vec<Item>,
    other: Option<Item>,
}

#[derive(Clone, Copy, Serialize)]
struct Item {
    href: &'static str,
    text: &'static str,
    current: bool,
}

impl<'a> Member<'a> {
    /// Policy lets nobody else this far; whoever comes otherwise is not served.
    pub(super) fn of(visitor: Visitor<'a>) -> Result<Self, Refusal> {
        match visitor.principal {
            Some(principal) => Ok(Self {
                principal,
                session: visitor.session,
            }),
            None => Err(Refusal::new(Problem::NotAuthenticated)),
        }
    }
}

impl Site {
    /// A page with the links to the others of its area.
    pub(super) fn member_page(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        place: Place,
        status: StatusCode,
        template: &str,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        let item = |&(href, text): &(&'static str, &'static str)| Item {
            href,
            text,
            current: href == place.path,
        };
        let nav = Nav {
            title: place.title,
            who: member.principal.email.as_str(),
            items: place.area.iter().map(item).collect(),
            other: self.other_area(member, place),
        };
        self.framed_page(visit, status, template, Value::from(Serde(&nav)), view)
    }

    /// The way between one's own account and the administration.
    fn other_area(&self, member: Member<'_>, place: Place) -> Option<Item> {
        let (href, text) = if place.path.starts_with("/.auth/admin") {
            ("/.auth/account", "account.nav")
        } else if member.principal.groups.contains(&self.administrators) {
            ("/.auth/admin", "admin.nav")
        } else {
            return None;
        };
        Some(Item {
            href,
            text,
            current: false,
        })
    }
}
