//! Edits of an account that are safe against concurrent changes.

use std::sync::{Arc, Mutex, PoisonError};

use super::accounts::AccountPart;
use crate::ids::AccountId;
use crate::model::{Account, AccountStatus, Email, Mail, Username};
use crate::store::{EditAccount, Store, StoreError};

/// Why an account was not edited.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    /// The account does not exist.
    #[error("the account is gone")]
    Gone,
    /// The transition is not possible from this status.
    #[error("an account that stands at {0:?} leaves that no choice")]
    Status(AccountStatus),
    /// These parts differ from the version that the decision was made from; holds the account as it is.
    #[error("the account was changed meanwhile: {0:?}")]
    Stale(Vec<AccountPart>, Box<Account>),
    /// Another account has the address.
    #[error("another account has the address {0}")]
    EmailTaken(Email),
    /// Another account has the username, or once had it.
    #[error("the username {0} is taken")]
    UsernameTaken(Username),
    /// The account has the most former usernames that it may have.
    #[error("the account had as many usernames as one may have")]
    TooManyUsernames,
    /// It would be in more groups than an account may be in.
    #[error("the account would be in too many groups")]
    TooManyGroups,
    /// It is the last active member of the administrators' group.
    #[error("it is the last active member of the administrators' group")]
    LastAdministrator,
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account before and after an edit.
#[derive(Debug)]
pub(super) struct AccountDiff {
    pub(super) before: Account,
    pub(super) after: Account,
}

/// Applies `change` to the account inside the store's transaction.
pub(super) async fn edit(
    store: &Arc<dyn Store>,
    id: AccountId,
    change: impl Fn(&mut Account) + Send + Sync + 'static,
) -> Result<Account, EditError> {
    let edited = edit_and_mail(store, id, move |account| {
        change(account);
        Ok(Vec::new())
    });
    Ok(edited.await?.after)
}

/// Like [`edit`]; `change` returns the mails to enqueue in the transaction, or refuses.
pub(super) async fn edit_and_mail(
    store: &Arc<dyn Store>,
    id: AccountId,
    change: impl Fn(&mut Account) -> Result<Vec<Mail>, EditError> + Send + Sync + 'static,
) -> Result<AccountDiff, EditError> {
    // The store knows only that `change` refused; the reason is handed over here.
    let refusal = Arc::new(Mutex::new(None));
    let edit = {
        let refusal = refusal.clone();
        move |account: &mut Account| match change(account) {
            Ok(mails) => Some(mails),
            Err(error) => {
                *refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            }
        }
    };
    Err(match store.edit_account(id, Arc::new(edit)).await? {
        EditAccount::Edited { before, after } => {
            return Ok(AccountDiff {
                before: *before,
                after: *after,
            });
        }
        EditAccount::Refused => {
            let refusal = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
            refusal.unwrap_or(EditError::Gone)
        }
        EditAccount::Absent => EditError::Gone,
        EditAccount::EmailTaken(email) => EditError::EmailTaken(email),
        EditAccount::UsernameTaken(username) => EditError::UsernameTaken(username),
        EditAccount::LastMember => EditError::LastAdministrator,
    })
}
