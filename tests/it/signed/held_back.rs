//! S76: forwarded requests whose last byte arrives after their sender lost the right to send them.

use std::collections::BTreeSet;

use vestibule::config::{Conditions, RouteConfig};
use vestibule::control::{Command, SessionSelector};
use vestibule::model::AccessKeyId;
use vestibule::services::{AccessKeyChange, AccountChange};

use super::Front;
use super::bodies::reader;
use crate::harness::Raw;
use crate::harness::signer::{Headers, lines, post};

const BODY: &str = "a body of which the end is held back";
const ANN: &str = "ann@example.com";

/// Sends a request except for the last byte of its body, after its head was admitted.
async fn hold_back(front: &Front, headers: &Headers) -> Raw {
    let mut raw = front.gateway.raw().await;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\n{}expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        front.gateway.authority(),
        lines(headers),
        BODY.len(),
    );
    raw.send(head).await;
    // The gateway reads the body only after it admitted the head.
    assert!(raw.head().await.starts_with("HTTP/1.1 100 "));
    raw.send(&BODY[..BODY.len() - 1]).await;
    raw
}

/// As [`assert_nothing_arrives_at`], at a route for a group.
async fn assert_nothing_arrives(status: u16, lose: impl AsyncFnOnce(&Front)) {
    let to_ops = |route: &mut RouteConfig| route.allow = Conditions::of_groups(["ops"]).into();
    assert_nothing_arrives_at(to_ops, status, lose).await;
}

/// Holds back one request by each kind of proof, revokes the right by `lose`, and completes them: each gets
/// this status, and the upstream sees no complete body.
async fn assert_nothing_arrives_at(
    configure: impl FnOnce(&mut RouteConfig),
    status: u16,
    lose: impl AsyncFnOnce(&Front),
) {
    let front = Front::before(reader().await.app, configure).await;
    let ops = AccountChange::SetGroups(BTreeSet::from(["ops".to_owned()]));
    front.gateway.change_user(ANN, ops).await;
    let cookie = front.gateway.sign_in(ANN).await;
    let request = post("/", BODY);
    let mut held = Vec::new();
    for (name, headers) in [
        ("session", vec![("cookie", cookie)]),
        ("basic", front.key.basic()),
        ("read first", front.key.aws(&request)),
        ("declared", front.key.aws_declared(&request)),
        ("read first, Backend.AI", front.key.backend_ai(&request)),
        ("declared, RFC 9421", front.key.message(&request, Some(BODY))),
    ] {
        held.push((name, hold_back(&front, &headers).await));
    }
    lose(&front).await;
    for (name, mut raw) in held {
        raw.send(&BODY[BODY.len() - 1..]).await;
        let (answered, _, body) = raw.answer_with_body().await;
        assert_eq!(answered, status, "{name}: {body}");
    }
    assert!(front.app.received().is_empty());
}

#[tokio::test]
async fn s76_what_nothing_happened_to_arrives() {
    let front = Front::before(reader().await.app, |_| ()).await;
    let request = post("/", BODY);
    for headers in [
        front.key.basic(),
        front.key.aws(&request),
        front.key.aws_declared(&request),
    ] {
        let mut raw = hold_back(&front, &headers).await;
        raw.send(&BODY[BODY.len() - 1..]).await;
        assert_eq!(raw.answer().await.0, 200);
        assert_eq!(front.app.received().pop().unwrap().body, BODY);
    }
}

#[tokio::test]
async fn s76_nothing_arrives_of_somebody_who_was_disabled() {
    assert_nothing_arrives(401, async |front| {
        front.gateway.change_user(ANN, AccountChange::Disable).await;
    })
    .await;
}

#[tokio::test]
async fn s76_nothing_arrives_of_somebody_who_was_deleted() {
    assert_nothing_arrives(401, async |front| {
        front.gateway.command(Command::DeleteUser(ANN.to_owned())).await;
    })
    .await;
}

#[tokio::test]
async fn s76_nothing_arrives_by_a_session_or_a_key_that_was_revoked() {
    assert_nothing_arrives(401, async |front| {
        let sessions = SessionSelector::Of(ANN.to_owned());
        front.gateway.command(Command::RevokeSessions(sessions)).await;
        let key = AccessKeyId::parse(front.key.access_key.as_bytes()).unwrap();
        let change = AccessKeyChange::Revoke;
        front.gateway.command(Command::ChangeKey { key, change }).await;
    })
    .await;
}

#[tokio::test]
async fn s76_nothing_arrives_with_a_group_that_was_left() {
    assert_nothing_arrives(403, async |front| {
        let none = AccountChange::SetGroups(BTreeSet::new());
        front.gateway.change_user(ANN, none).await;
    })
    .await;
}

#[tokio::test]
async fn s76_nothing_arrives_of_somebody_whom_the_route_denies_by_now() {
    let denying = |route: &mut RouteConfig| route.deny = Some(Conditions::of_groups(["suspended"]));
    assert_nothing_arrives_at(denying, 403, async |front| {
        let joined = AccountChange::EditGroups {
            add: BTreeSet::from(["suspended".to_owned()]),
            remove: BTreeSet::new(),
        };
        front.gateway.change_user(ANN, joined).await;
    })
    .await;
}
