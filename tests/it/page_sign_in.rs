//! `/.auth/login`, `/.auth/logout`, `/.auth/me` and `/.auth/problems`, over the wire: as forms without
//! scripts, and as JSON.

use serde_json::json;
use vestibule::refusal::Problem;
use vestibule::services::AccountChange;

use crate::harness::{PASSWORD, Running};

/// Checks the attributes of the session cookie (S26).
fn assert_session_cookie(cookie: &str) {
    let mut parts = cookie.split("; ");
    let value = parts.next().unwrap().strip_prefix("__Host-vestibule=").unwrap();
    // 128 bits are 22 characters of base64.
    assert!(value.len() >= 22, "{cookie}");
    let mut rest: Vec<&str> = parts.filter(|part| !part.starts_with("Max-Age=")).collect();
    rest.sort_unstable();
    assert_eq!(rest, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"], "{cookie}");
}

#[tokio::test]
async fn s26_a_form_signs_in_and_leads_back() {
    let gateway = Running::start(|_| {}).await;
    gateway.signed_in("ann").await;
    let visitor = gateway.visitor();
    let page = visitor.open("/.auth/login?rd=%2Fa%3Fb%3D1").await;
    assert_eq!(page.status, 200);
    for name in ["login", "password", "rd"] {
        assert!(
            page.page.contains(&format!("name=\"{name}\"")),
            "{name}: {}",
            page.page
        );
    }
    for (rd, location) in [
        ("/a?b=1", "/a?b=1"),
        ("", "/"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
    ] {
        let fields = [("login", "ANN@Example.com"), ("password", PASSWORD), ("rd", rd)];
        let answer = visitor.submit("/.auth/login", &fields).await;
        assert_eq!((answer.status, answer.location.as_str()), (303, location), "{rd}");
        let [cookie] = &answer.cookies[..] else {
            panic!("{:?}", answer.cookies)
        };
        assert_session_cookie(cookie);
    }
}

#[tokio::test]
async fn json_signs_in_says_who_it_is_and_signs_out() {
    let gateway = Running::start(|_| {}).await;
    gateway.signed_in("ann").await;
    let mut ann = gateway.visitor();
    let refused = ann.get_json("/.auth/me").await;
    assert_eq!((refused.status, refused.problem()), (401, "not-authenticated"));
    assert!(refused.headers.contains_key("www-authenticate"));

    let credentials = json!({ "login": "ann@example.com", "password": PASSWORD, "rd": "/x" });
    let told = ann.post_json("/.auth/login", credentials).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.document["rd"], "/x");
    ann.cookie = told.cookie();

    let me = ann.get_json("/.auth/me").await;
    assert_eq!(me.status, 200);
    let who = &me.document;
    let mut keys: Vec<&str> = who.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "email",
            "email_verified",
            "expires_at",
            "groups",
            "id",
            "method",
            "name",
            "username"
        ]
    );
    for (key, value) in [
        ("email", json!("ann@example.com")),
        ("username", json!("ann")),
        ("method", json!("password")),
        ("groups", json!([])),
    ] {
        assert_eq!(who[key], value, "{who}");
    }
    assert!(
        !me.headers
            .keys()
            .any(|name| name.as_str().starts_with("access-control-"))
    );
    assert_eq!(told.document["user"], *who);

    let out = ann.post_json("/.auth/logout", json!({})).await;
    assert_eq!((out.status, &out.document), (204, &serde_json::Value::Null));
    let cleared = out.headers["set-cookie"].to_str().unwrap();
    assert!(
        cleared.starts_with("__Host-vestibule=;") && cleared.contains("Max-Age=0"),
        "{cleared}"
    );
    assert_eq!(ann.get_json("/.auth/me").await.problem(), "not-authenticated");
}

#[tokio::test]
async fn a_button_signs_out() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let page = ann.open("/.auth/logout").await;
    assert!(
        page.status == 200 && page.page.contains("<button"),
        "{}",
        page.page
    );
    assert!(ann.is_signed_in().await, "to look at it signs nobody out");
    let out = ann.submit("/.auth/logout", &[]).await;
    assert_eq!((out.status, out.location.as_str()), (303, "/.auth/login"));
    assert!(!ann.is_signed_in().await);
}

