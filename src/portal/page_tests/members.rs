//! States of the pages for signed-in users.

use super::*;
use crate::api::SessionList;
use crate::ids::MailId;
use crate::model::{
    AccessKey, AccessKeyId, Account, Agreement, EncryptedSecret, KeyScope, KeyUse, PendingEmail, Session,
    TokenDigest,
};
use crate::portal::account::sessions as sessions_page;
use crate::portal::account::{delete, email, form_refusal, keys, language, password, profile, username};
use crate::portal::signed_in::{SignedInRequest, SignedInUser};
use crate::secret::Secret;
use crate::services::{
    AccessKeyError, AccessKeyInfo, AccountSettingsError, ActiveSession, FieldError, LoadedRows, SessionInfo,
    SignUpField,
};

pub(super) fn account() -> Account {
    let principal = principal();
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    let (id, username, email) = (principal.account, principal.username, principal.email);
    Account {
        email_verified: true,
        name: Some(principal.name),
        groups: principal.groups,
        agreements: vec![Agreement {
            version: "2026-01".to_owned(),
            at,
        }],
        language: Some("en".to_owned()),
        last_sign_in_at: Some(at),
        ..Account::new(id, username, email, String::new(), at)
    }
}

fn moving() -> Account {
    let since = Timestamp::from_second(1_800_000_000).unwrap();
    Account {
        pending_email: Some(PendingEmail {
            email: "mina@elsewhere.example".parse().unwrap(),
            since,
            mail: MailId::new(since, &Random::seeded(1)),
        }),
        ..account()
    }
}

pub(super) fn sessions() -> Vec<SessionInfo> {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let agents = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
        "<script>",
    ];
    let session = |(n, agent): (u8, &&str)| SessionInfo {
        session: Session {
            id: SessionId::new(now, &Random::seeded(u64::from(n))),
            digest: TokenDigest::from_bytes([n; 32]),
            account: account().id,
            method: if n == 3 {
                SignInMethod::Iam
            } else {
                SignInMethod::Password
            },
            access_key: (n == 3).then(|| AccessKeyId::new(&Random::seeded(1))),
            created_at: now,
            last_seen_at: now,
            proved_at: Some(now),
            password_changed_at: Some(account().password_changed_at),
            address: [192, 0, 2, n].into(),
            user_agent: (*agent).to_owned(),
        },
        email: account().email.to_string(),
        expires_at: now,
    };
    (1..).zip(&agents).map(session).collect()
}

/// The session that a member came with: the first of the list, or one that is not in it.
pub(super) fn live_session(is_listed: bool) -> ActiveSession {
    let mut session = sessions().remove(0).session;
    if !is_listed {
        session.id = SessionId::new(session.created_at, &Random::seeded(9));
    }
    ActiveSession::sample(session, &account())
}

pub(super) fn key_list() -> Vec<AccessKeyInfo> {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let key = |n: u64, name: &str| AccessKeyInfo {
        key: AccessKey {
            id: AccessKeyId::new(&Random::seeded(n)),
            account: account().id,
            name: name.to_owned(),
            created_at: at,
            expires_at: None,
            disabled: false,
            last_use: None,
            scope: KeyScope::default(),
            secret: EncryptedSecret {
                nonce: [0; 24],
                ciphertext: Vec::new(),
            },
        },
        email: account().email.to_string(),
        is_live: true,
    };
    let mut keys = vec![key(1, "backup <nightly>"), key(2, ""), key(3, "old")];
    keys[0].key.expires_at = Some(at + Duration::from_hours(24 * 90));
    keys[0].key.last_use = Some(KeyUse {
        at,
        address: None,
        client: String::new(),
    });
    keys[0].key.scope.methods.insert("GET".to_owned());
    keys[1].key.disabled = true;
    keys[2].is_live = false;
    keys
}

fn listed(sound: Vec<AccessKeyInfo>) -> LoadedRows<AccessKeyInfo> {
    LoadedRows {
        sound,
        unreadable: Vec::new(),
    }
}

fn older_keys() -> Vec<AccessKeyInfo> {
    key_list().into_iter().take(2).collect()
}

/// Each page in each state.
pub(super) fn states(request: &RequestContext<'_>) -> Vec<(&'static str, Response<Bytes>)> {
    let mut principal = principal();
    principal.groups.insert("gateway-admin".to_owned());
    let session = live_session(true);
    let cx = &SignedInRequest {
        request: *request,
        user: SignedInUser {
            principal: &principal,
            session: &session,
        },
    };
    let wrong = || cx.field_error("current_password", "proof.wrong").into();
    let taken = cx.messages(&[(SignUpField::Username, FieldError::UsernameTaken)]);
    let unnameable = form_refusal(cx, AccountSettingsError::Name).errors;
    let renamed = Account {
        former_usernames: vec!["kim.mina".parse().unwrap(), "m.kim".parse().unwrap()],
        ..account()
    };
    let mut new_key = key_list()[..1].to_vec();
    new_key[0].key.id = "AKIAIOSFODNN7EXAMPLE".parse().unwrap();
    let secret = Secret::new("wJalrXUtnFEMI_K7MDENG_bPxRfiCYEXAMPLEKEY".to_owned());
    let created = (new_key[0].key.id, secret);
    let locked = Refusal::new(Problem::Locked).retry_after(Duration::from_secs(1199));
    let many = ("", AccessKeyError::TooMany(5));
    let session_list = SessionList::page(&sessions(), Some(session.id()), None);
    vec![
        ("account", profile::page(cx, &account(), Vec::new(), None)),
        (
            "account-older-keys",
            profile::page(cx, &account(), older_keys(), None),
        ),
        (
            "account-refused",
            profile::page(cx, &account(), Vec::new(), Some(("a\u{7}b", unnameable))),
        ),
        ("account-email", email::page(cx, &account())),
        ("account-email-pending", email::page(cx, &moving())),
        (
            "account-email-refused",
            email::refused(cx, &account(), "mina", wrong()),
        ),
        ("account-username", username::page(cx, &account())),
        (
            "account-username-refused",
            username::refused(cx, &renamed, "admin", taken.into()),
        ),
        ("account-password", password::get(cx)),
        ("account-password-refused", password::refused(cx, wrong())),
        (
            "account-sessions",
            sessions_page::page(cx, &sessions(), &session_list),
        ),
        ("account-keys", keys::page(cx, listed(key_list()), None, None)),
        (
            "account-keys-made",
            keys::page(cx, listed(new_key), Some(created), None),
        ),
        (
            "account-keys-refused",
            keys::page(cx, listed(Vec::new()), None, Some(many)),
        ),
        ("account-language", language::page(cx, Some("ko"))),
        ("account-delete", delete::get(cx)),
        ("account-deleted", delete::deleted(cx)),
        ("account-delete-locked", delete::refused(cx, locked.into())),
    ]
}
