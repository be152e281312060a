//! Changing an account's address, and the owner's notifications, over the wire and by mail.

use serde_json::json;
use vestibule::control::Command;
use vestibule::secret::Secret;
use vestibule::services::{AccountChange, NewPassword};

use crate::harness::{PASSWORD, Running};

const NEW: &str = "ann@elsewhere.example";
const OLD: &str = "ann@example.com";
const PATH: &str = "/.auth/account/email";

#[tokio::test]
async fn an_account_moves_when_the_new_address_says_so_and_the_old_one_is_told() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let fields = [("email", NEW), ("current_password", PASSWORD)];
    let shown = ann.submit(PATH, &fields).await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/account/email?done=asked")
    );
    assert!(ann.open(&shown.location).await.page.contains("role=\"status\""));
    let token = gateway.mails_to(NEW, 1).await[0].token("verify");
    let looked = gateway
        .visitor()
        .open(&format!("/.auth/verify?token={token}"))
        .await;
    assert!(
        looked.status == 200 && looked.page.contains(NEW),
        "{}",
        looked.page
    );
    assert_eq!(
        ann.get_json("/.auth/me").await.document["email"],
        OLD,
        "nothing is changed yet"
    );

    let shown = gateway
        .visitor()
        .submit("/.auth/verify", &[("token", &token)])
        .await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/account?done=email")
    );
    let noticed =
        "__Host-vestibule-notice=email-changed; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=300";
    assert_eq!(shown.cookies, [noticed], "who has to sign in first is told there");
    let me = ann.get_json("/.auth/me").await.document;
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(NEW), &json!(true)));
    let told = &gateway.mails_to(OLD, 1).await[0];
    assert!(
        told.text.contains(NEW) && !told.text.contains("token="),
        "{}",
        told.text
    );
    assert_eq!(gateway.try_sign_in(OLD, PASSWORD).await.0, 401);
    assert_eq!(gateway.try_sign_in(NEW, PASSWORD).await.0, 200);
    let again = gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "token": token }))
        .await;
    assert_eq!((again.status, again.problem()), (400, "invalid-token"));
    // The old address is free.
    assert_eq!(gateway.sign_up(OLD, "ann2", PASSWORD).await.status, 201);
}

#[tokio::test]
async fn an_address_that_has_an_account_is_answered_alike_and_gets_no_link() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    gateway.sign_up("bob@example.com", "bob", PASSWORD).await;
    for email in ["bob@example.com", "free@example.com"] {
        let told = ann
            .post_json(PATH, json!({ "email": email, "current_password": PASSWORD }))
            .await;
        assert_eq!((told.status, &told.document), (202, &json!({})), "{email}");
    }
    // It was free when the link was mailed, and is taken now.
    let token = gateway.mails_to("free@example.com", 1).await[0].token("verify");
    gateway.sign_up("free@example.com", "quicker", PASSWORD).await;
    let late = gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "token": token }))
        .await;
    assert_eq!((late.status, late.problem()), (400, "invalid-token"));
    assert_eq!(ann.get_json("/.auth/me").await.document["email"], OLD);
    let told = &gateway.mails_to("bob@example.com", 1).await[0];
    assert!(
        told.text.contains("for another account") && !told.text.contains("token="),
        "{}",
        told.text
    );
}

#[tokio::test]
async fn the_own_address_is_proven_and_then_is_no_other_one() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let own = json!({ "email": OLD.to_uppercase(), "current_password": PASSWORD });
    assert_eq!(ann.get_json("/.auth/me").await.document["email_verified"], false);
    assert_eq!(ann.post_json(PATH, own.clone()).await.status, 202);
    let token = gateway.mails_to(OLD, 1).await[0].token("verify");
    let proven = gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "token": token }))
        .await;
    assert_eq!(proven.status, 200);
    assert_eq!(ann.get_json("/.auth/me").await.document["email_verified"], true);
    let told = ann.post_json(PATH, own).await;
    assert_eq!(told.status, 422);
    assert!(told.document["errors"]["email"].is_string(), "{told:?}");
}

#[tokio::test]
async fn the_password_is_asked_and_mistakes_are_named() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    for (email, password, wrong) in [
        (NEW, "", "current_password"),
        (NEW, "not-it-1!", "current_password"),
        ("ann", PASSWORD, "email"),
        ("", PASSWORD, "email"),
    ] {
        let shown = ann
            .submit(PATH, &[("email", email), ("current_password", password)])
            .await;
        assert_eq!(shown.status, 422, "{email} {wrong}");
        assert!(
            shown.page.contains(&format!("id=\"{wrong}-error\"")),
            "{}",
            shown.page
        );
        let told = ann
            .post_json(PATH, json!({ "email": email, "current_password": password }))
            .await;
        assert!(told.document["errors"][wrong].is_string(), "{told:?}");
    }
    assert!(gateway.outbox().is_empty());
}

#[tokio::test]
async fn the_owner_is_told_of_a_changed_password_whoever_changed_it() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let changed = ann.post_json(
        "/.auth/account/password",
        json!({ "current_password": PASSWORD, "password": "Ch4nged-it!", "password_confirm": "Ch4nged-it!" }),
    );
    assert_eq!(changed.await.status, 204);
    let told = &gateway.mails_to(OLD, 1).await[0];
    assert!(
        told.subject.contains("password was changed") && told.text.contains("127.0.0.1"),
        "{told:?}"
    );
    let password = NewPassword::Plain(Secret::new("Ch4nged-again!".to_owned()));
    gateway
        .change_user(OLD, AccountChange::SetPassword(password))
        .await;
    let told = &gateway.mails_to(OLD, 2).await[1];
    assert!(told.text.contains("An administrator did this"), "{}", told.text);
}

