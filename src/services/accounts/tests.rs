use super::change::default_username;
use super::*;
use crate::config::AuditMode;
use crate::model::PasswordError;
use crate::services::test_support::{EMAIL, PASSWORD, TestEnv, client, group_set, tester};

const HASH: &str = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn new(email: &str, username: Option<&str>, password: NewPassword) -> NewAccount {
    NewAccount {
        email: email.parse().unwrap(),
        username: username.map(|name| name.parse().unwrap()),
        name: None,
        groups: BTreeSet::new(),
        password: InitialPassword::Set(password),
    }
}

fn hash() -> NewPassword {
    NewPassword::Hash(HASH.to_owned())
}

impl TestEnv {
    async fn try_add(&self, new: NewAccount) -> Result<Account, AccountError> {
        self.services.accounts.add(new, &tester(), &client()).await
    }

    async fn try_change(&self, change: AccountChange) -> Result<Account, AccountError> {
        self.services
            .accounts
            .change(EMAIL, change, &tester(), &client())
            .await
    }
}

#[test]
fn a_username_is_made_of_an_address() {
    for (email, username) in [
        ("Ann.Lee@example.com", Some("ann.lee")),
        ("first+tag@example.com", Some("first-tag")),
        ("_o'neil_@example.com", Some("o-neil_")),
        ("홍gil@example.com", Some("gil")),
        ("ünï.çode@example.com", Some("uni.code")),
        ("a홍b@example.com", Some("a-b")),
        ("홍길동@example.com", None),
        ("a@example.com", None),
    ] {
        let made = default_username(&email.parse().unwrap());
        assert_eq!(made.as_ref().map(Username::as_str), username, "{email}");
    }
}

#[tokio::test]
async fn an_account_is_found_by_address_username_and_id() {
    let world = TestEnv::with_ann(|_| {}).await;
    let ann = world.services.accounts.find("ANN@example.com").await.unwrap();
    assert!(ann.email_verified && ann.status == AccountStatus::Active);
    for name in ["Ann", &ann.id.to_string()] {
        assert_eq!(world.services.accounts.find(name).await.unwrap(), ann);
    }
    for name in ["bob", "bob@example.com", "", "한"] {
        let found = world.services.accounts.find(name).await;
        assert!(matches!(found, Err(AccountError::NotFound(_))), "{found:?}");
    }
}

#[tokio::test]
async fn s53_what_cannot_be_added() {
    let world = TestEnv::with_ann(|_| {}).await;
    let plain = |text: &str| NewPassword::Plain(Secret::new(text.to_owned()));
    let refused = async |new| world.try_add(new).await.unwrap_err();
    let other = "bob@example.com";
    assert!(matches!(
        refused(new("ANN@example.com", Some("ann2"), hash())).await,
        AccountError::EmailTaken(_)
    ));
    assert!(matches!(
        refused(new(other, Some("ann"), hash())).await,
        AccountError::UsernameTaken(_)
    ));
    assert!(matches!(
        refused(new("Root@example.com", None, hash())).await,
        AccountError::UsernameReserved(_)
    ));
    assert!(matches!(
        refused(new("홍@example.com", None, hash())).await,
        AccountError::NoUsername(_)
    ));
    assert!(matches!(
        refused(new(other, None, plain("bob"))).await,
        AccountError::Password(_)
    ));
    assert!(matches!(
        refused(new(other, None, plain(""))).await,
        AccountError::PasswordUnusable(PasswordError::Empty)
    ));
    for text in [
        "$apr1$x$y",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "",
    ] {
        let wrong = NewPassword::Hash(text.to_owned());
        assert!(matches!(
            refused(new(other, None, wrong)).await,
            AccountError::NotAHash
        ));
    }
    for group in ["", " ", "a,b", "a\nb", "a\u{7}b", "op\u{200b}s"] {
        let mut new = new(other, None, hash());
        new.groups = group_set(&[group]);
        assert!(
            matches!(refused(new).await, AccountError::GroupName(_)),
            "{group:?}"
        );
    }
}

