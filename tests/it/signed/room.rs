//! The buffer for bodies that are read before their sender is authenticated.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::task::JoinSet;

use super::Front;
use crate::harness::signer::{post, with};
use crate::harness::soon;

/// A body whose last byte never arrives.
fn held_back(body: &str) -> reqwest::Body {
    let begun = Frame::data(Bytes::from(body[1..].to_owned()));
    let begun = stream::iter([Ok::<_, std::io::Error>(begun)]);
    reqwest::Body::wrap(StreamBody::new(begun.chain(stream::pending())))
}

#[tokio::test]
async fn what_one_client_holds_back_leaves_room_for_others_and_is_dropped_within_seconds() {
    let front = Front::start().await;
    let body = "x".repeat(1 << 20);
    let request = post("/", &body);
    let headers = front.key.aws(&request);
    let mut held = JoinSet::new();
    let client = front.gateway.client_at([127, 0, 0, 2].into());
    for _ in 0..65 {
        let asked = client.post(front.gateway.url("/")).body(held_back(&body));
        held.spawn(with(asked, &headers).send());
    }
    while held.len() > 8 {
        let refused = soon(held.join_next()).await.unwrap().unwrap();
        // A client that was still sending may find the connection closed.
        assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() != 200));
    }
    let other = front.gateway.client_at([127, 0, 0, 3].into());
    let asked = with(other.post(front.gateway.url("/")).body(body), &headers);
    assert_eq!(soon(asked.send()).await.unwrap().status(), 200);
    while let Some(dropped) = soon(held.join_next()).await {
        assert_eq!(dropped.unwrap().unwrap().status(), 400, "it stopped");
    }
}
