//! Sample accounts, sessions, invitations and mails.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;
use vestibule::ids::{AccountId, InvitationId, MailId, SessionId};
use vestibule::model::{
    AccessKey, AccessKeyId, Account, Email, EmailToken, EncryptedSecret, Invitation, InvitationKind,
    KeyScope, LockoutPolicy, Mail, MailKind, MailOrigin, Purpose, Session, SignInMethod, TokenDigest,
    WrappedDataKey,
};
use vestibule::random::Random;

/// The administrators' group.
pub(crate) const ADMINS: &str = "gateway-admin";

/// The default of the configuration.
pub(crate) const POLICY: LockoutPolicy = LockoutPolicy {
    max_failures: 10,
    duration: Duration::from_mins(20),
};

/// When tests begin.
pub(crate) fn noon() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn email(text: &str) -> Email {
    text.parse().unwrap()
}

/// A token digest that is unique for each `n`.
pub(crate) fn digest(n: u64) -> TokenDigest {
    TokenDigest::of(&format!("token {n}"))
}

pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap()
}

/// An active account `NAME@example.com`.
pub(crate) fn account(name: &str, random: &Random) -> Account {
    let (id, email) = (
        AccountId::new(noon(), random),
        email(&format!("{name}@example.com")),
    );
    let hash = "$2b$12$not-a-hash".to_owned();
    Account {
        email_verified: true,
        ..Account::new(id, name.parse().unwrap(), email, hash, noon())
    }
}

pub(crate) fn member_of(group: &str, name: &str, random: &Random) -> Account {
    Account {
        groups: [group.to_owned()].into(),
        ..account(name, random)
    }
}

pub(crate) fn session(account: AccountId, n: u64, random: &Random) -> Session {
    Session {
        id: SessionId::new(noon(), random),
        digest: digest(n),
        account,
        method: SignInMethod::Password,
        access_key: None,
        created_at: noon(),
        last_seen_at: noon(),
        proved_at: Some(noon()),
        password_changed_at: Some(noon()),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: "Firefox".to_owned(),
    }
}

/// An invitation for any address, valid for a week.
pub(crate) fn invitation(n: u64, random: &Random) -> Invitation {
    Invitation::new(
        InvitationId::new(noon(), random),
        digest(n),
        InvitationKind::Signup,
        noon(),
        later(noon(), Duration::from_hours(24 * 7)),
    )
}

/// A token of an account, valid for an hour.
pub(crate) fn mailed_token(n: u64, purpose: Purpose, account: &Account) -> EmailToken {
    EmailToken {
        digest: digest(n),
        purpose,
        account: account.id,
        email: account.email.clone(),
        mail: None,
        maker: None,
        expires_at: later(noon(), Duration::from_hours(1)),
    }
}

/// A mail to an account.
pub(crate) fn mail(account: &Account, random: &Random) -> Mail {
    Mail {
        id: MailId::new(noon(), random),
        to: account.email.clone(),
        topic: MailKind::PasswordChanged,
        language: Some("en".to_owned()),
        cause: MailOrigin {
            at: noon(),
            address: None,
            by_administrator: false,
        },
    }
}

/// An access key of an account, which does not expire.
pub(crate) fn access_key(account: AccountId, random: &Random) -> AccessKey {
    AccessKey {
        id: AccessKeyId::new(random),
        account,
        name: "backup".to_owned(),
        created_at: noon(),
        expires_at: None,
        disabled: false,
        last_use: None,
        scope: KeyScope::default(),
        secret: sealed(1),
    }
}

/// A data key that is unique for each `n`.
pub(crate) fn data_key(n: u8) -> WrappedDataKey {
    WrappedDataKey {
        master: "00112233445566778899aabbccddeeff".to_owned(),
        sealed: sealed(n),
    }
}

fn sealed(n: u8) -> EncryptedSecret {
    EncryptedSecret {
        nonce: [n; 24],
        ciphertext: vec![n; 56],
    }
}
