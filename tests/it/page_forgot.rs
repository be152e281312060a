//! Requests for reset links: the same response for every address, and a limited number.

use serde_json::json;

use crate::harness::{PASSWORD, ProgramReply, Running};

const NEW: &str = "N3w-horizon!";
const EMAIL: &str = "ann@example.com";

#[tokio::test]
async fn s18_asking_is_answered_alike_for_every_address() {
    let gateway = Running::start(|_| {}).await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    let known = gateway
        .visitor()
        .post_json("/.auth/forgot", json!({ "email": EMAIL }))
        .await;
    let unknown = gateway
        .visitor()
        .post_json("/.auth/forgot", json!({ "email": "nobody@example.com" }))
        .await;
    assert_eq!((known.status, &known.document), (202, &unknown.document));
    assert_eq!(unknown.status, 202);
    let alike = |told: &ProgramReply| {
        let mut headers = told.headers.clone();
        for own in ["x-request-id", "date"] {
            assert!(headers.remove(own).is_some(), "{own}");
        }
        headers
    };
    assert_eq!(alike(&known), alike(&unknown));
    let (known, unknown) = (
        gateway
            .visitor()
            .submit("/.auth/forgot", &[("email", EMAIL)])
            .await,
        gateway
            .visitor()
            .submit("/.auth/forgot", &[("email", "nobody@example.com")])
            .await,
    );
    assert_eq!(
        (known.status, known.location, known.page, known.cookies),
        (303, unknown.location, unknown.page, unknown.cookies)
    );
    gateway.mails_are_out("fence").await;
    assert_eq!(gateway.mails_to(EMAIL, 2).await.len(), 2);
    assert!(
        gateway
            .outbox()
            .iter()
            .all(|mail| mail.to != "nobody@example.com")
    );
}

#[tokio::test]
async fn s24_what_is_no_address_is_refused() {
    let gateway = Running::start(|_| {}).await;
    for email in [
        "",
        "ann",
        "a@b@c",
        "Ann <ann@example.com>",
        "ann@example.com\r\nBcc: eve@example.com",
    ] {
        let told = gateway
            .visitor()
            .post_json("/.auth/forgot", json!({ "email": email }))
            .await;
        assert_eq!(told.status, 422, "{email:?}");
        assert!(told.document["errors"]["email"].is_string(), "{email:?}");
        let shown = gateway
            .visitor()
            .submit("/.auth/forgot", &[("email", email)])
            .await;
        assert_eq!(shown.status, 422, "{email:?}");
        assert!(shown.page.contains("id=\"email-error\""));
    }
    gateway
        .sign_up("first.last+tag@example.com", "first", PASSWORD)
        .await;
    gateway
        .visitor()
        .post_json("/.auth/forgot", json!({ "email": "first.last+tag@example.com" }))
        .await;
    gateway.mails_to("first.last+tag@example.com", 1).await;
}

#[tokio::test]
async fn s23_an_address_is_sent_three_mails_an_hour_that_anybody_can_cause() {
    let gateway = Running::start(|_| {}).await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    for _ in 0..6 {
        assert_eq!(
            gateway
                .visitor()
                .post_json("/.auth/forgot", json!({ "email": EMAIL }))
                .await
                .status,
            202
        );
    }
    gateway.mails_are_out("fence").await;
    let mails = gateway.mails_to(EMAIL, 3).await;
    // The last link is the valid one; security notices do not count against the quota.
    let token = mails[2].token("reset");
    assert_eq!(
        gateway
            .visitor()
            .post_json(
                "/.auth/reset",
                json!({ "token": token, "password": NEW, "password_confirm": NEW })
            )
            .await
            .status,
        200
    );
    gateway.mails_to(EMAIL, 4).await;
}

#[tokio::test]
async fn s23_a_client_causes_no_more_mails_than_its_share_and_is_answered_the_same() {
    let gateway = Running::start(|_| {}).await;
    let answers = (0..130).map(|n| {
        let email = format!("nobody{n}@example.com");
        let gateway = &gateway;
        async move {
            gateway
                .visitor()
                .post_json("/.auth/forgot", json!({ "email": email }))
                .await
        }
    });
    for told in futures_util::future::join_all(answers).await {
        assert_eq!((told.status, &told.document), (202, &json!({})));
    }
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/forgot", json!({ "email": EMAIL }))
            .await
            .status,
        202
    );
    let folder = gateway.stop().await;
    assert!(!folder.path().join("outbox").exists(), "no mail");
}
