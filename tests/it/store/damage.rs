//! The embedded store with damaged rows: it reports them, and does nothing based on them.

use std::fmt::Debug;

use jiff::Timestamp;
use vestibule::model::{
    Account, AuditEvent, AuditKind, AuditOutcome, Invitation, LockoutSubject, Mail, MailKind, Session,
};
use vestibule::store::{
    AccountFilter, AccountQuery, AuditFilter, AuditOrder, SessionsToEnd, StoreError, Verification,
};

use super::conformance::Harness;
use super::samples::{
    POLICY, access_key, account, data_key, digest, invitation, mail, member_of, noon, session,
};
use super::sled::Sled;

/// One of everything.
struct Samples {
    ann: Account,
    session: Session,
    invitation: Invitation,
}

const NOBODY: &str = "nobody@example.com";

async fn fill(harness: &Sled) -> Samples {
    let store = harness.store();
    let random = harness.random();
    let kept = Samples {
        ann: Account {
            name: Some("Ann Lee".to_owned()),
            ..member_of("ops", "ann", random)
        },
        session: Session {
            digest: digest(1),
            ..session(account("x1", random).id, 1, random)
        },
        invitation: invitation(2, random),
    };
    let kept = Samples {
        session: Session {
            account: kept.ann.id,
            ..kept.session
        },
        ..kept
    };
    store
        .create_account(kept.ann.clone(), None, noon())
        .await
        .unwrap();
    let gone = account("gone", random);
    store.create_account(gone.clone(), None, noon()).await.unwrap();
    store.delete_account(gone.id).await.unwrap();
    store.put_session(kept.session.clone(), None).await.unwrap();
    store.create_invitation(kept.invitation.clone()).await.unwrap();
    let reset = Mail {
        topic: MailKind::Reset,
        ..mail(&kept.ann, random)
    };
    store.enqueue_mails(vec![reset]).await.unwrap();
    store.replace_data_key(None, data_key(1)).await.unwrap();
    let key = access_key(kept.ann.id, random);
    let key_id = key.id;
    store.create_access_key(key, 1, Vec::new()).await.unwrap();
    for subject in [
        LockoutSubject::Account(kept.ann.id),
        LockoutSubject::AccessKey(key_id),
        LockoutSubject::unknown(NOBODY),
    ] {
        store.record_attempt(subject, POLICY).await.unwrap();
    }
    kept
}

/// Reopens the store after its rows were modified behind its back.
fn damaged(harness: Sled, damage: impl FnOnce(&::sled::Tree)) -> Sled {
    let random = harness.random().clone();
    let folder = harness.close();
    let db = ::sled::open(folder.path()).unwrap();
    damage(&db);
    db.flush().unwrap();
    drop(db);
    Sled::open(folder, noon(), random)
}

fn event() -> AuditEvent {
    AuditEvent {
        time: noon(),
        event: AuditKind::SignIn,
        outcome: AuditOutcome::Success,
        reason: None,
        who: "ann".to_owned(),
        account: None,
        by: None,
        why: None,
        address: None,
        request_id: None,
        user_agent: String::new(),
        detail: None,
    }
}

fn key(kind: u8, rest: &[u8]) -> Vec<u8> {
    [&[kind], rest].concat()
}

fn assert_corrupt<T: Debug>(outcome: &Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{outcome:?}");
}

const GARBAGE: [&[u8]; 6] = [
    b"",
    b"\x01",
    b"\x01{",
    b"\x01{\"id\":1}",
    b"\x02{}",
    b"\xff\x00\xfe",
];

#[tokio::test]
async fn a_damaged_account_is_an_error_everywhere() {
    for garbage in GARBAGE {
        let harness = Sled::new();
        let Samples { ann, session, .. } = fill(&harness).await;
        let harness = damaged(harness, |tree| {
            tree.insert(key(b'a', ann.id.as_bytes()), garbage).unwrap();
        });
        let store = harness.store();
        assert_corrupt(&store.account(ann.id).await);
        assert_corrupt(&store.account_by_email(&ann.email).await);
        assert_corrupt(&store.account_by_username(&ann.username).await);
        assert_corrupt(&store.accounts(None, 10).await);
        assert_corrupt(&store.update_account(&ann, ann.clone()).await);
        assert_corrupt(&store.delete_account(ann.id).await);
        assert_corrupt(&store.put_session(session, None).await);
        let members = store.group_members("ops").await.unwrap();
        assert_eq!(
            (members.sound.len(), members.unreadable[0].account),
            (0, Some(ann.id))
        );
        // Other accounts are unaffected.
        let bob = account("bob", harness.random());
        store.create_account(bob.clone(), None, noon()).await.unwrap();
        assert_eq!(store.account(bob.id).await.unwrap(), Some(bob));
    }
}

