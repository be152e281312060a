//! E-mail tokens (S19).

use std::time::Duration;

use vestibule::model::{
    Account, AccountStatus, EmailToken, Invitation, LockoutSubject, Mail, MailOrigin, Purpose,
};
use vestibule::store::{AttemptOutcome, ConsumeToken, DeleteAccount, TokenEffect, UpdateAccount};

use super::super::samples::{
    POLICY, account, digest, email, invitation, later, mail, mailed_token, noon, session,
};
use super::{Harness, assert_sound, together};

fn set_password() -> TokenEffect {
    TokenEffect::SetPassword {
        password_hash: "$2b$12$another-not-a-hash".to_owned(),
        at: later(noon(), Duration::from_secs(5)),
        disowns: false,
    }
}

fn was_consumed(outcome: &ConsumeToken) -> bool {
    matches!(outcome, ConsumeToken::Consumed { .. })
}

/// An account `ann` with a token of each of these purposes, the digests counted from 1.
async fn ann_with<H: Harness>(purposes: &[Purpose]) -> (H, Account) {
    let harness = H::new();
    let store = harness.store();
    let ann = Account {
        email_verified: false,
        ..account("ann", harness.random())
    };
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    for (n, purpose) in (1..).zip(purposes) {
        store.save_token(mailed_token(n, *purpose, &ann)).await.unwrap();
    }
    (harness, ann)
}

pub(crate) async fn s19_of_twenty_uses_of_a_token_one_counts<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[Purpose::Reset]).await;
    let store = harness.store();
    let outcomes = together(20, |n| {
        let store = store.clone();
        let effect = TokenEffect::SetPassword {
            password_hash: format!("hash {n}"),
            at: later(noon(), Duration::from_secs(5)),
            disowns: true,
        };
        async move {
            store
                .consume_token(digest(1), effect, Vec::new(), noon())
                .await
                .unwrap()
        }
    })
    .await;
    let consumed: Vec<_> = outcomes.iter().filter(|outcome| was_consumed(outcome)).collect();
    let [ConsumeToken::Consumed { before, after }] = consumed[..] else {
        panic!("{consumed:?}")
    };
    assert_eq!(**before, ann);
    assert_eq!(store.account(ann.id).await.unwrap().as_ref(), Some(&**after));
    assert_eq!(store.token(digest(1)).await.unwrap(), None);
    assert_sound(&store).await;
}

pub(crate) async fn s19_a_token_serves_its_purpose_alone<H: Harness>() {
    let purposes = [
        Purpose::VerifyEmail,
        Purpose::Reset,
        Purpose::ResetByAdministrator,
        Purpose::ChangeEmail,
    ];
    let (harness, ann) = ann_with::<H>(&purposes).await;
    let store = harness.store();
    for (n, purpose) in (1..).zip(purposes) {
        for effect in [TokenEffect::VerifyEmail, set_password(), TokenEffect::ChangeEmail] {
            if !effect.serves(purpose) {
                let outcome = store.consume_token(digest(n), effect, Vec::new(), noon()).await;
                assert_eq!(outcome.unwrap(), ConsumeToken::Void, "{purpose:?}");
            }
        }
        assert!(
            store.token(digest(n)).await.unwrap().is_some(),
            "{purpose:?}: not used up"
        );
    }
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann));
    let unknown = store
        .consume_token(digest(9), set_password(), Vec::new(), noon())
        .await;
    assert_eq!(unknown.unwrap(), ConsumeToken::Void);
}

pub(crate) async fn s19_a_token_is_void_to_the_second<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[Purpose::VerifyEmail]).await;
    let store = harness.store();
    let EmailToken { expires_at, .. } = mailed_token(1, Purpose::VerifyEmail, &ann);
    let late = store.consume_token(digest(1), TokenEffect::VerifyEmail, Vec::new(), expires_at);
    assert_eq!(late.await.unwrap(), ConsumeToken::Void);
    let just_before = expires_at.checked_sub(Duration::from_secs(1)).unwrap();
    let outcome = store.consume_token(digest(1), TokenEffect::VerifyEmail, Vec::new(), just_before);
    assert!(was_consumed(&outcome.await.unwrap()));
    assert!(store.account(ann.id).await.unwrap().unwrap().email_verified);
}

pub(crate) async fn s19_a_newer_token_voids_the_older_of_its_purpose<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[Purpose::Reset, Purpose::ResetByAdministrator]).await;
    let store = harness.store();
    store
        .save_token(mailed_token(3, Purpose::Reset, &ann))
        .await
        .unwrap();
    let old = store
        .consume_token(digest(1), set_password(), Vec::new(), noon())
        .await;
    assert_eq!(old.unwrap(), ConsumeToken::Void);
    assert!(
        store.token(digest(2)).await.unwrap().is_some(),
        "what an administrator handed over is not voided by a mail"
    );
    let new = store
        .consume_token(digest(3), set_password(), Vec::new(), noon())
        .await;
    assert!(was_consumed(&new.unwrap()));
    assert_sound(&store).await;
}

