//! Refusals of signatures, and what they tell.

use jiff::SignedDuration;
use vestibule::control::Command;
use vestibule::services::{AccessKeyChange, AccountChange};

use super::{Front, each_scheme, now, refusal, slug};
use crate::harness::signer::{Headers, Signer, Unsigned, get};
use crate::harness::{Application, PATIENCE};

#[tokio::test]
async fn s37_unknown_disabled_wrong_and_double_are_refused_alike() {
    let front = Front::start().await;
    let request = get("/x");
    let key = &front.key;
    let unknown = Signer {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        ..key.clone()
    };
    let empty = Signer {
        secret_key: String::new(),
        ..key.clone()
    };
    let (right, wrong) = (key.aws(&request), empty.aws(&request));
    let mut double = right.clone();
    double.push(("authorization", right.last().unwrap().1.clone()));
    let mut with_basic = right.clone();
    with_basic.extend(key.basic());
    let mut with_message = right.clone();
    with_message.extend(key.message(&request, None));
    let usual = refusal(front.send(&request, &unknown.aws(&request)).await).await;
    assert_eq!(usual.0, 401);
    let slug_of = usual.1["type"].as_str().unwrap();
    assert!(slug_of.ends_with("/signature-invalid"), "{slug_of}");
    for headers in [
        &wrong,
        &double,
        &with_basic,
        &with_message,
        &unknown.message(&request, None),
        &unknown.backend_ai(&request),
    ] {
        assert_eq!(
            refusal(front.send(&request, headers).await).await,
            usual,
            "{headers:?}"
        );
    }
    // In the query as well as in the header.
    let presigned = key.presigned(&request, 60);
    let both = get(&presigned);
    assert_eq!(refusal(front.send(&both, &right).await).await, usual);

    let access_key = key.access_key.parse().unwrap();
    let change = |change| Command::ChangeKey {
        key: access_key,
        change,
    };
    front.gateway.command(change(AccessKeyChange::Disable)).await;
    assert_eq!(refusal(front.send(&request, &right).await).await, usual);
    front.gateway.command(change(AccessKeyChange::Enable)).await;
    assert_eq!(front.send(&request, &right).await.status(), 200);
    front.gateway.change_user("ann", AccountChange::Disable).await;
    assert_eq!(refusal(front.send(&request, &right).await).await, usual);
    front.gateway.change_user("ann", AccountChange::Enable).await;
    front.gateway.command(change(AccessKeyChange::Revoke)).await;
    assert_eq!(refusal(front.send(&request, &right).await).await, usual);
    assert_eq!(front.app.received().len(), 1);
}

#[tokio::test]
async fn s35_what_is_changed_after_signing_is_refused() {
    let front = Front::start().await;
    let request = get("/a?b=1");
    for (position, headers) in each_scheme(&front.key, &request).into_iter().enumerate().take(4) {
        for changed in [
            get("/a?b=2"),
            get("/b?b=1"),
            get("/a"),
            Unsigned {
                method: "DELETE",
                ..get("/a?b=1")
            },
        ] {
            let answer = front.send(&changed, &headers).await;
            assert_eq!(
                slug(answer).await.0,
                "signature-invalid",
                "{position} {changed:?}"
            );
        }
    }
    let mut unsigned_date = front.key.aws(&request);
    for header in &mut unsigned_date {
        header.1 = header
            .1
            .replace("SignedHeaders=host;x-amz-date", "SignedHeaders=host");
    }
    let (slug, detail) = slug(front.send(&request, &unsigned_date).await).await;
    assert_eq!(slug, "signature-invalid");
    assert_eq!(detail, "x-amz-date must be signed and is not.");
    assert!(front.app.received().is_empty());
}

/// The holder of a presigned URL has what its owner signed, and can add no instructions for the upstream.
#[tokio::test]
async fn s35_headers_that_tell_an_application_what_to_do_are_signed() {
    let front = Front::start().await;
    let request = Unsigned {
        method: "PUT",
        ..get("/b/k?b=1")
    };
    let presigned = front.key.presigned(&request, 600);
    let by_url = Unsigned {
        target: &presigned,
        ..request.clone()
    };
    for (name, value) in [
        ("x-amz-copy-source", "/b/other"),
        ("x-amz-acl", "public-read"),
        ("x_amz_acl", "public-read"),
        ("x-amz.acl", "public-read"),
        ("x-amz-meta-a", "1"),
        ("x-amz-rename-source", "other"),
        ("x-oss-copy-source", "/b/other"),
        ("x-ms-copy-source", "/b/other"),
        ("x-ms-rename-source", "/b/other"),
        ("x-copy-from", "b/other"),
    ] {
        let added = (name, value.to_owned());
        let mut in_header = front.key.aws(&request);
        in_header.push(added.clone());
        for (request, headers) in [(&by_url, vec![added]), (&request, in_header)] {
            let (slug, detail) = slug(front.send(request, &headers).await).await;
            assert_eq!(slug, "signature-invalid", "{name}");
            assert_eq!(detail, format!("{name} must be signed and is not."));
        }
    }
    assert!(front.app.received().is_empty());
    let said_of_the_client = vec![("x-amz-user-agent", "x".to_owned()), ("x-meta-a", "1".to_owned())];
    assert_eq!(front.send(&by_url, &said_of_the_client).await.status(), 200);
}

