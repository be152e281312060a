//! The recent sign-ins to one's own account.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Running, route};

#[tokio::test]
async fn sign_ins_and_failures_are_shown_to_their_owner_alone() {
    let gateway = Running::start(|config| config.route = vec![route("/", "authenticated", "demo:")]).await;
    let ann = gateway.person("ann").await;
    let bob = gateway.person("bob").await;
    let wrong = json!({ "login": "ANN@example.com", "password": "wr0ng-guess!" });
    assert_eq!(gateway.visitor().tell("/.auth/login", wrong).await.status, 401);

    let told = ann.ask("/.auth/account/activity").await;
    let sign_ins = told.document["sign_ins"].as_array().unwrap();
    let outcomes: Vec<&Value> = sign_ins.iter().map(|sign_in| &sign_in["success"]).collect();
    assert_eq!(outcomes, [false, true], "the newest first: {sign_ins:?}");
    assert_eq!(sign_ins[0]["reason"], "invalid-credentials");
    assert_eq!(sign_ins[0]["address"], "127.0.0.1");
    let page = ann.open("/.auth/account/activity").await.page;
    assert!(page.contains("127.0.0.1") && page.contains("badge bad"), "{page}");
    let told = bob.ask("/.auth/account/activity").await;
    assert_eq!(told.document["sign_ins"].as_array().unwrap().len(), 1);
    assert_eq!(ann.submit("/.auth/account/activity", &[]).await.status, 405);

    // Whoever has the address next sees nothing of what was before.
    let fields = [("current_password", PASSWORD)];
    assert_eq!(ann.submit("/.auth/account/delete", &fields).await.status, 200);
    gateway.sign_up("ann@example.com", "ann2", PASSWORD).await;
    let cookie = gateway.sign_in("ann@example.com").await;
    let client = gateway.client().get(gateway.url("/.auth/account/activity"));
    let answer = client
        .header("cookie", cookie)
        .header("accept", "application/json")
        .send()
        .await
        .unwrap();
    let document: Value = answer.json().await.unwrap();
    assert_eq!(document["sign_ins"].as_array().unwrap().len(), 1, "{document}");
}
