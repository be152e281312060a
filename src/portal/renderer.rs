//! The renderer: what all pages share, built from the configuration.

use std::sync::Arc;

use http::HeaderValue;
use minijinja::Environment;
use serde::Serialize;

use super::assets::Assets;
use super::request_context::RequestContext;
use super::return_to::Hosts;
use super::www_authenticate::AuthChallenges;
use super::{PortalError, security_headers, templates};
use crate::config::{Config, HostPattern, LoginConfig, PasswordPolicyName, SignupMode};
use crate::model::Email;
use crate::request::RequestHead;
use crate::services::GatewayCookies;
use crate::text::Texts;

/// Texts, templates, assets and branding; calls no service.
#[derive(Debug)]
pub(super) struct PageRenderer {
    pub(super) texts: Arc<Texts>,
    pub(super) templates: Environment<'static>,
    pub(super) assets: Assets,
    pub(super) brand: Brand,
    pub(super) hosts: Hosts,
    /// Without a trailing slash.
    pub(super) public_url: String,
    pub(super) content_security_policy: HeaderValue,
    pub(super) challenges: AuthChallenges,
    /// The names and attributes of cookies.
    pub(super) cookies: GatewayCookies,
    /// Whether sign-in happens at `public_url`, for all hosts of the cookie's domain.
    pub(super) central_login: bool,
    pub(super) login: LoginConfig,
    pub(super) signup: SignupMode,
    /// `limits.request_head`
    pub(super) request_head: usize,
    pub(super) password_policy: PasswordPolicyName,
    /// `admin.group`
    pub(super) administrators: String,
    /// `signup.verify_email`
    pub(super) verify_email: bool,
    pub(super) terms_url: String,
    pub(super) privacy_url: String,
}

/// The operator's branding.
#[derive(Debug, Serialize)]
pub(super) struct Brand {
    pub(super) name: String,
    pub(super) contact: String,
    pub(super) contact_href: Option<String>,
    pub(super) links: Vec<FooterLink>,
}

#[derive(Debug, Serialize)]
pub(super) struct FooterLink {
    text: String,
    url: String,
}

impl PageRenderer {
    pub(super) fn new(config: &Config, hosts: Vec<HostPattern>) -> Result<Self, PortalError> {
        let folder = &config.branding.folder;
        let texts = Texts::load(folder)?;
        let request_head = usize::try_from(config.limits.request_head.0).unwrap_or(usize::MAX);
        let hosts = Hosts::new(hosts, &config.public_url, request_head);
        Ok(Self {
            texts: Arc::new(texts),
            templates: templates::load(folder)?,
            assets: Assets::load(&config.branding)?,
            brand: Brand::new(config),
            content_security_policy: security_headers::page_policy(&hosts)?,
            hosts,
            public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            challenges: AuthChallenges::new(&config.branding.name, config.login.iam),
            cookies: GatewayCookies::new(&config.session),
            central_login: !config.session.cookie_domain.is_empty(),
            login: config.login.clone(),
            signup: config.signup.mode,
            request_head,
            password_policy: config.password.policy,
            administrators: config.admin.group.clone(),
            verify_email: config.signup.verify_email,
            terms_url: config.signup.terms_url.clone(),
            privacy_url: config.signup.privacy_url.clone(),
        })
    }

    pub(super) fn request<'a>(&'a self, head: &'a RequestHead<'a>) -> RequestContext<'a> {
        RequestContext::new(self, head)
    }
}

impl Brand {
    fn new(config: &Config) -> Self {
        let branding = &config.branding;
        let contact = branding.contact.trim().to_owned();
        let contact_href = if contact.starts_with("https://") || contact.starts_with("http://") {
            Some(contact.clone())
        } else {
            contact
                .parse::<Email>()
                .ok()
                .map(|email| format!("mailto:{email}"))
        };
        let links = branding.links.iter().map(|link| FooterLink {
            text: link.text.clone(),
            url: link.url.clone(),
        });
        Self {
            name: branding.name.clone(),
            contact,
            contact_href,
            links: links.collect(),
        }
    }
}