#[tokio::test]
async fn s35_a_clock_that_is_off_is_told_by_how_much() {
    let front = Front::start().await;
    let request = get("/");
    let at = |seconds: i64| Signer {
        at: now() + SignedDuration::from_secs(seconds),
        ..front.key.clone()
    };
    for seconds in [-300, 300] {
        for headers in each_scheme(&at(seconds), &request) {
            assert_eq!(front.send(&request, &headers).await.status(), 200, "{headers:?}");
        }
    }
    for (seconds, says) in [(-301, "301 seconds behind"), (7200, "7200 seconds ahead")] {
        for (position, headers) in each_scheme(&at(seconds), &request).iter().enumerate().take(4) {
            if position == 2 && seconds == -301 {
                continue;
            }
            let answer = front.send(&request, headers).await;
            assert_eq!(answer.status(), 401);
            let (slug, detail) = slug(answer).await;
            assert_eq!(slug, "clock-skew");
            assert!(detail.contains(says), "{detail}");
        }
    }
    // Backend.AI allows a quarter of an hour.
    for (seconds, status) in [(-900, 200), (900, 200), (-901, 401), (901, 401)] {
        let headers = at(seconds).backend_ai(&request);
        assert_eq!(front.send(&request, &headers).await.status(), status, "{seconds}");
    }
    // In the reader's language.
    let mut korean = at(-301).aws(&request);
    korean.push(("accept-language", "ko".to_owned()));
    let (_, detail) = slug(front.send(&request, &korean).await).await;
    assert!(detail.contains("301초 늦습니다"), "{detail}");
}

#[tokio::test]
async fn what_a_program_may_use_is_named_when_it_uses_nothing() {
    let front = Front::start().await;
    let answer = front.send(&get("/"), &Headers::new()).await;
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
    for scheme in ["Basic", "Session", "AWS4-HMAC-SHA256", "BackendAI", "Signature"] {
        assert!(challenge.contains(&format!("{scheme} realm=")), "{challenge}");
    }
    assert_eq!(slug(answer).await.0, "not-authenticated");
}

#[tokio::test]
async fn s12_a_secret_is_guessed_eleven_times_and_signed_requests_go_on() {
    let front = Front::start().await;
    let request = get("/");
    let wrong = Signer {
        secret_key: "x".repeat(40),
        ..front.key.clone()
    };
    for _ in 0..11 {
        let (status, document) = refusal(front.send(&request, &wrong.basic()).await).await;
        assert_eq!(status, 401, "{document}");
        assert_eq!(
            document["detail"],
            "The access key is unknown, or the secret key is wrong."
        );
    }
    for key in [&wrong, &front.key] {
        let answer = front.send(&request, &key.basic()).await;
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], "1200");
        assert_eq!(slug(answer).await.0, "locked");
    }
    assert_eq!(front.send(&request, &front.key.aws(&request)).await.status(), 200);
    for _ in 0..20 {
        assert_eq!(front.send(&request, &wrong.aws(&request)).await.status(), 401);
    }
    assert_eq!(front.send(&request, &front.key.aws(&request)).await.status(), 200);
    front.clock.advance(std::time::Duration::from_secs(1201));
    assert_eq!(front.send(&request, &front.key.basic()).await.status(), 200);
}

#[tokio::test]
async fn s28_a_stream_ends_with_its_key() {
    let app = Application::serving(|_, _, _| async {
        use http_body_util::BodyExt as _;
        let (sender, receiver) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
        sender.send("first".into()).await.unwrap();
        tokio::spawn(async move {
            sender.closed().await;
        });
        let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((Ok(http_body::Frame::data(piece)), receiver))
        });
        http::Response::new(http_body_util::StreamBody::new(frames).boxed_unsync())
    })
    .await;
    let front = Front::before(app, |_| ()).await;
    let request = get("/events");
    let mut answer = front.send(&request, &front.key.aws(&request)).await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    let change = Command::ChangeKey {
        key: front.key.access_key.parse().unwrap(),
        change: AccessKeyChange::Revoke,
    };
    front.gateway.command(change).await;
    let ended = tokio::time::timeout(PATIENCE, answer.chunk()).await;
    assert!(ended.expect("the stream ends").is_err());
}

#[tokio::test]
async fn s51_a_wrong_signature_is_recorded_with_what_should_have_been_signed() {
    let front = Front::start().await;
    let request = get("/x");
    let wrong = Signer {
        secret_key: "x".repeat(40),
        ..front.key.clone()
    };
    front.send(&request, &wrong.aws(&request)).await;
    let Signer {
        authority,
        access_key,
        ..
    } = front.key.clone();
    let folder = front.gateway.stop().await;
    let record = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let line = record
        .lines()
        .find(|line| line.contains("signed-request"))
        .unwrap();
    let canonical = format!(
        "GET\n/x\n\nhost:{authority}\nx-amz-date:20260901T030405Z\n\nhost;x-amz-date\n{}",
        request.payload
    );
    assert!(line.contains(&crate::harness::signer::hash(canonical)), "{line}");
    assert!(
        line.contains(&access_key) && line.contains("signature-invalid"),
        "{line}"
    );
}
