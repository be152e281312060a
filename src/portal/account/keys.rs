//! `/.auth/account/keys`: what programs prove themselves with.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, SignedInUser};
use crate::model::{AccessKey, AccessKeyId, KeyScope, SecretKey};
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::login::{refusal_of_store, unavailable};
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::refusal::{Problem, Refusal};
use crate::services::{AccessKeyChange, AccessKeyError, AccessKeyInfo, Actor, NewAccessKey};

pub(super) const PATH: &str = "/.auth/account/keys";

/// For how many days a key may be made; 0: until it is revoked.
const DAYS: [u64; 5] = [30, 90, 180, 365, 0];

#[derive(Serialize)]
struct KeysView<'a> {
    keys: Vec<KeyRow>,
    made: Option<CreatedKey<'a>>,
    name: &'a str,
    days: [u64; 5],
    done: String,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct KeyRow {
    access_key: String,
    name: String,
    created: String,
    expires: Option<String>,
    last_used: Option<String>,
    /// "live", "disabled" or "expired".
    state: &'static str,
    limited: bool,
}

/// A key that was made just now, with its secret.
#[derive(Clone, Copy, Serialize)]
pub(in crate::portal) struct CreatedKey<'a> {
    pub(in crate::portal) access_key: &'a str,
    pub(in crate::portal) secret_key: &'a str,
}

/// A key, as its owner's programs read it.
#[derive(Serialize)]
struct KeyDocument<'a> {
    access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<&'a str>,
    name: &'a str,
    created_at: String,
    expires_at: Option<String>,
    disabled: bool,
    scope: &'a KeyScope,
    last_used_at: Option<String>,
}

#[derive(Serialize)]
struct KeyDocuments<'a> {
    keys: Vec<KeyDocument<'a>>,
}

#[derive(Serialize)]
struct RevokedDocument {
    revoked: usize,
}

/// What a form asks for.
enum KeyAction {
    Create,
    RevokeOlder,
    Change(AccessKeyId, AccessKeyChange),
}

impl Portal {
    pub(super) async fn keys_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        self.keys_with(context, user, None, None).await
    }

    /// `change`: "disable", "enable" or "revoke" for `access_key`; "revoke-older" for those older than the password; without it `name` and `days` of a new one.
    pub(super) async fn change_keys(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let Some(asked) = KeyAction::of(&fields) else {
            return self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::NotFound));
        };
        // Whoever finds an open browser may switch a key off, and gets none; whoever has a key does nothing to another.
        let gives = matches!(
            asked,
            KeyAction::Create | KeyAction::Change(_, AccessKeyChange::Enable)
        );
        if (gives || !self.is_trusted(user))
            && let Err(asking) = self
                .require_reauthentication(context, user, AREA.at(PATH), &mut fields)
                .await
        {
            return asking;
        }
        let (id, change) = match asked {
            KeyAction::Create => return self.create_key(context, user, &fields).await,
            KeyAction::RevokeOlder => return self.revoke_older_keys(context, user).await,
            KeyAction::Change(id, change) => (id, change),
        };
        let (owner, origin) = (user.principal.account, context.origin());
        let by = Actor::owner(user.session, None);
        let keys = &self.services.access_keys;
        match keys.change(id, Some(owner), change, &by, &origin).await {
            Ok(key) if context.wants == ResponseFormat::Json => {
                self.renderer
                    .json(context, StatusCode::OK, &KeyDocument::of(&key, None))
            }
            Ok(_) => self.renderer.see_other(context, done(change)),
            Err(error) => self.renderer.refuse_visit(context, &refusal(&error)),
        }
    }

    async fn revoke_older_keys(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let account = match self.services.account_settings.find(user.principal.account).await {
            Ok(account) => account,
            Err(error) => return self.renderer.refuse_visit(context, &super::refusal_of(&error)),
        };
        let (keys, by) = (&self.services.access_keys, Actor::owner(user.session, None));
        match keys.revoke_older(&account, &by, &context.origin()).await {
            Ok(revoked) if context.wants == ResponseFormat::Json => {
                self.renderer
                    .json(context, StatusCode::OK, &RevokedDocument { revoked })
            }
            Ok(_) => self.renderer.see_other(context, "/.auth/account/keys?done=older"),
            Err(error) => self.renderer.refuse_visit(context, &refusal(&error)),
        }
    }

    async fn create_key(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
    ) -> Response<Bytes> {
        let account = match self.services.account_settings.find(user.principal.account).await {
            Ok(account) => account,
            Err(error) => return self.renderer.refuse_visit(context, &super::refusal_of(&error)),
        };
        let Some(ttl) = ttl(fields.text("days")) else {
            return self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::InvalidInput));
        };
        let new = NewAccessKey {
            name: fields.text("name").to_owned(),
            ttl: Some(ttl).filter(|ttl| !ttl.is_zero()),
            scope: KeyScope::default(),
        };
        let keys = &self.services.access_keys;
        let by = Actor::owner(user.session, None);
        match keys.create(&account, new, &by, &context.origin()).await {
            Ok((key, secret)) if context.wants == ResponseFormat::Json => {
                let document = KeyDocument::of(&key, Some(&secret));
                self.renderer.json(context, StatusCode::CREATED, &document)
            }
            Ok((key, secret)) => {
                let created = CreatedKey {
                    access_key: key.id.as_str(),
                    secret_key: secret.expose(),
                };
                self.keys_with(context, user, Some(created), None).await
            }
            Err(error @ (AccessKeyError::Name | AccessKeyError::TooMany(_)))
                if context.wants == ResponseFormat::Html =>
            {
                let refused = Some((fields.text("name"), error));
                self.keys_with(context, user, None, refused).await
            }
            Err(error @ (AccessKeyError::Name | AccessKeyError::TooMany(_))) => {
                let errors = self.renderer.key_errors(context, &error);
                self.renderer.refuse_fields(context, &refusal(&error), errors)
            }
            Err(error) => self.renderer.refuse_visit(context, &refusal(&error)),
        }
    }

    async fn keys_with(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        created: Option<CreatedKey<'_>>,
        refused: Option<(&str, AccessKeyError)>,
    ) -> Response<Bytes> {
        match self.services.access_keys.list(Some(user.principal.account)).await {
            Ok(keys) => self.renderer.own_keys(context, user, &keys, created, refused),
            Err(error) => self
                .renderer
                .refuse_visit(context, &unavailable(error.to_string())),
        }
    }
}

