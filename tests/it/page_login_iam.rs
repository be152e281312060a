//! `/.auth/login/iam` and `/.auth/account/keys`, over the wire: as forms without scripts, and as JSON.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Response;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{PASSWORD, Person, Running, form, soon};

async fn gateway() -> Running {
    Running::start(|config| {
        config.login.iam = true;
    })
    .await
}

async fn ask(gateway: &Running, path: &str, accept: &str) -> Response {
    let request = gateway.client().get(gateway.url(path)).header("accept", accept);
    soon(request.send()).await.unwrap()
}

async fn tell(gateway: &Running, document: &Value) -> Response {
    let request = gateway.client().post(gateway.url("/.auth/login/iam"));
    let request = request.json(document).header("accept", "application/json");
    soon(request.send()).await.unwrap()
}

async fn document(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = soon(response.bytes()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn slug(document: &Value) -> &str {
    document["type"].as_str().unwrap().rsplit('/').next().unwrap()
}

fn cookie(response: &Response) -> String {
    let set = response.headers()["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_program_signs_a_challenge_and_is_signed_in() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    let made = ann
        .post_json("/.auth/account/keys", json!({ "name": "script", "days": "90" }))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let half = |name: &str| made.document[name].as_str().unwrap().to_owned();
    let (access_key, secret_key) = (half("access_key"), half("secret_key"));

    let (status, asked) = document(ask(&gateway, "/.auth/login/iam", "application/json").await).await;
    assert_eq!((status, &asked["expires_in"]), (200, &json!(120)));
    let challenge = asked["challenge"].as_str().unwrap();
    let text = format!(
        "vestibule-login\n{access_key}\n{challenge}\n{}",
        gateway.authority()
    );
    let mac = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()).unwrap();
    let signature = base16ct::lower::encode_string(&mac.chain_update(text).finalize().into_bytes());
    let answer =
        json!({ "access_key": access_key, "challenge": challenge, "signature": signature, "rd": "/x" });
    let signed_in = tell(&gateway, &answer).await;
    let session = cookie(&signed_in);
    let (status, told) = document(signed_in).await;
    assert_eq!(
        (status, &told["rd"], &told["user"]["method"]),
        (200, &json!("/x"), &json!("iam"))
    );

    let me = gateway
        .client()
        .get(gateway.url("/.auth/me"))
        .header("cookie", &session);
    let (_, me) = document(soon(me.send()).await.unwrap()).await;
    assert_eq!((&me["username"], &me["method"]), (&json!("ann"), &json!("iam")));

    let (status, refused) = document(tell(&gateway, &answer).await).await;
    assert_eq!((status, slug(&refused)), (401, "replayed"));
    for (field, value, expected) in [
        ("challenge", "x", "signature-invalid"),
        ("signature", "x", "replayed"),
    ] {
        let mut wrong = answer.clone();
        wrong[field] = json!(value);
        let (status, refused) = document(tell(&gateway, &wrong).await).await;
        let expected = if field == "signature" {
            "invalid-credentials"
        } else {
            expected
        };
        assert_eq!((status, slug(&refused)), (401, expected));
    }
    let (status, refused) = document(tell(&gateway, &json!({})).await).await;
    assert_eq!(status, 422);
    assert!(refused["errors"]["access_key"].is_string() && refused["errors"]["secret_key"].is_string());
}

#[tokio::test]
async fn a_browser_without_scripts_sends_the_secret() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    let created = ann
        .submit("/.auth/account/keys", &[("name", "laptop"), ("days", "")])
        .await;
    assert_eq!(created.status, 303, "loaded again, the page creates no other");
    let page = ann.open(&created.location).await;
    let again = ann.open(&created.location).await.page;
    assert!(
        !again.contains("made-secret-key") && again.contains("was shown once"),
        "{again}"
    );
    let code = |n: usize| {
        page.page
            .split("<code id=\"made-")
            .nth(n)
            .unwrap()
            .split(['>', '<'])
            .nth(1)
            .unwrap()
    };
    let (access_key, secret_key) = (code(1), code(2));

    let login = ask(&gateway, "/.auth/login?rd=%2Fx", "text/html")
        .await
        .text()
        .await
        .unwrap();
    assert!(login.contains("login&#x2f;iam?rd=%2Fx"), "the way there");
    let login = ask(&gateway, "/.auth/login/iam?rd=%2Fx", "text/html").await;
    assert!(
        login
            .text()
            .await
            .unwrap()
            .contains("name=\"challenge\" value=\"")
    );

    let send = async |secret: &str| {
        let request = gateway.client().post(gateway.url("/.auth/login/iam"));
        let fields = [
            ("access_key", access_key),
            ("secret_key", secret),
            ("challenge", ""),
            ("signature", ""),
            ("rd", "/x"),
        ];
        soon(form(request, &fields).header("accept", "text/html").send())
            .await
            .unwrap()
    };
    let refused = send("wrong").await;
    assert_eq!(refused.status(), 401);
    let text = refused.text().await.unwrap();
    assert!(
        text.contains(access_key) && !text.contains("value=\"wrong"),
        "{text}"
    );
    let signed_in = send(secret_key).await;
    assert_eq!(
        (signed_in.status().as_u16(), &signed_in.headers()["location"]),
        (303, &"/x".parse().unwrap())
    );
    let session = cookie(&signed_in);

    // Such a session must confirm the password to create a key.
    let request = gateway.client().post(gateway.url("/.auth/account/keys"));
    let request = form(request, &[("name", "another")])
        .header("cookie", &session)
        .header("accept", "text/html");
    let asked = soon(request.send()).await.unwrap();
    assert_eq!(asked.status(), 422);
    assert!(asked.text().await.unwrap().contains("name=\"current_password\""));
    let request = gateway.client().post(gateway.url("/.auth/account/keys"));
    let fields = [("name", "another"), ("current_password", PASSWORD)];
    let request = form(request, &fields)
        .header("cookie", &session)
        .header("accept", "application/json");
    assert_eq!(soon(request.send()).await.unwrap().status(), 201);
}

#[tokio::test]
async fn keys_are_listed_switched_off_and_revoked_by_their_owner() {
    let gateway = gateway().await;
    let (ann, ben) = (gateway.person("ann").await, gateway.person("ben").await);
    let path = "/.auth/account/keys";
    let made = ann.post_json(path, json!({ "name": "a", "days": "30" })).await;
    let key = &made.document["access_key"];
    let change = |change: &str| json!({ "access_key": key, "change": change });
    assert_eq!(ben.post_json(path, change("revoke")).await.status, 404);
    assert_eq!(ben.get_json(path).await.document["access_keys"], json!([]));
    for (what, disabled) in [("disable", true), ("enable", false)] {
        assert_eq!(
            ann.post_json(path, change(what)).await.document["disabled"],
            disabled
        );
        let listed = ann.get_json(path).await.document["access_keys"][0].clone();
        assert_eq!(listed["disabled"], disabled);
        assert_eq!(listed["name"], "a");
        assert!(listed["expires_at"].is_string() && listed.get("secret_key").is_none());
    }
    let fields = [("access_key", key.as_str().unwrap()), ("change", "revoke")];
    let shown = ann.submit(path, &fields).await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/account/keys?done=revoked")
    );
    assert!(ann.open(&shown.location).await.page.contains("has been revoked"));
    for n in 0..6 {
        let told = ann.post_json(path, json!({ "name": "n" })).await;
        assert_eq!(told.status, if n < 5 { 201 } else { 422 }, "{told:?}");
    }
    let shown = ann.submit(path, &[("name", &"n".repeat(65))]).await;
    assert_eq!(shown.status, 422);
    assert_eq!(ann.post_json(path, change("explode")).await.status, 404);
    assert_eq!(ann.post_json(path, json!({ "days": "x" })).await.status, 422);
}