#[tokio::test]
async fn s15_a_link_from_an_administrator_works_where_reset_is_switched_off() {
    let gateway = Running::start(|config| config.login.reset = false).await;
    gateway.sign_up(OLD, "ann", PASSWORD).await;
    let made = gateway.command(Command::CreateResetLink(OLD.to_owned())).await;
    let link = made["link"].as_str().unwrap();
    let (base, token) = link.split_once("/.auth/reset?token=").unwrap();
    assert_eq!(base, gateway.url(""));
    assert_eq!(
        gateway
            .visitor()
            .open(&format!("/.auth/reset?token={token}"))
            .await
            .status,
        200
    );
    let fields = json!({ "token": token, "password": "Ch4nged-it!", "password_confirm": "Ch4nged-it!" });
    let told = gateway.visitor().post_json("/.auth/reset", fields.clone()).await;
    assert_eq!((told.status, &told.document), (200, &json!({ "next": "login" })));
    assert_eq!(gateway.try_sign_in(OLD, "Ch4nged-it!").await.0, 200);
    gateway.mails_to(OLD, 1).await;
    let again = gateway.visitor().post_json("/.auth/reset", fields).await;
    assert_eq!((again.status, again.problem()), (404, "reset-disabled"));
}

#[tokio::test]
async fn who_is_signed_in_is_told_on_the_account_page_and_not_before_a_later_sign_in() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    ann.submit(PATH, &[("email", NEW), ("current_password", PASSWORD)])
        .await;
    let token = gateway.mails_to(NEW, 1).await[0].token("verify");
    let shown = ann.submit("/.auth/verify", &[("token", &token)]).await;
    assert_eq!((shown.status, shown.cookies), (303, Vec::new()));
    assert!(ann.open(&shown.location).await.page.contains("role=\"status\""));
}

#[tokio::test]
async fn s23_a_stranger_is_sent_three_mails_an_hour_however_often_somebody_moves_there() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let stranger = "stranger@elsewhere.example";
    for n in 1..=6 {
        let fields = [("email", stranger), ("current_password", PASSWORD)];
        assert_eq!(ann.submit(PATH, &fields).await.status, 303);
        // A mail that is still queued at the next request is superseded and never sent.
        gateway.mails_to(stranger, n.min(3)).await;
    }
    let fields = [
        ("email", "other@elsewhere.example"),
        ("current_password", PASSWORD),
    ];
    assert_eq!(ann.submit(PATH, &fields).await.status, 303);
    gateway.mails_to("other@elsewhere.example", 1).await;
    gateway.mails_to(stranger, 3).await;
}

#[tokio::test]
async fn s77_a_pending_change_is_shown_and_can_be_taken_back() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let bob = "bob@example.com";
    gateway.sign_up(bob, "bob", PASSWORD).await;
    let account = "/.auth/account";
    assert_eq!(ann.get_json(account).await.document["pending_email"], json!(null));
    for to in [NEW, bob] {
        let fields = [("email", to), ("current_password", PASSWORD)];
        assert_eq!(ann.submit(PATH, &fields).await.status, 303);
        gateway.mails_to(to, 1).await;
        for page in [account, PATH] {
            let shown = ann.open(page).await.page;
            assert!(
                shown.contains(to) && shown.contains("value=\"cancel\""),
                "{shown}"
            );
            let pending = &ann.get_json(page).await.document["pending_email"];
            assert_eq!(
                pending["email"],
                json!(to),
                "an address that is known looks alike"
            );
            assert!(pending["since"].is_string(), "{pending}");
        }
    }
    let token = gateway.mails_to(NEW, 1).await[0].token("verify");
    let replaced = gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "token": token }))
        .await;
    assert_eq!((replaced.status, replaced.problem()), (400, "invalid-token"));

    let fields = [("email", NEW), ("current_password", PASSWORD)];
    assert_eq!(ann.submit(PATH, &fields).await.status, 303);
    let token = gateway.mails_to(NEW, 2).await[1].token("verify");
    let shown = ann.submit(PATH, &[("change", "cancel")]).await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/account/email?done=cancelled")
    );
    let page = ann.open(&shown.location).await.page;
    assert!(
        page.contains("role=\"status\"") && !page.contains("value=\"cancel\""),
        "{page}"
    );
    let void = gateway
        .visitor()
        .post_json("/.auth/verify", json!({ "token": token }))
        .await;
    assert_eq!((void.status, void.problem()), (400, "invalid-token"));
    let told = ann.post_json(PATH, json!({ "change": "cancel" })).await;
    assert_eq!(
        (told.status, &told.document["pending_email"]),
        (200, &json!(null))
    );
    assert_eq!(ann.get_json(account).await.document["email"], OLD);

    let admin = gateway.administrator("root1").await;
    let events = admin
        .get_json("/.auth/admin/audit?event=email-change-cancel")
        .await
        .document;
    let events = events["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["user"], OLD);
}
