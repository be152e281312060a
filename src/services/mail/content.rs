//! The content of each kind of mail: texts, links and notes in the receiver's language.

use serde::Serialize;

use super::templates::MailTemplates;
use crate::model::{AccessKey, Account, Email, Mail, MailKind, PlainToken};
use crate::route::{AccountPage, AdminPage, Page};
use crate::text::Lang;

/// The content of a mail, before it is a message.
#[derive(Serialize)]
pub(super) struct MailContent {
    #[serde(skip)]
    pub(super) to: Email,
    #[serde(skip)]
    pub(super) lang: Lang,
    pub(super) subject: String,
    pub(super) greeting: String,
    pub(super) lead: String,
    /// The first one is the purpose of the mail.
    pub(super) links: Vec<MailLink>,
    pub(super) notes: Vec<String>,
    pub(super) signature: String,
}

/// A link with its token: never logged.
#[derive(Serialize)]
pub(super) struct MailLink {
    pub(super) label: String,
    pub(super) url: String,
}

/// What is looked up for a mail at the moment of sending.
#[derive(Default)]
pub(super) struct MailContext {
    /// The receiver's account.
    pub(super) account: Option<Account>,
    /// The account that waits for approval.
    pub(super) applicant: Option<Account>,
    /// The token in the link.
    pub(super) token: Option<PlainToken>,
    /// How long the link works, in hours.
    pub(super) lasts: u64,
    /// The receiver's access keys that stay valid.
    pub(super) access_keys: Vec<AccessKey>,
}