#[test]
fn a_group_is_named_as_routes_name_it() {
    let named = Accounts::parse_group_names(&group_set(&[" ops ", "ops", "이용자", "a b"]));
    assert_eq!(named.unwrap(), group_set(&["ops", "이용자", "a b"]));
}

#[tokio::test]
async fn s53_an_administrator_who_may_not_sign_in_does_not_count() {
    let mut world = TestEnv::with(|config| config.signup.verify_email = true).await;
    world.add(EMAIL, &["gateway-admin"]).await;
    let bob = world.add("bob@example.com", &["gateway-admin"]).await;
    let unproved = Account {
        email_verified: false,
        ..bob.clone()
    };
    world.store.update_account(&bob, unproved).await.unwrap();
    let delete = async |world: &TestEnv, login: &str| {
        let accounts = &world.services.accounts;
        accounts.delete(login, &tester(), &client()).await
    };
    let refused = delete(&world, EMAIL).await;
    assert!(
        matches!(refused, Err(AccountError::LastAdministrator)),
        "{refused:?}"
    );
    // A reload that asks for no verification lets bob in.
    world.config.signup.verify_email = false;
    world.services.apply_config(&world.config);
    delete(&world, EMAIL).await.unwrap();
    assert!(world.services.accounts.has_administrator().await.unwrap());
    world.config.signup.verify_email = true;
    world.services.apply_config(&world.config);
    assert!(!world.services.accounts.has_administrator().await.unwrap());
}

#[tokio::test]
async fn s53_the_last_administrator_stays() {
    let world = TestEnv::new().await;
    assert!(!world.services.accounts.has_administrator().await.unwrap());
    world.add(EMAIL, &["gateway-admin"]).await;
    assert!(world.services.accounts.has_administrator().await.unwrap());
    let session = world.sign_in(EMAIL, PASSWORD).await.unwrap().session;
    for change in [
        AccountChange::Disable,
        AccountChange::SetGroups(group_set(&["ops"])),
    ] {
        let refused = world.try_change(change).await;
        assert!(
            matches!(refused, Err(AccountError::LastAdministrator)),
            "{refused:?}"
        );
    }
    let refused = world.services.accounts.delete(EMAIL, &tester(), &client()).await;
    assert!(
        matches!(refused, Err(AccountError::LastAdministrator)),
        "{refused:?}"
    );
    assert!(!session.ended().is_cancelled());

    world.add("bob@example.com", &["gateway-admin"]).await;
    world
        .services
        .accounts
        .delete(EMAIL, &tester(), &client())
        .await
        .unwrap();
    assert!(session.ended().is_cancelled());
}

#[tokio::test]
async fn s17_nothing_but_an_approval_lets_in_who_was_never_approved() {
    let world = TestEnv::with_ann(|_| {}).await;
    let refused = async |change| {
        let before = world.account(EMAIL).await;
        let refused = world.try_change(change).await;
        assert!(matches!(refused, Err(AccountError::Status(..))), "{refused:?}");
        assert_eq!(world.account(EMAIL).await, before);
    };
    for status in [AccountStatus::AwaitingApproval, AccountStatus::Declined] {
        world.set_status(status).await;
        refused(AccountChange::Enable).await;
        refused(AccountChange::Disable).await;
    }
    world.set_status(AccountStatus::Disabled).await;
    refused(AccountChange::Approve).await;
    refused(AccountChange::Decline).await;
    world.set_status(AccountStatus::Active).await;
    refused(AccountChange::Decline).await;
}

#[tokio::test]
async fn what_holds_already_is_decided_and_recorded_once() {
    let world = TestEnv::with_ann(|_| {}).await;
    let record = || {
        let text = std::fs::read_to_string(world.audit_file()).unwrap();
        text.lines().count()
    };
    for (change, again) in [
        (AccountChange::Disable, AccountChange::Disable),
        (AccountChange::Enable, AccountChange::Approve),
    ] {
        let decided = world.try_change(change).await.unwrap();
        world.services.audit.flush().await;
        let recorded = record();
        world.hand.advance(std::time::Duration::from_secs(1));
        assert_eq!(world.try_change(again).await.unwrap(), decided);
        world.services.audit.flush().await;
        assert_eq!(record(), recorded);
    }
}

