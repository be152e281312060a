//! Changing an account that others may change at the same moment.

use super::Kept;
use crate::model::{Account, Email, Mail, Standing, Username};
use crate::store::{StoreError, UpdateAccount};

/// How often a change starts over when somebody else changes the account at the same moment.
const TRIES: usize = 5;

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    /// It is gone.
    #[error("the account is gone")]
    Gone,
    /// It stands where there is nothing of the kind to decide.
    #[error("an account that stands at {0:?} leaves that no choice")]
    Standing(Standing),
    /// Another account has the address.
    #[error("another account has the address {0}")]
    EmailTaken(Email),
    /// Another account has the username, or once had it.
    #[error("the username {0} is taken")]
    UsernameTaken(Username),
    /// It had as many usernames as one may have.
    #[error("the account had as many usernames as one may have")]
    TooManyUsernames,
    /// It is the last active member of the administrators' group.
    #[error("it is the last active member of the administrators' group")]
    LastAdministrator,
    /// Somebody else changed it at the same moment, more than once.
    #[error("the account was changed by somebody else at the same moment; try again")]
    Contended,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes the account and writes it back, again from what is stored if somebody else was faster. `administrators` is
/// their group.
pub(super) async fn edit(
    store: &Kept,
    administrators: &str,
    account: Account,
    change: impl Fn(&mut Account) + Send + Sync,
) -> Result<Account, EditError> {
    edit_and_mail(store, administrators, account, |account| {
        change(account);
        Ok(Vec::new())
    })
    .await
}

/// The same; `change` says what is mailed if the account is changed, or refuses.
pub(super) async fn edit_and_mail(
    store: &Kept,
    administrators: &str,
    mut account: Account,
    change: impl Fn(&mut Account) -> Result<Vec<Mail>, EditError> + Send + Sync,
) -> Result<Account, EditError> {
    for _ in 0..TRIES {
        let mut changed = account.clone();
        let mails = change(&mut changed)?;
        match store
            .update_account_and_mail(&account, changed.clone(), administrators, mails)
            .await?
        {
            UpdateAccount::Updated => return Ok(changed),
            UpdateAccount::LastMember => return Err(EditError::LastAdministrator),
            UpdateAccount::EmailTaken => return Err(EditError::EmailTaken(changed.email)),
            UpdateAccount::UsernameTaken => return Err(EditError::UsernameTaken(changed.username)),
            UpdateAccount::Changed => {
                account = store.account(account.id).await?.ok_or(EditError::Gone)?;
            }
        }
    }
    Err(EditError::Contended)
}