#[tokio::test]
async fn other_damaged_rows_are_errors() {
    for garbage in GARBAGE {
        let harness = Sled::new();
        let Samples {
            ann,
            session,
            invitation,
        } = fill(&harness).await;
        let harness = damaged(harness, |tree| {
            for kind in b"fsi" {
                for row in tree.scan_prefix([*kind]) {
                    tree.insert(row.unwrap().0, garbage).unwrap();
                }
            }
            for row in tree.scan_prefix(b"u") {
                tree.insert(row.unwrap().0, garbage).unwrap();
            }
        });
        let store = harness.store();
        assert_corrupt(&store.sessions().await);
        let loaded = store.load_sessions().await.unwrap();
        assert_eq!(
            (loaded.sound.len(), loaded.unreadable[0].account),
            (0, Some(ann.id))
        );
        assert_corrupt(&store.end_sessions(SessionsToEnd::Token(session.digest)).await);
        assert_corrupt(&store.invitation(invitation.digest).await);
        let listed = store.invitations().await.unwrap();
        assert_eq!((listed.sound.len(), listed.unreadable.len()), (0, 1));
        let batch = store.invitations_after(None, 9).await.unwrap();
        assert_eq!((batch.invitations.len(), batch.unreadable.len()), (0, 1));
        assert_corrupt(&store.invitation_by_id(invitation.id).await);
        let bob = account("bob", harness.random());
        assert_corrupt(
            &store
                .create_account(bob.clone(), Some(invitation.digest), noon())
                .await,
        );
        assert_eq!(store.account(bob.id).await.unwrap(), None);
        for subject in [LockoutSubject::Account(ann.id), LockoutSubject::unknown(NOBODY)] {
            assert_corrupt(&store.locked_for(subject, POLICY).await);
            assert_corrupt(&store.record_attempt(subject, POLICY).await);
        }
        store.sweep(Timestamp::MAX, Timestamp::MAX).await.unwrap();
        assert!(store.verify().await.unwrap().faults.len() >= 4);
    }
}

#[tokio::test]
async fn damaged_indexes_are_errors() {
    for garbage in GARBAGE {
        let harness = Sled::new();
        let Samples { ann, session, .. } = fill(&harness).await;
        let harness = damaged(harness, |tree| {
            for kind in b"evdj" {
                for row in tree.scan_prefix([*kind]) {
                    tree.insert(row.unwrap().0, garbage).unwrap();
                }
            }
        });
        let store = harness.store();
        assert_corrupt(&store.account_by_email(&ann.email).await);
        assert_corrupt(&store.account_by_username(&ann.username).await);
        assert_corrupt(&store.end_sessions(SessionsToEnd::Id(session.id)).await);
    }
}

#[tokio::test]
async fn an_index_without_its_account_is_an_error() {
    let harness = Sled::new();
    let Samples { ann, .. } = fill(&harness).await;
    let harness = damaged(harness, |tree| {
        tree.remove(key(b'a', ann.id.as_bytes())).unwrap();
    });
    assert_corrupt(&harness.store().account_by_email(&ann.email).await);
    assert_corrupt(&harness.store().account_by_username(&ann.username).await);
}

/// Damages a store with one of everything in one way, and verifies it.
async fn verified(damage: impl FnOnce(&::sled::Tree, &Samples)) -> Verification {
    let harness = Sled::new();
    let kept = fill(&harness).await;
    let harness = damaged(harness, |tree| damage(tree, &kept));
    harness.store().verify().await.unwrap()
}

#[tokio::test]
async fn a_sound_store_has_no_faults() {
    let sound = Verification {
        accounts: 1,
        sessions: 1,
        invitations: 1,
        access_keys: 1,
        fault_count: 0,
        faults: Vec::new(),
    };
    assert_eq!(verified(|_, _| {}).await, sound);
}

#[tokio::test]
async fn faults_beyond_those_that_are_told_are_counted() {
    let found = verified(|tree, _| {
        for n in 0..1_000_u32 {
            tree.insert([b"~".as_slice(), &n.to_be_bytes()].concat(), b"")
                .unwrap();
        }
    })
    .await;
    assert_eq!(
        (found.fault_count, found.faults.len()),
        (1_000, Verification::FAULTS_TOLD)
    );
}

