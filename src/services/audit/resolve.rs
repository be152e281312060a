//! Whom somebody means who looks into the audit log: one answer for the page and for the command.

use std::collections::HashSet;

use super::Audit;
use crate::ids::AccountId;
use crate::model::{Account, AuditKind, AuditOutcome, Email, Username};
use crate::store::{AuditFilter, AuditOrder, AuditSubject, StoreError};

/// Events that say which account has a name from then on, or had it until then.
const NAMING: &[AuditKind] = &[
    AuditKind::SignUp,
    AuditKind::AccountAdd,
    AuditKind::UsernameChange,
    AuditKind::EmailChange,
    AuditKind::AccountDelete,
];

/// So many of those are looked at, the newest.
const LOOKED_AT: usize = 100;

/// Accounts that one name means, at most: each is two more ways to go through the log.
const MOST_ACCOUNTS: usize = 5;

impl Audit {
    /// Whom a name means, be it an address, a username, or an id. Together these are:
    ///
    /// - events in which that very name is written, of whom they are about or who did it;
    /// - the account that has it now, whatever it was called then;
    /// - accounts that had it once, deleted ones as well, as far as the log knows of that;
    /// - the address that each of these has now, for what is recorded without an account.
    pub async fn resolve_subjects(&self, name: &str) -> Result<Vec<AuditSubject>, StoreError> {
        let name = name.trim();
        let written = AuditSubject::name(name);
        let mut accounts: Vec<AccountId> = name.parse().into_iter().collect();
        accounts.extend(self.holder(name).await?.map(|account| account.id));
        accounts.extend(self.once_called(&written).await?);
        let mut whom = vec![written];
        let mut known = HashSet::new();
        let each_once = accounts.into_iter().filter(|id| known.insert(*id));
        for id in each_once.take(MOST_ACCOUNTS) {
            whom.push(AuditSubject::Account(id));
            if let Some(account) = self.store.account(id).await? {
                let address = AuditSubject::name(account.email.as_str());
                whom.extend(Some(address).filter(|address| *address != whom[0]));
            }
        }
        Ok(whom)
    }

    async fn holder(&self, name: &str) -> Result<Option<Account>, StoreError> {
        if let Ok(email) = name.parse::<Email>() {
            return self.store.account_by_email(&email).await;
        }
        match name.parse::<Username>() {
            Ok(username) => self.store.account_by_username(&username).await,
            Err(_) => Ok(None),
        }
    }

    async fn once_called(&self, name: &AuditSubject) -> Result<Vec<AccountId>, StoreError> {
        let filter = AuditFilter {
            about: vec![name.clone()],
            kinds: NAMING.to_vec(),
            outcome: Some(AuditOutcome::Success),
            ..AuditFilter::default()
        };
        let newest = self
            .read(filter, AuditOrder::NewestFirst, None, LOOKED_AT)
            .await?;
        let events = newest.events.iter().map(|(_, event)| event);
        // Whoever did it is not called that because of it.
        let named = events.filter(|event| AuditSubject::called(event).contains(name));
        Ok(named.filter_map(|event| event.account).collect())
    }
}
