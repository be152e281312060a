//! The gateway's own pages, and their paths under `/.auth` on every configured host.

/// One of the gateway's own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/.auth/login`
    Login,
    /// `/.auth/logout`
    Logout,
    /// `/.auth/signup`
    SignUp,
    /// `/.auth/signup/done`: what comes next for a new account.
    SignUpDone,
    /// `/.auth/me`
    Me,
    /// `/.auth/problems/<slug>`: what a kind of refusal means.
    Problem,
    /// `/.auth/assets/<name>`: stylesheet, logo, icon.
    Asset,
}

impl Page {
    /// What every path of the gateway's own begins with.
    pub const PREFIX: &str = "/.auth";

    /// The page at a path that was sent, if there is one.
    pub fn at(path: &str) -> Option<Self> {
        Some(match path.strip_prefix(Self::PREFIX)? {
            "/login" => Self::Login,
            "/logout" => Self::Logout,
            "/signup" => Self::SignUp,
            "/signup/done" => Self::SignUpDone,
            "/me" => Self::Me,
            rest if rest.starts_with("/problems/") => Self::Problem,
            rest if rest.starts_with("/assets/") => Self::Asset,
            _ => return None,
        })
    }

    /// The methods that it answers, beside OPTIONS.
    pub fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Login | Self::Logout | Self::SignUp => &["GET", "HEAD", "POST"],
            Self::SignUpDone | Self::Me | Self::Problem | Self::Asset => &["GET", "HEAD"],
        }
    }
}
