//! Policy for functions, parts and pages of the application that headers choose, whatever path is asked for (S75).

use http::Method;

use super::second_resource::SecondResourcePolicy;
use super::second_resource_error::SecondResourceError;
use super::source_readings::SourceReading;
use crate::config::Allow;
use crate::request::{Choice, PAGES};
use crate::route::{Route, StaticAnswer};

impl SecondResourcePolicy<'_> {
    /// Requires that the principal may do at every route to the request's application what a function may be, if one is asked
    /// for, or what the request is, if it names a part of the application.
    pub(super) fn require_server_functions(&self) -> Result<(), SecondResourceError> {
        for name in self.head.headers.keys() {
            match Choice::of(name) {
                Some(Choice::Function) => self.require_everywhere(&Method::POST)?,
                Some(Choice::Part) => self.require_everywhere(self.head.method)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Requires that the principal may GET the pages that the request names.
    pub(super) fn require_pages(&self) -> Result<(), SecondResourceError> {
        for (name, shown) in &PAGES {
            let Some(url) = self.named_by(name, shown)? else {
                continue;
            };
            // An application that is served below a path names its pages without it: Next.js with `basePath`.
            let bases = if url.starts_with('/') {
                let bases = self.target_path().bases();
                bases.ok_or(SecondResourceError::TooAmbiguous(shown))?
            } else {
                vec![""]
            };
            for base in bases {
                let page = SourceReading {
                    text: format!("{base}{url}"),
                    is_lenient: true,
                };
                self.require_part(&page, shown)?;
            }
        }
        Ok(())
    }

    /// Requires that every route to the request's own application, on any host, admits `method` or, if it does not take that,
    /// a method that it takes.
    pub(super) fn require_everywhere(&self, method: &Method) -> Result<(), SecondResourceError> {
        // What everybody is shown in place of the application, its robots.txt say, closes nothing.
        let is_shown = |route: &Route| {
            *route.allow() == Allow::Public && route.answer().is_some_and(StaticAnswer::is_content)
        };
        let mut others = self
            .gateway
            .routes
            .all()
            .filter(|route| self.leads_there(route) && !is_shown(route));
        match others.find(|route| !self.admits(route, method)) {
            None => Ok(()),
            Some(route) => Err(SecondResourceError::Below {
                method: method.clone(),
                route: route.label().to_string(),
            }),
        }
    }

    /// Whether a route admits the principal for `method` or, if it does not take that, for a method that it takes.
    pub(super) fn admits(&self, route: &Route, method: &Method) -> bool {
        let taken = route.methods().names().first().and_then(|name| name.parse().ok());
        let taken = taken.filter(|_| !route.methods().contains(method));
        self.extends_to(route, taken.as_ref().unwrap_or(method)).is_ok()
    }
}
