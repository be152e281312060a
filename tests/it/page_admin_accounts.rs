//! The administrators' list of accounts and what is done from it, over the wire.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vestibule::control::Command;
use vestibule::model::Email;
use vestibule::services::{AccountChange, InitialPassword, NewAccount, NewPassword};
use vestibule::store::{AccountFilter, AccountQuery};

use crate::harness::{PASSWORD, Person, Running, form, soon};

const ACCOUNTS: &str = "/.auth/admin/accounts";
const NEW: &str = "/.auth/admin/accounts/new";
const NEW_PASSWORD: &str = "other-horse-8-battery";
const HASH: &str = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Adds an account without a sign-up.
async fn add(gateway: &Running, email: &str, name: Option<&str>, groups: &[&str]) -> Value {
    let new = NewAccount {
        email: email.parse::<Email>().unwrap(),
        username: None,
        name: name.map(str::to_owned),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        password: InitialPassword::Set(NewPassword::Hash(HASH.to_owned())),
    };
    gateway.command(Command::AddUser(new)).await
}

fn emails(document: &Value) -> Vec<String> {
    let accounts = document["accounts"].as_array().unwrap().iter();
    accounts
        .map(|account| account["email"].as_str().unwrap().to_owned())
        .collect()
}

/// The link of a page that is marked so, such as `rel="next"`.
fn link<'p>(page: &'p str, mark: &str) -> Option<&'p str> {
    let (before, _) = page.split_once(mark)?;
    let (_, href) = before.rsplit_once("href=\"")?;
    Some(href.split_once('"')?.0)
}

fn unescaped(url: &str) -> String {
    url.replace("&amp;", "&").replace("&#x2f;", "/")
}

#[tokio::test]
async fn the_list_is_sorted_counted_and_turned_there_and_back() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    for n in 0..60 {
        let name = format!("Person {:02}", 59 - n);
        add(&gateway, &format!("p{n:02}@example.com"), Some(&name), &["staff"]).await;
    }
    let first = admin.get_json(&format!("{ACCOUNTS}?sort=-email")).await.document;
    assert_eq!(
        (&first["total_count"], &first["previous"]),
        (&json!(61), &Value::Null)
    );
    assert_eq!(emails(&first)[..2], ["root1@example.com", "p59@example.com"]);
    let next = first["next"].as_str().unwrap();
    let second = admin
        .get_json(&format!("{ACCOUNTS}?sort=-email&after={next}"))
        .await
        .document;
    assert_eq!((emails(&second).len(), &second["next"]), (11, &Value::Null));
    assert_eq!(emails(&second)[10], "p00@example.com");
    let back = second["previous"].as_str().unwrap();
    let back = admin
        .get_json(&format!("{ACCOUNTS}?sort=-email&before={back}"))
        .await
        .document;
    assert_eq!(back["accounts"], first["accounts"]);

    let by_name = admin
        .get_json(&format!("{ACCOUNTS}?sort=name&group=staff"))
        .await
        .document;
    assert_eq!(
        (&by_name["total_count"], &*emails(&by_name)[0]),
        (&json!(60), "p59@example.com")
    );
    let seen = admin
        .get_json(&format!("{ACCOUNTS}?sort=-last-sign-in"))
        .await
        .document;
    assert_eq!(emails(&seen)[0], "root1@example.com");

    // The page: heads of columns that say and change the order, and links both ways.
    let page = admin
        .open(&format!("{ACCOUNTS}?sort=name&group=staff"))
        .await
        .page;
    assert!(page.contains("60 accounts"), "{page}");
    assert!(page.contains("aria-sort=\"ascending\""), "{page}");
    let reversed = page.split("aria-sort=\"ascending\"").nth(1).unwrap();
    assert!(unescaped(reversed).contains("group=staff&sort=-name"), "{page}");
    assert!(page.contains("<time "), "{page}");
    assert!(page.contains("never"), "{page}");
    assert_eq!(link(&page, "rel=\"prev\""), None, "{page}");
    let next = unescaped(link(&page, "rel=\"next\"").unwrap());
    let page = admin.open(&next).await.page;
    assert!(
        page.contains("rel=\"prev\"") && !page.contains("rel=\"next\""),
        "{page}"
    );
    let unknown = admin.open(&format!("{ACCOUNTS}?sort=shoe-size")).await;
    assert_eq!(unknown.status, 422);
    let told = admin.get_json(&format!("{ACCOUNTS}?sort=shoe-size")).await;
    assert!(
        told.document["errors"]["sort"]
            .as_str()
            .unwrap()
            .contains("last-sign-in")
    );
}