struct ContentTexts {
    subject: &'static str,
    lead: &'static str,
    otherwise: &'static str,
    /// The page that the mail links to, and the link's text.
    action: Option<(Target, &'static str)>,
}

impl ContentTexts {
    #[expect(clippy::too_many_lines, reason = "a list")]
    fn of(mail: &Mail, has_token: bool) -> Self {
        let words = |subject, lead, otherwise, action| Self {
            subject,
            lead,
            otherwise,
            action,
        };
        match mail.topic {
            MailKind::VerifyEmail => words(
                "mail.verify.subject",
                "mail.verify.lead",
                "mail.verify.otherwise",
                Some((VERIFY, "mail.verify.action")),
            ),
            MailKind::AlreadyRegistered if has_token => words(
                "mail.claim.subject",
                "mail.claim.lead",
                "mail.claim.otherwise",
                Some((RESET, "mail.reset.action")),
            ),
            MailKind::AlreadyRegistered => words(
                "mail.registered.subject",
                "mail.registered.lead",
                "mail.registered.otherwise",
                Some((LOGIN, "mail.sign-in")),
            ),
            MailKind::Reset => words(
                "mail.reset.subject",
                "mail.reset.lead",
                "mail.reset.otherwise",
                Some((RESET, "mail.reset.action")),
            ),
            MailKind::ChangeEmail(_) if !has_token => words(
                "mail.not-moved.subject",
                "mail.not-moved.lead",
                "mail.not-moved.otherwise",
                Some((LOGIN, "mail.sign-in")),
            ),
            MailKind::ChangeEmail(_) => words(
                "mail.move.subject",
                "mail.move.lead",
                "mail.move.otherwise",
                Some((VERIFY, "mail.verify.action")),
            ),
            MailKind::EmailChanged(_) => words(
                "mail.moved.subject",
                "mail.moved.lead",
                "mail.moved.otherwise",
                None,
            ),
            MailKind::UsernameChanged(_) => words(
                "mail.renamed.subject",
                "mail.renamed.lead",
                "mail.password.otherwise",
                None,
            ),
            MailKind::PasswordChanged if mail.cause.by_administrator => words(
                "mail.password.subject",
                "mail.password.lead-administrator",
                "mail.password.otherwise-administrator",
                None,
            ),
            MailKind::PasswordChanged => words(
                "mail.password.subject",
                "mail.password.lead",
                "mail.password.otherwise",
                None,
            ),
            MailKind::PasswordReset => words(
                "mail.password.subject",
                "mail.password.lead-reset",
                "mail.password.otherwise",
                None,
            ),
            MailKind::AccessKeyCreated(_) => words(
                "mail.key.subject",
                "mail.key.lead",
                "mail.key.otherwise",
                Some((KEYS, "mail.keys-action")),
            ),
            MailKind::AwaitingApproval(_) => words(
                "mail.waiting.subject",
                "mail.waiting.lead",
                "mail.waiting.otherwise",
                Some((WAITING, "mail.waiting.action")),
            ),
            MailKind::Approved => words(
                "mail.approved.subject",
                "mail.approved.lead",
                "mail.approved.otherwise",
                Some((LOGIN, "mail.sign-in")),
            ),
            MailKind::Declined => words(
                "mail.declined.subject",
                "mail.declined.lead",
                "mail.declined.otherwise",
                None,
            ),
            MailKind::Invitation(_) => words(
                "mail.invitation.subject",
                "mail.invitation.lead",
                "mail.invitation.otherwise",
                Some((SIGN_UP, "mail.invitation.action")),
            ),
            MailKind::AccountAdded | MailKind::AccountAddedBy(_) => words(
                "mail.added.subject",
                "mail.added.lead",
                "mail.added.otherwise",
                Some((RESET, "mail.reset.action")),
            ),
        }
    }
}

/// A page, and the query string that the token completes.
type Target = (Page, &'static str);

const VERIFY: Target = (Page::Verify, "?token=");

const RESET: Target = (Page::Reset, "?token=");

const SIGN_UP: Target = (Page::SignUp, "?invitation=");

const LOGIN: Target = (Page::Login, "");

const KEYS: Target = (Page::Account(AccountPage::Keys), "");

const WAITING: Target = (Page::Admin(AdminPage::Accounts), "?status=awaiting-approval");

impl MailContent {
    /// Writes the content of a mail to the address `to`.
    pub(super) fn write(templates: &MailTemplates, mail: &Mail, context: &MailContext, to: Email) -> Self {
        let lang = templates.language(context.account.as_ref(), mail.language.as_deref());
        let words = ContentTexts::of(mail, context.token.is_some());
        let subject_of = context.applicant.as_ref().or(context.account.as_ref());
        let email = match &mail.topic {
            MailKind::EmailChanged(email) => email.as_str(),
            _ => subject_of.map_or("", |account| account.email.as_str()),
        };
        let username = match &mail.topic {
            MailKind::UsernameChanged(username) => username.as_str(),
            _ => subject_of.map_or("", |account| account.username.as_str()),
        };
        let key = match &mail.topic {
            MailKind::AccessKeyCreated(key) => key.as_str(),
            _ => "",
        };
        let values = [("email", email), ("username", username), ("key", key)];
        let say = |key| templates.text(lang, key, &values);

        let token = context.token.as_ref().map_or("", PlainToken::expose);
        let mut links: Vec<MailLink> = words
            .action
            .iter()
            .map(|((page, query), label)| MailLink {
                label: say(label),
                url: templates.url(&format!("{}{query}{token}", page.path())),
            })
            .collect();
        let is_done = matches!(
            mail.topic,
            MailKind::EmailChanged(_)
                | MailKind::UsernameChanged(_)
                | MailKind::PasswordChanged
                | MailKind::PasswordReset
                | MailKind::AccessKeyCreated(_)
        );
        let mut notes = Vec::new();
        if context.token.is_some() {
            notes.push(templates.lasts(lang, context.lasts));
        }
        let invites = matches!(mail.topic, MailKind::Invitation(_));
        notes.push(templates.cause(lang, &mail.cause, is_done, invites));
        notes.push(say(words.otherwise));
        if !context.access_keys.is_empty() {
            let keys = named(&context.access_keys);
            notes.push(templates.text(lang, "mail.keys", &[("keys", &keys)]));
            links.push(MailLink {
                label: say("mail.keys-action"),
                // This page lists keys older than the new password, and revokes them.
                url: templates.url(AccountPage::Profile.path()),
            });
        }
        match mail.topic {
            // Its link is the first, and works for an hour.
            MailKind::AccountAdded | MailKind::AccountAddedBy(_) if templates.reset => {
                notes.push(say("mail.added.later"));
                links.push(MailLink {
                    label: say("mail.forgot"),
                    url: templates.url(Page::Forgot.path()),
                });
            }
            MailKind::AccountAdded | MailKind::AccountAddedBy(_) => {
                notes.push(ask_administrator(templates, lang));
            }
            _ if context.token.is_some() => {}
            MailKind::AlreadyRegistered
            | MailKind::UsernameChanged(_)
            | MailKind::PasswordChanged
            | MailKind::PasswordReset
            | MailKind::AccessKeyCreated(_)
                if templates.reset =>
            {
                links.push(MailLink {
                    label: say("mail.forgot"),
                    url: templates.url(Page::Forgot.path()),
                });
            }
            MailKind::AlreadyRegistered
            | MailKind::UsernameChanged(_)
            | MailKind::PasswordChanged
            | MailKind::PasswordReset
            | MailKind::AccessKeyCreated(_)
            | MailKind::EmailChanged(_)
            | MailKind::Declined => notes.push(ask_administrator(templates, lang)),
            _ => {}
        }
        Self {
            subject: say(words.subject),
            greeting: greeting(templates, lang, context.account.as_ref()),
            lead: say(words.lead),
            links,
            notes,
            signature: format!("{}\n{}", templates.brand, templates.url("")),
            to,
            lang,
        }
    }
}

/// Lists access keys by name, if they have one, and id.
fn named(keys: &[AccessKey]) -> String {
    let name = |key: &AccessKey| match key.name.as_str() {
        "" => key.id.to_string(),
        name => format!("{name} ({})", key.id),
    };
    keys.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn greeting(templates: &MailTemplates, lang: Lang, account: Option<&Account>) -> String {
    match account {
        Some(account) => {
            let name = account.name.as_deref().unwrap_or(account.username.as_str());
            templates.text(lang, "mail.greeting", &[("name", name)])
        }
        None => templates.text(lang, "mail.greeting-nobody", &[]),
    }
}

fn ask_administrator(templates: &MailTemplates, lang: Lang) -> String {
    match templates.contact.as_str() {
        "" => templates.text(lang, "mail.administrator", &[]),
        contact => templates.text(lang, "mail.administrator-at", &[("contact", contact)]),
    }
}
