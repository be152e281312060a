//! The signed-in user, and the navigation of the pages for them.

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

/// A signed-in user with their session.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedInUser<'a> {
    pub(super) principal: &'a Principal,
    pub(super) session: &'a ActiveSession,
}

/// A request by a signed-in user.
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

/// A group of pages with links to each other.
#[derive(Debug)]
pub(super) struct NavSection {
    /// The key of the heading above the links.
    pub(super) title: &'static str,
    /// The pages with the keys of their texts, in order.
    pub(super) pages: &'static [(Page, &'static str)],
}

/// A page's place in the navigation.
#[derive(Clone, Copy, Debug)]
pub(super) struct NavItem {
    section: &'static NavSection,
    page: Page,
}

impl NavSection {
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
    /// Renders a page with the navigation of its section.
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

    /// The link between the account's pages and the administration.
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
