//! Checks durations, sizes and counts.

use std::time::Duration;

use super::Findings;
use crate::config::Config;
use crate::config::toml_document::KeyPath;

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    let (lockout, session, timeouts) = (&config.lockout, &config.session, &config.timeouts);
    for (period, key) in [
        (lockout.duration, "lockout.duration"),
        (lockout.address_window, "lockout.address_window"),
        (session.idle, "session.idle"),
        (session.absolute, "session.absolute"),
        (timeouts.handshake, "timeouts.handshake"),
        (timeouts.header, "timeouts.header"),
        (timeouts.keep_alive, "timeouts.keep_alive"),
        (timeouts.connect, "timeouts.connect"),
        (timeouts.response, "timeouts.response"),
        (timeouts.idle, "timeouts.idle"),
        (timeouts.drain, "timeouts.drain"),
    ] {
        if period.0.is_zero() {
            findings.error(&key.into(), "must be longer than 0");
        } else if period.0 > LONGEST {
            findings.error(&key.into(), "must be at most 10 years");
        }
    }
    validate_overrides(config, findings);
    validate_counts(config, findings);
    if session.idle > session.absolute {
        findings.warn(
            &"session.idle".into(),
            "longer than `session.absolute`, and so without effect",
            "session.absolute",
            "set `session.idle` to less, or `session.absolute` to more",
        );
    }
    for (is_nothing, key) in [
        (config.audit.keep.0.is_zero(), "audit.keep"),
        (config.audit.max_events == 0, "audit.max_events"),
    ] {
        if is_nothing {
            findings.warn(
                &key.into(),
                "nothing is kept in the store: the audit log stays empty, and so do people's recent sign-ins",
                key,
                "set `audit.keep` and `audit.max_events` to more than nothing",
            );
        }
    }
    if lockout.max_failures > 100 {
        findings.warn(
            &"lockout.max_failures".into(),
            "NIST SP 800-63B-4, section 3.2.2, allows at most 100",
            "lockout.max_failures",
            "set `lockout.max_failures` to 100 or less",
        );
    }
}

/// Checks what routes and upstreams have instead of the general values.
fn validate_overrides(config: &Config, findings: &mut Findings<'_, '_>) {
    let routes = config.route.iter().enumerate().map(|(index, route)| {
        let key = KeyPath::from("route").index(index);
        let (timeouts, limits) = (&route.timeouts, &route.limits);
        (key, None, timeouts.response, timeouts.idle, limits.request_body)
    });
    let upstreams = config.upstream.iter().map(|(name, upstream)| {
        let key = KeyPath::from("upstream").key(name);
        let (timeouts, limits) = (&upstream.timeouts, &upstream.limits);
        (
            key,
            timeouts.connect,
            timeouts.response,
            timeouts.idle,
            limits.request_body,
        )
    });
    let mut checked: Vec<_> = routes.chain(upstreams).collect();
    checked.push((KeyPath::default(), None, None, None, config.limits.request_body));
    for (key, connect, response, idle, request_body) in checked {
        for (period, name) in [(connect, "connect"), (response, "response"), (idle, "idle")] {
            let Some(period) = period else { continue };
            if period.0.is_zero() {
                findings.error(&key.key("timeouts").key(name), "must be longer than 0");
            } else if period.0 > LONGEST {
                findings.error(&key.key("timeouts").key(name), "must be at most 10 years");
            }
        }
        if request_body.is_some_and(|most| most.0 == 0) {
            findings.error(
                &key.key("limits").key("request_body"),
                "must be at least 1B: to take no bodies, name the `methods` that have none",
            );
        }
    }
}

fn validate_counts(config: &Config, findings: &mut Findings<'_, '_>) {
    let (lockout, limits) = (&config.lockout, &config.limits);
    for (is_enough, key, message) in [
        (
            lockout.max_failures >= 1,
            "lockout.max_failures",
            "must be at least 1",
        ),
        (
            lockout.address_failures >= 1,
            "lockout.address_failures",
            "must be at least 1",
        ),
        (
            limits.connections >= 1,
            "limits.connections",
            "must be at least 1",
        ),
        (
            limits.form_body.0 >= 4 << 10,
            "limits.form_body",
            "must be at least 4KiB: a form must fit",
        ),
        (
            limits.request_head.0 >= 8 << 10,
            "limits.request_head",
            "must be at least 8KiB: browsers send as much",
        ),
        (
            limits.request_head.0 <= 1 << 20,
            "limits.request_head",
            "must be at most 1MiB: it is kept in memory",
        ),
        (
            limits.header_fields >= 100,
            "limits.header_fields",
            "must be at least 100: browsers and proxies before the gateway send dozens",
        ),
        (
            limits.header_fields <= 16_384,
            "limits.header_fields",
            "must be at most 16384: room for each is taken with every request",
        ),
        (
            limits.signed_body_buffer.0 >= 1,
            "limits.signed_body_buffer",
            "must be at least 1B",
        ),
    ] {
        if !is_enough {
            findings.error(&key.into(), message);
        }
    }
}

/// Longest duration. Longer ones would overflow timestamps, which only the first sign-in would show.
const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);
