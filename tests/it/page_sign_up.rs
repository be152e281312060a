//! `/.auth/signup`, over the wire: as a form without scripts, and as JSON.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::config::SignupMode;
use vestibule::services::{Invitees, NewInvitations};

use crate::harness::{PASSWORD, Running, form as form_of, inviting, soon};

async fn gateway(mode: SignupMode) -> Running {
    Running::start(|config| {
        config.signup.mode = mode;
        "https://example.com/terms".clone_into(&mut config.signup.terms_url);
    })
    .await
}

fn complete() -> Value {
    json!({
        "email": "Ann@Example.com", "username": "Ann", "password": PASSWORD,
        "password_confirm": PASSWORD, "agree": true,
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut document = complete();
    document[field] = value;
    document
}

#[tokio::test]
async fn json_makes_an_account_once() {
    let gateway = gateway(SignupMode::Open).await;
    let visitor = gateway.visitor();
    let told = visitor.post_json("/.auth/signup", complete()).await;
    assert_eq!((told.status, &told.document), (201, &json!({ "next": "login" })));
    assert!(!told.headers.contains_key("set-cookie"), "it signs nobody in");
    let credentials = json!({ "login": "ann@example.com", "password": PASSWORD });
    let user = visitor.post_json("/.auth/login", credentials).await.document["user"].clone();
    assert_eq!((&user["username"], &user["groups"]), (&json!("ann"), &json!([])));

    let told = visitor
        .post_json("/.auth/signup", with("username", json!("ann2")))
        .await;
    assert_eq!((told.status, told.problem()), (422, "invalid-input"));
    assert!(told.document["errors"]["email"].is_string(), "{told:?}");
    let told = visitor
        .post_json("/.auth/signup", with("email", json!("other@example.com")))
        .await;
    assert!(told.document["errors"]["username"].is_string(), "{told:?}");
}

#[tokio::test]
async fn s1_s2_s24_s53_what_is_wrong_is_said_at_its_field() {
    let gateway = gateway(SignupMode::Open).await;
    let visitor = gateway.visitor();
    for (field, value) in [
        ("email", json!("")),
        ("email", json!("ann@")),
        ("email", json!("a@b@example.com")),
        ("email", json!("ann@example.com\r\nBcc: eve@example.com")),
        ("email", json!("\"ann\"@example.com")),
        ("email", json!("Ann <ann@example.com>")),
        ("email", json!(format!("{}@example.com", "a".repeat(250)))),
        ("username", json!("a")),
        ("username", json!("-ann")),
        ("username", json!("an n")),
        ("username", json!("a".repeat(65))),
        ("username", json!("admin")),
        ("username", json!("ROOT")),
        ("password", json!("sh0rt_x")),
        ("password", json!("73915284!")),
        ("password", json!("slate-Harbour")),
        ("password", json!("slateHarbour42")),
        ("password", json!("1qaz@wsx")),
        ("password", json!("ann@example.com-2X")),
        ("password", json!("nul\u{0}nul-5-Nul")),
        ("password_confirm", json!("another-7-battery")),
        ("agree", json!(false)),
    ] {
        let mut document = with(field, value.clone());
        if field == "password" {
            document["password_confirm"] = value.clone();
        }
        let told = visitor.post_json("/.auth/signup", document).await;
        assert_eq!(
            (told.status, told.problem()),
            (422, "invalid-input"),
            "{field}: {value}"
        );
        let errors = told.document["errors"].as_object().unwrap();
        let fields: Vec<&str> = errors.keys().map(String::as_str).collect();
        assert_eq!(fields, [field], "{value}: {errors:?}");
    }
    let told = visitor
        .post_json(
            "/.auth/signup",
            with("email", json!("first.last+tag@example.com")),
        )
        .await;
    assert_eq!(told.status, 201, "{told:?}");
}

#[tokio::test]
async fn a_form_keeps_what_was_typed_but_the_passwords() {
    let gateway = gateway(SignupMode::Open).await;
    let visitor = gateway.visitor();
    let page = visitor.open("/.auth/signup").await.page;
    for name in ["email", "username", "password", "password_confirm", "agree"] {
        assert!(page.contains(&format!("name=\"{name}\"")), "{name}: {page}");
    }
    assert!(page.replace("&#x2f;", "/").contains("https://example.com/terms"));
    let mut fields = vec![
        ("email", "ann@example.com"),
        ("username", "ann"),
        ("password", PASSWORD),
        ("password_confirm", PASSWORD),
    ];
    let refused = visitor.submit("/.auth/signup", &fields).await;
    assert_eq!(refused.status, 422, "nobody agreed to the terms");
    assert!(refused.page.contains("value=\"ann@example.com\"") && refused.page.contains("value=\"ann\""));
    assert!(!refused.page.contains(PASSWORD));
    fields.push(("agree", "on"));
    let done = visitor.submit("/.auth/signup", &fields).await;
    assert_eq!(done.status, 303);
    assert!(done.location.starts_with("/.auth/"), "{}", done.location);
    assert_eq!(visitor.open(&done.location).await.status, 200);
}

#[tokio::test]
async fn an_invitation_is_wanted_serves_once_and_is_kept_by_a_mistake() {
    let gateway = gateway(SignupMode::Invite).await;
    let visitor = gateway.visitor();
    let invitations = NewInvitations {
        invitees: Invitees::Anyone(1),
        groups: ["ops".to_owned()].into(),
        ttl: Duration::from_hours(1),
        ..NewInvitations::default()
    };
    let made = gateway.command(inviting(invitations)).await;
    let link = made["link"].as_str().unwrap();
    let (_, token) = link.split_once("/.auth/signup?invitation=").unwrap();
    for wrong in [json!(""), json!("nonsense")] {
        let told = visitor
            .post_json("/.auth/signup", with("invitation", wrong))
            .await;
        assert_eq!(told.status, 422);
        assert!(told.document["errors"]["invitation"].is_string(), "{told:?}");
    }
    let mut document = with("invitation", json!(token));
    document["password_confirm"] = json!("another-7-battery");
    assert_eq!(visitor.post_json("/.auth/signup", document).await.status, 422);
    let path = format!("/.auth/signup?invitation={token}");
    assert!(
        visitor.open(&path).await.page.contains(token),
        "the link fills the form"
    );
    let told = visitor
        .post_json("/.auth/signup", with("invitation", json!(token)))
        .await;
    assert_eq!(told.status, 201, "{told:?}");
    let credentials = json!({ "login": "ann@example.com", "password": PASSWORD });
    let user = visitor.post_json("/.auth/login", credentials).await.document["user"].clone();
    assert_eq!(user["groups"], json!(["ops"]));
    let mut again = with("invitation", json!(token));
    again["email"] = json!("bob@example.com");
    again["username"] = json!("bob");
    let told = visitor.post_json("/.auth/signup", again).await;
    assert!(told.document["errors"]["invitation"].is_string(), "{told:?}");
}

#[tokio::test]
async fn s25_the_token_of_an_invitation_is_in_no_referrer_no_cache_and_no_log() {
    let gateway = gateway(SignupMode::Invite).await;
    let new = NewInvitations {
        invitees: Invitees::Anyone(1),
        groups: BTreeSet::new(),
        ttl: Duration::from_hours(1),
        ..NewInvitations::default()
    };
    let made = gateway.command(inviting(new)).await;
    let link = made["link"].as_str().unwrap();
    let (_, token) = link.split_once("?invitation=").unwrap();
    let form = [
        ("email", "ann@example.com"),
        ("username", "ann"),
        ("password", PASSWORD),
        ("password_confirm", PASSWORD),
        ("agree", "true"),
        ("invitation", token),
    ];
    let unfinished = &form[1..];
    let post = |fields| form_of(gateway.client().post(link), fields);
    let void = link.replace(token, &token[1..]);
    for (request, status) in [
        (gateway.client().get(link), 200),
        (gateway.client().get(format!("{link}&lang=ko")), 200),
        (gateway.client().get(void), 200),
        (post(unfinished), 422),
        (post(&form), 303),
        (post(&form), 422),
        (gateway.client().get(link), 200),
    ] {
        let answer = soon(request.header("accept", "text/html").send()).await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    let folder = gateway.stop().await;
    for (name, has) in [
        ("access.jsonl", "/.auth/signup"),
        ("audit.jsonl", "invitation-create"),
    ] {
        let log = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(log.contains(has), "{name}");
        assert!(!log.contains(token), "{name}");
    }
}
