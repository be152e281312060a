//! Mails that failed for good: an administrator may have them sent again.

use std::sync::Arc;

use super::{Actor, Audit, Event, Kept, Kind, Lasting, Mailer, Origin};
use crate::clock::Clock;
use crate::ids::MailId;
use crate::store::{MailOutcome, StoreError};

/// The service.
#[derive(Debug)]
pub struct FailedMails {
    store: Kept,
    mailer: Arc<Mailer>,
    audit: Arc<Audit>,
    clock: Clock,
}

impl FailedMails {
    pub(super) fn under(lasting: &Lasting) -> Self {
        Self {
            store: lasting.store.clone(),
            mailer: lasting.mailer.clone(),
            audit: lasting.audit.clone(),
            clock: lasting.clock.clone(),
        }
    }

    /// Has a mail sent again, with a link that is made then. Whether it had failed.
    pub async fn send_again(&self, id: MailId, by: &Actor, origin: &Origin) -> Result<bool, StoreError> {
        let again = MailOutcome::Again { at: self.clock.now() };
        if !self.store.settle_mail(id, again).await? {
            return Ok(false);
        }
        self.mailer.announce();
        let event = Event::success(Kind::MailAgain, id.to_string()).by(by);
        self.audit.note(origin, &event);
        Ok(true)
    }
}
