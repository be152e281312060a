//! `/.auth/admin/audit`, over the wire.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use vestibule::control::{Command, GivenPassword, NewInvitations, NewUser};
use vestibule::secret::Secret;

use crate::harness::{PASSWORD, Running, route};

const AUDIT: &str = "/.auth/admin/audit";

async fn gateway() -> Running {
    Running::start(|config| {
        config.login.change_username = true;
        config.route = vec![route("/", "authenticated", "demo:")];
    })
    .await
}

#[tokio::test]
async fn groups_that_an_invitation_or_a_command_gives_are_recorded_with_where_they_came_from() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    let groups = || BTreeSet::from(["ops".to_owned(), "dev".to_owned()]);
    let invite = async |email: &str| {
        let new = NewInvitations {
            email: Some(email.parse().unwrap()),
            groups: groups(),
            ttl: Duration::from_hours(24),
            count: 1,
        };
        let made = gateway.command(Command::CreateInvitations(new)).await[0].take();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("link"), text("id"), text("expires_at"))
    };
    let only = async |event: &str, who: &str| {
        let path = format!("{AUDIT}?event={event}&who={who}");
        let events = admin.ask(&path).await.document["events"].take();
        assert_eq!(events.as_array().unwrap().len(), 1, "{event}: {events}");
        assert_eq!(events[0]["who"], who);
        events[0]["detail"].as_str().unwrap().to_owned()
    };

    let (link, id, until) = invite("kim@example.com").await;
    let made = format!("invitation {id}, groups dev,ops, until {until}");
    assert_eq!(only("invitation-create", "kim@example.com").await, made);
    let (_, token) = link.split_once("invitation=").unwrap();
    let form = json!({
        "email": "kim@example.com", "username": "kim", "password": PASSWORD, "password_confirm": PASSWORD,
        "invitation": token, "agree": true,
    });
    assert_eq!(gateway.visitor().tell("/.auth/signup", form).await.status, 201);
    let used = format!("username kim, groups dev,ops, invitation {id}");
    assert_eq!(only("sign-up", "kim@example.com").await, used);
    assert_eq!(only("sign-up", "root1@example.com").await, "username root1");

    let (_, id, until) = invite("lee@example.com").await;
    let revoke = json!({ "action": "revoke", "invitation": id, "reason": "not coming" });
    assert_eq!(admin.tell("/.auth/admin/invitations", revoke).await.status, 204);
    let revoked = format!("invitation {id}, groups dev,ops, until {until}");
    assert_eq!(only("invitation-revoke", "lee@example.com").await, revoked);

    let new = NewUser {
        email: "park@example.com".parse().unwrap(),
        username: None,
        name: None,
        groups: groups(),
        password: GivenPassword::Plain(Secret::new(PASSWORD.to_owned())),
    };
    gateway.command(Command::AddUser(new)).await;
    assert_eq!(
        only("account-add", "park@example.com").await,
        "username park, groups dev,ops"
    );
}
