//! What Next.js takes from headers beside the target (S75): a Server Action, known by its id alone whatever page it is asked of,
//! and in `Next-Url` the page from which a client navigates, which chooses what an intercepting route shows.

use http::{HeaderName, Method};

use super::second_resource::{SecondResourceError, SecondResourcePolicy};
use super::source_readings::SourceReading;

const NEXT_ACTION: HeaderName = HeaderName::from_static("next-action");
const NEXT_URL: HeaderName = HeaderName::from_static("next-url");

impl SecondResourcePolicy<'_> {
    /// Requires that the principal may POST at every route to the request's application if it asks for a Server Action, which may
    /// belong to any page; and that they may GET the page of `Next-Url`.
    pub(super) fn require_next_js(&self) -> Result<(), SecondResourceError> {
        if self.named_by(&NEXT_ACTION, "Next-Action")?.is_some() {
            self.require_everywhere(&Method::POST)?;
        }
        if let Some(url) = self.named_by(&NEXT_URL, "Next-Url")? {
            let page = SourceReading {
                text: url.to_owned(),
                is_lenient: true,
            };
            self.require_part(&page, "Next-Url")?;
        }
        Ok(())
    }

    /// Requires that `method` is admitted at every route to the request's own application, on any host.
    fn require_everywhere(&self, method: &Method) -> Result<(), SecondResourceError> {
        let routes = self.gateway.routes.all();
        let mut others = routes.filter(|route| route.methods().contains(method) && self.leads_there(route));
        match others.find(|route| self.extends_to(route, method).is_err()) {
            None => Ok(()),
            Some(route) => Err(SecondResourceError::Below {
                method: method.clone(),
                route: route.label().to_string(),
            }),
        }
    }
}
