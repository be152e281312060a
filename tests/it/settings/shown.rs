//! Checks that every key has a test of its effect.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::layering::root;
use crate::security_map::exists;

/// The test that shows the effect of each key in these sections.
const SHOWN: [(&str, &str); 37] = [
    ("limits.form_body", "way_limits.rs#heads_and_forms_have_a_size"),
    (
        "limits.request_body",
        "way_route_limits.rs#a_request_body_is_as_large_as_its_route_says_or_its_upstream_or_all",
    ),
    (
        "limits.address_rate",
        "way_rates.rs#so_many_requests_of_an_address_pass_and_then_one_each_interval",
    ),
    (
        "limits.user_rate",
        "way_rates.rs#the_requests_of_an_account_are_counted_in_all_its_sessions_and_keys",
    ),
    ("limits.request_head", "settings.rs#limits_request_head"),
    (
        "limits.header_fields",
        "way_framing.rs#heads_have_as_many_fields_as_configured_in_both_directions",
    ),
    (
        "limits.connections",
        "listener/connections.rs#further_connections_wait_for_a_place",
    ),
    (
        "limits.signed_body_buffer",
        "settings.rs#limits_signed_body_buffer",
    ),
    (
        "timeouts.handshake",
        "listener/connections.rs#a_handshake_that_takes_too_long_ends",
    ),
    (
        "timeouts.header",
        "way_limits.rs#s48_a_slow_head_ends_and_an_idle_connection_lasts",
    ),
    ("timeouts.keep_alive", "way_limits.rs#an_idle_connection_ends"),
    ("timeouts.connect", "settings.rs#timeouts_connect"),
    (
        "timeouts.response",
        "way_forward.rs#an_application_that_is_not_there_or_too_slow",
    ),
    (
        "timeouts.idle",
        "way_limits.rs#bodies_that_stall_end_in_both_directions",
    ),
    (
        "timeouts.drain",
        "listener/connections.rs#connections_that_do_not_end_are_cut",
    ),
    ("session.cookie_name", "settings.rs#session_cookie_name"),
    ("session.cookie_domain", "settings.rs#session_cookie_domain"),
    ("session.idle", "settings.rs#session_idle_and_absolute"),
    ("session.absolute", "settings.rs#session_idle_and_absolute"),
    (
        "lockout.max_failures",
        "settings.rs#lockout_max_failures_and_duration",
    ),
    (
        "lockout.duration",
        "settings.rs#lockout_max_failures_and_duration",
    ),
    (
        "lockout.address_failures",
        "settings.rs#lockout_address_failures_and_address_window",
    ),
    (
        "lockout.address_window",
        "settings.rs#lockout_address_failures_and_address_window",
    ),
    ("log.level", "settings.rs#log_level"),
    ("log.access", "settings.rs#log_access"),
    ("log.access_file", "way_access_log.rs#a_line_for_every_request"),
    (
        "log.access_fields",
        "log_lines.rs#every_line_of_every_log_begins_alike",
    ),
    (
        "listen.https",
        "listener/tls.rs#both_versions_of_http_are_offered",
    ),
    (
        "listen.http",
        "listener/connections.rs#a_plain_listener_redirects_and_does_nothing_else",
    ),
    (
        "listen.ops",
        "reload.rs#sign_ins_sessions_and_locks_are_counted_across_a_reload",
    ),
    (
        "listen.plain",
        "way_plain.rs#s42_a_proxy_that_ended_tls_is_served_in_the_clear",
    ),
    ("listen.admin_socket", "settings.rs#listen_admin_socket"),
    (
        "listen.trusted_proxies",
        "listener/connections.rs#a_trusted_proxy_names_the_client",
    ),
    (
        "tls.certificates",
        "listener/tls.rs#the_certificate_is_chosen_by_name",
    ),
    (
        "tls.min_version",
        "listener/tls.rs#the_oldest_version_is_the_configured_one",
    ),
    ("password.policy", "settings.rs#password_policy"),
    ("password.bcrypt_cost", "settings.rs#password_bcrypt_cost"),
];

/// A new key needs a test of its effect, and a row above.
#[test]
fn no_key_is_without_effect() {
    let schema = root().join("config/vestibule.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
    let sections: BTreeSet<&str> = SHOWN
        .iter()
        .map(|(key, _)| key.split_once('.').unwrap().0)
        .collect();
    let keys: BTreeSet<String> = sections
        .into_iter()
        .flat_map(|section| {
            let definition = schema["properties"][section]["$ref"].as_str().unwrap();
            let keys = &schema.pointer(&definition[1..]).unwrap()["properties"];
            let keys = keys.as_object().unwrap().keys();
            keys.map(move |key| format!("{section}.{key}"))
                .collect::<Vec<_>>()
        })
        .collect();
    let shown: BTreeSet<String> = SHOWN.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(keys, shown);
    for (key, test) in SHOWN {
        assert_eq!(exists(&format!("tests/it/{test}")), Ok(()), "{key}: {test}");
    }
}
