//! `/metrics`, as a monitoring system sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use vestibule::config::{Config, SecretSource, SignupMode};
use vestibule::refusal::Problem;
use vestibule::secret::Secret;

use crate::harness::signer::with;
use crate::harness::{Application, PASSWORD, Running, route, soon};

async fn gateway(say: impl FnOnce(&mut Config)) -> Running {
    Running::start(|config| {
        "127.0.0.1:0".clone_into(&mut config.listen.ops);
        config.lockout.max_failures = 1;
        config.login.iam = true;
        say(config);
    })
    .await
}

/// Returns the value of every sample, by name and labels.
async fn samples(gateway: &Running) -> BTreeMap<String, f64> {
    let answer = soon(reqwest::get(format!("http://{}/metrics", gateway.ops.unwrap())))
        .await
        .unwrap();
    let text = soon(answer.text()).await.unwrap();
    let mut samples = BTreeMap::new();
    let mut described = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.split(' ');
            let (about, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(words.next().is_some(), "{line}");
            described
                .entry(name.to_owned())
                .or_insert_with(Vec::new)
                .push(about.to_owned());
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        assert_eq!(described.get(name).unwrap(), &["HELP", "TYPE"], "{line}");
        assert!(
            samples
                .insert(sample.to_owned(), value.parse().unwrap())
                .is_none(),
            "{line} twice"
        );
    }
    samples
}

/// Every form, sent empty, is refused and counted once.
#[tokio::test]
async fn whatever_form_is_refused_is_counted() {
    let gateway = gateway(|config| {
        config.login.change_username = true;
    })
    .await;
    let ann = gateway.person("ann").await;
    let refused = "vestibule_refusals_total{problem=\"invalid-input\"}";
    for page in [
        "login",
        "login/iam",
        "signup",
        "forgot",
        "account/email",
        "account/username",
        "account/password",
        "account/delete",
    ] {
        let before = samples(&gateway).await[refused];
        let path = format!("/.auth/{page}");
        assert_eq!(ann.submit(&path, &[]).await.status, 422, "{page}");
        let grown = samples(&gateway).await[refused] - before;
        assert!((grown - 1.0).abs() < 0.1, "{page}: {grown}");
    }
}

#[tokio::test]
async fn sign_ups_sign_ins_refusals_hashes_and_locks_are_counted() {
    let app = Application::start().await;
    let gateway = gateway(|config| config.route = vec![route("/", "authenticated", &app.url())]).await;
    let before = samples(&gateway).await;
    let ann = gateway.person("ann").await;
    for (email, password) in [
        ("ann@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("bob@example.com", "short"),
    ] {
        assert_eq!(gateway.sign_up(email, "other", password).await.status, 422);
    }
    for status in [401, 401, 429] {
        assert_eq!(gateway.try_sign_in("nobody@example.com", "wrong").await.0, status);
    }
    // Also on the page.
    let fields = [("login", "nobody@example.com"), ("password", "wrong")];
    assert_eq!(ann.submit("/.auth/login", &fields).await.status, 429);
    assert_eq!(ann.submit("/.auth/login", &[]).await.status, 422);
    assert_eq!(ann.get_json("/.auth/nothing").await.status, 404);
    assert_eq!(gateway.visitor().get_json("/").await.status, 401);
    // A redirect to sign in is not a refusal.
    assert_eq!(gateway.visitor().open("/").await.status, 303);
    // Wrong secrets lock a key, as wrong passwords lock an account.
    let mut key = gateway
        .signer("ann@example.com", jiff::Timestamp::UNIX_EPOCH)
        .await;
    key.secret_key = "x".repeat(40);
    for status in [401, 401, 429] {
        let request = with(gateway.client().get(gateway.url("/")), &key.basic());
        assert_eq!(soon(request.send()).await.unwrap().status(), status);
    }

    let after = samples(&gateway).await;
    let grown = |sample: &str| {
        let before = before
            .get(sample)
            .unwrap_or_else(|| panic!("{sample}: {before:?}"));
        after[sample] - before
    };
    for (sample, by) in [
        ("vestibule_sign_ups_total{outcome=\"created\"}", 1.0),
        ("vestibule_sign_ups_total{outcome=\"invalid\"}", 3.0),
        ("vestibule_sign_ins_total{outcome=\"succeeded\"}", 1.0),
        ("vestibule_sign_ins_total{outcome=\"failed\"}", 2.0),
        ("vestibule_sign_ins_total{outcome=\"locked\"}", 2.0),
        ("vestibule_refusals_total{problem=\"invalid-credentials\"}", 4.0),
        ("vestibule_refusals_total{problem=\"locked\"}", 3.0),
        ("vestibule_refusals_total{problem=\"invalid-input\"}", 4.0),
        ("vestibule_refusals_total{problem=\"not-found\"}", 1.0),
        ("vestibule_refusals_total{problem=\"not-authenticated\"}", 1.0),
        ("vestibule_refusals_total{problem=\"forbidden\"}", 0.0),
        ("vestibule_locks_total", 2.0),
        ("vestibule_sessions", 1.0),
        // One to create it, one to sign in, two wrong ones.
        ("vestibule_password_hashes_total", 4.0),
        ("vestibule_password_hashes_running", 0.0),
        ("vestibule_password_hashes_waiting", 0.0),
        ("vestibule_password_hashes_refused_total", 0.0),
    ] {
        assert!(
            (grown(sample) - by).abs() < 0.1,
            "{sample}: {} more, not {by}",
            grown(sample)
        );
    }
    let kinds = after
        .keys()
        .filter(|sample| sample.starts_with("vestibule_refusals_total{"))
        .count();
    assert_eq!(kinds, Problem::ALL.len());
    let all: Vec<&String> = after.keys().collect();
    assert!(
        !all.iter()
            .any(|sample| sample.contains("ann") || sample.contains("example")),
        "{all:?}"
    );
    gateway.sign_out(&ann.cookie).await;
    assert!(samples(&gateway).await["vestibule_sessions"].abs() < 0.1);
}

#[tokio::test]
async fn closed_and_known_sign_ups_and_mails_that_wait() {
    let gateway = gateway(|config| {
        config.signup.verify_email = true;
        config.mail.url = SecretSource::Text(Secret::new(
            // No server listens there.
            "smtp://127.0.0.1:1".to_owned(),
        ));
    })
    .await;
    for username in ["ann", "other"] {
        let told = gateway.sign_up("ann@example.com", username, PASSWORD).await;
        assert_eq!(told.status, 201);
    }
    let counted = samples(&gateway).await;
    for outcome in ["created", "known"] {
        let sample = format!("vestibule_sign_ups_total{{outcome=\"{outcome}\"}}");
        assert!((counted[&sample] - 1.0).abs() < 0.1, "{sample}");
    }
    soon(async {
        while samples(&gateway).await["vestibule_mails_waiting"] < 2.0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;

    let gateway = self::gateway(|config| config.signup.mode = SignupMode::Closed).await;
    let credentials = json!({ "email": "ann@example.com", "username": "ann", "password": PASSWORD, "password_confirm": PASSWORD });
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/signup", credentials)
            .await
            .status,
        404
    );
    let counted = samples(&gateway).await;
    assert!((counted["vestibule_sign_ups_total{outcome=\"closed\"}"] - 1.0).abs() < 0.1);
    assert!((counted["vestibule_refusals_total{problem=\"signup-closed\"}"] - 1.0).abs() < 0.1);
}
