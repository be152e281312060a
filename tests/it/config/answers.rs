//! What a route cannot change in answers, nor answer itself.

use super::{errors, warnings};

#[test]
fn what_cannot_be_a_response_header_is_an_error_where_it_stands() {
    let text = r#"
        public_url = "https://localhost:8443"
        [[route]]
        upstream = "demo:"
        [route.response_headers]
        "X Y" = "1"
        X-A = "a\nb"
        Content-Length = "5"
        Set-Cookie = "a=b"
        Sec-WebSocket-Accept = ""
        Server = ""
        server = "x"
        X-Frame-Options = "DENY"
    "#;
    let found = errors(text);
    let own = "this header belongs to the gateway or to the connection";
    for (name, reason) in [
        ("\"X Y\"", "not a header's name"),
        ("X-A", "not a header's value: it is one line"),
        ("Content-Length", own),
        (
            "Set-Cookie",
            "cookies are set by applications; an empty value removes theirs",
        ),
        ("Sec-WebSocket-Accept", own),
        ("server", "named twice"),
    ] {
        let said = format!("route[0].response_headers.{name}");
        let is_said = |error: &String| error.contains(&said) && error.contains(reason);
        assert!(found.iter().any(is_said), "{name}: {found:?}");
    }
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn what_a_route_cannot_answer_itself_is_an_error_where_it_stands() {
    let mut faults = Vec::new();
    for (route, said) in [
        (
            "upstream = \"demo:\"\nredirect = \"https://a.example\"",
            "route[0].upstream: a route has one of",
        ),
        (
            "respond = {}\nredirect = \"https://a.example\"",
            "route[0].respond: a route has one of",
        ),
        ("redirect = \"docs.example.com\"", "route[0].redirect: not a URL"),
        (
            "redirect = \"//docs.example.com\"",
            "route[0].redirect: not a URL",
        ),
        ("redirect = '/\\docs.example.com'", "route[0].redirect: not a URL"),
        (
            "redirect = 'https://a.example\\b'",
            "route[0].redirect: not a URL",
        ),
        (
            "redirect = \"https:docs.example.com\"",
            "route[0].redirect: not a URL",
        ),
        (
            "redirect = \"javascript:alert(1)\"",
            "route[0].redirect: not a URL",
        ),
        ("redirect = \"https://a b/\"", "route[0].redirect: not a URL"),
        (
            "redirect = \"/x?y\"",
            "route[0].redirect: leads to this route again",
        ),
        (
            "path = \"/x\"\nredirect = \"/x/y\"",
            "route[0].redirect: leads to this route again",
        ),
        ("respond = { status = 302 }", "route[0].respond.status: a status"),
        ("respond = { status = 99 }", "route[0].respond.status: a status"),
        (
            "respond = { status = 204, text = \"x\" }",
            "route[0].respond.text: an answer",
        ),
        ("respond = { txt = \"x\" }", "route[0].respond.txt"),
    ] {
        let found = errors(&format!(
            "public_url = \"https://localhost:8443\"\n[[route]]\n{route}\n"
        ));
        if found.len() != 1 || !found[0].contains(said) {
            faults.push(format!("{route}: {found:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    for route in [
        "path = \"/old\"\nredirect = \"/x?y\"",
        "path = \"/x\"\nredirect = \"/xy\"",
        "redirect = \"/.auth/login\"",
        "redirect = \"/app/\"\n[[route]]\npath = \"/app\"\nupstream = \"demo:\"",
        "respond = {}",
        "respond = { status = 503, text = \"x\" }",
    ] {
        let found = errors(&format!(
            "public_url = \"https://localhost:8443\"\n[[route]]\n{route}\n"
        ));
        assert_eq!(found, Vec::<String>::new(), "{route}");
    }
}

#[test]
fn compression_of_what_the_gateway_answers_itself_says_nothing() {
    let warned = |route: &str| {
        let text = format!("public_url = \"https://localhost:8443\"\n[[route]]\ncompress = true\n{route}\n");
        let warnings = warnings(&text);
        warnings
            .iter()
            .any(|warning| warning.contains("route[0].compress: says nothing"))
    };
    assert!(warned("respond = { text = \"x\" }"));
    assert!(warned("redirect = \"https://a.example/\""));
    assert!(!warned("upstream = \"demo:\""));
}

#[test]
fn what_routes_and_upstreams_have_instead_is_checked_where_it_stands() {
    let text = r#"
        public_url = "https://localhost:8443"
        limits.request_body = "0B"
        [upstream.app]
        servers = ["http://127.0.0.1:3000"]
        timeouts = { connect = "0s", read = "1s" }
        [[route]]
        path = "/app"
        upstream = "app"
        strip_prefix = "/ap"
        timeouts = { idle = "0s" }
        [[route]]
        path = "/other"
        upstream = "app"
        compat = "backend.ai"
        strip_prefix = true
        limits = { request_body = "0B" }
        [[route]]
        path = "/third"
        upstream = "app"
        strip_prefix = 1
    "#;
    let found = errors(text);
    let at_least = "must be at least 1B";
    for said in [
        format!("limits.request_body: {at_least}"),
        format!("route[1].limits.request_body: {at_least}"),
        "upstream.app.timeouts.connect: must be longer than 0".to_owned(),
        "upstream.app.timeouts.read: unknown".to_owned(),
        "route[0].timeouts.idle: must be longer than 0".to_owned(),
        "route[0].strip_prefix: not a beginning of the route's path \"/app\"".to_owned(),
        "route[1].strip_prefix: not together with `compat`".to_owned(),
        "route[2].strip_prefix: neither true nor false".to_owned(),
    ] {
        assert!(
            found.iter().any(|error| error.contains(&said)),
            "{said}: {found:#?}"
        );
    }
}

#[test]
fn routes_to_one_application_by_different_paths_are_warned_of() {
    let text = |other: &str| {
        format!(
            r#"
            public_url = "https://localhost:8443"
            [upstream.app]
            servers = ["http://127.0.0.1:3000"]
            [[route]]
            path = "/app"
            upstream = "app"
            strip_prefix = true
            [[route]]
            path = "/app/admin"
            upstream = "http://localhost:3000"
            {other}
            "#
        )
    };
    assert_eq!(warnings(&text("strip_prefix = \"/app\"")), [""; 0]);
    for other in ["", "strip_prefix = true"] {
        let found = warnings(&text(other));
        let is_said =
            |warning: &String| warning.contains("route[0].strip_prefix: route[1] leads to the same");
        assert!(found.iter().any(is_said), "{other}: {found:?}");
    }
}
