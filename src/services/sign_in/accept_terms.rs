//! The terms, which somebody who signs in may have to agree to first.

use super::{SignIn, SignInError};
use crate::model::{Account, AuditDetail, DetailKey};
use crate::services::account_edit::{EditError, edit_and_mail};
use crate::services::{Event, Kind, Origin};
use crate::store::{PreconditionError, StoreError};

impl SignIn {
    /// Keeps that somebody who proved to be the owner of `account` agrees to the terms as they are now, if they have to.
    /// Refuses an account that was given another password since.
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
        let event = Event::about(Kind::Agree, &account)
            .detail(AuditDetail::of(DetailKey::Version, &agreement.version));
        let proved = account.password_changed_at;
        let edited = edit_and_mail(&self.store, &self.guarded, account.id, move |account| {
            // The account that comes back is taken for the one whose password was proved (S77).
            if account.password_changed_at != proved {
                return Err(StoreError::from(PreconditionError::PasswordChanged).into());
            }
            account.agreements.push(agreement.clone());
            Ok(Vec::new())
        });
        let edited = edited.await.map_err(|error| match error {
            EditError::Gone | EditError::Store(StoreError::Precondition(_)) => {
                SignInError::InvalidCredentials
            }
            EditError::Store(error) => SignInError::Store(error),
            error => SignInError::Store(StoreError::Unavailable(error.to_string())),
        })?;
        self.audit.note(origin, &event);
        Ok(edited.after)
    }
}
