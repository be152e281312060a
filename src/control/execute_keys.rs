//! Executing commands about access keys.

use super::command::{KeyChange, NewKey};
use super::execute::views;
use super::responses::{KeyView, NewKeyView, RotatedMaster};
use super::{Administration, CommandError};
use crate::model::AccessKeyId;
use crate::services::{AccessKeyChange, AccessKeyInfo, Actor, NewAccessKey, Origin};

impl Administration {
    pub(super) async fn create_key(&self, new: NewKey, by: &Actor) -> Result<NewKeyView, CommandError> {
        let owner = self.services.accounts.find(&new.user).await?;
        let wanted = NewAccessKey {
            name: new.name,
            ttl: new.ttl,
            scope: new.scope,
        };
        let keys = &self.services.access_keys;
        let (key, secret) = keys.create(&owner, wanted, by, &Origin::default()).await?;
        let info = AccessKeyInfo {
            is_live: keys.find(&key.id).is_some(),
            email: owner.email.to_string(),
            key,
        };
        Ok(NewKeyView {
            secret_key: secret.expose().to_owned(),
            key: info.into(),
        })
    }

    pub(super) async fn keys_of(&self, user: Option<&str>) -> Result<Vec<KeyView>, CommandError> {
        let account = match user {
            Some(user) => Some(self.services.accounts.find(user).await?.id),
            None => None,
        };
        Ok(views(self.services.access_keys.list(account).await?))
    }

    pub(super) async fn change_key(
        &self,
        id: AccessKeyId,
        change: KeyChange,
        by: &Actor,
    ) -> Result<KeyView, CommandError> {
        let keys = &self.services.access_keys;
        let changed = keys
            .change(id, None, change.into(), by, &Origin::default())
            .await?;
        Ok(KeyView::from(AccessKeyInfo {
            is_live: keys.find(&id).is_some(),
            email: keys.email_of(changed.account).await,
            key: changed,
        }))
    }

    pub(super) async fn rotate_master(&self, by: &Actor) -> Result<RotatedMaster, CommandError> {
        let master_key = self.services.access_keys.rotate_master(by).await?;
        Ok(RotatedMaster { master_key })
    }
}

impl From<KeyChange> for AccessKeyChange {
    fn from(change: KeyChange) -> Self {
        match change {
            KeyChange::Disable => Self::Disable,
            KeyChange::Enable => Self::Enable,
            KeyChange::Revoke => Self::Revoke,
        }
    }
}
