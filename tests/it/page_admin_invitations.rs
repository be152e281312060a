//! The administrators' page of invitations, over the wire: as a form without scripts, and as JSON.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::config::SecretSource;
use vestibule::model::Email;
use vestibule::secret::Secret;
use vestibule::services::{Invitees, NewInvitations};

use crate::harness::{PASSWORD, Running, inviting};

const INVITATIONS: &str = "/.auth/admin/invitations";

#[tokio::test]
async fn invitations_are_made_listed_and_revoked() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let fields = [
        ("email", "guest@example.com"),
        ("groups", "ops, dev"),
        ("days", "1"),
        ("count", "1"),
    ];
    let shown = admin.submit(INVITATIONS, &fields).await;
    assert_eq!(shown.status, 200, "{}", shown.page);
    assert!(shown.page.contains("signup?invitation="), "the link, once");
    assert!(!admin.open(INVITATIONS).await.page.contains("?invitation="));
    let made = admin
        .post_json(INVITATIONS, json!({ "count": "2", "reason": "a fair" }))
        .await;
    assert_eq!(
        (
            made.status,
            made.document["invitations"].as_array().unwrap().len()
        ),
        (201, 2)
    );

    let listed = admin.get_json(INVITATIONS).await.document["invitations"].clone();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0]["email"], "guest@example.com");
    assert_eq!(listed[0]["groups"], json!(["dev", "ops"]));
    let id = listed[0]["id"].as_str().unwrap();
    let revoked = admin
        .submit(INVITATIONS, &[("action", "revoke"), ("invitation", id)])
        .await;
    assert_eq!(revoked.status, 303);
    let again = admin
        .post_json(INVITATIONS, json!({ "action": "revoke", "invitation": id }))
        .await;
    assert_eq!(again.status, 404);
    assert_eq!(
        admin.get_json(INVITATIONS).await.document["invitations"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let wrong = [
        ("email", "nobody"),
        ("groups", "a\nb"),
        ("days", "0"),
        ("count", "101"),
    ];
    let refused = admin.submit(INVITATIONS, &wrong).await;
    assert_eq!(refused.status, 422);
    for field in ["email", "groups", "days", "count"] {
        assert!(
            refused.page.contains(&format!("id=\"{field}-error\"")),
            "{field}: {}",
            refused.page
        );
    }
    for (days, count) in [("+7", "+1"), ("07", "01"), ("7.0", "1.0")] {
        let refused = admin
            .submit(INVITATIONS, &[("days", days), ("count", count)])
            .await;
        assert_eq!(refused.status, 422, "{days} {count}");
        for field in ["days", "count"] {
            assert!(
                refused.page.contains(&format!("id=\"{field}-error\"")),
                "{days} {count}"
            );
        }
    }
    let told = admin.post_json(INVITATIONS, json!({ "email": "nobody" })).await;
    assert!(told.status == 422 && told.document["errors"]["email"].is_string());
}

#[tokio::test]
async fn one_that_is_mailed_is_in_the_mail_alone_and_serves_that_address() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let fields = [
        ("email", "guest@example.com"),
        ("groups", "ops"),
        ("send", "true"),
    ];
    let sent = admin.submit(&format!("{INVITATIONS}?lang=ko"), &fields).await;
    let done = format!("{INVITATIONS}?done=send");
    assert_eq!((sent.status, &sent.location), (303, &done), "{}", sent.page);
    let page = admin.open(&done).await.page;
    assert!(
        page.contains("on its way") && !page.contains("?invitation="),
        "{page}"
    );
    let mail = gateway.mails_to("guest@example.com", 1).await.remove(0);
    assert!(
        mail.subject.contains("초대"),
        "in the page's language: {}",
        mail.subject
    );

    let told = admin
        .post_json(
            INVITATIONS,
            json!({ "email": "other@example.com", "send": true, "days": 1 }),
        )
        .await;
    assert_eq!(told.status, 201, "{}", told.document);
    let mailed = told.document["invitations"].as_array().unwrap();
    assert_eq!(
        (mailed.len(), &mailed[0]["email"]),
        (1, &json!("other@example.com"))
    );
    assert!(
        !told.document.to_string().contains("invitation="),
        "{}",
        told.document
    );
    assert!(
        gateway.mails_to("other@example.com", 1).await[0]
            .subject
            .contains("invited")
    );

    let (_, token) = mail.link("/.auth/signup").split_once("invitation=").unwrap();
    let sign_up = async |email: &str| {
        let form = json!({
            "email": email, "username": "gus", "password": PASSWORD, "password_confirm": PASSWORD, "invitation": token,
        });
        gateway.visitor().post_json("/.auth/signup", form).await
    };
    let refused = sign_up("stranger@example.com").await;
    assert!(refused.status == 422 && refused.document["errors"]["invitation"].is_string());
    assert_eq!(sign_up("guest@example.com").await.status, 201);
    let guest = admin.get_json("/.auth/admin/account?id=gus").await.document;
    assert_eq!(guest["groups"], json!(["ops"]));
}

