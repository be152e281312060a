//! Somebody who is signed in, and the frame of the pages that are for those: the ways from one to the other.

use std::ops::Deref;

use bytes::Bytes;
use http::Response;
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::request_context::RequestContext;
use super::response::ResponseOutcome;
use crate::model::Principal;
use crate::route::{AccountPage, AdminPage, Page};
use crate::services::ActiveSession;

/// Somebody who is signed in, and the session that they are signed in with.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedInUser<'a> {
    pub(super) principal: &'a Principal,
    pub(super) session: &'a ActiveSession,
}

/// A request of somebody who is signed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedInRequest<'a> {
    pub(super) request: RequestContext<'a>,
    pub(super) user: SignedInUser<'a>,
}

impl<'a> Deref for SignedInRequest<'a> {
    type Target = RequestContext<'a>;

    fn deref(&self) -> &RequestContext<'a> {
        &self.request
    }
}

/// Pages that lead to each other.
#[derive(Debug)]
pub(super) struct NavSection {
    /// The text above the links.
    pub(super) title: &'static str,
    /// The pages and the text of each, in the order in which they are offered.
    pub(super) pages: &'static [(Page, &'static str)],
}

/// Where a page stands among the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct NavItem {
    section: &'static NavSection,
    page: Page,
}

impl NavSection {
    /// Where a page stands.
    pub(super) const fn at(&'static self, page: Page) -> NavItem {
        NavItem { section: self, page }
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

impl SignedInRequest<'_> {
    /// A page with the links to the others of its section.
    pub(super) fn page_with_nav(
        &self,
        place: NavItem,
        outcome: impl Into<ResponseOutcome>,
        template: &str,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        let login = &self.renderer.login;
        let offered = place.section.pages.iter().filter(|(page, _)| match page {
            Page::Account(AccountPage::Keys) => login.iam,
            Page::Account(AccountPage::Username) => login.change_username,
            _ => true,
        });
        let nav = Nav {
            title: place.section.title,
            who: self.user.principal.email.as_str(),
            items: offered
                .map(|&(page, text)| Item {
                    href: page.path(),
                    text,
                    current: page == place.page,
                })
                .collect(),
            other: self.other_section(place),
        };
        self.framed_page(outcome, template, Value::from(Serde(&nav)), view)
    }

    /// The way between one's own account and the administration.
    fn other_section(&self, place: NavItem) -> Option<Item> {
        let groups = &self.user.principal.groups;
        let (page, text) = if matches!(place.page, Page::Admin(_)) {
            (Page::Account(AccountPage::Profile), "account.nav")
        } else if groups.contains(&self.renderer.administrators) {
            (Page::Admin(AdminPage::Overview), "admin.nav")
        } else {
            return None;
        };
        Some(Item {
            href: page.path(),
            text,
            current: false,
        })
    }
}
