//! Somebody who is signed in, and the frame of the pages that are for those: the ways from one to the other.

use bytes::Bytes;
use http::Response;
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::Visitor;
use super::account::{KEYS, USERNAME};
use super::renderer::PageRenderer;
use super::request_context::RequestContext;
use super::response::ResponseOutcome;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::services::ActiveSession;

/// Somebody who is signed in, and the session that they are signed in with.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedInUser<'a> {
    pub(super) principal: &'a Principal,
    pub(super) session: &'a ActiveSession,
}

/// Pages that lead to each other.
#[derive(Debug)]
pub(super) struct NavSection {
    /// The text above the links.
    pub(super) title: &'static str,
    /// Path and text of each, in the order in which they are offered.
    pub(super) pages: &'static [(&'static str, &'static str)],
}

/// Where a page stands among the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct NavItem {
    area: &'static NavSection,
    path: &'static str,
}

impl NavSection {
    /// Where the page at this path stands.
    pub(super) const fn at(&'static self, path: &'static str) -> NavItem {
        NavItem { area: self, path }
    }
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

impl<'a> SignedInUser<'a> {
    /// Policy lets nobody else this far; whoever comes otherwise, or with a key alone, is not served.
    pub(super) fn of(visitor: Visitor<'a>) -> Result<Self, Refusal> {
        match visitor {
            Visitor {
                principal: Some(principal),
                session: Some(session),
            } => Ok(Self { principal, session }),
            _ => Err(Refusal::new(Problem::NotAuthenticated)),
        }
    }
}

impl PageRenderer {
    /// A page with the links to the others of its area.
    pub(super) fn member_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        place: NavItem,
        outcome: impl Into<ResponseOutcome>,
        template: &str,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        let item = |&(href, text): &(&'static str, &'static str)| Item {
            href,
            text,
            current: href == place.path,
        };
        let nav = Nav {
            title: place.area.title,
            who: user.principal.email.as_str(),
            items: place
                .area
                .pages
                .iter()
                .filter(|(href, _)| match *href {
                    KEYS => self.login.iam,
                    USERNAME => self.login.change_username,
                    _ => true,
                })
                .map(item)
                .collect(),
            other: self.other_area(user, place),
        };
        self.framed_page(context, outcome, template, Value::from(Serde(&nav)), view)
    }

    /// The way between one's own account and the administration.
    fn other_area(&self, user: SignedInUser<'_>, place: NavItem) -> Option<Item> {
        let (href, text) = if place.path.starts_with("/.auth/admin") {
            ("/.auth/account", "account.nav")
        } else if user.principal.groups.contains(&self.administrators) {
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