#[tokio::test]
async fn s15_switched_off_neither_page_is_there_nor_a_way_to_it() {
    let gateway = Running::start(|_| {}).await;
    let (status, refused) = document(ask(&gateway, "/.auth/login/iam", "application/json").await).await;
    assert_eq!((status, slug(&refused)), (404, "iam-disabled"));
    let (status, refused) =
        document(tell(&gateway, &json!({ "access_key": "x", "secret_key": "y" })).await).await;
    assert_eq!((status, slug(&refused)), (404, "iam-disabled"));
    let login = ask(&gateway, "/.auth/login", "text/html")
        .await
        .text()
        .await
        .unwrap();
    assert!(!login.contains("/login/iam"));
    let ann = gateway.person("ann").await;
    assert_eq!(ann.get_json("/.auth/account/keys").await.status, 404);
    assert!(!ann.open("/.auth/account").await.page.contains("/account/keys"));
}

#[tokio::test]
async fn s21_keys_that_a_reset_leaves_are_told_and_revoked_with_one_button() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    let (keys, account, email) = ("/.auth/account/keys", "/.auth/account", "ann@example.com");
    let mut made = Vec::new();
    for name in ["script", "forgotten"] {
        let told = ann.post_json(keys, json!({ "name": name, "days": "90" })).await;
        made.push(told.document["access_key"].as_str().unwrap().to_owned());
    }
    let told = gateway.mails_to(email, 2).await;
    assert!(told[0].subject.contains("an access key was created"), "{told:?}");
    assert!(
        told[0].text.contains(&made[0]) && told[1].text.contains(&made[1]),
        "{told:?}"
    );
    assert_eq!(
        ann.get_json(account).await.document["older_access_keys"],
        json!([])
    );

    gateway
        .visitor()
        .post_json("/.auth/forgot", json!({ "email": email }))
        .await;
    let token = gateway.mails_to(email, 3).await[2].token("reset");
    let reset = json!({ "token": token, "password": PASSWORD, "password_confirm": PASSWORD });
    assert_eq!(
        gateway.visitor().post_json("/.auth/reset", reset).await.status,
        200
    );
    let told = &gateway.mails_to(email, 4).await[3];
    let names = [
        format!("script ({})", made[0]),
        format!("forgotten ({})", made[1]),
    ];
    assert!(names.iter().all(|name| told.text.contains(name)), "{}", told.text);

    let ann = ann.elsewhere().await;
    let document = ann.get_json(account).await.document;
    let older = document["older_access_keys"].as_array().unwrap();
    let older: Vec<_> = older
        .iter()
        .map(|key| key["access_key"].as_str().unwrap())
        .collect();
    assert_eq!(older, made);
    let page = ann.open(account).await.page;
    assert!(
        made.iter().all(|key| page.contains(key)) && page.contains("revoke-older"),
        "{page}"
    );
    // One created after that is trusted.
    let new = ann
        .post_json(keys, json!({ "name": "new", "current_password": PASSWORD }))
        .await;
    assert_eq!(new.status, 201, "{new:?}");
    let shown = ann.submit(keys, &[("change", "revoke-older")]).await;
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, "/.auth/account/keys?done=older")
    );
    assert!(ann.open(&shown.location).await.page.contains("role=\"status\""));
    let left = ann.get_json(keys).await.document;
    assert_eq!(left["access_keys"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["access_keys"][0]["name"], "new");
    let again = ann.post_json(keys, json!({ "change": "revoke-older" })).await;
    assert_eq!(
        (again.status, &again.document),
        (200, &json!({ "revoked_count": 0 }))
    );
}

