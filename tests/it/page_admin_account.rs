//! The administrators' page of one account, over the wire.

use serde_json::{Value, json};

use crate::harness::{Person, Running};

const ACCOUNT: &str = "/.auth/admin/account";
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
        page.contains(r#"value="end-session""#) && !page.contains(id),
        "{page}"
    );
    let own = admin.open(&format!("{ACCOUNT}?id=root1")).await.page;
    assert!(
        !own.contains(r#"value="end-session""#),
        "the one in use stays: {own}"
    );
}
