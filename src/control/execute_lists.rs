//! Executing commands that look: at accounts among many, at mails that wait, at locks.

use super::command::{MAILS_A_PAGE, USERS_A_PAGE, UserQuery};
use super::execute::views;
use super::list_responses::{FoundUsers, LocksView, MailView, ResentMails};
use super::{Administration, CommandError};
use crate::ids::MailId;
use crate::model::Email;
use crate::services::{AccountFilter, Actor, Origin};

impl Administration {
    pub(super) async fn find_users(&self, query: UserQuery) -> Result<FoundUsers, CommandError> {
        let filter = AccountFilter {
            text: query.text,
            standing: query.standing,
            group: query.group,
        };
        let (inspection, limit) = (&self.services.admin_queries, query.limit.min(USERS_A_PAGE));
        let page = inspection.find_accounts(filter, query.after, limit).await?;
        Ok(FoundUsers {
            users: views(page.accounts),
            unreadable: page.unreadable,
            next: page.next,
        })
    }

    pub(super) async fn mails(&self, after: Option<MailId>) -> Result<Vec<MailView>, CommandError> {
        Ok(views(
            self.services.admin_queries.mails(after, MAILS_A_PAGE).await?,
        ))
    }

    pub(super) async fn send_again(&self, name: &str, by: &Actor) -> Result<ResentMails, CommandError> {
        let wanted = match (name.parse::<MailId>(), name.parse::<Email>()) {
            (Ok(id), _) => vec![id],
            (_, Ok(email)) => self.failed_mails_to(&email).await?,
            (Err(_), Err(_)) => Vec::new(),
        };
        let mut again = Vec::new();
        for id in wanted {
            let failed = &self.services.failed_mails;
            if failed.send_again(id, by, &Origin::default()).await? {
                again.push(id);
            }
        }
        if again.is_empty() {
            return Err(CommandError::not_found(format!(
                "no mail {name} failed for good: `vestibule mail list` shows those that did, by id and address"
            )));
        }
        Ok(ResentMails { again })
    }

    async fn failed_mails_to(&self, email: &Email) -> Result<Vec<MailId>, CommandError> {
        let (mut failed, mut after) = (Vec::new(), None);
        loop {
            let page = self.mails(after).await?;
            let theirs = page
                .iter()
                .filter(|mail| mail.failed && mail.to.key() == email.key());
            failed.extend(theirs.map(|mail| mail.id));
            match page.last() {
                Some(last) if page.len() == MAILS_A_PAGE => after = Some(last.id),
                _ => return Ok(failed),
            }
        }
    }

    pub(super) async fn locks(&self) -> Result<LocksView, CommandError> {
        Ok(self.services.admin_queries.locks().await?.into())
    }
}