#[tokio::test]
async fn every_missing_row_is_found() {
    // No other row refers to a reserved username or to a counted failure.
    let harness = Sled::new();
    fill(&harness).await;
    let folder = harness.close();
    let db = ::sled::open(folder.path()).unwrap();
    let keys: Vec<_> = db.iter().keys().map(Result::unwrap).collect();
    drop(db);
    let named_by_others = |key: &[u8]| !b"mufwX".contains(&key[0]) && key != b"vgone";
    assert_eq!(keys.iter().filter(|key| named_by_others(key)).count(), 22);

    for (position, key) in keys.iter().enumerate() {
        if named_by_others(key) {
            let found = verified(|tree, _| {
                let (removed, _) = tree.iter().nth(position).unwrap().unwrap();
                assert_eq!(removed[0], key[0]);
                tree.remove(removed).unwrap();
            })
            .await;
            assert_ne!(found.faults, Vec::<String>::new(), "{:?}", char::from(key[0]));
        }
    }
}

#[tokio::test]
async fn every_row_that_cannot_be_read_is_found() {
    for kind in b"aevfusdijkwWc" {
        for garbage in GARBAGE {
            let found = verified(|tree, _| {
                let (key, _) = tree.scan_prefix([*kind]).next().unwrap().unwrap();
                tree.insert(key, garbage).unwrap();
            })
            .await;
            assert_ne!(found.faults, Vec::<String>::new(), "{:?}", char::from(*kind));
        }
    }
}

#[tokio::test]
async fn what_accounts_are_found_by_is_written_anew_where_its_form_is_lost() {
    for garbage in [None, Some(b"\xff".as_slice()), Some(b"\x017")] {
        let found = verified(|tree, _| {
            match garbage {
                Some(garbage) => drop(tree.insert(b"X", garbage).unwrap()),
                None => drop(tree.remove(b"X").unwrap()),
            }
            for kind in [b"x", b"y", b"z", b"N", b"S", b"c"] {
                for key in tree.scan_prefix(kind).keys() {
                    tree.remove(key.unwrap()).unwrap();
                }
            }
            tree.insert(key(b'x', b"left\0over"), b"\x01null").unwrap();
            // All usernames once had rows of one kind.
            for row in tree.scan_prefix(b"v") {
                let (other, value) = row.unwrap();
                tree.insert(key(b'n', &other[1..]), value).unwrap();
                tree.remove(other).unwrap();
            }
        })
        .await;
        assert_eq!(found.faults, Vec::<String>::new());
    }
}

