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

/// Defines both ways between a page and its path by one table.
macro_rules! paths {
    ($($path:literal => $($page:tt)::+ $(($($below:tt)::+))?,)*) => {
        impl Page {
            /// Every page under [`Self::PREFIX`].
            pub const ALL: &[Self] = &[$($($page)::+ $(($($below)::+))?,)*];

            /// The page at a path that was sent, if there is one.
            pub fn at(path: &str) -> Option<Self> {
                Some(match path {
                    $($path => $($page)::+ $(($($below)::+))?,)*
                    _ if path.starts_with(Self::Problem.path()) => Self::Problem,
                    _ if path.starts_with(Self::Asset.path()) => Self::Asset,
                    _ => return None,
                })
            }

            /// Its path; of problems and assets what their paths begin with. What stands under a route has none.
            pub const fn path(self) -> &'static str {
                match self {
                    $($($page)::+ $(($($below)::+))? => $path,)*
                    Self::SessionForm(_) => "",
                }
            }
        }
    };
}

paths! {
    "/.auth/login" => Self::Login,
    "/.auth/login/iam" => Self::LoginIam,
    "/.auth/logout" => Self::Logout,
    "/.auth/signup" => Self::SignUp,
    "/.auth/signup/done" => Self::SignUpDone,
    "/.auth/verify" => Self::Verify,
    "/.auth/forgot" => Self::Forgot,
    "/.auth/forgot/done" => Self::ForgotDone,
    "/.auth/reset" => Self::Reset,
    "/.auth/me" => Self::Me,
    "/.auth/problems/" => Self::Problem,
    "/.auth/assets/" => Self::Asset,
    "/.auth/account" => Self::Account(AccountPage::Profile),
    "/.auth/account/email" => Self::Account(AccountPage::Email),
    "/.auth/account/username" => Self::Account(AccountPage::Username),
    "/.auth/account/password" => Self::Account(AccountPage::Password),
    "/.auth/account/sessions" => Self::Account(AccountPage::Sessions),
    "/.auth/account/keys" => Self::Account(AccountPage::Keys),
    "/.auth/account/activity" => Self::Account(AccountPage::Activity),
    "/.auth/account/language" => Self::Account(AccountPage::Language),
    "/.auth/account/delete" => Self::Account(AccountPage::Delete),
    "/.auth/admin" => Self::Admin(AdminPage::Overview),
    "/.auth/admin/accounts" => Self::Admin(AdminPage::Accounts),
    "/.auth/admin/account" => Self::Admin(AdminPage::Account),
    "/.auth/admin/invitations" => Self::Admin(AdminPage::Invitations),
    "/.auth/admin/audit" => Self::Admin(AdminPage::Audit),
    "/.auth/admin/locks" => Self::Admin(AdminPage::Locks),
    "/.auth/admin/mails" => Self::Admin(AdminPage::Mails),
}

impl Page {
    /// What every path of the gateway's own begins with.
    pub const PREFIX: &str = "/.auth";

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
    /// Its path.
    pub const fn path(self) -> &'static str {
        Page::Account(self).path()
    }
}

impl AdminPage {
    /// Its path.
    pub const fn path(self) -> &'static str {
        Page::Admin(self).path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_at_its_path_alone() {
        for page in Page::ALL {
            assert_eq!(Page::at(page.path()), Some(*page));
        }
        assert_eq!(Page::at("/.auth/login/"), None);
        assert_eq!(Page::at("/.auth/problems/locked"), Some(Page::Problem));
        assert_eq!(Page::at("/.auth/assets/style.css"), Some(Page::Asset));
        assert_eq!(Page::at("/.auth/problems"), None);
        assert_eq!(Page::at(""), None);
    }
}
