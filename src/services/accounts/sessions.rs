//! Ending the sessions of an account.

use super::{AccountError, Accounts};
use crate::ids::SessionId;
use crate::model::{Account, AuditDetail, DetailKey};
use crate::services::{Actor, Event, Kind, Origin};
use crate::store::SessionsToEnd;

impl Accounts {
    /// Ends all sessions of an account. How many there were.
    pub async fn end_sessions(
        &self,
        name: &str,
        by: &Actor,
        origin: &Origin,
    ) -> Result<(Account, usize), AccountError> {
        let account = self.find(name).await?;
        let all = SessionsToEnd::Account(account.id, None);
        let ended = self.sessions.end_by(by, all).await?;
        let event = Event::about(Kind::SessionEnd, &account)
            .by(by)
            .detail(AuditDetail::bare(DetailKey::All));
        self.audit.note(origin, &event);
        Ok((account, ended))
    }

    /// Ends one session of an account. How many there were: one, or none if it is over or somebody else's.
    pub async fn end_session(
        &self,
        name: &str,
        session: SessionId,
        by: &Actor,
        origin: &Origin,
    ) -> Result<(Account, usize), AccountError> {
        let account = self.find(name).await?;
        let listed = self.sessions.list(Some(account.id));
        if !listed.iter().any(|info| info.session.id == session) {
            return Ok((account, 0));
        }
        let ended = self.sessions.end_by(by, SessionsToEnd::Id(session)).await?;
        let event = Event::about(Kind::SessionEnd, &account)
            .by(by)
            .detail(AuditDetail::of(DetailKey::Session, &session));
        self.audit.note(origin, &event);
        Ok((account, ended))
    }
}
