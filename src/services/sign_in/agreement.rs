//! The terms, which somebody who signs in may have to agree to first.

use super::{SignIn, SignInError};
use crate::model::{Account, AuditDetail, Fact};
use crate::services::account_edit::{EditError, edit};
use crate::services::{Event, Kind, Origin};
use crate::store::StoreError;

impl SignIn {
    /// Keeps that somebody who proved to be the owner of the account agrees to the terms as they are now, if they have to.
    pub(in crate::services) async fn agree(
        &self,
        account: Account,
        agrees: bool,
        origin: &Origin,
    ) -> Result<Account, SignInError> {
        if !self.terms.are_outstanding(&account) {
            return Ok(account);
        }
        let Some(agreement) = self.terms.agreement().filter(|_| agrees) else {
            return Err(SignInError::MustAgree);
        };
        let event =
            Event::about(Kind::Agree, &account).detail(AuditDetail::of(Fact::Version, &agreement.version));
        let edited = edit(&self.store, &self.guarded, account.id, move |account| {
            account.agreements.push(agreement.clone());
        });
        let account = edited.await.map_err(|error| match error {
            EditError::Gone => SignInError::InvalidCredentials,
            EditError::Store(error) => SignInError::Store(error),
            error => SignInError::Store(StoreError::Unavailable(error.to_string())),
        })?;
        self.audit.note(origin, &event);
        Ok(account)
    }
}
