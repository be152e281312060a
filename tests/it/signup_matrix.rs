//! Every combination of the sign-up settings, through the page and through JSON (S15).

use serde_json::{Value, json};
use vestibule::config::SignupMode;
use vestibule::services::{AccountChange, Invitees, NewInvitations};

use crate::harness::{PASSWORD, Running, inviting};

#[derive(Clone, Copy, Debug)]
struct Switches {
    mode: SignupMode,
    verify: bool,
    approval: bool,
}

async fn gateway(switches: Switches) -> Running {
    Running::start(|config| {
        config.signup.mode = switches.mode;
        config.signup.verify_email = switches.verify;
        config.signup.approval = switches.approval;
        // None of the refusals here counts as a failure.
        config.lockout.max_failures = 1;
    })
    .await
}

async fn invitation(gateway: &Running) -> String {
    let new = NewInvitations {
        invitees: Invitees::Anyone(1),
        groups: ["ops".to_owned()].into(),
        ttl: std::time::Duration::from_hours(1),
        ..NewInvitations::default()
    };
    let made = gateway.command(inviting(new)).await;
    let link = made["link"].as_str().unwrap();
    link.split_once("invitation=").unwrap().1.to_owned()
}

/// Signs up in one of the two ways; returns the status for a program, and what comes next.
async fn sign_up(gateway: &Running, json: bool, username: &str, invitation: &str) -> (u16, Value) {
    let email = format!("{username}@example.com");
    let fields = [
        ("email", email.as_str()),
        ("username", username),
        ("password", PASSWORD),
        ("password_confirm", PASSWORD),
        ("invitation", invitation),
    ];
    if json {
        let document: serde_json::Map<String, Value> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let told = gateway
            .visitor()
            .post_json("/.auth/signup", Value::Object(document))
            .await;
        return (told.status, told.document["next"].clone());
    }
    let shown = gateway.visitor().submit("/.auth/signup", &fields).await;
    match shown.location.strip_prefix("/.auth/signup/done?next=") {
        Some(next) => {
            assert_eq!(shown.status, 303);
            let page = gateway.visitor().open(&shown.location).await;
            assert_eq!(page.status, 200);
            (201, json!(next))
        }
        None => (shown.status, Value::Null),
    }
}

async fn walk(switches: Switches) {
    for json in [true, false] {
        let gateway = gateway(switches).await;
        let invitation = invitation(&gateway).await;
        if switches.mode == SignupMode::Closed {
            for invitation in ["", invitation.as_str()] {
                let (status, _) = sign_up(&gateway, json, "ann", invitation).await;
                assert_eq!(status, 404, "{switches:?}");
            }
            assert_eq!(gateway.visitor().open("/.auth/signup").await.status, 404);
            continue;
        }
        if switches.mode == SignupMode::Invite {
            let (status, _) = sign_up(&gateway, json, "ann", "").await;
            assert_eq!(status, 422, "{switches:?}");
        }
        let used = if switches.mode == SignupMode::Invite {
            invitation.as_str()
        } else {
            ""
        };
        let made = sign_up(&gateway, json, "ann", used).await;
        let waits = if switches.approval { "approval" } else { "login" };
        let next = if switches.verify { "verify" } else { waits };
        assert_eq!(made, (201, json!(next)), "{switches:?}");

        let email = "ann@example.com";
        if switches.verify {
            let refused = gateway.try_sign_in(email, PASSWORD).await;
            assert_eq!(refused, (401, "not-verified".to_owned()), "{switches:?}");
            let token = gateway.mails_to(email, 1).await[0].token("verify");
            let next = if json {
                let told = gateway
                    .visitor()
                    .post_json("/.auth/verify", json!({ "token": token }))
                    .await;
                assert_eq!(told.status, 200, "{switches:?} {told:?}");
                told.document["next"].as_str().unwrap().to_owned()
            } else {
                let shown = gateway
                    .visitor()
                    .submit("/.auth/verify", &[("token", &token)])
                    .await;
                assert_eq!(shown.status, 303, "{switches:?}");
                shown.location.split_once("next=").unwrap().1.to_owned()
            };
            assert_eq!(next, waits, "{switches:?}");
        }
        if switches.approval {
            let refused = gateway.try_sign_in(email, PASSWORD).await;
            assert_eq!(refused, (401, "not-approved".to_owned()), "{switches:?}");
            gateway.change_user("ann", AccountChange::Approve).await;
        }
        assert_eq!(gateway.try_sign_in(email, PASSWORD).await.0, 200, "{switches:?}");
        if switches.mode == SignupMode::Invite {
            let (status, _) = sign_up(&gateway, json, "bob", used).await;
            assert_eq!(status, 422, "{switches:?}: it is used up");
        }
    }
}

async fn walk_all(mode: SignupMode) {
    for verify in [false, true] {
        for approval in [false, true] {
            walk(Switches {
                mode,
                verify,
                approval,
            })
            .await;
        }
    }
}

#[tokio::test]
async fn s15_closed_whatever_else_is_switched_on() {
    walk_all(SignupMode::Closed).await;
}

#[tokio::test]
async fn s15_by_invitation_and_then_what_comes_first() {
    walk_all(SignupMode::Invite).await;
}

#[tokio::test]
async fn s15_open_and_then_what_comes_first() {
    walk_all(SignupMode::Open).await;
}

#[tokio::test]
async fn administrators_hear_of_those_who_wait_when_they_can_decide() {
    for verify in [false, true] {
        let gateway = gateway(Switches {
            mode: SignupMode::Open,
            verify,
            approval: true,
        })
        .await;
        sign_up(&gateway, true, "root1", "").await;
        let root = "root1@example.com";
        let before = if verify {
            let token = gateway.mails_to(root, 1).await[0].token("verify");
            gateway
                .visitor()
                .post_json("/.auth/verify", json!({ "token": token }))
                .await;
            1
        } else {
            0
        };
        gateway.change_user("root1", AccountChange::Approve).await;
        gateway
            .change_user(
                "root1",
                AccountChange::SetGroups(["gateway-admin".to_owned()].into()),
            )
            .await;
        gateway.mails_to(root, before + 1).await;

        sign_up(&gateway, true, "ann", "").await;
        if verify {
            let token = gateway.mails_to("ann@example.com", 1).await[0].token("verify");
            assert_eq!(
                gateway.mails_to(root, before + 1).await.len(),
                before + 1,
                "not yet"
            );
            gateway
                .visitor()
                .post_json("/.auth/verify", json!({ "token": token }))
                .await;
        }
        let mails = gateway.mails_to(root, before + 2).await;
        assert!(mails[before + 1].text.contains("ann@example.com"), "{mails:?}");
        gateway
            .change_user_because("ann", AccountChange::Decline, "a secret reason")
            .await;
        let told = gateway.mails_to("ann@example.com", usize::from(verify) + 1).await;
        assert!(!told[usize::from(verify)].raw.contains("a secret reason"));
    }
}
