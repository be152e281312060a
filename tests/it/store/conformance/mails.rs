//! Queued mails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use vestibule::ids::MailId;
use vestibule::model::{
    Account, EmailToken, Mail, MailKind, MailOrigin, MailState, PendingEmail, Purpose, QueuedMail,
};
use vestibule::store::{
    ClaimMail, ClaimToken, CreateAccount, EditAccount, MailAllowance, MailClaim, MailOutcome, Store,
    UpdateAccount,
};

use super::super::samples::{account, digest, email, invitation, later, mail, mailed_token, noon};
use super::{Harness, assert_sound, together};

const LEASE: Duration = Duration::from_mins(2);

async fn take(store: &Arc<dyn Store>, now: Timestamp) -> Option<Mail> {
    store
        .take_due_mail(now, LEASE)
        .await
        .unwrap()
        .map(|kept| kept.mail)
}

fn minutes(n: u64) -> Timestamp {
    later(noon(), Duration::from_mins(n))
}

/// A store with an account, `ann`, and `count` mails to it, one second apart.
async fn with_mails<H: Harness>(count: u64) -> (H, Account, Vec<Mail>) {
    let harness = H::new();
    let ann = account("ann", harness.random());
    let mails: Vec<Mail> = (0..count)
        .map(|n| {
            let at = later(noon(), Duration::from_secs(n));
            let mail = mail(&ann, harness.random());
            Mail {
                id: MailId::new(at, harness.random()),
                cause: MailOrigin {
                    at,
                    ..mail.cause.clone()
                },
                ..mail
            }
        })
        .collect();
    harness
        .store()
        .create_account(ann.clone(), None, noon())
        .await
        .unwrap();
    harness.store().enqueue_mails(mails.clone()).await.unwrap();
    (harness, ann, mails)
}

pub(crate) async fn mails_are_taken_in_their_order_when_they_are_due<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(3).await;
    let store = harness.store();
    assert_eq!(take(&store, noon()).await, Some(mails[0].clone()));
    assert_eq!(take(&store, noon()).await, None, "the second is due in a second");
    assert_eq!(take(&store, minutes(1)).await, Some(mails[1].clone()));
    assert_eq!(take(&store, minutes(1)).await, Some(mails[2].clone()));
    assert_eq!(take(&store, minutes(1)).await, None);
    assert_eq!(store.count_waiting_mails(9).await.unwrap(), 3);
    assert_eq!(store.count_waiting_mails(2).await.unwrap(), 2);
    let kept = store.mails(None, 2).await.unwrap().mails;
    assert_eq!(
        kept.iter().map(|kept| &kept.mail).collect::<Vec<_>>(),
        [&mails[0], &mails[1]]
    );
    let rest = store.mails(Some(mails[1].id), 9).await.unwrap().mails;
    assert_eq!(rest[0].mail, mails[2]);
    assert_eq!(rest.len(), 1);
    assert_sound(&store).await;
}

pub(crate) async fn a_mail_that_nobody_comes_back_with_is_taken_again<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(1).await;
    let store = harness.store();
    assert_eq!(take(&store, noon()).await, Some(mails[0].clone()));
    assert_eq!(take(&store, minutes(1)).await, None);
    let again = store.take_due_mail(minutes(2), LEASE).await.unwrap().unwrap();
    assert_eq!((again.mail, again.attempts), (mails[0].clone(), 2));
}