#[tokio::test]
async fn nothing_is_mailed_to_nobody_or_to_whoever_has_an_account() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    for fields in [
        json!({ "send": true }),
        json!({ "send": true, "email": "nobody" }),
        json!({ "send": true, "email": "root1@example.com" }),
    ] {
        let told = admin.post_json(INVITATIONS, fields.clone()).await;
        assert_eq!(told.status, 422, "{fields}");
        assert!(told.document["errors"]["email"].is_string(), "{}", told.document);
    }
    let shown = admin.submit(INVITATIONS, &[("send", "true")]).await;
    assert_eq!(shown.status, 422);
    assert!(shown.page.contains("id=\"email-error\""), "{}", shown.page);
    assert_eq!(
        admin.get_json(INVITATIONS).await.document["invitations"],
        json!([])
    );
    gateway.mails_are_out("fence").await;
    assert_eq!(gateway.outbox().len(), 1, "the fence's");
}

#[tokio::test]
async fn the_record_is_that_of_the_command() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let fields =
        json!({ "email": "page@example.com", "groups": "dev,ops", "send": true, "reason": "a fair" });
    let made = admin.post_json(INVITATIONS, fields).await.document["invitations"][0].take();
    let new = NewInvitations {
        invitees: Invitees::Mailed(vec!["command@example.com".parse::<Email>().unwrap().into()]),
        groups: BTreeSet::from(["ops".to_owned(), "dev".to_owned()]),
        ttl: Duration::from_hours(7 * 24),
        ..NewInvitations::default()
    };
    let commanded = gateway.command(inviting(new)).await["invitations"][0].take();
    let recorded = async |invitation: &Value| {
        let who = invitation["email"].as_str().unwrap();
        let path = format!("/.auth/admin/audit?event=invitation-create&who={who}");
        let event = admin.get_json(&path).await.document["events"][0].take();
        let text = |name: &str| invitation[name].as_str().unwrap().to_owned();
        let detail = event["detail"].as_str().unwrap();
        let detail = detail
            .replace(&text("id"), "ID")
            .replace(&text("expires_at"), "END");
        (detail, event["by"].clone(), event["why"].clone())
    };
    let (detail, by, why) = recorded(&made).await;
    assert_eq!(detail, "invitation ID, groups dev,ops, until END");
    assert_eq!((by, why), (json!("root1@example.com"), json!("a fair")));
    assert_eq!(recorded(&commanded).await.0, detail);
}

#[tokio::test]
async fn the_box_is_there_where_mails_reach_people() {
    let offers = async |url: Option<&str>| {
        let gateway = Running::start(|config| {
            if let Some(url) = url {
                config.mail.url = SecretSource::Text(Secret::new(url.to_owned()));
            }
        })
        .await;
        let admin = gateway.administrator("root1").await;
        admin.open(INVITATIONS).await.page.contains("name=\"send\"")
    };
    assert!(offers(Some("smtp://127.0.0.1:1")).await);
    assert!(!offers(None).await, "nobody reads what is written into a folder");
}
