//! Invitations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use vestibule::model::{Account, AccountStatus, Administrators, Invitation, InvitationKind};
use vestibule::store::{CreateAccount, Store};

use super::super::samples::{ADMINS, account, digest, email, invitation, later, mail, member_of, noon};
use super::{Harness, assert_sound};

async fn sign_up(
    store: &Arc<dyn Store>,
    account: &Account,
    invitation: u64,
    now: Timestamp,
) -> CreateAccount {
    store
        .create_account(account.clone(), Some(digest(invitation)), now)
        .await
        .unwrap()
}

pub(crate) async fn an_invitation_is_used_up_with_the_account_it_makes<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    let first = invitation(1, harness.random());
    store.create_invitation(first.clone()).await.unwrap();
    assert_eq!(store.invitation(digest(1)).await.unwrap(), Some(first.clone()));
    assert_eq!(sign_up(&store, &ann, 1, noon()).await, CreateAccount::Created);
    assert_eq!(store.invitation(digest(1)).await.unwrap(), None);
    assert_eq!(store.invitations().await.unwrap().sound, []);
    assert!(!store.revoke_invitation(first.id).await.unwrap());
    assert_eq!(
        sign_up(&store, &bob, 1, noon()).await,
        CreateAccount::InvitationVoid
    );
    assert_eq!(
        sign_up(&store, &bob, 2, noon()).await,
        CreateAccount::InvitationVoid
    );
    assert_eq!(store.account(bob.id).await.unwrap(), None);
    assert_sound(&store).await;
}

pub(crate) async fn an_invitation_is_kept_if_no_account_is_made<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    store
        .create_invitation(invitation(1, harness.random()))
        .await
        .unwrap();
    let same_address = Account {
        email: ann.email,
        ..account("bob", harness.random())
    };
    let same_username = Account {
        email: email("bob@example.com"),
        ..account("ann", harness.random())
    };
    assert_eq!(
        sign_up(&store, &same_address, 1, noon()).await,
        CreateAccount::EmailTaken
    );
    assert_eq!(
        sign_up(&store, &same_username, 1, noon()).await,
        CreateAccount::UsernameTaken
    );
    let bob = account("bob", harness.random());
    assert_eq!(sign_up(&store, &bob, 1, noon()).await, CreateAccount::Created);
}

pub(crate) async fn an_invitation_is_void_to_the_second<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let expires_at = later(noon(), Duration::from_hours(1));
    for n in [1, 2] {
        let invitation = Invitation {
            expires_at,
            ..invitation(n, harness.random())
        };
        store.create_invitation(invitation).await.unwrap();
    }
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    assert_eq!(
        sign_up(&store, &ann, 1, expires_at).await,
        CreateAccount::InvitationVoid
    );
    assert!(
        store.invitation(digest(1)).await.unwrap().is_some(),
        "expired, not used up"
    );
    let just_before = expires_at.checked_sub(Duration::from_secs(1)).unwrap();
    assert_eq!(
        sign_up(&store, &bob, 2, just_before).await,
        CreateAccount::Created
    );
}

pub(crate) async fn a_bound_invitation_serves_one_address<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let bound = Invitation {
        email: Some(email("Ann@Example.com")),
        ..invitation(1, harness.random())
    };
    store.create_invitation(bound).await.unwrap();
    let bob = account("bob", harness.random());
    assert_eq!(
        sign_up(&store, &bob, 1, noon()).await,
        CreateAccount::InvitationVoid
    );
    let ann = account("ann", harness.random());
    assert_eq!(sign_up(&store, &ann, 1, noon()).await, CreateAccount::Created);
}

pub(crate) async fn a_void_invitation_tells_nothing_of_others<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    assert_eq!(
        sign_up(&store, &ann, 1, noon()).await,
        CreateAccount::InvitationVoid
    );
}

