//! What somebody is told who is signed in and may not see something.

use serde_json::json;
use vestibule::config::Allow;

use crate::harness::{Running, form, route, soon};

async fn gateway() -> Running {
    Running::start(|config| {
        let mut closed = route("/closed", "authenticated", "demo:");
        closed.allow = serde_json::from_value::<Allow>(json!({ "groups": ["ops"] })).unwrap();
        config.route = vec![closed, route("/", "authenticated", "demo:")];
    })
    .await
}

#[tokio::test]
async fn who_is_refused_is_told_as_whom_and_goes_on_as_somebody_else() {
    let gateway = gateway().await;
    let cookie = gateway.signed_in("ann").await;
    let client = gateway.client();
    let ask = |path: &str, accept: &str| {
        client
            .get(gateway.url(path))
            .header("cookie", &cookie)
            .header("accept", accept)
            .send()
    };
    let refused = soon(ask("/closed/a?b=c&d", "text/html")).await.unwrap();
    assert_eq!(refused.status(), 403);
    let page = refused.text().await.unwrap();
    assert!(page.contains("ann@example.com"), "{page}");
    assert!(page.contains("action=\"/.auth/logout\""), "{page}");
    assert!(
        page.contains("name=\"rd\" value=\"&#x2f;closed&#x2f;a?b=c&amp;d\""),
        "{page}"
    );

    // A program is told no more than before.
    let refused = soon(ask("/closed", "application/json")).await.unwrap();
    assert_eq!(refused.status(), 403);
    let document = refused.text().await.unwrap();
    assert!(!document.contains("ann@example.com"), "{document}");
    // Nor is it said of what is not there.
    let missing = soon(ask("/.auth/nothing", "text/html")).await.unwrap();
    assert_eq!(missing.status(), 404);
    assert!(!missing.text().await.unwrap().contains("ann@example.com"));

    let left = client
        .post(gateway.url("/.auth/logout"))
        .header("cookie", &cookie)
        .header("accept", "text/html");
    let left = form(left, &[("rd", "/closed/a?b=c&d")]);
    let left = soon(left.send()).await.unwrap();
    assert_eq!(left.status(), 303);
    assert_eq!(left.headers()["location"], "/closed/a?b=c&d");
    let asked = soon(ask("/closed/a?b=c&d", "text/html")).await.unwrap();
    assert_eq!(
        asked.headers()["location"],
        "/.auth/login?rd=%2Fclosed%2Fa%3Fb%3Dc%26d"
    );
}

#[tokio::test]
async fn all_kinds_of_refusals_are_listed() {
    let gateway = gateway().await;
    let asked = gateway
        .client()
        .get(gateway.url("/.auth/problems/"))
        .header("accept", "text/html");
    let list = soon(asked.send()).await.unwrap();
    assert_eq!(list.status(), 200);
    let page = list.text().await.unwrap();
    for problem in vestibule::refusal::Problem::ALL {
        assert!(
            page.contains(&format!("/problems/{}\"", problem.slug())),
            "{}",
            problem.slug()
        );
    }
}