pub(crate) async fn a_mail_is_sent_postponed_or_fails_for_good<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(3).await;
    let store = harness.store();
    for mail in &mails {
        assert_eq!(take(&store, minutes(1)).await.as_ref(), Some(mail));
    }
    let reason = || "450 later".to_owned();
    let outcomes = [
        MailOutcome::Done,
        MailOutcome::Postponed {
            until: minutes(5),
            reason: reason(),
        },
        MailOutcome::Failed {
            at: minutes(1),
            reason: reason(),
        },
    ];
    for (mail, outcome) in mails.iter().zip(outcomes) {
        assert!(store.complete_mail(mail.id, outcome).await.unwrap());
    }
    assert!(
        !store.complete_mail(mails[0].id, MailOutcome::Done).await.unwrap(),
        "it is gone"
    );
    let kept = |n: usize, state| QueuedMail {
        mail: mails[n].clone(),
        attempts: 1,
        state,
        reason: Some(reason()),
    };
    assert_eq!(
        store.mails(None, 9).await.unwrap().mails,
        [
            kept(1, MailState::Due(minutes(5))),
            kept(2, MailState::Failed(minutes(1)))
        ]
    );
    assert_eq!(take(&store, minutes(4)).await, None);
    assert_eq!(take(&store, minutes(5)).await, Some(mails[1].clone()));
    assert_eq!(
        take(&store, minutes(60)).await,
        Some(mails[1].clone()),
        "the failed one never"
    );
    assert_sound(&store).await;

    // An administrator requests a retry.
    let until = minutes(90);
    let retry = MailOutcome::Postponed {
        until,
        reason: reason(),
    };
    assert!(store.complete_mail(mails[2].id, retry).await.unwrap());
    store.complete_mail(mails[1].id, MailOutcome::Done).await.unwrap();
    assert_eq!(take(&store, until).await, Some(mails[2].clone()));
    assert_sound(&store).await;
}

pub(crate) async fn of_twenty_takers_each_gets_another_mail<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(15).await;
    let store = harness.store();
    let taken = together(20, |_| {
        let store = store.clone();
        async move { take(&store, minutes(1)).await }
    })
    .await;
    let mut ids: Vec<_> = taken.into_iter().flatten().map(|mail| mail.id).collect();
    ids.sort();
    assert_eq!(ids, mails.iter().map(|mail| mail.id).collect::<Vec<_>>());
}

fn stamp(token: Option<EmailToken>, mails: Option<u32>) -> MailClaim {
    MailClaim {
        token: token.map(ClaimToken::Account),
        allowance: mails.map(|mails| MailAllowance {
            address: email("ANN@example.com"),
            mails,
            window: Duration::from_hours(1),
        }),
    }
}

pub(crate) async fn s23_an_address_is_sent_three_mails_an_hour<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(6).await;
    let store = harness.store();
    let mut outcomes = Vec::new();
    for (n, now) in [(0, 0), (0, 1), (1, 1), (2, 2), (3, 3), (0, 4)] {
        outcomes.push(
            store
                .claim_mail(mails[n].id, stamp(None, Some(3)), minutes(now))
                .await
                .unwrap(),
        );
    }
    let over = outcomes.remove(4);
    assert_eq!(over, ClaimMail::OverAllowance, "the fourth");
    assert_eq!(
        outcomes,
        [ClaimMail::Claimed; 5],
        "one that is tried again counts once"
    );
    let unlimited = store.claim_mail(mails[4].id, stamp(None, None), minutes(4)).await;
    assert_eq!(unlimited.unwrap(), ClaimMail::Claimed, "a notice has no limit");
    let before = store
        .claim_mail(mails[5].id, stamp(None, Some(3)), minutes(59))
        .await;
    assert_eq!(before.unwrap(), ClaimMail::OverAllowance);
    store.sweep(minutes(59), noon()).await.unwrap();
    let after = store
        .claim_mail(mails[5].id, stamp(None, Some(3)), minutes(60))
        .await;
    assert_eq!(after.unwrap(), ClaimMail::Claimed, "the first is an hour ago");
    store.sweep(minutes(600), noon()).await.unwrap();
    assert_sound(&store).await;
}

pub(crate) async fn s78_of_twenty_mails_at_one_moment_an_address_is_sent_three<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(20).await;
    let store = harness.store();
    let outcomes = together(20, |n| {
        let (store, id) = (store.clone(), mails[n].id);
        async move {
            let stamp = stamp(None, Some(3));
            store.claim_mail(id, stamp, minutes(1)).await.unwrap()
        }
    })
    .await;
    let sent = outcomes.iter().filter(|outcome| **outcome == ClaimMail::Claimed);
    assert_eq!(sent.count(), 3, "{outcomes:?}");
    assert_sound(&store).await;
}