pub(crate) async fn invitations_are_listed_and_revoked<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let mut made = Vec::new();
    for n in 1..=5_u64 {
        let invitation = Invitation {
            created_at: later(noon(), Duration::from_secs(n)),
            ..invitation(n, harness.random())
        };
        made.push(invitation);
    }
    for n in [3, 0, 4, 1, 2] {
        store.create_invitation(made[n].clone()).await.unwrap();
    }
    assert_eq!(store.invitations().await.unwrap().sound, made, "oldest first");
    let (mut found, mut after, mut count) = (Vec::new(), None, 0);
    loop {
        let batch = store.invitations_after(after, 2).await.unwrap();
        assert!(batch.invitations.len() <= 2 && batch.unreadable.is_empty());
        found.extend(batch.invitations);
        (after, count) = (batch.next, count + 1);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(count, 3);
    let mut by_id = made.clone();
    by_id.sort_by_key(|invitation| invitation.id);
    assert_eq!(found, by_id, "in the order of their ids");
    assert_eq!(
        store.invitation_by_id(made[2].id).await.unwrap(),
        Some(made[2].clone())
    );
    let revoked = made.remove(2);
    assert!(store.revoke_invitation(revoked.id).await.unwrap());
    assert!(!store.revoke_invitation(revoked.id).await.unwrap());
    assert_eq!(store.invitation_by_id(revoked.id).await.unwrap(), None);
    assert_eq!(store.invitations().await.unwrap().sound, made);
    let ann = account("ann", harness.random());
    assert_eq!(
        sign_up(&store, &ann, 3, noon()).await,
        CreateAccount::InvitationVoid
    );
    assert_sound(&store).await;
}

pub(crate) async fn invitations_are_swept<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let now = later(noon(), Duration::from_hours(1));
    let mut kept = Vec::new();
    for n in 0..600_u64 {
        let goes = n % 2 == 0;
        let invitation = Invitation {
            expires_at: if goes {
                now
            } else {
                later(now, Duration::from_secs(1))
            },
            created_at: later(noon(), Duration::from_millis(n)),
            ..invitation(n, harness.random())
        };
        store.create_invitation(invitation.clone()).await.unwrap();
        if !goes {
            kept.push(invitation);
        }
    }
    store.sweep(now, noon()).await.unwrap();
    assert_eq!(store.invitations().await.unwrap().sound, kept);
    assert_sound(&store).await;
}

pub(crate) async fn invitations_survive_a_restart<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    for n in [1, 2] {
        store
            .create_invitation(invitation(n, harness.random()))
            .await
            .unwrap();
    }
    let ann = account("ann", harness.random());
    assert_eq!(sign_up(&store, &ann, 1, noon()).await, CreateAccount::Created);
    drop(store);
    let harness = harness.restart(noon());
    let store = harness.store();
    let bob = account("bob", harness.random());
    assert_eq!(
        sign_up(&store, &bob, 1, noon()).await,
        CreateAccount::InvitationVoid
    );
    assert_eq!(sign_up(&store, &bob, 2, noon()).await, CreateAccount::Created);
}

pub(crate) async fn the_first_administrators_invitation_is_void_once_there_is_one<H: Harness>() {
    let harness = H::new();
    let (store, random) = (harness.store(), harness.random());
    let first = Invitation {
        kind: InvitationKind::FirstAdministrator,
        groups: [ADMINS.to_owned()].into(),
        email: None,
        ..invitation(1, random)
    };
    store.create_invitation(first.clone()).await.unwrap();
    let admin = member_of(ADMINS, "admin", random);
    store.create_account(admin, None, noon()).await.unwrap();
    let second = store
        .create_account(account("mallory", random), Some(first.digest), noon())
        .await;
    assert_eq!(second.unwrap(), CreateAccount::InvitationVoid);
    assert_sound(&store).await;
}

