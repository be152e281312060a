//! Paths of Backend.AI's session mode, in which a client signs in with a password instead of signing its
//! requests.
//!
//! Such a client calls three pages under `server`, which the gateway serves, and puts `func` before every
//! other path. The upstream knows neither. Both are found below the path of a route.

use std::borrow::Cow;

use super::BackendAiPage;

/// Session mode below the path of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendAiSession {
    /// Without a trailing `/`: "" is the root.
    base: String,
}

/// The target of a path in session form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackendAiPath {
    /// A page of the gateway.
    Page(BackendAiPage),
    /// The upstream, with the path that [`BackendAiSession::bare`] returns.
    Bare,
}

impl BackendAiSession {
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
        }
    }

    /// Whether a path may be of a page that changes something, under some route.
    pub(super) fn may_act(path: &str) -> bool {
        path.ends_with("/server/login") || path.ends_with("/server/logout")
    }

    /// Classifies the rest of a path after the route's own; `None` if it is not in session form.
    pub(super) fn read(rest: &str) -> Option<BackendAiPath> {
        Some(match rest {
            "/server/login" => BackendAiPath::Page(BackendAiPage::Login),
            "/server/login-check" => BackendAiPath::Page(BackendAiPage::LoginCheck),
            "/server/logout" => BackendAiPath::Page(BackendAiPage::Logout),
            _ => after_func(rest).map(|_| BackendAiPath::Bare)?,
        })
    }

    /// Returns the path without `func`, if that is the first segment after the route's own.
    pub(super) fn bare<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let rest = after_func(path.strip_prefix(self.base.as_str())?)?;
        Some(match (self.base.as_str(), rest) {
            ("", "") => Cow::Borrowed("/"),
            ("", rest) => Cow::Borrowed(rest),
            (base, rest) => Cow::Owned(format!("{base}{rest}")),
        })
    }
}

fn after_func(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix("/func")?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_under_a_route_is_read_on_segment_borders() {
        let bare = |base, path| BackendAiSession::new(base).bare(path).map(Cow::into_owned);
        let read = |base, path: &str| BackendAiSession::read(path.strip_prefix(base).unwrap());
        for (base, path, bare_path) in [
            ("", "/func", "/"),
            ("", "/func/", "/"),
            ("", "/func/folders/plans", "/folders/plans"),
            ("", "/func//x", "//x"),
            ("/ai", "/ai/func", "/ai"),
            ("/ai", "/ai/func/", "/ai/"),
            ("/ai", "/ai/func/folders", "/ai/folders"),
        ] {
            assert_eq!(read(base, path), Some(BackendAiPath::Bare), "{path}");
            assert_eq!(bare(base, path).as_deref(), Some(bare_path), "{path}");
        }
        for (base, path, page) in [
            ("", "/server/login", BackendAiPage::Login),
            ("", "/server/login-check", BackendAiPage::LoginCheck),
            ("/ai", "/ai/server/logout", BackendAiPage::Logout),
        ] {
            assert_eq!(read(base, path), Some(BackendAiPath::Page(page)), "{path}");
            assert_eq!(bare(base, path), None, "{path}");
        }
        for (base, path) in [
            ("", "/"),
            ("", "/function"),
            ("", "/Func/x"),
            ("", "/a/func/x"),
            ("", "/fun%63/x"),
            ("", "/func%2fx"),
            ("", "/server"),
            ("", "/server/login/"),
            ("", "/server/logins"),
            ("/ai", "/ai"),
            ("/ai", "/aifunc"),
        ] {
            assert_eq!(read(base, path), None, "{path}");
            assert_eq!(bare(base, path), None, "{path}");
        }
        assert_eq!(bare("/ai", "/func/x"), None);
    }
}
