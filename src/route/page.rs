//! The gateway's own pages, and their paths under `/.auth` on every configured host.

/// One of the gateway's own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/.auth/login`
    Login,
    /// `/.auth/login/iam`: with an access key.
    LoginIam,
    /// `/.auth/logout`
    Logout,
    /// `/.auth/signup`
    SignUp,
    /// `/.auth/signup/done`: what comes next for a new account.
    SignUpDone,
    /// `/.auth/verify`: proving an address with a link.
    Verify,
    /// `/.auth/forgot`: asking for a link that sets a new password.
    Forgot,
    /// `/.auth/forgot/done`: what comes next.
    ForgotDone,
    /// `/.auth/reset`: setting a new password with a link.
    Reset,
    /// `/.auth/me`
    Me,
    /// `/.auth/problems/<slug>`: what a kind of refusal means.
    Problem,
    /// `/.auth/assets/<name>`: stylesheet, logo, icon.
    Asset,
    /// `/.auth/account` and below: what people do with their own account.
    Account(AccountPage),
    /// `/.auth/admin` and below: what administrators do with all of them.
    Admin(AdminPage),
    /// What Backend.AI's clients in session mode ask the gateway itself for, under a route's path.
    SessionForm(BackendAiPage),
}

/// A page of Backend.AI's session form, for programs alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendAiPage {
    /// `server/login`
    Login,
    /// `server/login-check`: whether somebody is signed in.
    LoginCheck,
    /// `server/logout`
    Logout,
}

/// A page of one's own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountPage {
    /// `/.auth/account`: who I am.
    Profile,
    /// `/.auth/account/email`
    Email,
    /// `/.auth/account/username`
    Username,
    /// `/.auth/account/password`
    Password,
    /// `/.auth/account/sessions`
    Sessions,
    /// `/.auth/account/keys`: access keys.
    Keys,
    /// `/.auth/account/activity`: who signed in of late, and who tried to.
    Activity,
    /// `/.auth/account/language`
    Language,
    /// `/.auth/account/delete`
    Delete,
}

/// A page of the administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminPage {
    /// `/.auth/admin`: what waits for them.
    Overview,
    /// `/.auth/admin/accounts`: accounts among many.
    Accounts,
    /// `/.auth/admin/account`: one account.
    Account,
    /// `/.auth/admin/invitations`
    Invitations,
    /// `/.auth/admin/audit`: what happened.
    Audit,
    /// `/.auth/admin/locks`
    Locks,
    /// `/.auth/admin/mails`: what waits to be sent.
    Mails,
}

/// Whom a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever comes, signed in or not.
    Everybody,
    /// Whoever is signed in.
    SignedIn,
    /// The administrators' group.
    Administrators,
}

impl Page {
    /// What every path of the gateway's own begins with.
    pub const PREFIX: &str = "/.auth";

    /// The page under [`Self::PREFIX`] at a path that was sent, if there is one.
    pub fn at(path: &str) -> Option<Self> {
        Some(match path.strip_prefix(Self::PREFIX)? {
            "/login" => Self::Login,
            "/login/iam" => Self::LoginIam,
            "/logout" => Self::Logout,
            "/signup" => Self::SignUp,
            "/signup/done" => Self::SignUpDone,
            "/verify" => Self::Verify,
            "/forgot" => Self::Forgot,
            "/forgot/done" => Self::ForgotDone,
            "/reset" => Self::Reset,
            "/me" => Self::Me,
            rest if rest == "/account" || rest.starts_with("/account/") => {
                Self::Account(AccountPage::at(rest)?)
            }
            rest if rest == "/admin" || rest.starts_with("/admin/") => Self::Admin(AdminPage::at(rest)?),
            rest if rest.starts_with("/problems/") => Self::Problem,
            rest if rest.starts_with("/assets/") => Self::Asset,
            _ => return None,
        })
    }

    /// The methods that it answers, beside OPTIONS.
    pub fn methods(self) -> &'static [&'static str] {
        match self {
            Self::SignUpDone
            | Self::ForgotDone
            | Self::Me
            | Self::Problem
            | Self::Asset
            | Self::Account(AccountPage::Activity) => &["GET", "HEAD"],
            Self::Login
            | Self::LoginIam
            | Self::Logout
            | Self::SignUp
            | Self::Verify
            | Self::Forgot
            | Self::Reset
            | Self::Account(_)
            // Also those that only show something: they take a password where it has to be asked for.
            | Self::Admin(_) => &["GET", "HEAD", "POST"],
            Self::SessionForm(_) => &["POST"],
        }
    }

    /// Whether it is there for a token, in its address or on it (S25).
    pub fn carries_token(self) -> bool {
        matches!(self, Self::Verify | Self::Reset)
    }

    /// Whom it is for.
    pub fn audience(self) -> Audience {
        match self {
            Self::Account(_) => Audience::SignedIn,
            Self::Admin(_) => Audience::Administrators,
            _ => Audience::Everybody,
        }
    }
}

impl AccountPage {
    fn at(rest: &str) -> Option<Self> {
        Some(match rest {
            "/account" => Self::Profile,
            "/account/email" => Self::Email,
            "/account/username" => Self::Username,
            "/account/password" => Self::Password,
            "/account/sessions" => Self::Sessions,
            "/account/keys" => Self::Keys,
            "/account/activity" => Self::Activity,
            "/account/language" => Self::Language,
            "/account/delete" => Self::Delete,
            _ => return None,
        })
    }
}

impl AdminPage {
    fn at(rest: &str) -> Option<Self> {
        Some(match rest {
            "/admin" => Self::Overview,
            "/admin/accounts" => Self::Accounts,
            "/admin/account" => Self::Account,
            "/admin/invitations" => Self::Invitations,
            "/admin/audit" => Self::Audit,
            "/admin/locks" => Self::Locks,
            "/admin/mails" => Self::Mails,
            _ => return None,
        })
    }
}
