//! The administrators' pages, over the wire: as forms without scripts, and as JSON.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use vestibule::control::{AuditQuery, Command};
use vestibule::model::Email;
use vestibule::services::{AccountQuery, AuditFilter, AuditOrder, Invitees, NewInvitations};

use crate::harness::{PASSWORD, Person, Running, form, inviting, soon};

const ACCOUNT: &str = "/.auth/admin/account";

/// Sends an action on an account, as a program.
async fn act(admin: &Person<'_>, account: &str, action: &str) -> (u16, Value) {
    let document = json!({ "account": account, "action": action, "reason": "because" });
    let told = admin.post_json(ACCOUNT, document).await;
    (told.status, told.document)
}

#[tokio::test]
async fn only_administrators_get_there_and_only_from_here() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let admin = gateway.administrator("root1").await;
    let nobody = gateway.client();
    for page in [
        "",
        "/accounts",
        "/accounts/new",
        "/groups",
        "/account?id=ann",
        "/invitations",
        "/audit",
        "/locks",
        "/mails",
    ] {
        let path = format!("/.auth/admin{page}");
        assert_eq!(admin.open(&path).await.status, 200, "{path}");
        assert_eq!(admin.get_json(&path).await.status, 200, "{path}");
        assert_eq!(ann.open(&path).await.status, 403, "{path}");
        let program = nobody
            .get(gateway.url(&path))
            .header("accept", "application/json");
        assert_eq!(soon(program.send()).await.unwrap().status(), 401, "{path}");
    }
    for path in [
        ACCOUNT,
        "/.auth/admin/accounts",
        "/.auth/admin/accounts/new",
        "/.auth/admin/invitations",
    ] {
        let fields = [("account", "ann"), ("action", "disable")];
        assert_eq!(ann.submit(path, &fields).await.status, 403);
        let post = form(nobody.post(gateway.url(path)), &fields)
            .header("cookie", &admin.cookie)
            .header("sec-fetch-site", "cross-site");
        assert_eq!(soon(post.send()).await.unwrap().status(), 403, "{path}");
    }
    for path in ["/.auth/admin", "/.auth/admin/groups", "/.auth/admin/audit"] {
        assert_eq!(admin.submit(path, &[]).await.status, 405, "{path}");
    }
    assert!(ann.is_signed_in().await);
}

#[tokio::test]
async fn programs_read_on_a_page_what_a_command_prints() {
    let gateway = Running::start(|config| config.login.iam = true).await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    gateway.signer(&ann.email, Timestamp::UNIX_EPOCH).await;
    let invitations = NewInvitations {
        invitees: Invitees::Only(vec!["guest@example.com".parse::<Email>().unwrap().into()]),
        groups: ["ops".to_owned()].into(),
        ttl: Duration::from_hours(1),
        ..NewInvitations::default()
    };
    gateway.command(inviting(invitations)).await;
    let accounts = || {
        Command::FindUsers(AccountQuery {
            limit: 50,
            ..AccountQuery::default()
        })
    };
    let events = AuditQuery {
        account: None,
        filter: AuditFilter::default(),
        order: AuditOrder::NewestFirst,
        after: None,
        exports: false,
        limit: 50,
    };
    for (path, command) in [
        ("/.auth/admin/accounts", accounts()),
        ("/.auth/admin/account?id=ann", Command::ShowUser("ann".to_owned())),
        ("/.auth/admin/invitations", Command::ListInvitations),
        ("/.auth/admin/locks", Command::ListLocks),
        ("/.auth/admin/audit", Command::ReadAudit(events)),
    ] {
        let printed = gateway.command(command).await;
        assert_eq!(admin.get_json(path).await.document, printed, "{path}");
    }
    let of_ann = || Some("ann".to_owned());
    let keys = gateway.command(Command::ListKeys(of_ann())).await;
    assert_eq!(keys["access_keys"].as_array().unwrap().len(), 1);
    assert_eq!(ann.get_json("/.auth/account/keys").await.document, keys);
    let mut sessions = ann.get_json("/.auth/account/sessions").await.document;
    assert_eq!(sessions["sessions"][0]["current"].take(), true);
    let mut printed = gateway.command(Command::ListSessions(of_ann())).await;
    assert_eq!(printed["sessions"][0]["current"].take(), false);
    assert_eq!(sessions, printed);
    let mut own = ann.get_json("/.auth/account").await.document;
    assert_eq!(
        own.as_object_mut().unwrap().remove("older_access_keys"),
        Some(json!([]))
    );
    let printed = gateway.command(accounts()).await;
    assert!(printed["accounts"].as_array().unwrap().contains(&own), "{own}");
}

