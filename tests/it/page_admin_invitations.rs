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
    let made = admin.submit(INVITATIONS, &fields).await;
    let done = format!("{INVITATIONS}?done=create");
    assert_eq!((made.status, &made.location), (303, &done), "{}", made.page);
    let shown = admin.open(&done).await;
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

#[tokio::test]
async fn a_page_that_is_loaded_again_makes_no_more_and_shows_no_link_again() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let other = gateway.administrator("root2").await;
    let made = admin.submit(INVITATIONS, &[("count", "2")]).await;
    assert_eq!(made.status, 303, "{}", made.page);
    assert!(!made.location.contains("invitation="), "{}", made.location);
    let elsewhere = other.open(&made.location).await;
    assert!(!elsewhere.page.contains("?invitation="), "another session");
    let program = admin.get_json(&made.location).await.document.to_string();
    assert!(!program.contains("?invitation="), "{program}");
    let links = |page: &str| page.matches("signup?invitation=").count();
    assert_eq!(links(&admin.open(&made.location).await.page), 2);
    let again = admin.open(&made.location).await.page;
    assert_eq!(links(&again), 0, "{again}");
    assert!(again.contains("shown once"), "{again}");
    let listed = admin.get_json(INVITATIONS).await.document["invitations"].take();
    assert_eq!(listed.as_array().unwrap().len(), 2);
}

/// Else it would end with a right that is somebody else's.
#[tokio::test]
async fn an_invitation_of_somebody_else_is_no_equal_one() {
    let gateway = Running::start(|_| {}).await;
    let (first, second) = (
        gateway.administrator("root1").await,
        gateway.administrator("root2").await,
    );
    let wanted = json!({ "email": "guest@example.com", "groups": "ops", "send": true });
    for (admin, unchanged) in [(&first, 0), (&first, 1), (&second, 0), (&second, 1)] {
        let told = admin.post_json(INVITATIONS, wanted.clone()).await.document;
        assert_eq!(told["unchanged"].as_array().unwrap().len(), unchanged, "{told}");
    }
    let live = first.get_json(INVITATIONS).await.document["invitations"].take();
    assert_eq!(live.as_array().unwrap().len(), 1, "{live}");
}

#[tokio::test]
async fn one_that_is_there_already_is_mailed_again_by_its_row_alone() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    let fields = [
        ("email", "guest@example.com"),
        ("groups", "ops"),
        ("send", "true"),
        ("days", "30"),
    ];
    let sent = admin.submit(INVITATIONS, &fields).await;
    assert_eq!(
        (sent.status, sent.location.as_str()),
        (303, "/.auth/admin/invitations?done=send")
    );
    let first = gateway.mails_to("guest@example.com", 1).await.remove(0);
    let unsent = admin.submit(INVITATIONS, &fields).await;
    assert_eq!(
        (unsent.status, unsent.location.as_str()),
        (303, "/.auth/admin/invitations?done=unchanged")
    );
    let page = admin.open(&unsent.location).await.page;
    assert!(page.contains("nothing was sent"), "{page}");
    let told = admin
        .post_json(
            INVITATIONS,
            json!({ "email": "guest@example.com", "groups": "ops", "send": true }),
        )
        .await;
    assert_eq!(told.status, 200, "{}", told.document);
    assert_eq!(told.document["unchanged"].as_array().unwrap().len(), 1);
    gateway.mails_are_out("fence").await;
    assert_eq!(gateway.outbox().len(), 2, "one mail, and the fence's");

    let listed = async || admin.get_json(INVITATIONS).await.document["invitations"].take();
    let id = listed().await[0]["id"].as_str().unwrap().to_owned();
    let again = [
        ("action", "send"),
        ("invitation", id.as_str()),
        ("reason", "lost"),
    ];
    let again = admin.submit(INVITATIONS, &again).await;
    assert_eq!(again.status, 303, "{}", again.page);
    let second = gateway.mails_to("guest@example.com", 2).await.remove(1);
    assert_ne!(first.link("/.auth/signup"), second.link("/.auth/signup"));
    let rows = listed().await;
    assert_eq!(
        rows.as_array().unwrap().len(),
        1,
        "it took the place of the first: {rows}"
    );
    assert_eq!(
        (&rows[0]["groups"], &rows[0]["mailed"]),
        (&json!(["ops"]), &json!(true))
    );
    let time = |name: &str| {
        rows[0][name]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    assert_eq!(
        time("expires_at").duration_since(time("created_at")).as_hours(),
        30 * 24
    );
    let events = admin
        .get_json("/.auth/admin/audit?event=invitation-create&who=guest@example.com")
        .await
        .document["events"]
        .take();
    assert_eq!(
        (&events[0]["why"], &events[0]["by"]),
        (&json!("lost"), &json!("root1@example.com"))
    );

    // Gone, or bound to nobody.
    let gone = admin
        .post_json(INVITATIONS, json!({ "action": "send", "invitation": id }))
        .await;
    assert_eq!(gone.status, 404);
    let gone = admin
        .submit(INVITATIONS, &[("action", "send"), ("invitation", id.as_str())])
        .await;
    assert_eq!(gone.location, "/.auth/admin/invitations?done=gone");
    // Of one that was replaced nobody is told that it is revoked: another one lives.
    let gone = admin
        .submit(INVITATIONS, &[("action", "revoke"), ("invitation", id.as_str())])
        .await;
    assert_eq!(gone.location, "/.auth/admin/invitations?done=gone");
    let open = admin.post_json(INVITATIONS, json!({ "count": 1 })).await.document["invitations"][0].take();
    let open = json!({ "action": "send", "invitation": open["id"] });
    assert_eq!(admin.post_json(INVITATIONS, open).await.status, 404);
}

