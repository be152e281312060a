//! Sign-up with e-mail verification, over the wire and by mail.

use std::collections::BTreeSet;

use serde_json::json;
use vestibule::config::Config;

use crate::harness::{PASSWORD, ProgramReply, Running, soon};

const EMAIL: &str = "ann@example.com";
const OTHER: &str = "Oth3r-horizon!";

fn verifying(config: &mut Config) {
    config.signup.verify_email = true;
}

async fn gateway() -> Running {
    Running::start(verifying).await
}

#[tokio::test]
async fn s17_s20_a_link_that_is_pressed_lets_in_and_one_that_is_looked_at_does_nothing() {
    let gateway = gateway().await;
    let told = gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    assert_eq!((told.status, &told.document["next"]), (201, &json!("verify")));
    let refused = (401, "not-verified".to_owned());
    assert_eq!(gateway.try_sign_in(EMAIL, PASSWORD).await, refused);

    let mails = gateway.mails_to(EMAIL, 1).await;
    let token = mails[0].token("verify");
    let path = format!("/.auth/verify?token={token}");
    for _ in 0..3 {
        assert_eq!(gateway.visitor().open(&path).await.status, 200);
        let head = gateway.client().head(gateway.url(&path)).send();
        assert_eq!(soon(head).await.unwrap().status(), 200);
    }
    assert_eq!(gateway.try_sign_in(EMAIL, PASSWORD).await, refused);

    let shown = gateway
        .visitor()
        .submit("/.auth/verify", &[("token", &token)])
        .await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/signup/done?next=login")
    );
    assert_eq!(gateway.try_sign_in(EMAIL, PASSWORD).await.0, 200);
    for told in [
        gateway
            .visitor()
            .post_json("/.auth/verify", json!({ "token": token }))
            .await,
        gateway.visitor().post_json(&path, json!({})).await,
        gateway
            .visitor()
            .post_json("/.auth/verify", json!({ "token": "nonsense" }))
            .await,
        gateway.visitor().post_json("/.auth/verify", json!({})).await,
    ] {
        assert_eq!((told.status, told.problem()), (400, "invalid-token"));
    }
    let shown = gateway.visitor().open(&path).await;
    assert_eq!(shown.status, 400);
    assert!(
        shown.page.contains("href=\"/.auth/login\""),
        "a way on: {}",
        shown.page
    );
}

#[tokio::test]
async fn a_program_that_sends_the_token_is_told_what_comes_next() {
    let gateway = gateway().await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    let token = gateway.mails_to(EMAIL, 1).await[0].token("verify");
    let told = gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "token": token }))
        .await;
    assert_eq!((told.status, &told.document), (200, &json!({ "next": "login" })));
}

#[tokio::test]
async fn s18_an_address_that_has_an_account_is_answered_like_a_new_one() {
    let gateway = gateway().await;
    let new = gateway.sign_up("new@example.com", "new1", PASSWORD).await;
    gateway.sign_up("bob@example.com", "bob", PASSWORD).await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    let token = gateway.mails_to(EMAIL, 1).await[0].token("verify");
    gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "token": token }))
        .await;

    let same = |told: &ProgramReply| {
        assert_eq!((told.status, &told.document), (new.status, &new.document));
    };
    // Verified: the owner is notified, and nothing changes.
    same(&gateway.sign_up("ANN@example.com", "ann2", OTHER).await);
    let mails = gateway.mails_to(EMAIL, 2).await;
    assert!(mails[1].subject.contains("already"), "{:?}", mails[1]);
    assert!(mails[1].text.contains("/.auth/login\n") && mails[1].text.contains("/.auth/forgot\n"));
    assert!(!mails[1].text.contains("token="));
    assert_eq!(gateway.try_sign_in(EMAIL, PASSWORD).await.0, 200);
    assert_eq!(gateway.try_sign_in(EMAIL, OTHER).await.0, 401);

    // Unverified with the same password: a new link, and the earlier one is void.
    same(&gateway.sign_up("bob@example.com", "bob2", PASSWORD).await);
    let mails = gateway.mails_to("bob@example.com", 2).await;
    let void = gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "token": mails[0].token("verify") }))
        .await;
    assert_eq!(void.status, 400);
    // Unverified with another password: the owner of the address sets their own.
    same(&gateway.sign_up("bob@example.com", "bob3", OTHER).await);
    let mails = gateway.mails_to("bob@example.com", 3).await;
    let fields = json!({ "token": mails[2].token("reset"), "password": OTHER, "password_confirm": OTHER });
    assert_eq!(
        gateway.visitor().post_json("/.auth/reset", fields).await.status,
        200
    );
    assert_eq!(gateway.try_sign_in("bob@example.com", OTHER).await.0, 200);

    let fields = [
        ("email", EMAIL),
        ("username", "ann4"),
        ("password", PASSWORD),
        ("password_confirm", PASSWORD),
    ];
    let shown = gateway.visitor().submit("/.auth/signup", &fields).await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/signup/done?next=verify")
    );
}