#[tokio::test]
async fn the_list_is_downloaded_with_the_columns_of_the_command() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    add(
        &gateway,
        "ann@example.com",
        Some("=cmd|' /C calc'!A0"),
        &["ops", "dev"],
    )
    .await;
    let get = gateway
        .client()
        .get(gateway.url(&format!("{ACCOUNTS}?q=ann&export=csv")));
    let response = soon(get.header("cookie", &admin.cookie).send()).await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"accounts.csv\""
    );
    let text = soon(response.text()).await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        lines[0],
        "email,username,name,groups,status,email_verified,created_at,last_sign_in_at,id"
    );
    assert!(
        lines[1].starts_with("ann@example.com,ann,'=cmd|' /C calc'!A0,\"dev,ops\",active,true,"),
        "a formula is shown and not run: {text}"
    );
}

async fn recorded(admin: &Person<'_>, query: &str) -> Vec<[String; 3]> {
    let path = format!("/.auth/admin/audit?{query}");
    let events = admin.get_json(&path).await.document["events"].take();
    events
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| ["event", "user", "why"].map(|name| event[name].as_str().unwrap_or_default().to_owned()))
        .collect()
}

#[tokio::test]
async fn s77_several_are_changed_at_once_each_by_the_rules_of_one() {
    let gateway = Running::start(|config| config.signup.approval = true).await;
    let admin = gateway.appointed("root1").await;
    for name in ["ann", "bob"] {
        let email = format!("{name}@example.com");
        gateway.sign_up(&email, name, PASSWORD).await;
    }
    let versions = |page: &str| -> Vec<String> {
        page.split("name=\"accounts\" value=\"")
            .skip(1)
            .map(|rest| rest.split_once('"').unwrap().0.to_owned())
            .collect()
    };
    let page = admin
        .open(&format!("{ACCOUNTS}?status=awaiting-approval"))
        .await
        .page;
    let seen = versions(&page);
    assert_eq!(seen.len(), 2, "{page}");
    // Bob's groups change before the administrator decides.
    let set = json!({ "account": "bob", "action": "set-groups", "groups": "ops" });
    admin.post_json("/.auth/admin/account", set).await;
    let fields = [
        ("accounts", seen[0].as_str()),
        ("accounts", seen[1].as_str()),
        ("accounts", "nobody"),
        ("action", "approve"),
        ("reason", "new <team>"),
        ("status", "awaiting-approval"),
    ];
    let done = admin.submit(ACCOUNTS, &fields).await;
    assert_eq!(done.status, 303, "loaded again, the page changes nothing");
    assert!(
        done.location.contains("status=awaiting-approval"),
        "{}",
        done.location
    );
    let shown = admin.open(&done.location).await;
    let again = admin.open(&done.location).await;
    assert!(
        again.status == 200 && !again.page.contains("Done for"),
        "it is told once"
    );
    assert!(shown.page.contains("Done for 1 account:"), "{}", shown.page);
    assert!(shown.page.contains("Not done for 2 accounts:"), "{}", shown.page);
    assert!(
        shown.page.contains("bob@example.com: The groups were changed"),
        "{}",
        shown.page
    );
    let status = async |name: &str| {
        let path = format!("/.auth/admin/account?id={name}");
        admin.get_json(&path).await.document["status"].clone()
    };
    assert_eq!(
        (status("ann").await, status("bob").await),
        (json!("active"), json!("awaiting-approval"))
    );
    assert_eq!(
        recorded(&admin, "event=approve").await,
        [
            ["approve", "ann@example.com", "new <team>"],
            ["approve", "bob@example.com", "new <team>"],
            ["approve", "nobody", "new <team>"]
        ]
    );
    assert_eq!(recorded(&admin, "event=approve&outcome=failure").await.len(), 2);
    let letters = gateway.mails_to("ann@example.com", 1).await;
    assert_eq!(letters.len(), 1, "told as one is who was approved alone");
}

