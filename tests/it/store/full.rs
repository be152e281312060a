//! A store that contains one of everything.

use std::time::Duration;

use vestibule::ids::{AccountId, InvitationId};
use vestibule::model::{
    AccessKey, Account, AccountStatus, Agreement, AuditEvent, AuditKind, AuditOutcome, Decision, EmailToken,
    Invitation, InvitationKind, KeyScope, KeyUse, LockoutSubject, Mail, MailKind, MailOrigin, Maker, Purpose,
    Session, SignInMethod, SignatureDigest,
};
use vestibule::random::Random;
use vestibule::store::{
    ClaimMail, CreateAccessKey, CreateAccount, DeleteAccount, ExportReader, ExportWriter, MailAllowance,
    MailClaim, MailOutcome, PutSession, Record, SpendSignature, Store, UpdateAccount,
};

use super::samples::{
    ADMINS, POLICY, access_key, account, data_key, digest, email, invitation, later, mail, mailed_token,
    noon, session,
};

/// An account with every field set.
pub(crate) fn ann(random: &Random) -> Account {
    Account {
        email: email("Ann@Example.com"),
        name: Some("앤 \"A\"\n\u{1f600}".to_owned()),
        groups: [ADMINS.to_owned(), "이용자".to_owned()].into(),
        decision: Some(Decision {
            by: "root@example.com".to_owned(),
            at: later(noon(), Duration::from_nanos(1)),
            reason: Some("one of us".to_owned()),
        }),
        pending_email: None,
        agreements: vec![Agreement {
            version: "2026-01".to_owned(),
            at: noon(),
        }],
        language: Some("ko".to_owned()),
        last_sign_in_at: Some(later(noon(), Duration::from_nanos(7))),
        ..account("ann", random)
    }
}

/// Puts one of everything into an empty store.
pub(crate) async fn fill(store: &dyn Store, random: &Random) {
    let ann = ann(random);
    let mut bob = account("bob", random);
    bob.status = AccountStatus::Declined;
    let gone = account("gone", random);
    for account in [&ann, &bob, &gone] {
        let made = store.create_account(account.clone(), None, noon()).await.unwrap();
        assert_eq!(made, CreateAccount::Created);
    }
    let renamed = Account {
        username: "annie".parse().unwrap(),
        ..ann.clone()
    };
    let changed = store.update_account(&ann, renamed).await.unwrap();
    assert_eq!(changed, UpdateAccount::Updated);
    assert_eq!(
        store.delete_account(gone.id).await.unwrap(),
        DeleteAccount::Deleted
    );

    assert!(store.replace_data_key(None, data_key(7)).await.unwrap());
    let key = used_key(ann.id, random);
    let (key_id, made) = (key.id, store.create_access_key(key, 9, Vec::new()).await.unwrap());
    assert_eq!(made, CreateAccessKey::Created);
    for subject in [
        LockoutSubject::Account(ann.id),
        LockoutSubject::AccessKey(key_id),
        LockoutSubject::unknown("nobody"),
    ] {
        for _ in 0..=POLICY.max_failures {
            store.record_attempt(subject, POLICY).await.unwrap();
        }
    }
    store
        .record_attempt(LockoutSubject::Account(bob.id), POLICY)
        .await
        .unwrap();
    store
        .record_attempt(LockoutSubject::unknown("somebody"), POLICY)
        .await
        .unwrap();

    let by_key = Session {
        method: SignInMethod::Iam,
        proved_at: None,
        address: "2001:db8::1".parse().unwrap(),
        ..session(ann.id, 2, random)
    };
    for session in [session(ann.id, 1, random), by_key] {
        assert_eq!(store.put_session(session, None).await.unwrap(), PutSession::Kept);
    }
    let bound = Invitation {
        kind: InvitationKind::FirstAdministrator,
        email: Some(email("Carol@Example.com")),
        groups: [ADMINS.to_owned()].into(),
        name: Some("Carol".to_owned()),
        language: Some("ko".to_owned()),
        approves: true,
        mailed: true,
        created_by: Some("root@example.com".to_owned()),
        ..invitation(4, random)
    };
    let bound_id = bound.id;
    for invitation in [invitation(3, random), bound] {
        store.create_invitation(invitation).await.unwrap();
    }
    put_mails(store, &ann, bound_id, random).await;
    put_tokens(store, &ann, random).await;
    let spent = SignatureDigest::of("AKIA", b"signature");
    let outcome = store
        .claim_signature(spent, later(noon(), Duration::from_mins(5)))
        .await;
    assert_eq!(outcome.unwrap(), SpendSignature::Spent);
    store.append_audit(events(ann.id), 100).await.unwrap();
}