/// Signs in to the same account with a key of its own.
async fn with_key<'g>(person: &Person<'g>, name: &str) -> Person<'g> {
    let made = person
        .post_json("/.auth/account/keys", json!({ "name": name }))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let halves = json!({
        "access_key": made.document["access_key"],
        "secret_key": made.document["secret_key"],
    });
    let signed_in = tell(person.gateway, &halves).await;
    assert_eq!(signed_in.status(), 200);
    Person {
        gateway: person.gateway,
        email: person.email.clone(),
        cookie: cookie(&signed_in),
    }
}

#[tokio::test]
async fn who_signed_in_with_a_key_sees_no_page_of_administrators_without_the_password() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    let holder = with_key(&admin, "one").await;
    for path in [
        "/.auth/admin",
        "/.auth/admin/accounts?q=root1",
        "/.auth/admin/account?id=root1",
        "/.auth/admin/sessions",
        "/.auth/admin/invitations",
        "/.auth/admin/audit",
        "/.auth/admin/audit?export=lines",
        "/.auth/admin/locks",
        "/.auth/admin/mails",
    ] {
        assert_eq!(
            admin.get_json(path.split("?export").next().unwrap()).await.status,
            200,
            "{path}"
        );
        let told = holder.get_json(path).await;
        assert_eq!((told.status, told.problem()), (403, "forbidden"), "{path}");
        assert!(
            told.document["errors"]["current_password"].is_string(),
            "{told:?}"
        );
        assert!(
            told.document["detail"].as_str().unwrap().contains("password"),
            "{told:?}"
        );
        let shown = holder.open(path).await;
        assert_eq!(shown.status, 403, "{path}");
        assert!(
            shown.page.contains("name=\"current_password\""),
            "{path}: {}",
            shown.page
        );
        let wrong = [("action", "show"), ("current_password", "wr0ng-1!")];
        if path == "/.auth/admin" {
            assert_eq!(holder.submit(path, &wrong).await.status, 422);
            assert_eq!(holder.submit(path, &wrong[..1]).await.status, 422);
        }
    }
    let path = "/.auth/admin/accounts?q=root1";
    let shown = holder
        .submit(path, &[("action", "show"), ("current_password", PASSWORD)])
        .await;
    assert_eq!((shown.status, shown.location.as_str()), (303, path));
    assert_eq!(holder.open(path).await.status, 200);
    assert_eq!(holder.get_json("/.auth/admin/audit").await.status, 200);

    let program = with_key(&admin, "two").await;
    let asked = json!({ "action": "show", "current_password": PASSWORD });
    let told = program.post_json("/.auth/admin/locks", asked).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert!(told.document["accounts"].is_array(), "{told:?}");
}

