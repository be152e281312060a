//! The form of `/.auth/admin/accounts`: changes several accounts at once.

use std::collections::BTreeSet;

use http::StatusCode;

use super::accounts::{self, Search, TypedBatch};
use super::action::BatchAction;
use super::change::{groups, refusal_of};
use super::{note_refused_act, unknown_action};
use crate::api::{ChangedAccounts, UnchangedAccount};
use crate::portal::form_errors::Errors;
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageError, PageResult, SignedInContext, unavailable};
use crate::refusal::{Problem, Refusal};
use crate::services::{AccountChange, AccountError, AccountVersion, Accounts, Actor, ChosenAccount};

/// The most accounts of one form.
const MOST: usize = 200;

/// A change of several accounts.
#[derive(Clone, Debug)]
enum BatchChange {
    Approve,
    Disable,
    AddTo(BTreeSet<String>),
    RemoveFrom(BTreeSet<String>),
}

/// Fields: `accounts`, each an id, an address or a username, with `:` and its version if that was seen;
/// `action`: "approve", "disable", "add-groups" or "remove-groups"; `groups`, separated by commas; `reason`;
/// and those of the search that the page goes on to show.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let (search, _) = Search::read(cx, |name| fields.text(name).to_owned());
    let (mut chosen, change) = match read(cx, fields) {
        Ok(read) => read,
        Err(errors) => {
            let typed = TypedBatch {
                accounts: listed(fields).map(str::to_owned).collect(),
                groups: fields.text("groups").to_owned(),
                reason: fields.text("reason").to_owned(),
            };
            return accounts::refuse(cx, &search, errors.into(), typed).await;
        }
    };
    // The administrator's own comes last: its change may end the right to change the others.
    chosen.sort_by_key(|chosen| is_own(cx, &chosen.name));
    let others = chosen.partition_point(|chosen| !is_own(cx, &chosen.name));
    let mut changed = Vec::with_capacity(chosen.len());
    for chosen in [&chosen[..others], &chosen[others..]] {
        let change = || change.clone().into();
        let origin = cx.origin();
        let changing = cx.services.accounts.change_all(chosen, change, by, &origin);
        // Boxed: large and seldom needed.
        changed.extend(Box::pin(changing).await);
    }
    if changed.iter().all(is_unavailable) {
        let cause = "the accounts were not changed, or it is not known whether they were";
        return Err(unavailable(cause.to_owned()).into());
    }
    let mut outcome = ChangedAccounts::default();
    for (ChosenAccount { name, .. }, changed) in chosen.into_iter().zip(changed) {
        match changed {
            Ok(account) => outcome.done.push(account.into()),
            Err(error) if !outcome.done.is_empty() || !loses_right(&error) => {
                outcome.refused.push(unchanged(cx, fields, by, name, error).await);
            }
            Err(error) => return Err(error.into()),
        }
    }
    outcome.done_count = outcome.done.len();
    outcome.refused_count = outcome.refused.len();
    if cx.wants_json() {
        return Ok(cx.json(StatusCode::OK, &outcome));
    }
    // A redirect, so that the page can be loaded again without changing them again.
    accounts::see_outcome(cx, &search, &outcome)
}

fn is_unavailable<T>(changed: &Result<T, AccountError>) -> bool {
    matches!(changed, Err(AccountError::Store(error)) if !error.is_refusal())
}

fn is_own(cx: &SignedInContext<'_>, name: &str) -> bool {
    let own = cx.user.principal;
    let names = [
        own.account.to_string(),
        own.email.to_string(),
        own.username.to_string(),
    ];
    names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Returns whether the administrator had lost the right to it by then.
fn loses_right(error: &AccountError) -> bool {
    matches!(error, AccountError::Store(error) if error.is_refusal())
}

/// Tells of an account that was not changed, and audits it.
async fn unchanged(
    cx: &SignedInContext<'_>,
    fields: &Fields,
    by: &Actor,
    name: String,
    error: AccountError,
) -> UnchangedAccount {
    let has_lost_right = loses_right(&error);
    let (refusal, errors) = match refusal_of(cx, error) {
        Ok(refused) => (refused.refusal, refused.errors),
        Err(PageError::Refused(refusal)) => (refusal, Errors::new()),
        Err(PageError::Answered(_)) => (Refusal::new(Problem::Unavailable), Errors::new()),
    };
    let problem = refusal.problem;
    if let Some(action) = BatchAction::of(fields) {
        note_refused_act(cx, action.audit_kind(), &name, problem, by).await;
    }
    let messages: Vec<String> = errors.into_values().collect();
    let detail = match messages.as_slice() {
        [] => cx.detail(&refusal),
        messages => messages.join(" "),
    };
    let email = if has_lost_right {
        None
    } else {
        let account = cx.services.accounts.find(&name).await;
        account.ok().map(|account| account.email)
    };
    UnchangedAccount {
        account: name,
        email,
        problem: problem.slug().to_owned(),
        detail,
    }
}

fn read(cx: &SignedInContext<'_>, fields: &Fields) -> Result<(Vec<ChosenAccount>, BatchChange), Errors> {
    let mut errors = Errors::new();
    let mut named = || {
        let named = Accounts::parse_group_names(&groups(fields.text("groups"))).unwrap_or_else(|_| {
            errors.extend(cx.field_error("groups", "admin.group-refused"));
            BTreeSet::new()
        });
        if named.is_empty() && errors.is_empty() {
            errors.extend(cx.field_error("groups", "admin.choose-groups"));
        }
        named
    };
    let change = match BatchAction::of(fields).ok_or_else(|| unknown_action(cx))? {
        BatchAction::Approve => BatchChange::Approve,
        BatchAction::Disable => BatchChange::Disable,
        BatchAction::AddGroups => BatchChange::AddTo(named()),
        BatchAction::RemoveGroups => BatchChange::RemoveFrom(named()),
    };
    let chosen: Vec<ChosenAccount> = listed(fields).map(chosen).collect();
    if chosen.is_empty() {
        errors.extend(cx.field_error("accounts", "admin.choose-some"));
    } else if chosen.len() > MOST {
        errors.extend(cx.field_error("accounts", "admin.choose-fewer"));
    }
    if errors.is_empty() {
        Ok((chosen, change))
    } else {
        Err(errors)
    }
}

fn listed(fields: &Fields) -> impl Iterator<Item = &str> {
    let named = fields.text("accounts").split(',').map(str::trim);
    named.filter(|account| !account.is_empty())
}

/// Parses an account and the version of it that was seen. No id, address or username has a colon.
fn chosen(text: &str) -> ChosenAccount {
    let (name, version) = text.split_once(':').unwrap_or((text, ""));
    ChosenAccount {
        name: name.to_owned(),
        seen: AccountVersion::named(version),
    }
}

impl From<BatchChange> for AccountChange {
    fn from(change: BatchChange) -> Self {
        let none = BTreeSet::new;
        match change {
            BatchChange::Approve => Self::Approve,
            BatchChange::Disable => Self::Disable,
            BatchChange::AddTo(add) => Self::EditGroups { add, remove: none() },
            BatchChange::RemoveFrom(remove) => Self::EditGroups { add: none(), remove },
        }
    }
}
