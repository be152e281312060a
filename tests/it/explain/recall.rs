//! What happened to a past request, by its id.

use std::collections::BTreeMap;

use serde_json::Value;
use vestibule::control::{Command, CommandError};

use super::routes;
use crate::harness::{Application, Running, route, soon};

async fn recall(gateway: &Running, id: &str) -> Result<Value, CommandError> {
    gateway.try_command(Command::ExplainRequest(id.to_owned())).await
}

#[tokio::test]
async fn a_refused_request_is_explained_by_its_id() {
    let app = Application::start().await;
    let gateway = Running::start(|config| config.route = routes(&app.url())).await;
    let cookie = gateway.signed_in("ann").await;
    let client = gateway.client();
    let refused = client
        .get(gateway.url("/ops/x?token=hunter2"))
        .header("cookie", &cookie);
    let id = id(&soon(refused.send()).await.unwrap());
    let told = recall(&gateway, &id).await.unwrap();
    let recent = &told["recent"];
    for (key, value) in [
        ("request_id", id.as_str()),
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("host", "gw.example.com"),
        ("path", "/ops/x"),
        ("user", "ann"),
        ("route", "gw.example.com/ops"),
        ("slug", "forbidden"),
    ] {
        assert_eq!(recent[key], value, "{told:#}");
    }
    assert_eq!(recent["status"], 403);
    assert!(!told.to_string().contains("hunter2"), "{told}");

    // A wrong password: the page's response, and its audit event.
    let form = BTreeMap::from([("login", "ann@example.com"), ("password", "wrong-horse-7")]);
    let login = client.post(gateway.url("/.auth/login")).json(&form);
    let answer = soon(login.header("accept", "application/json").send())
        .await
        .unwrap();
    let told = recall(&gateway, &self::id(&answer)).await.unwrap();
    assert_eq!(told["recent"]["slug"], "invalid-credentials");
    assert_eq!(told["events"][0]["event"], "sign-in", "{told:#}");
    assert_eq!(told["events"][0]["user"], "ann@example.com");

    // A malformed head.
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/9.9\r\n\r\n".to_owned()).await;
    let answer = raw.until_closed().await;
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "));
    let told = recall(&gateway, id.unwrap()).await.unwrap();
    assert_eq!(told["recent"]["status"], 400);

    let unknown = recall(&gateway, "0123").await.unwrap_err();
    assert!(unknown.message.contains("no request 0123 is known") && unknown.message.contains("since"));
}

#[tokio::test]
async fn an_application_that_is_away_and_one_that_answered_are_explained_too() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            route("/", "public", &app.url()),
            route("/away", "public", "http://127.0.0.1:9"),
        ];
    })
    .await;
    let client = gateway.client();
    let away = soon(client.get(gateway.url("/away")).send()).await.unwrap();
    let told = recall(&gateway, &id(&away)).await.unwrap();
    assert_eq!(told["recent"]["slug"], "upstream-unreachable");
    let reason = told["recent"]["reason"].as_str().unwrap();
    assert!(reason.contains("127.0.0.1:9 cannot be reached"), "{reason}");

    // A forwarded response is only in the access log, whose line is written a moment later.
    let there = soon(client.get(gateway.url("/there?token=hunter2")).send())
        .await
        .unwrap();
    let id = id(&there);
    soon(there.text()).await.unwrap();
    let told = soon(async {
        loop {
            match recall(&gateway, &id).await {
                Ok(told) => return told,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(told["recent"], Value::Null);
    assert_eq!(told["logged"]["path"], "/there");
    assert_eq!(told["logged"]["upstream"], app.url());
    assert!(!told.to_string().contains("hunter2"), "{told}");
}

fn id(answer: &reqwest::Response) -> String {
    answer.headers()["x-request-id"].to_str().unwrap().to_owned()
}

async fn refusals(gateway: &Running, user: &str, since: &str) -> Result<Value, CommandError> {
    let since = since.parse().unwrap();
    let user = user.to_owned();
    gateway
        .try_command(Command::ExplainRefusals { user, since })
        .await
}

#[tokio::test]
async fn what_a_person_was_refused_is_listed() {
    let app = Application::start().await;
    let gateway = Running::start(|config| config.route = routes(&app.url())).await;
    let (ann, bob) = (gateway.signed_in("ann").await, gateway.signed_in("bob").await);
    let client = gateway.client();
    let mut ids = Vec::new();
    for (cookie, path) in [(&ann, "/ops/x?token=hunter2"), (&bob, "/ops"), (&ann, "/ops/y")] {
        let request = client.get(gateway.url(path)).header("cookie", cookie);
        ids.push(id(&soon(request.send()).await.unwrap()));
    }
    let fine = client.get(gateway.url("/public")).header("cookie", &ann);
    soon(fine.send()).await.unwrap();
    let form = BTreeMap::from([("login", "ann@example.com"), ("password", "wrong-horse-7")]);
    soon(client.post(gateway.url("/.auth/login")).json(&form).send())
        .await
        .unwrap();

    for name in ["ann@example.com", "ann"] {
        let told = refusals(&gateway, name, "2000-01-01T00:00:00Z").await.unwrap();
        assert_eq!(told["email"], "ann@example.com");
        let listed: Vec<&Value> = told["requests"].as_array().unwrap().iter().collect();
        let ids_told: Vec<&str> = listed
            .iter()
            .map(|one| one["request_id"].as_str().unwrap())
            .collect();
        assert_eq!(ids_told, [&ids[0], &ids[2]], "{told:#}");
        assert_eq!(
            (&listed[0]["slug"], &listed[0]["path"]),
            (&"forbidden".into(), &"/ops/x".into())
        );
        assert_eq!(
            (&listed[1]["path"], &listed[1]["status"]),
            (&"/ops/y".into(), &403.into())
        );
        assert_eq!(told["events"][0]["reason"], "invalid-credentials", "{told:#}");
        assert!(!told.to_string().contains("hunter2"), "{told}");
        assert!(told["remembered_since"].is_string());
    }
    let later = refusals(&gateway, "ann", "2999-01-01T00:00:00Z").await.unwrap();
    assert_eq!(
        (&later["requests"], &later["events"]),
        (&Value::Array(Vec::new()), &Value::Array(Vec::new()))
    );
    assert!(
        refusals(&gateway, "nobody", "2000-01-01T00:00:00Z")
            .await
            .is_err()
    );
}
