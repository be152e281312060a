//! The right of an administrator on which a link rests that they made: of a reset link to hand over, and of an invitation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Actor, DeferredRevocations, SharedServices};
use crate::ids::AccountId;
use crate::model::{Account, Administrators, EmailToken, Invitation, Maker};
use crate::store::{LastDecision, Precondition, PreconditionError, Store, StoreError};

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
pub(super) struct MakerRule(Administrators);

impl MakerRights {
    pub(super) fn new(shared: &SharedServices) -> Self {
        Self {
            store: shared.store.clone(),
            revocations: shared.revocations.clone(),
            rule: MakerRule::new(shared.administrators.clone()),
        }
    }

    /// Loads the maker of a link that `by` makes: the administrator, as the account is now; `None` for the operator, whose
    /// links rest on nothing.
    pub(super) async fn maker(&self, by: &Actor) -> Result<Option<Maker>, StoreError> {
        let Some(id) = by.administrator_account() else {
            return Ok(None);
        };
        let account = self.store.account(id).await?;
        let account = account.ok_or(PreconditionError::AccountInactive)?;
        Ok(Some(Maker::from(&account)))
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
        Ok(right.permits(self.load(right.account).await?.as_ref()))
    }

    /// Removes the invitations whose makers have lost the right to them. Each maker is loaded once.
    pub(super) async fn retain(&self, invitations: &mut Vec<Invitation>) -> Result<(), StoreError> {
        let ids: BTreeSet<AccountId> = invitations
            .iter()
            .filter_map(|invitation| Some(invitation.maker?.account))
            .collect();
        let mut makers = BTreeMap::new();
        for id in ids {
            makers.insert(id, self.load(id).await?);
        }
        invitations.retain(|invitation| {
            self.of_invitation(invitation)
                .is_none_or(|right| right.permits(makers[&right.account].as_ref()))
        });
        Ok(())
    }

    /// Loads the account of a maker; `None` if it is shut out in memory or cannot be read, and has no right.
    async fn load(&self, account: AccountId) -> Result<Option<Account>, StoreError> {
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
    /// The rule of who administers.
    pub(super) fn new(administrators: Administrators) -> Self {
        Self(administrators)
    }

    /// Returns the right on which a handed-over link rests. Another password of the maker ends it: who knew the one before
    /// may have made the link.
    pub(super) fn of_token(&self, token: &EmailToken) -> Option<Precondition> {
        Some(self.of_added_account(token.maker?))
    }

    /// Returns the right on which the link for the first password of an account rests that `maker` added.
    pub(super) fn of_added_account(&self, maker: Maker) -> Precondition {
        Precondition {
            password_changed_at: Some(maker.password_changed_at),
            ..self.right(maker)
        }
    }

    /// Returns the right on which an invitation rests. Another password of the maker ends it where the invitation makes
    /// administrators, and not where many people wait with theirs.
    pub(super) fn of_invitation(&self, invitation: &Invitation) -> Option<Precondition> {
        let maker = invitation.maker?;
        Some(Precondition {
            password_changed_at: Some(maker.password_changed_at),
            password_counts_for: Some(invitation.groups.clone()),
            ..self.right(maker)
        })
    }

    fn right(&self, maker: Maker) -> Precondition {
        Precondition {
            account: maker.account,
            session: None,
            password_changed_at: None,
            password_counts_for: None,
            administrators: Some(self.0.clone()),
            last_decision: LastDecision::At(maker.decided_at),
        }
    }
}
