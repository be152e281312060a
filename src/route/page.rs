//! The gateway's own pages, and their paths below `/.auth` on every configured host.

use super::backendai_session::BackendAiSession;

/// One of the gateway's own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/.auth/login`
    Login,
    /// `/.auth/login/iam`: sign-in with an access key.
    LoginIam,
    /// `/.auth/logout`
    Logout,
    /// `/.auth/signup`
    SignUp,
    /// `/.auth/signup/done`: what happens next after sign-up.
    SignUpDone,
    /// `/.auth/verify`: verifies an e-mail address by a link.
    Verify,
    /// `/.auth/forgot`: requests a link to reset the password.
    Forgot,
    /// `/.auth/forgot/done`: what happens next.
    ForgotDone,
    /// `/.auth/reset`: sets a new password by a link.
    Reset,
    /// `/.auth/me`
    Me,
    /// `/.auth/problems/<slug>`: explains a kind of refusal.
    Problem,
    /// `/.auth/assets/<name>`: stylesheet, logo, icon.
    Asset,
    /// `/.auth/account` and below: self-service.
    Account(AccountPage),
    /// `/.auth/admin` and below: administration.
    Admin(AdminPage),
    /// A page of Backend.AI's session mode, below a route's path.
    SessionForm(BackendAiPage),
}

/// Whether a POST to this path may change something here. Pages have one spelling each.
pub fn may_change(path: &str) -> bool {
    path.starts_with(Page::PREFIX) || BackendAiSession::may_act(path)
}

/// A page of Backend.AI's session mode; only for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendAiPage {
    /// `server/login`
    Login,
    /// `server/login-check`: whether the session is valid.
    LoginCheck,
    /// `server/logout`
    Logout,
}

/// A page of the user's own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountPage {
    /// `/.auth/account`: the profile.
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
    /// `/.auth/account/activity`: recent sign-ins and attempts.
    Activity,
    /// `/.auth/account/language`
    Language,
    /// `/.auth/account/delete`
    Delete,
}

/// A page for administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminPage {
    /// `/.auth/admin`: open tasks.
    Overview,
    /// `/.auth/admin/accounts`: the list of accounts.
    Accounts,
    /// `/.auth/admin/accounts/new`: adds an account.
    AddAccount,
    /// `/.auth/admin/account`: one account.
    Account,
    /// `/.auth/admin/sessions`: the live sessions.
    Sessions,
    /// `/.auth/admin/groups`: the groups, with what they open.
    Groups,
    /// `/.auth/admin/invitations`
    Invitations,
    /// `/.auth/admin/audit`: the audit log.
    Audit,
    /// `/.auth/admin/request`: what happened to a past request.
    Request,
    /// `/.auth/admin/locks`
    Locks,
    /// `/.auth/admin/mails`: queued mails.
    Mails,
}

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Any visitor.
    Everybody,
    /// Signed-in users.
    SignedIn,
    /// Members of the administrators' group.
    Administrators,
}

/// Defines the mapping between pages and paths, in both directions, by one table.
macro_rules! paths {
    ($($path:literal => $($page:tt)::+ $(($($below:tt)::+))?,)*) => {
        impl Page {
            /// Every page below [`Self::PREFIX`].
            pub const ALL: &[Self] = &[$($($page)::+ $(($($below)::+))?,)*];

            /// Returns the page at a path.
            pub fn at(path: &str) -> Option<Self> {
                Some(match path {
                    $($path => $($page)::+ $(($($below)::+))?,)*
                    _ if path.starts_with(Self::Problem.path()) => Self::Problem,
                    _ if path.starts_with(Self::Asset.path()) => Self::Asset,
                    _ => return None,
                })
            }

            /// Returns its path; for problems and assets, the prefix of their paths. Empty for
            /// [`Self::SessionForm`].
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
    "/.auth/admin/accounts/new" => Self::Admin(AdminPage::AddAccount),
    "/.auth/admin/account" => Self::Admin(AdminPage::Account),
    "/.auth/admin/sessions" => Self::Admin(AdminPage::Sessions),
    "/.auth/admin/groups" => Self::Admin(AdminPage::Groups),
    "/.auth/admin/invitations" => Self::Admin(AdminPage::Invitations),
    "/.auth/admin/audit" => Self::Admin(AdminPage::Audit),
    "/.auth/admin/request" => Self::Admin(AdminPage::Request),
    "/.auth/admin/locks" => Self::Admin(AdminPage::Locks),
    "/.auth/admin/mails" => Self::Admin(AdminPage::Mails),
}

impl Page {
    /// The prefix of all paths of the gateway.
    pub const PREFIX: &str = "/.auth";

    /// Returns its methods, apart from OPTIONS.
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
            // Pages that only show something take POST too, for the password when it must be confirmed.
            | Self::Admin(_) => &["GET", "HEAD", "POST"],
            Self::SessionForm(_) => &["POST"],
        }
    }

    /// Whether its URL or form carries a token (S25).
    pub fn carries_token(self) -> bool {
        matches!(self, Self::Verify | Self::Reset)
    }

    /// Returns who may see it.
    pub fn audience(self) -> Audience {
        match self {
            Self::Account(_) => Audience::SignedIn,
            Self::Admin(_) => Audience::Administrators,
            _ => Audience::Everybody,
        }
    }
}

impl AccountPage {
    /// Returns its path.
    pub const fn path(self) -> &'static str {
        Page::Account(self).path()
    }
}

impl AdminPage {
    /// Returns its path.
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
