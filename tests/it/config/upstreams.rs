//! What cannot be said of an upstream.

use super::{errors, warnings};

#[test]
fn what_cannot_be_said_of_an_upstream_is_an_error_where_it_stands() {
    let mut faults = Vec::new();
    for (keys, said) in [
        ("balance = \"random\"", "upstream.app.balance: not one of"),
        (
            "weights = [1]",
            "upstream.app.weights: must be as many as there are `servers`: 1 for 2",
        ),
        (
            "weights = [0, 1]",
            "upstream.app.weights[0]: must be from 1 to 100",
        ),
        (
            "weights = [1, 101]",
            "upstream.app.weights[1]: must be from 1 to 100",
        ),
        (
            "health.path = \"healthz\"",
            "upstream.app.health.path: not a path",
        ),
        ("health.path = \"/a b\"", "upstream.app.health.path: not a path"),
        (
            "health.status = [200]",
            "upstream.app.health.status: needs `path`",
        ),
        (
            "health = { path = \"/\", status = [99] }",
            "upstream.app.health.status[0]: must be from 200 to 599",
        ),
        (
            "health.interval = \"1ms\"",
            "upstream.app.health.interval: must be at least 100ms",
        ),
        (
            "health.timeout = \"0s\"",
            "upstream.app.health.timeout: must be longer than 0",
        ),
        ("health.rise = 0", "upstream.app.health.rise: must be at least 1"),
        ("health.fall = 0", "upstream.app.health.fall: must be at least 1"),
        (
            "health.failures = 0",
            "upstream.app.health.failures: must be at least 1",
        ),
        ("health.up = 1", "upstream.app.health.up: unknown"),
        (
            "client_certificate = { cert = \"none.pem\", key = \"none.key\" }",
            "none.key cannot be read",
        ),
    ] {
        let text = format!(
            r#"
            public_url = "https://localhost:8443"
            [upstream.app]
            servers = ["http://127.0.0.1:3000", "http://127.0.0.1:3001"]
            {keys}
            [[route]]
            upstream = "app"
            "#
        );
        let found = errors(&text);
        if !found.iter().any(|error| error.contains(said)) {
            faults.push((keys, found));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_name_with_a_port_is_not_a_servers_name() {
    let found = errors(
        r#"
        public_url = "https://localhost:8443"
        [upstream.app]
        servers = ["https://127.0.0.1:3000"]
        server_name = "app.internal:443"
        [[route]]
        upstream = "app"
        "#,
    );
    let said = "upstream.app.server_name: not a host's name, without a port";
    assert!(found.iter().any(|error| error.contains(said)), "{found:?}");
}

#[test]
fn settings_of_tls_where_no_server_speaks_it_are_warned_of() {
    let found = warnings(
        r#"
        public_url = "https://localhost:8443"
        [upstream.app]
        servers = ["http://127.0.0.1:3000"]
        server_name = "app.internal"
        [[route]]
        upstream = "app"
        "#,
    );
    let said = "upstream.app.server_name: without effect: none of its servers is `https://`";
    assert!(found.iter().any(|warning| warning.contains(said)), "{found:?}");
}