#[tokio::test]
async fn every_orphan_is_found() {
    let nobody = [9; 16];
    let nothing = [9; 32];
    let json = |text: &str| [b"\x01", text.as_bytes()].concat();
    let account = json("\"09090909-0909-0909-0909-090909090909\"");
    let token = json("\"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk\"");
    let orphans = [
        (
            key(b'e', b"x@example.com"),
            account.clone(),
            "Email x@example.com points to",
        ),
        (key(b'n', b"x1"), account.clone(), "Username x1 points to"),
        (key(b'v', b"x1"), account, "OtherUsername x1 points to"),
        (
            key(b'g', &[&[0, 0, 0, 3], b"ops".as_slice(), &nobody].concat()),
            json("null"),
            "points to Account 09",
        ),
        (
            key(b'f', &nobody),
            json(r#"{"count":1,"lock":null}"#),
            "points to Account 09",
        ),
        (key(b'd', &nobody), token.clone(), "points to Session 09"),
        (
            key(b'o', &[nobody.as_slice(), &nothing].concat()),
            json("null"),
            "points to Session 09",
        ),
        (key(b'j', &nobody), token, "points to Invitation 09"),
        (
            key(b'z', &[b"x@example.com\0".as_slice(), &nobody].concat()),
            json("null"),
            "points to Mail 09",
        ),
        (
            key(b'K', &[nobody.as_slice(), b"AKIAIOSFODNN7EXAMPLE"].concat()),
            json("null"),
            "points to AccessKey 414b",
        ),
        (
            key(b'w', b"AKIAIOSFODNN7EXAMPLE"),
            json(r#"{"count":1,"lock":null}"#),
            "points to AccessKey 414b",
        ),
        (
            key(b'x', &[b"x1\0".as_slice(), &nobody].concat()),
            json("null"),
            "points to Account 09",
        ),
        (
            key(b'y', &[b"a".as_slice(), &nobody].concat()),
            json("null"),
            "points to Account 09",
        ),
        (
            key(b'L', &[nobody, nobody].concat()),
            json("null"),
            "points to Audit 09",
        ),
        (b"?".to_vec(), Vec::new(), "no such kind of row"),
    ];
    for (key, value, sentence) in orphans {
        let found = verified(|tree, _| {
            tree.insert(key, value).unwrap();
        })
        .await;
        assert_eq!(found.faults.len(), 1, "{found:?}");
        assert!(found.faults[0].contains(sentence), "{found:?}");
    }
}

#[tokio::test]
async fn rows_that_disagree_are_found() {
    let swapped = verified(|tree, kept| {
        // The account is in another group than the index says.
        let key = key(b'a', kept.ann.id.as_bytes());
        let row = tree.get(&key).unwrap().unwrap();
        let text = String::from_utf8(row.to_vec()).unwrap();
        tree.insert(key, text.replace("\"ops\"", "\"dev\"").as_bytes())
            .unwrap();
    })
    .await;
    assert_eq!(swapped.faults.len(), 2, "{swapped:?}");
    assert!(swapped.faults[0].contains("is missing"), "{swapped:?}");
    assert!(swapped.faults[1].contains("not in the group"), "{swapped:?}");

    let misplaced = verified(|tree, _| {
        let (key, row) = tree.scan_prefix(b"s").next().unwrap().unwrap();
        tree.remove(key).unwrap();
        tree.insert(self::key(b's', &[7; 32]), row).unwrap();
    })
    .await;
    assert!(
        misplaced
            .faults
            .iter()
            .any(|fault| fault.contains("it holds another session")),
        "{misplaced:?}"
    );
}

#[tokio::test]
async fn s49_a_row_that_cannot_be_read_stops_no_list() {
    for garbage in GARBAGE {
        let harness = Sled::new();
        let Samples { ann, .. } = fill(&harness).await;
        {
            let (store, random) = (harness.store(), harness.random());
            store.create_invitation(invitation(7, random)).await.unwrap();
            store.enqueue_mails(vec![mail(&ann, random)]).await.unwrap();
            let locked = LockoutSubject::unknown("locked@example.com");
            for _ in 0..=POLICY.max_failures {
                store.record_attempt(locked, POLICY).await.unwrap();
            }
            store.append_audit(vec![event(), event()], 100).await.unwrap();
            let locks = store.locks(POLICY).await.unwrap();
            assert_eq!((locks.unknown, locks.unreadable.len()), (1, 0));
        }
        let harness = damaged(harness, |tree| {
            // The first of each kind; all failures but those of the name that is locked.
            for kind in b"iql" {
                let (key, _) = tree.scan_prefix([*kind]).next().unwrap().unwrap();
                tree.insert(key, garbage).unwrap();
            }
            for kind in b"fwu" {
                for row in tree.scan_prefix([*kind]) {
                    let (key, value) = row.unwrap();
                    if !String::from_utf8_lossy(&value).contains("\"until\"") {
                        tree.insert(key, garbage).unwrap();
                    }
                }
            }
        });
        let store = harness.store();
        let invitations = store.invitations().await.unwrap();
        assert_eq!((invitations.sound.len(), invitations.unreadable.len()), (1, 1));
        let mails = store.mails(None, 9).await.unwrap();
        assert_eq!(
            (mails.mails.len(), mails.unreadable.len(), mails.next),
            (1, 1, None)
        );
        let first = store.mails(None, 1).await.unwrap();
        assert_eq!((first.mails.len(), first.unreadable.len()), (0, 1));
        assert_eq!(store.mails(first.next, 9).await.unwrap().mails, mails.mails);
        for order in [AuditOrder::OldestFirst, AuditOrder::NewestFirst] {
            let page = store
                .read_audit(AuditFilter::default(), order, None, 9)
                .await
                .unwrap();
            assert_eq!((page.events.len(), page.unreadable.len()), (1, 1));
        }
        let locks = store.locks(POLICY).await.unwrap();
        assert_eq!((locks.unknown, locks.unreadable.len()), (1, 3), "{locks:?}");
    }
}

/// A search reads the indexes of addresses and usernames too.
#[tokio::test]
async fn an_index_row_that_cannot_be_read_stands_in_no_searchs_way() {
    let harness = Sled::new();
    let kept = fill(&harness).await;
    let harness = damaged(harness, |tree| {
        let address = kept.ann.email.key().as_bytes();
        tree.insert(key(b'e', address), b"\x01{").unwrap();
    });
    let query = AccountQuery {
        filter: AccountFilter {
            text: Some("ann".to_owned()),
            ..AccountFilter::default()
        },
        limit: 9,
        ..AccountQuery::default()
    };
    let found = harness.store().find_accounts(query).await.unwrap();
    let names: Vec<_> = found.accounts.iter().map(|account| account.id).collect();
    assert_eq!(names, [kept.ann.id]);
    assert_eq!(found.unreadable.len(), 1, "{:?}", found.unreadable);
    assert!(
        found.unreadable[0].contains("ann@example.com"),
        "{:?}",
        found.unreadable
    );
}
