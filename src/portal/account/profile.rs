//! `/.auth/account`: who I am, and what to call me.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, SignedInUser, refusal_of};
use crate::model::{AccessKey, Account, Agreement, Username};
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::login::refusal_of_store;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::refusal::{Problem, Refusal};
use crate::services::{AccountSettingsError, LONGEST_NAME};

const PATH: &str = "/.auth/account";

/// An account, as its owner reads it.
#[derive(Serialize)]
pub(in crate::portal) struct Profile<'a> {
    id: String,
    username: &'a str,
    former_usernames: &'a [Username],
    email: &'a str,
    email_verified: bool,
    pending_email: Option<PendingAddress<'a>>,
    name: &'a str,
    groups: &'a BTreeSet<String>,
    language: Option<&'a str>,
    created_at: String,
    password_changed_at: String,
    agreements: &'a [Agreement],
}

/// An address that the account moves to once that is confirmed.
#[derive(Serialize)]
pub(super) struct PendingAddress<'a> {
    email: &'a str,
    since: String,
}

/// An access key that is older than the password.
#[derive(Serialize)]
struct OlderKey<'a> {
    access_key: &'a str,
    name: &'a str,
}

/// The page, as programs read it.
#[derive(Serialize)]
struct ProfileDocument<'a> {
    #[serde(flatten)]
    account: Profile<'a>,
    older_access_keys: Vec<OlderKey<'a>>,
}

#[derive(Serialize)]
struct ProfileView<'a> {
    account: Profile<'a>,
    /// As it was typed.
    name: &'a str,
    agreed: Option<(String, &'a str)>,
    older_keys: Vec<OlderKey<'a>>,
    saved: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

impl<'a> Profile<'a> {
    pub(super) fn of(account: &'a Account) -> Self {
        Self {
            id: account.id.to_string(),
            username: account.username.as_str(),
            former_usernames: &account.former_usernames,
            email: account.email.as_str(),
            email_verified: account.email_verified,
            pending_email: PendingAddress::of(account),
            name: account.name.as_deref().unwrap_or_default(),
            groups: &account.groups,
            language: account.language.as_deref(),
            created_at: account.created_at.to_string(),
            password_changed_at: account.password_changed_at.to_string(),
            agreements: &account.agreements,
        }
    }
}

impl<'a> PendingAddress<'a> {
    pub(super) fn of(account: &'a Account) -> Option<Self> {
        account.pending_email.as_ref().map(|pending| Self {
            email: pending.email.as_str(),
            since: pending.since.to_string(),
        })
    }
}

impl<'a> OlderKey<'a> {
    fn of(key: &'a AccessKey) -> Self {
        Self {
            access_key: key.id.as_str(),
            name: &key.name,
        }
    }
}

impl Portal {
    pub(super) async fn profile_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        self.profile_with(context, user, None).await
    }

    /// `refused` is a name that was typed and cannot be one.
    async fn profile_with(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        refused: Option<&str>,
    ) -> Response<Bytes> {
        let account = match self.services.account_settings.find(user.principal.account).await {
            Ok(account) => account,
            Err(error) => return self.renderer.refuse_visit(context, &refusal_of(&error)),
        };
        let older_keys = if self.renderer.login.iam {
            self.services.access_keys.older_than_password(&account).await
        } else {
            Ok(Vec::new())
        };
        match older_keys {
            Ok(keys) => self.renderer.profile(context, user, &account, &keys, refused),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of_store(&error)),
        }
    }

    /// `name`
    pub(super) async fn change_name(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
    ) -> Response<Bytes> {
        let (own, name) = (&self.services.account_settings, fields.text("name"));
        match own.change_name(user.session, name, &context.origin()).await {
            Ok(account) if context.wants == ResponseFormat::Json => {
                self.renderer
                    .json(context, StatusCode::OK, &Profile::of(&account))
            }
            Ok(_) => self.renderer.see_other(context, "/.auth/account?done=name"),
            Err(AccountSettingsError::Name) if context.wants == ResponseFormat::Html => {
                self.profile_with(context, user, Some(name)).await
            }
            Err(AccountSettingsError::Name) => {
                let refusal = Refusal::new(Problem::InvalidInput);
                self.renderer
                    .refuse_fields(context, &refusal, self.renderer.name_errors(context))
            }
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }
}

impl PageRenderer {
    /// `refused` is a name that was typed and cannot be one.
    pub(in crate::portal) fn profile(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        account: &Account,
        older_keys: &[AccessKey],
        refused: Option<&str>,
    ) -> Response<Bytes> {
        let older_keys = older_keys.iter().map(OlderKey::of).collect();
        if context.wants == ResponseFormat::Json {
            let document = ProfileDocument {
                account: Profile::of(account),
                older_access_keys: older_keys,
            };
            return self.json(context, StatusCode::OK, &document);
        }
        let errors = refused.map_or_else(Errors::new, |_| self.name_errors(context));
        let alert = refused.is_some().then(|| {
            ErrorSummary::listing(self.texts.get(context.lang, "page.required"), &errors, &["name"])
        });
        let outcome = if refused.is_some() {
            ResponseOutcome::from(Problem::InvalidInput)
        } else {
            StatusCode::OK.into()
        };
        let view = ProfileView {
            name: refused.or(account.name.as_deref()).unwrap_or_default(),
            agreed: account
                .agreements
                .last()
                .map(|agreement| (agreement.at.to_string(), agreement.version.as_str())),
            account: Profile::of(account),
            older_keys,
            saved: matches!(context.parameter("done").as_str(), "name" | "email"),
            errors,
            alert,
        };
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            outcome,
            "account-profile.html",
            &view,
        )
    }

    fn name_errors(&self, context: &RequestContext<'_>) -> Errors {
        let text = self.texts.get(context.lang, "account.name-refused");
        let longest = LONGEST_NAME.to_string();
        Errors::from([("name", crate::text::fill(text, &[("count", &longest)]))])
    }
}