#[tokio::test]
async fn parallel_changes_all_happen() {
    let world = TestEnv::with_ann(|_| {}).await;
    let (groups, status) = tokio::join!(
        world.try_change(AccountChange::SetGroups(group_set(&["ops"]))),
        world.try_change(AccountChange::Disable),
    );
    groups.unwrap();
    status.unwrap();
    let account = world.services.accounts.find(EMAIL).await.unwrap();
    assert!(account.is_in("ops") && account.status == AccountStatus::Disabled);
}

#[tokio::test]
async fn an_administrators_act_wins_however_often_the_owner_changes_the_account() {
    let world = TestEnv::with_ann(|_| {}).await;
    let (id, store) = (world.account(EMAIL).await.id, &world.store);
    // More of them than a session may make, so that they do not end before the acts.
    let flood = async {
        let renames = (0..32).map(|n| async move {
            for again in 0..1000 {
                let rename = move |account: &mut Account| {
                    account.name = Some(format!("{n} {again}"));
                    Some(Vec::new())
                };
                store.edit_account(id, Arc::new(rename)).await.unwrap();
            }
        });
        futures_util::future::join_all(renames).await;
    };
    let acts = async {
        world
            .try_change(AccountChange::SetGroups(group_set(&["ops"])))
            .await?;
        world.try_change(AccountChange::SetPassword(hash())).await?;
        world.try_change(AccountChange::Disable).await
    };
    let disabled = tokio::select! {
        disabled = acts => disabled.unwrap(),
        () = flood => panic!("the acts waited for the flood to end"),
    };
    assert!(disabled.is_in("ops") && disabled.status == AccountStatus::Disabled);
    assert_eq!(disabled.password_hash, HASH);
}

#[tokio::test]
async fn s77_what_depends_on_what_was_seen_is_refused_once_that_is_something_else() {
    let world = TestEnv::with_ann(|_| {}).await;
    let seen = || async { Some(AccountVersion::of(&world.account(EMAIL).await)) };
    let act = |seen, change| {
        let accounts = &world.services.accounts;
        let (tester, client) = (tester(), client());
        async move {
            accounts
                .change_version(EMAIL, seen, change, &tester, &client)
                .await
        }
    };
    let groups = |names: &[&str]| AccountChange::SetGroups(group_set(names));
    let first = seen().await;
    act(first.clone(), groups(&["ops"])).await.unwrap();
    let stale = act(first.clone(), groups(&["ops", "dev"])).await.unwrap_err();
    let AccountError::Stale(parts, current) = stale else {
        panic!("{stale:?}");
    };
    assert_eq!(parts, [AccountPart::Groups]);
    assert!(current.is_in("ops"));
    act(first.clone(), groups(&["ops"]))
        .await
        .expect("what holds already");
    act(None, groups(&["dev"]))
        .await
        .expect("no version, no question");
    act(first.clone(), AccountChange::Disable)
        .await
        .expect("disabling does not wait");
    let stale = act(first, AccountChange::Enable).await.unwrap_err();
    assert!(matches!(
        stale,
        AccountError::Stale(parts, _) if parts == [AccountPart::Status, AccountPart::Groups]
    ));
    let nonsense = AccountVersion::named("nonsense");
    let stale = act(nonsense, AccountChange::Enable).await.unwrap_err();
    assert!(matches!(stale, AccountError::Stale(parts, _) if parts.len() == 3));
    let second = seen().await;
    act(second, AccountChange::Enable).await.unwrap();
}

