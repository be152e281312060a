//! Exporting everything and importing it into another store.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use sha2::{Digest, Sha256};
use vestibule::model::{Account, AccountStatus, Agreement, LockoutSubject, Session, TokenDigest};
use vestibule::random::Random;
use vestibule::store::{
    AuditFilter, AuditOrder, ConsumeToken, CreateAccount, Export, ExportedFailures, ExportedLock, NamesKey,
    PutError, PutSession, Record, RecordKind, SessionsToEnd, SpendSignature, TokenEffect,
};

use super::super::full::{ann, file_of, fill, records_of};
use super::super::samples::{ADMINS, POLICY, account, digest, email, later, noon, session};
use super::{Harness, assert_sound};
use vestibule::model::SignatureDigest;

/// A store filled from a file, opened at noon.
async fn store_of<H: Harness>(file: &[u8]) -> H {
    let (mut import, open) = H::fill();
    for records in records_of(file).chunks(3) {
        import.put(records.to_vec()).await.unwrap();
    }
    import.finish().await.unwrap();
    open(noon())
}

pub(crate) async fn what_is_taken_out_and_put_in_is_taken_out_again_to_the_letter<H: Harness>() {
    let harness = H::new();
    fill(&*harness.store(), harness.random()).await;
    let file = file_of(&*harness.store()).await;
    let kinds: BTreeSet<_> = records_of(&file).iter().map(Record::kind).collect();
    assert_eq!(kinds, RecordKind::ALL.into(), "there is one of each");
    // In the order of the format.
    assert!(
        records_of(&file)
            .is_sorted_by_key(|record| { RecordKind::ALL.iter().position(|kind| *kind == record.kind()) })
    );

    let again = store_of::<H>(&file).await;
    assert_sound(&again.store()).await;
    let second = file_of(&*again.store()).await;
    assert_eq!(
        String::from_utf8(second).unwrap(),
        String::from_utf8(file).unwrap()
    );
}

