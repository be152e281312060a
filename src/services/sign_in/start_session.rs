//! The session that a sign-in begins.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{SignIn, SignInError};
use crate::ids::AccountId;
use crate::model::{Account, AuditDetail, DetailKey, PlainToken, TokenDigest};
use crate::services::sessions::SignInCredential;
use crate::services::{ActiveSession, Event, Kind, Origin};
use crate::store::{SessionsToEnd, StoreError};

impl SignIn {
    /// Begins the session of somebody who proved to be the owner of an account, in place of the one that came with the
    /// sign-in.
    pub(in crate::services) async fn begin(
        &self,
        account: &Account,
        with: SignInCredential<'_>,
        origin: &Origin,
        replaces: Option<TokenDigest>,
    ) -> Result<(Account, PlainToken, Arc<ActiveSession>), SignInError> {
        let former = replaces.and_then(|digest| self.sessions.peek(&digest));
        let address = origin.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let begun = self
            .sessions
            .begin(account, with, address, origin.short_user_agent(), replaces)
            .await?;
        let Some((token, session)) = begun else {
            self.confirm(account).await?;
            let changed = "the account was shut out and let in again while it signed in";
            return Err(StoreError::Unavailable(changed.to_owned()).into());
        };
        if let Some(former) = former {
            self.note_replaced(&former, &session, origin);
        }
        let confirmed = async {
            let account = self.confirm(account).await?;
            // What was read may be old by now, and the session must not begin with it.
            self.sessions.try_refresh(account.id).await?;
            Ok(account)
        };
        match confirmed.await {
            Ok(account) => Ok((account, token, session)),
            Err(error) => {
                self.sessions.end(SessionsToEnd::Token(session.digest())).await?;
                Err(error)
            }
        }
    }

    /// Whoever signs in may be somebody else than was signed in before.
    fn note_replaced(&self, former: &ActiveSession, by: &ActiveSession, origin: &Origin) {
        let detail = AuditDetail::of(DetailKey::Session, &former.id()).and(DetailKey::ReplacedBy, &by.id());
        let event = Event::success(Kind::SessionEnd, former.principal().email.as_str());
        let event = event.account(former.account()).detail(detail);
        self.audit.note(origin, &event);
    }

    /// The account as it is now that the session stands. Whoever shut it out or changed its password while the
    /// password was being hashed ended its sessions before this one began, or is seen here.
    async fn confirm(&self, read: &Account) -> Result<Account, SignInError> {
        let current = self.store.account(read.id).await?;
        let current = current
            .filter(|current| current.password_changed_at == read.password_changed_at)
            .ok_or(SignInError::InvalidCredentials)?;
        self.policy.check(&current)?;
        Ok(current)
    }

    /// Whether somebody who proves to be the owner of an account may sign in, and without agreeing to new terms.
    pub fn admits(&self, account: &Account) -> Result<(), SignInError> {
        self.policy.check(account)?;
        if self.terms.are_outstanding(account) {
            return Err(SignInError::MustAgree);
        }
        Ok(())
    }

    /// The account of a key that serves.
    pub(in crate::services) async fn account(&self, id: AccountId) -> Result<Account, SignInError> {
        let account = self.store.account(id).await?;
        let account = account.ok_or(SignInError::InvalidCredentials)?;
        self.policy.check(&account)?;
        Ok(account)
    }

    /// Ends a session that was begun and cannot stand.
    pub(in crate::services) async fn end(&self, which: SessionsToEnd) -> Result<(), StoreError> {
        self.sessions.end(which).await.map(drop)
    }
}
