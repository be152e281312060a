//! `/.auth/account` and below: account self-service. One file a page.

pub(super) mod activity;
pub(super) mod delete;
pub(super) mod email;
pub(super) mod keys;
pub(super) mod language;
pub(super) mod password;
pub(super) mod profile;
pub(super) mod sessions;
pub(super) mod username;

use super::form_errors::{Errors, FormRefusal};
use super::forms::Fields;
use super::login;
use super::page_context::{PageError, PageResult, SignedInContext, refusal_of_store, unavailable};
use super::reauthenticate::{CURRENT_PASSWORD, proof_refusal, proof_required};
use super::request_context::RequestContext;
use super::response::with_query;
use super::signed_in::{NavItem, NavSection};
use crate::model::Account;
use crate::refusal::{Hint, Problem, Refusal};
use crate::route::{AccountPage, Page};
use crate::secret::Secret;
use crate::services::{
    AccountSettingsError, Event, Kind, LONGEST_NAME, MOST_FORMER_USERNAMES, SignUpField, TooManyChanges,
};
use crate::text::fill;

static NAV: NavSection = NavSection {
    title: "account.nav",
    pages: &[
        (Page::Account(AccountPage::Profile), "account.nav-profile"),
        (Page::Account(AccountPage::Email), "account.nav-email"),
        (Page::Account(AccountPage::Username), "account.nav-username"),
        (Page::Account(AccountPage::Password), "account.nav-password"),
        (Page::Account(AccountPage::Sessions), "account.nav-sessions"),
        (Page::Account(AccountPage::Keys), "account.nav-keys"),
        (Page::Account(AccountPage::Activity), "account.nav-activity"),
        (Page::Account(AccountPage::Language), "account.nav-language"),
        (Page::Account(AccountPage::Delete), "account.nav-delete"),
    ],
};

/// Calls the page's `get`, or its `post` with the form's fields. An act of which it is not known whether it was done leaves an
/// event that says so.
pub(super) async fn dispatch(
    page: AccountPage,
    cx: &SignedInContext<'_>,
    fields: Option<Fields>,
) -> PageResult {
    let kind = fields.as_ref().and_then(|fields| audit_kind(page, fields));
    let response = respond(page, cx, fields)
        .await
        .unwrap_or_else(|error| error.into_response(cx));
    if let (Some(kind), Some(Problem::Unavailable)) = (kind, response.extensions().get::<Problem>()) {
        let who = &cx.user.principal;
        let event = Event::failure(kind, who.email.as_str(), Problem::Unavailable.slug());
        cx.services.audit.note(&cx.origin(), &event.account(who.account));
    }
    Ok(response)
}

/// The kind of the event of a form; `None` if it changes nothing of the account.
fn audit_kind(page: AccountPage, fields: &Fields) -> Option<Kind> {
    Some(match page {
        AccountPage::Profile => Kind::NameChange,
        AccountPage::Email if email::cancels(fields) => Kind::EmailChangeCancel,
        AccountPage::Email => Kind::EmailChangeRequest,
        AccountPage::Username => Kind::UsernameChange,
        AccountPage::Password => Kind::PasswordChange,
        AccountPage::Sessions => Kind::SessionEnd,
        AccountPage::Keys => keys::audit_kind(fields),
        AccountPage::Language => Kind::LanguageChange,
        AccountPage::Delete => Kind::AccountDelete,
        AccountPage::Activity => return None,
    })
}

