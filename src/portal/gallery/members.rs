//! The pages for those who are signed in.

use super::*;
use crate::ids::MailId;
use crate::model::{
    AccessKey, AccessKeyId, Account, Agreement, KeyScope, KeyUse, PendingEmail, Sealed, Session, Standing,
    TokenDigest,
};
use crate::services::{AccessKeyError, AccessKeyInfo, LiveSession, SessionInfo};

pub(super) fn account() -> Account {
    let principal = principal();
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    Account {
        id: principal.account,
        username: principal.username,
        email: principal.email,
        email_verified: true,
        name: Some(principal.name),
        groups: principal.groups,
        password_hash: String::new(),
        standing: Standing::Active,
        created_at: at,
        password_changed_at: at,
        decision: None,
        former_usernames: Vec::new(),
        pending_email: None,
        agreements: vec![Agreement {
            version: "2026-01".to_owned(),
            at,
        }],
        language: Some("en".to_owned()),
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
pub(super) fn live_session(is_listed: bool) -> LiveSession {
    let mut session = sessions().remove(0).session;
    if !is_listed {
        session.id = SessionId::new(session.created_at, &Random::seeded(9));
    }
    LiveSession::sample(session, &account())
}

fn keys() -> Vec<AccessKeyInfo> {
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
            secret: Sealed {
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

fn older_keys() -> Vec<AccessKey> {
    keys().into_iter().map(|info| info.key).take(2).collect()
}

/// Each page in each state.
pub(super) fn states(site: &Site, visit: &Visit<'_>) -> Vec<(&'static str, Response<Bytes>)> {
    let mut principal = principal();
    principal.groups.insert("gateway-admin".to_owned());
    let session = live_session(true);
    let member = Member {
        principal: &principal,
        session: &session,
    };
    let invalid = Refusal::new(Problem::InvalidInput);
    let wrong = alert::Errors::from([(
        "current_password",
        site.texts.get(visit.lang, "proof.wrong").to_owned(),
    )]);
    let made = account::Made {
        access_key: "AKIAIOSFODNN7EXAMPLE",
        secret_key: "wJalrXUtnFEMI_K7MDENG_bPxRfiCYEXAMPLEKEY",
    };
    let locked = Refusal::new(Problem::Locked).retry_after(Duration::from_secs(1199));
    vec![
        ("account", site.profile(visit, member, &account(), &[], None)),
        (
            "account-older-keys",
            site.profile(visit, member, &account(), &older_keys(), None),
        ),
        (
            "account-refused",
            site.profile(visit, member, &account(), &[], Some("a\u{7}b")),
        ),
        ("account-email", site.email_page(visit, member, &account())),
        ("account-email-pending", site.email_page(visit, member, &moving())),
        (
            "account-email-refused",
            site.refused_email(visit, member, &account(), "mina", &invalid, wrong.clone()),
        ),
        ("account-username", site.username_page(visit, member, &account())),
        (
            "account-username-refused",
            site.refused_username(
                visit,
                member,
                &Account {
                    former_usernames: vec!["kim.mina".parse().unwrap(), "m.kim".parse().unwrap()],
                    ..account()
                },
                "admin",
                &invalid,
                site.messages(
                    visit,
                    &[(
                        crate::services::SignUpField::Username,
                        crate::services::FieldError::UsernameTaken,
                    )],
                ),
            ),
        ),
        ("account-password", site.password_page(visit, member)),
        (
            "account-password-refused",
            site.refused_password(visit, member, &invalid, wrong.clone()),
        ),
        ("account-sessions", site.own_sessions(visit, member, &sessions())),
        ("account-keys", site.own_keys(visit, member, &keys(), None, None)),
        (
            "account-keys-made",
            site.own_keys(visit, member, &keys()[..1], Some(made), None),
        ),
        (
            "account-keys-refused",
            site.own_keys(visit, member, &[], None, Some(("", AccessKeyError::TooMany(5)))),
        ),
        ("account-language", site.language_page(visit, member, Some("ko"))),
        ("account-delete", site.delete_page(visit, member)),
        ("account-deleted", site.deleted_page(visit)),
        (
            "account-delete-locked",
            site.refused_delete(visit, member, &locked, alert::Errors::new()),
        ),
    ]
}
