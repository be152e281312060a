//! Changes of access keys, which memory holds where the store does not keep in time what ends access.

use tokio::time::{Instant, timeout_at};

use super::{AccessKeyChange, AccessKeyError, AccessKeys};
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, AuditDetail, DetailKey};
use crate::services::deferred_revocations::{HELD, NOT_HELD, PATIENCE, or_hold, slow};
use crate::services::pending_revocations::{Arrival, KeyRevocation};
use crate::services::unsettled_change::OnAbandoned;
use crate::services::{Actor, Event, Kind, Origin};
use crate::store::{SessionsToEnd, StoreError};

/// What became of a key in the store.
enum KeyOutcome {
    Changed(AccessKey),
    AsItWas(AccessKey),
}

impl AccessKeys {
    /// Changes a key; with `owner`, only if that account owns it. Idempotent for owners: a key that is so
    /// already is neither changed nor audited.
    pub async fn change(
        &self,
        id: AccessKeyId,
        owner: Option<AccountId>,
        change: AccessKeyChange,
        by: &Actor,
        origin: &Origin,
    ) -> Result<AccessKey, AccessKeyError> {
        let deadline = Instant::now() + PATIENCE;
        // Memory knows whose key it is, so what ends access does not depend on a store that answers in time.
        let may_hold = || {
            let known = self
                .owner(&id)
                .is_some_and(|known| owner.is_none_or(|owner| owner == known));
            change != AccessKeyChange::Enable && known && self.sessions.vouch_for(by)
        };
        let hold = || may_hold().then(|| self.shut_out(id, change.kind(), &slow(), by, origin));
        let turn = match timeout_at(deadline, self.revocations.turn.lock()).await {
            Ok(turn) => turn,
            Err(_) => match hold() {
                Some(_) => return Err(slow().with_note(HELD).into()),
                None => self.revocations.turn.lock().await,
            },
        };
        let abandoned = OnAbandoned::new(|| self.doubt(id));
        let changed = Box::pin(self.change_in_store(id, owner, change, by));
        let (changed, revocation) = or_hold(changed, deadline, hold).await;
        let is_unknown = |error: &AccessKeyError| match error {
            AccessKeyError::Store(error) => error.is_outcome_unknown(),
            _ => false,
        };
        if changed.as_ref().is_err_and(is_unknown) {
            drop(abandoned);
        } else {
            abandoned.disarm();
        }
        let changed = match changed {
            Err(AccessKeyError::Store(error)) if !error.is_refusal() => {
                let may_hold = change != AccessKeyChange::Enable && self.sessions.vouch_for(by);
                if revocation.is_none() && may_hold && error.may_pass() {
                    self.shut_out(id, change.kind(), &error, by, origin);
                }
                return Err(if revocation.is_some() || may_hold {
                    error.with_note(HELD).into()
                } else {
                    error.into()
                });
            }
            changed => changed,
        };
        // The store has it, or has refused it.
        if let Some(arrival) = revocation {
            self.revocations.remove_key(&id, arrival);
            if let (Some(owner), Err(_) | Ok(KeyOutcome::AsItWas(_))) = (self.owner(&id), &changed) {
                self.refresh(owner).await;
            }
        }
        let changed = match changed? {
            KeyOutcome::Changed(key) => key,
            KeyOutcome::AsItWas(key) => return Ok(key),
        };
        if change != AccessKeyChange::Enable {
            let begun = SessionsToEnd::AccessKey(changed.account, id);
            self.sessions.forget(begun);
            self.suspend_where(|key| key.id() == id);
        }
        drop(turn);
        self.refresh(changed.account).await;
        let email = self.email_of(changed.account).await;
        self.note(change.kind(), &email, &changed, by, origin);
        Ok(changed)
    }

    /// Changes a key in the store, after what memory holds of it. The caller has the turn.
    async fn change_in_store(
        &self,
        id: AccessKeyId,
        owner: Option<AccountId>,
        change: AccessKeyChange,
        by: &Actor,
    ) -> Result<KeyOutcome, AccessKeyError> {
        let settled = self.settle(id).await;
        if let Some(owner) = owner {
            match self.store.access_keys(Some(owner)).await {
                Ok(own) => {
                    let key = own.into_iter().find(|key| key.id == id);
                    let key = key.ok_or(AccessKeyError::NotFound(id))?;
                    match change {
                        // Memory holds another state of it than the store.
                        _ if settled.is_err() || self.unsettled.contains(owner) => {}
                        AccessKeyChange::Disable if key.disabled => return Ok(KeyOutcome::AsItWas(key)),
                        AccessKeyChange::Enable if !key.disabled => return Ok(KeyOutcome::AsItWas(key)),
                        // Disabling is never rate limited; limiting its counterpart bounds both.
                        AccessKeyChange::Enable if by.is_owner() => self.changes.admit(owner)?,
                        _ => {}
                    }
                }
                // Disabling and revoking do not depend on a readable store: memory knows the owner.
                Err(_) if self.owner(&id) == Some(owner) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let store = by.act_on(&self.store);
        let changed = match (settled, change) {
            (Err(error), AccessKeyChange::Enable) => Err(error.with_note(NOT_HELD)),
            (Err(error), _) => Err(error),
            (Ok(()), AccessKeyChange::Disable) => store.set_access_key_disabled(id, true).await,
            (Ok(()), AccessKeyChange::Enable) => store.set_access_key_disabled(id, false).await,
            (Ok(()), AccessKeyChange::Revoke) => store.revoke_access_key(id).await,
        };
        Ok(KeyOutcome::Changed(changed?.ok_or(AccessKeyError::NotFound(id))?))
    }

    /// Has a key that the store may have changed, and the others of its owner, read again. Until then it does not
    /// serve.
    fn doubt(&self, id: AccessKeyId) {
        if let Some(owner) = self.owner(&id) {
            self.unsettled
                .mark(owner, || self.suspend_where(|key| key.id() == id));
            self.sessions.end_in_memory(SessionsToEnd::AccessKey(owner, id));
        }
    }

    /// Disables a key in memory, since the store failed with `error`; the store is told again later.
    pub(super) fn shut_out(
        &self,
        id: AccessKeyId,
        kind: Kind,
        error: &StoreError,
        by: &Actor,
        origin: &Origin,
    ) -> Arrival {
        tracing::error!(
            %error,
            key = %id,
            event = kind.as_str(),
            "the store could not keep that an access key was shut out: it serves nobody, and the store is told again"
        );
        let owner = self.owner(&id);
        let email = self
            .live
            .pin()
            .get(&id)
            .map(|key| key.principal().email.to_string());
        let event = Event::success(kind, email.unwrap_or_default())
            .account(owner)
            .by(by)
            .detail(AuditDetail::of(DetailKey::AccessKey, &id));
        let revocation = KeyRevocation {
            is_revoked: kind == Kind::AccessKeyRevoke,
            event,
            origin: origin.clone(),
        };
        let arrival = self.revocations.add_key(id, revocation);
        self.suspend_where(|key| key.id() == id);
        if let Some(owner) = owner {
            self.sessions.end_in_memory(SessionsToEnd::AccessKey(owner, id));
        }
        arrival
    }
}
