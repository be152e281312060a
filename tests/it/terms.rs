//! Terms that are new since somebody agreed.

use serde_json::{Value, json};
use vestibule::clock::Clock;
use vestibule::config::Config;
use vestibule::control::Command;

use crate::harness::{PASSWORD, Running, route};

const EMAIL: &str = "ann@example.com";

fn version(version: &'static str) -> impl FnOnce(&mut Config) {
    move |config| {
        config.route = vec![route("/", "authenticated", "demo:")];
        config.signup.terms_url = "https://example.com/terms".into();
        config.signup.terms_version = version.into();
        config.lockout.max_failures = 1;
    }
}

async fn log_in(gateway: &Running, agree: Option<bool>) -> (u16, Value) {
    let mut document = json!({ "login": EMAIL, "password": PASSWORD });
    if let Some(agree) = agree {
        document["agree"] = json!(agree);
    }
    let told = gateway.visitor().tell("/.auth/login", document).await;
    (told.status, told.document)
}

#[tokio::test]
async fn everybody_is_asked_again_at_the_next_sign_in_and_what_they_agreed_to_is_kept() {
    let gateway = Running::start(version("1")).await;
    let document = json!({
        "email": EMAIL, "username": "ann", "password": PASSWORD, "password_confirm": PASSWORD, "agree": true,
    });
    assert_eq!(
        gateway.visitor().tell("/.auth/signup", document).await.status,
        201
    );
    assert_eq!(log_in(&gateway, None).await.0, 200, "nothing is new");

    let folder = gateway.stop().await;
    let gateway = Running::start_in(folder, Clock::system(), version("2")).await;
    // More often than failures are allowed: none is counted.
    for agree in [None, Some(false), None] {
        let (status, problem) = log_in(&gateway, agree).await;
        assert_eq!(status, 422, "{problem}");
        assert!(problem["errors"]["agree"].is_string(), "{problem}");
    }
    let fields = [("login", EMAIL), ("password", PASSWORD)];
    let shown = gateway.visitor().submit("/.auth/login", &fields).await;
    assert_eq!((shown.status, shown.cookies.len()), (422, 0));
    assert!(
        shown.page.contains("name=\"agree\"") && shown.page.contains("id=\"agree-error\""),
        "{}",
        shown.page
    );
    let agreed = [&fields[..], &[("agree", "true")]].concat();
    assert_eq!(
        gateway.visitor().submit("/.auth/login", &agreed).await.status,
        303
    );
    assert_eq!(log_in(&gateway, None).await.0, 200, "and not once more");

    let shown = gateway.command(Command::ShowUser("ann".to_owned())).await;
    let versions: Vec<&Value> = shown["agreements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agreed| &agreed["version"])
        .collect();
    assert_eq!(versions, ["1", "2"]);
    let record = std::fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
    assert!(record.contains(r#""event":"agree""#), "{record}");
}

#[tokio::test]
async fn nobody_is_asked_who_does_not_know_the_password() {
    let gateway = Running::start(version("1")).await;
    let document = json!({ "login": EMAIL, "password": "wr0ng-guess!", "agree": true });
    let told = gateway.visitor().tell("/.auth/login", document).await;
    assert_eq!(told.problem(), "invalid-credentials");
}