#[tokio::test]
async fn who_signed_in_with_a_key_ends_no_other_session_without_the_password() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    let holder = with_key(&ann, "one").await;
    let path = "/.auth/account/sessions";
    let listed = holder.get_json(path).await.document;
    let id = |current: bool| {
        let sessions = listed["sessions"].as_array().unwrap().iter();
        let mut found = sessions.filter(|session| session["current"] == current);
        found.next().unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (own, other) = (id(true), id(false));
    for document in [
        json!({ "which": "others" }),
        json!({ "session": other }),
        json!({ "which": "others", "session": own }),
        json!({ "session": other, "current_password": "wr0ng-1!" }),
    ] {
        let told = holder.post_json(path, document.clone()).await;
        assert_eq!(
            (told.status, told.problem()),
            (422, "invalid-input"),
            "{document}"
        );
        assert!(
            told.document["errors"]["current_password"].is_string(),
            "{told:?}"
        );
    }
    let shown = holder.submit(path, &[("session", &other)]).await;
    assert_eq!(shown.status, 422);
    assert!(
        shown.page.contains(&other),
        "it is sent again with the password: {}",
        shown.page
    );
    assert!(ann.is_signed_in().await);
    let told = holder.post_json(path, json!({ "session": own })).await;
    assert_eq!((told.status, &told.document["ended_count"]), (200, &json!(1)));
    assert!(!holder.is_signed_in().await);

    let holder = with_key(&ann, "two").await;
    let told = holder
        .post_json(path, json!({ "which": "others", "current_password": PASSWORD }))
        .await;
    assert_eq!((told.status, &told.document["ended_count"]), (200, &json!(1)));
    assert!(!ann.is_signed_in().await);
}

#[tokio::test]
async fn who_signed_in_with_a_key_switches_no_other_off_without_the_password() {
    let gateway = gateway().await;
    let ann = gateway.person("ann").await;
    let path = "/.auth/account/keys";
    let other = with_key(&ann, "other").await;
    let key = ann.get_json(path).await.document["access_keys"][0]["access_key"].clone();
    let holder = with_key(&ann, "one").await;
    for document in [
        json!({ "access_key": key, "change": "disable" }),
        json!({ "access_key": key, "change": "revoke" }),
        json!({ "access_key": key, "change": "revoke", "current_password": "wr0ng-1!" }),
        json!({ "change": "revoke-older" }),
    ] {
        let told = holder.post_json(path, document.clone()).await;
        assert_eq!(
            (told.status, told.problem()),
            (422, "invalid-input"),
            "{document}"
        );
        assert!(
            told.document["errors"]["current_password"].is_string(),
            "{told:?}"
        );
    }
    assert!(other.is_signed_in().await, "its sessions go on");
    let revoke = json!({ "access_key": key, "change": "revoke", "current_password": PASSWORD });
    assert_eq!(holder.post_json(path, revoke).await.status, 200);
    assert!(!other.is_signed_in().await);
}
