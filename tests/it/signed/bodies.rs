//! S38: bodies that are verified while they are forwarded, and bodies that are read first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};

use super::{Front, slug};
use crate::harness::signer::{Unsigned, hash, lines, post};
use crate::harness::{Application, Raw, head_of, until};

/// An upstream that distinguishes whole bodies from aborted ones.
pub(super) struct Reader {
    pub(super) app: Application,
    asked: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
}

pub(super) async fn reader() -> Reader {
    let (asked, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, fail) = (asked.clone(), broken.clone());
    let app = Application::serving(move |parts, incoming, received| {
        let (count, fail) = (count.clone(), fail.clone());
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            match incoming.collect().await {
                Ok(body) => {
                    let mut request = head_of(&parts);
                    request.body = body.to_bytes();
                    received.lock().unwrap().push(request);
                }
                Err(_) => {
                    fail.fetch_add(1, Ordering::SeqCst);
                }
            }
            Response::new(Full::new(Bytes::new()).boxed_unsync())
        }
    })
    .await;
    Reader { app, asked, broken }
}

/// A body in pieces, without a length.
fn pieces(pieces: &[&str]) -> reqwest::Body {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::from((*piece).to_owned()))))
        .collect();
    reqwest::Body::wrap(StreamBody::new(stream::iter(pieces)))
}

