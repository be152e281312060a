//! The right of an administrator on which a link rests that they made: of a reset link to hand over, and of an invitation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{DeferredRevocations, SharedServices};
use crate::config::Config;
use crate::ids::AccountId;
use crate::model::{Account, EmailToken, Invitation, Purpose};
use crate::store::{Precondition, Store, StoreError};

/// Checks the rights of makers. A link without a maker is the operator's, and rests on nothing.
///
/// A maker has the right as long as they are an administrator who may sign in. A disabling that was taken back ends it for
/// good: the account may have been in other hands. Leaving the group does not, since an administrator who is back may
/// make an equal link.
#[derive(Clone, Debug)]
pub(super) struct MakerRights {
    store: Arc<dyn Store>,
    revocations: Arc<DeferredRevocations>,
    rule: MakerRule,
}

/// What the right of a maker to a link is.
#[derive(Clone, Debug)]
pub(super) struct MakerRule {
    /// `admin.group`
    administrators: String,
    /// `signup.verify_email`
    verified_only: bool,
}

impl MakerRights {
    pub(super) fn new(shared: &SharedServices, config: &Config) -> Self {
        Self {
            store: shared.store.clone(),
            revocations: shared.revocations.clone(),
            rule: MakerRule::new(config),
        }
    }

    /// As [`MakerRule::of_token`].
    pub(super) fn of_token(&self, token: &EmailToken) -> Option<Precondition> {
        self.rule.of_token(token)
    }

    /// As [`MakerRule::of_invitation`].
    pub(super) fn of_invitation(&self, invitation: &Invitation) -> Option<Precondition> {
        self.rule.of_invitation(invitation)
    }

    /// Returns a handle on the store whose changes require the right. What shuts the maker out and is in memory alone is
    /// stored first; an error if it cannot be.
    pub(super) async fn store(&self, right: Option<Precondition>) -> Result<Arc<dyn Store>, StoreError> {
        let Some(right) = right else {
            return Ok(self.store.clone());
        };
        self.revocations.settle_if_pending(right.account).await?;
        Ok(self.store.with_precondition(right))
    }

    /// Returns whether the right holds now, for what is shown; a change checks it in its transaction.
    pub(super) async fn holds(&self, right: &Precondition) -> Result<bool, StoreError> {
        Ok(right.permits(self.maker(right.account).await?.as_ref()))
    }

    /// Removes the invitations whose makers have lost the right to them. Each maker is loaded once.
    pub(super) async fn retain(&self, invitations: &mut Vec<Invitation>) -> Result<(), StoreError> {
        let ids: BTreeSet<AccountId> = invitations
            .iter()
            .filter_map(|invitation| invitation.maker)
            .collect();
        let mut makers = BTreeMap::new();
        for id in ids {
            makers.insert(id, self.maker(id).await?);
        }
        invitations.retain(|invitation| {
            self.of_invitation(invitation)
                .is_none_or(|right| right.permits(makers[&right.account].as_ref()))
        });
        Ok(())
    }

    /// Loads the account of a maker; `None` if it is shut out in memory or cannot be read, and has no right.
    async fn maker(&self, account: AccountId) -> Result<Option<Account>, StoreError> {
        if self.revocations.is_pending(account) {
            return Ok(None);
        }
        match self.store.account(account).await {
            Err(StoreError::Corrupt(_)) => Ok(None),
            loaded => loaded,
        }
    }
}

impl MakerRule {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            administrators: config.admin.group.clone(),
            verified_only: config.signup.verify_email,
        }
    }

    /// Returns the right on which a handed-over link rests. Another password of the maker ends it: who knew the one before
    /// may have made the link.
    pub(super) fn of_token(&self, token: &EmailToken) -> Option<Precondition> {
        let made_at = token
            .expires_at
            .checked_sub(Purpose::ResetByAdministrator.lifetime())
            .unwrap_or(Timestamp::MIN);
        Some(self.of_added_account(token.maker?, made_at))
    }

    /// Returns the right on which the link for the first password of an account rests that `maker` added at `made_at`.
    pub(super) fn of_added_account(&self, maker: AccountId, made_at: Timestamp) -> Precondition {
        Precondition {
            password_since: Some(made_at),
            ..self.right(maker, made_at)
        }
    }

    /// Returns the right on which an invitation rests. Another password of the maker ends it where the invitation makes
    /// administrators, and not where many people wait with theirs.
    pub(super) fn of_invitation(&self, invitation: &Invitation) -> Option<Precondition> {
        let gives_administration = invitation.groups.contains(&self.administrators);
        Some(Precondition {
            password_since: gives_administration.then_some(invitation.created_at),
            ..self.right(invitation.maker?, invitation.created_at)
        })
    }

    fn right(&self, maker: AccountId, made_at: Timestamp) -> Precondition {
        Precondition {
            account: maker,
            session: None,
            password_changed_at: None,
            group: Some(self.administrators.clone()),
            verified: self.verified_only,
            status_since: Some(made_at),
            password_since: None,
        }
    }
}
