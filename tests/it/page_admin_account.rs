//! The administrators' page of one account, over the wire.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Person, Running};

const ACCOUNT: &str = "/.auth/admin/account";
const KEYS: &str = "/.auth/account/keys";
const SESSIONS: &str = "/.auth/account/sessions";
const INVITATIONS: &str = "/.auth/admin/invitations";

/// Sends an action on an account, as a program.
async fn act(admin: &Person<'_>, account: &str, action: &str) -> (u16, Value) {
    let told = admin
        .post_json(ACCOUNT, json!({ "account": account, "action": action }))
        .await;
    (told.status, told.document)
}

#[tokio::test]
async fn s17_what_the_status_leaves_no_choice_about_is_refused_by_name() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    let (status, problem) = act(&admin, "ann", "decline").await;
    assert_eq!(status, 422, "{problem}");
    let said = problem["errors"]["action"].as_str().unwrap();
    assert!(said.contains("active") && said.contains("disable it"), "{said}");
    assert_eq!(act(&admin, "ann", "disable").await.1["status"], "disabled");
    for action in ["approve", "decline"] {
        let refused = admin
            .submit(ACCOUNT, &[("account", "ann"), ("action", action)])
            .await;
        assert_eq!(refused.status, 422, "{action}");
        assert!(refused.page.contains("You can enable it"), "{}", refused.page);
    }
    assert_eq!(act(&admin, "ann", "disable").await.0, 200, "it holds already");
    assert_eq!(act(&admin, "ann", "enable").await.1["status"], "active");
}

#[tokio::test]
async fn programs_send_numbers_and_lists_and_hear_what_is_wrong_by_field() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    let document = json!({ "account": "ann", "action": "set-groups", "groups": ["ops", "dev"] });
    let told = admin.post_json(ACCOUNT, document).await;
    assert_eq!(
        told.document["groups"],
        json!(["dev", "ops"]),
        "{}",
        told.document
    );
    let document = json!({ "account": "ann", "action": "frobnicate" });
    let told = admin.post_json(ACCOUNT, document).await;
    assert_eq!(told.status, 422);
    assert!(told.document["errors"]["action"].is_string(), "{}", told.document);

    let document = json!({ "groups": ["ops"], "days": 7, "count": 2 });
    let told = admin.post_json(INVITATIONS, document).await;
    assert_eq!(told.status, 201, "{}", told.document);
    assert_eq!(told.document["invitations"].as_array().unwrap().len(), 2);
    for (document, field) in [
        (json!({ "email": "Ann@example.com" }), "email"),
        (json!({ "email": "bob@example.com", "count": 3 }), "count"),
        (json!({ "action": "frobnicate" }), "action"),
    ] {
        let told = admin.post_json(INVITATIONS, document).await;
        assert_eq!(told.status, 422, "{field}");
        assert!(told.document["errors"][field].is_string(), "{}", told.document);
    }
    for (page, account) in [(ACCOUNT, "ann"), (INVITATIONS, "")] {
        let fields = [("account", account), ("action", "frobnicate")];
        let shown = admin.submit(page, &fields).await;
        assert_eq!(shown.status, 422, "{page}");
        assert!(
            shown.page.contains("<p>There is no such action.</p>"),
            "{}",
            shown.page
        );
    }
}

