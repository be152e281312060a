//! What a form of `/.auth/admin/account` does.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::account::{self, PageMessage};
use super::template_filters::status_text;
use super::{accounts, query, refusal_of};
use crate::ids::{AccountId, SessionId};
use crate::model::{Account, AccountStatus};
use crate::portal::Portal;
use crate::portal::form_errors::Errors;
use crate::portal::forms::Fields;
use crate::portal::login::{refusal_of_store, unavailable};
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::signed_in::SignedInUser;
use crate::refusal::{Problem, Refusal};
use crate::services::{AccountChange, AccountError, AccountPart, AccountVersion, Actor, LinkError};

#[derive(Serialize)]
struct LinkDocument<'a> {
    link: &'a str,
    expires_at: String,
}

#[derive(Serialize)]
struct EndedDocument {
    ended: usize,
}

impl Portal {
    /// `account`: an id, an address or a username; `action`; `reason`; `version` of the account as it was shown; for "set-groups" `groups`, with commas; for
    /// "end-session" `session`, an id; for "delete" `confirm`.
    pub(super) async fn change_account(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
        by: &Actor,
    ) -> Response<Bytes> {
        let (accounts, name, origin) = (&self.services.accounts, fields.text("account"), context.origin());
        let action = fields.text("action");
        let change = match action {
            "approve" => AccountChange::Approve,
            "decline" => AccountChange::Decline,
            "disable" => AccountChange::Disable,
            "enable" => AccountChange::Enable,
            "unlock" => AccountChange::Unlock,
            "set-groups" => AccountChange::SetGroups(groups(fields.text("groups"))),
            "reset-link" => return self.hand_over(context, user, name, by).await,
            "end-session" | "end-sessions" => return self.end(context, user, fields, by).await,
            "delete" => return self.delete_other(context, user, fields, by).await,
            _ => {
                let errors = self.renderer.unknown_action(context);
                return self.refuse_fields_of(context, user, name, errors).await;
            }
        };
        let seen = AccountVersion::named(fields.text("version"));
        match accounts.change_version(name, seen, change, by, &origin).await {
            Ok(account) if context.wants == ResponseFormat::Json => {
                self.show_account(context, user, account, PageMessage::default())
                    .await
            }
            Ok(account) => self.see_account(context, account.id, action),
            Err(error) => self.refuse_change(context, user, name, &error).await,
        }
    }

    async fn end(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
        by: &Actor,
    ) -> Response<Bytes> {
        let (accounts, name, origin) = (&self.services.accounts, fields.text("account"), context.origin());
        let action = fields.text("action");
        let ended = if action == "end-sessions" {
            accounts.end_sessions(name, by, &origin).await
        } else {
            let Ok(session) = fields.text("session").parse::<SessionId>() else {
                return self
                    .renderer
                    .refuse_visit(context, &Refusal::new(Problem::NotFound));
            };
            accounts.end_session(name, session, by, &origin).await
        };
        match ended {
            Ok((_, ended)) if context.wants == ResponseFormat::Json => {
                self.renderer
                    .json(context, StatusCode::OK, &EndedDocument { ended })
            }
            Ok((account, _)) => self.see_account(context, account, action),
            Err(error) => self.refuse_change(context, user, name, &error).await,
        }
    }

    async fn delete_other(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
        by: &Actor,
    ) -> Response<Bytes> {
        let (accounts, name) = (&self.services.accounts, fields.text("account"));
        if !fields.is_ticked("confirm") {
            let message = self
                .renderer
                .texts
                .get(context.lang, "admin.must-confirm")
                .to_owned();
            let errors = Errors::from([("confirm", message)]);
            return self.refuse_fields_of(context, user, name, errors).await;
        }
        match accounts.delete(name, by, &context.origin()).await {
            Ok(_) if context.wants == ResponseFormat::Json => self.renderer.nothing(context),
            Ok(_) => self
                .renderer
                .see_other(context, &query(accounts::PATH, &[("done", "delete")])),
            Err(error) => self.refuse_change(context, user, name, &error).await,
        }
    }

    fn see_account(&self, context: &RequestContext<'_>, account: AccountId, action: &str) -> Response<Bytes> {
        let id = account.to_string();
        self.renderer
            .see_other(context, &query(account::PATH, &[("id", &id), ("done", action)]))
    }