pub(crate) async fn s78_of_twenty_pending_changes_at_one_moment_the_newest_serves<H: Harness>() {
    let (harness, ann, mails) = with_mails::<H>(20).await;
    let store = harness.store();
    together(20, |n| {
        let (store, account, id) = (store.clone(), ann.id, mails[n].id);
        let pending = PendingEmail {
            email: email(&format!("ann{n}@example.com")),
            since: noon(),
            mail: id,
        };
        let token = EmailToken {
            mail: Some(id),
            email: pending.email.clone(),
            ..mailed_token(n as u64, Purpose::ChangeEmail, &ann)
        };
        async move {
            let edit = move |account: &mut Account| {
                account.pending_email = Some(pending.clone());
                Some(Vec::new())
            };
            let edited = store.edit_account(account, Arc::new(edit)).await;
            assert!(matches!(edited, Ok(EditAccount::Edited { .. })), "{edited:?}");
            let stamp = stamp(Some(token), None);
            store.claim_mail(id, stamp, minutes(1)).await.unwrap()
        }
    })
    .await;
    let ann = store.account(ann.id).await.unwrap().unwrap();
    let newest = ann.pending_email.unwrap().mail;
    let mut serving = Vec::new();
    for n in 0..20 {
        serving.extend(store.token(digest(n)).await.unwrap().and_then(|token| token.mail));
    }
    assert_eq!(serving, [newest]);
    assert_sound(&store).await;
}

pub(crate) async fn a_stamped_mail_has_the_good_token<H: Harness>() {
    let (harness, ann, mails) = with_mails::<H>(3).await;
    let store = harness.store();
    let token = |n: u64, mail: &Mail| EmailToken {
        mail: Some(mail.id),
        ..mailed_token(n, Purpose::Reset, &ann)
    };
    let mut outcomes = Vec::new();
    for (n, mail) in [(1, 0), (2, 0), (3, 1), (4, 0)] {
        let stamp = stamp(Some(token(n, &mails[mail])), None);
        outcomes.push(store.claim_mail(mails[mail].id, stamp, noon()).await.unwrap());
    }
    assert_eq!(
        outcomes.pop(),
        Some(ClaimMail::Superseded),
        "a newer mail went out meanwhile"
    );
    assert_eq!(outcomes, [ClaimMail::Claimed; 3]);
    for (n, is_kept) in [(1, false), (2, false), (3, true), (4, false)] {
        assert_eq!(store.token(digest(n)).await.unwrap().is_some(), is_kept, "{n}");
    }
    let elsewhere = EmailToken {
        email: email("old@example.com"),
        ..token(5, &mails[2])
    };
    let outcome = store
        .claim_mail(mails[2].id, stamp(Some(elsewhere), None), noon())
        .await;
    assert_eq!(
        outcome.unwrap(),
        ClaimMail::Gone,
        "the account has another address"
    );
    store.complete_mail(mails[2].id, MailOutcome::Done).await.unwrap();
    let outcome = store.claim_mail(mails[2].id, stamp(None, None), noon()).await;
    assert_eq!(outcome.unwrap(), ClaimMail::Gone);
    assert_sound(&store).await;
}

pub(crate) async fn a_mailed_invitation_gets_a_new_token<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(1).await;
    let store = harness.store();
    let invited = invitation(1, harness.random());
    store.create_invitation(invited.clone()).await.unwrap();
    let stamp = |n| MailClaim {
        token: Some(ClaimToken::Invitation(invited.id, digest(n))),
        allowance: None,
    };
    let outcome = store.claim_mail(mails[0].id, stamp(2), noon()).await.unwrap();
    assert_eq!(outcome, ClaimMail::Claimed);
    assert_eq!(store.invitation(digest(1)).await.unwrap(), None);
    assert_eq!(store.invitation(digest(2)).await.unwrap().unwrap().id, invited.id);
    assert_sound(&store).await;
    assert!(store.revoke_invitation(invited.id).await.unwrap());
    let outcome = store.claim_mail(mails[0].id, stamp(3), noon()).await.unwrap();
    assert_eq!(outcome, ClaimMail::Gone);
}

