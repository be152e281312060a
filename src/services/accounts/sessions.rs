//! Ending the sessions of an account.

use super::{AccountError, Accounts};
use crate::model::{Account, AuditDetail, Fact};
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
        let ended = self.sessions.end(all).await?;
        let event = Event::about(Kind::SessionEnd, &account)
            .by(by)
            .detail(AuditDetail::bare(Fact::All));
        self.audit.note(origin, &event);
        Ok((account, ended))
    }
}
