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
pub(super) use keys::Made;

use super::Portal;
use super::forms::Fields;
use super::login::{refusal_of_store, unavailable};
use super::member::{Area, Member};
use super::visit::Visit;
use crate::refusal::{Hint, Problem, Refusal};
use crate::route::AccountPage;
use crate::services::{OwnAccountError, TooManyChanges};

/// The page that is there with `login.iam` only.
pub(super) const KEYS: &str = keys::PATH;

/// The page that is there with `login.change_username` only.
pub(super) const USERNAME: &str = username::PATH;

static AREA: Area = Area {
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
        visit: &Visit<'_>,
        member: Member<'_>,
        fields: Option<Fields>,
    ) -> Response<Bytes> {
        match (page, fields) {
            (AccountPage::Keys, _) if !self.site.login.iam => {
                self.site.refuse_visit(visit, &Refusal::new(Problem::IamDisabled))
            }
            (AccountPage::Keys, None) => self.keys_page(visit, member).await,
            (AccountPage::Keys, Some(fields)) => self.change_keys(visit, member, fields).await,
            (AccountPage::Profile, None) => self.profile_page(visit, member).await,
            (AccountPage::Profile, Some(fields)) => self.change_name(visit, member, &fields).await,
            (AccountPage::Email, None) => self.email_page(visit, member).await,
            (AccountPage::Email, Some(fields)) => self.change_email(visit, member, fields).await,
            (AccountPage::Username, _) if !self.site.login.change_username => {
                self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound))
            }
            (AccountPage::Username, None) => self.username_page(visit, member).await,
            (AccountPage::Username, Some(fields)) => self.change_username(visit, member, fields).await,
            (AccountPage::Password, None) => self.site.password_page(visit, member),
            (AccountPage::Password, Some(fields)) => self.change_password(visit, member, fields).await,
            (AccountPage::Sessions, None) => self.sessions_page(visit, member),
            (AccountPage::Sessions, Some(fields)) => self.end_sessions(visit, member, fields).await,
            (AccountPage::Activity, None) => self.activity_page(visit, member).await,
            (AccountPage::Language, None) => self.language_page(visit, member).await,
            (AccountPage::Language, Some(fields)) => self.change_language(visit, member, &fields).await,
            (AccountPage::Delete, None) => self.site.delete_page(visit, member),
            (AccountPage::Delete, Some(fields)) => self.delete_account(visit, member, fields).await,
            // The route lets no form get there.
            (AccountPage::Activity, Some(_)) => self
                .site
                .refuse_visit(visit, &Refusal::new(Problem::MethodNotAllowed)),
        }
    }
}

/// What is answered where no field is to blame.
fn refusal_of(error: &OwnAccountError) -> Refusal {
    match error {
        OwnAccountError::Password(_)
        | OwnAccountError::Email(_)
        | OwnAccountError::Username(_)
        | OwnAccountError::TooManyUsernames
        | OwnAccountError::Name
        | OwnAccountError::LastAdministrator => Refusal::new(Problem::InvalidInput),
        OwnAccountError::TooOften(error) => too_often(error),
        OwnAccountError::UsernameFixed => Refusal::new(Problem::NotFound),
        OwnAccountError::Gone => Refusal::new(Problem::NotAuthenticated),
        OwnAccountError::NotProved(error) => super::login::refusal_of(error),
        OwnAccountError::Store(error) => refusal_of_store(error),
        OwnAccountError::Busy => unavailable(error.to_string()),
    }
}

/// What is answered to whoever changes their account more often than anybody needs to.
fn too_often(TooManyChanges { wait }: &TooManyChanges) -> Refusal {
    Refusal::new(Problem::RateLimited)
        .hinting(Hint::ChangedOften)
        .retry_after(*wait)
}