#[tokio::test]
async fn invitations_are_found_by_a_part_and_downloaded_as_a_table() {
    let gateway = Running::start(|_| {}).await;
    let admin = gateway.administrator("root1").await;
    for (email, groups) in [
        ("ann@example.com", "ops"),
        ("bob@example.com", "dev"),
        ("cid@other.example", "ops"),
    ] {
        let fields = json!({ "email": email, "groups": groups });
        assert_eq!(admin.post_json(INVITATIONS, fields).await.status, 201);
    }
    let found = async |q: &str| -> Vec<String> {
        let document = admin.get_json(&format!("{INVITATIONS}?q={q}")).await.document;
        assert_eq!(document["next"], Value::Null);
        let invitations = document["invitations"].as_array().unwrap().iter();
        invitations
            .map(|one| {
                one["email"]
                    .as_str()
                    .unwrap()
                    .split('@')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(found("OTHER.example").await, ["cid"]);
    assert_eq!(found("b%40ex").await, ["bob"]);
    assert_eq!(found("ops").await, ["ann", "cid"]);
    assert_eq!(found("root1").await, ["ann", "bob", "cid"]);
    assert!(found("nobody").await.is_empty());
    let page = admin.open(&format!("{INVITATIONS}?q=ann")).await.page;
    assert!(
        page.contains("by root1@example.com") && !page.contains("bob@"),
        "{page}"
    );
    let table = admin.open(&format!("{INVITATIONS}?q=ops&export=csv")).await;
    assert_eq!(table.status, 200);
    let lines: Vec<&str> = table.page.lines().collect();
    assert_eq!(lines.len(), 3, "{}", table.page);
    assert_eq!(
        lines[0],
        "email,name,groups,language,kind,created_at,created_by,expires_at,mailed,approves,id"
    );
    assert!(lines[1].starts_with("ann@example.com,,ops,"), "{}", lines[1]);
    assert!(!table.page.contains("invitation="), "no link");

    // More than a page.
    assert_eq!(
        admin.post_json(INVITATIONS, json!({ "count": 60 })).await.status,
        201
    );
    let first = admin.get_json(INVITATIONS).await.document;
    assert_eq!(first["invitations"].as_array().unwrap().len(), 50);
    let next = format!("{INVITATIONS}?after={}", first["next"].as_str().unwrap());
    let second = admin.get_json(&next).await.document;
    assert_eq!(second["invitations"].as_array().unwrap().len(), 13);
    assert_eq!(second["next"], Value::Null);
    assert!(admin.open(INVITATIONS).await.page.contains("after="));
    assert_eq!(
        admin.get_json(&format!("{INVITATIONS}?after=x")).await.status,
        422
    );
}
