use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::authenticate::Credentials;
use crate::authorize::permit_page;
use crate::config::{RouteConfig, SecretSource};
use crate::ids::{AccountId, SessionId};
use crate::model::{Principal, SignInMethod};
use crate::route::Page;
use crate::secret::Secret;

fn config() -> Config {
    Config {
        route: vec![RouteConfig {
            upstream: "app".to_owned(),
            ..RouteConfig::default()
        }],
        upstream: BTreeMap::from([("app".to_owned(), UpstreamConfig::default())]),
        ..Config::default()
    }
}

fn permit_for(credentials: Option<Credentials>) -> Permit {
    permit_page(Page::Me, "", credentials).unwrap()
}

fn ann() -> Permit {
    permit_for(Some(Credentials {
        principal: Arc::new(Principal {
            account: AccountId::from_bytes([1; 16]),
            username: "ann".parse().unwrap(),
            email: "ann@example.com".parse().unwrap(),
            email_verified: true,
            name: "안나 Ånn".to_owned(),
            groups: ["dev".to_owned(), "ops".to_owned()].into(),
            method: SignInMethod::Password,
            session: Some(SessionId::from_bytes([2; 16])),
            expires_at: jiff::Timestamp::UNIX_EPOCH,
        }),
        proof: None,
    }))
}

/// What the first application sees of a request with these headers.
fn seen(config: &Config, permit: &Permit, sent: &[(&str, &str)]) -> Vec<(String, String)> {
    let routes = Routes::new(config, config.public_host().unwrap()).unwrap();
    let identity = Identity::new(config, &routes).unwrap();
    let mut headers = map(sent);
    identity.strip.headers(&mut headers);
    identity.upstreams[0].set(&mut headers, permit.principal().map(|principal| &**principal));
    listed(&headers)
}

fn map(sent: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut all: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8(value.as_bytes().to_vec()).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn of_ann() -> Vec<(String, String)> {
    pairs(&[
        ("remote-email", "ann@example.com"),
        ("remote-groups", "dev,ops"),
        ("remote-name", "안나 Ånn"),
        ("remote-user", "ann"),
    ])
}

#[test]
fn s40_the_gateways_value_stands_alone() {
    for sent in [
        [].as_slice(),
        &[("Remote-User", "root")],
        &[("REMOTE-USER", "root")],
        &[("Remote_User", "root")],
        &[("Remote.User", "root")],
        &[
            ("remote_user", "root"),
            ("Remote-User", "root"),
            ("remote.user", "root"),
        ],
        &[("Remote-User", "root"), ("Remote-User", "admin")],
        &[("Remote-User", "")],
        &[
            ("Remote-Email", "x"),
            ("Remote-Name", "x"),
            ("Remote_Groups", "x"),
        ],
    ] {
        assert_eq!(seen(&config(), &ann(), sent), of_ann(), "{sent:?}");
        assert_eq!(seen(&config(), &permit_for(None), sent), [], "{sent:?}");
    }
}

#[test]
fn s40_a_name_that_another_application_is_given_is_removed_too() {
    let mut config = config();
    let other = UpstreamConfig {
        preset: Some(UpstreamPreset::Radicale),
        headers: BTreeMap::from([("X_Token".to_owned(), text("t"))]),
        ..UpstreamConfig::default()
    };
    config.upstream.insert("other".to_owned(), other);
    let sent = [
        ("X-Remote-User", "root"),
        ("x-token", "u"),
        ("X.Token", "u"),
        ("X-Other", "kept"),
    ];
    assert_eq!(
        seen(&config, &permit_for(None), &sent),
        pairs(&[("x-other", "kept")])
    );
}

#[test]
fn s42_odd_spellings_of_what_the_gateway_says_of_the_connection_are_removed() {
    let sent = [
        ("X_Forwarded_For", "1.2.3.4"),
        ("X.Real.IP", "1.2.3.4"),
        ("x_forwarded_prefix", "/x"),
        ("X_Y", "kept"),
    ];
    assert_eq!(
        seen(&config(), &permit_for(None), &sent),
        pairs(&[("x_y", "kept")])
    );
}

#[test]
fn s40_trailers_say_nothing_of_it() {
    let config = config();
    let identity = Identity::new(
        &config,
        &Routes::new(&config, config.public_host().unwrap()).unwrap(),
    )
    .unwrap();
    let mut trailers = map(&[
        ("Remote-User", "root"),
        ("remote_groups", "ops"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("Cookie", "a=b"),
        ("Checksum", "kept"),
    ]);
    identity.strip().trailers(&mut trailers);
    assert_eq!(listed(&trailers), pairs(&[("checksum", "kept")]));
}

#[test]
fn headers_are_added_replaced_and_taken_away() {
    let mut config = config();
    config.identity.headers = BTreeMap::from([
        ("Remote-Name".to_owned(), String::new()),
        ("Remote-Groups".to_owned(), "role:{groups}".to_owned()),
        ("X-Id".to_owned(), "{id}/{session}/{method}".to_owned()),
    ]);
    let app = config.upstream.get_mut("app").unwrap();
    app.headers = BTreeMap::from([
        ("X-Secret".to_owned(), text("s3cret")),
        ("Remote-Email".to_owned(), text("<{email}>")),
    ]);
    app.preset = Some(UpstreamPreset::Radicale);
    let id = "01010101-0101-0101-0101-010101010101/02020202-0202-0202-0202-020202020202/password";
    assert_eq!(
        seen(&config, &ann(), &[("Remote-Name", "x"), ("X-Secret", "guess")]),
        pairs(&[
            ("remote-email", "<ann@example.com>"),
            ("remote-groups", "role:dev,ops"),
            ("remote-user", "ann"),
            ("x-id", id),
            ("x-remote-user", "ann"),
            ("x-secret", "s3cret"),
        ])
    );
    // Nobody: what identifies the gateway itself is all that is said.
    assert_eq!(
        seen(&config, &permit_for(None), &[]),
        pairs(&[("x-secret", "s3cret")])
    );
}

#[test]
fn the_other_presets() {
    let mut config = config();
    config.identity.preset = IdentityPreset::XForwarded;
    assert_eq!(
        seen(&config, &ann(), &[]),
        pairs(&[
            ("x-forwarded-email", "ann@example.com"),
            ("x-forwarded-groups", "dev,ops"),
            ("x-forwarded-preferred-username", "ann"),
            ("x-forwarded-user", "ann"),
        ])
    );
    config.identity.preset = IdentityPreset::None;
    assert_eq!(seen(&config, &ann(), &[]), []);
}

#[test]
fn values_that_tell_secrets_are_not_printed() {
    let mut config = config();
    config.upstream.get_mut("app").unwrap().headers =
        BTreeMap::from([("X-Secret".to_owned(), text("s3cret"))]);
    let identity = Identity::new(
        &config,
        &Routes::new(&config, config.public_host().unwrap()).unwrap(),
    )
    .unwrap();
    assert!(!format!("{identity:?}").contains("s3cret"));
}

fn text(text: &str) -> SecretSource {
    SecretSource::Text(Secret::new(text.to_owned()))
}