async fn respond(page: AccountPage, cx: &SignedInContext<'_>, fields: Option<Fields>) -> PageResult {
    match (page, fields) {
        (AccountPage::Profile, None) => profile::get(cx).await,
        (AccountPage::Profile, Some(fields)) => profile::post(cx, &fields).await,
        (AccountPage::Email, None) => email::get(cx).await,
        (AccountPage::Email, Some(fields)) => email::post(cx, fields).await,
        (AccountPage::Username, _) if !cx.renderer.login.change_username => Err(Problem::NotFound.into()),
        (AccountPage::Username, None) => username::get(cx).await,
        (AccountPage::Username, Some(fields)) => username::post(cx, fields).await,
        (AccountPage::Password, None) => Ok(password::get(cx)),
        (AccountPage::Password, Some(fields)) => Ok(password::post(cx, fields).await),
        (AccountPage::Sessions, None) => sessions::get(cx),
        (AccountPage::Sessions, Some(fields)) => sessions::post(cx, fields).await,
        (AccountPage::Keys, _) if !cx.renderer.login.iam => Err(Problem::IamDisabled.into()),
        (AccountPage::Keys, None) => keys::get(cx).await,
        (AccountPage::Keys, Some(fields)) => keys::post(cx, fields).await,
        (AccountPage::Activity, None) => activity::get(cx).await,
        // The route refuses this method before.
        (AccountPage::Activity, Some(_)) => Err(Problem::MethodNotAllowed.into()),
        (AccountPage::Language, None) => language::get(cx).await,
        (AccountPage::Language, Some(fields)) => language::post(cx, &fields).await,
        (AccountPage::Delete, None) => Ok(delete::get(cx)),
        (AccountPage::Delete, Some(fields)) => Ok(delete::post(cx, fields).await),
    }
}

/// The page's place in the navigation.
const fn place(page: AccountPage) -> NavItem {
    NAV.at(Page::Account(page))
}

/// The page's URL, with what was done.
fn done(page: AccountPage, what: &str) -> String {
    with_query(page.path(), &[("done", what)])
}

async fn find_account(cx: &SignedInContext<'_>) -> Result<Account, PageError> {
    let found = cx.services.account_settings.find(cx.user.principal.account);
    Ok(found.await?)
}

/// Runs a change that takes the current password; refuses an empty one before a service is called.
async fn submit_form<T>(
    cx: &RequestContext<'_>,
    password: &Secret<String>,
    change: impl Future<Output = Result<T, AccountSettingsError>>,
) -> Result<T, FormRefusal> {
    if password.expose().is_empty() {
        return Err(proof_required(cx));
    }
    change.await.map_err(|error| form_refusal(cx, error))
}

/// Turns an error into messages of fields, or a refusal of the whole form.
pub(super) fn form_refusal(cx: &RequestContext<'_>, error: AccountSettingsError) -> FormRefusal {
    let counted = |field, text, most: usize| {
        let message = fill(cx.text(text), &[("count", &most.to_string())]);
        Errors::from([(field, message)])
    };
    let errors = match error {
        AccountSettingsError::NotProved(error) => return proof_refusal(cx, &error),
        AccountSettingsError::Password(faults) => cx.messages(&faults),
        AccountSettingsError::Email(fault) => cx.messages(&[(SignUpField::Email, fault)]),
        AccountSettingsError::Username(fault) => cx.messages(&[(SignUpField::Username, fault)]),
        AccountSettingsError::TooManyUsernames => {
            counted("username", "account.username-too-many", MOST_FORMER_USERNAMES)
        }
        AccountSettingsError::Name => counted("name", "account.name-refused", LONGEST_NAME),
        AccountSettingsError::LastAdministrator => {
            cx.field_error(CURRENT_PASSWORD, "account.last-administrator")
        }
        error => return refusal_of(&error).into(),
    };
    errors.into()
}

impl From<AccountSettingsError> for PageError {
    fn from(error: AccountSettingsError) -> Self {
        refusal_of(&error).into()
    }
}

/// The refusal for an error that no field explains.
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
        AccountSettingsError::NotProved(error) => login::refusal_of(error),
        AccountSettingsError::Store(error) => refusal_of_store(error),
        AccountSettingsError::Busy => unavailable(error.to_string()),
    }
}

/// The refusal of an owner who changes the account too often.
fn too_often(TooManyChanges { wait }: &TooManyChanges) -> Refusal {
    Refusal::new(Problem::RateLimited)
        .hinting(Hint::ChangedOften)
        .retry_after(*wait)
}