    async fn hand_over(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        name: &str,
        by: &Actor,
    ) -> Response<Bytes> {
        let account = match self.services.accounts.find(name).await {
            Ok(account) => account,
            Err(error) => return self.renderer.refuse_visit(context, &refusal_of(&error)),
        };
        let links = &self.services.email_tokens;
        let (link, expires_at) = match links.reset_link(&account, by, &context.origin()).await {
            Ok(made) => made,
            Err(LinkError::Store(error)) => {
                return self.renderer.refuse_visit(context, &refusal_of_store(&error));
            }
            Err(error) => {
                return self
                    .renderer
                    .refuse_visit(context, &unavailable(error.to_string()));
            }
        };
        if context.wants == ResponseFormat::Json {
            let document = LinkDocument {
                link: link.expose(),
                expires_at: expires_at.to_string(),
            };
            return self.renderer.json(context, StatusCode::CREATED, &document);
        }
        let message = PageMessage {
            link: Some(&link),
            refused: None,
        };
        self.show_account(context, user, account, message).await
    }

    async fn refuse_change(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        name: &str,
        error: &AccountError,
    ) -> Response<Bytes> {
        let (field, text) = match error {
            AccountError::LastAdministrator => ("action", "admin.last-administrator"),
            AccountError::GroupName(_) | AccountError::TooManyGroups => ("groups", "admin.group-refused"),
            AccountError::Status(_, AccountStatus::Active) => ("action", "admin.refused-active"),
            AccountError::Status(_, AccountStatus::AwaitingApproval) => ("action", "admin.refused-waiting"),
            AccountError::Status(_, AccountStatus::Declined) => ("action", "admin.refused-declined"),
            AccountError::Status(_, AccountStatus::Disabled) => ("action", "admin.refused-disabled"),
            AccountError::Stale(parts, account) => {
                let refused = (
                    Refusal::new(Problem::Conflict),
                    self.renderer.stale(context, parts, account),
                );
                return self.refuse_account(context, user, name, refused).await;
            }
            _ => return self.renderer.refuse_visit(context, &refusal_of(error)),
        };
        let message = self.renderer.texts.get(context.lang, text).to_owned();
        let errors = Errors::from([(field, message)]);
        self.refuse_fields_of(context, user, name, errors).await
    }

    async fn refuse_fields_of(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        name: &str,
        errors: Errors,
    ) -> Response<Bytes> {
        let refused = (Refusal::new(Problem::InvalidInput), errors);
        self.refuse_account(context, user, name, refused).await
    }

    async fn refuse_account(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        name: &str,
        refused: (Refusal, Errors),
    ) -> Response<Bytes> {
        let message = PageMessage {
            link: None,
            refused: Some(refused),
        };
        match self.services.accounts.find(name).await {
            Ok(account) => self.show_account(context, user, account, message).await,
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }
}

impl PageRenderer {
    /// What was changed since a page showed the account, and what it is now.
    fn stale(&self, context: &RequestContext<'_>, parts: &[AccountPart], account: &Account) -> Errors {
        let said = |key: &'static str| self.texts.get(context.lang, key);
        let message = |part: &AccountPart| {
            let (text, value) = match part {
                AccountPart::Email => ("admin.stale-email", account.email.to_string()),
                AccountPart::Status => (
                    "admin.stale-standing",
                    said(status_text(account.standing)).to_owned(),
                ),
                AccountPart::Groups if account.groups.is_empty() => {
                    ("admin.stale-groups", said("account.none").to_owned())
                }
                AccountPart::Groups => {
                    let groups: Vec<&str> = account.groups.iter().map(String::as_str).collect();
                    ("admin.stale-groups", groups.join(", "))
                }
            };
            let message = crate::text::fill(said(text), &[("value", value.as_str())]);
            (part.as_str(), message)
        };
        parts.iter().map(message).collect()
    }

    /// What is wrong with a form that asks for what nobody does.
    pub(super) fn unknown_action(&self, context: &RequestContext<'_>) -> Errors {
        let message = self.texts.get(context.lang, "admin.action-unknown").to_owned();
        Errors::from([("action", message)])
    }
}

/// Groups as they are typed, with commas.
pub(super) fn groups(typed: &str) -> BTreeSet<String> {
    typed
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect()
}
