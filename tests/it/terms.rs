//! Terms of service that changed since a user agreed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use vestibule::clock::Clock;
use vestibule::config::Config;
use vestibule::control::Command;

use crate::harness::{PASSWORD, Running, soon};

const EMAIL: &str = "ann@example.com";

fn version(version: &'static str) -> impl FnOnce(&mut Config) {
    move |config| {
        config.signup.terms_url = "https://example.com/terms".into();
        config.signup.terms_version = version.into();
        config.lockout.max_failures = 1;
        config.login.iam = true;
    }
}

async fn log_in(gateway: &Running, agree: Option<bool>) -> (u16, Value) {
    let mut document = json!({ "login": EMAIL, "password": PASSWORD });
    if let Some(agree) = agree {
        document["agree"] = json!(agree);
    }
    let told = gateway.visitor().post_json("/.auth/login", document).await;
    (told.status, told.document)
}

#[tokio::test]
async fn everybody_is_asked_again_at_the_next_sign_in_and_what_they_agreed_to_is_kept() {
    let gateway = Running::start(version("1")).await;
    let document = json!({
        "email": EMAIL, "username": "ann", "password": PASSWORD, "password_confirm": PASSWORD, "agree": true,
    });
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/signup", document)
            .await
            .status,
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

/// Returns a challenge of the gateway and its signature, by the contract.
async fn sign(gateway: &Running, access_key: &str, secret_key: &str) -> (Value, String) {
    let challenge = gateway.visitor().get_json("/.auth/login/iam").await.document["challenge"].clone();
    let text = format!(
        "vestibule-login\n{access_key}\n{}\n{}",
        challenge.as_str().unwrap(),
        gateway.authority()
    );
    let mac = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()).unwrap();
    let signature = base16ct::lower::encode_string(&mac.chain_update(text).finalize().into_bytes());
    (challenge, signature)
}

#[tokio::test]
async fn who_signs_in_with_an_access_key_is_asked_too_and_signed_requests_go_on() {
    const PATH: &str = "/.auth/login/iam";
    let gateway = Running::start(|config| {
        config.login.iam = true;
    })
    .await;
    gateway.signed_in("ann").await;
    let signer = gateway.signer(EMAIL, Clock::system().now()).await;
    let (access_key, secret_key) = (signer.access_key, signer.secret_key);

    let folder = gateway.stop().await;
    let gateway = Running::start_in(folder, Clock::system(), version("2")).await;
    let visitor = gateway.visitor();
    // More often than failures are allowed: none is counted.
    for _ in 0..3 {
        let (challenge, signature) = sign(&gateway, &access_key, &secret_key).await;
        let answer = json!({ "access_key": access_key, "challenge": challenge, "signature": signature });
        let told = visitor.post_json(PATH, answer.clone()).await;
        assert_eq!((told.status, told.problem()), (422, "invalid-input"), "{told:?}");
        assert!(told.document["errors"]["agree"].is_string(), "{told:?}");
        assert!(!told.headers.contains_key("set-cookie"));
        let mut again = answer;
        again["agree"] = json!(true);
        assert_eq!(visitor.post_json(PATH, again).await.problem(), "replayed");
    }
    let wrong = json!({ "access_key": access_key, "secret_key": "wrong", "agree": true });
    assert_eq!(
        visitor.post_json(PATH, wrong).await.problem(),
        "invalid-credentials"
    );

    // Without scripts the secret itself is sent.
    let fields = [
        ("access_key", access_key.as_str()),
        ("secret_key", secret_key.as_str()),
    ];
    let shown = visitor.submit(PATH, &fields).await;
    assert_eq!((shown.status, shown.cookies.len()), (422, 0));
    assert!(
        shown.page.contains("name=\"agree\"") && shown.page.contains("id=\"agree-error\""),
        "{}",
        shown.page
    );
    assert!(!shown.page.contains(&secret_key));

    let request = gateway.client().get(gateway.url("/.auth/me"));
    let answer = soon(request.basic_auth(&access_key, Some(&secret_key)).send())
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "a program is not asked");

    let agreed = [&fields[..], &[("agree", "true")]].concat();
    assert_eq!(visitor.submit(PATH, &agreed).await.status, 303);
    assert_eq!(
        visitor.submit(PATH, &fields).await.status,
        303,
        "and not once more"
    );
    assert_eq!(log_in(&gateway, None).await.0, 200, "nor for the password");
    let shown = gateway.command(Command::ShowUser("ann".to_owned())).await;
    assert_eq!(
        shown["agreements"].as_array().unwrap().last().unwrap()["version"],
        "2"
    );
    let record = std::fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
    assert!(record.contains(r#""reason":"must-agree""#) && record.contains(r#""event":"agree""#));
}

#[tokio::test]
async fn nobody_is_asked_who_does_not_know_the_password() {
    let gateway = Running::start(version("1")).await;
    let document = json!({ "login": EMAIL, "password": "wr0ng-guess!", "agree": true });
    let told = gateway.visitor().post_json("/.auth/login", document).await;
    assert_eq!(told.problem(), "invalid-credentials");
}
