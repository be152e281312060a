//! Password resets, over the wire and by mail.

use std::fs;

use serde_json::json;

use crate::harness::{PASSWORD, Running, soon};

const NEW: &str = "N3w-horizon!";
const EMAIL: &str = "ann@example.com";

fn with(token: &str) -> serde_json::Value {
    json!({ "token": token, "password": NEW, "password_confirm": NEW })
}

impl Running {
    /// Requests a reset and returns the token of the mailed link; `nth` counts the mails to this address.
    async fn reset_token(&self, nth: usize) -> String {
        let told = self
            .visitor()
            .post_json("/.auth/forgot", json!({ "email": EMAIL }))
            .await;
        assert_eq!(told.status, 202, "{told:?}");
        self.mails_to(EMAIL, nth).await[nth - 1].token("reset")
    }
}

#[tokio::test]
async fn s20_s21_a_link_sets_a_new_password_ends_all_sessions_and_the_owner_is_told() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let shown = gateway
        .visitor()
        .submit("/.auth/forgot", &[("email", "ANN@example.com")])
        .await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/forgot/done")
    );
    assert_eq!(gateway.visitor().open(&shown.location).await.status, 200);
    let token = gateway.mails_to(EMAIL, 1).await[0].token("reset");

    let path = format!("/.auth/reset?token={token}");
    for _ in 0..2 {
        let page = gateway.visitor().open(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.page.contains(&format!("name=\"token\" value=\"{token}\"")));
        let head = soon(gateway.client().head(gateway.url(&path)).send()).await;
        assert_eq!(head.unwrap().status(), 200);
    }
    assert!(ann.is_signed_in().await, "a link that is looked at does nothing");

    let fields = [
        ("token", token.as_str()),
        ("password", NEW),
        ("password_confirm", NEW),
    ];
    let shown = gateway.visitor().submit("/.auth/reset", &fields).await;
    assert_eq!((shown.status, shown.location.as_str()), (303, "/.auth/login"));
    let noticed =
        "__Host-vestibule-notice=password-changed; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=300";
    assert_eq!(shown.cookies, [noticed], "nobody is signed in by that");
    assert!(!ann.is_signed_in().await);
    assert_eq!(gateway.try_sign_in(EMAIL, PASSWORD).await.0, 401);
    assert_eq!(gateway.try_sign_in(EMAIL, NEW).await.0, 200);
    let told = &gateway.mails_to(EMAIL, 2).await[1];
    assert!(told.subject.contains("password was changed"), "{told:?}");
    assert!(
        told.text.contains("127.0.0.1") && !told.text.contains("token="),
        "{}",
        told.text
    );

    let again = gateway.visitor().post_json("/.auth/reset", with(&token)).await;
    assert_eq!((again.status, again.problem()), (400, "invalid-token"));
    let shown = gateway.visitor().open(&path).await;
    assert_eq!(shown.status, 400);
    assert!(
        shown.page.contains("href=\"/.auth/forgot\""),
        "a way on: {}",
        shown.page
    );
    let me = soon(gateway.client().get(gateway.url("/.auth/me")).send())
        .await
        .unwrap();
    assert_eq!(me.status(), 401);
}

#[tokio::test]
async fn s1_a_new_password_obeys_the_rules_and_a_refused_one_leaves_the_link_good() {
    let gateway = Running::start(|_| {}).await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    let token = gateway.reset_token(1).await;
    for (password, again, wrong) in [
        ("short", "short", "password"),
        ("ann@example.com1", "ann@example.com1", "password"),
        (NEW, "other", "password_confirm"),
        ("", "", "password"),
    ] {
        let fields = [
            ("token", token.as_str()),
            ("password", password),
            ("password_confirm", again),
        ];
        let shown = gateway.visitor().submit("/.auth/reset", &fields).await;
        assert_eq!(shown.status, 422, "{password}");
        assert!(
            shown.page.contains(&format!("id=\"{wrong}-error\"")),
            "{}",
            shown.page
        );
        assert!(shown.page.contains(&token), "the form goes on");
        let told = json!({ "token": token, "password": password, "password_confirm": again });
        let told = gateway.visitor().post_json("/.auth/reset", told).await;
        assert!(told.document["errors"][wrong].is_string(), "{told:?}");
    }
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/reset", with(&token))
            .await
            .document,
        json!({ "next": "login" })
    );
}

#[tokio::test]
async fn s12_a_reset_works_while_locked_and_lifts_the_lock() {
    let gateway = Running::start(|config| config.lockout.max_failures = 1).await;
    let ann = gateway.person("ann").await;
    for status in [401, 401, 429] {
        assert_eq!(gateway.try_sign_in(EMAIL, "wrong").await.0, status);
    }
    assert_eq!(
        gateway.try_sign_in(EMAIL, PASSWORD).await,
        (429, "locked".to_owned())
    );
    assert!(ann.is_signed_in().await);
    let token = gateway.reset_token(1).await;
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/reset", with(&token))
            .await
            .status,
        200
    );
    assert_eq!(gateway.try_sign_in(EMAIL, NEW).await.0, 200);
}

#[tokio::test]
async fn s19_a_newer_link_and_a_password_change_void_one_and_each_serves_its_purpose() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let first = gateway.reset_token(1).await;
    let second = gateway.reset_token(2).await;
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/reset", with(&first))
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
        400
    );
    assert_eq!(
        gateway
            .visitor()
            .open(&format!("/.auth/verify?token={second}"))
            .await
            .status,
        400
    );
    let changed = ann.post_json(
        "/.auth/account/password",
        json!({ "current_password": PASSWORD, "password": "Ch4nged-it!", "password_confirm": "Ch4nged-it!" }),
    );
    assert_eq!(changed.await.status, 204);
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/reset", with(&second))
            .await
            .status,
        400
    );
    assert_eq!(gateway.try_sign_in(EMAIL, "Ch4nged-it!").await.0, 200);
}

