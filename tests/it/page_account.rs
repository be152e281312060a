//! The account pages, over the wire: as forms without scripts, and as JSON.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vestibule::clock::Clock;
use vestibule::config::HumanDuration;
use vestibule::control::Command;

use crate::harness::{PASSWORD, Running, form};

const NEW: &str = "N3w-horizon!";

#[tokio::test]
async fn nobody_else_sees_them() {
    let gateway = Running::start(|_| {}).await;
    let nobody = gateway.client();
    for path in [
        "/.auth/account",
        "/.auth/account/sessions",
        "/.auth/admin/account",
    ] {
        let browser = nobody.get(gateway.url(path)).header("accept", "text/html");
        let answer = browser.send().await.unwrap();
        assert_eq!(answer.status(), 303, "{path}");
        let rd = path.replace('/', "%2F");
        assert_eq!(answer.headers()["location"], format!("/.auth/login?rd={rd}"));
        let program = nobody.get(gateway.url(path)).header("accept", "application/json");
        assert_eq!(program.send().await.unwrap().status(), 401, "{path}");
        let post = form(nobody.post(gateway.url(path)), &[("name", "x")]);
        assert_eq!(post.send().await.unwrap().status(), 401, "{path}");
    }
    let ann = gateway.person("ann").await;
    assert_eq!(ann.open("/.auth/admin").await.status, 403);
    assert_eq!(ann.get_json("/.auth/admin").await.document["status"], 403);
    let admin = gateway.administrator("root1").await;
    assert_eq!(admin.open("/.auth/admin").await.status, 200);
    assert!(
        admin.open("/.auth/account").await.page.contains("/.auth/admin"),
        "the way there"
    );
    assert!(!ann.open("/.auth/account").await.page.contains("/.auth/admin"));
}

#[tokio::test]
async fn s30_another_site_changes_nothing() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    for path in [
        "/.auth/account",
        "/.auth/account/password",
        "/.auth/account/sessions",
        "/.auth/account/language",
        "/.auth/account/delete",
    ] {
        let fields = [
            ("name", "Eve"),
            ("current_password", PASSWORD),
            ("which", "others"),
        ];
        let post = form(gateway.client().post(gateway.url(path)), &fields)
            .header("cookie", &ann.cookie)
            .header("sec-fetch-site", "cross-site");
        assert_eq!(post.send().await.unwrap().status(), 403, "{path}");
    }
    let me = ann.get_json("/.auth/account").await.document;
    assert_eq!(me["name"], Value::Null);
}

#[tokio::test]
async fn a_name_is_changed() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let shown = ann.submit("/.auth/account", &[("name", "Ann <Lee>")]).await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/account?done=name")
    );
    let page = ann.open(&shown.location).await.page;
    assert!(
        page.contains("Ann &lt;Lee&gt;") && page.contains("role=\"status\""),
        "{page}"
    );
    assert_eq!(ann.get_json("/.auth/me").await.document["name"], "Ann <Lee>");

    let told = ann.post_json("/.auth/account", json!({ "name": "이안" })).await;
    assert_eq!((told.status, &told.document["name"]), (200, &json!("이안")));
    let long = "x".repeat(101);
    let told = ann.post_json("/.auth/account", json!({ "name": long })).await;
    assert_eq!(told.status, 422);
    assert!(told.document["errors"]["name"].is_string(), "{told:?}");
    let shown = ann.submit("/.auth/account", &[("name", &long)]).await;
    assert_eq!(shown.status, 422);
    assert!(shown.page.contains("id=\"name-error\"") && shown.page.contains(&long));
}

#[tokio::test]
async fn whoever_changes_their_account_all_the_time_is_told_to_wait() {
    let gateway = Running::start(|_| {}).await;
    let (ann, bob) = (gateway.person("ann").await, gateway.person("bob").await);
    let mut told = ann.post_json("/.auth/account", json!({ "name": "Ann" })).await;
    for n in 0..150 {
        told = ann
            .post_json("/.auth/account", json!({ "name": format!("Ann {n}") }))
            .await;
        if told.status != 200 {
            break;
        }
    }
    assert_eq!(told.status, 429, "{told:?}");
    assert!(
        told.document["type"].as_str().unwrap().ends_with("/rate-limited"),
        "{told:?}"
    );
    assert!(
        told.document["detail"].as_str().unwrap().contains("changed"),
        "{told:?}"
    );
    let wait: u64 = told.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    let shown = ann.submit("/.auth/account", &[("name", "once more")]).await;
    assert_eq!(shown.status, 429);
    let told = ann
        .post_json("/.auth/account/language", json!({ "language": "ko" }))
        .await;
    assert_eq!(told.status, 429);
    assert_eq!(
        bob.post_json("/.auth/account", json!({ "name": "Bob" }))
            .await
            .status,
        200
    );
    let groups = vestibule::services::AccountChange::SetGroups(["ops".to_owned()].into());
    gateway.change_user(&ann.email, groups).await;
    assert_eq!(ann.get_json("/.auth/me").await.document["groups"], json!(["ops"]));
}

