//! The configurations in the documentation parse, and mean what the text says.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vestibule::config::{
    Conditions, Config, HostPattern, IdentityPreset, MailTransport, PasswordPolicyName, SecretSource,
    SignupMode, StoreLocation, TlsVersion, UpstreamPreset, UpstreamTarget, UpstreamUrl,
};

#[test]
fn the_documented_defaults_are_the_defaults() {
    let documented = r#"
public_url = "https://localhost:8443"      # the base of every mailed link

[listen]
https = ["127.0.0.1:8443"]
http = []                                  # redirects to https, answers ACME challenges, nothing else
ops = "127.0.0.1:9464"                     # /livez /readyz /metrics; "" = off
admin_socket = "data/admin.sock"
trusted_proxies = []                       # CIDRs whose X-Forwarded-For or PROXY header is believed

[tls]
certificates = []                          # [{ cert = "a.pem", key = "a.key" }]
min_version = "1.2"

[store]
url = "sled:data/store"                    # or postgres://…
master_key = { file = "certs/master.key" } # made at first start

[mail]
url = "file:data/outbox"
from = "Vestibule <no-reply@localhost>"

[signup]
mode = "closed"                            # "closed", "invite" (an invitation is required), "open"
approval = false                           # an administrator approves first
verify_email = false                       # the mailed link first
terms_url = ""                             # when set: linked, and must be agreed to
privacy_url = ""
terms_version = ""                         # a new value asks everybody again at the next login
reserved_usernames = ["admin", "administrator", "root", "system", "guest", "anonymous"]

[login]
username = false                           # also accept the username
iam = false                                # "Click to use IAM", and signed requests
reset = true                               # "Forgot password?"

[lockout]
max_failures = 10                          # consecutive failures allowed; one more locks
duration = "20m"
address_failures = 300
address_window = "10m"

[password]
policy = "classic"
bcrypt_cost = 12

[session]
cookie_name = "vestibule"                  # sent as __Host-vestibule
cookie_domain = ""
idle = "12h"
absolute = "7d"

[admin]
group = "gateway-admin"

[branding]
name = "Vestibule"

[identity]
preset = "remote"
headers = {}

[audit]
[limits]
[timeouts]
[log]
"#;
    let config = Config::parse(documented, "vestibule.toml").unwrap().config;
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));

    assert_eq!(
        config.store.location().unwrap(),
        StoreLocation::Sled(PathBuf::from("data/store"))
    );
    assert_eq!(
        config.mail.transport().unwrap(),
        MailTransport::Folder(PathBuf::from("data/outbox"))
    );
    assert!(
        matches!(&config.store.master_key, SecretSource::File { file } if file == Path::new("certs/master.key"))
    );
    assert_eq!(config.signup.mode, SignupMode::Closed);
    assert_eq!(config.password.policy, PasswordPolicyName::Classic);
    assert_eq!(config.identity.preset, IdentityPreset::Remote);
    assert_eq!(config.tls.min_version, TlsVersion::Tls12);
    assert_eq!(config.session.absolute.0, Duration::from_hours(168));
    assert!(config.login.reset && !config.login.username && !config.login.iam);
}

#[test]
fn the_documented_examples_parse() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cret\n").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        r#"
public_url = "https://gw.example.com"
[upstream.console]
servers = ["http://127.0.0.1:3000", "https://10.0.0.1", "h2c://localhost:1", "unix:/run/console.sock"]
headers = {{ X-Secret = {{ file = {secret:?} }}, X-Remote-User = "{{username}}" }}
preset = "radicale"

[[route]]
host = "console.example.com"
path = "/"
methods = []
allow = "authenticated"
upstream = "console"
replay = "off"

[[route]]
host = "*.example.com"
methods = ["GET", "PROPFIND"]
allow = {{ groups = ["ops", "운영"] }}
upstream = "http://127.0.0.1:4000"
preflight = true
encoded_slash = true

[[route]]
upstream = "demo:"
allow = "public"
"#,
    );
    let config = Config::parse(&text, "vestibule.toml").unwrap().config;
    let public = config.public_host().unwrap();
    assert_eq!(public.as_str(), "gw.example.com");
    let console = &config.upstream["console"];
    assert_eq!(console.preset, Some(UpstreamPreset::Radicale));
    assert!(matches!(
        console.parsed_servers().unwrap()[..],
        [
            UpstreamUrl::Http(_),
            UpstreamUrl::Https(_),
            UpstreamUrl::H2c(_),
            UpstreamUrl::Unix(_)
        ]
    ));
    let [first, second, third] = &config.route[..] else {
        panic!("three routes");
    };
    assert_eq!(first.target(), Ok(UpstreamTarget::Named("console")));
    assert!(matches!(first.host_pattern(&public), Ok(HostPattern::Exact(_))));
    assert!(matches!(second.host_pattern(&public), Ok(HostPattern::Below(_))));
    assert!(matches!(
        second.target(),
        Ok(UpstreamTarget::Server(UpstreamUrl::Http(_)))
    ));
    assert_eq!(second.allow, Conditions::of_groups(["ops", "운영"]).into());
    assert_eq!(third.target(), Ok(UpstreamTarget::Demo));
    assert_eq!(
        third.host_pattern(&public),
        Ok(HostPattern::Exact(public.clone()))
    );
}
