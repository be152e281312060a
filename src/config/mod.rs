//! The configuration: one struct per section with its defaults beside it, parsed and checked once.
//!
//! The doc comment of each key is its user documentation: the reference and the JSON Schema are generated
//! from it.

mod admin;
mod audit;
mod balance;
mod branding;
mod check;
mod checks;
mod conditions;
mod dev_config;
mod diagnostic;
mod diff;
mod from_text;
mod header_template;
mod host_pattern;
mod identity;
mod limits;
mod listen;
mod load;
mod lockout;
mod log;
mod login;
mod mail;
mod password;
mod paths;
mod policy;
mod postgres_url;
mod private_file;
mod reference;
mod reserved;
mod route;
mod secret_source;
mod session;
mod signup;
mod store;
mod suggestion;
mod timeouts;
mod tls;
mod toml_document;
mod units;
mod upstream;
mod upstream_url;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::model::Username;
use crate::request::Host;

pub use admin::AdminConfig;
pub use audit::{AuditConfig, AuditMode};
pub use balance::{Balance, HealthConfig};
pub use branding::{BrandingConfig, Link};
pub use check::resolve_links;
pub use checks::ChecksConfig;
pub use conditions::{Conditions, NamedUser, Network};
pub use diagnostic::{Diagnostic, TextPosition};
pub use header_template::{HeaderEncoding, HeaderTemplate, HeaderTemplateError, Placeholder, TemplatePiece};
pub use host_pattern::HostPattern;
pub use identity::{IdentityConfig, IdentityPreset};
pub use limits::{LimitsConfig, RequestLimits, RouteLimits};
pub use listen::{ListenConfig, PlainAddress, PlainAddressError};
pub use load::{ConfigErrors, DEFAULT_PATH, LoadedConfig, SYSTEM_PATH};
pub use lockout::LockoutConfig;
pub use log::{AccessField, LogConfig};
pub use login::LoginConfig;
pub use mail::{MailConfig, MailSender, MailSenderError, MailTransport, MailUrlError, SmtpTls, SmtpUrl};
pub use password::{PasswordConfig, PasswordPolicyName};
pub use policy::{Condition, Policy, PolicyRefusal};
pub use postgres_url::{PostgresTls, PostgresUrl, PostgresUrlError};
pub use private_file::{LooseMode, require_private, require_private_mode};
pub use reference::{reference, schema};
pub use reserved::Reserved;
pub use route::{Allow, Compat, ConfigLine, Replay, Respond, RouteConfig, StripPrefix};
pub use secret_source::{SecretError, SecretSource, adopt_variables};
pub use session::SessionConfig;
pub use signup::{SignupConfig, SignupMode};
pub use store::{StoreConfig, StoreLocation, StoreUrlError};
pub use timeouts::{RouteTimeouts, TimeoutsConfig, UpstreamTimeouts};
pub use tls::{CertificateConfig, TlsConfig, TlsVersion};
pub use units::{HumanDuration, RequestRate, Size};
pub use upstream::{DestinationForm, UpstreamConfig, UpstreamPreset};
pub use upstream_url::{Endpoint, ServerAddress, UpstreamTarget, UpstreamUrl, UpstreamUrlError};

