//! `/.auth/account/keys`: what programs prove themselves with.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, Member};
use crate::model::{AccessKey, AccessKeyId, KeyScope, SecretKey};
use crate::portal::Portal;
use crate::portal::alert::{Alert, Errors};
use crate::portal::forms::Fields;
use crate::portal::login::{refusal_of_store, unavailable};
use crate::portal::render::Outcome;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::{AccessKeyChange, AccessKeyError, AccessKeyInfo, Actor, NewAccessKey};

pub(super) const PATH: &str = "/.auth/account/keys";

/// For how many days a key may be made; 0: until it is revoked.
const DAYS: [u64; 5] = [30, 90, 180, 365, 0];

#[derive(Serialize)]
struct KeysView<'a> {
    keys: Vec<Row>,
    made: Option<Made<'a>>,
    name: &'a str,
    days: [u64; 5],
    done: String,
    errors: Errors,
    alert: Option<Alert>,
}

#[derive(Serialize)]
struct Row {
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
pub(in crate::portal) struct Made<'a> {
    pub(in crate::portal) access_key: &'a str,
    pub(in crate::portal) secret_key: &'a str,
}

/// A key, as its owner's programs read it.
#[derive(Serialize)]
struct Document<'a> {
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
struct Documents<'a> {
    keys: Vec<Document<'a>>,
}

#[derive(Serialize)]
struct Revoked {
    revoked: usize,
}

/// What a form asks for.
enum Asked {
    Create,
    RevokeOlder,
    Change(AccessKeyId, AccessKeyChange),
}

impl Portal {
    pub(super) async fn keys_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        self.keys_with(visit, member, None, None).await
    }

    /// `change`: "disable", "enable" or "revoke" for `access_key`; "revoke-older" for those older than the password; without it `name` and `days` of a new one.
    pub(super) async fn change_keys(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let Some(asked) = Asked::of(&fields) else {
            return self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound));
        };
        // Whoever finds an open browser may switch a key off, and gets none.
        let gives = matches!(asked, Asked::Create | Asked::Change(_, AccessKeyChange::Enable));
        if gives
            && let Err(asking) = self
                .require_proof(visit, member, AREA.at(PATH), &mut fields)
                .await
        {
            return asking;
        }
        let (id, change) = match asked {
            Asked::Create => return self.create_key(visit, member, &fields).await,
            Asked::RevokeOlder => return self.revoke_older_keys(visit, member).await,
            Asked::Change(id, change) => (id, change),
        };
        let (owner, origin) = (member.principal.account, visit.origin());
        let by = Actor::owner(member.session, None);
        let keys = &self.services.access_keys;
        match keys.change(id, Some(owner), change, &by, &origin).await {
            Ok(key) if visit.wants == Wants::Json => {
                self.site.json(visit, StatusCode::OK, &Document::of(&key, None))
            }
            Ok(_) => self.site.see_other(visit, done(change)),
            Err(error) => self.site.refuse_visit(visit, &refusal(&error)),
        }
    }

    async fn revoke_older_keys(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let account = match self.services.own_account.find(member.principal.account).await {
            Ok(account) => account,
            Err(error) => return self.site.refuse_visit(visit, &super::refusal_of(&error)),
        };
        let (keys, by) = (&self.services.access_keys, Actor::owner(member.session, None));
        match keys.revoke_older(&account, &by, &visit.origin()).await {
            Ok(revoked) if visit.wants == Wants::Json => {
                self.site.json(visit, StatusCode::OK, &Revoked { revoked })
            }
            Ok(_) => self.site.see_other(visit, "/.auth/account/keys?done=older"),
            Err(error) => self.site.refuse_visit(visit, &refusal(&error)),
        }
    }

    async fn create_key(&self, visit: &Visit<'_>, member: Member<'_>, fields: &Fields) -> Response<Bytes> {
        let account = match self.services.own_account.find(member.principal.account).await {
            Ok(account) => account,
            Err(error) => return self.site.refuse_visit(visit, &super::refusal_of(&error)),
        };
        let Some(ttl) = ttl(fields.text("days")) else {
            return self
                .site
                .refuse_visit(visit, &Refusal::new(Problem::InvalidInput));
        };
        let new = NewAccessKey {
            name: fields.text("name").to_owned(),
            ttl: Some(ttl).filter(|ttl| !ttl.is_zero()),
            scope: KeyScope::default(),
        };
        let keys = &self.services.access_keys;
        let by = Actor::owner(member.session, None);
        match keys.create(&account, new, &by, &visit.origin()).await {
            Ok((key, secret)) if visit.wants == Wants::Json => {
                let document = Document::of(&key, Some(&secret));
                self.site.json(visit, StatusCode::CREATED, &document)
            }
            Ok((key, secret)) => {
                let made = Made {
                    access_key: key.id.as_str(),
                    secret_key: secret.expose(),
                };
                self.keys_with(visit, member, Some(made), None).await
            }
            Err(error @ (AccessKeyError::Name | AccessKeyError::TooMany(_)))
                if visit.wants == Wants::Html =>
            {
                let refused = Some((fields.text("name"), error));
                self.keys_with(visit, member, None, refused).await
            }
            Err(error @ (AccessKeyError::Name | AccessKeyError::TooMany(_))) => {
                let errors = self.site.key_errors(visit, &error);
                self.site.refuse_fields(visit, &refusal(&error), errors)
            }
            Err(error) => self.site.refuse_visit(visit, &refusal(&error)),
        }
    }

    async fn keys_with(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        made: Option<Made<'_>>,
        refused: Option<(&str, AccessKeyError)>,
    ) -> Response<Bytes> {
        match self
            .services
            .access_keys
            .list(Some(member.principal.account))
            .await
        {
            Ok(keys) => self.site.own_keys(visit, member, &keys, made, refused),
            Err(error) => self.site.refuse_visit(visit, &unavailable(error.to_string())),
        }
    }
}

impl Site {
    /// `refused` is the name that was typed, and why there is no key of it.
    pub(in crate::portal) fn own_keys(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        keys: &[AccessKeyInfo],
        made: Option<Made<'_>>,
        refused: Option<(&str, AccessKeyError)>,
    ) -> Response<Bytes> {
        if visit.wants == Wants::Json {
            let keys = keys.iter().map(|info| Document::of(&info.key, None)).collect();
            return self.json(visit, StatusCode::OK, &Documents { keys });
        }
        let (name, errors) = refused.map_or(("", Errors::new()), |(name, error)| {
            (name, self.key_errors(visit, &error))
        });
        let outcome = if errors.is_empty() {
            Outcome::from(StatusCode::OK)
        } else {
            Problem::InvalidInput.into()
        };
        let title = self.texts.get(visit.lang, "page.required");
        let view = KeysView {
            keys: keys.iter().map(Row::of).collect(),
            made,
            name,
            days: DAYS,
            done: visit.parameter("done"),
            alert: (!errors.is_empty()).then(|| Alert::listing(title, &errors, &["name"])),
            errors,
        };
        let place = AREA.at(PATH);
        self.member_page(visit, member, place, outcome, "account-keys.html", &view)
    }

    fn key_errors(&self, visit: &Visit<'_>, error: &AccessKeyError) -> Errors {
        let message = match error {
            AccessKeyError::TooMany(most) => self.texts.count(visit.lang, "keys.too-many", *most as u64),
            _ => self.texts.get(visit.lang, "keys.name-refused").to_owned(),
        };
        Errors::from([("name", message)])
    }
}

impl Asked {
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

impl Row {
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

impl<'a> Document<'a> {
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
        AccessKeyError::Vault(_) => unavailable(error.to_string()),
    }
}
