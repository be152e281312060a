//! Changes that are only made while their precondition holds.

use std::sync::Arc;
use std::time::Duration;

use vestibule::model::{
    Account, AccountStatus, Administrators, Decision, LockoutSubject, Purpose, SignatureDigest,
};
use vestibule::store::{
    CreateAccount, LastDecision, Precondition, PreconditionError, SessionsToEnd, SpendSignature, Store,
    StoreError, UpdateAccount,
};

use super::super::samples::{
    ADMINS, access_key, account, invitation, later, mail, mailed_token, member_of, noon, session,
};
use super::{Harness, assert_sound};

/// A signed-in administrator, a deputy, and the account that they are about to change.
struct Scene<H> {
    harness: H,
    admin: Account,
    precondition: Precondition,
    target: Account,
}

impl<H: Harness> Scene<H> {
    async fn new() -> Self {
        let harness = H::new();
        let (store, random) = (harness.store(), harness.random());
        let admin = member_of(ADMINS, "admin", random);
        let (deputy, target) = (member_of(ADMINS, "deputy", random), account("ann", random));
        for account in [&admin, &deputy, &target] {
            store.create_account(account.clone(), None, noon()).await.unwrap();
        }
        let this = session(admin.id, 1, random);
        store.put_session(this.clone(), None).await.unwrap();
        let theirs = session(target.id, 2, random);
        store.put_session(theirs, None).await.unwrap();
        // As they are now: their sessions have begun.
        let read = async |account: Account| store.account(account.id).await.unwrap().unwrap();
        let (admin, target) = (read(admin).await, read(target).await);
        let precondition = Precondition {
            account: admin.id,
            session: Some(this.digest),
            password_changed_at: Some(noon()),
            password_counts_for: None,
            administrators: Some(Administrators::new(ADMINS, false)),
            last_decision: LastDecision::Any,
        };
        Self {
            harness,
            admin,
            precondition,
            target,
        }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.harness.store()
    }

    async fn change_admin(&self, change: impl FnOnce(&mut Account)) {
        let mut changed = self.admin.clone();
        change(&mut changed);
        let store = self.store();
        let updated = store.update_account(&self.admin, changed).await;
        assert_eq!(updated.unwrap(), UpdateAccount::Updated);
    }

    /// Tries every kind of change on the administrator's behalf; returns the outcomes.
    async fn change_everything(&self) -> Vec<(&'static str, Result<(), StoreError>)> {
        let (store, random) = (
            self.store().with_precondition(self.precondition.clone()),
            self.harness.random(),
        );
        let ann = &self.target;
        let renamed = Account {
            name: Some("Ann".to_owned()),
            ..ann.clone()
        };
        vec![
            (
                "create_account",
                store
                    .create_account(account("bob", random), None, noon())
                    .await
                    .map(drop),
            ),
            (
                "create_accounts",
                store.create_accounts(vec![account("cy", random)]).await.map(drop),
            ),
            (
                "update_account",
                store.update_account(ann, renamed).await.map(drop),
            ),
            (
                "edit_account",
                store
                    .edit_account(ann.id, Arc::new(|_: &mut Account| Some(Vec::new())))
                    .await
                    .map(drop),
            ),
            (
                "create_access_key",
                store
                    .create_access_key(access_key(ann.id, random), 9, Vec::new())
                    .await
                    .map(drop),
            ),
            (
                "save_token",
                store
                    .save_token(mailed_token(7, Purpose::ResetByAdministrator, ann))
                    .await,
            ),
            (
                "create_invitation",
                store.create_invitation(invitation(8, random)).await,
            ),
            (
                "enqueue_mails",
                store.enqueue_mails(vec![mail(ann, random)]).await,
            ),
            (
                "clear_attempts",
                store.clear_attempts(LockoutSubject::Account(ann.id)).await,
            ),
            (
                "end_sessions",
                store
                    .end_sessions(SessionsToEnd::Account(ann.id, None))
                    .await
                    .map(drop),
            ),
            ("delete_account", store.delete_account(ann.id).await.map(drop)),
        ]
    }

