//! The account page of recent sign-ins.

use serde_json::{Value, json};
use vestibule::control::{AuditQuery, Command};
use vestibule::model::AuditKind;
use vestibule::store::{AuditFilter, AuditOrder};

use crate::harness::{PASSWORD, Running};

#[tokio::test]
async fn sign_ins_and_failures_are_shown_to_their_owner_alone() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let bob = gateway.person("bob").await;
    let wrong = json!({ "login": "ANN@example.com", "password": "wr0ng-guess!" });
    assert_eq!(
        gateway.visitor().post_json("/.auth/login", wrong).await.status,
        401
    );

    let told = ann.get_json("/.auth/account/activity").await;
    let sign_ins = told.document["sign_ins"].as_array().unwrap();
    let outcomes: Vec<&Value> = sign_ins.iter().map(|sign_in| &sign_in["success"]).collect();
    assert_eq!(outcomes, [false, true], "the newest first: {sign_ins:?}");
    assert_eq!(sign_ins[0]["reason"], "invalid-credentials");
    assert_eq!(sign_ins[0]["address"], "127.0.0.1");
    let page = ann.open("/.auth/account/activity").await.page;
    assert!(page.contains("127.0.0.1") && page.contains("badge bad"), "{page}");
    let told = bob.get_json("/.auth/account/activity").await;
    assert_eq!(told.document["sign_ins"].as_array().unwrap().len(), 1);
    assert_eq!(ann.submit("/.auth/account/activity", &[]).await.status, 405);

    // A new account with the same address sees nothing of the old one's.
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

#[tokio::test]
async fn sign_ins_with_an_access_key_are_shown_to_its_owner() {
    let gateway = Running::start(|config| {
        config.login.iam = true;
    })
    .await;
    let (ann, bob) = (gateway.person("ann").await, gateway.person("bob").await);
    let path = "/.auth/account/keys";
    let made = ann.post_json(path, json!({ "name": "script" })).await.document;
    let (key, secret) = (
        made["access_key"].as_str().unwrap(),
        made["secret_key"].as_str().unwrap(),
    );
    let sign_in = async |secret: &str| {
        let answer = json!({ "access_key": key, "secret_key": secret });
        gateway
            .visitor()
            .post_json("/.auth/login/iam", answer)
            .await
            .status
    };
    assert_eq!(sign_in(secret).await, 200);
    // A program's repeated failures do not push out the sign-ins.
    for _ in 0..30 {
        let request = gateway.client().get(gateway.url("/x"));
        let answer = request.basic_auth(key, Some("wrong")).send().await.unwrap();
        assert!([401, 429].contains(&answer.status().as_u16()));
    }
    assert_eq!(sign_in("wrong").await, 429);
    // A disabled key still belongs to its owner.
    let disable = json!({ "access_key": key, "change": "disable" });
    assert_eq!(ann.post_json(path, disable).await.status, 200);
    gateway
        .visitor()
        .post_json(
            "/.auth/login/iam",
            json!({ "access_key": key, "secret_key": secret }),
        )
        .await;

    let told = ann.get_json("/.auth/account/activity").await.document;
    let rows: Vec<_> = told["sign_ins"].as_array().unwrap().iter().collect();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["event"].as_str().unwrap(),
                row["success"] == true,
                row["access_key"] == key,
            )
        })
        .collect();
    let expected = [
        ("sign-in", false, true),
        ("sign-in", false, true),
        ("lock", true, true),
        ("sign-in", true, true),
        ("sign-in", true, false),
    ];
    assert_eq!(seen, expected, "{told}");
    let page = ann.open("/.auth/account/activity").await.page;
    assert!(page.contains(&format!("With access key {key}")), "{page}");
    let told = bob.get_json("/.auth/account/activity").await.document;
    assert_eq!(told["sign_ins"].as_array().unwrap().len(), 1, "{told}");

    // Administrators find the failures of programs in the audit log.
    let query = AuditQuery {
        account: Some("ann".to_owned()),
        filter: AuditFilter {
            kinds: vec![AuditKind::SignedRequest],
            ..AuditFilter::default()
        },
        order: AuditOrder::NewestFirst,
        after: None,
        exports: false,
        limit: 100,
    };
    let found = gateway.command(Command::ReadAudit(query)).await;
    assert_eq!(found["events"].as_array().unwrap().len(), 30, "{found}");
}
