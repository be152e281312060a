//! The audit log of a gateway that runs.

use serde_json::json;
use vestibule::api::AuditEventList;
use vestibule::config::AuditMode;
use vestibule::control::{AuditQuery, Command};
use vestibule::model::AuditEvent;
use vestibule::services::AccountChange;
use vestibule::store::{AuditFilter, AuditOrder};

use crate::harness::{PASSWORD, Running, soon};

async fn gateway(mode: AuditMode) -> Running {
    Running::start(|config| {
        config.audit.mode = mode;
    })
    .await
}

async fn recorded(gateway: &Running, account: &str) -> Vec<AuditEvent> {
    let query = AuditQuery {
        account: Some(account.to_owned()),
        filter: AuditFilter::default(),
        order: AuditOrder::OldestFirst,
        after: None,
        exports: false,
        limit: 100,
    };
    let answer = gateway.command(Command::ReadAudit(query)).await;
    let page: AuditEventList = serde_json::from_value(answer).unwrap();
    page.events.into_iter().map(|shown| shown.event).collect()
}

#[tokio::test]
async fn s51_who_what_from_where_and_which_request() {
    for mode in [AuditMode::BestEffort, AuditMode::Required] {
        let gateway = gateway(mode).await;
        let ann = gateway.person("ann").await;
        let wrong = json!({ "login": "ann@example.com", "password": "wr0ng-guess!" });
        let post = gateway.client().post(gateway.url("/.auth/login")).json(&wrong);
        let refused = soon(post.header("accept", "application/json").send())
            .await
            .unwrap();
        let request = refused.headers()["x-request-id"].to_str().unwrap().to_owned();
        gateway
            .change_user_because("ann", AccountChange::Disable, "left")
            .await;
        assert!(!ann.is_signed_in().await);

        let events = recorded(&gateway, "ann").await;
        let names: Vec<&str> = events
            .iter()
            .map(|event| event.event.as_str())
            .filter(|name| *name != "sign-up-begin")
            .collect();
        assert_eq!(names, ["sign-up", "sign-in", "sign-in", "disable"], "{mode:?}");
        let failure = &events[events.len() - 2];
        assert_eq!(failure.reason.as_deref(), Some("invalid-credentials"));
        assert_eq!(failure.request_id.as_ref(), Some(&request));
        assert!(failure.address.is_some_and(|address| address.is_loopback()));
        let disabled = &events[events.len() - 1];
        assert_eq!(disabled.why.as_deref(), Some("left"));
        assert!(disabled.by.as_deref().unwrap().starts_with("command (uid "));

        let log = serde_json::to_string(&events).unwrap();
        let lines = std::fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
        for secret in [PASSWORD, "wr0ng-guess!", ann.cookie.split_once('=').unwrap().1] {
            assert!(!log.contains(secret) && !lines.contains(secret));
        }
    }
}

#[tokio::test]
async fn what_was_recorded_outlives_the_gateway() {
    let gateway = gateway(AuditMode::BestEffort).await;
    gateway.person("ann").await;
    let folder = gateway.stop().await;
    let store = vestibule::store::sled::SledStore::open(
        &folder.path().join("store"),
        vestibule::clock::Clock::system(),
    );
    let store: std::sync::Arc<dyn vestibule::store::Store> = std::sync::Arc::new(store.unwrap());
    let read = store.read_audit(AuditFilter::default(), AuditOrder::OldestFirst, None, 10);
    let names: Vec<&str> = read
        .await
        .unwrap()
        .events
        .iter()
        .map(|(_, event)| event.event.as_str())
        .collect();
    assert!(names.ends_with(&["sign-up", "sign-in"]), "{names:?}");
}

#[tokio::test]
async fn what_an_owner_may_not_have_is_on_record() {
    let gateway = Running::start(|config| config.login.change_username = true).await;
    let admin = gateway.administrator("root1").await;
    gateway.person("ann").await;
    let taken = json!({ "username": "ann", "current_password": PASSWORD });
    assert_eq!(
        admin.post_json("/.auth/account/username", taken).await.status,
        422
    );
    let last = json!({ "current_password": PASSWORD });
    assert_eq!(admin.post_json("/.auth/account/delete", last).await.status, 422);
    let refused: Vec<_> = recorded(&gateway, "root1")
        .await
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some("invalid-input"))
        .map(|event| event.event.as_str().to_owned())
        .collect();
    assert_eq!(refused, ["username-change", "account-delete"]);
}