pub(crate) async fn mails_come_with_what_brings_them_about<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    let waiting = || async { store.mails(None, 9).await.unwrap().mails.len() };
    let create = |account: &Account| {
        let mails = vec![mail(account, harness.random())];
        store.create_account_and_mail(account.clone(), None, mails, noon())
    };
    assert_eq!(create(&ann).await.unwrap(), CreateAccount::Created);
    assert_eq!(waiting().await, 1);
    let same = Account {
        id: bob.id,
        ..ann.clone()
    };
    assert_eq!(create(&same).await.unwrap(), CreateAccount::EmailTaken);
    assert_eq!(waiting().await, 1, "no account, no mail");
    let told = mail(&ann, harness.random());
    let edit = |id| {
        let told = told.clone();
        store.edit_account(id, Arc::new(move |_: &mut Account| Some(vec![told.clone()])))
    };
    assert!(matches!(edit(ann.id).await.unwrap(), EditAccount::Edited { .. }));
    assert_eq!(waiting().await, 2);
    assert_eq!(edit(bob.id).await.unwrap(), EditAccount::Absent);
    assert_eq!(waiting().await, 2);
}

pub(crate) async fn mails_survive_a_restart_and_failed_ones_a_month<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(2).await;
    let failed = MailOutcome::Failed {
        at: noon(),
        reason: "550 nobody".to_owned(),
    };
    harness.store().complete_mail(mails[0].id, failed).await.unwrap();
    let harness = harness.restart(noon());
    let store = harness.store();
    let days = |n: u64| later(noon(), Duration::from_hours(24 * n));
    store.sweep(days(29), noon()).await.unwrap();
    assert_eq!(store.mails(None, 9).await.unwrap().mails.len(), 2);
    store.sweep(days(30), noon()).await.unwrap();
    assert_eq!(
        store.mails(None, 9).await.unwrap().mails.len(),
        1,
        "what waits stays"
    );
    assert_eq!(take(&store, minutes(1)).await, Some(mails[1].clone()));
    assert_sound(&store).await;
}

pub(crate) async fn one_that_failed_is_sent_again_once<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(2).await;
    let store = harness.store();
    let again = |n: usize| {
        let at = minutes(10);
        store.complete_mail(mails[n].id, MailOutcome::Again { at })
    };
    assert!(!again(0).await.unwrap(), "it waits");
    for mail in &mails {
        let failed = MailOutcome::Failed {
            at: noon(),
            reason: "550 nobody".to_owned(),
        };
        store.complete_mail(mail.id, failed).await.unwrap();
    }
    let outcomes = super::together(20, |_| {
        let (store, id) = (store.clone(), mails[0].id);
        async move {
            let at = minutes(10);
            store.complete_mail(id, MailOutcome::Again { at }).await.unwrap()
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|&&sent| sent).count(), 1);
    assert_eq!(take(&store, minutes(9)).await, None);
    assert_eq!(take(&store, minutes(10)).await, Some(mails[0].clone()));
    assert_eq!(
        take(&store, minutes(10)).await,
        None,
        "the other one stays as it is"
    );
    store.complete_mail(mails[0].id, MailOutcome::Done).await.unwrap();
    assert!(!again(0).await.unwrap(), "it is gone");
    assert_sound(&store).await;
}

pub(crate) async fn one_that_waits_for_later_is_due_when_it_is_wanted_now<H: Harness>() {
    let (harness, _, mails) = with_mails::<H>(1).await;
    let store = harness.store();
    let id = mails[0].id;
    let late = MailOutcome::Postponed {
        until: minutes(60),
        reason: "450 later".to_owned(),
    };
    store.complete_mail(id, late).await.unwrap();
    assert_eq!(take(&store, minutes(5)).await, None);
    let again = || MailOutcome::Again { at: minutes(5) };
    assert!(store.complete_mail(id, again()).await.unwrap());
    assert!(
        !store.complete_mail(id, again()).await.unwrap(),
        "it is due already"
    );
    assert_sound(&store).await;
    assert_eq!(take(&store, minutes(5)).await, Some(mails[0].clone()));
    assert_sound(&store).await;
}

