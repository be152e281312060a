use crate::services::PasswordRule;
use futures_util::future::join_all;

use super::*;
use crate::config::{AuditMode, Config};
use crate::model::Agreement;
use crate::services::test_support::{
    EMAIL, PASSWORD, TestEnv, client, form, group_set, tester, unwritable_audit_log,
};
use crate::services::{AccountChange, InvitationFilter, NewPassword};

const HOUR: Duration = Duration::from_hours(1);

fn open(config: &mut Config) {
    config.signup.mode = SignupMode::Open;
}

fn by_invitation(config: &mut Config) {
    config.signup.mode = SignupMode::Invite;
}

impl TestEnv {
    async fn sign_up(&self, form: SignUpForm) -> Result<SignUpNext, SignUpError> {
        self.services.sign_up.sign_up(form, &client()).await
    }

    async fn errors(&self, form: SignUpForm) -> Vec<(SignUpField, FieldError)> {
        match self.sign_up(form).await {
            Err(SignUpError::Invalid(errors)) => errors,
            result => panic!("{result:?}"),
        }
    }

    async fn invite(&self, kind: InvitationKind, email: Option<&str>) -> String {
        let email = email.map(|email| email.parse().unwrap());
        let invitations = &self.services.invitations;
        let (link, _) = invitations
            .create(kind, email, group_set(&["team"]), HOUR, &tester(), &client())
            .await
            .unwrap();
        let base = "https://localhost:8443/.auth/signup?invitation=";
        link.strip_prefix(base).unwrap().to_owned()
    }
}

fn with_invitation(email: &str, username: &str, token: &str) -> SignUpForm {
    SignUpForm {
        invitation: Some(token.to_owned()),
        ..form(email, username, PASSWORD)
    }
}

