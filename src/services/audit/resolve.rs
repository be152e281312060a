//! Resolves the account filter of the audit log (address, username or id) to subjects; shared by the page and
//! the command.

use std::collections::HashSet;

use super::Audit;
use crate::ids::AccountId;
use crate::model::{Account, AuditKind, AuditOutcome, Email, Username};
use crate::store::{AuditFilter, AuditOrder, AuditSubject, StoreError};

/// Events that record that an account got or lost a name.
const NAMING: &[AuditKind] = &[
    AuditKind::SignUp,
    AuditKind::AccountAdd,
    AuditKind::UsernameChange,
    AuditKind::EmailChange,
    AuditKind::AccountDelete,
];

/// The most of those that are read, newest first.
const LOOKED_AT: usize = 100;

/// The most accounts that a name resolves to: each adds two scans of the audit log.
const MOST_ACCOUNTS: usize = 5;

impl Audit {
    /// Resolves a name to subjects:
    ///
    /// - events with that very name as the subject or the actor;
    /// - the account that has the name now;
    /// - accounts that had it before, deleted ones included, as far as the audit log tells;
    /// - the current address of each, for events recorded without an account.
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
        // An event that only names its actor so does not make that name the account's.
        let named = events.filter(|event| AuditSubject::called(event).contains(name));
        Ok(named.filter_map(|event| event.account).collect())
    }
}
