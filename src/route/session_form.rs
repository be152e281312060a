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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InSessionForm {
    /// A page of the gateway's.
    Page(SessionFormPage),
    /// The application, with the path that [`SessionForm::bare`] leaves.
    Bare,
}

impl SessionForm {
    pub(super) fn under(base: &str) -> Self {
        Self {
            base: base.to_owned(),
        }
    }

    /// What a path asks for of which this is the rest after the route's own; `None` if it is not in session form.
    pub(super) fn read(rest: &str) -> Option<InSessionForm> {
        Some(match rest {
            "/server/login" => InSessionForm::Page(SessionFormPage::Login),
            "/server/login-check" => InSessionForm::Page(SessionFormPage::LoginCheck),
            "/server/logout" => InSessionForm::Page(SessionFormPage::Logout),
            _ => after_func(rest).map(|_| InSessionForm::Bare)?,
        })
    }

    /// The path without `func`, if that is the first segment after the route's own.
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
        let bare = |base, path| SessionForm::under(base).bare(path).map(Cow::into_owned);
        let read = |base, path: &str| SessionForm::read(path.strip_prefix(base).unwrap());
        for (base, path, bare_path) in [
            ("", "/func", "/"),
            ("", "/func/", "/"),
            ("", "/func/folders/plans", "/folders/plans"),
            ("", "/func//x", "//x"),
            ("/ai", "/ai/func", "/ai"),
            ("/ai", "/ai/func/", "/ai/"),
            ("/ai", "/ai/func/folders", "/ai/folders"),
        ] {
            assert_eq!(read(base, path), Some(InSessionForm::Bare), "{path}");
            assert_eq!(bare(base, path).as_deref(), Some(bare_path), "{path}");
        }
        for (base, path, page) in [
            ("", "/server/login", SessionFormPage::Login),
            ("", "/server/login-check", SessionFormPage::LoginCheck),
            ("/ai", "/ai/server/logout", SessionFormPage::Logout),
        ] {
            assert_eq!(read(base, path), Some(InSessionForm::Page(page)), "{path}");
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
