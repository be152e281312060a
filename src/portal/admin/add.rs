//! `/.auth/admin/accounts/new`: adds an account.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::account;
use super::change::{groups, refusal_of};
use super::{ActDone, place, suggested_groups};
use crate::api::AddedAccount;
use crate::model::{Email, Username};
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageError, PageResult, SignedInContext, unavailable};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::signed_in::SignedInRequest;
use crate::route::AdminPage;
use crate::services::{AccountError, Actor, InitialPassword, NewAccount, PasswordLink};

/// The fields of the form, in their order.
const ORDER: &[&str] = &["email", "username", "name", "groups"];

/// The form, as typed.
#[derive(Default, Serialize)]
pub(in crate::portal) struct AddForm {
    pub(in crate::portal) email: String,
    pub(in crate::portal) username: String,
    pub(in crate::portal) name: String,
    pub(in crate::portal) groups: String,
    pub(in crate::portal) reason: String,
    /// Whether the link is to be mailed.
    pub(in crate::portal) send: bool,
    /// Whether mails can be delivered.
    pub(in crate::portal) can_send: bool,
}

/// What a program may ask for.
#[derive(Serialize)]
struct AddOptions {
    can_send: bool,
}

#[derive(Serialize)]
struct AddView<'a> {
    form: &'a AddForm,
    /// The names of groups, as suggestions.
    groups: &'a [String],
    errors: Errors,
    alert: Option<ErrorSummary>,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let can_send = cx.services.mailer.reaches_people();
    if cx.wants_json() {
        return Ok(cx.json(StatusCode::OK, &AddOptions { can_send }));
    }
    let form = AddForm {
        send: can_send,
        can_send,
        ..AddForm::default()
    };
    Ok(page(cx, &form, &suggested_groups(cx).await?, None))
}

/// Fields: `email`, `username` (made of the address if empty), `name`, `groups` separated by commas, `send` to
/// mail the link that sets the password, which is shown otherwise; `reason`.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let send = fields.is_ticked("send");
    let new = match read(cx, fields, send) {
        Ok(new) => new,
        Err(errors) => return refuse(cx, fields, errors.into()).await,
    };
    let account = match cx.services.accounts.add(new, by, &cx.origin()).await {
        Ok(account) => account,
        Err(error) => return refuse(cx, fields, refused(cx, error)?).await,
    };
    if send {
        let to = with_query(
            AdminPage::Account.path(),
            &[("id", &account.id.to_string()), ("done", "add")],
        );
        let added = AddedAccount {
            account: account.into(),
            link: None,
            link_expires_at: None,
        };
        return Ok(cx.json_or_see_other(StatusCode::CREATED, &added, &to));
    }
    let links = &cx.services.email_tokens;
    let (link, expires_at) = match links.reset_link(&account, by, &cx.origin()).await {
        Ok(made) => made,
        Err(error) => {
            let mut response = cx.refuse(&unavailable(format!("the account is added, but {error}")));
            response.extensions_mut().insert(ActDone);
            return Ok(response);
        }
    };
    if cx.wants_json() {
        let added = AddedAccount {
            account: account.into(),
            link: Some(link.expose().to_owned()),
            link_expires_at: Some(expires_at),
        };
        return Ok(cx.json(StatusCode::CREATED, &added));
    }
    Ok(account::see_link(cx, account.id, "add-link", link))
}

fn read(cx: &SignedInContext<'_>, fields: &Fields, send: bool) -> Result<NewAccount, Errors> {
    let mut errors = Errors::new();
    let (email, username) = (fields.text("email").trim(), fields.text("username").trim());
    let email = email.parse::<Email>();
    if email.is_err() {
        errors.extend(cx.field_error("email", "field.email-malformed"));
    }
    let username = match username {
        "" => None,
        username => {
            let username = username.parse::<Username>().ok();
            if username.is_none() {
                errors.extend(cx.field_error("username", "field.username-characters"));
            }
            username
        }
    };
    match email {
        Ok(email) if errors.is_empty() => Ok(NewAccount {
            email,
            username,
            name: Some(fields.text("name").to_owned()),
            groups: groups(fields.text("groups")),
            password: InitialPassword::ByLink(if send {
                PasswordLink::Mailed
            } else {
                PasswordLink::HandedOver
            }),
        }),
        _ => Err(errors),
    }
}

/// The refusal of a field, or of the whole.
fn refused(cx: &SignedInContext<'_>, error: AccountError) -> Result<FormRefusal, PageError> {
    let field = match &error {
        AccountError::NoUsername(_) => cx.field_error("username", "admin.username-needed"),
        AccountError::UsernameTaken(_) | AccountError::UsernameReserved(_) => {
            cx.field_error("username", "field.username-taken")
        }
        _ => return refusal_of(cx, error),
    };
    Ok(field.into())
}

async fn refuse(cx: &SignedInContext<'_>, fields: &Fields, refused: FormRefusal) -> PageResult {
    let typed = |name: &str| fields.text(name).to_owned();
    let form = AddForm {
        email: typed("email"),
        username: typed("username"),
        name: typed("name"),
        groups: typed("groups"),
        reason: typed("reason"),
        send: fields.is_ticked("send"),
        can_send: cx.services.mailer.reaches_people(),
    };
    Ok(page(cx, &form, &suggested_groups(cx).await?, Some(refused)))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    form: &AddForm,
    groups: &[String],
    refused: Option<FormRefusal>,
) -> Response<Bytes> {
    let mut view = AddView {
        form,
        groups,
        errors: Errors::new(),
        alert: None,
    };
    match refused {
        None => render(cx, StatusCode::OK, &view),
        Some(refused) => cx.refuse_form(refused, ORDER, |problem, errors, alert| {
            view.errors = errors;
            view.alert = Some(alert);
            render(cx, problem, &view)
        }),
    }
}

fn render(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &AddView<'_>,
) -> Response<Bytes> {
    let place = place(AdminPage::AddAccount);
    cx.page_with_nav(place, outcome, "admin-account-add.html", view)
}
