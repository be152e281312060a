//! `/.auth/admin/audit?export=lines`, over the wire.

use serde_json::{Value, json};

use crate::harness::Running;

#[tokio::test]
async fn what_is_looked_for_is_a_file_of_lines_the_oldest_first() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    for wrong in ["wr0ng-1!", "wr0ng-2!", "wr0ng-3!"] {
        gateway.try_sign_in("ann@example.com", wrong).await;
    }
    let filters = "event=sign-in&outcome=failure&who=ann%40example.com";
    let page = admin.open(&format!("/.auth/admin/audit?{filters}")).await.page;
    assert!(
        page.contains("export&#x3d;lines") || page.contains("export=lines"),
        "{page}"
    );
    let file = admin
        .open(&format!("/.auth/admin/audit?{filters}&export=lines"))
        .await;
    assert_eq!(file.status, 200);
    let events: Vec<Value> = file
        .page
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown = admin
        .get_json(&format!("/.auth/admin/audit?{filters}"))
        .await
        .document;
    let mut shown = shown["events"].as_array().unwrap().clone();
    shown.reverse();
    assert_eq!((events.len(), events), (3, shown));

    let exports = admin
        .get_json("/.auth/admin/audit?event=audit-export")
        .await
        .document;
    let exports = exports["events"].as_array().unwrap().clone();
    assert_eq!(exports.len(), 1, "{exports:?}");
    assert_eq!(exports[0]["by"], "root1@example.com");
    assert_eq!(exports[0]["user"], "ann@example.com", "whose events they are");
    assert_eq!(exports[0]["detail"], "count 3");

    let stranger = gateway.person("bob").await;
    assert_eq!(stranger.open("/.auth/admin/audit?export=lines").await.status, 403);
    let denied = admin
        .get_json("/.auth/admin/audit?event=admin-denied")
        .await
        .document;
    let denied = &denied["events"][0];
    assert_eq!(
        (&denied["user"], &denied["reason"], &denied["detail"]),
        (
            &json!("bob@example.com"),
            &json!("forbidden"),
            &json!("page /.auth/admin/audit")
        )
    );
    assert_eq!(denied["outcome"], "failure");
}