#[tokio::test]
async fn accounts_are_searched_and_shown() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    for name in ["ann", "annette", "bob"] {
        gateway.signed_in(name).await;
    }
    let emails = |document: &Value| -> Vec<String> {
        let accounts = document["accounts"].as_array().unwrap().iter();
        accounts
            .map(|account| account["email"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = admin.get_json("/.auth/admin/accounts?q=ANN").await.document;
    assert_eq!(emails(&found), ["ann@example.com", "annette@example.com"]);
    assert_eq!(found["next"], Value::Null);
    let found = admin
        .get_json("/.auth/admin/accounts?group=gateway-admin")
        .await
        .document;
    assert_eq!(emails(&found), ["root1@example.com"]);
    let found = admin
        .get_json("/.auth/admin/accounts?status=disabled")
        .await
        .document;
    assert!(emails(&found).is_empty());

    let page = admin.open("/.auth/admin/accounts?q=ann&status=active").await.page;
    assert!(
        page.contains("annette@example.com") && !page.contains("bob@example.com"),
        "{page}"
    );
    let id = admin.get_json("/.auth/admin/account?id=ann").await.document["id"].clone();
    assert!(page.contains(&format!("/.auth/admin/account?id={}", id.as_str().unwrap())));
    let shown = admin
        .open(&format!("/.auth/admin/account?id={}", id.as_str().unwrap()))
        .await;
    assert!(shown.page.contains("ann@example.com"));
    assert_eq!(admin.open("/.auth/admin/account?id=nobody").await.status, 404);
    assert_eq!(admin.get_json("/.auth/admin/account?id=nobody").await.status, 404);
}

#[tokio::test]
async fn s28_disabling_ends_the_sessions_at_once() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    let fields = [
        ("account", "ann"),
        ("action", "disable"),
        ("reason", "left the team"),
    ];
    let shown = admin.submit(ACCOUNT, &fields).await;
    assert_eq!(shown.status, 303, "{}", shown.page);
    assert!(!ann.is_signed_in().await);
    let page = admin.open(&shown.location).await.page;
    assert!(
        page.contains("role=\"status\"") && page.contains("left the team"),
        "{page}"
    );
    let (status, document) = act(&admin, "ann", "enable").await;
    assert_eq!((status, &document["status"]), (200, &json!("active")));
    gateway.sign_in("ann@example.com").await;
}

#[tokio::test]
async fn what_an_administrator_is_refused_is_recorded_too() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    for (account, action, expected) in [
        ("root1", "disable", 422),
        ("root1", "delete", 422),
        ("root1", "decline", 422),
        ("nobody", "reset-link", 404),
        ("root1", "nonsense", 422),
    ] {
        let (status, document) = act(&admin, account, action).await;
        assert_eq!(status, expected, "{account} {action}: {document}");
    }
    let path = "/.auth/admin/audit?outcome=failure";
    let recorded = admin.get_json(path).await.document["events"].take();
    let recorded: Vec<(&str, &str, &str, &str)> = recorded
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap();
            (text("event"), text("user"), text("reason"), text("by"))
        })
        .collect();
    let root = "root1@example.com";
    assert_eq!(
        recorded,
        [
            ("disable", root, "invalid-input", root),
            ("account-delete", root, "invalid-input", root),
            ("decline", root, "invalid-input", root),
            ("reset-link", "nobody", "not-found", root),
        ]
    );
}

