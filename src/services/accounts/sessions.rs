//! Ending the sessions of an account.

use super::{AccountError, Accounts};
use crate::ids::{AccountId, SessionId};
use crate::model::{AuditDetail, DetailKey};
use crate::services::{Actor, Event, Kind, Origin};
use crate::store::SessionsToEnd;

impl Accounts {
    /// What a command means by the sessions of an account: all of them, and the event that records their end.
    pub async fn sessions_to_end(&self, name: &str) -> Result<(SessionsToEnd, Event), AccountError> {
        let account = self.locate(name).await?;
        let event = Event::success(Kind::SessionEnd, account.email.as_str()).account(account.id);
        Ok((SessionsToEnd::Account(account.id, None), event))
    }

    /// Ends all sessions of an account. How many there were.
    pub async fn end_sessions(
        &self,
        name: &str,
        by: &Actor,
        origin: &Origin,
    ) -> Result<(AccountId, usize), AccountError> {
        let account = self.locate(name).await?;
        let all = SessionsToEnd::Account(account.id, None);
        let ended = self.sessions.end_by(by, all).await?;
        let event = Event::success(Kind::SessionEnd, account.email.as_str())
            .account(account.id)
            .by(by)
            .detail(AuditDetail::bare(DetailKey::All));
        self.audit.note(origin, &event);
        Ok((account.id, ended))
    }

    /// Ends one session of an account. How many there were: one, or none if it is over or somebody else's.
    pub async fn end_session(
        &self,
        name: &str,
        session: SessionId,
        by: &Actor,
        origin: &Origin,
    ) -> Result<(AccountId, usize), AccountError> {
        let account = self.locate(name).await?;
        let listed = self.sessions.list(Some(account.id));
        if !listed.iter().any(|info| info.session.id == session) {
            return Ok((account.id, 0));
        }
        let ended = self.sessions.end_by(by, SessionsToEnd::Id(session)).await?;
        let event = Event::success(Kind::SessionEnd, account.email.as_str())
            .account(account.id)
            .by(by)
            .detail(AuditDetail::of(DetailKey::Session, &session));
        self.audit.note(origin, &event);
        Ok((account.id, ended))
    }
}
