//! What an upstream does not get of a path.

use http::HeaderValue;

use super::prefixes;
use crate::config::RouteConfig;

/// A beginning of a route's path, without a final slash, that its upstream does not get.
#[derive(Clone, Debug)]
pub(super) struct StrippedPrefix {
    path: String,
    value: HeaderValue,
}

impl StrippedPrefix {
    /// Returns that of a route; `None` if none is stripped, an error if it is no beginning of the path.
    pub(super) fn of(route: &RouteConfig) -> Result<Option<Self>, ()> {
        let Some(prefix) = route.strip_prefix.of(&route.path) else {
            return Ok(None);
        };
        prefixes::rest(&route.path, prefix).ok_or(())?;
        Ok(Some(Self {
            path: prefix.to_owned(),
            value: HeaderValue::from_bytes(prefix.as_bytes()).map_err(drop)?,
        }))
    }

    /// Returns it as a value of `X-Forwarded-Prefix`.
    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Returns a path without it; `None` if the path does not begin with it.
    pub(super) fn strip<'p>(&self, path: &'p str) -> Option<&'p str> {
        prefixes::rest(path, &self.path).map(|rest| if rest.is_empty() { "/" } else { rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StripPrefix;

    fn stripped(path: &str, strip_prefix: StripPrefix) -> Result<Option<String>, ()> {
        let route = RouteConfig {
            path: path.to_owned(),
            strip_prefix,
            ..RouteConfig::default()
        };
        let prefix = StrippedPrefix::of(&route)?;
        Ok(prefix.map(|prefix| prefix.path))
    }

    #[test]
    fn the_routes_path_or_a_beginning_of_it_is_stripped() {
        let beginning = |prefix: &str| StripPrefix::Path(prefix.to_owned());
        for (path, strip_prefix, wanted) in [
            ("/app", StripPrefix::Own(false), Ok(None)),
            ("/app", StripPrefix::Own(true), Ok(Some("/app"))),
            ("/app/", StripPrefix::Own(true), Ok(Some("/app"))),
            ("/", StripPrefix::Own(true), Ok(None)),
            ("/app/admin", beginning("/app"), Ok(Some("/app"))),
            ("/app/admin", beginning("/app/"), Ok(Some("/app"))),
            ("/app", beginning("/app/admin"), Err(())),
            ("/app", beginning("/ap"), Err(())),
            ("/app", beginning("app"), Err(())),
        ] {
            let found = stripped(path, strip_prefix.clone());
            assert_eq!(
                found.as_ref().map(Option::as_deref),
                wanted.as_ref().map(|prefix| *prefix),
                "{path} {strip_prefix:?}"
            );
        }
    }

    #[test]
    fn what_is_left_of_a_path_is_one() {
        let route = RouteConfig {
            path: "/app".to_owned(),
            strip_prefix: StripPrefix::Own(true),
            ..RouteConfig::default()
        };
        let prefix = StrippedPrefix::of(&route).unwrap().unwrap();
        for (path, left) in [
            ("/app", Some("/")),
            ("/app/", Some("/")),
            ("/app/x%20y/", Some("/x%20y/")),
            ("/apple", None),
        ] {
            assert_eq!(prefix.strip(path), left, "{path}");
        }
    }
}