#[tokio::test]
async fn a_refusal_that_names_an_act_is_recorded_once_and_no_other() {
    let gateway = Running::start(|config| config.login.iam = true).await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    gateway.signer(&admin.email, Timestamp::UNIX_EPOCH).await;
    let keys = gateway.command(Command::ListKeys(None)).await;
    let key = &keys["access_keys"][0]["access_key"];

    // Another site, in an administrator's session.
    let act = [("account", "ann"), ("action", "disable")];
    let post = || {
        let post = gateway.client().post(gateway.url(ACCOUNT));
        post.header("cookie", &admin.cookie)
    };
    let crossing = form(post(), &act).header("sec-fetch-site", "cross-site");
    assert_eq!(soon(crossing.send()).await.unwrap().status(), 403);
    // What is no act: a malformed body, an unknown action.
    let malformed = post().header("content-type", "application/json").body("{");
    assert_eq!(soon(malformed.send()).await.unwrap().status(), 400);
    assert_eq!(self::act(&admin, "ann", "nonsense").await.0, 422);
    // A key that is another's.
    for change in ["revoke", "enable"] {
        let document = json!({ "access_key": key, "change": change });
        assert_eq!(ann.post_json("/.auth/account/keys", document).await.status, 404);
    }

    let path = "/.auth/admin/audit?outcome=failure";
    let events = admin.get_json(path).await.document["events"].take();
    let recorded: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| ["event", "user", "reason"].map(|name| event[name].as_str().unwrap()))
        .collect();
    assert_eq!(
        recorded,
        [
            ["admin-denied", "root1@example.com", "cross-origin"],
            ["access-key-revoke", "ann@example.com", "not-found"],
            ["access-key-enable", "ann@example.com", "not-found"],
        ]
    );
    assert!(ann.is_signed_in().await);
}

#[tokio::test]
async fn every_act_is_recorded_with_who_and_why() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    for action in ["unlock", "disable", "enable", "end-sessions", "reset-link"] {
        let (status, document) = act(&admin, "ann", action).await;
        assert!(status < 300, "{action}: {document}");
    }
    let document =
        json!({ "account": "ann", "action": "set-groups", "groups": "ops, dev", "reason": "because" });
    let told = admin.post_json(ACCOUNT, document).await;
    assert_eq!(told.document["groups"], json!(["dev", "ops"]));
    let id = told.document["id"].as_str().unwrap().to_owned();
    let document = json!({ "account": "ann", "action": "delete", "reason": "because", "confirm": true });
    assert_eq!(admin.post_json(ACCOUNT, document).await.status, 204);

    let recorded = admin
        .get_json(&format!("/.auth/admin/audit?account={id}"))
        .await
        .document;
    let events: Vec<&Value> = recorded["events"].as_array().unwrap().iter().rev().collect();
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "sign-up",
            "sign-in",
            "unlock",
            "disable",
            "enable",
            "session-end",
            "reset-link",
            "groups-change",
            "account-delete"
        ]
    );
    for event in &events[2..] {
        assert_eq!(event["by"], "root1@example.com", "{event}");
        assert_eq!(event["why"], "because", "{event}");
        assert!(
            event["request_id"].is_string() && event["client"].is_string(),
            "{event}"
        );
    }
    let page = admin
        .open("/.auth/admin/audit?who=root1@example.com&event=account-delete")
        .await
        .page;
    assert!(page.contains("because"), "{page}");
    let page = admin.open(&format!("/.auth/admin/audit?account={id}")).await;
    assert_eq!(page.status, 200, "{}", page.page);
    assert!(page.page.contains("because"), "{}", page.page);
    let none = admin
        .get_json("/.auth/admin/audit?until=2020-01-01")
        .await
        .document;
    assert_eq!(none["events"], json!([]));
    assert_eq!(admin.get_json("/.auth/admin/account?id=ann").await.status, 404);
}