/// Names, groups and texts of any kind, in any number.
pub(crate) async fn whatever_is_in_it_comes_through<H: Harness>() {
    let person = (
        // No gateway keeps a NUL.
        proptest::option::of("[^\\x00\\n]{0,40}"),
        proptest::collection::btree_set("[^,\\p{C}]{1,20}", 0..3),
        proptest::collection::vec(("[^\\x00\\n]{0,10}", 0..u64::MAX >> 8), 0..3),
        0..4_usize,
    );
    let people = proptest::collection::vec(person, 0..12);
    let mut runner = TestRunner::new_with_rng(
        Config {
            failure_persistence: None,
            ..Config::default()
        },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    for _ in 0..6 {
        let people = people.new_tree(&mut runner).unwrap().current();
        let (harness, random) = (H::new(), Random::seeded(9));
        let store = harness.store();
        for (n, (name, groups, agreements, status)) in people.into_iter().enumerate() {
            let agreements = agreements.into_iter().map(|(version, nanos)| Agreement {
                version,
                at: later(noon(), Duration::from_nanos(nanos)),
            });
            let made = Account {
                name,
                groups,
                agreements: agreements.collect(),
                status: [
                    AccountStatus::Active,
                    AccountStatus::AwaitingApproval,
                    AccountStatus::Declined,
                    AccountStatus::Disabled,
                ][status],
                ..account(&format!("p{n}"), &random)
            };
            let of = made.id;
            let outcome = store.create_account(made, None, noon()).await.unwrap();
            assert_eq!(outcome, CreateAccount::Created);
            store
                .put_session(session(of, n as u64, &random), None)
                .await
                .unwrap();
        }
        let file = file_of(&*store).await;
        let again = store_of::<H>(&file).await;
        assert_sound(&again.store()).await;
        assert_eq!(file_of(&*again.store()).await, file);
    }
}

pub(crate) async fn what_was_put_in_works_as_it_did<H: Harness>() {
    let harness = H::new();
    fill(&*harness.store(), harness.random()).await;
    let again = store_of::<H>(&file_of(&*harness.store()).await).await;
    let (store, random) = (again.store(), Random::seeded(3));

    let found = store
        .account_by_email(&email("ANN@example.com"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.username.as_str(), "annie");
    assert_eq!(found.former_usernames, ["ann".parse().unwrap()]);
    assert!(store.group_has_active_members(ADMINS).await.unwrap());
    for taken in ["ann", "annie", "gone", "bob"] {
        let mut other = account(taken, &random);
        other.email = email(&format!("{taken}.2@example.com"));
        let made = store.create_account(other, None, noon()).await.unwrap();
        assert_eq!(made, CreateAccount::UsernameTaken, "{taken}");
    }
    // One invitation is still valid, the other not: there is an administrator.
    for (invitation, outcome) in [(4, CreateAccount::InvitationVoid), (3, CreateAccount::Created)] {
        let carol = account("carol", &random);
        let made = store
            .create_account(carol, Some(digest(invitation)), noon())
            .await
            .unwrap();
        assert_eq!(made, outcome);
    }

    // Lockouts last as long as they did, and no longer.
    for subject in [
        LockoutSubject::Account(found.id),
        LockoutSubject::unknown("nobody"),
    ] {
        let left = store.locked_for(subject, POLICY).await.unwrap();
        assert_eq!(left, Some(Duration::from_mins(20)));
    }
    assert_eq!(store.locks(POLICY).await.unwrap().access_keys.len(), 1);
    again.hand().advance(Duration::from_secs(20 * 60 + 1));
    assert_eq!(
        store
            .locked_for(LockoutSubject::Account(found.id), POLICY)
            .await
            .unwrap(),
        None
    );

    assert_eq!(
        store.end_sessions(SessionsToEnd::Token(digest(1))).await.unwrap(),
        1
    );
    let effect = TokenEffect::SetPassword {
        password_hash: "$2b$12$new".to_owned(),
        at: later(noon(), Duration::from_secs(1)),
        disowns: false,
    };
    let used = store
        .consume_token(digest(11), effect, Vec::new(), noon())
        .await
        .unwrap();
    assert!(matches!(used, ConsumeToken::Consumed { .. }));
    assert!(store.sessions().await.unwrap().is_empty(), "a reset ends them");
    let spent = SignatureDigest::of("AKIA", b"signature");
    let outcome = store
        .claim_signature(spent, later(noon(), Duration::from_mins(5)))
        .await;
    assert_eq!(outcome.unwrap(), SpendSignature::SpentBefore);
    let due = store.take_due_mail(noon(), Duration::from_mins(1)).await.unwrap();
    assert!(due.is_some_and(|kept| kept.attempts == 1));
    let page = store
        .read_audit(AuditFilter::default(), AuditOrder::OldestFirst, None, 9)
        .await;
    assert_eq!(page.unwrap().events.len(), 4);
    assert_sound(&store).await;
}

pub(crate) async fn an_export_is_of_one_moment<H: Harness>() {
    let harness = H::new();
    let (store, random) = (harness.store(), harness.random());
    fill(&*store, random).await;
    for n in 0..700 {
        let made = account(&format!("p{n}"), random);
        let theirs = session(made.id, 100 + n, random);
        store.create_account(made, None, noon()).await.unwrap();
        store.put_session(theirs, None).await.unwrap();
    }
    let before = records_of(&file_of(&*store).await);
    let mut export = store.export().await.unwrap();
    let mut during = export.next().await.unwrap();
    // Changes, removals and additions of many kinds during the export.
    let owner = store
        .account_by_email(&ann(&Random::seeded(0)).email)
        .await
        .unwrap()
        .unwrap();
    let changed = Account {
        name: None,
        email: email("elsewhere@example.com"),
        ..owner.clone()
    };
    store.update_account(&owner, changed).await.unwrap();
    for n in (0..700).step_by(7) {
        let name = format!("p{n}").parse().unwrap();
        let gone = store.account_by_username(&name).await.unwrap().unwrap();
        store.delete_account(gone.id).await.unwrap();
    }
    store
        .create_account(account("new", random), None, noon())
        .await
        .unwrap();
    let replaced = store
        .put_session(session(owner.id, 5000, random), Some(digest(1)))
        .await;
    assert_eq!(replaced.unwrap(), PutSession::Kept);
    store.end_sessions(SessionsToEnd::All).await.unwrap();
    store
        .sweep(later(noon(), Duration::from_hours(10_000)), noon())
        .await
        .unwrap();
    store
        .prune_audit(later(noon(), Duration::from_hours(1)))
        .await
        .unwrap();
    store
        .clear_attempts(LockoutSubject::unknown("nobody"))
        .await
        .unwrap();
    rest_of(&mut *export, &mut during).await;

    let texts = |records: &[Record]| -> Vec<_> {
        records
            .iter()
            .map(|record| serde_json::to_string(record).unwrap())
            .collect()
    };
    assert_eq!(texts(&during), texts(&before));
    let after = records_of(&file_of(&*store).await);
    assert_ne!(texts(&after), texts(&before));
}

async fn rest_of(export: &mut dyn Export, records: &mut Vec<Record>) {
    loop {
        let next = export.next().await.unwrap();
        if next.is_empty() {
            return;
        }
        records.extend(next);
    }
}

pub(crate) async fn what_cannot_be_beside_what_is_there_is_refused<H: Harness>() {
    let harness = H::new();
    fill(&*harness.store(), harness.random()).await;
    let records = records_of(&file_of(&*harness.store()).await);
    // Twice: an error for all but events, of which several may be equal.
    for (index, record) in records.iter().enumerate() {
        let (mut import, _) = H::fill();
        let twice: Vec<_> = records[..=index].iter().chain([record]).cloned().collect();
        let outcome = import.put(twice).await;
        if let Record::AuditEvent(_) = record {
            outcome.unwrap();
            continue;
        }
        let Err(PutError::Refused { index: at, .. }) = outcome else {
            panic!("{record}: {outcome:?}");
        };
        assert_eq!(at, index + 1, "{record}");
    }
    // Alone: records that depend on others.
    for record in &records {
        let (mut import, _) = H::fill();
        let is_somebodys = match record {
            Record::AccessKey(_) | Record::Session(_) | Record::MailedToken(_) => true,
            Record::Failures(failures) => !matches!(failures.of, LockoutSubject::Unknown(_)),
            _ => false,
        };
        let outcome = import.put(vec![record.clone()]).await;
        assert_eq!(outcome.is_err(), is_somebodys, "{record}: {outcome:?}");
    }
    // Another account's address and names.
    let random = Random::seeded(5);
    for (name, address) in [
        ("xx", "BOB@example.com"),
        ("bob", "x@example.com"),
        ("gone", "x@example.com"),
    ] {
        let (mut import, _) = H::fill();
        import.put(records.clone()).await.unwrap();
        let other = Account {
            email: email(address),
            ..account(name, &random)
        };
        let outcome = import.put(vec![Record::Account(other)]).await;
        assert!(
            matches!(outcome, Err(PutError::Refused { index: 0, .. })),
            "{name}"
        );
        assert!(
            import.put(records[..1].to_vec()).await.is_err(),
            "it takes nothing more"
        );
    }
}

pub(crate) async fn a_store_that_was_not_finished_is_none<H: Harness>() {
    let (mut import, open) = H::fill();
    let ann = account("ann", &Random::seeded(1));
    let theirs = Session {
        digest: TokenDigest::of("x"),
        ..session(ann.id, 0, &Random::seeded(2))
    };
    import
        .put(vec![Record::Account(ann), Record::Session(theirs)])
        .await
        .unwrap();
    drop(import);
    let harness = open(noon());
    assert_eq!(
        records_of(&file_of(&*harness.store()).await).len(),
        1,
        "the names' key alone"
    );
    assert_sound(&harness.store()).await;
}

/// Names that were in sets of another kind, or in none, may be more than a set holds.
pub(crate) async fn of_names_that_share_a_set_the_oldest_go<H: Harness>() {
    let (mut import, open) = H::fill();
    let key = [7; 32];
    // Names of the first of 8192 sets, in the order of their digests.
    let in_first_set = |name: &[u8; 32]| {
        let keyed = Sha256::new().chain_update(key).chain_update(name).finalize();
        u16::from_be_bytes([keyed[0], keyed[1]]).is_multiple_of(8192)
    };
    let all = (0_u32..).map(|n| Sha256::digest(n.to_be_bytes()).into());
    let mut names: Vec<[u8; 32]> = all.filter(in_first_set).take(10).collect();
    names.sort_unstable();
    let failures = |(n, name): (u64, &[u8; 32])| {
        Record::Failures(ExportedFailures {
            of: LockoutSubject::Unknown(*name),
            count: 11,
            lock: (n == 0).then(|| ExportedLock {
                lasts: SignedDuration::from_mins(20),
                until: later(noon(), Duration::from_mins(20)),
            }),
            last: Some(later(noon(), Duration::from_secs(n))),
        })
    };
    let mut records = vec![Record::NamesKey(NamesKey { key })];
    records.extend((0..).zip(&names).map(failures));
    import.put(records).await.unwrap();
    import.finish().await.unwrap();
    let store = open(noon()).store();
    let kept: BTreeSet<_> = records_of(&file_of(&*store).await)
        .iter()
        .filter_map(|record| match record {
            Record::Failures(kept) => match kept.of {
                LockoutSubject::Unknown(name) => Some(name),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let locked_and_later = names[..1].iter().chain(&names[3..]).copied().collect();
    assert_eq!(kept, locked_and_later);
    assert_sound(&store).await;
}
