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
    permit_named("안나 Ånn")
}

fn permit_named(name: &str) -> Permit {
    permit_for(Some(Credentials {
        principal: Arc::new(Principal {
            account: AccountId::from_bytes([1; 16]),
            username: "ann".parse().unwrap(),
            former_usernames: Vec::new(),
            email: "ann@example.com".parse().unwrap(),
            email_verified: true,
            name: name.to_owned(),
            groups: ["dev".to_owned(), "ops".to_owned()].into(),
            method: SignInMethod::Password,
            session: Some(SessionId::from_bytes([2; 16])),
            expires_at: jiff::Timestamp::UNIX_EPOCH,
        }),
        proof: None,
        policies: Vec::new(),
    }))
}

/// What the first upstream sees of a request with these headers.
fn seen(config: &Config, permit: &Permit, sent: &[(&str, &str)]) -> Vec<(String, String)> {
    let routes = Routes::new(config, config.public_host().unwrap()).unwrap();
    let identity = Identity::new(config, &routes).unwrap();
    let mut headers = map(sent);
    identity.strip.headers(&mut headers);
    let context = HeaderContext {
        principal: permit.principal().map(|principal| &**principal),
        host: &HeaderValue::from_static("app.example.com:8443"),
        public_url: &identity.public_url,
    };
    identity.upstreams[0].set(&mut headers, context);
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
fn s40_all_names_that_tell_a_user_are_removed_once_an_application_is_given_one() {
    let mut config = config();
    config.identity.preset = IdentityPreset::None;
    let sent = [
        ("Remote-Role", "Admin"),
        ("Remote_Roles", "ops"),
        ("X-Remote-Group", "system:masters"),
        ("X-WEBAUTH-ROLE", "Admin"),
        ("x_webauth~login", "root"),
        ("X-Auth-Request-Groups", "ops"),
    ];
    let left = |config: &Config| {
        let seen = seen(config, &permit_for(None), &sent);
        let names = seen.into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>()
    };
    let all = [
        "remote-role",
        "remote_roles",
        "x-auth-request-groups",
        "x-remote-group",
        "x-webauth-role",
        "x_webauth~login",
    ];
    assert_eq!(left(&config), all);
    // An application that is given one may believe another, where it is told nobody by the first.
    for preset in [
        UpstreamPreset::Django,
        UpstreamPreset::Gitea,
        UpstreamPreset::Grafana,
        UpstreamPreset::Jupyter,
        UpstreamPreset::Radicale,
        UpstreamPreset::Wsgidav,
    ] {
        config.upstream.get_mut("app").unwrap().preset = Some(preset);
        assert_eq!(left(&config), [""; 0], "{preset:?}");
    }
    config.upstream.get_mut("app").unwrap().preset = None;
    config.identity.headers = BTreeMap::from([("X-Custom-User".to_owned(), "{username}".to_owned())]);
    assert_eq!(left(&config), [""; 0]);
    config.identity.headers = BTreeMap::new();
    config.identity.preset = IdentityPreset::Remote;
    assert_eq!(left(&config), [""; 0]);
}

#[test]
fn s40_nobody_acts_for_others_by_a_credential_of_the_applications_own() {
    let mut config = config();
    config.identity.preset = IdentityPreset::None;
    let sent = [
        ("Impersonate-User", "root"),
        ("Impersonate_Group", "system:masters"),
        ("Impersonate-Extra-Scopes", "all"),
        ("es-security-runas-user", "elastic"),
        ("Api-Username", "system"),
        ("From", "root@example.com"),
        ("Sudo", "root"),
        ("X-Gerrit-RunAs", "1"),
        ("X-Redmine-Switch-User", "admin"),
        ("On-Behalf-Of", "root"),
        ("X_On_BehalfOf", "root"),
        ("X-Run-As", "root"),
        ("MSCRMCallerID", "00000000-0000-0000-0000-000000000001"),
        ("CallerObjectId", "00000000-0000-0000-0000-000000000001"),
        ("X-ProxiedEntitiesChain", "<root>"),
        ("X-Acting-As-User", "root"),
        ("Opendistro-Security-Impersonate-As", "admin"),
        ("X-Other", "kept"),
    ];
    assert_eq!(seen(&config, &ann(), &sent).len(), sent.len());
    let app = config.upstream.get_mut("app").unwrap();
    app.headers = BTreeMap::from([("Authorization".to_owned(), text("Bearer s3cret"))]);
    let credential = ("authorization", "Bearer s3cret");
    assert_eq!(
        seen(&config, &ann(), &sent),
        pairs(&[credential, ("x-other", "kept")])
    );
    // The gateway may say for whom.
    let app = config.upstream.get_mut("app").unwrap();
    app.headers
        .insert("Impersonate-User".to_owned(), text("{username}"));
    assert_eq!(
        seen(&config, &ann(), &sent),
        pairs(&[credential, ("impersonate-user", "ann"), ("x-other", "kept")])
    );
    assert_eq!(
        seen(&config, &permit_for(None), &sent),
        pairs(&[credential, ("x-other", "kept")])
    );
    // A credential has any name; what is said of the user or the request is none, nor is a header that is taken away.
    for name in ["Api-Key", "Private-Token", "X-Redmine-API-Key"] {
        let app = config.upstream.get_mut("app").unwrap();
        app.headers = BTreeMap::from([(name.to_owned(), text("s3cret"))]);
        let mut left = pairs(&[
            (name.to_ascii_lowercase().as_str(), "s3cret"),
            ("x-other", "kept"),
        ]);
        left.sort();
        assert_eq!(seen(&config, &ann(), &sent), left);
        for value in ["", "{username}", "{host}"] {
            let app = config.upstream.get_mut("app").unwrap();
            app.headers = BTreeMap::from([(name.to_owned(), text(value))]);
            let given = usize::from(!value.is_empty());
            assert_eq!(seen(&config, &ann(), &sent).len(), sent.len() + given, "{value}");
        }
    }
}

#[test]
fn s40_of_a_family_with_credentials_of_clients_these_pass() {
    let mut config = config();
    config.identity.preset = IdentityPreset::None;
    let sent = [
        ("X-Auth-Email", "ann@example.com"),
        ("X-Auth-Groups", "ops"),
        ("X-Auth-Key", "theirs"),
        ("X-Auth-Token", "theirs"),
        ("X-Auth-User", "ann"),
        ("X_Auth_Roles", "admin"),
    ];
    let theirs = ["x-auth-email", "x-auth-key", "x-auth-token", "x-auth-user"];
    let left = |config: &Config| {
        let seen = seen(config, &permit_for(None), &sent);
        let names = seen.into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>()
    };
    assert_eq!(left(&config).len(), sent.len());
    for (given, taken) in [
        ("X-Auth-Groups", ""),
        ("X-Auth-Username", ""),
        ("X-Auth-User", "x-auth-user"),
        ("x_auth_email", "x-auth-email"),
    ] {
        config.identity.headers = BTreeMap::from([(given.to_owned(), "{username}".to_owned())]);
        let theirs = theirs.into_iter().filter(|&name| name != taken);
        assert_eq!(left(&config), theirs.collect::<Vec<_>>(), "{given}");
    }
    // A family in another is one of its own.
    config.identity.headers = BTreeMap::from([("X-Auth-Request-User".to_owned(), "{username}".to_owned())]);
    assert_eq!(left(&config).len(), sent.len());
}

#[test]
fn s40_families_of_other_proxies() {
    let mut config = config();
    config.identity.preset = IdentityPreset::None;
    for (given, other) in [
        ("X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data"),
        ("X-Appengine-User-Email", "X-Appengine-User-Is-Admin"),
        ("X-Authenticated-Userid", "X-Authenticated-Scope"),
        ("X-Consumer-Username", "X_Consumer_Groups"),
        ("X-Vouch-User", "X-Vouch-IdP-Claims-Groups"),
    ] {
        config.identity.headers = BTreeMap::new();
        let sent = [(other, "admin")];
        assert_eq!(seen(&config, &permit_for(None), &sent).len(), 1, "{other}");
        config.identity.headers = BTreeMap::from([(given.to_owned(), "{username}".to_owned())]);
        assert_eq!(seen(&config, &permit_for(None), &sent), [], "{other}");
    }
}

#[test]
fn s40_a_name_is_removed_with_every_sign_that_servers_fold() {
    for sign in "!#$%&'*+-.^_`|~".chars() {
        let (user, groups) = (format!("Remote{sign}User"), format!("rEMOTE{sign}gROUPS"));
        let sent = [(user.as_str(), "root"), (groups.as_str(), "ops")];
        assert_eq!(seen(&config(), &permit_for(None), &sent), [], "{sign}");
        assert_eq!(seen(&config(), &ann(), &sent), of_ann(), "{sign}");
    }
}

#[test]
fn a_credential_that_an_application_is_given_is_the_only_one_it_gets() {
    let mut config = config();
    let app = config.upstream.get_mut("app").unwrap();
    app.headers = BTreeMap::from([("Authorization".to_owned(), text("Bearer s3cret"))]);
    let sent = [("Authorization", "Bearer guess"), ("Authorization", "Basic x")];
    for permit in [ann(), permit_for(None)] {
        let seen = seen(&config, &permit, &sent);
        let credentials = seen.iter().filter(|(name, _)| name == "authorization");
        assert_eq!(
            credentials.cloned().collect::<Vec<_>>(),
            pairs(&[("authorization", "Bearer s3cret")])
        );
    }
    // A header that describes a user: without one, the client's own does not take its place.
    let app = config.upstream.get_mut("app").unwrap();
    app.headers = BTreeMap::from([("Authorization".to_owned(), text("Bearer {id}"))]);
    assert_eq!(seen(&config, &permit_for(None), &sent), []);
    // Another upstream still gets the client's.
    config.upstream.get_mut("app").unwrap().headers.clear();
    let other = UpstreamConfig {
        headers: BTreeMap::from([("Authorization".to_owned(), text("Bearer s3cret"))]),
        ..UpstreamConfig::default()
    };
    config.upstream.insert("other".to_owned(), other);
    assert_eq!(
        seen(&config, &permit_for(None), &[("Authorization", "Bearer own")]),
        pairs(&[("authorization", "Bearer own")])
    );
}

#[test]
fn what_is_said_of_the_request_is_said_of_nobodys_too() {
    let mut config = config();
    config.identity.preset = IdentityPreset::None;
    config.identity.headers = BTreeMap::from([
        ("X-Base".to_owned(), "{public_url}/app".to_owned()),
        ("X-Host".to_owned(), "{host}".to_owned()),
        ("X-Who".to_owned(), "{username}@{host}".to_owned()),
    ]);
    let mut told = pairs(&[
        ("x-base", "https://localhost:8443/app"),
        ("x-host", "app.example.com:8443"),
    ]);
    assert_eq!(seen(&config, &permit_for(None), &[("X-Host", "evil")]), told);
    told.extend(pairs(&[("x-who", "ann@app.example.com:8443")]));
    assert_eq!(seen(&config, &ann(), &[]), told);
}

#[test]
fn presets_of_applications() {
    let mut config = config();
    config.identity.preset = IdentityPreset::None;
    for (preset, told) in [
        (UpstreamPreset::Django, [("remote-user", "ann")].as_slice()),
        (
            UpstreamPreset::Gitea,
            &[
                ("x-webauth-email", "ann@example.com"),
                ("x-webauth-fullname", "안나 Ånn"),
                ("x-webauth-user", "ann"),
            ],
        ),
        (
            UpstreamPreset::Grafana,
            &[
                ("x-webauth-email", "ann@example.com"),
                ("x-webauth-groups", "dev,ops"),
                ("x-webauth-name", "안나 Ånn"),
                ("x-webauth-user", "ann"),
            ],
        ),
        (UpstreamPreset::Jupyter, &[("remote-user", "ann")]),
        (UpstreamPreset::Radicale, &[("x-remote-user", "ann")]),
        (UpstreamPreset::Wsgidav, &[("x-remote-user", "ann")]),
    ] {
        config.upstream.get_mut("app").unwrap().preset = Some(preset);
        assert_eq!(seen(&config, &ann(), &[]), pairs(told), "{preset:?}");
    }
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
        ("Remote-Role", "Admin"),
        ("Next-Action", "0a"),
        ("X_Vault_Namespace", "ops"),
        ("next-url", "/admin"),
        ("Impersonate-User", "root"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Vhm-Host", "https://closed.example"),
        ("X-Url-Prefix", "/x"),
        ("Upload-Metadata", "filename YWRtaW4veA=="),
        ("X-HTTP-Verb", "DELETE"),
        ("Cookie", "a=b"),
        ("Destination", "/admin"),
        ("Depth", "infinity"),
        ("X-Amz-Copy-Source", "/closed/key"),
        ("X_HTTP~Method-Override", "DELETE"),
        ("Method_Override", "DELETE"),
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
    // Anonymous: only the headers that identify the gateway are sent.
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
fn an_application_is_told_names_in_the_encoding_that_it_reads() {
    let mut config = config();
    config.identity.preset = IdentityPreset::None;
    config.identity.headers = BTreeMap::from([
        ("X-Ascii".to_owned(), "<{name:ascii}>".to_owned()),
        ("X-Percent".to_owned(), "{name:percent}".to_owned()),
        ("X-Email".to_owned(), "{email:percent}".to_owned()),
        ("X-Groups".to_owned(), "{groups:percent}".to_owned()),
    ]);
    let told = pairs(&[
        ("x-ascii", "<?? Ann>"),
        ("x-email", "ann%40example.com"),
        ("x-groups", "dev,ops"),
        ("x-percent", "%EC%95%88%EB%82%98%20%C3%85nn"),
    ]);
    assert_eq!(seen(&config, &ann(), &[("X-Ascii", "root")]), told);
    assert_eq!(seen(&config, &permit_for(None), &[("X-Ascii", "root")]), []);
}

#[test]
fn a_name_without_a_letter_of_ascii_is_the_username_there() {
    let mut config = config();
    config.identity.preset = IdentityPreset::None;
    config.identity.headers = BTreeMap::from([("X-Ascii".to_owned(), "{name:ascii}".to_owned())]);
    let permit = permit_named("홍길동");
    assert_eq!(seen(&config, &permit, &[]), pairs(&[("x-ascii", "ann")]));
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