#[tokio::test]
async fn s53_the_last_administrator_stays_one() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let (status, problem) = act(&admin, "root1", "disable").await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem["errors"]["action"].is_string(), "{problem}");
    let shown = admin
        .submit(
            ACCOUNT,
            &[("account", "root1"), ("action", "set-groups"), ("groups", "ops")],
        )
        .await;
    assert_eq!(shown.status, 422);
    assert!(shown.page.contains("last administrator"), "{}", shown.page);
    let fields = [("account", "root1"), ("action", "delete"), ("confirm", "true")];
    assert_eq!(admin.submit(ACCOUNT, &fields).await.status, 422);
    let unconfirmed = admin.submit(ACCOUNT, &fields[..2]).await;
    assert_eq!(unconfirmed.status, 422);
    assert!(
        unconfirmed.page.contains("id=\"confirm-error\""),
        "{}",
        unconfirmed.page
    );
    assert!(admin.is_signed_in().await);
    let told = admin
        .post_json(ACCOUNT, json!({ "account": "root1", "action": "frobnicate" }))
        .await;
    assert_eq!(told.status, 422);
}

#[tokio::test]
async fn the_password_is_asked_again_after_a_while_and_nothing_is_lost() {
    let (clock, hand) = vestibule::clock::Clock::manual("2026-05-01T12:00:00Z".parse().unwrap());
    let gateway = Running::start_in(tempfile::tempdir().unwrap(), clock, |_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    hand.advance(Duration::from_mins(16));
    let fields = [
        ("account", "ann"),
        ("action", "disable"),
        ("reason", "left <the> team"),
    ];
    let asked = admin.submit(ACCOUNT, &fields).await;
    assert_eq!(asked.status, 422);
    assert!(asked.page.contains("name=\"current_password\""), "{}", asked.page);
    assert!(
        asked.page.contains("value=\"left &lt;the&gt; team\""),
        "{}",
        asked.page
    );
    let status = admin.get_json("/.auth/admin/account?id=ann").await.document["status"].clone();
    assert_eq!(status, "active", "nothing is done before");
    let proved = [&fields[..], &[("current_password", PASSWORD)]].concat();
    assert_eq!(admin.submit(ACCOUNT, &proved).await.status, 303);
    let shown = admin.get_json("/.auth/admin/account?id=ann").await.document;
    assert_eq!(shown["status"], "disabled");
    assert_eq!(shown["decision"]["reason"], "left <the> team");
}

#[tokio::test]
async fn a_reset_link_is_shown_once_and_is_in_no_record() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    let shown = admin
        .submit(ACCOUNT, &[("account", "ann"), ("action", "reset-link")])
        .await;
    assert_eq!(shown.status, 303, "loaded again, the page makes no other");
    let place = shown.location;
    let shown = admin.open(&place).await;
    let again = admin.open(&place).await.page;
    assert!(
        !again.contains("token=") && again.contains("was shown once"),
        "{again}"
    );
    let page = shown.page.replace("&#x2f;", "/");
    let (_, rest) = page.split_once("/.auth/reset?token=").unwrap();
    let token = &rest[..43];
    let (status, told) = act(&admin, "ann", "reset-link").await;
    assert_eq!(status, 201);
    let link = told["link"].as_str().unwrap();
    assert!(
        link.starts_with("https://gw.example.com") && link.contains("/.auth/reset?token="),
        "{link}"
    );
    assert!(!link.contains(token), "a new one");
    for file in ["audit.jsonl", "access.jsonl"] {
        let record = std::fs::read_to_string(gateway.file(file)).unwrap();
        assert!(!record.contains(token), "{file}");
    }
}

#[tokio::test]
async fn locks_in_force_are_seen_and_lifted() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    for _ in 0..11 {
        let wrong = json!({ "login": "ann@example.com", "password": "wr0ng-guess!" });
        let post = gateway.client().post(gateway.url("/.auth/login")).json(&wrong);
        soon(post.send()).await.unwrap();
    }
    let locks = admin.get_json("/.auth/admin/locks").await.document;
    assert_eq!(locks["accounts"][0]["email"], "ann@example.com", "{locks}");
    assert!(
        locks["accounts"][0]["locked_for_seconds"].as_u64().unwrap() > 1000,
        "{locks}"
    );
    let page = admin.open("/.auth/admin/locks").await.page;
    assert!(
        page.contains("ann@example.com") && page.contains("value=\"unlock\""),
        "{page}"
    );
    assert!(page.contains("name=\"reason\""), "{page}");
    assert_eq!(admin.get_json("/.auth/admin").await.document["locked_count"], 1);
    let (status, document) = act(&admin, "ann", "unlock").await;
    assert_eq!((status, &document["locked_for_seconds"]), (200, &Value::Null));
    gateway.sign_in("ann@example.com").await;
}