#[tokio::test]
async fn s38_of_a_wrong_body_an_application_never_sees_the_end() {
    let Reader { app, asked, broken } = reader().await;
    let front = Front::before(app, |_| ()).await;
    let body = "one".repeat(100_000);
    let request = post("/", &body);
    let signed = [
        front.key.aws_declared(&request),
        front.key.message(&request, Some(&body)),
    ];
    for headers in &signed {
        let answer = front.send_with(&request, headers, body.clone()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(front.app.received().pop().unwrap().body, body);
        let answer = front
            .send_with(&request, headers, pieces(&[&body[..5], &body[5..]]))
            .await;
        assert_eq!(answer.status(), 200);
        assert_eq!(front.app.received().pop().unwrap().body, body);
    }
    let mut tampered = body.clone();
    tampered.replace_range(7..8, "x");
    for headers in &signed {
        for wrong in [
            tampered.clone(),
            format!("{body}x"),
            body[1..].to_owned(),
            "x".to_owned(),
        ] {
            let before = (asked.load(Ordering::SeqCst), broken.load(Ordering::SeqCst));
            let answer = front.send_with(&request, headers, wrong.clone()).await;
            assert_eq!(answer.status(), 401);
            let (slug, detail) = slug(answer).await;
            assert_eq!(slug, "signature-invalid");
            assert_eq!(
                detail,
                "The body of the request differs from the one that was signed."
            );
            until(|| asked.load(Ordering::SeqCst) - before.0 == broken.load(Ordering::SeqCst) - before.1)
                .await;
        }
        // An absent body differs too.
        let count = asked.load(Ordering::SeqCst);
        assert_eq!(front.send(&request, headers).await.status(), 401);
        assert_eq!(asked.load(Ordering::SeqCst), count);
    }
    assert_eq!(front.app.received().len(), 4);
}

#[tokio::test]
async fn s38_a_body_of_which_nothing_is_said_is_read_first() {
    let Reader { app, asked, .. } = reader().await;
    let front = Front::before(app, |_| ()).await;
    let body = "x".repeat(1 << 20);
    let request = post("/", &body);
    let headers = front.key.aws(&request);
    let answer = front.send_with(&request, &headers, body.clone()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(front.app.only().body, body);
    assert_eq!(front.app.only().header("content-length"), Some("1048576"));
    assert_eq!(
        front
            .send_with(&request, &headers, pieces(&[&body]))
            .await
            .status(),
        200
    );

    let more = format!("{body}x");
    for sent in [more.clone().into(), pieces(&[&more])] {
        let too_large = post("/", &more);
        let answer = front
            .send_with(&too_large, &front.key.aws(&too_large), sent)
            .await;
        assert_eq!(answer.status(), 413);
        assert_eq!(slug(answer).await.0, "too-large");
    }
    for wrong in ["x", ""] {
        let answer = front.send_with(&request, &headers, wrong).await;
        assert_eq!(slug(answer).await.0, "signature-invalid");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // Presigned URLs never declare it.
    let presigned = front.key.presigned(&post("/p", "abc"), 60);
    let request = post(&presigned, "");
    assert_eq!(front.send_with(&request, &vec![], "abc").await.status(), 200);
    assert_eq!(front.send_with(&request, &vec![], "abd").await.status(), 401);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn s38_a_body_that_is_read_first_is_as_large_as_any_may_be() {
    let Reader { app, asked, .. } = reader().await;
    let most = "10B".to_owned().try_into().unwrap();
    let front = Front::before(app, |config| config.limits.request_body = Some(most)).await;
    for (size, status) in [(10, 200), (11, 413)] {
        let body = "x".repeat(size);
        let request = post("/", &body);
        for sent in [body.clone().into(), pieces(&[&body])] {
            let headers = front.key.aws(&request);
            let answer = front.send_with(&request, &headers, sent).await;
            assert_eq!(answer.status(), status, "{size}");
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn s38_a_body_is_left_unsigned_only_where_the_route_says_so() {
    for unsigned_payload in [false, true] {
        let Reader { app, asked, .. } = reader().await;
        let front = Front::before(app, |route| route.unsigned_payload = unsigned_payload).await;
        let unsigned = |target| Unsigned {
            payload: "UNSIGNED-PAYLOAD".to_owned(),
            ..post(target, "")
        };
        let header = front.key.aws_declared(&unsigned("/"));
        let presigned = front.key.presigned(&unsigned("/"), 60);
        let message = front.key.message(&unsigned("/"), None);
        let expected = if unsigned_payload { 200 } else { 401 };
        for (target, headers) in [("/", header), (presigned.as_str(), vec![]), ("/", message)] {
            let answer = front.send_with(&unsigned(target), &headers, "anything").await;
            assert_eq!(answer.status(), expected, "{target} {headers:?}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), if unsigned_payload { 3 } else { 0 });
    }
}

#[tokio::test]
async fn s38_chunks_are_taken_apart_and_checked() {
    let Reader { app, asked, broken } = reader().await;
    let front = Front::before(app, |_| ()).await;
    let content = ["one".repeat(30_000), "two".to_owned()];
    let pieces: Vec<&str> = content.iter().map(String::as_str).collect();
    let request = Unsigned {
        method: "PUT",
        target: "/object",
        payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(),
    };
    let length = content.concat().len().to_string();
    let headers = front.key.aws_with(
        &request,
        &[
            ("content-encoding", "aws-chunked,gzip"),
            ("x-amz-content-sha256", &request.payload),
            ("x-amz-decoded-content-length", &length),
        ],
    );
    let body = front.key.chunks(&headers, &pieces);
    assert_eq!(
        front.send_with(&request, &headers, body.clone()).await.status(),
        200
    );
    let received = front.app.only();
    assert_eq!(received.body, content.concat());
    assert_eq!(received.header("content-length"), Some(length.as_str()));
    assert_eq!(received.header("content-encoding"), Some("gzip"));
    assert!(
        received
            .headers
            .iter()
            .all(|(name, _)| !name.starts_with("x-amz-"))
    );
    // A chunk that is changed, left out, or missing at the end.
    for wrong in [
        body.replacen("two", "twO", 1),
        body[body.find("\r\n3;").unwrap() + 2..].to_owned(),
        body[..body.find("\r\n0;").unwrap() + 2].to_owned(),
        "nonsense".to_owned(),
    ] {
        let before = (asked.load(Ordering::SeqCst), broken.load(Ordering::SeqCst));
        let answer = front.send_with(&request, &headers, wrong).await;
        assert_eq!(slug(answer).await.0, "signature-invalid");
        until(|| asked.load(Ordering::SeqCst) - before.0 == broken.load(Ordering::SeqCst) - before.1).await;
    }
    assert_eq!(front.app.received().len(), 1);
}

#[tokio::test]
async fn s38_chunks_that_are_said_to_hold_nothing_are_checked_too() {
    let Reader { app, asked, .. } = reader().await;
    let front = Front::before(app, |_| ()).await;
    let request = Unsigned {
        method: "PUT",
        target: "/object",
        payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(),
    };
    let headers = front.key.aws_with(
        &request,
        &[
            ("content-encoding", "aws-chunked"),
            ("x-amz-content-sha256", &request.payload),
            ("x-amz-decoded-content-length", "0"),
        ],
    );
    let nothing = front.key.chunks(&headers, &[]);
    for wrong in [
        front.key.chunks(&headers, &["one"]),
        nothing.replace("0;chunk-signature=", "0;chunk-signature=0"),
        nothing.trim_end().to_owned(),
        "nonsense".to_owned(),
    ] {
        let answer = front.send_with(&request, &headers, wrong.clone()).await;
        assert_eq!(slug(answer).await.0, "signature-invalid", "{wrong}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(front.send_with(&request, &headers, nothing).await.status(), 200);
    let received = front.app.only();
    assert_eq!(
        (received.body.len(), received.header("content-length")),
        (0, Some("0"))
    );
    assert_eq!(received.header("content-encoding"), None);
}

#[tokio::test]
async fn s38_a_length_of_chunks_has_one_spelling() {
    let Reader { app, asked, .. } = reader().await;
    let front = Front::before(app, |_| ()).await;
    let request = Unsigned {
        method: "PUT",
        target: "/object",
        payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(),
    };
    let signed = |length| {
        front.key.aws_with(
            &request,
            &[
                ("content-encoding", "aws-chunked"),
                ("x-amz-content-sha256", &request.payload),
                ("x-amz-decoded-content-length", length),
            ],
        )
    };
    for length in ["+3", "03", "-3", "3.0", "0x3", "3,3", "", "+0", "00"] {
        let headers = signed(length);
        let body = front.key.chunks(&headers, &["one"]);
        let answer = front.send_with(&request, &headers, body).await;
        assert_eq!(answer.status(), 401, "{length:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let headers = signed("3");
    let body = front.key.chunks(&headers, &["one"]);
    assert_eq!(front.send_with(&request, &headers, body).await.status(), 200);
    assert_eq!(front.app.only().header("content-length"), Some("3"));
}

#[tokio::test]
async fn s45_a_refused_body_is_not_the_next_request() {
    let Reader { app, .. } = reader().await;
    let front = Front::before(app, |_| ()).await;
    let inner = format!(
        "GET /smuggled HTTP/1.1\r\nHost: {}\r\n\r\n",
        front.gateway.authority()
    );
    let request = Unsigned {
        payload: hash("another"),
        ..post("/", "")
    };
    let mut raw: Raw = front.gateway.raw().await;
    let headers = lines(&front.key.aws_declared(&request));
    raw.send(format!(
        "POST / HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {}\r\n\r\n{inner}",
        front.gateway.authority(),
        inner.len()
    ))
    .await;
    assert_eq!(raw.answer_with_body().await.0, 401);
    assert_eq!(raw.until_closed().await, "");
    assert!(front.app.received().is_empty());
}
