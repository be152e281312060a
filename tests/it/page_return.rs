//! Signing in leads back to the page that was requested, whatever its target looks like; signing out leads
//! where asked.

use serde_json::json;

use crate::harness::{Application, PASSWORD, Person, Running, route};

/// Navigates without a session, to any target and spelling of the host; returns status, `Location` and page.
async fn navigate(gateway: &Running, host: &str, sni: &str, target: &str) -> (u16, String, String) {
    let mut raw = gateway.raw_for(sni).await;
    let port = gateway.address.port();
    raw.send(format!(
        "GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/html\r\n\r\n"
    ))
    .await;
    let (status, head, page) = raw.answer_with_body().await;
    let location = head.lines().find_map(|line| line.strip_prefix("location: "));
    (status, location.unwrap_or_default().to_owned(), page)
}

/// Returns the parameter `rd` of a URL.
fn rd_of(location: &str) -> String {
    let (_, query) = location.split_once('?').unwrap();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "rd").unwrap().1.into_owned()
}

/// Signs in with this `rd`; returns where it leads.
async fn sign_in(visitor: &Person<'_>, rd: &str) -> String {
    let fields = [("login", "ann@example.com"), ("password", PASSWORD), ("rd", rd)];
    let answer = visitor.submit("/.auth/login", &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.page);
    answer.location
}

#[tokio::test]
async fn central_sign_in_leads_back_to_a_host_of_a_wildcard() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.session.cookie_domain = "example.com".to_owned();
        let mut route = route("/", "authenticated", &app.url());
        route.host = Some("*.wild.example.com".to_owned());
        config.route = vec![route];
    })
    .await;
    gateway.sign_up("ann@example.com", "ann", PASSWORD).await;
    let visitor = gateway.visitor();
    let wanted = gateway.url_of("any.wild.example.com", "/a?b=c");
    for host in [
        "any.wild.example.com",
        "ANY.Wild.example.com",
        "any.wild.example.com.",
    ] {
        let (status, location, _) = navigate(&gateway, host, "any.wild.example.com", "/a?b=c").await;
        assert_eq!(status, 303, "{host}");
        assert!(
            location.starts_with(&gateway.url("/.auth/login?rd=")),
            "{host}: {location}"
        );
        assert_eq!(sign_in(&visitor, &rd_of(&location)).await, wanted, "{host}");
    }
    // Browsers apply the form page's policy to the redirect.
    let page = gateway.client().get(gateway.url("/.auth/login"));
    let page = crate::harness::soon(page.send()).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    let below = gateway.url_of("*.wild.example.com", "");
    assert!(policy.contains(&below), "{policy}");
    for elsewhere in [
        gateway.url_of("wild.example.com", "/"),
        gateway.url_of("evilwild.example.com", "/"),
    ] {
        assert_eq!(sign_in(&visitor, &elsewhere).await, "/");
    }
}

#[tokio::test]
async fn a_wanted_place_is_kept_whatever_it_looks_like() {
    let app = Application::start().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    gateway.sign_up("ann@example.com", "ann", PASSWORD).await;
    let visitor = gateway.visitor();
    let on_host = |path: &str| gateway.url(path);
    let long = format!("/{}?{}", "a".repeat(20_000), "b".repeat(30_000));
    for (target, place) in [
        ("/a?path=C:\\temp\\x", "/a?path=C:\\temp\\x".to_owned()),
        ("/a?q=한글", "/a?q=%ED%95%9C%EA%B8%80".to_owned()),
        ("//a/b?c", on_host("//a/b?c")),
        ("/a?b=%2F&c=+d&e=%26", "/a?b=%2F&c=+d&e=%26".to_owned()),
        (&long, long.clone()),
    ] {
        let (status, location, _) = navigate(&gateway, "gw.example.com", "gw.example.com", target).await;
        assert_eq!(status, 303, "{target:.40}");
        let shown = visitor.open(&location).await;
        assert!(
            shown.status == 200 && shown.page.contains("name=\"rd\""),
            "{target:.40}"
        );
        assert_eq!(sign_in(&visitor, &rd_of(&location)).await, place, "{target:.40}");
    }
}

/// A target that fits into a request head, but not encoded in `rd`.
#[tokio::test]
async fn where_a_place_has_no_room_in_the_login_pages_address_the_page_is_shown_in_its_place() {
    let app = Application::start().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    gateway.sign_up("ann@example.com", "ann", PASSWORD).await;
    let place = format!("/a?{}", "b=%26&".repeat(10_000));
    let (status, _, page) = navigate(&gateway, "gw.example.com", "gw.example.com", &place).await;
    assert_eq!(status, 401);
    assert!(
        page.contains("action=\"&#x2f;.auth&#x2f;login\""),
        "{}",
        &page[page.len() - 4000..]
    );
    let back = sign_in(&gateway.visitor(), &place).await;
    assert!(back == place, "{back:.40}");
    // Other fields of a form get no extra room.
    let fields = [("login", "ann@example.com"), ("password", &*place), ("rd", "/")];
    let refused = gateway.visitor().submit("/.auth/login", &fields).await;
    assert_eq!(refused.status, 413);
}

#[tokio::test]
async fn signing_out_leads_where_it_was_asked_to() {
    let gateway = Running::start(|_| {}).await;
    gateway.signed_in("ann").await;
    let ann = async || Person {
        gateway: &gateway,
        email: "ann@example.com".to_owned(),
        cookie: gateway.sign_in("ann@example.com").await,
    };
    let person = ann().await;
    let page = person.open("/.auth/logout?rd=%2Fbye%3Fa").await.page;
    assert!(
        page.contains("name=\"rd\" value=\"&#x2f;bye?a\""),
        "the button leads there too: {page}"
    );
    let out = person.submit("/.auth/logout", &[("rd", "/bye?a")]).await;
    assert_eq!((out.status, out.location.as_str()), (303, "/bye?a"));
    assert!(!person.is_signed_in().await);
    for (address, location) in [
        ("/.auth/logout?rd=%2Fbye", "/bye"),
        ("/.auth/logout?rd=https%3A%2F%2Fevil.example%2F", "/"),
        ("/.auth/logout?rd=%2F%2Fevil.example", "/"),
        ("/.auth/logout?rd=", "/.auth/login"),
        ("/.auth/logout", "/.auth/login"),
    ] {
        let person = ann().await;
        let out = person.submit(address, &[]).await;
        assert_eq!((out.status, out.location.as_str()), (303, location), "{address}");
        assert!(!person.is_signed_in().await);
    }
    let nobody = gateway.visitor().open("/.auth/logout?rd=%2Fbye").await;
    assert!(nobody.page.contains("href=\"&#x2f;bye\""), "{}", nobody.page);
    let told = ann()
        .await
        .post_json("/.auth/logout", json!({ "rd": "https://evil.example/" }))
        .await;
    assert_eq!(told.status, 204);
}

#[tokio::test]
async fn whoever_signs_out_leaves_no_page_behind_in_the_browser() {
    let gateway = Running::start(|_| {}).await;
    let ann = gateway.person("ann").await;
    let out = ann.post_json("/.auth/logout", json!({})).await;
    assert_eq!(out.headers["clear-site-data"], "\"cache\"");
    let ann = ann.elsewhere().await;
    let deleted = ann
        .post_json("/.auth/account/delete", json!({ "current_password": PASSWORD }))
        .await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    assert_eq!(deleted.headers["clear-site-data"], "\"cache\"");
}