pub(crate) async fn s77_a_mail_that_waited_for_another_password_takes_no_link_along<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let waiting = [
        (MailKind::ChangeEmail(ann.id), Purpose::ChangeEmail),
        (MailKind::Reset, Purpose::Reset),
        (MailKind::AlreadyRegistered, Purpose::Reset),
    ]
    .map(|(topic, purpose)| (mail_about(topic, &ann, noon(), &harness), purpose));
    let mails = waiting.iter().map(|(mail, _)| mail.clone()).collect();
    store.enqueue_mails(mails).await.unwrap();
    set_password(&store, &ann, later(noon(), Duration::from_secs(1))).await;
    for (mail, purpose) in waiting {
        let outcome = send(&store, &ann, &mail, purpose).await;
        assert_eq!(outcome, ClaimMail::Gone, "{purpose:?}");
        assert_eq!(store.token(digest(1)).await.unwrap(), None);
    }
    assert_sound(&store).await;
}

fn mail_about<H: Harness>(topic: MailKind, account: &Account, at: Timestamp, harness: &H) -> Mail {
    let mail = mail(account, harness.random());
    Mail {
        id: MailId::new(at, harness.random()),
        topic,
        cause: MailOrigin {
            at,
            ..mail.cause.clone()
        },
        ..mail
    }
}

async fn set_password(store: &Arc<dyn Store>, account: &Account, at: Timestamp) -> Account {
    let reset = Account {
        password_changed_at: at,
        ..account.clone()
    };
    let updated = store.update_account(account, reset.clone()).await;
    assert_eq!(updated.unwrap(), UpdateAccount::Updated);
    reset
}

/// Sends a mail with a token of this purpose.
async fn send(store: &Arc<dyn Store>, account: &Account, mail: &Mail, purpose: Purpose) -> ClaimMail {
    let token = EmailToken {
        mail: Some(mail.id),
        ..mailed_token(1, purpose, account)
    };
    let stamp = stamp(Some(token), None);
    store.claim_mail(mail.id, stamp, noon()).await.unwrap()
}

pub(crate) async fn s77_no_clock_tells_which_of_a_mail_and_a_password_came_first<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let tomorrow = later(noon(), Duration::from_hours(24));
    // The clock is a day ahead at the request, and right when the owner sets another password.
    let before = mail_about(MailKind::Reset, &ann, tomorrow, &harness);
    store.enqueue_mails(vec![before.clone()]).await.unwrap();
    let ann = set_password(&store, &ann, minutes(1)).await;
    let outcome = send(&store, &ann, &before, Purpose::Reset).await;
    assert_eq!(outcome, ClaimMail::Gone, "it was asked for before");
    // And the reverse.
    let ann = set_password(&store, &ann, tomorrow).await;
    let after = mail_about(MailKind::Reset, &ann, minutes(2), &harness);
    store.enqueue_mails(vec![after.clone()]).await.unwrap();
    let outcome = send(&store, &ann, &after, Purpose::Reset).await;
    assert_eq!(outcome, ClaimMail::Claimed, "it was asked for after that");
    assert!(store.token(digest(1)).await.unwrap().is_some());
    assert_sound(&store).await;
}

pub(crate) async fn s77_links_for_the_password_are_withdrawn_whatever_became_of_their_mails<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    for account in [&ann, &bob] {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
    let about = |topic, account| mail_about(topic, account, noon(), &harness);
    let (waits, failed, of_bob, told) = (
        about(MailKind::Reset, &ann),
        about(MailKind::Reset, &ann),
        about(MailKind::Reset, &bob),
        about(MailKind::PasswordChanged, &ann),
    );
    let all = [&waits, &failed, &of_bob, &told].map(Clone::clone).to_vec();
    store.enqueue_mails(all).await.unwrap();
    let outcome = MailOutcome::Failed {
        at: noon(),
        reason: "550 nobody".to_owned(),
    };
    store.complete_mail(failed.id, outcome).await.unwrap();
    set_password(&store, &ann, minutes(1)).await;
    let kept = store.mails(None, 9).await.unwrap().mails;
    let kept: BTreeSet<MailId> = kept.iter().map(|kept| kept.mail.id).collect();
    assert_eq!(kept, [of_bob.id, told.id].into());
    let again = MailOutcome::Again { at: minutes(2) };
    assert!(!store.complete_mail(failed.id, again).await.unwrap());
    assert_eq!(store.count_waiting_mails(9).await.unwrap(), 2);
    assert_sound(&store).await;
}

