//! The form that creates invitations.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::model::Email;
use crate::portal::admin::change::groups;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::request_context::RequestContext;
use crate::request::parse_decimal;
use crate::services::{Accounts, Invitees, LONGEST_INVITATION, NewInvitations};

/// The most invitations of one form.
const MOST: u16 = 100;

/// The lifetimes that are offered, in days.
const DAYS: &[u64] = &[1, 7, 30];

/// The fields of the form, in their order.
pub(super) const ORDER: &[&str] = &["email", "groups", "days", "count"];

/// What the page shows beside the list.
#[derive(Serialize)]
pub(in crate::portal) struct InvitationsView {
    pub(in crate::portal) email: String,
    pub(in crate::portal) groups: String,
    pub(in crate::portal) count: String,
    pub(in crate::portal) days: u64,
    pub(in crate::portal) choices: &'static [u64],
    /// Whether mails can be delivered.
    pub(in crate::portal) can_send: bool,
    pub(in crate::portal) send: bool,
    /// Whether sign-up is closed, so that invitations are void.
    pub(in crate::portal) closed: bool,
    /// The key of the text for what was done.
    pub(in crate::portal) done: Option<&'static str>,
    /// The names of groups, as suggestions.
    pub(in crate::portal) suggested: Vec<String>,
    /// The links of new invitations, shown once.
    pub(in crate::portal) links: Vec<String>,
    /// What is searched for.
    pub(in crate::portal) q: String,
    pub(in crate::portal) errors: Errors,
    pub(in crate::portal) alert: Option<ErrorSummary>,
}

impl InvitationsView {
    pub(in crate::portal) fn empty(closed: bool) -> Self {
        Self {
            email: String::new(),
            groups: String::new(),
            count: "1".to_owned(),
            days: 7,
            choices: DAYS,
            closed,
            can_send: false,
            send: false,
            done: None,
            suggested: Vec::new(),
            links: Vec::new(),
            q: String::new(),
            errors: Errors::new(),
            alert: None,
        }
    }
}

/// Parses the form, or returns its errors.
pub(super) fn read(cx: &RequestContext<'_>, fields: &Fields) -> Result<NewInvitations, Errors> {
    let (mut errors, typed) = (Errors::new(), |name: &str| fields.text(name).trim().to_owned());
    let mut refuse = |field, text| {
        errors.extend(cx.field_error(field, text));
    };
    let (email, send) = (typed("email"), fields.is_ticked("send"));
    if send && email.is_empty() {
        refuse("email", "admin.send-where");
    }
    let email = Some(email).filter(|email| !email.is_empty());
    let email = email
        .map(|email| email.parse::<Email>())
        .transpose()
        .unwrap_or_else(|_| {
            refuse("email", "field.email-malformed");
            None
        });
    let groups = Accounts::parse_group_names(&groups(&typed("groups"))).unwrap_or_else(|_| {
        refuse("groups", "admin.group-refused");
        BTreeSet::new()
    });
    let days = parse_decimal::<u64>(&or(typed("days"), "7"));
    let most = LONGEST_INVITATION.as_secs() / (24 * 60 * 60);
    let days = days.filter(|days| (1..=most).contains(days));
    if days.is_none() {
        refuse("days", "admin.days-refused");
    }
    let count = parse_decimal::<u16>(&or(typed("count"), "1"));
    let count = count.filter(|count| (1..=MOST).contains(count));
    if count.is_none() {
        refuse("count", "admin.count-refused");
    } else if email.is_some() && count != Some(1) {
        refuse("count", "admin.count-for-one");
    }
    match (days, count) {
        (Some(days), Some(count)) if errors.is_empty() => Ok(NewInvitations {
            invitees: match email {
                None => Invitees::Anyone(count),
                Some(email) if send => Invitees::Mailed(vec![email.into()]),
                Some(email) => Invitees::Only(vec![email.into()]),
            },
            groups,
            ttl: Duration::from_hours(24 * days),
            // A row of the list sends one again.
            resend: fields.is_ticked("resend"),
            ..NewInvitations::default()
        }),
        _ => Err(errors),
    }
}

fn or(typed: String, default: &str) -> String {
    if typed.is_empty() {
        default.to_owned()
    } else {
        typed
    }
}
