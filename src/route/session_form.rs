//! Backend.AI's session form: a client that signs in with a name and a password instead of signing its requests.
//!
//! It asks for three pages under `server`, which are the gateway's, and for everything else with `func` before the
//! path; the application knows neither. Both are found under the path of a route.

use std::borrow::Cow;

use super::SessionFormPage;

/// The session form under the path of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionForm {
    /// Without a final `/`: "" is the root.
    base: String,
}

/// What a path in session form asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InSessionForm<'p> {
    /// A page of the gateway's.
    Page(SessionFormPage),
    /// This path of the application.
    Bare(Cow<'p, str>),
}

impl SessionForm {
    pub(super) fn under(base: &str) -> Self {
        Self {
            base: base.to_owned(),
        }
    }

    /// What a path asks for that was sent to the route; `None` if it is not in session form.
    pub(super) fn read<'p>(&self, path: &'p str) -> Option<InSessionForm<'p>> {
        let page = match path.strip_prefix(self.base.as_str())? {
            "/server/login" => SessionFormPage::Login,
            "/server/login-check" => SessionFormPage::LoginCheck,
            "/server/logout" => SessionFormPage::Logout,
            _ => return self.bare(path).map(InSessionForm::Bare),
        };
        Some(InSessionForm::Page(page))
    }

    /// The path without `func`, if that is the first segment after the route's own.
    pub(super) fn bare<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let rest = path.strip_prefix(self.base.as_str())?.strip_prefix("/func")?;
        if !(rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        Some(match (self.base.as_str(), rest) {
            ("", "") => Cow::Borrowed("/"),
            ("", rest) => Cow::Borrowed(rest),
            (base, rest) => Cow::Owned(format!("{base}{rest}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_under_a_route_is_read_on_segment_borders() {
        let read = |base, path| SessionForm::under(base).read(path);
        let bare = |path: &'static str| Some(InSessionForm::Bare(path.into()));
        for (base, path, bare_path) in [
            ("", "/func", "/"),
            ("", "/func/", "/"),
            ("", "/func/folders/plans", "/folders/plans"),
            ("", "/func//x", "//x"),
            ("/ai", "/ai/func", "/ai"),
            ("/ai", "/ai/func/", "/ai/"),
            ("/ai", "/ai/func/folders", "/ai/folders"),
        ] {
            assert_eq!(read(base, path), bare(bare_path), "{path}");
        }
        for (base, path, page) in [
            ("", "/server/login", SessionFormPage::Login),
            ("", "/server/login-check", SessionFormPage::LoginCheck),
            ("/ai", "/ai/server/logout", SessionFormPage::Logout),
        ] {
            assert_eq!(read(base, path), Some(InSessionForm::Page(page)), "{path}");
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
            ("/ai", "/func/x"),
            ("/ai", "/ai"),
            ("/ai", "/aifunc"),
        ] {
            assert_eq!(read(base, path), None, "{path}");
        }
    }
}
