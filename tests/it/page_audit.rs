//! `/.auth/admin/audit` and `vestibule audit`: which subjects an account filter names, and filters without
//! effect.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use vestibule::control::{AuditQuery, Command};
use vestibule::model::Email;
use vestibule::secret::Secret;
use vestibule::services::{
    AccountChange, InitialPassword, Invitees, NewAccount, NewInvitations, NewPassword,
};
use vestibule::store::{AuditFilter, AuditOrder};

use crate::harness::{PASSWORD, Person, Running, inviting};

const AUDIT: &str = "/.auth/admin/audit";

async fn gateway() -> Running {
    Running::start(|config| {
        config.login.change_username = true;
    })
    .await
}

/// Returns event and account of what the page finds; asserts that the link from an account's page and the
/// command find equal events.
async fn found(admin: &Person<'_>, name: &str) -> Vec<String> {
    let encoded = name.replace('@', "%40");
    let ask =
        async |query: String| admin.get_json(&format!("{AUDIT}?{query}")).await.document["events"].take();
    let page = ask(format!("who={encoded}")).await;
    let link = ask(format!("account={encoded}")).await;
    let query = AuditQuery {
        account: Some(name.to_owned()),
        filter: AuditFilter::default(),
        order: AuditOrder::NewestFirst,
        after: None,
        exports: false,
        limit: 50,
    };
    let command = admin.gateway.command(Command::ReadAudit(query)).await["events"].take();
    assert_eq!(page, link, "{name}");
    assert_eq!(page, command, "{name}");
    let names = page.as_array().unwrap().iter().rev();
    names
        .map(|event| {
            format!(
                "{} {}",
                event["event"].as_str().unwrap(),
                event["user"].as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test]
async fn every_name_that_somebody_has_or_had_finds_all_of_theirs_on_the_page_and_by_command() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    let mina = gateway.person("mina").await;
    let visitor = gateway.visitor();
    let forgot = json!({ "email": "MINA@example.com" });
    assert_eq!(visitor.post_json("/.auth/forgot", forgot).await.status, 202);
    let wants = json!({ "username": "minah", "current_password": PASSWORD });
    assert_eq!(mina.post_json("/.auth/account/username", wants).await.status, 200);
    let wants = json!({ "email": "mina@new.example", "current_password": PASSWORD });
    assert_eq!(mina.post_json("/.auth/account/email", wants).await.status, 202);
    let token = gateway.mails_to("mina@new.example", 1).await[0].token("verify");
    assert_eq!(
        visitor
            .post_json("/.auth/verify", json!({ "token": token }))
            .await
            .status,
        200
    );
    let forgot = json!({ "email": "mina@new.example" });
    assert_eq!(visitor.post_json("/.auth/forgot", forgot).await.status, 202);

    let own = [
        "sign-up mina@example.com",
        "sign-in mina@example.com",
        "proof mina@example.com",
        "username-change mina@example.com",
        "proof mina@example.com",
        "email-change-request mina@example.com",
        "email-change mina@new.example",
        "reset-request mina@new.example",
    ];
    let id = admin.get_json("/.auth/admin/account?id=minah").await.document["id"].take();
    for name in [
        "mina",
        "minah",
        "mina@new.example",
        " Mina@New.example",
        id.as_str().unwrap(),
    ] {
        assert_eq!(found(&admin, name).await, own, "{name}");
    }
    // Events about her earlier address are found by that address.
    let asked = "reset-request MINA@example.com";
    let mut with_address: Vec<&str> = own.to_vec();
    with_address.insert(2, asked);
    assert_eq!(found(&admin, "mina@example.com").await, with_address);

    // Deleted accounts, and a new account with the same address.
    let bob = gateway.person("bob").await;
    let fields = [("current_password", PASSWORD)];
    assert_eq!(bob.submit("/.auth/account/delete", &fields).await.status, 200);
    let gone = [
        "sign-up bob@example.com",
        "sign-in bob@example.com",
        "proof bob@example.com",
        "account-delete bob@example.com",
    ];
    assert_eq!(found(&admin, "bob").await, gone);
    gateway.sign_up("bob@example.com", "bob2", PASSWORD).await;
    let next = ["sign-up bob@example.com"];
    assert_eq!(
        found(&admin, "bob@example.com").await,
        [&gone[..], &next].concat()
    );
    assert_eq!(found(&admin, "bob").await, gone, "his alone");
    assert!(found(&admin, "nobody").await.is_empty());

    // An administrator's action counts as theirs, and does not become the other account's.
    let acted = json!({ "account": "bob2", "action": "unlock" });
    assert_eq!(admin.post_json("/.auth/admin/account", acted).await.status, 200);
    let by = found(&admin, "root1@example.com").await;
    assert_eq!(by.last().unwrap(), "unlock bob@example.com");
    assert!(!by.contains(&next[0].to_owned()), "{by:?}");
    assert_eq!(found(&admin, "root1").await, by);
}

#[tokio::test]
async fn a_filter_that_means_nothing_is_refused() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    for (query, field, says) in [
        ("audit?event=bogus", "event", "sign-in, signed-request"),
        ("audit?outcome=bogus", "outcome", "success, failure"),
        ("audit?from=garbage", "from", "2026-01-31"),
        ("audit?until=2026-02-30", "until", "2026-01-31"),
        ("audit?until=soon&export=lines", "until", "2026-01-31"),
        ("audit?client=nowhere", "client", "192.0.2.0/24"),
        ("audit?who=a&account=b", "who", "not by both"),
        (
            "accounts?status=bogus",
            "status",
            "awaiting-approval, active, disabled, declined",
        ),
    ] {
        let path = format!("/.auth/admin/{query}");
        let told = admin.get_json(&path).await;
        assert_eq!((told.status, told.problem()), (422, "invalid-input"), "{query}");
        let message = told.document["errors"][field].as_str().unwrap();
        assert!(message.contains(says), "{query}: {message}");
        let shown = admin.open(&path).await;
        assert_eq!(shown.status, 422, "{query}");
        assert!(
            shown.page.contains("role=\"alert\"") && shown.page.contains(&format!("id=\"{field}-error\"")),
            "{query}: {}",
            shown.page
        );
        let shown = admin.open(&format!("{path}&lang=ko")).await.page;
        assert!(
            !shown.contains("This must") && !shown.contains("This is neither"),
            "{shown}"
        );
    }
    assert_eq!(admin.get_json("/.auth/admin/audit?after=x").await.status, 422);
    for query in ["audit?event=&outcome=&from=&until=&who=", "accounts?status=&q="] {
        assert_eq!(
            admin.get_json(&format!("/.auth/admin/{query}")).await.status,
            200,
            "{query}"
        );
    }
}

#[tokio::test]
async fn groups_that_an_invitation_or_a_command_gives_are_recorded_with_where_they_came_from() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    let groups = || BTreeSet::from(["ops".to_owned(), "dev".to_owned()]);
    let invite = async |email: &str| {
        let new = NewInvitations {
            invitees: Invitees::Only(vec![email.parse::<Email>().unwrap().into()]),
            groups: groups(),
            ttl: Duration::from_hours(24),
            ..NewInvitations::default()
        };
        let made = gateway.command(inviting(new)).await["invitations"][0].take();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("link"), text("id"), text("expires_at"))
    };
    let only = async |event: &str, who: &str| {
        let path = format!("{AUDIT}?event={event}&who={who}");
        let events = admin.get_json(&path).await.document["events"].take();
        assert_eq!(events.as_array().unwrap().len(), 1, "{event}: {events}");
        assert_eq!(events[0]["user"], who);
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
    assert_eq!(
        gateway.visitor().post_json("/.auth/signup", form).await.status,
        201
    );
    let used = format!("username kim, groups dev,ops, invitation {id}");
    assert_eq!(only("sign-up", "kim@example.com").await, used);
    assert_eq!(only("sign-up", "root1@example.com").await, "username root1");

    let (_, id, until) = invite("lee@example.com").await;
    let revoke = json!({ "action": "revoke", "invitation": id, "reason": "not coming" });
    assert_eq!(
        admin.post_json("/.auth/admin/invitations", revoke).await.status,
        204
    );
    let revoked = format!("invitation {id}, groups dev,ops, until {until}");
    assert_eq!(only("invitation-revoke", "lee@example.com").await, revoked);

    let new = NewAccount {
        email: "park@example.com".parse().unwrap(),
        username: None,
        name: None,
        groups: groups(),
        password: InitialPassword::Set(NewPassword::Plain(Secret::new(PASSWORD.to_owned()))),
    };
    gateway.command(Command::AddUser(new)).await;
    assert_eq!(
        only("account-add", "park@example.com").await,
        "username park, groups dev,ops"
    );
}

