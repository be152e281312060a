//! Another username.

use super::{AccountSettings, AccountSettingsError};
use crate::model::{Account, AuditDetail, DetailKey, MailKind};
use crate::secret::Secret;
use crate::services::account_edit::{AccountDiff, EditError, edit_and_mail};
use crate::services::sign_up::{is_reserved, parse_username};
use crate::services::{ActiveSession, Event, FieldError, Kind, Origin};

/// How many usernames an account may have had before: each of them is nobody else's for ever.
pub const MOST_FORMER_USERNAMES: usize = 5;

impl AccountSettings {
    /// Takes another username, and tells the owner. The one that it had stays its own (S53): it may go back to it.
    pub async fn change_username(
        &self,
        session: &ActiveSession,
        username: &str,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<Account, AccountSettingsError> {
        use AccountSettingsError::{TooManyUsernames, Username};
        let renamed = self.rename(session, username, password, origin).await;
        if let Err(Username(FieldError::UsernameTaken) | TooManyUsernames) = &renamed {
            self.note_refused(Kind::UsernameChange, session, origin);
        }
        renamed
    }

    async fn rename(
        &self,
        session: &ActiveSession,
        username: &str,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<Account, AccountSettingsError> {
        if !self.may_rename {
            return Err(AccountSettingsError::UsernameFixed);
        }
        let username = parse_username(username).map_err(AccountSettingsError::Username)?;
        let (account, owner) = self.reauthenticate(session, password, origin).await?;
        if account.username == username {
            return Ok(account);
        }
        if is_reserved(&self.signup, &username) {
            return Err(AccountSettingsError::Username(FieldError::UsernameTaken));
        }
        self.changes.admit(account.id)?;
        let store = self.store.on_behalf_of(&owner);
        let (mailer, cause) = (self.mailer.clone(), origin.clone());
        let edited = edit_and_mail(&store, &self.administrators, account.id, move |account| {
            // Counted in the account that is changed, whatever was asked at the same moment (S78).
            let former = &account.former_usernames;
            if former.len() >= MOST_FORMER_USERNAMES && !former.contains(&username) {
                return Err(EditError::TooManyUsernames);
            }
            account.username.clone_from(&username);
            let topic = MailKind::UsernameChanged(username.clone());
            Ok(vec![mailer.mail(&account.email, topic, &cause)])
        });
        let AccountDiff {
            before,
            after: account,
        } = edited.await?;
        self.sessions.refresh(&account).await;
        self.access_keys.refresh(account.id).await;
        self.mailer.announce();
        let event = Event::about(Kind::UsernameChange, &account);
        let change = format!("{} to {}", before.username, account.username);
        let event = event.detail(AuditDetail::of(DetailKey::From, &change));
        self.audit.note(origin, &event);
        Ok(account)
    }
}