#[tokio::test]
async fn s28_a_password_is_changed_and_the_other_sessions_end() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let elsewhere = ann.elsewhere().await;
    let filled = |current, password, again| {
        [
            ("current_password", current),
            ("password", password),
            ("password_confirm", again),
        ]
    };
    let path = "/.auth/account/password";
    for (fields, wrong) in [
        (filled("", NEW, NEW), "current_password"),
        (filled("not-it-1!", NEW, NEW), "current_password"),
        (filled(PASSWORD, "short", "short"), "password"),
        (filled(PASSWORD, NEW, "other"), "password_confirm"),
    ] {
        let shown = ann.submit(path, &fields).await;
        assert_eq!(shown.status, 422, "{wrong}");
        assert!(
            shown.page.contains(&format!("id=\"{wrong}-error\"")),
            "{wrong}: {}",
            shown.page
        );
        let told = ann
            .post_json(path, json!(std::collections::BTreeMap::from(fields)))
            .await;
        assert_eq!(told.status, 422, "{wrong}");
        assert!(told.document["errors"][wrong].is_string(), "{wrong}: {told:?}");
    }
    assert!(elsewhere.is_signed_in().await);
    let shown = ann.submit(path, &filled(PASSWORD, NEW, NEW)).await;
    assert_eq!(shown.status, 303, "{}", shown.page);
    assert!(ann.is_signed_in().await);
    assert!(!elsewhere.is_signed_in().await);
    let told = ann
        .post_json(
            path,
            json!({ "current_password": NEW, "password": PASSWORD, "password_confirm": PASSWORD }),
        )
        .await;
    assert_eq!(told.status, 204);
    gateway.sign_in(&ann.email).await;
}

#[tokio::test]
async fn sessions_are_seen_and_ended() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let (phone, desk) = (ann.elsewhere().await, ann.elsewhere().await);
    let path = "/.auth/account/sessions";
    let list = ann.get_json(path).await.document;
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    let current: Vec<_> = sessions.iter().filter(|one| one["current"] == true).collect();
    assert_eq!(current.len(), 1);
    let page = ann.open(path).await.page;
    assert_eq!(page.matches("name=\"session\"").count(), 2, "{page}");

    let id = phone.get_json(path).await.document["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["current"] == true)
        .unwrap()["id"]
        .clone();
    let shown = ann.submit(path, &[("session", id.as_str().unwrap())]).await;
    assert_eq!(shown.status, 303);
    assert!(!phone.is_signed_in().await);
    assert!(desk.is_signed_in().await);
    let told = ann.post_json(path, json!({ "which": "others" })).await;
    assert_eq!((told.status, &told.document["ended_count"]), (200, &json!(1)));
    assert!(!desk.is_signed_in().await);
    assert!(ann.is_signed_in().await);
    let bob = gateway.person("bob").await;
    let theirs = bob.get_json(path).await.document["sessions"][0]["id"].clone();
    let told = ann.post_json(path, json!({ "session": theirs })).await;
    assert_eq!(told.document["ended_count"], 0);
    assert!(bob.is_signed_in().await);
    assert_eq!(
        ann.post_json(path, json!({ "session": "none" })).await.status,
        404
    );
}