#[tokio::test]
async fn whoever_waits_is_seen_and_decided_about() {
    let gateway = Running::start(|config| {
        config.signup.approval = true;
    })
    .await;
    let admin = gateway.appointed("root1").await;
    gateway.sign_up("ann@example.com", "ann", PASSWORD).await;
    assert_eq!(admin.get_json("/.auth/admin").await.document["waiting_count"], 1);
    let (_, declined) = act(&admin, "ann", "decline").await;
    assert_eq!(declined["status"], "declined");
    let found = admin
        .get_json("/.auth/admin/accounts?status=declined")
        .await
        .document;
    assert_eq!(found["accounts"][0]["email"], "ann@example.com");
    let (status, document) = act(&admin, "ann", "approve").await;
    assert_eq!((status, &document["status"]), (200, &json!("active")));
    let decided = document["decision"]["by"].as_str();
    assert_eq!(decided, Some("root1@example.com"), "{document}");
    assert_eq!(admin.get_json("/.auth/admin").await.document["waiting_count"], 0);
    assert!(admin.get_json("/.auth/admin/mails").await.document["mails"].is_array());
    assert_eq!(
        admin.get_json("/.auth/admin").await.document["failed_mail_count"],
        0
    );
}

/// Returns the value of a hidden field in a page's forms.
fn hidden<'a>(page: &'a str, name: &str) -> &'a str {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name}: {page}"));
    rest.split_once('"').unwrap().0
}

#[tokio::test]
async fn s77_a_decision_made_from_a_stale_page_is_409_with_what_changed() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let admin = gateway.administrator("root1").await;
    let page = admin.open("/.auth/admin/account?id=ann").await.page;
    let version = hidden(&page, "version");
    let document = admin.get_json("/.auth/admin/account?id=ann").await.document;
    assert_eq!(document["version"], json!(version));
    let set = |groups: &'static str| {
        let (account, action) = (("account", "ann"), ("action", "set-groups"));
        [account, action, ("groups", groups), ("version", version)]
    };
    // What the owner may change freely makes no new version.
    let renamed = ann.submit("/.auth/account", &[("name", "Ann Lee")]).await;
    assert_eq!(renamed.status, 303);
    assert_eq!(admin.submit(ACCOUNT, &set("ops")).await.status, 303);

    let stale = admin.submit(ACCOUNT, &set("ops, dev")).await;
    assert_eq!(stale.status, 409, "{}", stale.page);
    assert!(stale.page.contains("they are now: ops"), "{}", stale.page);
    let (before, now) = (version, hidden(&stale.page, "version"));
    assert_ne!(before, now);
    let json = json!({ "account": "ann", "action": "set-groups", "groups": "dev", "version": before });
    let told = admin.post_json(ACCOUNT, json).await;
    assert_eq!((told.status, told.problem()), (409, "conflict"));
    let changed = told.document["errors"].as_object().unwrap();
    assert!(changed.keys().eq(["groups"]), "{changed:?}");

    let json = json!({ "account": "ann", "action": "set-groups", "groups": "dev", "version": now });
    assert_eq!(admin.post_json(ACCOUNT, json).await.status, 200);
    let json = json!({ "account": "ann", "action": "set-groups", "groups": "ops" });
    assert_eq!(
        admin.post_json(ACCOUNT, json).await.status,
        200,
        "without a version as it is"
    );
    let disable = [("account", "ann"), ("action", "disable"), ("version", before)];
    assert_eq!(admin.submit(ACCOUNT, &disable).await.status, 303);
    assert!(!ann.is_signed_in().await);
}
