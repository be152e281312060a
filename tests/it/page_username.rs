//! `/.auth/account/username`, over the wire.

use serde_json::json;
use vestibule::control::Command;

use crate::harness::{PASSWORD, Running};

const PATH: &str = "/.auth/account/username";

async fn gateway() -> Running {
    Running::start(|config| {
        config.login.change_username = true;
        config.login.username = true;
        config.login.iam = true;
    })
    .await
}

#[tokio::test]
async fn s53_a_username_is_changed_and_the_one_before_is_nobody_elses() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    let bob = gateway.person("bob").await;
    assert!(ann.open("/.auth/account").await.page.contains(PATH));
    let fields = [("username", " Anna "), ("current_password", PASSWORD)];
    let shown = ann.submit(PATH, &fields).await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/account/username?done=username")
    );
    let page = ann.open(&shown.location).await.page;
    assert!(
        page.contains("role=\"status\"") && page.contains("Former usernames: ann."),
        "{page}"
    );

    // An open session shows it at once, to upstreams too.
    assert_eq!(ann.get_json("/.auth/me").await.document["username"], "anna");
    let application = ann.open("/").await.page;
    assert!(
        application.contains("anna") && !application.contains(">ann<"),
        "{application}"
    );
    let told = &gateway.mails_to("ann@example.com", 1).await[0];
    assert!(
        told.subject.contains("username was changed")
            && told.text.contains("now anna")
            && told.text.contains("127.0.0.1"),
        "{told:?}"
    );
    assert_eq!(gateway.try_sign_in("anna", PASSWORD).await.0, 200);
    assert_eq!(gateway.try_sign_in("ann", PASSWORD).await.0, 401);

    // Neither by a change nor by a sign-up, neither now nor after the account is deleted.
    let wants = json!({ "username": "ann", "current_password": PASSWORD });
    let told = bob.post_json(PATH, wants.clone()).await;
    assert!(
        told.status == 422 && told.document["errors"]["username"].is_string(),
        "{told:?}"
    );
    assert_eq!(
        gateway.sign_up("new@example.com", "ann", PASSWORD).await.status,
        422
    );
    let shown = gateway.command(Command::ShowUser("anna".to_owned())).await;
    assert_eq!(shown["former_usernames"], json!(["ann"]));
    let record = std::fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
    assert!(record.contains(r#""event":"username-change""#) && record.contains("from ann to anna"));

    // Its owner may take it back.
    let told = ann.post_json(PATH, wants).await;
    assert_eq!((told.status, &told.document["username"]), (200, &json!("ann")));
    gateway.command(Command::DeleteUser("ann".to_owned())).await;
    for name in ["ann", "anna"] {
        assert_eq!(
            gateway.sign_up("new@example.com", name, PASSWORD).await.status,
            422,
            "{name}"
        );
    }
}

#[tokio::test]
async fn requests_that_an_access_key_proves_say_the_new_username_too() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    let signer = gateway
        .signer(&ann.email, vestibule::clock::Clock::system().now())
        .await;
    let told = ann
        .post_json(PATH, json!({ "username": "anna", "current_password": PASSWORD }))
        .await;
    assert_eq!(told.status, 200, "{told:?}");
    let request = gateway.client().get(gateway.url("/.auth/me"));
    let request = request.basic_auth(&signer.access_key, Some(&signer.secret_key));
    let answer = crate::harness::soon(request.send()).await.unwrap();
    let me: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(me["username"], "anna");
}

#[tokio::test]
async fn s53_the_password_is_asked_reserved_names_hold_and_mistakes_are_named() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    for (username, password, wrong) in [
        ("anna", "", "current_password"),
        ("anna", "not-it-1!", "current_password"),
        ("", PASSWORD, "username"),
        ("-", PASSWORD, "username"),
        ("Administrator", PASSWORD, "username"),
    ] {
        let fields = [("username", username), ("current_password", password)];
        let shown = ann.submit(PATH, &fields).await;
        assert_eq!(shown.status, 422, "{username} {wrong}");
        assert!(
            shown.page.contains(&format!("id=\"{wrong}-error\"")),
            "{}",
            shown.page
        );
        let told = ann
            .post_json(
                PATH,
                json!({ "username": username, "current_password": password }),
            )
            .await;
        assert!(told.document["errors"][wrong].is_string(), "{told:?}");
    }
    assert_eq!(ann.get_json("/.auth/me").await.document["username"], "ann");
    assert!(gateway.outbox().is_empty());
}

#[tokio::test]
async fn nobody_takes_names_without_end() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    let take = async |name: &str| {
        let wants = json!({ "username": name, "current_password": PASSWORD });
        ann.post_json(PATH, wants).await
    };
    for n in 1..=5 {
        assert_eq!(take(&format!("ann{n}")).await.status, 200);
    }
    let refused = take("ann6").await;
    let message = refused.document["errors"]["username"].as_str().unwrap();
    assert!(refused.status == 422 && message.contains("5 times"), "{message}");
    assert_eq!(take("ann2").await.status, 200, "but one of their own");
    // The current name is no change.
    assert_eq!(
        take("ann2").await.document["former_usernames"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[tokio::test]
async fn s15_without_leave_there_is_neither_the_page_nor_a_way_to_it() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    assert_eq!(ann.get_json(PATH).await.status, 404);
    let told = ann
        .post_json(PATH, json!({ "username": "anna", "current_password": PASSWORD }))
        .await;
    assert_eq!(told.status, 404);
    assert!(!ann.open("/.auth/account").await.page.contains(PATH));
    assert_eq!(ann.get_json("/.auth/me").await.document["username"], "ann");
}