fn shown(result: &Result<Account, AccountError>) -> String {
    match result {
        Ok(account) => format!("{} {} {:?}", account.email, account.username, account.groups),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn an_htpasswd_file_is_imported_line_by_line() {
    let world = TestEnv::with(|config| config.login.username = true).await;
    let text = format!(
        "\u{feff}# people\n\nann@example.com:{HASH}\r\nBob:{HASH}\nno colon\ncarl:$apr1$x$y\nbob@example.com:{HASH}\nd d:{HASH}\n"
    );
    let defaults = HtpasswdDefaults {
        domain: Some("localhost".to_owned()),
        groups: group_set(&["ops"]),
    };
    let preview = world.services.accounts.preview_htpasswd(&text, 1, &defaults);
    let previewed: Vec<String> = preview.await.iter().map(|line| shown(&line.result)).collect();
    assert!(world.services.accounts.list(None, 9).await.unwrap().is_empty());
    let lines = world
        .services
        .accounts
        .import_htpasswd(&text, 1, &defaults, &tester(), &client())
        .await;
    let imported: Vec<String> = lines.iter().map(|line| shown(&line.result)).collect();
    assert_eq!(previewed, imported, "a preview says what becomes of each line");
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line.number, line.name.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (3, "ann@example.com"),
            (4, "Bob"),
            (5, "no colon"),
            (6, "carl"),
            (7, "bob@example.com"),
            (8, "d d")
        ]
    );
    assert_eq!(lines[1].result.as_ref().unwrap().email.as_str(), "Bob@localhost");
    assert!(matches!(lines[2].result, Err(AccountError::NotALine)));
    assert!(matches!(lines[3].result, Err(AccountError::NotAHash)));
    assert!(matches!(lines[4].result, Err(AccountError::UsernameTaken(_))));
    assert!(matches!(lines[5].result, Err(AccountError::Email(..))));
    for login in ["ann@example.com", "bob", "bob@localhost"] {
        world.sign_in(login, "U*U").await.unwrap();
    }
}

#[tokio::test]
async fn an_account_of_a_file_is_one_that_could_have_been_made() {
    let world = TestEnv::with_ann(|_| {}).await;
    let ann = world.account(EMAIL).await;
    assert!(Accounts::require_possible(&ann, &SignupConfig::default()).is_ok());
    let grouped = |group: &str| Account {
        groups: group_set(&[group]),
        ..ann.clone()
    };
    let named = |name: String| Account {
        name: Some(name),
        ..ann.clone()
    };
    let former = (0..6).map(|n| format!("ann{n}").parse().unwrap()).collect();
    for account in [
        grouped("a,b"),
        grouped("a\nb"),
        grouped(" a"),
        named("x".repeat(100_000)),
        named(" ann".to_owned()),
        named(String::new()),
        Account {
            former_usernames: former,
            ..ann.clone()
        },
    ] {
        assert!(
            Accounts::require_possible(&account, &SignupConfig::default()).is_err(),
            "{account:?}"
        );
    }
}

#[tokio::test]
async fn a_file_makes_no_account_that_no_other_way_in_makes() {
    let account = TestEnv::new().await.add(EMAIL, &["ops"]).await;
    assert!(Accounts::require_possible(&account, &SignupConfig::default()).is_ok());
    let changed = |change: &dyn Fn(&mut Account)| {
        let mut changed = account.clone();
        change(&mut changed);
        Accounts::require_possible(&changed, &SignupConfig::default())
    };
    let at_cost = |cost: u32| HASH.replace("$05$", &format!("${cost:02}$"));
    for hash in [
        String::new(),
        "junk".to_owned(),
        at_cost(17),
        at_cost(31),
        HASH.replace("$05$", "$+5$"),
        "x".repeat(1 << 20),
    ] {
        let refused = changed(&|account| account.password_hash.clone_from(&hash));
        assert!(matches!(refused, Err(AccountError::NotAHash)), "{refused:?}");
    }
    for tag in ["", "x", "../../etc/passwd", "ko\n", "한국어"] {
        let refused = changed(&|account| account.language = Some(tag.to_owned()));
        assert!(
            matches!(refused, Err(AccountError::Language)),
            "{tag:?}: {refused:?}"
        );
    }
    assert!(changed(&|account| account.language = Some("zh-Hant-TW".to_owned())).is_ok());
    let groups = |count: usize| (0..count).map(|n| format!("g{n}")).collect::<BTreeSet<_>>();
    let refused = changed(&|account| account.groups = groups(MOST_GROUPS + 1));
    assert!(matches!(refused, Err(AccountError::TooManyGroups)), "{refused:?}");
    assert!(changed(&|account| account.groups = groups(MOST_GROUPS)).is_ok());
    let refused = changed(&|account| account.groups = group_set(&[&"x".repeat(LONGEST_GROUP + 1)]));
    assert!(matches!(refused, Err(AccountError::GroupName(_))), "{refused:?}");
}