    async fn assert_refused(&self, because: PreconditionError) {
        for (change, outcome) in self.change_everything().await {
            assert!(
                matches!(outcome, Err(StoreError::Precondition(error)) if error == because),
                "{change}: {outcome:?}, not {because:?}"
            );
        }
        let store = self.store();
        assert_eq!(
            store.account(self.target.id).await.unwrap().as_ref(),
            Some(&self.target)
        );
        assert!(
            store
                .account_by_username(&"bob".parse().unwrap())
                .await
                .unwrap()
                .is_none()
        );
        assert!(store.access_keys(None).await.unwrap().is_empty());
        assert!(store.invitations().await.unwrap().sound.is_empty());
        assert!(store.mails(None, 10).await.unwrap().mails.is_empty());
        let sessions = store.sessions().await.unwrap();
        assert!(sessions.iter().any(|session| session.account == self.target.id));
        assert_sound(&store).await;
    }
}

pub(crate) async fn s76_a_change_is_made_while_its_precondition_holds<H: Harness>() {
    let scene = Scene::<H>::new().await;
    for (change, outcome) in scene.change_everything().await {
        assert!(outcome.is_ok(), "{change}: {outcome:?}");
    }
    assert_eq!(scene.store().account(scene.target.id).await.unwrap(), None);
    assert_sound(&scene.store()).await;
}

/// Reads have no precondition, an export among them, nor has maintenance: claiming signatures, and purging what has
/// expired.
pub(crate) async fn s76_reads_and_upkeep_ask_for_no_precondition<H: Harness>() {
    let scene = Scene::<H>::new().await;
    let ended = scene.store().end_sessions(SessionsToEnd::All).await;
    assert_eq!(ended.unwrap(), 2);
    let store = scene.store().with_precondition(scene.precondition.clone());
    let invited = store
        .create_invitation(invitation(8, scene.harness.random()))
        .await;
    assert!(invited.is_err(), "the precondition does not hold");
    let signature = SignatureDigest::of("AKIA", b"signature");
    let until = later(noon(), Duration::from_mins(5));
    for spent in [SpendSignature::Spent, SpendSignature::SpentBefore] {
        assert_eq!(store.claim_signature(signature, until).await.unwrap(), spent);
    }
    assert!(store.release_signature(signature).await.unwrap());
    let invited = invitation(9, scene.harness.random());
    scene.store().create_invitation(invited.clone()).await.unwrap();
    store.sweep(invited.expires_at, noon()).await.unwrap();
    assert_eq!(store.invitations().await.unwrap().sound, []);
    let mut export = store.export().await.unwrap();
    assert!(!export.next().await.unwrap().is_empty());
}

pub(crate) async fn s76_whoever_was_disabled_or_deleted_changes_nothing<H: Harness>() {
    let scene = Scene::<H>::new().await;
    scene
        .change_admin(|admin| admin.status = AccountStatus::Disabled)
        .await;
    scene.assert_refused(PreconditionError::AccountInactive).await;

    let scene = Scene::<H>::new().await;
    scene.store().delete_account(scene.admin.id).await.unwrap();
    scene.assert_refused(PreconditionError::AccountInactive).await;
}

pub(crate) async fn s76_whoever_was_signed_out_changes_nothing<H: Harness>() {
    let mut scene = Scene::<H>::new().await;
    let this = SessionsToEnd::Token(scene.precondition.session.unwrap());
    scene.store().end_sessions(this).await.unwrap();
    scene.assert_refused(PreconditionError::SessionEnded).await;
    // A right that was used earlier outlasts the session, and not the membership.
    scene.precondition.session = None;
    let store = scene.store().with_precondition(scene.precondition.clone());
    let made = store.create_account(account("zoe", scene.harness.random()), None, noon());
    assert_eq!(made.await.unwrap(), CreateAccount::Created);
    scene.change_admin(|admin| admin.groups.clear()).await;
    scene.assert_refused(PreconditionError::NotMember).await;

    let mut scene = Scene::<H>::new().await;
    let theirs = session(scene.target.id, 3, scene.harness.random());
    scene.store().put_session(theirs.clone(), None).await.unwrap();
    scene.precondition.session = Some(theirs.digest);
    scene.assert_refused(PreconditionError::SessionEnded).await;
}

pub(crate) async fn s76_whoever_left_the_group_changes_nothing<H: Harness>() {
    let scene = Scene::<H>::new().await;
    scene.change_admin(|admin| admin.groups.clear()).await;
    scene.assert_refused(PreconditionError::NotMember).await;
}

