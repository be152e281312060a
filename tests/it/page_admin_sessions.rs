//! The administrators' page of live sessions.

use serde_json::{Value, json};

use crate::harness::Running;

const SESSIONS: &str = "/.auth/admin/sessions";

#[tokio::test]
async fn live_sessions_are_listed_filtered_and_ended() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    let ann_too = ann.elsewhere().await;
    let bob = gateway.person("bob").await;
    let listed = admin.get_json(SESSIONS).await.document;
    let emails: Vec<&str> = listed["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["email"].as_str().unwrap())
        .collect();
    assert_eq!(
        emails,
        [
            "bob@example.com",
            "ann@example.com",
            "ann@example.com",
            "root1@example.com"
        ],
        "the newest first"
    );
    assert_eq!(
        (&listed["session_count"], &listed["next"], &listed["previous"]),
        (&json!(4), &Value::Null, &Value::Null)
    );
    assert_eq!(listed["sessions"][3]["current"], true);
    let text = listed.to_string();
    for secret in [&ann.cookie, &bob.cookie] {
        let (_, token) = secret.split_once('=').unwrap();
        assert!(!text.contains(token), "no token");
    }
    assert!(!text.contains("digest"), "{text}");

    let page = admin.open(&format!("{SESSIONS}?account=ann")).await.page;
    assert!(
        page.contains("2 active sessions") && !page.contains("bob@example.com"),
        "{page}"
    );
    let unknown = admin.open(&format!("{SESSIONS}?account=nobody")).await;
    assert_eq!(unknown.status, 422);
    assert!(unknown.page.contains("id=\"account-error\""), "{}", unknown.page);

    // Another's session is not ended as one of this account.
    let of_bob = listed["sessions"][0]["id"].as_str().unwrap();
    let document = json!({ "action": "end-session", "session": of_bob, "account": "ann" });
    let none = admin.post_json(SESSIONS, document).await;
    assert_eq!((none.status, &none.document["ended_count"]), (200, &json!(0)));
    assert!(bob.is_signed_in().await);
    let fields = [
        ("action", "end-session"),
        ("session", of_bob),
        ("reason", "left open"),
    ];
    let ended = admin.submit(SESSIONS, &fields).await;
    assert_eq!(
        (ended.status, ended.location.as_str()),
        (303, "/.auth/admin/sessions?done=ended&count=1"),
        "{}",
        ended.page
    );
    assert!(!bob.is_signed_in().await);
    let shown = admin.open(&ended.location).await.page;
    assert!(shown.contains("1 session has been signed out."), "{shown}");

    let document = json!({ "action": "end-sessions", "account": "ann@example.com", "reason": "a leak" });
    let ended = admin.post_json(SESSIONS, document).await;
    assert_eq!((ended.status, &ended.document["ended_count"]), (200, &json!(2)));
    assert!(!ann.is_signed_in().await && !ann_too.is_signed_in().await);
    let events = admin
        .get_json("/.auth/admin/audit?event=session-end")
        .await
        .document["events"]
        .take();
    let told: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| ["user", "by", "why"].map(|name| event[name].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ["ann@example.com", "root1@example.com", "a leak"],
            ["bob@example.com", "root1@example.com", "left open"],
        ]
    );
    for wrong in [
        json!({ "action": "end-sessions" }),
        json!({ "action": "end-session", "session": "x" }),
        json!({ "action": "nonsense" }),
    ] {
        assert_eq!(
            admin.post_json(SESSIONS, wrong.clone()).await.status,
            422,
            "{wrong}"
        );
    }
    assert!(admin.is_signed_in().await);
    assert_eq!(gateway.person("cid").await.open(SESSIONS).await.status, 403);
}
