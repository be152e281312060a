//! Forms whose last byte arrives after their sender lost the right to send them (S76).

use std::collections::BTreeSet;

use serde_json::json;
use vestibule::control::{Command, SessionSelector};
use vestibule::secret::Secret;
use vestibule::services::{AccountChange, NewPassword};

use crate::harness::{PASSWORD, Person, Raw, Running, until};

const ADMIN_ACCOUNT: &str = "/.auth/admin/account";
const INVITATIONS: &str = "/.auth/admin/invitations";
const KEYS: &str = "/.auth/account/keys";

/// Paths and forms of administrators' actions.
const ACTS: &[(&str, &str)] = &[
    (
        ADMIN_ACCOUNT,
        "account=ann&action=set-groups&groups=gateway-admin",
    ),
    (ADMIN_ACCOUNT, "account=deputy&action=reset-link"),
    (ADMIN_ACCOUNT, "account=ann&action=disable"),
    (ADMIN_ACCOUNT, "account=ann&action=end-sessions"),
    (ADMIN_ACCOUNT, "account=ann&action=delete&confirm=on"),
    (INVITATIONS, "groups=gateway-admin&days=7&count=1"),
    (KEYS, "name=late&days=0"),
    ("/.auth/account", "name=Late"),
];

/// Sends a form except for its last byte, after policy has admitted its head.
async fn hold_back(person: &Person<'_>, path: &str, body: &str) -> (Raw, u8) {
    let (last, all_but_last) = body.as_bytes().split_last().unwrap();
    let mut raw = person.gateway.raw().await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\naccept: application/json\r\n\
         content-type: application/x-www-form-urlencoded\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        person.gateway.authority(),
        person.cookie,
        body.len(),
    );
    raw.send(head).await;
    // The gateway reads the body only after it admitted the head.
    assert!(raw.head().await.starts_with("HTTP/1.1 100 "));
    raw.send(all_but_last).await;
    (raw, *last)
}

/// Holds back one form of each kind, revokes the administrator's right by `lose`, and completes the forms.
/// Each must be refused as unauthenticated, and change nothing.
async fn assert_nothing_is_done(lose: impl AsyncFnOnce(&Running, &Person<'_>)) {
    let gateway = Running::start(|config| config.login.iam = true).await;
    let admin = gateway.administrator("root1").await;
    let deputy = gateway.administrator("deputy").await;
    let ann = gateway.person("ann").await;
    let mut held = Vec::new();
    for (path, body) in ACTS {
        held.push((*path, hold_back(&admin, path, body).await));
    }
    lose(&gateway, &admin).await;
    for (path, (mut raw, last)) in held {
        raw.send([last]).await;
        let (status, _, body) = raw.answer_with_body().await;
        assert_eq!(status, 401, "{path}: {body}");
    }
    assert!(ann.is_signed_in().await, "nobody ended her sessions");
    let deputy = deputy.elsewhere().await;
    let document = deputy.get_json("/.auth/admin/account?id=ann").await.document;
    assert_eq!(document["groups"], json!([]), "{document}");
    let invitations = deputy.get_json(INVITATIONS).await.document;
    assert_eq!(invitations["invitations"], json!([]), "{invitations}");
    let keys = gateway.command(Command::ListKeys(None)).await;
    assert_eq!(keys, json!({ "access_keys": [], "unreadable": [] }));
}

#[tokio::test]
async fn s76_an_administrator_who_was_disabled_does_nothing_more() {
    let lose = async |gateway: &Running, admin: &Person<'_>| {
        gateway.change_user(&admin.email, AccountChange::Disable).await;
    };
    assert_nothing_is_done(lose).await;
}

#[tokio::test]
async fn s76_an_administrator_who_was_signed_out_does_nothing_more() {
    let lose = async |gateway: &Running, admin: &Person<'_>| gateway.sign_out(&admin.cookie).await;
    assert_nothing_is_done(lose).await;
}

#[tokio::test]
async fn s76_an_administrator_whose_sessions_were_ended_does_nothing_more() {
    let lose = async |gateway: &Running, admin: &Person<'_>| {
        let which = SessionSelector::Of(admin.email.clone());
        gateway.command(Command::RevokeSessions(which)).await;
    };
    assert_nothing_is_done(lose).await;
}

#[tokio::test]
async fn s76_an_administrator_who_was_deleted_does_nothing_more() {
    let lose = async |gateway: &Running, admin: &Person<'_>| {
        gateway.command(Command::DeleteUser(admin.email.clone())).await;
    };
    assert_nothing_is_done(lose).await;
}

#[tokio::test]
async fn s76_an_administrator_who_was_given_another_password_does_nothing_more() {
    let lose = async |gateway: &Running, admin: &Person<'_>| {
        let password = NewPassword::Plain(Secret::new(format!("{PASSWORD}-2")));
        gateway
            .change_user(&admin.email, AccountChange::SetPassword(password))
            .await;
    };
    assert_nothing_is_done(lose).await;
}

#[tokio::test]
async fn s76_an_administrator_who_was_stripped_of_the_group_administers_nothing_more() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.administrator("deputy").await;
    let ann = gateway.person("ann").await;
    let acts = || ACTS.iter().filter(|(path, _)| path.starts_with("/.auth/admin"));
    let mut held = Vec::new();
    for (path, body) in acts() {
        held.push(hold_back(&admin, path, body).await);
    }
    let nothing = AccountChange::SetGroups(BTreeSet::new());
    gateway.change_user(&admin.email, nothing).await;
    for ((path, _), (mut raw, last)) in acts().zip(held) {
        raw.send([last]).await;
        assert_eq!(raw.answer().await.0, 403, "{path}");
    }
    assert!(ann.is_signed_in().await);
}

/// The store may have a change by the time that its sender is gone; then the audit log has it too.
#[tokio::test]
async fn an_act_whose_sender_hangs_up_is_done_to_its_end_and_audited() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let next = "another-Harbour_43";
    let body = format!("current_password={PASSWORD}&password={next}&password_confirm={next}");
    let (mut raw, last) = hold_back(&ann, "/.auth/account/password", &body).await;
    raw.send([last]).await;
    // While the hashes are computed.
    drop(raw);
    let log = gateway.file("audit.jsonl");
    until(|| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines()
            .any(|line| line.contains("\"event\":\"password-change\"") && line.contains("success"))
    })
    .await;
    let form = json!({"login": ann.email, "password": next});
    let signed_in = gateway.visitor().post_json("/.auth/login", form).await;
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
}