#[tokio::test]
async fn ones_own_account_is_changed_last_and_what_was_done_is_told() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    gateway.administrator("root2").await;
    for name in ["ann", "bob"] {
        gateway.person(name).await;
    }
    let change = json!({ "accounts": ["ann", "root1", "bob"], "action": "disable", "reason": "because" });
    let told = admin.post_json(ACCOUNTS, change).await;
    assert_eq!(told.status, 200, "{}", told.document);
    let done = told.document["done"].as_array().unwrap();
    let names: Vec<_> = done.iter().map(|account| account["username"].clone()).collect();
    assert_eq!(names, ["ann", "bob", "root1"]);
    assert_eq!(told.document["refused"], json!([]));
    assert!(!admin.is_signed_in().await);
}

#[tokio::test]
async fn s53_several_at_once_never_lose_the_last_administrator() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    let change = |action: &str, accounts: Value, groups: &str| json!({ "accounts": accounts, "action": action, "groups": groups, "reason": "because" });
    let told = admin
        .post_json(
            ACCOUNTS,
            change("disable", json!(["ann", "root1@example.com"]), ""),
        )
        .await;
    assert_eq!(told.status, 200, "{}", told.document);
    let document = &told.document;
    assert_eq!(
        (&document["done_count"], &document["refused_count"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(document["done"][0]["status"], "disabled");
    assert_eq!(document["refused"][0]["account"], "root1@example.com");
    assert_eq!(document["refused"][0]["problem"], "invalid-input");
    assert!(
        document["refused"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("last administrator")
    );
    assert!(!ann.is_signed_in().await, "sessions end at once (S28)");

    let told = admin
        .post_json(
            ACCOUNTS,
            change("add-groups", json!(["ann", "root1"]), "ops, dev"),
        )
        .await;
    assert_eq!(told.document["done"][0]["groups"], json!(["dev", "ops"]));
    let told = admin
        .post_json(
            ACCOUNTS,
            change("remove-groups", json!(["ann", "root1"]), "gateway-admin,dev"),
        )
        .await;
    assert_eq!(told.document["done"][0]["groups"], json!(["ops"]));
    assert_eq!(told.document["refused"][0]["account"], "root1");

    for (document, field) in [
        (change("disable", json!([]), ""), "accounts"),
        (change("add-groups", json!(["ann"]), " "), "groups"),
        (change("add-groups", json!(["ann"]), "a\u{7}b"), "groups"),
        (change("delete", json!(["ann"]), ""), "action"),
        (change("disable", json!(vec!["ann"; 201]), ""), "accounts"),
    ] {
        let told = admin.post_json(ACCOUNTS, document).await;
        assert_eq!(told.status, 422, "{field}");
        assert!(told.document["errors"][field].is_string(), "{}", told.document);
    }
    let shown = admin
        .submit(ACCOUNTS, &[("action", "disable"), ("q", "ann")])
        .await;
    assert_eq!(shown.status, 422);
    assert!(shown.page.contains("id=\"accounts-error\""), "{}", shown.page);
    assert!(
        shown.page.contains("ann@example.com"),
        "the search is shown again: {}",
        shown.page
    );
    let crossing = form(
        gateway.client().post(gateway.url(ACCOUNTS)),
        &[("accounts", "ann"), ("action", "disable")],
    );
    let crossing = crossing
        .header("cookie", &admin.cookie)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(soon(crossing.send()).await.unwrap().status(), 403);
}

#[tokio::test]
async fn an_account_is_added_and_its_owner_sets_the_password_with_the_link_that_is_shown() {
    let gateway = Running::start(|config| config.login.reset = false).await;
    let admin = gateway.administrator("root1").await;
    let fields = [
        ("email", "Ann.Lee@example.com"),
        ("name", "Ann <Lee>"),
        ("groups", "ops, dev"),
        ("reason", "joins in June"),
    ];
    let added = admin.submit(NEW, &fields).await;
    assert_eq!(added.status, 303, "{}", added.page);
    let shown = admin.open(&added.location).await;
    assert!(
        shown.page.contains("The account has been added."),
        "{}",
        shown.page
    );
    let page = shown.page.replace("&#x2f;", "/");
    let (_, rest) = page.split_once("/.auth/reset?token=").unwrap();
    let token = &rest[..43];
    let account = admin.get_json("/.auth/admin/account?id=ann.lee").await.document;
    assert_eq!(account["groups"], json!(["dev", "ops"]));
    assert_eq!(
        (&account["name"], &account["email_verified"]),
        (&json!("Ann <Lee>"), &json!(true))
    );
    let form = json!({ "token": token, "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD });
    assert_eq!(
        gateway.visitor().post_json("/.auth/reset", form).await.status,
        200
    );
    assert_eq!(
        gateway.try_sign_in("ann.lee@example.com", NEW_PASSWORD).await.0,
        200
    );
    let id = account["id"].as_str().unwrap();
    let events = recorded(&admin, &format!("account={id}")).await;
    assert_eq!(
        events[0][..],
        ["account-add", "Ann.Lee@example.com", "joins in June"]
    );
    assert_eq!(events[1][0], "reset-link");

    for (fields, field) in [
        (json!({ "email": "nobody" }), "email"),
        (json!({ "email": "ann.lee@EXAMPLE.com" }), "email"),
        (
            json!({ "email": "b@example.com", "username": "ann.lee" }),
            "username",
        ),
        (
            json!({ "email": "b@example.com", "username": "root" }),
            "username",
        ),
        (json!({ "email": "b@example.com", "username": "-" }), "username"),
        (
            json!({ "email": "bob@example.com", "name": "x".repeat(200) }),
            "name",
        ),
        (
            json!({ "email": "bob@example.com", "groups": "a\u{7}b" }),
            "groups",
        ),
    ] {
        let told = admin.post_json(NEW, fields.clone()).await;
        assert_eq!(told.status, 422, "{fields}: {}", told.document);
        assert!(told.document["errors"][field].is_string(), "{}", told.document);
    }
    assert_eq!(
        recorded(&admin, "event=account-add&outcome=failure").await.len(),
        7
    );
    let told = admin.post_json(NEW, json!({ "email": "bob@example.com" })).await;
    assert_eq!(told.status, 201, "{}", told.document);
    assert!(
        told.document["link"]
            .as_str()
            .unwrap()
            .contains("/.auth/reset?token=")
    );
    assert_eq!(told.document["username"], "bob");
}

#[tokio::test]
async fn an_account_is_added_and_its_owner_is_mailed_the_link() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let told = admin
        .post_json(NEW, json!({ "email": "ann@example.com", "send": true }))
        .await;
    assert_eq!(
        (told.status, &told.document["link"]),
        (201, &Value::Null),
        "{}",
        told.document
    );
    let letters = gateway.mails_to("ann@example.com", 1).await;
    let token = letters[0].token("reset");
    let form = json!({ "token": token, "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD });
    assert_eq!(
        gateway
            .visitor()
            .post_json("/.auth/reset", form.clone())
            .await
            .status,
        200
    );
    assert_eq!(
        gateway.visitor().post_json("/.auth/reset", form).await.status,
        400,
        "once"
    );
    assert_eq!(gateway.try_sign_in("ann@example.com", NEW_PASSWORD).await.0, 200);
}

/// Whoever was on the page before may be in the list no more.
#[tokio::test]
async fn the_page_before_is_the_first_one_once_nobody_is_left_there() {
    let gateway = Running::start(|_| {}).await;
    for name in ["ann", "bob", "cat"] {
        add(&gateway, &format!("{name}@example.com"), None, &["ops"]).await;
    }
    let find = async |after: Option<&Value>, before: Option<&Value>| {
        let cursor = |cursor: Option<&Value>| cursor.map(|cursor| cursor.as_str().unwrap().to_owned());
        let query = AccountQuery {
            filter: AccountFilter {
                group: Some("ops".to_owned()),
                ..AccountFilter::default()
            },
            after: cursor(after),
            before: cursor(before),
            limit: 1,
            ..AccountQuery::default()
        };
        gateway.command(Command::FindUsers(query)).await
    };
    let first = find(None, None).await;
    let second = find(Some(&first["next"]), None).await;
    assert_eq!(emails(&second), ["bob@example.com"]);
    gateway
        .change_user("ann", AccountChange::SetGroups(BTreeSet::new()))
        .await;
    let before = find(None, Some(&second["previous"])).await;
    assert_eq!(emails(&before), ["bob@example.com"]);
    assert_eq!(before["previous"], Value::Null);
    let next = find(Some(&before["next"]), None).await;
    assert_eq!(emails(&next), ["cat@example.com"]);
}