fn used_key(account: AccountId, random: &Random) -> AccessKey {
    AccessKey {
        expires_at: Some(later(noon(), Duration::from_hours(1))),
        disabled: true,
        last_use: Some(KeyUse {
            at: noon(),
            address: Some("192.0.2.1".parse().unwrap()),
            client: "curl/8".to_owned(),
        }),
        scope: KeyScope {
            routes: ["a.example.com/".to_owned()].into(),
            methods: ["GET".to_owned()].into(),
        },
        ..access_key(account, random)
    }
}

/// One mail of each kind; the first failed, the second waits after an attempt and counts against its
/// receiver's quota.
async fn put_mails(store: &dyn Store, ann: &Account, invitation: InvitationId, random: &Random) {
    let topics = [
        MailKind::VerifyEmail,
        MailKind::AlreadyRegistered,
        MailKind::Reset,
        MailKind::ChangeEmail(ann.id),
        MailKind::EmailChanged(email("Old@example.com")),
        MailKind::UsernameChanged("annie".parse().unwrap()),
        MailKind::PasswordChanged,
        MailKind::PasswordReset,
        MailKind::AccessKeyCreated("AKIAIOSFODNN7EXAMPLE".parse().unwrap()),
        MailKind::AwaitingApproval(ann.id),
        MailKind::Approved,
        MailKind::Declined,
        MailKind::Invitation(invitation),
        MailKind::AccountAdded,
        MailKind::AccountAddedBy(Maker::from(ann)),
    ];
    let mails = topics.map(|topic| Mail {
        topic,
        cause: MailOrigin {
            at: noon(),
            address: Some("192.0.2.7".parse().unwrap()),
            by_administrator: true,
        },
        ..mail(ann, random)
    });
    store.enqueue_mails(mails.to_vec()).await.unwrap();
    for outcome in [
        MailOutcome::Failed {
            at: noon(),
            reason: "550 no such user".to_owned(),
        },
        MailOutcome::Postponed {
            until: later(noon(), Duration::from_mins(1)),
            reason: "451 later".to_owned(),
        },
    ] {
        let taken = store
            .take_due_mail(noon(), Duration::from_mins(5))
            .await
            .unwrap()
            .unwrap();
        let stamp = MailClaim {
            token: None,
            allowance: Some(MailAllowance {
                address: ann.email.clone(),
                mails: 3,
                window: Duration::from_hours(1),
            }),
        };
        let stamped = store.claim_mail(taken.mail.id, stamp, noon()).await.unwrap();
        assert_eq!(stamped, ClaimMail::Claimed);
        assert!(store.complete_mail(taken.mail.id, outcome).await.unwrap());
    }
}

async fn put_tokens(store: &dyn Store, ann: &Account, random: &Random) {
    let purposes = [
        Purpose::VerifyEmail,
        Purpose::Reset,
        Purpose::ResetByAdministrator,
        Purpose::ChangeEmail,
    ];
    for (n, purpose) in (10..).zip(purposes) {
        let mailed = EmailToken {
            mail: (n % 2 == 0).then(|| mail(ann, random).id),
            ..mailed_token(n, purpose, ann)
        };
        store.save_token(mailed).await.unwrap();
    }
    assert!(store.token(digest(10)).await.unwrap().is_some());
}

fn events(account: AccountId) -> Vec<AuditEvent> {
    let all = AuditEvent {
        time: later(noon(), Duration::from_nanos(123_456_789)),
        event: AuditKind::Disable,
        outcome: AuditOutcome::Failure,
        reason: Some("last-administrator".to_owned()),
        who: "Ann@Example.com".to_owned(),
        account: Some(account),
        by: Some("root@example.com".to_owned()),
        why: Some("left".to_owned()),
        address: Some("192.0.2.1".parse().unwrap()),
        request_id: Some("r".to_owned()),
        user_agent: "curl/8".to_owned(),
        detail: Some("groups ops".to_owned()),
    };
    let least = AuditEvent {
        event: AuditKind::SignIn,
        outcome: AuditOutcome::Success,
        reason: None,
        account: None,
        by: None,
        why: None,
        address: None,
        request_id: None,
        user_agent: String::new(),
        detail: None,
        ..all.clone()
    };
    // At the same time, in this order.
    vec![all.clone(), least.clone(), all, least]
}

/// Returns the file that a store's export writes.
pub(crate) async fn file_of(store: &dyn Store) -> Vec<u8> {
    let mut export = ExportWriter::new(store.export().await.unwrap(), noon());
    let mut file = Vec::new();
    while let Some(lines) = export.lines().await.unwrap() {
        file.extend(lines);
    }
    file
}

/// Returns the records of a complete file.
pub(crate) fn records_of(file: &[u8]) -> Vec<Record> {
    let mut reader = ExportReader::begin(file).unwrap();
    let mut records = Vec::new();
    while let Some((_, record)) = reader.record().unwrap() {
        records.push(record);
    }
    records
}