#[tokio::test]
async fn refusals_are_alike_and_a_lock_says_how_long() {
    let gateway = Running::start(|_| {}).await;
    gateway.signed_in("ann").await;
    gateway.signed_in("dan").await;
    gateway
        .change_user("dan@example.com", AccountChange::Disable)
        .await;
    let visitor = gateway.visitor();
    let try_with = async |login: &str, password: &str| {
        let credentials = json!({ "login": login, "password": password });
        visitor.post_json("/.auth/login", credentials).await
    };
    let told = try_with("dan@example.com", PASSWORD).await;
    assert_eq!((told.status, told.problem()), (401, "account-disabled"));
    for login in [
        "ann@example.com",
        "nobody@example.com",
        "dan@example.com",
        "not an address",
    ] {
        for _ in 0..11 {
            let told = try_with(login, "Wr0ng-pass-phrase").await;
            assert_eq!(
                (told.status, told.problem()),
                (401, "invalid-credentials"),
                "{login}"
            );
            assert!(!told.headers.contains_key("set-cookie"));
        }
        for password in ["Wr0ng-pass-phrase", PASSWORD] {
            let told = try_with(login, password).await;
            assert_eq!((told.status, told.problem()), (429, "locked"), "{login}");
            let wait: u64 = told.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1190..=1200).contains(&wait), "{wait}");
            assert!(
                told.document["detail"].as_str().unwrap().contains("20"),
                "{told:?}"
            );
        }
        let fields = [("login", login), ("password", PASSWORD)];
        let page = visitor.submit("/.auth/login", &fields).await;
        assert!(page.status == 429 && page.page.contains("20"), "{}", page.page);
        assert!(!page.page.contains(PASSWORD));
    }
}

#[tokio::test]
async fn a_form_that_is_not_complete_names_its_fields() {
    let gateway = Running::start(|_| {}).await;
    let visitor = gateway.visitor();
    let told = visitor.post_json("/.auth/login", json!({})).await;
    assert_eq!((told.status, told.problem()), (422, "invalid-input"));
    let errors = told.document["errors"].as_object().unwrap();
    assert!(
        errors.contains_key("login") && errors.contains_key("password"),
        "{told:?}"
    );
    for document in [json!([]), json!("login"), json!({ "login": { "a": 1 } })] {
        let told = visitor.post_json("/.auth/login", document.clone()).await;
        assert!([400, 422].contains(&told.status), "{document}: {told:?}");
        told.problem();
    }
    let page = visitor
        .submit("/.auth/login", &[("login", "ann@example.com")])
        .await;
    assert_eq!(page.status, 422);
    assert!(
        page.page.contains("value=\"ann@example.com\""),
        "what was typed is kept"
    );
}

#[tokio::test]
async fn a_username_serves_where_the_operator_says_so() {
    for (allowed, status) in [(false, 401), (true, 200)] {
        let gateway = Running::start(|config| {
            config.login.username = allowed;
        })
        .await;
        gateway.signed_in("ann").await;
        let credentials = json!({ "login": "Ann", "password": PASSWORD });
        let told = gateway.visitor().post_json("/.auth/login", credentials).await;
        assert_eq!(told.status, status);
    }
}

#[tokio::test]
async fn every_kind_of_problem_is_explained() {
    let gateway = Running::start(|_| {}).await;
    let visitor = gateway.visitor();
    for problem in Problem::ALL {
        let page = visitor.open(&format!("/.auth/problems/{}", problem.slug())).await;
        assert_eq!(page.status, 200);
        assert!(page.page.contains(problem.slug()), "{}", page.page);
    }
    assert_eq!(visitor.open("/.auth/problems/none").await.status, 404);
}

#[tokio::test]
async fn s15_signup_that_is_closed_is_not_there_and_no_page_leads_to_it() {
    let gateway = Running::start(|config| {
        config.signup.mode = vestibule::config::SignupMode::Closed;
    })
    .await;
    let visitor = gateway.visitor();
    let login = visitor.open("/.auth/login").await.page;
    let path = "/.auth/signup";
    let asked = visitor.get_json(path).await;
    assert_eq!((asked.status, asked.problem()), (404, "signup-closed"));
    let told = visitor
        .post_json(path, json!({ "email": "ann@example.com" }))
        .await;
    assert_eq!((told.status, told.problem()), (404, "signup-closed"));
    assert!(!login.replace("&#x2f;", "/").contains(path), "{login}");
}

#[tokio::test]
async fn what_was_done_just_before_is_said_once_and_nothing_else_is() {
    let gateway = Running::start(|_| {}).await;
    let cleared = "__Host-vestibule-notice=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";
    let mut visitor = gateway.visitor();
    for (cookie, says) in [
        ("", None),
        (
            "__Host-vestibule-notice=password-changed",
            Some("Your password has been changed."),
        ),
        (
            "__Host-vestibule-notice=email-changed",
            Some("Your account has moved"),
        ),
        ("__Host-vestibule-notice=<b>pay</b>", None),
        ("__Host-vestibule-notice=", None),
        ("notice=password-changed", None),
    ] {
        cookie.clone_into(&mut visitor.cookie);
        let shown = visitor.open("/.auth/login").await;
        assert_eq!(shown.page.contains("role=\"status\""), says.is_some(), "{cookie}");
        assert!(
            says.is_none_or(|says| shown.page.contains(says)),
            "{}",
            shown.page
        );
        assert!(!shown.page.contains("pay"), "{}", shown.page);
        let expected: &[&str] = if says.is_some() { &[cleared] } else { &[] };
        assert_eq!(shown.cookies, expected, "{cookie}");
        let failed = visitor.submit("/.auth/login", &[]).await;
        assert!(
            !failed.page.contains("role=\"status\""),
            "{cookie}: what went wrong is said alone"
        );
    }
}