pub(crate) async fn the_first_administrators_invitation_serves_while_none_may_sign_in<H: Harness>() {
    let harness = H::new();
    let (store, random) = (harness.store(), harness.random());
    let first = Invitation {
        kind: InvitationKind::FirstAdministrator,
        groups: [ADMINS.to_owned()].into(),
        email: None,
        ..invitation(1, random)
    };
    store.create_invitation(first.clone()).await.unwrap();
    let disabled = Account {
        status: AccountStatus::Disabled,
        ..member_of(ADMINS, "bob", random)
    };
    let unproved = Account {
        email_verified: false,
        ..member_of(ADMINS, "newadm", random)
    };
    for account in [disabled, unproved] {
        store.create_account(account, None, noon()).await.unwrap();
    }
    let ann = account("ann", random);
    let refused = store
        .create_account(ann.clone(), Some(first.digest), noon())
        .await;
    assert_eq!(refused.unwrap(), CreateAccount::InvitationVoid);
    let strict = store.with_administrators(Administrators::new(ADMINS, true));
    let made = strict.create_account(ann, Some(first.digest), noon()).await;
    assert_eq!(made.unwrap(), CreateAccount::Created);
    assert_sound(&store).await;
}

pub(crate) async fn an_invitation_takes_the_place_of_another_for_its_address<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let bound = |n, address: &str| Invitation {
        email: Some(email(address)),
        ..invitation(n, random)
    };
    let (first, other) = (bound(1, "Ann@example.com"), bound(2, "bob@example.com"));
    let first_administrator = Invitation {
        kind: InvitationKind::FirstAdministrator,
        ..bound(3, "ann@example.com")
    };
    let anyone = invitation(4, random);
    for kept in [&first, &other, &first_administrator, &anyone] {
        let replaced = store
            .create_invitations(vec![kept.clone()], Vec::new())
            .await
            .unwrap();
        assert_eq!(
            replaced,
            [],
            "it is of another address, of none or of another kind"
        );
    }
    let (second, carol) = (bound(5, "ann@EXAMPLE.com"), bound(6, "carol@example.com"));
    let ann = account("ann", random);
    let mails = vec![mail(&ann, random)];
    let together = vec![second.clone(), carol.clone(), invitation(7, random)];
    let replaced = store.create_invitations(together, mails.clone()).await.unwrap();
    assert_eq!(replaced, std::slice::from_ref(&first));
    assert_eq!(store.invitation(first.digest).await.unwrap(), None);
    let live: BTreeSet<_> = store
        .invitations()
        .await
        .unwrap()
        .sound
        .iter()
        .map(|kept| kept.digest)
        .collect();
    assert_eq!(live, (2..=7).map(digest).collect());
    let third = bound(8, "bob@example.com");
    let too_late = store
        .replace_invitation(first.id, third.clone(), mails.clone())
        .await;
    assert_eq!(too_late.unwrap(), None, "what is gone is not brought back");
    assert_eq!(store.invitation(third.digest).await.unwrap(), None);
    let replaced = store
        .replace_invitation(other.id, third.clone(), Vec::new())
        .await;
    assert_eq!(replaced.unwrap().as_deref(), Some(std::slice::from_ref(&other)));
    assert_eq!(store.invitation(other.digest).await.unwrap(), None);
    assert!(store.revoke_invitation(third.id).await.unwrap());
    assert_eq!(
        store.mails(None, 9).await.unwrap().mails.len(),
        1,
        "the mails wait in the same step"
    );
    let refused = store
        .create_account(ann.clone(), Some(first.digest), noon())
        .await
        .unwrap();
    assert_eq!(refused, CreateAccount::InvitationVoid);
    let made = store
        .create_account(ann, Some(second.digest), noon())
        .await
        .unwrap();
    assert_eq!(made, CreateAccount::Created);
    assert_sound(&store).await;
    drop(store);
    let store = harness.restart(noon()).store();
    assert_eq!(store.invitation(carol.digest).await.unwrap(), Some(carol));
}
