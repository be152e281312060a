//! Accounts that an administrator approves first, over the wire: as a form without scripts, and as JSON.

use serde_json::{Value, json};
use vestibule::control::Command;
use vestibule::services::AccountChange;

use crate::harness::{PASSWORD, Running, form, soon};

async fn gateway() -> Running {
    Running::start(|config| {
        config.signup.approval = true;
        config.lockout.max_failures = 2;
    })
    .await
}

async fn sign_up(gateway: &Running, username: &str) -> Value {
    let document = json!({
        "email": format!("{username}@example.com"),
        "username": username,
        "password": PASSWORD,
        "password_confirm": PASSWORD,
    });
    let post = gateway
        .client()
        .post(gateway.url("/.auth/signup"))
        .json(&document);
    let answer = soon(post.header("accept", "application/json").send())
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

/// Signs in as a program; returns the status and the JSON of the response.
async fn log_in(gateway: &Running, username: &str, password: &str) -> (u16, Value) {
    let document = json!({ "login": format!("{username}@example.com"), "password": password });
    let post = gateway.client().post(gateway.url("/.auth/login")).json(&document);
    let answer = soon(post.header("accept", "application/json").send())
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn s15_a_program_waits_for_approval() {
    let gateway = gateway().await;
    assert_eq!(sign_up(&gateway, "ann").await, json!({ "next": "approval" }));
    // More often than failures are allowed: none is counted.
    for _ in 0..4 {
        let (status, problem) = log_in(&gateway, "ann", PASSWORD).await;
        let slug = problem["type"].as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!((status, slug), (401, "not-approved"), "{problem}");
    }
    gateway.change_user("ann", AccountChange::Approve).await;
    assert_eq!(log_in(&gateway, "ann", PASSWORD).await.0, 200);
}

#[tokio::test]
async fn s15_a_browser_is_told_what_comes_next() {
    let gateway = gateway().await;
    let fields = [
        ("email", "ann@example.com"),
        ("username", "ann"),
        ("password", PASSWORD),
        ("password_confirm", PASSWORD),
    ];
    let post = form(gateway.client().post(gateway.url("/.auth/signup")), &fields);
    let answer = soon(post.header("accept", "text/html").send()).await.unwrap();
    assert_eq!(answer.status(), 303);
    let next = answer.headers()["location"].to_str().unwrap().to_owned();
    let page = gateway
        .client()
        .get(gateway.url(&next))
        .header("accept", "text/html");
    let page = soon(page.send()).await.unwrap().text().await.unwrap();
    assert!(page.contains("An administrator reviews new accounts."), "{page}");

    let fields = [("login", "ann@example.com"), ("password", PASSWORD)];
    let post = form(gateway.client().post(gateway.url("/.auth/login")), &fields);
    let answer = soon(post.header("accept", "text/html").send()).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().get("set-cookie").is_none());
    assert!(answer.text().await.unwrap().contains("has not approved"));
}

#[tokio::test]
async fn a_decision_and_its_reason_are_kept_and_recorded() {
    let gateway = gateway().await;
    sign_up(&gateway, "ann").await;
    gateway
        .change_user_because("ann", AccountChange::Decline, "not one of us")
        .await;
    let (status, problem) = log_in(&gateway, "ann", PASSWORD).await;
    assert_eq!(status, 401, "{problem}");
    assert!(
        !problem.to_string().contains("not one of us"),
        "administrators read it"
    );

    let shown = gateway.command(Command::ShowUser("ann".to_owned())).await;
    assert_eq!(shown["status"], "declined");
    assert_eq!(shown["decision"]["reason"], "not one of us");
    let record = std::fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
    let event = record.lines().find(|line| line.contains("\"decline\"")).unwrap();
    assert!(event.contains(r#""why":"not one of us""#), "{event}");

    // The username stays reserved after the account is gone.
    let document = json!({ "email": "ann2@example.com", "username": "ann", "password": PASSWORD, "password_confirm": PASSWORD });
    let post = gateway
        .client()
        .post(gateway.url("/.auth/signup"))
        .json(&document);
    let answer = soon(post.header("accept", "application/json").send())
        .await
        .unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.unwrap();
    assert!(problem["errors"]["username"].is_string(), "{problem}");
}
