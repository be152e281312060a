//! What each kind of mail says.

use serde::Serialize;

use super::stationery::Stationery;
use crate::model::{AccessKey, Account, Email, Mail, PlainToken, Topic};
use crate::text::Lang;

/// A mail before it is one: what people read.
#[derive(Serialize)]
pub(super) struct Letter {
    #[serde(skip)]
    pub(super) to: Email,
    #[serde(skip)]
    pub(super) lang: Lang,
    pub(super) subject: String,
    pub(super) greeting: String,
    pub(super) lead: String,
    /// The first one is what the letter is for.
    pub(super) links: Vec<Link>,
    pub(super) notes: Vec<String>,
    pub(super) signature: String,
}

/// A link, with its token: never logged, and gone with the letter.
#[derive(Serialize)]
pub(super) struct Link {
    pub(super) label: String,
    pub(super) url: String,
}

/// What is known of a mail when it goes out.
#[derive(Default)]
pub(super) struct About {
    /// The receiver's account.
    pub(super) account: Option<Account>,
    /// Who waits for approval.
    pub(super) applicant: Option<Account>,
    /// What the link carries.
    pub(super) token: Option<PlainToken>,
    /// How long the link works, in hours.
    pub(super) lasts: u64,
    /// The receiver's access keys that go on working.
    pub(super) access_keys: Vec<AccessKey>,
}

struct Words {
    subject: &'static str,
    lead: &'static str,
    otherwise: &'static str,
    /// Where the letter leads, and what the link is called.
    action: Option<(&'static str, &'static str)>,
}

impl Words {
    #[expect(clippy::too_many_lines, reason = "a list")]
    fn of(mail: &Mail, has_token: bool) -> Self {
        let words = |subject, lead, otherwise, action| Self {
            subject,
            lead,
            otherwise,
            action,
        };
        match mail.topic {
            Topic::VerifyEmail => words(
                "mail.verify.subject",
                "mail.verify.lead",
                "mail.verify.otherwise",
                Some(("/.auth/verify?token=", "mail.verify.action")),
            ),
            Topic::AlreadyRegistered if has_token => words(
                "mail.claim.subject",
                "mail.claim.lead",
                "mail.claim.otherwise",
                Some((RESET, "mail.reset.action")),
            ),
            Topic::AlreadyRegistered => words(
                "mail.registered.subject",
                "mail.registered.lead",
                "mail.registered.otherwise",
                Some((LOGIN, "mail.sign-in")),
            ),
            Topic::Reset => words(
                "mail.reset.subject",
                "mail.reset.lead",
                "mail.reset.otherwise",
                Some((RESET, "mail.reset.action")),
            ),
            Topic::ChangeEmail(_) if !has_token => words(
                "mail.not-moved.subject",
                "mail.not-moved.lead",
                "mail.not-moved.otherwise",
                Some((LOGIN, "mail.sign-in")),
            ),
            Topic::ChangeEmail(_) => words(
                "mail.move.subject",
                "mail.move.lead",
                "mail.move.otherwise",
                Some(("/.auth/verify?token=", "mail.verify.action")),
            ),
            Topic::EmailChanged(_) => words(
                "mail.moved.subject",
                "mail.moved.lead",
                "mail.moved.otherwise",
                None,
            ),
            Topic::UsernameChanged(_) => words(
                "mail.renamed.subject",
                "mail.renamed.lead",
                "mail.password.otherwise",
                None,
            ),
            Topic::PasswordChanged if mail.cause.by_administrator => words(
                "mail.password.subject",
                "mail.password.lead-administrator",
                "mail.password.otherwise-administrator",
                None,
            ),
            Topic::PasswordChanged => words(
                "mail.password.subject",
                "mail.password.lead",
                "mail.password.otherwise",
                None,
            ),
            Topic::PasswordReset => words(
                "mail.password.subject",
                "mail.password.lead-reset",
                "mail.password.otherwise",
                None,
            ),
            Topic::AccessKeyCreated(_) => words(
                "mail.key.subject",
                "mail.key.lead",
                "mail.key.otherwise",
                Some((KEYS, "mail.keys-action")),
            ),
            Topic::AwaitingApproval(_) => words(
                "mail.waiting.subject",
                "mail.waiting.lead",
                "mail.waiting.otherwise",
                Some((WAITING, "mail.waiting.action")),
            ),
            Topic::Approved => words(
                "mail.approved.subject",
                "mail.approved.lead",
                "mail.approved.otherwise",
                Some((LOGIN, "mail.sign-in")),
            ),
            Topic::Declined => words(
                "mail.declined.subject",
                "mail.declined.lead",
                "mail.declined.otherwise",
                None,
            ),
            Topic::Invitation(_) => words(
                "mail.invitation.subject",
                "mail.invitation.lead",
                "mail.invitation.otherwise",
                Some(("/.auth/signup?invitation=", "mail.invitation.action")),
            ),
        }
    }
}

