//! `/.auth/account` and below: what people do with their own account. One file a page.

mod activity;
mod delete;
mod email;
mod keys;
mod language;
mod password;
mod profile;
mod sessions;
mod username;

use bytes::Bytes;
use http::Response;

#[cfg(test)]
pub(super) use keys::CreatedKey;

use super::Portal;
use super::forms::Fields;
use super::login::{refusal_of_store, unavailable};
use super::request_context::RequestContext;
use super::signed_in::{NavSection, SignedInUser};
use crate::refusal::{Hint, Problem, Refusal};
use crate::route::AccountPage;
use crate::services::{AccountSettingsError, TooManyChanges};

/// The page that is there with `login.iam` only.
pub(super) const KEYS: &str = keys::PATH;

/// The page that is there with `login.change_username` only.
pub(super) const USERNAME: &str = username::PATH;

static AREA: NavSection = NavSection {
    title: "account.nav",
    pages: &[
        ("/.auth/account", "account.nav-profile"),
        ("/.auth/account/email", "account.nav-email"),
        (USERNAME, "account.nav-username"),
        ("/.auth/account/password", "account.nav-password"),
        ("/.auth/account/sessions", "account.nav-sessions"),
        (KEYS, "account.nav-keys"),
        ("/.auth/account/activity", "account.nav-activity"),
        ("/.auth/account/language", "account.nav-language"),
        ("/.auth/account/delete", "account.nav-delete"),
    ],
};

impl Portal {
    /// A page of one's own account; `fields` are those of a form that was sent.
    pub(super) async fn account(
        &self,
        page: AccountPage,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: Option<Fields>,
    ) -> Response<Bytes> {
        match (page, fields) {
            (AccountPage::Keys, _) if !self.renderer.login.iam => self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::IamDisabled)),
            (AccountPage::Keys, None) => self.keys_page(context, user).await,
            (AccountPage::Keys, Some(fields)) => self.change_keys(context, user, fields).await,
            (AccountPage::Profile, None) => self.profile_page(context, user).await,
            (AccountPage::Profile, Some(fields)) => self.change_name(context, user, &fields).await,
            (AccountPage::Email, None) => self.email_page(context, user).await,
            (AccountPage::Email, Some(fields)) => self.change_email(context, user, fields).await,
            (AccountPage::Username, _) if !self.renderer.login.change_username => self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::NotFound)),
            (AccountPage::Username, None) => self.username_page(context, user).await,
            (AccountPage::Username, Some(fields)) => self.change_username(context, user, fields).await,
            (AccountPage::Password, None) => self.renderer.password_page(context, user),
            (AccountPage::Password, Some(fields)) => self.change_password(context, user, fields).await,
            (AccountPage::Sessions, None) => self.sessions_page(context, user),
            (AccountPage::Sessions, Some(fields)) => self.end_sessions(context, user, fields).await,
            (AccountPage::Activity, None) => self.activity_page(context, user).await,
            (AccountPage::Language, None) => self.language_page(context, user).await,
            (AccountPage::Language, Some(fields)) => self.change_language(context, user, &fields).await,
            (AccountPage::Delete, None) => self.renderer.delete_page(context, user),
            (AccountPage::Delete, Some(fields)) => self.delete_account(context, user, fields).await,
            // The route lets no form get there.
            (AccountPage::Activity, Some(_)) => self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::MethodNotAllowed)),
        }
    }
}

/// What is answered where no field is to blame.
fn refusal_of(error: &AccountSettingsError) -> Refusal {
    match error {
        AccountSettingsError::Password(_)
        | AccountSettingsError::Email(_)
        | AccountSettingsError::Username(_)
        | AccountSettingsError::TooManyUsernames
        | AccountSettingsError::Name
        | AccountSettingsError::LastAdministrator => Refusal::new(Problem::InvalidInput),
        AccountSettingsError::TooOften(error) => too_often(error),
        AccountSettingsError::UsernameFixed => Refusal::new(Problem::NotFound),
        AccountSettingsError::Gone => Refusal::new(Problem::NotAuthenticated),
        AccountSettingsError::NotProved(error) => super::login::refusal_of(error),
        AccountSettingsError::Store(error) => refusal_of_store(error),
        AccountSettingsError::Busy => unavailable(error.to_string()),
    }
}

/// What is answered to whoever changes their account more often than anybody needs to.
fn too_often(TooManyChanges { wait }: &TooManyChanges) -> Refusal {
    Refusal::new(Problem::RateLimited)
        .hinting(Hint::ChangedOften)
        .retry_after(*wait)
}
