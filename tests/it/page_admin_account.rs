//! The page of one account, as administrators change it over the wire.

use serde_json::{Value, json};

use crate::harness::{Person, Running, route};

const ACCOUNT: &str = "/.auth/admin/account";
const INVITATIONS: &str = "/.auth/admin/invitations";

async fn gateway() -> Running {
    Running::start(|config| config.route = vec![route("/", "authenticated", "demo:")]).await
}

/// Does something to an account, as a program.
async fn act(admin: &Person<'_>, account: &str, action: &str) -> (u16, Value) {
    let told = admin
        .tell(ACCOUNT, json!({ "account": account, "action": action }))
        .await;
    (told.status, told.document)
}

#[tokio::test]
async fn s17_what_the_standing_leaves_no_choice_about_is_refused_by_name() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    let (status, problem) = act(&admin, "ann", "decline").await;
    assert_eq!(status, 422, "{problem}");
    let said = problem["errors"]["action"].as_str().unwrap();
    assert!(said.contains("active") && said.contains("disabled"), "{said}");
    assert_eq!(act(&admin, "ann", "disable").await.1["standing"], "disabled");
    for action in ["approve", "decline"] {
        let refused = admin
            .submit(ACCOUNT, &[("account", "ann"), ("action", action)])
            .await;
        assert_eq!(refused.status, 422, "{action}");
        assert!(refused.page.contains("it can be enabled"), "{}", refused.page);
    }
    assert_eq!(act(&admin, "ann", "disable").await.0, 200, "it holds already");
    assert_eq!(act(&admin, "ann", "enable").await.1["standing"], "active");
}

#[tokio::test]
async fn programs_send_numbers_and_lists_and_hear_what_is_wrong_by_field() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    gateway.signed_in("ann").await;
    let document = json!({ "account": "ann", "action": "set-groups", "groups": ["ops", "dev"] });
    let told = admin.tell(ACCOUNT, document).await;
    assert_eq!(
        told.document["groups"],
        json!(["dev", "ops"]),
        "{}",
        told.document
    );
    let document = json!({ "account": "ann", "action": "frobnicate" });
    let told = admin.tell(ACCOUNT, document).await;
    assert_eq!(told.status, 422);
    assert!(told.document["errors"]["action"].is_string(), "{}", told.document);

    let document = json!({ "groups": ["ops"], "days": 7, "count": 2 });
    let told = admin.tell(INVITATIONS, document).await;
    assert_eq!(told.status, 201, "{}", told.document);
    assert_eq!(told.document["links"].as_array().unwrap().len(), 2);
    for (document, field) in [
        (json!({ "email": "Ann@example.com" }), "email"),
        (json!({ "email": "bob@example.com", "count": 3 }), "count"),
        (json!({ "action": "frobnicate" }), "action"),
    ] {
        let told = admin.tell(INVITATIONS, document).await;
        assert_eq!(told.status, 422, "{field}");
        assert!(told.document["errors"][field].is_string(), "{}", told.document);
    }
}