impl PageRenderer {
    /// `refused` is the name that was typed, and why there is no key of it.
    pub(in crate::portal) fn own_keys(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        keys: &[AccessKeyInfo],
        created: Option<CreatedKey<'_>>,
        refused: Option<(&str, AccessKeyError)>,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            let keys = keys.iter().map(|info| KeyDocument::of(&info.key, None)).collect();
            return self.json(context, StatusCode::OK, &KeyDocuments { keys });
        }
        let (name, errors) = refused.map_or(("", Errors::new()), |(name, error)| {
            (name, self.key_errors(context, &error))
        });
        let outcome = if errors.is_empty() {
            ResponseOutcome::from(StatusCode::OK)
        } else {
            Problem::InvalidInput.into()
        };
        let title = self.texts.get(context.lang, "page.required");
        let view = KeysView {
            keys: keys.iter().map(KeyRow::of).collect(),
            made: created,
            name,
            days: DAYS,
            done: context.parameter("done"),
            alert: (!errors.is_empty()).then(|| ErrorSummary::listing(title, &errors, &["name"])),
            errors,
        };
        let place = AREA.at(PATH);
        self.member_page(context, user, place, outcome, "account-keys.html", &view)
    }

    fn key_errors(&self, context: &RequestContext<'_>, error: &AccessKeyError) -> Errors {
        let message = match error {
            AccessKeyError::TooMany(most) => self.texts.count(context.lang, "keys.too-many", *most as u64),
            _ => self.texts.get(context.lang, "keys.name-refused").to_owned(),
        };
        Errors::from([("name", message)])
    }
}

impl KeyAction {
    fn of(fields: &Fields) -> Option<Self> {
        let change = match fields.text("change") {
            "" => return Some(Self::Create),
            "revoke-older" => return Some(Self::RevokeOlder),
            "disable" => AccessKeyChange::Disable,
            "enable" => AccessKeyChange::Enable,
            "revoke" => AccessKeyChange::Revoke,
            _ => return None,
        };
        let id = fields.text("access_key").parse().ok()?;
        Some(Self::Change(id, change))
    }
}

impl KeyRow {
    fn of(info: &AccessKeyInfo) -> Self {
        let key = &info.key;
        Self {
            access_key: key.id.to_string(),
            name: key.name.clone(),
            created: key.created_at.to_string(),
            expires: key.expires_at.map(|end| end.to_string()),
            last_used: key.last_use.as_ref().map(|used| used.at.to_string()),
            state: if key.disabled {
                "disabled"
            } else if info.is_live {
                "live"
            } else {
                "expired"
            },
            limited: key.scope.is_limited(),
        }
    }
}

impl<'a> KeyDocument<'a> {
    fn of(key: &'a AccessKey, secret: Option<&'a SecretKey>) -> Self {
        Self {
            access_key: key.id.as_str(),
            secret_key: secret.map(SecretKey::expose),
            name: &key.name,
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            disabled: key.disabled,
            scope: &key.scope,
            last_used_at: key.last_use.as_ref().map(|used| used.at.to_string()),
        }
    }
}

/// For how long, by the number of days that was sent.
fn ttl(days: &str) -> Option<Duration> {
    let days = if days.is_empty() {
        0
    } else {
        days.parse::<u16>().ok()?
    };
    Some(Duration::from_hours(24 * u64::from(days)))
}

fn done(change: AccessKeyChange) -> &'static str {
    match change {
        AccessKeyChange::Disable => "/.auth/account/keys?done=disabled",
        AccessKeyChange::Enable => "/.auth/account/keys?done=enabled",
        AccessKeyChange::Revoke => "/.auth/account/keys?done=revoked",
    }
}

fn refusal(error: &AccessKeyError) -> Refusal {
    match error {
        AccessKeyError::NotFound(_) => Refusal::new(Problem::NotFound),
        AccessKeyError::TooMany(_) | AccessKeyError::Name => Refusal::new(Problem::InvalidInput),
        AccessKeyError::TooOften(error) => super::too_often(error),
        AccessKeyError::NoAccount => Refusal::new(Problem::NotAuthenticated),
        AccessKeyError::Store(error) => refusal_of_store(error),
        AccessKeyError::SecretCipher(_) => unavailable(error.to_string()),
    }
}