#[tokio::test]
async fn makes_an_account_that_can_sign_in() {
    let world = TestEnv::with(open).await;
    let next = world.sign_up(form(EMAIL, "Ann", PASSWORD)).await.unwrap();
    assert_eq!(next, SignUpNext::Login);
    let account = world.account(EMAIL).await;
    assert_eq!(account.username.as_str(), "ann");
    assert!(account.groups.is_empty() && !account.email_verified);
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn names_all_that_is_wrong_at_once_and_hashes_nothing() {
    let world = TestEnv::with(|config| {
        open(config);
        config.signup.terms_url = "https://example.com/terms".to_owned();
    })
    .await;
    let errors = world
        .errors(SignUpForm {
            password_confirm: Secret::new("other".to_owned()),
            ..form("no address", "-", "short")
        })
        .await;
    for error in [
        (SignUpField::Email, FieldError::EmailMalformed),
        (SignUpField::Username, FieldError::UsernameLength),
        (
            SignUpField::Password,
            FieldError::Password(PasswordRule::TooShort(8)),
        ),
        (SignUpField::Password, FieldError::Password(PasswordRule::NoDigit)),
        (
            SignUpField::Password,
            FieldError::Password(PasswordRule::NoSpecial),
        ),
        (SignUpField::PasswordConfirm, FieldError::PasswordsDiffer),
        (SignUpField::Agree, FieldError::MustAgree),
    ] {
        assert!(errors.contains(&error), "{error:?} {errors:?}");
    }
    let empty = world.errors(form(" ", "", "")).await;
    for field in [
        SignUpField::Email,
        SignUpField::Username,
        SignUpField::Password,
        SignUpField::PasswordConfirm,
    ] {
        assert!(
            empty.contains(&(field, FieldError::Required)),
            "{field:?} {empty:?}"
        );
    }
    assert_eq!(world.hashes(), 0);
}

#[tokio::test]
async fn s2_s3_passwords_that_cannot_be() {
    let world = TestEnv::with(open).await;
    for (password, error) in [
        ("P@ssw0rd".to_owned(), FieldError::Password(PasswordRule::Common)),
        (
            "my-Annabel-1".to_owned(),
            FieldError::Password(PasswordRule::Personal),
        ),
        ("nul\0nul-1".to_owned(), FieldError::PasswordControlCharacter),
        ("a".repeat(1 << 20), FieldError::PasswordTooLong),
    ] {
        let errors = world.errors(form(EMAIL, "annabel", &password)).await;
        assert_eq!(errors, [(SignUpField::Password, error)]);
    }
    assert_eq!(world.hashes(), 0);
}

#[tokio::test]
async fn s3_sixty_four_hangul_characters_sign_up_and_in() {
    let world = TestEnv::with(open).await;
    let password = format!("{}1", "한".repeat(64));
    world.sign_up(form(EMAIL, "ann", &password)).await.unwrap();
    world.sign_in(EMAIL, &password).await.unwrap();
    assert!(world.sign_in(EMAIL, &"한".repeat(64)).await.is_err());
}

#[tokio::test]
async fn s53_taken_and_reserved_names() {
    let world = TestEnv::with_ann(open).await;
    let errors = world.errors(form("ANN@example.com", "ANN", PASSWORD)).await;
    assert_eq!(
        errors,
        [
            (SignUpField::Email, FieldError::EmailTaken),
            (SignUpField::Username, FieldError::UsernameTaken)
        ]
    );
    let taken = [(SignUpField::Username, FieldError::UsernameTaken)];
    assert_eq!(
        world.errors(form("root@example.com", "Root", PASSWORD)).await,
        taken
    );
    world
        .services
        .accounts
        .delete(EMAIL, &tester(), &client())
        .await
        .unwrap();
    assert_eq!(world.errors(form(EMAIL, "ann", PASSWORD)).await, taken);
    world.sign_up(form(EMAIL, "ann2", PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn s15_closed_is_closed_but_to_the_first_administrator() {
    let world = TestEnv::with(|config| config.signup.approval = true).await;
    let guest = world.invite(InvitationKind::Signup, None).await;
    for form in [
        form(EMAIL, "ann", PASSWORD),
        with_invitation(EMAIL, "ann", &guest),
        with_invitation(EMAIL, "ann", "nonsense"),
    ] {
        assert!(matches!(world.sign_up(form).await, Err(SignUpError::Closed)));
    }
    let first = world.invite(InvitationKind::FirstAdministrator, None).await;
    let next = world.sign_up(with_invitation(EMAIL, "ann", &first)).await;
    assert_eq!(next.unwrap(), SignUpNext::Login);
    let account = world.account(EMAIL).await;
    assert!(account.is_in("gateway-admin") && account.email_verified);
    assert!(world.services.accounts.has_administrator().await.unwrap());
    let events = world.events().await;
    let detail_of = |kind| {
        let event = events.iter().find(|event| event.event == kind).unwrap();
        event.detail.clone().unwrap()
    };
    let offered = detail_of(Kind::FirstAdministratorLink);
    let id = offered.split([' ', ',']).nth(1).unwrap();
    assert!(
        offered.starts_with(&format!("invitation {id}, groups gateway-admin,team, until ")),
        "{offered}"
    );
    let used = format!("username ann, groups gateway-admin,team, invitation {id}");
    assert_eq!(detail_of(Kind::SignUp), used);
    let again = world
        .sign_up(with_invitation("bob@example.com", "bob", &first))
        .await;
    assert!(matches!(again, Err(SignUpError::Closed)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s16_one_invitation_makes_one_account() {
    let world = TestEnv::with(by_invitation).await;
    let token = world.invite(InvitationKind::Signup, None).await;
    let results = join_all((0..20).map(|n| {
        world.sign_up(with_invitation(
            &format!("a{n}@example.com"),
            &format!("user{n}"),
            &token,
        ))
    }))
    .await;
    let made: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
    assert_eq!(made.len(), 1);
    let accounts = world.services.accounts.list(None, 100).await.unwrap();
    assert_eq!(accounts.len(), 1);
    assert!(accounts[0].is_in("team"));
}

#[tokio::test]
async fn s16_void_invitations() {
    let world = TestEnv::with(by_invitation).await;
    let void = [(SignUpField::Invitation, FieldError::InvitationVoid)];
    let bound = world
        .invite(InvitationKind::Signup, Some("Bob@example.com"))
        .await;
    assert_eq!(world.errors(with_invitation(EMAIL, "ann", &bound)).await, void);
    assert_eq!(
        world.errors(with_invitation(EMAIL, "ann", "nonsense")).await,
        void
    );
    assert_eq!(world.errors(with_invitation(EMAIL, "ann", "")).await, void);
    assert_eq!(world.errors(form(EMAIL, "ann", PASSWORD)).await, void);

    world.hand.advance(HOUR.saturating_sub(Duration::from_secs(1)));
    assert!(world.services.sign_up.invitation(&bound).await.unwrap().is_some());
    world.hand.advance(Duration::from_secs(1));
    assert!(world.services.sign_up.invitation(&bound).await.unwrap().is_none());
    assert_eq!(
        world
            .errors(with_invitation("bob@example.com", "bob", &bound))
            .await,
        void
    );
    assert!(world.services.invitations.list().await.unwrap().sound.is_empty());
}

#[tokio::test]
async fn a_refused_form_uses_no_invitation_up() {
    let world = TestEnv::with(by_invitation).await;
    let token = world
        .invite(InvitationKind::Signup, Some("bob@example.com"))
        .await;
    world
        .errors(with_invitation("bob@example.com", "-", &token))
        .await;
    world
        .sign_up(with_invitation("BOB@example.com", "bob", &token))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_revoked_invitation_is_void() {
    let world = TestEnv::with(by_invitation).await;
    let token = world.invite(InvitationKind::Signup, None).await;
    let invitations = &world.services.invitations;
    let id = invitations.list().await.unwrap().sound[0].id;
    assert!(invitations.revoke(id, &tester(), &client()).await.unwrap());
    assert!(!invitations.revoke(id, &tester(), &client()).await.unwrap());
    world.errors(with_invitation(EMAIL, "ann", &token)).await;
}

/// An invitation that makes administrators ends with its maker's password too; another does not.
#[tokio::test]
async fn s76_an_invitation_is_void_once_its_maker_administers_no_more() {
    for (ends, groups, is_void) in [
        ("disabled", &["gateway-admin"][..], true),
        ("disabled for a while", &["staff"], true),
        ("out of the group", &["gateway-admin"], true),
        ("deleted", &["gateway-admin"], true),
        ("another password", &["gateway-admin", "staff"], true),
        ("another password", &["staff"], false),
    ] {
        let world = TestEnv::with(by_invitation).await;
        world.add("boss@example.com", &["gateway-admin"]).await;
        let maker = "mallory@example.com";
        world.add(maker, &["gateway-admin"]).await;
        let session = world.sign_in(maker, PASSWORD).await.unwrap().session;
        let by = world.services.administrator(&session);
        let invitations = &world.services.invitations;
        let (link, invitation) = invitations
            .create(
                InvitationKind::Signup,
                None,
                group_set(groups),
                HOUR,
                &by,
                &client(),
            )
            .await
            .unwrap();
        let token = link.split_once("invitation=").unwrap().1;
        assert!(!invitations.is_spent(&invitation).await.unwrap());
        world.hand.advance(Duration::from_secs(1));
        let accounts = &world.services.accounts;
        let (by, origin) = (tester(), client());
        let change = async |change| accounts.change(maker, change, &by, &origin).await.unwrap();
        match ends {
            "disabled" => drop(change(AccountChange::Disable).await),
            "disabled for a while" => {
                change(AccountChange::Disable).await;
                change(AccountChange::Enable).await;
            }
            "deleted" => drop(accounts.delete(maker, &by, &origin).await.unwrap()),
            "out of the group" => drop(change(AccountChange::SetGroups(BTreeSet::new())).await),
            _ => {
                let password = NewPassword::Plain(Secret::new("0ther-Horizon".to_owned()));
                change(AccountChange::SetPassword(password)).await;
            }
        }
        let listed = invitations.list().await.unwrap().sound;
        let found = invitations.find(&InvitationFilter::default(), None, 10).await;
        assert_eq!(listed, found.unwrap().invitations, "{ends}");
        assert_eq!(listed.is_empty(), is_void, "{ends}");
        assert_eq!(
            invitations.is_spent(&invitation).await.unwrap(),
            is_void,
            "{ends}"
        );
        if is_void {
            let errors = world.errors(with_invitation(EMAIL, "ann", token)).await;
            let void = [(SignUpField::Invitation, FieldError::InvitationVoid)];
            assert_eq!(errors, void, "{ends}");
        } else {
            world.sign_up(with_invitation(EMAIL, "ann", token)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn guesses_of_invitations_count_against_the_address() {
    let world = TestEnv::with(|config| {
        by_invitation(config);
        config.lockout.address_failures = 3;
    })
    .await;
    world.errors(form(EMAIL, "ann", PASSWORD)).await;
    for _ in 0..2 {
        world.errors(with_invitation(EMAIL, "ann", "nonsense")).await;
    }
    let result = world.sign_up(form(EMAIL, "ann", PASSWORD)).await;
    assert!(matches!(result, Err(SignUpError::RateLimited(_))), "{result:?}");
}

#[tokio::test]
async fn s16_without_an_invitation_nothing_is_told_of_addresses_and_usernames() {
    let world = TestEnv::with_ann(by_invitation).await;
    let void = [(SignUpField::Invitation, FieldError::InvitationVoid)];
    let bound = world
        .invite(InvitationKind::Signup, Some("bob@example.com"))
        .await;
    for (email, username, password) in [
        (EMAIL, "ann", PASSWORD),
        (EMAIL, "root", PASSWORD),
        ("carol@example.com", "ann", "short"),
        ("carol@example.com", "carol", PASSWORD),
    ] {
        for token in ["", "nonsense", bound.as_str()] {
            let typed = SignUpForm {
                invitation: Some(token.to_owned()),
                ..form(email, username, password)
            };
            let errors = world.errors(typed).await;
            assert_eq!(errors, void, "{email} {username} {token}");
        }
    }
    assert_eq!(world.hashes(), 1);
}

#[tokio::test]
async fn s17_an_account_waits_for_approval() {
    let world = TestEnv::with(|config| {
        open(config);
        config.signup.approval = true;
    })
    .await;
    let next = world.sign_up(form(EMAIL, "ann", PASSWORD)).await.unwrap();
    assert_eq!(next, SignUpNext::Approval);
    let early = world.sign_in(EMAIL, PASSWORD).await;
    assert!(
        matches!(early, Err(crate::services::SignInError::NotApproved)),
        "{early:?}"
    );
    world.change(AccountChange::Approve).await;
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_agreement_is_kept_with_its_version() {
    let world = TestEnv::with(|config| {
        open(config);
        config.signup.privacy_url = "https://example.com/privacy".to_owned();
        config.signup.terms_version = "2".to_owned();
    })
    .await;
    let must = [(SignUpField::Agree, FieldError::MustAgree)];
    assert_eq!(world.errors(form(EMAIL, "ann", PASSWORD)).await, must);
    let agreed = SignUpForm {
        agree: true,
        ..form(EMAIL, "ann", PASSWORD)
    };
    world.sign_up(agreed).await.unwrap();
    let account = world.account(EMAIL).await;
    let at = world.clock.now();
    assert_eq!(
        account.agreements,
        [Agreement {
            version: "2".to_owned(),
            at
        }]
    );
}

#[tokio::test]
async fn a_full_queue_makes_no_account() {
    let world = TestEnv::with(open).await;
    let places: Vec<_> = std::iter::from_fn(|| world.services.hasher.try_acquire().ok()).collect();
    let result = world.sign_up(form(EMAIL, "ann", PASSWORD)).await;
    assert!(matches!(result, Err(SignUpError::Busy)), "{result:?}");
    drop(places);
    world.sign_up(form(EMAIL, "ann", PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn s52_a_signup_that_must_be_recorded_and_cannot_makes_no_account() {
    let world = TestEnv::with(|config| {
        open(config);
        unwritable_audit_log(config);
    })
    .await;
    let result = world.sign_up(form(EMAIL, "ann", PASSWORD)).await;
    assert!(matches!(result, Err(SignUpError::Unrecorded)), "{result:?}");
    let left = world.store.account_by_email(&EMAIL.parse().unwrap()).await;
    assert!(left.unwrap().is_none());
    let left = world.store.account_by_username(&"ann".parse().unwrap()).await;
    assert!(left.unwrap().is_none());
}

#[tokio::test]
async fn s52_a_signup_that_must_be_recorded_is_before_there_is_an_account() {
    let world = TestEnv::with(|config| {
        open(config);
        config.audit.mode = AuditMode::Required;
    })
    .await;
    world.sign_up(form(EMAIL, "ann", PASSWORD)).await.unwrap();
    let record = std::fs::read_to_string(world.audit_file()).unwrap();
    let events: Vec<_> = record
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone())
        .collect();
    assert_eq!(events, ["sign-up-begin", "sign-up"]);
}

#[tokio::test]
async fn s18_an_address_that_has_an_account_costs_one_hash_and_one_mail_like_a_new_one() {
    let world = TestEnv::with(|config| {
        open(config);
        config.signup.verify_email = true;
    })
    .await;
    for (username, password) in [("ann", PASSWORD), ("ann2", PASSWORD), ("ann3", "0ther-Horizon")] {
        let (hashes, mails) = (
            world.hashes(),
            world.store.mails(None, 10).await.unwrap().mails.len(),
        );
        let next = world.sign_up(form(EMAIL, username, password)).await.unwrap();
        assert_eq!(next, SignUpNext::Verify, "{username}");
        assert_eq!(world.hashes(), hashes + 1, "{username}");
        assert_eq!(
            world.store.mails(None, 10).await.unwrap().mails.len(),
            mails + 1,
            "{username}"
        );
    }
    assert_eq!(world.services.accounts.list(None, 10).await.unwrap().len(), 1);
    // The holder of the first administrator's link gets plain errors.
    let first = world.invite(InvitationKind::FirstAdministrator, None).await;
    let taken = [(SignUpField::Email, FieldError::EmailTaken)];
    assert_eq!(world.errors(with_invitation(EMAIL, "ann4", &first)).await, taken);
}

#[tokio::test]
async fn s18_an_address_that_has_an_account_costs_one_write_when_the_share_of_mails_is_spent() {
    let world = TestEnv::with_ann(|config| {
        open(config);
        config.signup.verify_email = true;
    })
    .await;
    for _ in 0..100 {
        world
            .services
            .email_tokens
            .send_again(EMAIL, &client())
            .await
            .unwrap();
    }
    let waiting = world.store.mails(None, 200).await.unwrap().mails.len();
    world
        .services
        .email_tokens
        .send_again(EMAIL, &client())
        .await
        .unwrap();
    assert_eq!(world.store.mails(None, 200).await.unwrap().mails.len(), waiting);
    world.sign_up(form(EMAIL, "ann2", PASSWORD)).await.unwrap();
    let mails = world.store.mails(None, 200).await.unwrap().mails;
    assert_eq!(mails.len(), waiting + 1);
    let to_ann = mails.iter().filter(|kept| kept.mail.to.as_str() == EMAIL).count();
    assert_eq!(to_ann, waiting);
}

#[tokio::test]
async fn s16_an_invitation_serves_its_time_whatever_the_clock_is_set_to() {
    let mut world = TestEnv::with(by_invitation).await;
    let noon = world.clock.now();
    let invite = async |world: &TestEnv| world.invite(InvitationKind::Signup, None).await;
    let serves = async |world: &TestEnv, token: &str| {
        let found = world.services.sign_up.invitation(token).await.unwrap();
        let listed = world.services.invitations.list().await.unwrap().sound;
        found.is_some_and(|found| listed.contains(&found))
    };
    let early = invite(&world).await;
    world.hand.set_wall(noon + 100 * HOUR);
    let ahead = invite(&world).await;
    assert!(serves(&world, &early).await, "no time has passed");
    let next = world.sign_up(with_invitation(EMAIL, "ann", &early)).await;
    assert_eq!(next.unwrap(), SignUpNext::Login);
    world.hand.set_wall(noon);
    world.hand.advance(Duration::from_secs(3599));
    assert!(serves(&world, &ahead).await);
    world.hand.advance(Duration::from_secs(1));
    assert!(!serves(&world, &ahead).await, "its hour is over");
    let void = world
        .errors(with_invitation("bob@example.com", "bob", &ahead))
        .await;
    assert_eq!(void, [(SignUpField::Invitation, FieldError::InvitationVoid)]);

    world.hand.set_wall(noon + 200 * HOUR);
    let lost = invite(&world).await;
    world = world.reopened(noon + 2 * HOUR).await;
    assert!(!serves(&world, &lost).await, "it was made in the future");
    world.hand.set_wall(noon + 200 * HOUR);
    assert!(
        !serves(&world, &lost).await,
        "and serves nobody when that has come"
    );
}