pub(crate) async fn a_mail_of_a_clock_that_was_ahead_stands_in_no_ones_way<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let tomorrow = later(noon(), Duration::from_hours(24));
    let mails = [tomorrow, minutes(1)].map(|at| mail_about(MailKind::Reset, &ann, at, &harness));
    store.enqueue_mails(mails.to_vec()).await.unwrap();
    let [ahead, now] = &mails;
    let token = EmailToken {
        mail: Some(ahead.id),
        expires_at: later(tomorrow, Duration::from_hours(1)),
        ..mailed_token(2, Purpose::Reset, &ann)
    };
    let allowed = stamp(Some(token), Some(1));
    let outcome = store.claim_mail(ahead.id, allowed, tomorrow).await;
    assert_eq!(outcome.unwrap(), ClaimMail::Claimed);
    let token = EmailToken {
        mail: Some(now.id),
        ..mailed_token(1, Purpose::Reset, &ann)
    };
    let allowed = stamp(Some(token), Some(1));
    let outcome = store.claim_mail(now.id, allowed, minutes(1)).await;
    assert_eq!(
        outcome.unwrap(),
        ClaimMail::Claimed,
        "nor does it count for a day"
    );
    assert!(store.token(digest(1)).await.unwrap().is_some());
    assert_sound(&store).await;
}

pub(crate) async fn s77_a_change_of_the_address_that_was_taken_back_or_replaced_is_void<H: Harness>() {
    let (harness, mut ann, mails) = with_mails::<H>(2).await;
    let store = harness.store();
    let ask = async |ann: &mut Account, pending: Option<&Mail>| {
        let changed = Account {
            pending_email: pending.map(|mail| PendingEmail {
                email: email("new@example.com"),
                since: noon(),
                mail: mail.id,
            }),
            ..ann.clone()
        };
        let updated = store.update_account(ann, changed.clone()).await;
        assert_eq!(updated.unwrap(), UpdateAccount::Updated);
        *ann = changed;
    };
    let send = async |n: u64, mail: &Mail, ann: &Account| {
        let token = EmailToken {
            email: email("new@example.com"),
            mail: Some(mail.id),
            ..mailed_token(n, Purpose::ChangeEmail, ann)
        };
        let outcome = store.claim_mail(mail.id, stamp(Some(token), None), noon()).await;
        outcome.unwrap()
    };
    let serves = async |n: u64| store.token(digest(n)).await.unwrap().is_some();
    assert_eq!(send(1, &mails[0], &ann).await, ClaimMail::Gone, "nobody asked");
    ask(&mut ann, Some(&mails[0])).await;
    assert_eq!(send(1, &mails[0], &ann).await, ClaimMail::Claimed);
    ask(&mut ann, Some(&mails[1])).await;
    assert!(!serves(1).await, "another change was asked for");
    assert_eq!(send(2, &mails[0], &ann).await, ClaimMail::Gone);
    assert_eq!(send(3, &mails[1], &ann).await, ClaimMail::Claimed);
    ask(&mut ann, None).await;
    assert!(!serves(3).await, "it was taken back");
    assert_eq!(send(4, &mails[1], &ann).await, ClaimMail::Gone);

    ask(&mut ann, Some(&mails[1])).await;
    let reset = Account {
        password_changed_at: later(noon(), Duration::from_secs(5)),
        ..ann.clone()
    };
    store.update_account(&ann, reset).await.unwrap();
    let kept = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(kept.pending_email, None, "a new password takes it back");
    assert_sound(&store).await;
}
