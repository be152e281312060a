//! Method override headers, such as `X-HTTP-Method-Override`.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::Gateway;
use crate::authenticate::Proof;
use crate::authorize::Permit;
use crate::request::{RequestHead, overrides_method};
use crate::route::{Route, RouteTarget};

/// Whether a request has an override header.
pub(super) fn is_in(headers: &HeaderMap) -> bool {
    headers.keys().any(overrides_method)
}

impl Gateway {
    /// Removes override headers where policy depends on the method: it decided on the method that was sent
    /// (S75).
    pub(super) fn strip_method_override(
        &self,
        headers: &mut HeaderMap,
        method: &Method,
        route: &Route,
        permit: &Permit,
        is_presigned: bool,
    ) {
        if !is_in(headers) {
            return;
        }
        // The signer of the URL chose the method; its holder may add any header.
        if is_presigned || self.withholds_method_override(method, route, permit) {
            let names: Vec<HeaderName> = headers
                .keys()
                .filter(|name| overrides_method(name))
                .cloned()
                .collect();
            for name in names {
                headers.remove(name);
            }
        }
    }

    /// Whether the application may treat a request as one of `method`, which is upper case: because of an
    /// override header that it receives, or because it compares methods without case.
    pub(super) fn may_mean(
        &self,
        head: &RequestHead<'_>,
        route: &Route,
        permit: &Permit,
        method: &str,
    ) -> bool {
        let asks = |value: &HeaderValue| {
            let value = value.as_bytes().to_ascii_uppercase();
            value.windows(method.len()).any(|part| part == method.as_bytes())
        };
        head.method.as_str().eq_ignore_ascii_case(method)
            || head
                .headers
                .iter()
                .any(|(name, value)| overrides_method(name) && asks(value))
                && !self.withholds_method_override(head.method, route, permit)
    }

    fn withholds_method_override(&self, method: &Method, route: &Route, permit: &Permit) -> bool {
        let is_limited_key = permit
            .proof()
            .and_then(Proof::key)
            .is_some_and(|key| key.limits_methods());
        is_limited_key || self.tells_methods_apart(route.target()) || route.evaluates_method(method)
    }

    /// Whether any route to the same application is limited to some methods, under whichever upstream name.
    fn tells_methods_apart(&self, target: RouteTarget) -> bool {
        let mut by_method = self.routes.targets_by_method().iter();
        by_method.any(|&other| self.upstreams.is_one_application(other, target))
    }
}