#[tokio::test]
async fn the_page_says_in_the_readers_language_what_the_record_says_in_its_own() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    let groups = AccountChange::SetGroups(BTreeSet::from(["dev".to_owned(), "gateway-admin".to_owned()]));
    gateway.change_user("root1", groups).await;
    let page = admin.open(&format!("{AUDIT}?lang=ko")).await.page;
    for words in [
        "사용자 이름 root1",
        "그룹: dev, gateway-admin",
        "<td data-heading=\"수행자\">명령 (uid ",
        "세션 0",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for slugs in ["username root1", "groups dev", "command (uid", "session 0"] {
        assert!(!page.contains(slugs), "{slugs}: {page}");
    }
    let told = admin
        .get_json(&format!("{AUDIT}?event=groups-change"))
        .await
        .document;
    assert_eq!(told["events"][0]["detail"], "groups dev,gateway-admin");
}

#[tokio::test]
async fn events_are_found_by_request_by_client_and_to_the_second_and_lead_on() {
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    gateway.person("mina").await;
    let all = admin.get_json(&format!("{AUDIT}?who=mina")).await.document["events"].take();
    let [sign_in, sign_up] = [&all[0], &all[1]];
    let text = |event: &serde_json::Value, name: &str| event[name].as_str().unwrap().to_owned();
    let found = async |query: &str| {
        let path = format!("{AUDIT}?{query}");
        let events = admin.get_json(&path).await.document["events"].take();
        events.as_array().unwrap().clone()
    };
    let request = text(sign_in, "request_id");
    let of_request = found(&format!("request={request}")).await;
    assert_eq!(of_request, std::slice::from_ref(sign_in));
    assert!(found(&format!("request={request}&who=root1")).await.is_empty());
    for (client, count) in [
        ("127.0.0.1", 2),
        ("127.0.0.0%2F8", 2),
        ("127.0.0.2", 0),
        ("%3A%3A1", 0),
    ] {
        assert_eq!(
            found(&format!("who=mina&client={client}")).await.len(),
            count,
            "{client}"
        );
    }
    // By the second, as the page's fields send it, in UTC.
    let at = |event| text(event, "time")[..19].replace(':', "%3A");
    let second = at(sign_up);
    let since = found(&format!("who=mina&from={second}")).await;
    assert!(since.contains(sign_up), "{since:?}");
    let before = found(&format!("who=mina&until={second}")).await;
    assert!(!before.contains(sign_up), "{before:?}");

    let page = admin
        .open(&format!("{AUDIT}?who=mina&from={second}&client=127.0.0.1"))
        .await
        .page;
    let value = text(sign_up, "time")[..19].to_owned();
    for part in [
        format!("href=\"/.auth/admin/account?id={}\"", text(sign_in, "account")),
        "href=\"/.auth/admin/audit?client=127.0.0.1\"".to_owned(),
        format!("href=\"/.auth/admin/request?id={request}\""),
        "data-seconds>".to_owned(),
        format!("value=\"{value}\""),
    ] {
        assert!(page.contains(&part), "{part}: {page}");
    }
    let clock = &text(sign_in, "time")[11..19];
    assert!(page.contains(&format!("{clock} UTC</time>")), "{clock}: {page}");
    let lines = admin
        .open(&format!("{AUDIT}?request={request}&export=lines"))
        .await
        .page;
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[tokio::test]
async fn the_page_of_a_request_tells_what_the_command_tells() {
    const REQUEST: &str = "/.auth/admin/request";
    let gateway = gateway().await;
    let admin = gateway.administrator("root1").await;
    let mina = gateway.person("mina").await;
    assert_eq!(mina.open("/.auth/admin").await.status, 403);
    let denied = admin
        .get_json(&format!("{AUDIT}?event=admin-denied"))
        .await
        .document["events"][0]
        .take();
    let id = denied["request_id"].as_str().unwrap();
    let path = format!("{REQUEST}?id={id}");
    let told = admin.get_json(&path).await;
    assert_eq!(told.status, 200, "{}", told.document);
    let command = gateway.command(Command::ExplainRequest(id.to_owned())).await;
    assert_eq!(told.document, command);
    assert_eq!(told.document["recent"]["status"], 403);
    assert_eq!(told.document["events"][0]["event"], "admin-denied");
    let page = admin.open(&path).await.page;
    for part in [
        "<code>forbidden</code>",
        "GET gw.example.com&#x2f;.auth&#x2f;admin",
        ">mina</a>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let unknown = admin.open(&format!("{REQUEST}?id=nothing")).await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.page.contains("Nothing is known"), "{}", unknown.page);
    assert_eq!(admin.get_json(&format!("{REQUEST}?id=nothing")).await.status, 404);
    assert_eq!(admin.open(REQUEST).await.status, 200);
    assert_eq!(mina.open(REQUEST).await.status, 403);
    let post = admin.submit(REQUEST, &[("id", id)]).await;
    assert_eq!(post.status, 405);
}