#[tokio::test]
async fn s52_sessions_whose_end_cannot_be_recorded_are_ended_and_that_is_an_error() {
    let world = TestEnv::with_ann(|config| config.audit.mode = AuditMode::Required).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(world.sign_in(EMAIL, PASSWORD).await.unwrap().session);
    }
    let (accounts, by, origin) = (&world.services.accounts, tester(), client());
    let ann = accounts.locate("ann").await.unwrap();
    let recorded = accounts
        .end_session(sessions[0].id(), Some(ann.id), &by, &origin)
        .await;
    assert_eq!(recorded.unwrap(), 1);
    assert!(sessions[0].ended().is_cancelled());
    let theirs = accounts.end_session(sessions[0].id(), None, &by, &origin).await;
    assert_eq!(theirs.unwrap(), 0, "it is over");

    // No line can be written from now on.
    std::fs::remove_file(world.audit_file()).unwrap();
    std::os::unix::fs::symlink("/dev/full", world.audit_file()).unwrap();
    world.services.audit.reopen().unwrap();
    let one = accounts.end_session(sessions[1].id(), None, &by, &origin).await;
    assert!(matches!(one, Err(AccountError::Unrecorded(_))), "{one:?}");
    assert!(sessions[1].ended().is_cancelled());
    let rest = accounts.end_sessions(&ann, &by, &origin).await;
    assert!(matches!(rest, Err(AccountError::Unrecorded(_))), "{rest:?}");
    assert!(sessions[2].ended().is_cancelled());
}

impl TestEnv {
    /// Has memory hold an act that the store could not keep.
    fn hold(&self, account: &Account, act: AccountAct) {
        let error = StoreError::Unavailable("the database is gone".to_owned());
        let (revocations, by, origin) = (&self.services.revocations, tester(), client());
        revocations.hold(account.into(), act, error, &by, &origin);
    }

    fn disabling(&self) -> AccountAct {
        AccountAct::Disable(self.services.accounts.approval.decision(&tester()))
    }

    async fn kinds(&self, count: usize) -> Vec<Kind> {
        let events = self.events().await;
        events.iter().take(count).map(|event| event.event).collect()
    }
}

/// A reload may say that only accounts with a verified address may sign in, also while an act waits, or memory holds it.
#[tokio::test]
async fn s76_the_last_administrator_by_the_configuration_of_the_moment_stays() {
    let world = TestEnv::with_ann(|_| {}).await;
    let ada = world.add("ada@example.com", &["gateway-admin"]).await;
    let una = world.add("una@example.com", &["gateway-admin"]).await;
    let unverified = Account {
        email_verified: false,
        ..una.clone()
    };
    world.store.update_account(&una, unverified).await.unwrap();
    let mut config = world.config.clone();
    config.signup.verify_email = true;
    world.services.apply_config(&config);
    let (accounts, by, origin) = (&world.services.accounts, tester(), client());
    let disabled = accounts.change("ada@example.com", AccountChange::Disable, &by, &origin);
    let disabled = disabled.await;
    assert!(
        matches!(disabled, Err(AccountError::LastAdministrator)),
        "{disabled:?}"
    );
    world.hold(&ada, world.disabling());
    world.services.revocations.settle(ada.id).await.unwrap();
    assert_eq!(
        world.account("ada@example.com").await.status,
        AccountStatus::Active
    );
    let deleted = accounts.delete("ada@example.com", &by, &origin).await;
    assert!(
        matches!(deleted, Err(AccountError::LastAdministrator)),
        "{deleted:?}"
    );
}