const RESET: &str = "/.auth/reset?token=";

const LOGIN: &str = "/.auth/login";

const KEYS: &str = "/.auth/account/keys";

/// The page that lists what is older than a new password, and revokes it.
const ACCOUNT: &str = "/.auth/account";

const WAITING: &str = "/.auth/admin/accounts?standing=awaiting-approval";

impl Letter {
    /// Writes it. `to` is where it goes.
    pub(super) fn write(stationery: &Stationery, mail: &Mail, about: &About, to: Email) -> Self {
        let lang = stationery.language(about.account.as_ref(), mail.language.as_deref());
        let words = Words::of(mail, about.token.is_some());
        let subject_of = about.applicant.as_ref().or(about.account.as_ref());
        let email = match &mail.topic {
            Topic::EmailChanged(email) => email.as_str(),
            _ => subject_of.map_or("", |account| account.email.as_str()),
        };
        let username = match &mail.topic {
            Topic::UsernameChanged(username) => username.as_str(),
            _ => subject_of.map_or("", |account| account.username.as_str()),
        };
        let key = match &mail.topic {
            Topic::AccessKeyCreated(key) => key.as_str(),
            _ => "",
        };
        let values = [("email", email), ("username", username), ("key", key)];
        let say = |key| stationery.say(lang, key, &values);

        let mut links: Vec<Link> = words
            .action
            .iter()
            .map(|(path, label)| Link {
                label: say(label),
                url: match &about.token {
                    Some(token) => stationery.url(&format!("{path}{}", token.expose())),
                    None => stationery.url(path),
                },
            })
            .collect();
        let is_done = matches!(
            mail.topic,
            Topic::EmailChanged(_)
                | Topic::UsernameChanged(_)
                | Topic::PasswordChanged
                | Topic::PasswordReset
                | Topic::AccessKeyCreated(_)
        );
        let mut notes = Vec::new();
        if about.token.is_some() {
            notes.push(stationery.lasts(lang, about.lasts));
        }
        let invites = matches!(mail.topic, Topic::Invitation(_));
        notes.push(stationery.cause(lang, &mail.cause, is_done, invites));
        notes.push(say(words.otherwise));
        if !about.access_keys.is_empty() {
            let keys = named(&about.access_keys);
            notes.push(stationery.say(lang, "mail.keys", &[("keys", &keys)]));
            links.push(Link {
                label: say("mail.keys-action"),
                url: stationery.url(ACCOUNT),
            });
        }
        match mail.topic {
            _ if about.token.is_some() => {}
            Topic::AlreadyRegistered
            | Topic::UsernameChanged(_)
            | Topic::PasswordChanged
            | Topic::PasswordReset
            | Topic::AccessKeyCreated(_)
                if stationery.reset =>
            {
                links.push(Link {
                    label: say("mail.forgot"),
                    url: stationery.url("/.auth/forgot"),
                });
            }
            Topic::AlreadyRegistered
            | Topic::UsernameChanged(_)
            | Topic::PasswordChanged
            | Topic::PasswordReset
            | Topic::AccessKeyCreated(_)
            | Topic::EmailChanged(_)
            | Topic::Declined => notes.push(ask_administrator(stationery, lang)),
            _ => {}
        }
        Self {
            subject: say(words.subject),
            greeting: greeting(stationery, lang, about.account.as_ref()),
            lead: say(words.lead),
            links,
            notes,
            signature: format!("{}\n{}", stationery.brand, stationery.url("")),
            to,
            lang,
        }
    }
}

/// Keys as people know them: by name where they have one.
fn named(keys: &[AccessKey]) -> String {
    let name = |key: &AccessKey| match key.name.as_str() {
        "" => key.id.to_string(),
        name => format!("{name} ({})", key.id),
    };
    keys.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn greeting(stationery: &Stationery, lang: Lang, account: Option<&Account>) -> String {
    match account {
        Some(account) => {
            let name = account.name.as_deref().unwrap_or(account.username.as_str());
            stationery.say(lang, "mail.greeting", &[("name", name)])
        }
        None => stationery.say(lang, "mail.greeting-nobody", &[]),
    }
}

fn ask_administrator(stationery: &Stationery, lang: Lang) -> String {
    match stationery.contact.as_str() {
        "" => stationery.say(lang, "mail.administrator", &[]),
        contact => stationery.say(lang, "mail.administrator-at", &[("contact", contact)]),
    }
}
