//! The administrators' page of groups, over the wire.

use serde_json::json;
use vestibule::config::{Conditions, RouteConfig};
use vestibule::control::Command;

use crate::harness::{Running, route};

const GROUPS: &str = "/.auth/admin/groups";

#[tokio::test]
async fn groups_are_listed_with_members_and_routes_and_those_that_open_nothing_are_marked() {
    let gateway = Running::start(|config| {
        config.route.push(RouteConfig {
            allow: Conditions::of_groups(["ops"]).into(),
            ..route("/operators", "authenticated", "demo:")
        });
    })
    .await;
    let admin = gateway.administrator("root1").await;
    let ann = gateway.person("ann").await;
    assert_eq!(ann.open(GROUPS).await.status, 403);
    let set = json!({ "account": "ann", "action": "set-groups", "groups": "ops, <opps>" });
    admin.post_json("/.auth/admin/account", set).await;
    let printed = gateway.command(Command::ListGroups).await;
    let told = admin.get_json(GROUPS).await;
    assert_eq!((told.status, &told.document), (200, &printed));
    let page = admin.open(GROUPS).await.page;
    let row = |name: &str| {
        let rows = page.split("<tr>").skip(1);
        let mut rows = rows.filter(|row| row.contains(&format!("class=\"event\">{name}<")));
        rows.next()
            .unwrap_or_else(|| panic!("no {name}: {page}"))
            .replace("&#x2f;", "/")
    };
    let ops = row("ops");
    assert!(ops.contains("href=\"/.auth/admin/accounts?group=ops\""), "{ops}");
    assert!(
        ops.contains("/operators</code>") && !ops.contains("no route names it"),
        "{ops}"
    );
    let odd = row("&lt;opps&gt;");
    assert!(
        odd.contains("badge bad") && odd.contains("no route names it"),
        "{odd}"
    );
    let found = admin
        .get_json("/.auth/admin/accounts?group=%3Copps%3E")
        .await
        .document;
    assert_eq!(found["accounts"][0]["email"], "ann@example.com");
    assert_eq!(found["total_count"], 1);
    assert!(row("gateway-admin").contains("Administration"));
    assert!(page.contains("aria-current=\"page\">Groups"), "{page}");
    assert_eq!(admin.submit(GROUPS, &[]).await.status, 405);

    // Where groups are typed, these are suggested.
    for path in [
        "/.auth/admin/accounts",
        "/.auth/admin/accounts/new",
        "/.auth/admin/invitations",
    ] {
        let page = admin.open(path).await.page;
        assert!(
            page.contains("list=group-names") || page.contains("list=\"group-names\""),
            "{path}: {page}"
        );
        assert!(page.contains("<option value=\"&lt;opps&gt;\">"), "{path}: {page}");
    }
    let page = admin.open("/.auth/admin/account?id=root1").await.page;
    assert!(page.contains("<option value=\"gateway-admin, ops\">"), "{page}");
}