/// Everything that an operator can say.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where people reach the gateway: the base of every mailed link. A port of 0 stands for the port of the first
    /// `listen.https` address.
    #[schemars(extend("default" = "https://localhost:8443"))]
    pub public_url: Url,
    /// Where it listens.
    pub listen: ListenConfig,
    /// Certificates.
    pub tls: TlsConfig,
    /// Where accounts and sessions are kept.
    pub store: StoreConfig,
    /// How mail is sent.
    pub mail: MailConfig,
    /// Who may make an account.
    pub signup: SignupConfig,
    /// How people sign in.
    pub login: LoginConfig,
    /// What happens after too many failures.
    pub lockout: LockoutConfig,
    /// What a password must be.
    pub password: PasswordConfig,
    /// How long a sign-in lasts.
    pub session: SessionConfig,
    /// Who administers.
    pub admin: AdminConfig,
    /// What the pages look like.
    pub branding: BrandingConfig,
    /// Which headers tell an application who somebody is.
    pub identity: IdentityConfig,
    /// The applications, by name.
    pub upstream: BTreeMap<String, UpstreamConfig>,
    /// Which requests go where, and who may make them.
    pub route: Vec<RouteConfig>,
    /// The audit log: authentication events and acts of administrators.
    pub audit: AuditConfig,
    /// Sizes that are refused when exceeded.
    pub limits: LimitsConfig,
    /// How long the gateway waits.
    pub timeouts: TimeoutsConfig,
    /// What is written about requests and about the gateway itself.
    pub log: LogConfig,
    /// Warnings that are known and meant.
    pub checks: ChecksConfig,
    /// Certificates from an authority on the Internet. Not built yet.
    pub acme: Option<Reserved>,
    /// The base of relative paths, see [`Config::base_of`].
    #[serde(skip)]
    pub base: PathBuf,
}

impl Config {
    /// Returns the host of `public_url`. Never `None` after [`Config::load`].
    pub fn public_host(&self) -> Option<Host> {
        self.public_url.host_str()?.parse().ok()
    }

    /// The groups that routes name, each with the labels of the routes that let it in.
    pub fn groups_of_routes(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let public = self.public_host();
        for route in &self.route {
            let Some(Ok(label)) = public.as_ref().map(|public| route.label(public)) else {
                continue;
            };
            if let Allow::Conditions(allowed) = &route.allow {
                for name in allowed.groups.iter().flatten() {
                    let routes = groups.entry(name.clone()).or_default();
                    // Routes of several methods at one place have one label.
                    if !routes.contains(&label) {
                        routes.push(label.clone());
                    }
                }
            }
            for name in route
                .deny
                .iter()
                .flat_map(|denied| denied.groups.iter().flatten())
            {
                groups.entry(name.clone()).or_default();
            }
        }
        groups
    }

    /// The usernames that routes name.
    pub fn usernames_of_routes(&self) -> BTreeSet<Username> {
        let conditions = self.route.iter().flat_map(RouteConfig::conditions);
        let users = conditions.flat_map(|(_, conditions)| conditions.users.iter().flatten());
        users
            .filter_map(|user| match user {
                NamedUser::Username(username) => Some(username.clone()),
                NamedUser::Email(_) => None,
            })
            .collect()
    }

    /// All hosts that are configured, that of `public_url` first; one below each wildcard.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = Vec::new();
        let Some(public) = self.public_host() else {
            return hosts;
        };
        hosts.push(public.to_string());
        let routes = self.route.iter();
        for pattern in routes.filter_map(|route| route.host_pattern(&public).ok()) {
            let host = match pattern {
                HostPattern::Exact(host) => host.to_string(),
                HostPattern::Below(domain) => format!("any.{domain}"),
            };
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }
}

impl Default for Config {
    #[expect(clippy::expect_used, reason = "the text is a URL")]
    fn default() -> Self {
        Self {
            public_url: Url::parse("https://localhost:8443").expect("the text is a URL"),
            listen: ListenConfig::default(),
            tls: TlsConfig::default(),
            store: StoreConfig::default(),
            mail: MailConfig::default(),
            signup: SignupConfig::default(),
            login: LoginConfig::default(),
            lockout: LockoutConfig::default(),
            password: PasswordConfig::default(),
            session: SessionConfig::default(),
            admin: AdminConfig::default(),
            branding: BrandingConfig::default(),
            identity: IdentityConfig::default(),
            upstream: BTreeMap::new(),
            route: Vec::new(),
            audit: AuditConfig::default(),
            limits: LimitsConfig::default(),
            timeouts: TimeoutsConfig::default(),
            log: LogConfig::default(),
            checks: ChecksConfig::default(),
            acme: None,
            base: PathBuf::new(),
        }
    }
}