#[tokio::test]
async fn a_language_is_kept_with_the_account() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let path = "/.auth/account/language";
    assert_eq!(
        ann.get_json(path).await.document["language"],
        "en",
        "as at the signup"
    );
    let shown = ann.submit(path, &[("language", "ko")]).await;
    assert_eq!(shown.status, 303);
    assert!(
        shown.cookies.iter().any(|cookie| cookie.contains("=ko;")),
        "{:?}",
        shown.cookies
    );
    assert_eq!(ann.get_json("/.auth/account").await.document["language"], "ko");
    let told = ann.post_json(path, json!({ "language": "tlh" })).await;
    assert_eq!(told.status, 422);
    let record = std::fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
    let changes: Vec<&str> = record
        .lines()
        .filter(|line| line.contains("\"event\":\"language-change\""))
        .collect();
    assert!(
        changes.len() == 1 && changes[0].contains("language ko") && changes[0].contains("ann@example.com"),
        "{changes:?}"
    );
    assert!(told.document["errors"]["language"].is_string());
    let fields = [("login", ann.email.as_str()), ("password", PASSWORD)];
    let signing_in = form(gateway.client().post(gateway.url("/.auth/login")), &fields);
    let answer = signing_in.send().await.unwrap();
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert!(
        !cookies
            .iter()
            .any(|cookie| cookie.to_str().unwrap().contains("-lang=")),
        "another browser keeps its own language: {cookies:?}"
    );
}

#[tokio::test]
async fn an_account_is_deleted_by_its_owner_with_the_password() {
    let gateway = Running::start(|_| {}).await;
    let path = "/.auth/account/delete";
    let admin = gateway.administrator("root1").await;
    let told = admin
        .post_json(path, json!({ "current_password": PASSWORD }))
        .await;
    assert_eq!(told.status, 422, "the last administrator stays: {told:?}");

    let ann = gateway.person("ann").await;
    let elsewhere = ann.elsewhere().await;
    assert_eq!(ann.submit(path, &[]).await.status, 422);
    assert_eq!(
        ann.submit(path, &[("current_password", "wrong-1!")]).await.status,
        422
    );
    let shown = ann.submit(path, &[("current_password", PASSWORD)]).await;
    assert_eq!(shown.status, 200, "{}", shown.page);
    assert!(
        shown.cookies.iter().any(|cookie| cookie.contains("Max-Age=0")),
        "{shown:?}"
    );
    for person in [&ann, &elsewhere] {
        assert!(!person.is_signed_in().await);
    }
    let bob = gateway.person("bob").await;
    assert_eq!(
        bob.post_json(path, json!({ "current_password": PASSWORD }))
            .await
            .status,
        204
    );
    assert!(!bob.is_signed_in().await);
}

#[tokio::test]
async fn when_a_session_ends_is_the_same_wherever_it_is_said() {
    let (minute, noon) = (Duration::from_mins(1), "2026-11-24T12:00:00Z".parse().unwrap());
    let (clock, hand) = Clock::manual(noon);
    let gateway = Running::start_in(TempDir::new().unwrap(), clock, |config| {
        config.session.idle = HumanDuration(10 * minute);
        config.session.absolute = HumanDuration(60 * minute);
    })
    .await;
    let mut ann = gateway.person("ann").await;
    gateway.sign_out(&ann.cookie).await;
    let credentials = json!({ "login": ann.email, "password": PASSWORD });
    let told = ann.post_json("/.auth/login", credentials).await;
    assert_eq!(told.document["user"]["expires_at"], "2026-11-24T12:10:00Z");
    ann.cookie = told.cookie();
    for (since, end) in [
        (0, "2026-11-24T12:10:00Z"),
        (9, "2026-11-24T12:19:00Z"),
        (18, "2026-11-24T12:28:00Z"),
        (27, "2026-11-24T12:37:00Z"),
        (36, "2026-11-24T12:46:00Z"),
        (45, "2026-11-24T12:55:00Z"),
        (54, "2026-11-24T13:00:00Z"),
    ] {
        // The upstream comes first: of these requests only that one extends the session.
        let application = ann.get_json("/").await.document["user"]["expires_at"].clone();
        let me = ann.get_json("/.auth/me").await.document["expires_at"].clone();
        let listed =
            ann.get_json("/.auth/account/sessions").await.document["sessions"][0]["expires_at"].clone();
        let sessions = gateway.command(Command::ListSessions(None)).await;
        let commanded = sessions["sessions"][0]["expires_at"].clone();
        let said: [Value; 4] = [application, me, listed, commanded];
        assert!(
            said.iter().all(|said| said == end),
            "after {since} minutes: {said:?}"
        );
        hand.advance(9 * minute);
    }
    assert!(!ann.is_signed_in().await, "an hour is over");
}