pub(crate) async fn s19_a_new_password_or_address_and_disabling_void_all_tokens<H: Harness>() {
    let purposes = [Purpose::VerifyEmail, Purpose::Reset, Purpose::ChangeEmail];
    for change in 0..5 {
        let (harness, ann) = ann_with::<H>(&purposes).await;
        let store = harness.store();
        let mut changed = ann.clone();
        match change {
            0 => changed.password_changed_at = later(noon(), Duration::from_secs(5)),
            1 => changed.email = email("new@example.com"),
            2 => changed.status = AccountStatus::Disabled,
            // A sign-in may upgrade a hash, and a name may change: password and address stay equal.
            3 => "upgraded".clone_into(&mut changed.password_hash),
            _ => changed.name = Some("Ann".to_owned()),
        }
        assert_eq!(
            store.update_account(&ann, changed).await.unwrap(),
            UpdateAccount::Updated
        );
        for n in 1..=3 {
            assert_eq!(
                store.token(digest(n)).await.unwrap().is_none(),
                change < 3,
                "{change} {n}"
            );
        }
        assert_sound(&store).await;
    }
}

pub(crate) async fn a_reset_ends_sessions_lifts_the_lock_and_proves_a_mailed_address<H: Harness>() {
    for (purpose, proves) in [(Purpose::Reset, true), (Purpose::ResetByAdministrator, false)] {
        let (harness, ann) = ann_with::<H>(&[purpose, Purpose::ChangeEmail]).await;
        let store = harness.store();
        let subject = LockoutSubject::Account(ann.id);
        for n in 1..=3 {
            store
                .put_session(session(ann.id, n, harness.random()), None)
                .await
                .unwrap();
        }
        for _ in 0..11 {
            store.record_attempt(subject, POLICY).await.unwrap();
        }
        assert!(store.locked_for(subject, POLICY).await.unwrap().is_some());
        let told = mail(&ann, harness.random());
        let outcome = store
            .consume_token(digest(1), set_password(), vec![told.clone()], noon())
            .await;
        assert!(was_consumed(&outcome.unwrap()));
        let after = store.account(ann.id).await.unwrap().unwrap();
        assert_eq!(after.password_hash, "$2b$12$another-not-a-hash");
        assert_eq!(after.password_changed_at, later(noon(), Duration::from_secs(5)));
        assert_eq!(after.email_verified, proves, "{purpose:?}");
        assert_eq!(store.sessions().await.unwrap(), []);
        assert_eq!(
            store.record_attempt(subject, POLICY).await.unwrap(),
            AttemptOutcome::Counted(1)
        );
        assert_eq!(
            store.token(digest(2)).await.unwrap(),
            None,
            "the other tokens are void"
        );
        assert_eq!(store.mails(None, 9).await.unwrap().mails[0].mail, told);
        assert_sound(&store).await;
    }
}

pub(crate) async fn an_account_moves_to_the_address_of_the_token_if_it_is_free<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[]).await;
    let store = harness.store();
    for n in [1, 2] {
        let token = EmailToken {
            email: email("new@example.com"),
            ..mailed_token(n, Purpose::ChangeEmail, &ann)
        };
        store.save_token(token).await.unwrap();
        let holder = Account {
            email: email("New@example.com"),
            ..account("holder", harness.random())
        };
        if n == 1 {
            store.create_account(holder.clone(), None, noon()).await.unwrap();
        }
        let mails = vec![mail(&ann, harness.random())];
        let outcome = store
            .consume_token(digest(n), TokenEffect::ChangeEmail, mails, noon())
            .await
            .unwrap();
        if n == 1 {
            assert_eq!(outcome, ConsumeToken::EmailTaken);
            assert!(store.token(digest(1)).await.unwrap().is_some(), "not used up");
            assert_eq!(store.mails(None, 9).await.unwrap().mails, []);
            let holder = store.account_by_email(&holder.email).await.unwrap().unwrap();
            store.delete_account(holder.id).await.unwrap();
        } else {
            assert!(was_consumed(&outcome));
        }
    }
    let moved = store
        .account_by_email(&email("new@example.com"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(moved.id, ann.id);
    assert!(moved.email_verified);
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    assert_eq!(store.mails(None, 9).await.unwrap().mails.len(), 1);
    assert_sound(&store).await;
}

pub(crate) async fn tokens_go_with_their_account_and_when_they_expire<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[Purpose::Reset, Purpose::VerifyEmail]).await;
    let store = harness.store();
    let lasting = EmailToken {
        expires_at: later(noon(), Duration::from_hours(24)),
        ..mailed_token(2, Purpose::VerifyEmail, &ann)
    };
    store.save_token(lasting).await.unwrap();
    store
        .sweep(later(noon(), Duration::from_hours(2)), noon())
        .await
        .unwrap();
    assert_eq!(store.token(digest(1)).await.unwrap(), None);
    assert!(store.token(digest(2)).await.unwrap().is_some());
    assert_sound(&store).await;
    assert_eq!(
        store.delete_account(ann.id).await.unwrap(),
        DeleteAccount::Deleted
    );
    assert_eq!(store.token(digest(2)).await.unwrap(), None);
    assert_sound(&store).await;
}