#[tokio::test]
async fn s49_nothing_but_enabling_takes_back_a_disabling_that_memory_holds() {
    let world = TestEnv::with_ann(|_| {}).await;
    let ann = world.account(EMAIL).await;
    let stands = async || world.account(EMAIL).await.status;
    for change in [
        AccountChange::Approve,
        AccountChange::SetGroups(group_set(&["ops"])),
        AccountChange::SetPassword(hash()),
        AccountChange::Disable,
    ] {
        let approves = matches!(change, AccountChange::Approve);
        world.hold(&ann, world.disabling());
        let changed = world.try_change(change).await;
        if approves {
            assert!(
                matches!(changed, Err(AccountError::Status(_, AccountStatus::Disabled))),
                "{changed:?}"
            );
            assert_eq!(world.kinds(1).await, [Kind::Disable]);
        } else {
            assert_eq!(changed.unwrap().status, AccountStatus::Disabled);
        }
        assert_eq!(stands().await, AccountStatus::Disabled);
        world.change(AccountChange::Enable).await;
    }

    // Enabled before the store was told: both are in the audit log, in their order.
    world.hold(&ann, world.disabling());
    world.change(AccountChange::Enable).await;
    world.services.revocations.try_again().await;
    assert_eq!(stands().await, AccountStatus::Active);
    assert_eq!(world.kinds(2).await, [Kind::Enable, Kind::Disable]);
}

#[tokio::test]
async fn s49_an_act_is_judged_by_what_memory_held_before_it() {
    let world = TestEnv::with_ann(|config| config.admin.group = "gateway-admin".to_owned()).await;
    // A new password voids only a deletion that it comes before.
    let ann = world.account(EMAIL).await;
    let left = AccountAct::Delete(Some(ann.password_changed_at));
    world.hold(&ann, left);
    let changed = world.try_change(AccountChange::SetPassword(hash())).await;
    assert!(matches!(changed, Err(AccountError::NotFound(_))), "{changed:?}");
    assert_eq!(world.kinds(1).await, [Kind::AccountDelete]);

    // The last administrator is whoever is left by what was done to the others.
    let bob = world.add("bob@example.com", &["gateway-admin"]).await;
    world.add("cat@example.com", &["gateway-admin"]).await;
    world.hold(&bob, world.disabling());
    let accounts = &world.services.accounts;
    let nobody = AccountChange::SetGroups(BTreeSet::new());
    let left = accounts
        .change("cat@example.com", nobody, &tester(), &client())
        .await;
    assert!(matches!(left, Err(AccountError::LastAdministrator)), "{left:?}");
    let deleted = accounts.delete("cat@example.com", &tester(), &client()).await;
    assert!(
        matches!(deleted, Err(AccountError::LastAdministrator)),
        "{deleted:?}"
    );
    assert_eq!(
        world.account("bob@example.com").await.status,
        AccountStatus::Disabled
    );

    // A link that was handed over before moves no account that is deleted.
    let dan = world.add("dan@example.com", &[]).await;
    let links = &world.services.email_tokens;
    let (link, _) = links.reset_link(&dan, &tester(), &client()).await.unwrap();
    let (_, token) = link.expose().split_once("token=").unwrap();
    world.hold(&dan, AccountAct::Delete(None));
    let password = Secret::new(PASSWORD.to_owned());
    let reset = links.reset(token, &password, &password, &client()).await;
    assert!(
        matches!(reset, Err(crate::services::LinkError::Void)),
        "{reset:?}"
    );
}

#[tokio::test]
async fn s49_an_account_that_cannot_be_read_is_not_deleted_later() {
    let world = TestEnv::with_ann(|_| {}).await;
    let ann = world.account(EMAIL).await;
    let damaged = || StoreError::Corrupt("account: unknown version".to_owned());
    let (revocations, by, origin) = (&world.services.revocations, tester(), client());
    for act in [
        AccountAct::Delete(None),
        AccountAct::Delete(Some(ann.password_changed_at)),
    ] {
        let refused = revocations.hold((&ann).into(), act, damaged(), &by, &origin);
        let refused = refused.to_string();
        assert!(refused.contains("it is not deleted"), "{refused}");
    }
    revocations.try_again().await;
    assert_eq!(world.account(EMAIL).await.status, AccountStatus::Active);
}