#[tokio::test]
async fn administrators_see_where_somebody_is_signed_in_and_end_one_of_it() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    let phone = ann.elsewhere().await;
    let bob = gateway.person("bob").await;
    let account = admin.get_json(&format!("{ACCOUNT}?id=ann")).await.document;
    assert_eq!(account["session_count"], 2, "{account}");
    let own = phone.get_json(SESSIONS).await.document["sessions"].clone();
    assert_eq!(own[0]["current"], true, "{own}");
    let mut seen = own[0].clone();
    seen["current"] = json!(false);
    let listed = account["sessions"].as_array().unwrap();
    assert!(listed.contains(&seen), "{account}");

    let end = |session: Value| {
        let document =
            json!({ "account": "ann", "action": "end-session", "session": session, "reason": "lost" });
        admin.post_json(ACCOUNT, document)
    };
    let theirs = bob.get_json(SESSIONS).await.document["sessions"][0]["id"].clone();
    assert_eq!(
        end(theirs).await.document,
        json!({ "ended_count": 0 }),
        "not hers"
    );
    assert_eq!(end(json!("nothing")).await.status, 404);
    let id = seen["id"].as_str().unwrap();
    assert_eq!(end(json!(id)).await.document, json!({ "ended_count": 1 }));
    assert!(!phone.is_signed_in().await);
    assert!(ann.is_signed_in().await && bob.is_signed_in().await);
    assert_eq!(
        end(json!(id)).await.document,
        json!({ "ended_count": 0 }),
        "it is over"
    );

    let log = admin
        .get_json("/.auth/admin/audit?account=ann&event=session-end&outcome=success")
        .await
        .document;
    let events = log["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{log}");
    assert_eq!(events[0]["detail"], format!("session {id}"));
    assert_eq!(
        (&events[0]["by"], &events[0]["why"]),
        (&json!("root1@example.com"), &json!("lost"))
    );
    let refused = admin
        .get_json("/.auth/admin/audit?account=ann&event=session-end&outcome=failure")
        .await
        .document;
    assert_eq!(refused["events"][0]["reason"], "not-found");
    let page = admin.open(&format!("{ACCOUNT}?id=ann")).await.page;
    assert!(
        page.contains(r#"value="end-session "#) && !page.contains(id),
        "{page}"
    );
    let own = admin.open(&format!("{ACCOUNT}?id=root1")).await.page;
    assert!(
        !own.contains(r#"value="end-session "#),
        "the one in use stays: {own}"
    );
}

#[tokio::test]
async fn an_accounts_keys_are_seen_and_revoked_and_no_secret_is_shown() {
    let gateway = Running::start(|config| config.login.iam = true).await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    let bob = gateway.person("bob").await;
    let made = ann
        .post_json(KEYS, json!({ "name": "backup <nightly>", "days": 30 }))
        .await;
    let (key, secret) = (
        &made.document["access_key"],
        made.document["secret_key"].as_str().unwrap(),
    );
    let other = bob.post_json(KEYS, json!({ "name": "" })).await.document["access_key"].clone();
    let path = format!("{ACCOUNT}?id=ann");
    let details = admin.get_json(&path).await.document;
    assert_eq!(details["access_keys"][0]["access_key"], *key);
    assert_eq!(details["access_keys"].as_array().unwrap().len(), 1);
    let page = admin.open(&path).await.page;
    assert!(page.contains("backup &lt;nightly&gt;"), "{page}");
    assert!(!page.contains(secret) && !details.to_string().contains(secret));

    let revoke = |key: &Value| json!({ "account": "ann", "action": "revoke-key", "access_key": key, "reason": "lost" });
    let told = admin.post_json(ACCOUNT, revoke(&other)).await;
    assert_eq!(
        (told.status, told.problem()),
        (404, "not-found"),
        "another account's"
    );
    let action = format!("revoke-key {}", key.as_str().unwrap());
    let fields = [("account", "ann"), ("action", &*action), ("reason", "lost")];
    assert_eq!(ann.submit(ACCOUNT, &fields).await.status, 403);
    let shown = admin.submit(ACCOUNT, &fields).await;
    assert_eq!(shown.status, 303, "{}", shown.page);
    assert!(
        admin
            .open(&shown.location)
            .await
            .page
            .contains("The key has been revoked.")
    );
    assert_eq!(ann.get_json(KEYS).await.document["access_keys"], json!([]));
    assert_eq!(
        bob.get_json(KEYS).await.document["access_keys"][0]["access_key"],
        other
    );
    let events = admin
        .get_json("/.auth/admin/audit?event=access-key-revoke")
        .await
        .document;
    let events: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| {
            ["user", "by", "why", "outcome"].map(|name| event[name].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let by = |outcome: &str| ["ann@example.com", "root1@example.com", "lost", outcome].map(str::to_owned);
    assert_eq!(events, [by("failure"), by("success")]);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn s77_a_name_and_an_address_are_changed_unless_the_page_is_stale() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    gateway.signed_in("bob").await;
    let version = admin.get_json(&format!("{ACCOUNT}?id=ann")).await.document["version"].clone();
    let set = |action: &str, field: &str, value: &str| json!({ "account": "ann", "action": action, field: value, "version": version, "reason": "because" });
    let renamed = admin
        .post_json(ACCOUNT, set("set-name", "name", " Ann Lee "))
        .await;
    assert_eq!(
        (renamed.status, &renamed.document["name"]),
        (200, &json!("Ann Lee"))
    );
    let stale = admin.post_json(ACCOUNT, set("set-name", "name", "Anna")).await;
    assert_eq!((stale.status, stale.problem()), (409, "conflict"));
    assert!(
        stale.document["errors"]["name"]
            .as_str()
            .unwrap()
            .contains("Ann Lee"),
        "{}",
        stale.document
    );
    assert_eq!(
        admin
            .post_json(ACCOUNT, set("set-name", "name", "Ann Lee"))
            .await
            .status,
        200,
        "it holds"
    );

    let moved = admin
        .post_json(ACCOUNT, set("set-email", "email", "ann.lee@example.com"))
        .await;
    assert_eq!(moved.status, 200, "{}", moved.document);
    assert_eq!(moved.document["email"], "ann.lee@example.com");
    assert_eq!(moved.document["email_verified"], true);
    assert_eq!(
        ann.get_json("/.auth/me").await.document["email"],
        "ann.lee@example.com"
    );
    let told = gateway.mails_to("ann@example.com", 1).await;
    assert!(
        told[0].text.contains("ann.lee@example.com"),
        "the former address is told: {}",
        told[0].text
    );
    assert_eq!(gateway.try_sign_in("ann@example.com", PASSWORD).await.0, 401);
    assert_eq!(gateway.try_sign_in("ann.lee@example.com", PASSWORD).await.0, 200);
    let stale = admin
        .post_json(ACCOUNT, set("set-email", "email", "a@example.com"))
        .await;
    assert_eq!(stale.status, 409);
    assert!(
        stale.document["errors"]["email"]
            .as_str()
            .unwrap()
            .contains("ann.lee@example.com")
    );

    for (action, field, value) in [
        ("set-email", "email", "bob@EXAMPLE.com"),
        ("set-email", "email", "nobody"),
        ("set-name", "name", "\u{202e}nnA"),
    ] {
        let document = json!({ "account": "ann", "action": action, field: value });
        let told = admin.post_json(ACCOUNT, document).await;
        assert_eq!(told.status, 422, "{action} {value}");
        assert!(told.document["errors"][field].is_string(), "{}", told.document);
        let fields = [
            ("account", "ann"),
            ("action", action),
            (field, value),
            ("reason", "typed <it>"),
        ];
        let shown = admin.submit(ACCOUNT, &fields).await;
        assert_eq!(shown.status, 422);
        assert!(
            shown.page.contains(&format!("id=\"{field}-error\"")),
            "{}",
            shown.page
        );
        assert!(
            shown.page.contains("value=\"typed &lt;it&gt;\""),
            "the reason stays: {}",
            shown.page
        );
    }
    let events = admin
        .get_json("/.auth/admin/audit?who=ann.lee@example.com&outcome=success")
        .await
        .document;
    let changed: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .filter(|event| event["by"] == "root1@example.com")
        .map(|event| ["event", "why", "detail"].map(|name| event[name].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(
        changed,
        [
            ["name-change", "because", "new name Ann Lee"],
            [
                "email-change",
                "because",
                "from ann@example.com to ann.lee@example.com"
            ],
        ]
    );
}

#[tokio::test]
async fn one_reason_goes_with_every_act_of_the_page() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    let page = admin.open(&format!("{ACCOUNT}?id=ann")).await.page;
    assert_eq!(page.matches("name=\"reason\"").count(), 1, "{page}");
    let outside = page.split("</form>").nth(1).unwrap();
    let buttons: Vec<&str> = outside
        .split("<button")
        .skip(1)
        .filter(|button| button.contains("name=\"action\""))
        .collect();
    assert!(buttons.len() >= 5, "{page}");
    assert!(
        buttons.iter().all(|button| button.contains("form=\"act\"")),
        "{buttons:?}"
    );
}