pub(crate) async fn tokens_survive_a_restart<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[Purpose::Reset, Purpose::VerifyEmail]).await;
    let store = harness.store();
    store
        .consume_token(digest(1), set_password(), Vec::new(), noon())
        .await
        .unwrap();
    store
        .save_token(mailed_token(3, Purpose::VerifyEmail, &ann))
        .await
        .unwrap();
    drop(store);
    let harness = harness.restart(noon());
    let store = harness.store();
    let spent = store
        .consume_token(digest(1), set_password(), Vec::new(), noon())
        .await;
    assert_eq!(spent.unwrap(), ConsumeToken::Void);
    let kept = store
        .consume_token(digest(3), TokenEffect::VerifyEmail, Vec::new(), noon())
        .await;
    assert!(was_consumed(&kept.unwrap()));
}

pub(crate) async fn s78_an_account_that_may_not_sign_in_moves_nowhere<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[]).await;
    let store = harness.store();
    let token = EmailToken {
        email: email("new@example.com"),
        ..mailed_token(1, Purpose::ChangeEmail, &ann)
    };
    let disabled = Account {
        status: AccountStatus::Disabled,
        ..ann.clone()
    };
    store.save_token(token).await.unwrap();
    let updated = store.update_account(&ann, disabled).await;
    assert_eq!(updated.unwrap(), UpdateAccount::Updated);
    let effect = TokenEffect::ChangeEmail;
    let outcome = store.consume_token(digest(1), effect, Vec::new(), noon()).await;
    assert_eq!(outcome.unwrap(), ConsumeToken::Void);
    let stays = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(stays.email, ann.email);
    assert_sound(&store).await;
}

pub(crate) async fn s19_an_account_that_is_gone_gets_no_token<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[]).await;
    let store = harness.store();
    store.delete_account(ann.id).await.unwrap();
    let token = mailed_token(1, Purpose::ResetByAdministrator, &ann);
    store.save_token(token).await.unwrap();
    assert_eq!(store.token(digest(1)).await.unwrap(), None);
    assert_sound(&store).await;
}

pub(crate) async fn what_was_made_by_a_clock_that_was_ahead_is_forgotten_at_a_start<H: Harness>() {
    let (harness, ann) = ann_with::<H>(&[Purpose::Reset, Purpose::VerifyEmail]).await;
    let (store, random) = (harness.store(), harness.random());
    let hours = |n: u64| later(noon(), Duration::from_hours(n));
    let ahead = EmailToken {
        expires_at: hours(2),
        ..mailed_token(3, Purpose::ResetByAdministrator, &ann)
    };
    store.save_token(ahead).await.unwrap();
    let slow = EmailToken {
        expires_at: hours(24),
        ..mailed_token(4, Purpose::ChangeEmail, &ann)
    };
    store.save_token(slow).await.unwrap();
    let invited = |n: u64, created_at| Invitation {
        created_at,
        ..invitation(n, random)
    };
    let a_minute = later(noon(), Duration::from_mins(1));
    for (n, created_at) in [(5, hours(1)), (6, a_minute), (7, noon())] {
        store.create_invitation(invited(n, created_at)).await.unwrap();
    }
    let told = Mail {
        cause: MailOrigin {
            at: hours(24),
            ..mail(&ann, random).cause
        },
        ..mail(&ann, random)
    };
    store.enqueue_mails(vec![told.clone()]).await.unwrap();
    store.forget_future(noon()).await.unwrap();
    for (n, stays) in [(1, true), (2, true), (3, false), (4, true)] {
        assert_eq!(store.token(digest(n)).await.unwrap().is_some(), stays, "{n}");
    }
    for (n, stays) in [(5, false), (6, true), (7, true)] {
        assert_eq!(store.invitation(digest(n)).await.unwrap().is_some(), stays, "{n}");
    }
    let due = store.take_due_mail(noon(), Duration::from_mins(2)).await.unwrap();
    assert_eq!(due.map(|kept| kept.mail), Some(told));
    assert_sound(&store).await;
}