#[tokio::test]
async fn an_account_that_somebody_else_prepared_becomes_its_owners() {
    let gateway = Running::start(|config| {
        verifying(config);
        config.signup.terms_url = "https://example.com/terms".into();
        config.signup.terms_version = "1".into();
    })
    .await;
    let sign_up = async |username: &str, password: &str| {
        let form = json!({
            "email": EMAIL, "username": username, "password": password, "password_confirm": password, "agree": true,
        });
        gateway.visitor().post_json("/.auth/signup", form).await
    };
    let first = sign_up("mallory", PASSWORD).await;
    let second = sign_up("ann", OTHER).await;
    assert_eq!((first.status, &first.document), (second.status, &second.document));

    let mail = &gateway.mails_to(EMAIL, 2).await[1];
    assert!(
        mail.text.contains("wants an account") && mail.text.contains("mallory"),
        "{}",
        mail.text
    );
    let fields = json!({ "token": mail.token("reset"), "password": OTHER, "password_confirm": OTHER });
    assert_eq!(
        gateway.visitor().post_json("/.auth/reset", fields).await.status,
        200
    );
    assert_eq!(gateway.try_sign_in(EMAIL, PASSWORD).await.0, 401);
    // The owner has not agreed to what a stranger agreed to.
    let sign_in = json!({ "login": EMAIL, "password": OTHER });
    let told = gateway.visitor().post_json("/.auth/login", sign_in).await;
    assert_eq!(told.status, 422);
    assert!(told.document["errors"]["agree"].is_string(), "{told:?}");
    let agreed = json!({ "login": EMAIL, "password": OTHER, "agree": true });
    assert_eq!(
        gateway.visitor().post_json("/.auth/login", agreed).await.status,
        200
    );
}

#[tokio::test]
async fn what_else_is_wrong_is_said_whether_or_not_there_is_an_account() {
    let gateway = gateway().await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    for email in [EMAIL, "new@example.com"] {
        let told = gateway.sign_up(email, "ann", "short").await;
        assert_eq!(told.status, 422);
        let fields: BTreeSet<_> = told.document["errors"].as_object().unwrap().keys().collect();
        assert_eq!(fields.into_iter().collect::<Vec<_>>(), ["password", "username"]);
    }
}

#[tokio::test]
async fn the_link_is_sent_again_to_whoever_proved_to_know_the_password() {
    let gateway = gateway().await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    let first = gateway.mails_to(EMAIL, 1).await[0].token("verify");
    let fields = [("login", EMAIL), ("password", PASSWORD)];
    let shown = gateway.visitor().submit("/.auth/login", &fields).await;
    assert_eq!(shown.status, 401);
    assert!(
        shown.page.contains("action=\"/.auth/verify\"") && shown.page.contains("name=\"email\""),
        "{}",
        shown.page
    );
    let shown = gateway
        .visitor()
        .submit("/.auth/verify", &[("email", EMAIL)])
        .await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/signup/done?next=verify")
    );
    let second = gateway.mails_to(EMAIL, 2).await[1].token("verify");
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/verify", json!({ "token": first }))
            .await
            .status,
        400
    );
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/verify", json!({ "token": second }))
            .await
            .status,
        200
    );

    // The response does not tell whether an account exists, or is verified.
    for email in [EMAIL, "nobody@example.com"] {
        let told = gateway
            .visitor()
            .post_json("/.auth/verify", json!({ "email": email }))
            .await;
        assert_eq!((told.status, &told.document), (202, &json!({ "next": "verify" })));
    }
    gateway.mails_are_out("fence").await;
    assert_eq!(
        gateway.mails_to(EMAIL, 2).await.len(),
        2,
        "a verified address needs no link"
    );
    assert!(
        gateway
            .outbox()
            .iter()
            .all(|mail| mail.to != "nobody@example.com")
    );
}

#[tokio::test]
async fn s15_without_verification_there_is_no_mail_and_an_address_that_is_taken_is_said_so() {
    let gateway = Running::start(|_| {}).await;
    let told = gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    assert_eq!(told.document, json!({ "next": "login" }));
    let told = gateway.sign_up(EMAIL, "ann2", PASSWORD).await;
    assert_eq!(told.status, 422);
    assert!(told.document["errors"]["email"].is_string());
    let told = gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "email": EMAIL }))
        .await;
    assert_eq!((told.status, told.problem()), (404, "not-found"));
    gateway.mails_are_out("fence").await;
    assert!(gateway.outbox().iter().all(|mail| mail.to != EMAIL));
}

#[tokio::test]
async fn s19_one_link_twenty_at_once_serves_once() {
    let gateway = gateway().await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    let token = gateway.mails_to(EMAIL, 1).await[0].token("verify");
    let visitor = gateway.visitor();
    let tries = (0..20).map(|_| visitor.post_json("/.auth/verify", json!({ "token": token })));
    let statuses: Vec<u16> = futures_util::future::join_all(tries)
        .await
        .iter()
        .map(|told| told.status)
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 400).count(),
        19,
        "{statuses:?}"
    );
}