#[tokio::test]
async fn s19_one_link_twenty_at_once_serves_once() {
    let gateway = Running::start(|_| {}).await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    let token = gateway.reset_token(1).await;
    let tries = (0..20).map(|n| {
        let password = format!("Numb3r-{n}-horizon!");
        let fields = json!({ "token": token, "password": password, "password_confirm": password });
        let visitor = gateway.visitor();
        async move { visitor.post_json("/.auth/reset", fields).await }
    });
    let told = futures_util::future::join_all(tries).await;
    let won: Vec<usize> = (0..20).filter(|&n| told[n].status == 200).collect();
    assert_eq!(won.len(), 1, "{told:?}");
    assert!(
        told.iter().all(|told| matches!(told.status, 200 | 400)),
        "{told:?}"
    );
    let password = format!("Numb3r-{}-horizon!", won[0]);
    assert_eq!(gateway.try_sign_in(EMAIL, &password).await.0, 200);
}

#[tokio::test]
async fn s15_switched_off_there_is_no_reset_on_any_path_and_no_way_to_it() {
    let gateway = Running::start(|config| {
        config.login.reset = false;
        config.branding.contact = "help@example.com".to_owned();
    })
    .await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    for path in [
        "/.auth/forgot",
        "/.auth/forgot/done",
        "/.auth/reset",
        "/.auth/reset?token=nonsense",
    ] {
        let shown = gateway.visitor().open(path).await;
        assert_eq!(shown.status, 404, "{path}");
        assert!(shown.page.contains("reset-disabled"), "{path}");
        assert!(!shown.page.contains("href=\"/.auth/forgot"), "{path}");
    }
    for (path, fields) in [
        ("/.auth/forgot", json!({ "email": EMAIL })),
        ("/.auth/reset", with(&"x".repeat(43))),
    ] {
        let told = gateway.visitor().post_json(path, fields).await;
        assert_eq!((told.status, told.problem()), (404, "reset-disabled"), "{path}");
    }
    let login = gateway.visitor().open("/.auth/login").await.page;
    assert!(
        !login.contains("/.auth/forgot") && login.contains("help@example.com"),
        "{login}"
    );
    let taken = gateway
        .visitor()
        .submit("/.auth/signup", &[("email", EMAIL), ("username", "x1")])
        .await;
    assert!(!taken.page.contains("/.auth/forgot"), "{}", taken.page);
    let told = gateway.sign_up(EMAIL, "x1", PASSWORD).await;
    let said = told.document["errors"]["email"].as_str().unwrap();
    assert!(
        said.contains("Sign in") && !said.contains("new password"),
        "{said}"
    );
    assert!(gateway.outbox().is_empty());
}

#[tokio::test]
async fn the_way_to_a_reset_is_offered_where_it_helps() {
    let gateway = Running::start(|_| {}).await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    assert!(
        gateway
            .visitor()
            .open("/.auth/login")
            .await
            .page
            .contains("href=\"/.auth/forgot\"")
    );
    let taken = gateway
        .visitor()
        .submit("/.auth/signup", &[("email", EMAIL), ("username", "x1")])
        .await;
    assert!(taken.page.contains("href=\"/.auth/forgot\""), "{}", taken.page);
    let told = gateway.sign_up(EMAIL, "x1", PASSWORD).await;
    let said = told.document["errors"]["email"].as_str().unwrap();
    assert!(
        said.contains("Sign in") && said.contains("new password"),
        "{said}"
    );
}

#[tokio::test]
async fn s22_s25_links_come_from_public_url_and_tokens_stay_out_of_logs_and_referrers() {
    let gateway = Running::start(|_| {}).await;
    gateway.sign_up(EMAIL, "ann", PASSWORD).await;
    let asked = gateway
        .client()
        .post(gateway.url("/.auth/forgot"))
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example")
        .header("accept", "application/json")
        .json(&json!({ "email": EMAIL }));
    assert_eq!(soon(asked.send()).await.unwrap().status(), 202);
    let mails = gateway.mails_to(EMAIL, 1).await;
    let link = mails[0].link("/.auth/reset");
    assert!(link.starts_with(&gateway.url("/.auth/reset?token=")), "{link}");
    assert!(!mails[0].raw.contains("evil.example"));
    assert!(mails[0].html.contains(link), "{}", mails[0].html);

    let token = mails[0].token("reset");
    for request in [
        gateway.client().get(link),
        gateway
            .client()
            .get(gateway.url(&format!("/.auth/verify?token={token}"))),
        gateway
            .client()
            .post(gateway.url("/.auth/reset"))
            .json(&json!({ "token": token })),
        gateway
            .client()
            .post(gateway.url("/.auth/reset"))
            .json(&with(&token)),
        gateway.client().get(link),
    ] {
        let answer = soon(request.header("accept", "text/html").send()).await.unwrap();
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    let folder = gateway.stop().await;
    for name in ["access.jsonl", "audit.jsonl"] {
        let log = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(
            log.contains("/.auth/reset") || log.contains("password-reset"),
            "{name}"
        );
        assert!(!log.contains(&token), "{name}");
    }
    let stored = fs::read_dir(folder.path().join("store")).unwrap();
    for file in stored
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
    {
        let bytes = fs::read(&file).unwrap();
        let found = bytes
            .windows(token.len())
            .any(|window| window == token.as_bytes());
        assert!(!found, "{}", file.display());
    }
}