pub(crate) async fn s76_whoever_does_not_administer_any_more_by_a_reload_changes_nothing<H: Harness>() {
    let scene = Scene::<H>::new().await;
    let administrators = scene.precondition.administrators.clone().unwrap();
    administrators.replace(ADMINS, true);
    scene.change_admin(|admin| admin.email_verified = false).await;
    scene.assert_refused(PreconditionError::AccountInactive).await;
    administrators.replace("others", false);
    scene.assert_refused(PreconditionError::NotMember).await;
}

pub(crate) async fn s76_a_right_rests_on_an_account_that_is_as_it_was<H: Harness>() {
    // The clock may have gone on meanwhile, or back.
    let times = [
        later(noon(), Duration::from_secs(6)),
        noon() - Duration::from_hours(1),
    ];
    for (is_decided, at) in [false, true]
        .into_iter()
        .flat_map(|decided| times.map(|at| (decided, at)))
    {
        let mut scene = Scene::<H>::new().await;
        scene.precondition = Precondition {
            session: None,
            last_decision: LastDecision::At(None),
            ..scene.precondition.clone()
        };
        let store = scene.store().with_precondition(scene.precondition.clone());
        let made = store.create_account(account("zoe", scene.harness.random()), None, noon());
        assert_eq!(made.await.unwrap(), CreateAccount::Created);
        scene
            .change_admin(|admin| {
                if is_decided {
                    admin.decision = Some(Decision {
                        by: "operator".to_owned(),
                        at,
                        reason: None,
                    });
                } else {
                    admin.password_changed_at = at;
                }
            })
            .await;
        let because = if is_decided {
            PreconditionError::AccountInactive
        } else {
            PreconditionError::PasswordChanged
        };
        scene.assert_refused(because).await;
    }
}

/// An invitation makes administrators, or not, by the rule of the moment in which it is used.
pub(crate) async fn s76_a_password_counts_where_what_is_given_administers_by_now<H: Harness>() {
    let mut scene = Scene::<H>::new().await;
    scene.precondition = Precondition {
        session: None,
        password_counts_for: Some(["ops".to_owned()].into()),
        ..scene.precondition.clone()
    };
    let administrators = scene.precondition.administrators.clone().unwrap();
    scene
        .change_admin(|admin| {
            admin.groups.insert("ops".to_owned());
            admin.password_changed_at = later(noon(), Duration::from_secs(1));
        })
        .await;
    let store = scene.store().with_precondition(scene.precondition.clone());
    let made = store.create_account(account("zoe", scene.harness.random()), None, noon());
    assert_eq!(made.await.unwrap(), CreateAccount::Created);
    administrators.replace("ops", false);
    scene.assert_refused(PreconditionError::PasswordChanged).await;
}

pub(crate) async fn s77_a_new_password_ends_sessions_and_voids_what_the_old_one_proved<H: Harness>() {
    let scene = Scene::<H>::new().await;
    let (store, random) = (scene.store(), scene.harness.random());
    let other = session(scene.admin.id, 4, random);
    store.put_session(other.clone(), None).await.unwrap();
    let changed = Account {
        password_hash: "$2b$12$another".to_owned(),
        password_changed_at: later(noon(), Duration::from_secs(1)),
        ..scene.admin.clone()
    };
    let own = store.with_precondition(scene.precondition.clone());
    let updated = own.update_account(&scene.admin, changed.clone()).await;
    assert_eq!(updated.unwrap(), UpdateAccount::Updated);

    let sessions = store.sessions().await.unwrap();
    let left: Vec<_> = sessions
        .iter()
        .filter(|session| session.account == scene.admin.id)
        .map(|session| session.digest)
        .collect();
    assert_eq!(
        left,
        [scene.precondition.session.unwrap()],
        "the others ended in the same step"
    );
    let spared = sessions.iter().find(|session| session.account == scene.admin.id);
    assert_eq!(
        spared.unwrap().proved_at,
        Some(changed.password_changed_at),
        "whoever set the password knows it"
    );
    scene.assert_refused(PreconditionError::PasswordChanged).await;

    let reset = Account {
        password_changed_at: later(noon(), Duration::from_secs(2)),
        ..changed.clone()
    };
    let updated = store.update_account(&changed, reset).await;
    assert_eq!(updated.unwrap(), UpdateAccount::Updated);
    scene.assert_refused(PreconditionError::SessionEnded).await;
}
